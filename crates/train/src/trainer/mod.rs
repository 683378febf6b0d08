//! The training loop.

mod run;
mod setup;

use crate::cache::Cache;
use crate::checkpoint::Position;
use crate::config::TrainConfig;
use crate::load::Reader;
use crate::log::Log;
use crate::observer::{Event, Observer, Summary};
use crate::random::keyed;
use crate::sampler::{Sampler, fixed_windows};
use crate::split::{Side, Split};
use crate::{Cohort, Error, Result, files};
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use rand::Rng;
use run::Run;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Key of the weights' random numbers.
const WEIGHTS: u64 = 10;

/// Where and how a training runs.
pub struct Options<'a> {
    /// The run's folder; see the crate's documentation.
    pub out: &'a Path,
    /// Folder of prepared scans, which runs may share.
    pub cache: &'a Path,
    /// Reads a scan.
    pub read: &'a Reader<'a>,
    /// The device, without autodiff (see `multirnet_nn::DeviceChoice`).
    pub device: Device,
    /// Go on with the run in `out` instead of starting one.
    pub resume: bool,
    /// Scans prepared at once.
    pub prepare_jobs: usize,
}

/// Trains a network.
///
/// Raising `stop` ends the training after the current step; a checkpoint is saved. A run resumed
/// with [`Options::resume`] gives the same weights, bit for bit, as one that was not interrupted
/// (same machine and thread count; not with the schedule `cosine-time`).
///
/// # Errors
/// `Config`; `Scan` if scans cannot be prepared (all are tried and named); `Leakage`; `Resume` if
/// `out` holds a run and it is not to be resumed, or the configuration or the scans changed since;
/// `Malformed` for a corrupt checkpoint; `Diverged` if the loss is not finite (the last checkpoint
/// stays); `Io`.
pub fn train(
    config: &TrainConfig,
    cohort: &Cohort,
    split: &Split,
    options: &Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Summary> {
    config.validate()?;
    split.check(cohort, None)?;
    let scans = split.on(Side::Train);
    let (sampling, augment) = (&config.sampling, &config.augment);
    let sampler = Sampler::new(cohort, &scans, sampling, augment, config.run.seed)?;
    for warning in setup::warnings(config, cohort, &scans) {
        observer.event(&Event::Warning(warning));
    }
    let checkpoints = options.out.join("checkpoints");
    let state = setup::open(config, &checkpoints, options.resume)?;
    let cache = Cache::new(
        options.cache,
        &config.prepare,
        config.run.cache_mib,
        options.read,
    );
    let entries = setup::prepare(cohort, split, &cache, options, observer, stop)?;
    setup::check_scans(config, cohort, split, &entries, state.as_ref())?;
    std::fs::create_dir_all(&checkpoints)
        .map_err(|e| Error::io(&checkpoints, "create the folder", &e))?;
    let config_path = options.out.join("config.toml");
    files::write_atomic(&config_path, config.to_toml()?.as_bytes())?;
    files::write_atomic(
        &options.out.join("split.csv"),
        split.to_csv(cohort).as_bytes(),
    )?;

    let fixed = fixed_windows(
        &split.on(Side::Validation),
        config.validation.local_windows,
        config.validation.max_windows,
    );
    let device = options.device.clone().autodiff();
    device.seed(keyed(&[config.run.seed, WEIGHTS]).next_u64());
    let net = config.model.init(&device);
    let optimiser = AdamConfig::new()
        .with_beta_1(config.optimiser.betas[0])
        .with_beta_2(config.optimiser.betas[1])
        .with_epsilon(config.optimiser.epsilon)
        .init();
    let (position, net, optimiser) = match state {
        None => (Position::default(), net, optimiser),
        Some(state) => {
            let position = state.position.clone();
            let (net, optimiser) = state.restore(net, optimiser)?;
            (position, net, optimiser)
        }
    };
    let log = Log::open(options.out, position.epoch, position.step)?;
    let digests = setup::content_digests(split, &entries);
    let mut run = Run {
        config,
        cohort,
        cache: &cache,
        entries: &entries,
        sampler: &sampler,
        fixed: &fixed,
        device,
        checkpoints,
        digests,
        steps_per_epoch: sampler.steps_per_epoch() as u64,
        earlier_seconds: position.seconds,
        started: Instant::now(),
        saved: Instant::now(),
        position,
        net: Some(net),
        optimiser,
        log,
        wait_seconds: 0.0,
        compute_seconds: 0.0,
        validation_seconds: 0.0,
        steps_here: 0,
    };
    observer.event(&Event::Started {
        parameters: run.net()?.num_params(),
        train: scans.len(),
        validation: split.on(Side::Validation).len(),
        steps_per_epoch: run.steps_per_epoch,
        steps: run.total_steps(),
        done: run.position.step,
    });
    let summary = run.go(observer, stop)?;
    observer.event(&Event::Finished(summary.clone()));
    Ok(summary)
}
