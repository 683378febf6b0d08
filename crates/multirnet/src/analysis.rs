//! Analysis of a scan with a model, and the folder of its results.

use crate::{Error, ErrorKind, Result};
use multirnet_base::{StagedFolder, StopToken};
use multirnet_cohort::Scan;
use multirnet_finding::{NativeMap, Prediction, ScanSource};
use multirnet_infer::{Model, PredictOptions, Progress};
use multirnet_report::{Overview, finding_page, overview_png};
use multirnet_volume::{Planes, Volume, io};
use serde::Serialize;
use std::path::Path;

/// Analyses `scan` with `model`.
///
/// `options` are usually [`Model::options`] with single fields changed. `lungs`, if given, replaces
/// the segmentation of the lungs (1 right, 2 left, on the scan's grid). The analysis checks `stop`
/// several times a second. Once `stop` is raised, the analysis ends with `Interrupted` and leaves
/// nothing behind. Several threads can use one model at once.
///
/// # Errors
/// `Scan` if the input gate refuses the scan, `Options` if an option is out of range, `Memory` if
/// the planned memory is over its limit, `Model` if the network's output holds values that are not
/// probabilities, `Interrupted` if `stop` was raised.
pub fn analyse(
    model: &Model,
    scan: &Scan,
    lungs: Option<&Volume<u8>>,
    options: &PredictOptions,
    stop: &StopToken,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prediction> {
    let source = ScanSource {
        path: scan.path.clone(),
        format: scan.format.to_owned(),
        series_uid: scan.series.as_ref().map(|s| s.series_uid.clone()),
        warnings: scan.warnings.clone(),
        ..ScanSource::default()
    };
    let found = model.analyse(&scan.volume, lungs, source, options, stop, progress);
    found.map_err(|e| Error::from(e).at(Path::new(&scan.path)))
}

/// The grid of `heatmap.nii.gz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeatmapGrid {
    /// The grid on which the network computed it, which is much coarser than the scan. The file says
    /// where it lies.
    #[default]
    Own,
    /// The scan's grid, by linear interpolation. This takes longer and a larger file, and tells no more.
    Scan,
}

impl std::str::FromStr for HeatmapGrid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "own" => Ok(Self::Own),
            "scan" => Ok(Self::Scan),
            _ => Err(Error::new(
                ErrorKind::Options,
                format!("{text:?} is not a grid of the heat map"),
            )
            .hint("write own or scan")),
        }
    }
}

/// Writes the results of `scan` into the folder `out`, all or none: `finding.json`, `lungs.nii.gz`,
/// `lesions.nii.gz`, `probability.nii.gz`, `heatmap.nii.gz` (where there is a heat map),
/// `overview.png` and `report.html`. `name` is the scan's name on the page. The other maps are on the
/// scan's grid, and `heatmap` says which grid the heat map is on.
///
/// # Errors
/// `Write` if a file cannot be written, `Draw` if the picture cannot be drawn.
pub fn write_results(
    scan: &Volume<f32>,
    prediction: &Prediction,
    name: &str,
    heatmap: HeatmapGrid,
    out: &Path,
) -> Result<()> {
    let staged = StagedFolder::new(out)?;
    let maps = &prediction.maps;
    let shares = |name: &str, map: &NativeMap, threshold: Option<f32>| -> Result<()> {
        Ok(io::write_shares(&staged.path(name), map, threshold)?)
    };
    let heatmap = || -> Result<()> {
        let Some(map) = &maps.heatmap else {
            return Ok(());
        };
        let name = "heatmap.nii.gz";
        match map.working().filter(|_| heatmap == HeatmapGrid::Own) {
            Some(own) => Ok(io::write_shares(&staged.path(name), &own, None)?),
            None => shares(name, map, None),
        }
    };
    let pages = || -> Result<()> {
        let overview = overview_png(&Overview {
            scan,
            finding: &prediction.finding,
            maps,
        })?;
        staged.write("finding.json", to_json(&prediction.finding)?.as_bytes())?;
        staged.write("overview.png", &overview)?;
        let page = finding_page(name, &prediction.finding, &overview);
        Ok(staged.write("report.html", page.as_bytes())?)
    };
    let masks = || -> Result<()> {
        write_map(&staged, "lungs.nii.gz", &maps.lungs)?;
        write_map(&staged, "lesions.nii.gz", &maps.lesions)
    };
    // Whoever applies the threshold to the file gets the lesions.
    let threshold = prediction.finding.provenance.threshold();
    let probability = || shares("probability.nii.gz", &maps.probability, threshold);
    // Drawing the pages uses one thread. The other threads write the volumes meanwhile.
    let (drawn, (heat, rest)) = rayon::join(pages, || {
        rayon::join(heatmap, || rayon::join(probability, masks))
    });
    drawn.and(heat).and(rest.0).and(rest.1)?;
    Ok(staged.publish()?)
}

fn write_map(staged: &StagedFolder, name: &str, map: &impl Planes) -> Result<()> {
    Ok(io::write_nifti(&staged.path(name), map)?)
}

/// A value as indented JSON with a final newline.
///
/// # Errors
/// `Write` if the value cannot be expressed as JSON.
pub fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|e| Error::new(ErrorKind::Write, format!("cannot write JSON: {e}")))
}
