//! Scores every system on every test scan.

use crate::config::{StudyConfig, SystemEntry};
use crate::division::Division;
use crate::folder::{Folder, read_json, write_json};
use crate::options::{Event, Options};
use crate::training::Trained;
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::parts::{join, parts, weighted};
use multirnet::evaluation::{CaseScore, Said};
use multirnet_anatomy::{PrepareConfig, Prepared, prepare};
use multirnet_base::StopToken;
use multirnet_cohort::{
    Case,
    load::{self, CaseScan, Reader},
};
use multirnet_finding::NativeMap;
use multirnet_finding::Probabilities;
use multirnet_infer::{DeviceChoice, Network, PredictOptions, load_network, run_prepared};
use multirnet_metrics::SurfaceConfig;
use multirnet_volume::{Geometry, Volume, io};
use std::ops::Range;

/// A scan with its truth, ready for every system.
pub struct TestScan {
    /// The scan with its lungs and its true lesions on its own grid.
    pub case: CaseScan,
    /// Its parts: several if slices are missing between them, otherwise one.
    parts: Vec<TestPart>,
}

/// Consecutive slices of a test scan.
struct TestPart {
    planes: Range<usize>,
    grid: Geometry,
    prepared: Prepared,
}

/// The outputs of a network for a test scan, on the scan's own grid. A network that lacks a task has
/// `None` for it.
pub struct TestOutput {
    /// Lesion labels.
    pub lesions: Option<Volume<u8>>,
    /// Class probabilities: the mean over parts, weighted by planes.
    pub probabilities: Option<Probabilities>,
    /// Grad-CAM, if it was requested and can be made. It is `None` for a scan of several parts,
    /// because each part's map has a scale of its own.
    pub heatmap: Option<NativeMap>,
}

impl TestScan {
    /// Reads and prepares a case.
    ///
    /// # Errors
    /// `Scoring`, with the file.
    pub fn read(case: &Case, config: &PrepareConfig, read: &Reader) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Scoring, e.to_string());
        let scan = load::read_case(case, read, config).map_err(|e| fail(&e))?;
        let prepare = |part: multirnet::evaluation::parts::Part<'_>| {
            let prepared = prepare(&part.scan, Some(&part.lungs), &scan.prepare)
                .map_err(|e| fail(&e).at(&case.scan))?;
            Ok(TestPart {
                planes: part.planes,
                grid: *part.scan.geometry(),
                prepared,
            })
        };
        let parts = parts(&scan).map_err(|e| e.at(&case.scan))?;
        let parts = parts.into_iter().map(prepare).collect::<Result<_>>()?;
        Ok(Self { case: scan, parts })
    }

    /// Runs `network` over every part and puts its outputs together. Raising `stop` ends early.
    ///
    /// # Errors
    /// `Scoring` for errors of [`multirnet_infer::run_prepared`]; `Interrupted` if `stop` was raised.
    pub fn run(
        &self,
        network: &dyn Network,
        options: &PredictOptions,
        stop: &StopToken,
    ) -> Result<TestOutput> {
        let (mut lesions, mut classes, mut heatmaps) = (Vec::new(), Vec::new(), Vec::new());
        for part in &self.parts {
            let said =
                run_prepared(network, &part.grid, &part.prepared, options, stop).map_err(|e| {
                    match e.kind() {
                        multirnet_infer::ErrorKind::Interrupted => Error::interrupted(),
                        _ => Error::caused(ErrorKind::Scoring, e),
                    }
                })?;
            lesions.extend(said.lesions.map(|l| (part.planes.clone(), l)));
            classes.extend(said.probabilities.map(|p| (part.planes.clone(), p)));
            heatmaps.extend(said.heatmap);
        }
        let grid = self.case.scan.geometry();
        let whole = self.parts.len() == 1 && self.parts[0].planes == (0..grid.shape()[0]);
        Ok(TestOutput {
            lesions: match lesions.pop() {
                None => None,
                Some((_, labels)) if whole => Some(labels),
                last => {
                    lesions.extend(last);
                    Some(join(grid, &lesions))
                }
            },
            probabilities: (!classes.is_empty()).then(|| weighted(&classes)),
            heatmap: heatmaps.pop().filter(|_| whole),
        })
    }
}

