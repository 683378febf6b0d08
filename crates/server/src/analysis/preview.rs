//! Small volumes that a page shows before the large ones are there.

use crate::Result;
use multirnet::{Geometry, Maps, NativeMap, Scan, Volume};
use multirnet_base::files;
use multirnet_volume::io::{write_nifti, write_scaled_nifti};
use multirnet_volume::{Planes, Voxel};
use rayon::prelude::*;
use std::path::Path;

/// Smallest distance of the voxels of a preview, in millimetres.
const SPACING_MM: f64 = 2.0;
/// Radiodensity outside the scan.
const AIR: f32 = -1024.0;

/// What a preview shows.
pub(super) struct Preview {
    pub ct: Volume<f32>,
    pub lungs: Volume<u8>,
    pub lesions: Volume<u8>,
}

/// A scan with its values rounded to whole HU, without a copy.
pub(crate) struct Rounded<'a>(pub &'a Volume<f32>);

impl Planes for Rounded<'_> {
    type Value = i16;

    fn geometry(&self) -> &Geometry {
        self.0.geometry()
    }

    fn read_plane(&self, z: usize, out: &mut [i16]) {
        for (to, &v) in out.iter_mut().zip(self.0.plane(z)) {
            *to = i16::from_f64(f64::from(v));
        }
    }
}

/// Writes the previews of a scan and its maps into `folder`, all on one grid.
pub(super) fn write(scan: &Scan, maps: &Maps, folder: &Path) -> Result<Preview> {
    files::make_dir(folder)?;
    let grid = grid(scan.volume.geometry())?;
    let preview = Preview {
        ct: scan.volume.resample_linear(&grid, AIR),
        lungs: maps.lungs.resample_nearest(&grid, 0),
        lesions: maps.lesions.resample_nearest(&grid, 0),
    };
    write_nifti(&folder.join("ct.nii.gz"), &Rounded(&preview.ct))?;
    write_nifti(&folder.join("lungs.nii.gz"), &preview.lungs)?;
    write_nifti(&folder.join("lesions.nii.gz"), &preview.lesions)?;
    let shares = [
        ("probability", Some(&maps.probability)),
        ("heatmap", maps.heatmap.as_ref()),
    ];
    for (name, map) in shares {
        if let Some(map) = map {
            let path = folder.join(format!("{name}.nii.gz"));
            write_scaled_nifti(&path, &shrink(map, &grid), 1.0 / 255.0)?;
        }
    }
    Ok(preview)
}

/// A grid of at least [`SPACING_MM`] along each axis. Axes that are coarser already stay as they are.
fn grid(scan: &Geometry) -> Result<Geometry> {
    Ok(scan.with_spacing(scan.spacing_mm().map(|s| s.max(SPACING_MM)))?)
}

/// `map` at the voxels next to those of `grid`, which has the same axes, in 255ths.
fn shrink(map: &NativeMap, grid: &Geometry) -> Volume<u8> {
    let own = *map.geometry();
    let next = |axis: usize| -> Vec<usize> {
        let index = |i: usize| {
            let mut at = [0.0; 3];
            at[axis] = i as f64;
            let found = own.world_to_index(grid.index_to_world(at))[axis];
            (found.round().max(0.0) as usize).min(own.shape()[axis] - 1)
        };
        (0..grid.shape()[axis]).map(index).collect()
    };
    let (zs, ys, xs) = (next(0), next(1), next(2));
    let [_, ny, nx] = own.shape();
    let mut small = Volume::filled(0u8, *grid);
    let plane = ys.len() * xs.len();
    small
        .data_mut()
        .par_chunks_mut(plane)
        .zip(&zs)
        .for_each_init(Vec::new, |buffer: &mut Vec<f32>, (out, &z)| {
            buffer.resize(ny * nx, 0.0);
            map.read_plane(z, buffer);
            let rows = out.chunks_exact_mut(xs.len()).zip(&ys);
            for (row, &y) in rows {
                for (to, &x) in row.iter_mut().zip(&xs) {
                    *to = (buffer[y * nx + x].clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        });
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_2_mm_and_coarser_axes_stay() {
        let scan = Geometry::axial([60, 100, 90], [5.0, 0.7, 0.8]).unwrap();
        let small = grid(&scan).unwrap();
        assert_eq!(small.spacing_mm(), [5.0, 2.0, 2.0]);
        assert_eq!(small.shape(), [60, 35, 36]);
    }

    #[test]
    fn a_shrunk_map_has_the_values_of_the_nearest_voxels() {
        let scan = Geometry::axial([8, 40, 30], [1.0, 0.5, 1.0]).unwrap();
        let whole = Volume::from_fn(scan, |[z, y, x]| ((z * 7 + y * 3 + x) % 11) as f32 / 10.0);
        let small = grid(&scan).unwrap();
        let shrunk = shrink(&NativeMap::from(whole.clone()), &small);
        let slow = whole.resample_nearest(&small, 0.0);
        let mut same = 0;
        for (a, b) in shrunk.data().iter().zip(slow.data()) {
            same += usize::from((f32::from(*a) / 255.0 - b).abs() < 0.003);
        }
        // Where two voxels are equally near, either is right.
        assert!(
            same * 4 >= shrunk.data().len(),
            "{same} of {}",
            shrunk.data().len()
        );
        let constant = Volume::filled(0.5f32, scan);
        let shrunk = shrink(&NativeMap::from(constant), &small);
        assert!(shrunk.data().iter().all(|v| *v == 128));
    }
}
