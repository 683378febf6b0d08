//! One stage of a run: its configuration and its data.

use crate::sampler::{FixedWindow, Sampler, fixed_windows};
use crate::window::Window;
use crate::{Result, TrainConfig};
use multirnet_base::random::Random;
use multirnet_cohort::{
    Cohort, PreparedCase,
    cache::{Cache, Entry},
    load::Reader,
    split::{Side, Split},
};
use std::path::Path;
use std::sync::Arc;

/// Key of the random numbers of the stages after the first.
const STAGE: u64 = 12;

/// The length of a stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    pub steps_per_epoch: u64,
    pub steps: u64,
    /// Number of voxels of a step.
    pub voxels: u64,
}

pub(super) struct Stage<'a> {
    /// The stage's complete configuration.
    pub config: &'a TrainConfig,
    pub length: Length,
    /// Whether no other stage follows.
    pub last: bool,
    pub fixed: Vec<FixedWindow>,
    cohort: &'a Cohort,
    entries: &'a [Option<Entry>],
    cache: Cache<'a>,
    sampler: Sampler,
}

impl<'a> Stage<'a> {
    /// Stage `number` (from 0) of `configs`. `entries` are its prepared scans.
    pub fn new(
        configs: &'a [TrainConfig],
        number: usize,
        cohort: &'a Cohort,
        split: &Split,
        entries: &'a [Option<Entry>],
        folder: &Path,
        read: &'a Reader<'a>,
    ) -> Result<Self> {
        let config = &configs[number];
        let sampler = sampler(config, number, cohort, split)?;
        let validation = &config.validation;
        Ok(Self {
            config,
            length: length(config, &sampler),
            last: number + 1 == configs.len(),
            fixed: fixed_windows(
                &split.on(Side::Validation),
                validation.local_windows,
                validation.max_windows,
            ),
            cohort,
            entries,
            cache: Cache::new(folder, &config.prepare, config.run.cache_mib, read),
            sampler,
        })
    }

    /// Training window `item`, counted from the stage's start.
    pub fn window(&self, item: u64) -> Result<Window> {
        let case = self.sampler.scan_of(item);
        let prepared = self.get(case)?;
        Ok(self
            .sampler
            .window(item, case, &self.cohort.cases[case], &prepared))
    }

    /// Validation window `item`.
    pub fn fixed_window(&self, item: u64) -> Result<Window> {
        let fixed = &self.fixed[item as usize];
        let prepared = self.get(fixed.case)?;
        Ok(fixed.window(
            &self.cohort.cases[fixed.case],
            &prepared,
            &self.config.sampling,
            self.config.run.seed,
        ))
    }

    fn get(&self, case: usize) -> Result<Arc<PreparedCase>> {
        let key = self.entries[case].as_ref().map_or("", |e| e.key.as_str());
        Ok(self.cache.get(&self.cohort.cases[case], key)?)
    }
}

/// The lengths of all stages.
///
/// # Errors
/// As [`Sampler::new`].
pub(super) fn lengths(
    configs: &[TrainConfig],
    cohort: &Cohort,
    split: &Split,
) -> Result<Vec<Length>> {
    let of = |(number, config)| Ok(length(config, &sampler(config, number, cohort, split)?));
    configs.iter().enumerate().map(of).collect()
}

fn length(config: &TrainConfig, sampler: &Sampler) -> Length {
    let steps_per_epoch = sampler.steps_per_epoch() as u64;
    let voxels = config.sampling.patch_size.iter().product::<usize>() * config.sampling.batch;
    Length {
        steps_per_epoch,
        steps: steps_per_epoch * config.run.epochs as u64,
        voxels: voxels as u64,
    }
}

fn sampler(config: &TrainConfig, number: usize, cohort: &Cohort, split: &Split) -> Result<Sampler> {
    let scans = split.on(Side::Train);
    // Each stage draws its own windows. The first draws those of a run without stages.
    let seed = match number {
        0 => config.run.seed,
        n => Random::keyed(&[config.run.seed, STAGE, n as u64]).bits(),
    };
    Sampler::new(cohort, &scans, &config.sampling, &config.augment, seed)
}
