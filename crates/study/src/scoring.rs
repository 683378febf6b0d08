//! Scores every system on every test scan.

use crate::config::{StudyConfig, SystemEntry};
use crate::division::Division;
use crate::folder::{Folder, read_json, write_json};
use crate::options::{Event, Options};
use crate::training::Trained;
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::parts::{join_labels, join_maps, parts, weighted};
use multirnet::evaluation::{CaseScore, HeatScore, RANDOM_SEED, Said};
use multirnet_anatomy::{PrepareConfig, Prepared, prepare};
use multirnet_base::StopToken;
use multirnet_cohort::{
    Case,
    load::{self, CaseScan, Reader},
};
use multirnet_finding::NativeMap;
use multirnet_finding::Probabilities;
use multirnet_infer::{
    DeviceChoice, Network, Pipeline, PredictOptions, load_network, run_prepared, untrained_network,
};
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
    /// Lesion probability.
    pub probability: Option<NativeMap>,
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
        let (mut lesions, mut classes) = (Vec::new(), Vec::new());
        let (mut maps, mut heatmaps) = (Vec::new(), Vec::new());
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
            maps.extend(said.probability.map(|p| (part.planes.clone(), p)));
            heatmaps.extend(said.heatmap);
        }
        let grid = self.case.scan.geometry();
        let whole = self.parts.len() == 1 && self.parts[0].planes == (0..grid.shape()[0]);
        Ok(TestOutput {
            lesions: (!lesions.is_empty()).then(|| join_labels(grid, lesions)),
            probability: (!maps.is_empty()).then(|| join_maps(grid, maps)),
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

/// The net of a system before any training, with random weights.
///
/// # Errors
/// `Config` if the system's configuration is wrong, `Training` if no network can run it.
pub(crate) fn random_network(
    config: &StudyConfig,
    system: &SystemEntry,
    device: DeviceChoice,
) -> Result<Box<dyn Network>> {
    let model = config.train_config(system)?.model;
    untrained_network(&model, RANDOM_SEED, device)
        .map_err(|e| Error::caused(ErrorKind::Training, e))
}

/// The heat map that `options` ask for by an untrained net, from the view of the whole chest alone. The net's lesion
/// map is random and would send the cascade to windows everywhere.
///
/// # Errors
/// As [`TestScan::run`].
pub(crate) fn random_heat(
    network: &dyn Network,
    scan: &TestScan,
    options: &PredictOptions,
    stop: &StopToken,
) -> Result<Option<NativeMap>> {
    let options = PredictOptions {
        pipeline: Pipeline::Global,
        ..options.clone()
    };
    Ok(scan.run(network, &options, stop)?.heatmap)
}

/// A trained network, and the same before any training, if it makes heat maps.
struct Loaded {
    trained: Box<dyn Network>,
    random: Option<Box<dyn Network>>,
}

impl Loaded {
    fn new(
        config: &StudyConfig,
        system: &SystemEntry,
        division: &str,
        folder: &Folder,
        device: DeviceChoice,
    ) -> Result<Self> {
        let trained = load_system(folder, system, division, device)?;
        let random = trained.classifies();
        let random = random.then(|| random_network(config, system, device));
        Ok(Self {
            trained,
            random: random.transpose()?,
        })
    }

    /// The heat of the most probable class; `None` if the network does not make heat maps.
    fn heat(
        &self,
        scan: &TestScan,
        said: &TestOutput,
        options: &PredictOptions,
        stop: &StopToken,
    ) -> Result<Option<HeatScore>> {
        let (Some(heat), Some(p), Some(truth), Some(random)) = (
            &said.heatmap,
            said.probabilities,
            &scan.case.lesions,
            &self.random,
        ) else {
            return Ok(None);
        };
        let options = PredictOptions {
            explain_class: Some(p.top()),
            ..options.clone()
        };
        let random = random_heat(random.as_ref(), scan, &options, stop)?;
        let lungs = &scan.case.lungs;
        let score = HeatScore::from_maps(p.top(), heat, lungs, truth, random.as_ref());
        Ok(Some(score))
    }
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
    let mut predict = config.predict_options()?;
    // The pipeline `windows` would make its heat map from other windows than its lesions.
    predict.explain = predict.pipeline != Pipeline::Windows;
    let test = division.test();
    let mut networks: Vec<Option<Loaded>> = systems.iter().map(|_| None).collect();
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
                    let name = &division.name;
                    empty.insert(Loaded::new(config, system, name, folder, options.device)?)
                }
            };
            let place = Place {
                folder,
                system: &system.id,
                division: &division.name,
                case,
            };
            score(
                network,
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
    network: &Loaded,
    scan: &TestScan,
    case: &Case,
    options: &PredictOptions,
    surface: &SurfaceConfig,
    place: &Place<'_>,
    stop: &StopToken,
) -> Result<()> {
    let said = scan
        .run(network.trained.as_ref(), options, stop)
        .map_err(|e| match e.kind() {
            ErrorKind::Interrupted => e,
            _ => e.at(&case.scan),
        })?;
    if let Some(lesions) = &said.lesions {
        let mask = place.folder.mask(place.system, place.division, place.case);
        multirnet_base::files::make_dir(mask.parent().unwrap_or(place.folder.root()))?;
        io::write_nifti(&mask, lesions).map_err(|e| Error::caused(ErrorKind::Write, e))?;
    }
    let mut score = CaseScore::from_output(
        place.case,
        case,
        scan.case.lesions.as_ref(),
        &scan.case.lungs,
        &Said {
            lesions: said.lesions.as_ref(),
            lesion_channels: network.trained.lesion_channels(),
            probability: said.probability.as_ref(),
            probabilities: said.probabilities,
        },
        surface,
    )?;
    score.heat = network.heat(scan, &said, options, stop)?;
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
