//! Checks and preparations before a training starts.

use super::options::Options;
use crate::checkpoint::{self, State};
use crate::config::TrainConfig;
use crate::observer::{Event, Observer};
use crate::sampler::sources_of_one_class;
use crate::{Error, ErrorKind, Result};
use burn::optim::{AdamConfig, ModuleOptimizer};
use burn::tensor::Device;
use multirnet_base::random::Random;
use multirnet_cohort::{
    Cohort,
    cache::{Cache, Entry, file_digest},
    split::{Side, Split},
};
use multirnet_nn::{System, weights};
use multirnet_volume::Diagnosis;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Key of the weights' random numbers.
const WEIGHTS: u64 = 10;

/// Maximum number of unusable scans that one error names with their reasons.
const SHOWN: usize = 10;

/// The state from which a run continues; `None` for a new run.
pub(super) fn open(
    config: &TrainConfig,
    checkpoints: &Path,
    resume: bool,
) -> Result<Option<State>> {
    let path = checkpoints.join("last.state");
    if !resume {
        if path.exists() {
            return Err(
                Error::new(ErrorKind::Resume, "the folder holds a run already")
                    .at(&path)
                    .hint("resume it, or choose another folder"),
            );
        }
        return Ok(None);
    }
    let state = checkpoint::load(&path)?;
    let changes = state.config.differences(config);
    if !changes.is_empty() {
        return Err(Error::new(
            ErrorKind::Resume,
            format!("the configuration changed: {}", changes.join("; ")),
        )
        .at(&path)
        .hint("undo the change, or start a new run"));
    }
    if state.position.stage > config.stage.len() {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("the checkpoint is in stage {}", state.position.stage + 1),
        )
        .at(&path)
        .hint("start a new run"));
    }
    Ok(Some(state))
}

/// The net that a new run starts from.
pub(super) fn net(config: &TrainConfig, device: &Device) -> Result<System> {
    device.seed(Random::keyed(&[config.run.seed, WEIGHTS]).bits());
    match &config.run.init {
        None => Ok(config.model.init(device)),
        Some(path) => weights::load_as(path, &config.model, device)
            .map_err(|e| Error::new(ErrorKind::Config, format!("run.init: {e}"))),
    }
}

/// Adam without moments yet.
pub(crate) fn optimiser(config: &TrainConfig) -> ModuleOptimizer {
    AdamConfig::new()
        .with_beta_1(config.optimiser.betas[0])
        .with_beta_2(config.optimiser.betas[1])
        .with_epsilon(config.optimiser.epsilon)
        .init()
}

/// Prepares the scans of all sides but test, which training does not touch, for one stage.
pub(super) fn prepare(
    stage: &TrainConfig,
    cohort: &Cohort,
    split: &Split,
    options: &Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Vec<Option<Entry>>> {
    // Nothing is held in memory here: the stage that trains has a cache of its own.
    let cache = Cache::new(options.cache, &stage.prepare, 0, options.read);
    let used: Vec<usize> = (0..cohort.cases.len())
        .filter(|&i| split.sides[i] != Side::Test)
        .collect();
    let part = Cohort {
        cases: used.iter().map(|&i| cohort.cases[i].clone()).collect(),
    };
    let mut done = 0;
    let total = part.cases.len();
    let mut progress = |i: usize, result: &multirnet_cohort::Result<Entry>| {
        done += 1;
        observer.event(&Event::Prepared {
            done,
            total,
            name: part.cases[i].name(),
            error: result.as_ref().err().map(ToString::to_string),
            warnings: result
                .as_ref()
                .map_or_else(|_| vec![], |e| e.warnings.clone()),
        });
    };
    let results = cache.ensure_all(&part, options.prepare_jobs, &mut progress, stop)?;
    let mut entries = vec![None; cohort.cases.len()];
    let mut failures = Vec::new();
    for (&i, result) in used.iter().zip(results) {
        match result {
            Ok(entry) => entries[i] = Some(entry),
            Err(e) => failures.push(e),
        }
    }
    if failures.is_empty() {
        return Ok(entries);
    }
    let n = failures.len();
    let shown = failures.iter().take(SHOWN).map(ToString::to_string);
    let shown: Vec<String> = shown.collect();
    let more = match n - shown.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(Error::new(
        ErrorKind::Scan,
        format!(
            "{n} of {total} scans cannot be prepared: {}{more}",
            shown.join("; ")
        ),
    )
    .hint("repair them, or remove their lines from the manifest"))
}

/// Warnings that the training scans `scans` may teach the source instead of the class.
pub(super) fn warnings(config: &TrainConfig, cohort: &Cohort, scans: &[usize]) -> Vec<String> {
    if !config.model.classifies() {
        return vec![];
    }
    let warning = |(source, class): (String, Diagnosis)| {
        let source = match source.as_str() {
            "" => "without a name".to_owned(),
            name => format!("{name:?}"),
        };
        format!(
            "the source {source} holds only {class}: the network may learn to tell the source \
             instead of the class. Give its scans the class unknown in the manifest, or add other \
             classes of that source"
        )
    };
    let found = sources_of_one_class(cohort, scans);
    found.into_iter().map(warning).collect()
}

/// Digests of the scans' contents, training side first, each side sorted.
pub(super) fn content_digests(split: &Split, entries: &[Option<Entry>]) -> Vec<String> {
    let of = |side: Side| {
        let found = split
            .on(side)
            .into_iter()
            .filter_map(|i| entries[i].as_ref());
        let mut list: Vec<String> = found.map(|e| e.content.clone()).collect();
        list.sort();
        list
    };
    [
        of(Side::Train),
        vec!["validation".to_owned()],
        of(Side::Validation),
    ]
    .concat()
}

pub(super) fn check_scans(
    config: &TrainConfig,
    cohort: &Cohort,
    split: &Split,
    entries: &[Option<Entry>],
    before: Option<&[String]>,
    stop: &AtomicBool,
) -> Result<()> {
    let files = entries
        .iter()
        .zip(&cohort.cases)
        .map(|(e, case)| match e {
            Some(entry) => Ok(entry.scan_sha256.clone()),
            None => Ok(file_digest(&case.scan, stop)?),
        })
        .collect::<Result<Vec<_>>>()?;
    // Test scans were not prepared, so only their files are compared.
    let contents: Vec<String> = entries
        .iter()
        .zip(&files)
        .map(|(e, file)| match e {
            Some(entry) => entry.content.clone(),
            None => format!("file {file}"),
        })
        .collect();
    split.check(cohort, Some(&contents))?;
    split.check(cohort, Some(&files))?;
    let channels = config.model.lesion_channels();
    if channels > 1 {
        for (entry, case) in entries.iter().zip(&cohort.cases) {
            let highest = entry.as_ref().map_or(0, |e| e.highest_label);
            if usize::from(highest) > channels {
                return Err(Error::new(
                    ErrorKind::Scan,
                    format!(
                        "the mask has label {highest}, but the net has {channels} lesion channels"
                    ),
                )
                .at(case.mask.as_deref().unwrap_or(&case.scan))
                .hint("name the values in the column mask_values, e.g. 1;2"));
            }
        }
    }
    let now = content_digests(split, entries);
    if before.is_some_and(|scans| scans != now) {
        return Err(Error::new(
            ErrorKind::Resume,
            "the training or validation scans changed since the checkpoint",
        )
        .hint("use the manifest, split and fold of the run, or start a new run"));
    }
    Ok(())
}
