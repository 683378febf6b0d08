//! Scans in parts: stacks with gaps are analysed run by run and put together again.

use crate::{Error, ErrorKind, Result};
use multirnet_base::StopToken;
use multirnet_cohort::load::CaseScan;
use multirnet_finding::Probabilities;
use multirnet_finding::{NativeMap, ScanSource};
use multirnet_infer::{Model, PredictOptions, Progress};
use multirnet_volume::{Geometry, Volume, Voxel};
use std::borrow::Cow;
use std::ops::Range;

/// Consecutive slices of a scan.
#[derive(Debug)]
pub struct Part<'a> {
    /// Their range of planes in the scan's array.
    pub planes: Range<usize>,
    /// Their values.
    pub scan: Cow<'a, Volume<f32>>,
    /// Their lungs; at least one voxel is lung.
    pub lungs: Cow<'a, Volume<u8>>,
}

/// The parts of a scan that hold lung: one for each of its runs of slices.
///
/// # Errors
/// `Scoring` if a run does not lie within the scan or no part holds lung.
pub fn parts(case: &CaseScan) -> Result<Vec<Part<'_>>> {
    let bad = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Scoring, e.to_string());
    let [nz, ny, nx] = case.scan.shape();
    let mut parts = Vec::new();
    for planes in &case.runs {
        let part = if *planes == (0..nz) {
            Part {
                planes: planes.clone(),
                scan: Cow::Borrowed(&case.scan),
                lungs: Cow::Borrowed(&case.lungs),
            }
        } else {
            let (start, shape) = ([planes.start, 0, 0], [planes.len(), ny, nx]);
            Part {
                planes: planes.clone(),
                scan: Cow::Owned(case.scan.crop(start, shape).map_err(|e| bad(&e))?),
                lungs: Cow::Owned(case.lungs.crop(start, shape).map_err(|e| bad(&e))?),
            }
        };
        if part.lungs.data().iter().any(|l| *l != 0) {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        return Err(
            Error::new(ErrorKind::Scoring, "no lung was found in the scan")
                .hint("check the scan, or name its lung mask in the manifest"),
        );
    }
    Ok(parts)
}

/// Puts volumes of parts together on the whole scan's `grid`. Slices outside all parts are 0.
pub fn join<T: Voxel>(grid: &Geometry, parts: &[(Range<usize>, Volume<T>)]) -> Volume<T> {
    let mut whole = Volume::filled(T::from_f64(0.0), *grid);
    let [_, ny, nx] = grid.shape();
    for (planes, part) in parts {
        whole.data_mut()[planes.start * ny * nx..planes.end * ny * nx].copy_from_slice(part.data());
    }
    whole
}

/// Labels of the whole scan, put together as by [`join`]. Those of a single part that is the whole scan are not copied.
pub fn join_labels(grid: &Geometry, mut parts: Vec<(Range<usize>, Volume<u8>)>) -> Volume<u8> {
    match parts.pop() {
        Some((planes, labels)) if planes == (0..grid.shape()[0]) => labels,
        last => {
            parts.extend(last);
            join(grid, &parts)
        }
    }
}

/// A map of the whole scan, as [`join_labels`].
pub fn join_maps(grid: &Geometry, mut parts: Vec<(Range<usize>, NativeMap)>) -> NativeMap {
    match parts.pop() {
        Some((planes, map)) if planes == (0..grid.shape()[0]) => map,
        last => {
            let all = parts.into_iter().chain(last);
            let all: Vec<_> = all.map(|(p, map)| (p, map.to_volume())).collect();
            join(grid, &all).into()
        }
    }
}

/// The mean of class probabilities, weighted by each part's number of planes.
pub fn weighted(parts: &[(Range<usize>, Probabilities)]) -> Probabilities {
    let all: usize = parts.iter().map(|(planes, _)| planes.len()).sum();
    Probabilities::from_array(std::array::from_fn(|class| {
        let share =
            |(planes, p): &(Range<usize>, Probabilities)| planes.len() as f64 * p.to_array()[class];
        parts.iter().map(share).sum::<f64>() / all as f64
    }))
}

/// The outputs of a model for a case's scan, on the scan's own grid.
#[derive(Debug, Clone)]
pub struct CasePrediction {
    /// 1 lesion, or 1 ground glass and 2 consolidation.
    pub lesions: Volume<u8>,
    /// Lesion probability in `[0, 1]`; 0 in slices outside all runs with lung.
    pub probability: NativeMap,
    /// Grad-CAM, if the options ask for it; `None` for a scan of several parts, because each part's map has a scale of
    /// its own.
    pub heatmap: Option<NativeMap>,
    /// Class probabilities: the mean over runs, weighted by planes.
    pub probabilities: Probabilities,
    /// Number of windows or tiles that the network computed.
    pub windows: usize,
    /// Total number of voxels of these windows.
    pub voxels: usize,
    /// Wall-clock seconds, without reading and the lung segmentation.
    pub seconds: f64,
    /// The network's part of `seconds`.
    pub network_seconds: f64,
    /// Warnings about the input or the result.
    pub warnings: Vec<String>,
}

