//! The training loop.

mod epoch;
mod options;
mod run;
mod setup;
mod stage;
mod threshold;

use crate::checkpoint::{Position, Trained};
use crate::config::TrainConfig;
use crate::log::Log;
use crate::observer::{Event, Observer, Summary};
use crate::{Error, Result};
use burn::module::Module;
use multirnet_base::files;
use multirnet_cohort::{
    Cohort,
    split::{Side, Split},
};
pub use options::Options;
use run::Run;
pub(crate) use setup::optimiser as new_optimiser;
use stage::Stage;
use std::sync::atomic::AtomicBool;

/// Trains a network, stage by stage.
///
/// A stage ends with its epochs, its patience or its minutes. The next one starts from its best
/// weights (the last ones, if no validation took place) with a fresh optimiser, a fresh average and
/// a learning rate that begins anew, because moments and average come from another resolution's
/// gradients. The best weights of the run are those of its last stage.
///
/// Raising `stop` ends the training after the current step and saves a checkpoint. A run that is
/// resumed with [`Options::resume`] gives the same weights, bit for bit, as one that was not
/// interrupted. This holds on the same machine with the same thread count, and without the schedule
/// `cosine-time` or a stage's `minutes`.
///
/// # Errors
/// `Config`, also for weights in `run.init` that do not fit; `Scan` if scans cannot be prepared
/// (all are tried and named); `Leakage`; `Resume` if `out` already has a run and `resume` is not set,
/// or if the configuration or the scans changed since; `Malformed` for a corrupt checkpoint;
/// `Diverged` if the loss is not finite (the last checkpoint stays); `Interrupted` if `stop` is raised
/// while scans are prepared; `Io` and `Write`.
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
    let configs = config.stages();
    let lengths = stage::lengths(&configs, cohort, split)?;
    for warning in setup::warnings(config, cohort, &scans) {
        observer.event(&Event::Warning(warning));
    }
    let checkpoints = options.out.join("checkpoints");
    let state = setup::open(config, &checkpoints, options.resume)?;
    let device = options.device.clone().autodiff();
    let seen = state.as_ref().map(|s| s.scans.clone());
    let optimiser = setup::optimiser(config);
    // The net is made before the scans are prepared, which takes long. Weights that do not fit are
    // therefore refused at once.
    let (position, trained) = match state {
        None => {
            let trained = Trained {
                net: setup::net(config, &device)?,
                optimiser,
                average: None,
            };
            (Position::default(), trained)
        }
        Some(state) => {
            let position = state.position.clone();
            let net = config.model.init(&device);
            (position, state.restore(net, optimiser)?)
        }
    };
    // The scans of all coming stages are prepared before the first step. A scan that cannot be
    // prepared therefore does not stop the training halfway.
    let first = position.stage;
    let mut entries = vec![Vec::new(); first];
    for stage in &configs[first..] {
        let prepared = setup::prepare(stage, cohort, split, options, observer, stop)?;
        entries.push(prepared);
    }
    setup::check_scans(
        config,
        cohort,
        split,
        &entries[first],
        seen.as_deref(),
        stop,
    )?;
    std::fs::create_dir_all(&checkpoints)
        .map_err(|e| Error::write(&checkpoints, "create the folder", e))?;
    let config_path = options.out.join("config.toml");
    files::write_synced(&config_path, config.to_toml()?.as_bytes())?;
    files::write_synced(
        &options.out.join("split.csv"),
        split.to_csv(cohort).as_bytes(),
    )?;

    let mut run = Run::new(
        config,
        options.out,
        device,
        setup::content_digests(split, &entries[first]),
        lengths,
        Log::open(options.out, position.epoch, position.step)?,
        position,
        trained,
    );
    observer.event(&Event::Started {
        parameters: run.trained()?.net.num_params(),
        train: split.on(Side::Train).len(),
        validation: split.on(Side::Validation).len(),
        steps_per_epoch: run.length().steps_per_epoch,
        steps: run.total_steps(),
        done: run.position.step,
    });
    loop {
        let number = run.position.stage;
        let entries = &entries[number];
        let (cache, read) = (options.cache, options.read);
        let stage = Stage::new(&configs, number, cohort, split, entries, cache, read)?;
        observer.event(&Event::Stage {
            number: number + 1,
            of: configs.len(),
            window: stage.config.sampling.patch_size,
            spacing_mm: stage.config.prepare.spacing_mm,
        });
        let reason = run.go(&stage, observer, stop)?;
        if !run.goes_on(&stage, reason) {
            let summary = run.finish(&stage, reason, observer, stop)?;
            observer.event(&Event::Finished(summary.clone()));
            return Ok(summary);
        }
        run.next_stage(observer)?;
    }
}
