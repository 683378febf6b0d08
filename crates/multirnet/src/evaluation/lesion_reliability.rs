//! The lesion probability of one scan beside its true lesions.

use crate::{Error, ErrorKind, Result};
use multirnet_finding::NativeMap;
use multirnet_metrics::Reliability;
use multirnet_volume::{Planes as _, Volume};
use rayon::prelude::*;

/// The lesion probability of a scan's lung voxels beside its true lesions. All three lie on one grid.
///
/// # Errors
/// `Scoring` if the map holds a value that is not a probability.
pub fn lesion_reliability(
    probability: &NativeMap,
    truth: &Volume<u8>,
    lungs: &Volume<u8>,
) -> Result<Reliability> {
    let fail = |e| Error::caused(ErrorKind::Scoring, e);
    let plane = |z: usize| {
        let [_, ny, nx] = truth.shape();
        let mut values = vec![0.0f32; ny * nx];
        probability.read_plane(z, &mut values);
        let mut found = Reliability::default();
        let voxels = values.iter().zip(truth.plane(z).iter().zip(lungs.plane(z)));
        for (&p, (&lesion, _)) in voxels.filter(|(_, (_, lung))| **lung != 0) {
            found.add(f64::from(p), lesion != 0)?;
        }
        Ok(found)
    };
    let planes = (0..truth.shape()[0]).into_par_iter().map(plane);
    // Planes are added in order, so that the sums do not depend on the number of threads.
    let planes: Vec<_> = planes
        .collect::<multirnet_metrics::Result<_>>()
        .map_err(fail)?;
    let mut all = Reliability::default();
    for plane in &planes {
        all.merge(plane).map_err(fail)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn only_voxels_of_the_lungs_count() {
        let grid = Geometry::axial([2, 1, 3], [1.0; 3]).unwrap();
        let map = |values: [f32; 6]| Volume::new(values.to_vec(), grid).unwrap();
        let mask = |values: [u8; 6]| Volume::new(values.to_vec(), grid).unwrap();
        let found = lesion_reliability(
            &map([0.25, 0.75, 0.9, 0.0, 0.75, 1.0]).into(),
            &mask([0, 1, 1, 0, 0, 2]),
            &mask([1, 1, 0, 2, 2, 2]),
        )
        .unwrap();
        assert_eq!((found.total(), found.events.iter().sum::<u64>()), (5, 2));
        assert_eq!((found.n[25], found.n[75], found.events[75]), (1, 2, 1));
        let squares = 0.0625 + 0.0625 + 0.0 + 0.5625 + 0.0;
        assert_eq!(found.squares, squares);
        let bad = map([0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0]).into();
        assert!(lesion_reliability(&bad, &mask([0; 6]), &mask([1; 6])).is_err());
    }
}
