//! Cutting a window out of a view.

use crate::augment::Affine;
use crate::known::Known;
use crate::load::View;

/// Which of the two views a window shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewKind {
    /// The whole lung box.
    Global,
    /// A part of it at the working spacing.
    Local,
}

/// One training example.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Intensities in [0, 1], `(z, y, x)`.
    pub image: Vec<f32>,
    /// Lesion labels.
    pub labels: Vec<u8>,
    /// Class, 0 normal, 1 CAP, 2 COVID-19.
    pub class: usize,
    /// What of labels and class is known.
    pub known: Known,
    /// Where it comes from.
    pub kind: ViewKind,
    /// Position of its scan in the cohort.
    pub case: usize,
}

/// Image and labels of `shape` voxels around `centre` (a continuous voxel index) under `affine`;
/// outside the view lies air (0) without lesion. Linear for the image, nearest for the labels.
pub(crate) fn cut(
    view: &View,
    centre: [f64; 3],
    affine: &Affine,
    shape: [usize; 3],
) -> (Vec<f32>, Vec<u8>) {
    let n = shape.iter().product();
    let (mut image, mut labels) = (vec![0f32; n], vec![0u8; n]);
    match affine.as_mirror() {
        Some(flip) => copy(view, centre, flip, shape, &mut image, &mut labels),
        None => resample(view, centre, affine, shape, &mut image, &mut labels),
    }
    (image, labels)
}

const SCALE: f32 = 1.0 / 65535.0;

/// Voxel for voxel: the centre is rounded so that no interpolation is needed.
fn copy(
    view: &View,
    centre: [f64; 3],
    flip: bool,
    shape: [usize; 3],
    image: &mut [f32],
    labels: &mut [u8],
) {
    let size = view.image.shape().map(|s| s as i64);
    let start: [i64; 3] =
        std::array::from_fn(|a| (centre[a] - (shape[a] as f64 - 1.0) / 2.0).round() as i64);
    let (pixels, truth) = (view.image.data(), view.lesions.data());
    // Part of the row that lies inside the view, in window voxels (before mirroring).
    let from = (-start[2]).clamp(0, shape[2] as i64) as usize;
    let to = (size[2] - start[2]).clamp(from as i64, shape[2] as i64) as usize;
    for (row, (line, marks)) in image
        .chunks_exact_mut(shape[2])
        .zip(labels.chunks_exact_mut(shape[2]))
        .enumerate()
    {
        let z = start[0] + (row / shape[1]) as i64;
        let y = start[1] + (row % shape[1]) as i64;
        if !(0..size[0]).contains(&z) || !(0..size[1]).contains(&y) {
            continue;
        }
        let base = (z * size[1] + y) * size[2] + start[2];
        for x in from..to {
            let source = (base + x as i64) as usize;
            let target = if flip { shape[2] - 1 - x } else { x };
            line[target] = f32::from(pixels[source]) * SCALE;
            marks[target] = truth[source];
        }
    }
}