/// Loads the weights of a trained system that are scored.
///
/// # Errors
/// `Training` if it is not trained yet or its weights are damaged.
pub fn load_system(
    folder: &Folder,
    system: &SystemEntry,
    division: &str,
    device: DeviceChoice,
) -> Result<Box<dyn Network>> {
    let trained = Trained::read(folder, &system.id, division)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Training,
            format!("system {:?} is not trained in {division}", system.id),
        )
        .hint("run the study to its end first")
    })?;
    let path = trained.weights(folder, &system.id, division);
    load_network(&path, device).map_err(|e| Error::caused(ErrorKind::Training, e))
}

/// Scores `systems` on all test scans of `division`. Existing scores are kept.
pub(crate) fn ensure(
    config: &StudyConfig,
    systems: &[&SystemEntry],
    division: &Division,
    folder: &Folder,
    options: &mut Options<'_>,
    stop: &StopToken,
) -> Result<()> {
    let predict = config.predict_options()?;
    let test = division.test();
    let mut networks: Vec<Option<Box<dyn Network>>> = systems.iter().map(|_| None).collect();
    for (done, &case) in test.iter().enumerate() {
        (options.progress)(Event::Scoring {
            division: &division.name,
            done,
            total: test.len(),
        });
        let missing: Vec<usize> = (0..systems.len())
            .filter(|&s| {
                let path = folder.score(&systems[s].id, &division.name, case);
                !path.exists()
            })
            .collect();
        if missing.is_empty() {
            continue;
        }
        let given = &division.cohort.cases[case];
        let scan = TestScan::read(given, &predict.prepare, options.read)?;
        for s in missing {
            if stop.is_raised() {
                return Err(Error::interrupted());
            }
            let system = systems[s];
            let network = match &mut networks[s] {
                Some(network) => network,
                empty => {
                    let network = load_system(folder, system, &division.name, options.device)?;
                    empty.insert(network)
                }
            };
            let place = Place {
                folder,
                system: &system.id,
                division: &division.name,
                case,
            };
            score(
                network.as_ref(),
                &scan,
                given,
                &predict,
                &config.score.surface,
                &place,
                stop,
            )?;
        }
    }
    Ok(())
}

/// The place of one score in the study's folder.
struct Place<'a> {
    folder: &'a Folder,
    system: &'a str,
    division: &'a str,
    case: usize,
}

fn score(
    network: &dyn Network,
    scan: &TestScan,
    case: &Case,
    options: &PredictOptions,
    surface: &SurfaceConfig,
    place: &Place<'_>,
    stop: &StopToken,
) -> Result<()> {
    let said = scan
        .run(network, options, stop)
        .map_err(|e| match e.kind() {
            ErrorKind::Interrupted => e,
            _ => e.at(&case.scan),
        })?;
    if let Some(lesions) = &said.lesions {
        let mask = place.folder.mask(place.system, place.division, place.case);
        multirnet_base::files::make_dir(mask.parent().unwrap_or(place.folder.root()))?;
        io::write_nifti(&mask, lesions).map_err(|e| Error::caused(ErrorKind::Write, e))?;
    }
    let score = CaseScore::from_output(
        place.case,
        case,
        scan.case.lesions.as_ref(),
        &scan.case.lungs,
        &Said {
            lesions: said.lesions.as_ref(),
            lesion_channels: network.lesion_channels(),
            probabilities: said.probabilities,
        },
        surface,
    )?;
    // The score is written last. If it exists, the scan is scored.
    write_json(
        &place.folder.score(place.system, place.division, place.case),
        &score,
    )
}

/// All scores of a system, division by division in the order of test scans.
///
/// # Errors
/// `Scoring` if one is missing, `Malformed` if one is damaged.
pub fn read_scores(
    folder: &Folder,
    system: &SystemEntry,
    divisions: &[Division],
) -> Result<Vec<CaseScore>> {
    let mut scores = Vec::new();
    for division in divisions {
        for case in division.test() {
            let path = folder.score(&system.id, &division.name, case);
            scores.push(read_json(&path)?.ok_or_else(|| {
                Error::new(ErrorKind::Scoring, "this scan is not scored yet")
                    .at(&path)
                    .hint("run the study to its end first")
            })?);
        }
    }
    Ok(scores)
}
