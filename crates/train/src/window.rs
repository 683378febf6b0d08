//! Cutting a window out of a view.

use crate::augment::Affine;
use multirnet_cohort::{known::Known, load::View};
use std::ops::Range;

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
    /// Which of lesions, their kinds and the class are known.
    pub known: Known,
    /// The view that it shows.
    pub kind: ViewKind,
    /// Position of its scan in the cohort.
    pub case: usize,
}

/// Cuts image and labels of `shape` voxels around `centre` (a continuous voxel index) under `affine`.
/// Outside the view its nearest voxel is repeated. Interpolation is linear for the image and nearest
/// for the labels.
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

/// The centre nearest to `centre` whose window of `shape` voxels lies within a view of `size`
/// voxels. Along axes where the view is smaller than the window, it is the view's middle. Prediction
/// places its windows in the same way.
pub(crate) fn within(centre: [f64; 3], size: [usize; 3], shape: [usize; 3]) -> [f64; 3] {
    std::array::from_fn(|a| {
        let (last, half) = (size[a] as f64 - 1.0, (shape[a] as f64 - 1.0) / 2.0);
        if size[a] <= shape[a] {
            last / 2.0
        } else {
            centre[a].clamp(half, last - half)
        }
    })
}

/// Replaces each voxel outside the block `kept` (`(z, y, x)`, not empty) of a window of `shape`
/// voxels by the nearest voxel of that block, as if the scan ended there.
pub(crate) fn end_scan<T: Copy>(data: &mut [T], shape: [usize; 3], kept: &[Range<usize>; 3]) {
    let [_, ny, nx] = shape;
    let [z, y, x] = kept;
    for row in z.clone().flat_map(|z| y.clone().map(move |y| z * ny + y)) {
        let row = &mut data[row * nx..(row + 1) * nx];
        let (first, last) = (row[x.start], row[x.end - 1]);
        row[..x.start].fill(first);
        row[x.end..].fill(last);
    }
    let outside = |i: usize, r: &Range<usize>| i < r.start || i >= r.end;
    for plane in z.clone() {
        let plane = &mut data[plane * ny * nx..(plane + 1) * ny * nx];
        for line in (0..ny).filter(|&i| outside(i, y)) {
            let from = line.clamp(y.start, y.end - 1) * nx;
            plane.copy_within(from..from + nx, line * nx);
        }
    }
    for plane in (0..shape[0]).filter(|&i| outside(i, z)) {
        let from = plane.clamp(z.start, z.end - 1) * ny * nx;
        data.copy_within(from..from + ny * nx, plane * ny * nx);
    }
}

const SCALE: f32 = 1.0 / 65535.0;

/// Copies voxel for voxel. The centre is rounded, so no interpolation is needed.
fn copy(
    view: &View,
    centre: [f64; 3],
    flip: bool,
    shape: [usize; 3],
    image: &mut [f32],
    labels: &mut [u8],
) {
    let size = view.image.shape();
    let start: [i64; 3] =
        std::array::from_fn(|a| (centre[a] - (shape[a] as f64 - 1.0) / 2.0).round() as i64);
    let nearest = |a: usize, i: usize| (start[a] + i as i64).clamp(0, size[a] as i64 - 1) as usize;
    let (pixels, truth) = (view.image.data(), view.lesions.data());
    let columns: Vec<usize> = (0..shape[2])
        .map(|x| nearest(2, if flip { shape[2] - 1 - x } else { x }))
        .collect();
    for (row, (line, marks)) in image
        .chunks_exact_mut(shape[2])
        .zip(labels.chunks_exact_mut(shape[2]))
        .enumerate()
    {
        let (z, y) = (nearest(0, row / shape[1]), nearest(1, row % shape[1]));
        let base = (z * size[1] + y) * size[2];
        for ((voxel, mark), x) in line.iter_mut().zip(marks).zip(&columns) {
            *voxel = f32::from(pixels[base + x]) * SCALE;
            *mark = truth[base + x];
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
    let last = size.map(|n| n as f64 - 1.0);
    let at = |[z, y, x]: [usize; 3]| (z * size[1] + y) * size[2] + x;
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
            let p: [f64; 3] =
                std::array::from_fn(|a| (first[a] + m[a][2] * x as f64).clamp(0.0, last[a]));
            let low = p.map(|v| v as usize);
            let f: [f32; 3] = std::array::from_fn(|a| (p[a] - low[a] as f64) as f32);
            let high: [usize; 3] = std::array::from_fn(|a| (low[a] + 1).min(size[a] - 1));
            let value = |z: usize, y: usize, x: usize| f32::from(pixels[at([z, y, x])]);
            let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
            let side = |z: usize| {
                mix(
                    mix(value(z, low[1], low[2]), value(z, low[1], high[2]), f[2]),
                    mix(value(z, high[1], low[2]), value(z, high[1], high[2]), f[2]),
                    f[1],
                )
            };
            *voxel = mix(side(low[0]), side(high[0]), f[0]) * SCALE;
            *mark = truth[at(p.map(|v| (v + 0.5) as usize))];
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

    /// The voxel of the view nearest to `index`.
    fn nearest(view: &View, index: [i64; 3]) -> [usize; 3] {
        let size = view.image.shape();
        std::array::from_fn(|a| index[a].clamp(0, size[a] as i64 - 1) as usize)
    }

    #[test]
    fn windows_are_copied_and_repeat_the_views_border() {
        let view = view();
        for (centre, start) in [([2.5, 3.5, 4.5], [1, 2, 3]), ([0.5, 0.5, 9.5], [-1, -1, 8])] {
            let (image, labels) = cut(&view, centre, &Affine::mirror(false), [4, 4, 4]);
            let mut i = 0;
            for z in 0..4 {
                for y in 0..4 {
                    for x in 0..4 {
                        let at = nearest(&view, [start[0] + z, start[1] + y, start[2] + x]);
                        let expected = f32::from(view.image.at(at)) / 65535.0;
                        assert!((image[i] - expected).abs() < 1e-7, "{at:?}");
                        assert_eq!(labels[i], view.lesions.at(at));
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

    #[test]
    fn windows_stay_within_the_view_where_it_is_large_enough() {
        let centre = |c| within(c, [6, 8, 10], [4, 8, 12]);
        assert_eq!(centre([0.0, 0.0, 9.0]), [1.5, 3.5, 4.5]);
        assert_eq!(centre([2.0, 7.0, 0.0]), [2.0, 3.5, 4.5]);
        assert_eq!(centre([5.0, 3.5, 4.5]), [3.5, 3.5, 4.5]);
    }

    #[test]
    fn a_scan_that_ends_repeats_its_ends() {
        let shape = [4, 5, 6];
        let kept = [1..3, 2..3, 0..4];
        let mut data: Vec<u16> = (0..120).collect();
        end_scan(&mut data, shape, &kept);
        for (i, v) in data.iter().enumerate() {
            let index = [i / 30, i / 6 % 5, i % 6];
            let [z, y, x]: [usize; 3] =
                std::array::from_fn(|a| index[a].clamp(kept[a].start, kept[a].end - 1));
            assert_eq!(usize::from(*v), z * 30 + y * 6 + x, "{index:?}");
        }
    }
}
