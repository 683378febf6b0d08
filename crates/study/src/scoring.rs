//! Scores every system on every test scan.

use crate::config::{StudyConfig, SystemEntry};
use crate::folder::{Division, Folder, read_json, write_json};
use crate::training::Trained;
use crate::{Error, ErrorKind, Event, Options, Result};
use multirnet_anatomy::{PrepareConfig, Prepared, prepare};
use multirnet_infer::{Network, PredictOptions, answer, network_of};
use multirnet_metrics::{CaseMetrics, SurfaceConfig};
use multirnet_nn::{System, weights};
use multirnet_train::{Case, Cohort, load};
use multirnet_volume::{Diagnosis, Volume, io};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// One system's scores on one test scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseScore {
    /// Position of the scan in the cohort.
    pub case: usize,
    /// Its file name.
    pub scan: String,
    /// Its patient.
    pub patient: String,
    /// Its true class.
    pub class: Diagnosis,
    /// Scores of the lesion mask on the scan's own grid; `None` from a system that only classifies.
    pub segmentation: Option<CaseMetrics>,
    /// Class probabilities in logit order; `None` from a system that only segments.
    pub probabilities: Option<[f64; 3]>,
}

impl CaseScore {
    /// The most probable class; of equals the first.
    pub fn predicted(&self) -> Option<Diagnosis> {
        let p = self.probabilities?;
        Some(multirnet_infer::Probabilities::from_array(p).top())
    }
}

/// A scan with its truth, ready for every system.
pub struct TestScan {
    /// CT values on the scan's own grid.
    pub scan: Volume<f32>,
    /// The views that networks see.
    pub prepared: Prepared,
    /// True lesions on the scan's own grid; empty for normal scans without a mask.
    pub lesions: Volume<u8>,
}

impl TestScan {
    /// Reads and prepares a case.
    ///
    /// # Errors
    /// `Scoring`, naming the file.
    pub fn read(
        case: &Case,
        config: &PrepareConfig,
        read: &multirnet_train::load::Reader,
    ) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| Error::caused(ErrorKind::Scoring, e);
        let scan = read(&case.scan).map_err(|e| fail(&e).at(&case.scan))?;
        let lungs = load::read_lungs(case).map_err(|e| fail(&e))?;
        let lesions = load::read_lesions(case)
            .map_err(|e| fail(&e))?
            .unwrap_or_else(|| Volume::filled(0, *scan.geometry()));
        scan.check_same_grid(&lesions)
            .map_err(|e| fail(&e).at(case.mask.as_deref().unwrap_or(&case.scan)))?;
        let config = PrepareConfig {
            intensity: case.intensity,
            ..config.clone()
        };
        let prepared =
            prepare(&scan, lungs.as_ref(), &config).map_err(|e| fail(&e).at(&case.scan))?;
        Ok(Self {
            scan,
            prepared,
            lesions,
        })
    }
}

/// Loads the weights that are scored of a trained system.
///
/// # Errors
/// `Training` if it is not trained yet or its weights are damaged.
pub fn load_system(
    folder: &Folder,
    system: &SystemEntry,
    division: &str,
    device: &multirnet_nn::device::Device,
) -> Result<System> {
    let trained = Trained::read(folder, &system.id, division)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Training,
            format!("system {:?} is not trained in {division}", system.id),
        )
        .hint("run the study to its end first")
    })?;
    let path = trained.weights(folder, &system.id, division);
    weights::load(&path, device).map_err(|e| Error::caused(ErrorKind::Training, e))
}

/// Makes sure that all test scans of `division` are scored by all systems.
pub(crate) fn ensure(
    config: &StudyConfig,
    cohort: &Cohort,
    division: &Division,
    folder: &Folder,
    options: &mut Options<'_>,
    stop: &AtomicBool,
) -> Result<()> {
    let predict = config.predict_options()?;
    let test = division.test();
    let mut networks: Vec<Option<Box<dyn Network>>> = config.systems.iter().map(|_| None).collect();
    for (done, &case) in test.iter().enumerate() {
        (options.progress)(Event::Scoring {
            division: &division.name,
            done,
            total: test.len(),
        });
        let missing: Vec<usize> = (0..config.systems.len())
            .filter(|&s| {
                let path = folder.score(&config.systems[s].id, &division.name, case);
                !path.exists()
            })
            .collect();
        if missing.is_empty() {
            continue;
        }
        let given = &cohort.cases[case];
        let scan = TestScan::read(given, &predict.prepare, options.read)?;
        for s in missing {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            let system = &config.systems[s];
            let network = match &mut networks[s] {
                Some(network) => network,
                empty => {
                    let net = load_system(folder, system, &division.name, &options.device)?;
                    let network = network_of(net, options.device.clone(), options.on_cpu)
                        .map_err(|e| Error::caused(ErrorKind::Scoring, e))?;
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
            )?;
        }
    }
    Ok(())
}

/// Where one score is kept.
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
) -> Result<()> {
    let fail = |e: &dyn std::fmt::Display| Error::caused(ErrorKind::Scoring, e).at(&case.scan);
    let said =
        answer(network, scan.scan.geometry(), &scan.prepared, options).map_err(|e| fail(&e))?;
    let segmentation = match &said.lesions {
        None => None,
        Some(lesions) => {
            let mask = place.folder.mask(place.system, place.division, place.case);
            crate::folder::make_dir(mask.parent().unwrap_or(place.folder.root()))?;
            io::write_nifti(&mask, lesions).map_err(|e| fail(&e))?;
            Some(CaseMetrics::of(&scan.lesions, lesions, surface).map_err(|e| fail(&e))?)
        }
    };
    let class = case
        .class
        .ok_or_else(|| fail(&"the class of the scan is unknown"))?;
    let score = CaseScore {
        case: place.case,
        scan: case.name(),
        patient: case.patient.clone(),
        class,
        segmentation,
        probabilities: said.probabilities,
    };
    // Last: its presence says that the scan is scored.
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