/// Analyses a case's scan run by run, within its lungs, with the preparation of `case`.
///
/// # Errors
/// `Scoring` for errors of [`Model::analyse`] and of [`parts`].
pub fn predict_case(
    model: &Model,
    case: &CaseScan,
    options: &PredictOptions,
    stop: &StopToken,
    progress: &mut dyn FnMut(Progress),
) -> Result<CasePrediction> {
    let options = PredictOptions {
        prepare: case.prepare.clone(),
        ..options.clone()
    };
    let grid = case.scan.geometry();
    let (mut lesions, mut maps, mut classes) = (Vec::new(), Vec::new(), Vec::new());
    let mut heatmaps = Vec::new();
    let (mut windows, mut voxels, mut seconds, mut network_seconds) = (0, 0, 0.0, 0.0);
    let mut warnings: Vec<String> = Vec::new();
    for part in parts(case)? {
        let said = model.analyse(
            &part.scan,
            Some(&part.lungs),
            ScanSource::default(),
            &options,
            stop,
            progress,
        )?;
        let (finding, planes) = (said.finding, part.planes);
        windows += finding.provenance.windows;
        voxels += finding.provenance.voxels;
        for timing in &finding.timings {
            seconds += timing.seconds;
            if ["global", "windows"].contains(&timing.stage.as_str()) {
                network_seconds += timing.seconds;
            }
        }
        for warning in finding.warnings {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        classes.push((planes.clone(), finding.probabilities));
        lesions.push((planes.clone(), said.maps.lesions));
        heatmaps.extend(said.maps.heatmap.map(|map| (planes.clone(), map)));
        maps.push((planes, said.maps.probability));
    }
    let whole = |planes: &Range<usize>| *planes == (0..grid.shape()[0]);
    Ok(CasePrediction {
        lesions: join_labels(grid, lesions),
        probability: join_maps(grid, maps),
        heatmap: heatmaps.pop().filter(|(p, _)| whole(p)).map(|(_, map)| map),
        probabilities: weighted(&classes),
        windows,
        voxels,
        seconds,
        network_seconds,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_anatomy::PrepareConfig;

    #[test]
    fn parts_come_back_to_their_slices() {
        let grid = Geometry::axial([5, 1, 2], [1.0; 3]).unwrap();
        let scan = Volume::from_fn(grid, |[z, _, x]| (10 * z + x) as f32);
        // Slices 0 and 1, then 3 and 4 after a gap that the file does not show; 2 has no lung.
        let lungs = Volume::from_fn(grid, |[z, _, _]| u8::from(z != 2));
        let case = CaseScan {
            scan,
            lungs,
            lesions: None,
            runs: vec![0..2, 2..3, 3..5],
            prepare: PrepareConfig::default(),
        };
        let parts = parts(&case).unwrap();
        let planes: Vec<_> = parts.iter().map(|p| p.planes.clone()).collect();
        assert_eq!(planes, [0..2, 3..5]);
        assert_eq!(parts[1].scan.data(), [30.0, 31.0, 40.0, 41.0]);
        let at = |index| case.scan.geometry().index_to_world(index);
        assert_eq!(
            parts[1].scan.geometry().index_to_world([0.0; 3]),
            at([3.0, 0.0, 0.0])
        );
        let volumes: Vec<_> = parts
            .iter()
            .map(|p| (p.planes.clone(), p.scan.clone().into_owned()))
            .collect();
        let whole = join(&grid, &volumes);
        assert_eq!(
            whole.data(),
            [0.0, 1.0, 10.0, 11.0, 0.0, 0.0, 30.0, 31.0, 40.0, 41.0]
        );
        let nothing = CaseScan {
            lungs: Volume::filled(0, grid),
            ..case
        };
        assert!(
            super::parts(&nothing)
                .unwrap_err()
                .to_string()
                .contains("no lung")
        );
    }

    #[test]
    fn probabilities_are_weighted_by_planes() {
        let p = Probabilities::from_array;
        let mean = weighted(&[(0..3, p([1.0, 0.0, 0.0])), (5..6, p([0.0, 0.4, 0.6]))]);
        assert!((mean.normal - 0.75).abs() < 1e-12 && (mean.covid19 - 0.15).abs() < 1e-12);
    }
}