fn resample(
    view: &View,
    centre: [f64; 3],
    affine: &Affine,
    shape: [usize; 3],
    image: &mut [f32],
    labels: &mut [u8],
) {
    let size = view.image.shape();
    let (pixels, truth) = (view.image.data(), view.lesions.data());
    let m = affine.matrix;
    let half = shape.map(|s| (s as f64 - 1.0) / 2.0);
    let at = |z: i64, y: i64, x: i64| -> f32 {
        let inside = |v: i64, n: usize| v >= 0 && (v as usize) < n;
        if inside(z, size[0]) && inside(y, size[1]) && inside(x, size[2]) {
            f32::from(pixels[(z as usize * size[1] + y as usize) * size[2] + x as usize])
        } else {
            0.0
        }
    };
    for (row, (line, marks)) in image
        .chunks_exact_mut(shape[2])
        .zip(labels.chunks_exact_mut(shape[2]))
        .enumerate()
    {
        let offset = [
            (row / shape[1]) as f64 - half[0],
            (row % shape[1]) as f64 - half[1],
            -half[2],
        ];
        let first: [f64; 3] =
            std::array::from_fn(|a| centre[a] + (0..3).map(|k| m[a][k] * offset[k]).sum::<f64>());
        for (x, (voxel, mark)) in line.iter_mut().zip(marks).enumerate() {
            let p: [f64; 3] = std::array::from_fn(|a| first[a] + m[a][2] * x as f64);
            let floor = p.map(f64::floor);
            let [z, y, w] = floor.map(|v| v as i64);
            let f: [f32; 3] = std::array::from_fn(|a| (p[a] - floor[a]) as f32);
            let inner = z >= 0
                && y >= 0
                && w >= 0
                && z + 1 < size[0] as i64
                && y + 1 < size[1] as i64
                && w + 1 < size[2] as i64;
            let corner: [f32; 8] = if inner {
                let (ny, nx) = (size[1] * size[2], size[2]);
                let o = (z as usize * size[1] + y as usize) * size[2] + w as usize;
                let v = |k: usize| f32::from(pixels[k]);
                [
                    v(o),
                    v(o + 1),
                    v(o + nx),
                    v(o + nx + 1),
                    v(o + ny),
                    v(o + ny + 1),
                    v(o + ny + nx),
                    v(o + ny + nx + 1),
                ]
            } else if z < -1
                || y < -1
                || w < -1
                || z >= size[0] as i64
                || y >= size[1] as i64
                || w >= size[2] as i64
            {
                continue;
            } else {
                std::array::from_fn(|k| {
                    at(
                        z + (k >> 2 & 1) as i64,
                        y + (k >> 1 & 1) as i64,
                        w + (k & 1) as i64,
                    )
                })
            };
            let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
            let top = mix(
                mix(corner[0], corner[1], f[2]),
                mix(corner[2], corner[3], f[2]),
                f[1],
            );
            let low = mix(
                mix(corner[4], corner[5], f[2]),
                mix(corner[6], corner[7], f[2]),
                f[1],
            );
            *voxel = mix(top, low, f[0]) * SCALE;
            let near = p.map(|v| (v + 0.5).floor() as i64);
            if (0..3).all(|a| near[a] >= 0 && (near[a] as usize) < size[a]) {
                let [z, y, w] = near.map(|v| v as usize);
                *mark = truth[(z * size[1] + y) * size[2] + w];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::{Geometry, Volume};

    fn view() -> View {
        let grid = Geometry::axial([6, 8, 10], [1.0; 3]).unwrap();
        let image = Volume::from_fn(grid, |[z, y, x]| (1000 * z + 100 * y + 10 * x) as u16 + 1);
        let lesions = image.map(|v| u8::from(v.is_multiple_of(3)));
        let lungs = image.map(|_| 1u8);
        View::new(image, lesions, lungs).unwrap()
    }

    fn value(view: &View, index: [i64; 3]) -> f32 {
        let size = view.image.shape();
        if (0..3).all(|a| index[a] >= 0 && (index[a] as usize) < size[a]) {
            f32::from(view.image.at(index.map(|i| i as usize))) / 65535.0
        } else {
            0.0
        }
    }

    #[test]
    fn windows_are_copied_and_padded_with_air() {
        let view = view();
        for (centre, start) in [([2.5, 3.5, 4.5], [1, 2, 3]), ([0.5, 0.5, 9.5], [-1, -1, 8])] {
            let (image, labels) = cut(&view, centre, &Affine::mirror(false), [4, 4, 4]);
            let mut i = 0;
            for z in 0..4 {
                for y in 0..4 {
                    for x in 0..4 {
                        let at = [start[0] + z, start[1] + y, start[2] + x];
                        let expected = value(&view, at);
                        assert!((image[i] - expected).abs() < 1e-7, "{at:?}");
                        let inside = expected > 0.0;
                        assert_eq!(
                            labels[i] == 1,
                            inside && view.lesions.at(at.map(|v| v as usize)) == 1
                        );
                        i += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn mirrored_windows_are_the_mirror_image() {
        let view = view();
        let (a, la) = cut(&view, [0.5, 3.5, 8.5], &Affine::mirror(false), [4, 4, 6]);
        let (b, lb) = cut(&view, [0.5, 3.5, 8.5], &Affine::mirror(true), [4, 4, 6]);
        for (p, q) in a.chunks(6).zip(b.chunks(6)) {
            assert!(p.iter().eq(q.iter().rev()));
        }
        for (p, q) in la.chunks(6).zip(lb.chunks(6)) {
            assert!(p.iter().eq(q.iter().rev()));
        }
    }

    #[test]
    fn resampling_with_hardly_any_change_equals_copying() {
        let view = view();
        let nearly = Affine {
            matrix: [[1.0, 1e-9, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        };
        for centre in [[2.5, 3.5, 4.5], [0.5, 7.5, 9.5]] {
            let (a, _) = cut(&view, centre, &Affine::mirror(false), [4, 4, 4]);
            let (b, _) = cut(&view, centre, &nearly, [4, 4, 4]);
            let worst = a
                .iter()
                .zip(&b)
                .map(|(p, q)| (p - q).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-6, "{worst}");
        }
    }

    #[test]
    fn a_linear_ramp_is_interpolated_exactly() {
        let view = view();
        let affine = Affine {
            matrix: [[0.5, 0.0, 0.1], [0.0, 0.5, 0.0], [-0.1, 0.0, 0.5]],
        };
        let (image, _) = cut(&view, [2.5, 3.5, 4.5], &affine, [4, 4, 4]);
        let o = [-1.5, 0.5, 1.5]; // offsets of window voxel (0, 2, 3)
        let p: [f64; 3] = std::array::from_fn(|a| {
            [2.5, 3.5, 4.5][a] + (0..3).map(|k| affine.matrix[a][k] * o[k]).sum::<f64>()
        });
        let expected = (1000.0 * p[0] + 100.0 * p[1] + 10.0 * p[2] + 1.0) / 65535.0;
        assert!((f64::from(image[2 * 4 + 3]) - expected).abs() < 1e-6);
    }
}
