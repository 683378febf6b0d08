//! Training of the systems that are not trained yet.

use crate::config::{StudyConfig, SystemEntry};
use crate::division::Division;
use crate::folder::{Folder, read_json, write_json};
use crate::options::{Event, Options};
use crate::{Error, ErrorKind, Result};
use multirnet_base::FolderLock;
use multirnet_base::files::{make_dir, write};
use multirnet_infer::{Catalogue, ModelSource};
use multirnet_train::StopReason;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// The record of a finished training. Times are those of the machine that it ran on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Number of trained parameters.
    pub parameters: usize,
    /// Number of epochs.
    pub epochs: u64,
    /// Number of steps.
    pub steps: u64,
    /// The epoch whose weights are scored: the one with the lowest validation loss, or the last one
    /// without validation.
    pub best_epoch: u64,
    /// The lowest validation loss.
    pub best_loss: Option<f64>,
    /// Minutes of training, checkpoints and validation included.
    pub minutes: f64,
    /// File name of the weights that are scored, in the run's `checkpoints`.
    pub weights: String,
}

impl Trained {
    /// Path of the weights that are scored.
    pub fn weights(&self, folder: &Folder, system: &str, division: &str) -> PathBuf {
        let run = folder.run(system, division);
        run.join("checkpoints").join(&self.weights)
    }

    /// Reads the record of a training; `None` if the training is not finished.
    ///
    /// # Errors
    /// `Malformed` if it is damaged.
    pub fn read(folder: &Folder, system: &str, division: &str) -> Result<Option<Self>> {
        read_json(&folder.run(system, division).join("summary.json"))
    }
}

/// The file of `wanted`, a model's name or path. A model that is part of the program is first written
/// into the study's folder.
fn weights_file(wanted: &Path, folder: &Folder, models: &Catalogue) -> Result<PathBuf> {
    let found = models.find(wanted.as_os_str());
    match found.map_err(|e| Error::caused(ErrorKind::Training, e))? {
        ModelSource::File(path) => Ok(path),
        ModelSource::Embedded(model) => {
            let path = folder.init(model.name);
            write(&path, model.bytes)?;
            Ok(path)
        }
    }
}

/// Trains `system` in `division` unless it is trained already. Resumes a stopped run.
pub(crate) fn ensure(
    config: &StudyConfig,
    system: &SystemEntry,
    division: &Division,
    folder: &Folder,
    options: &mut Options<'_>,
    stop: &AtomicBool,
) -> Result<Trained> {
    if let Some(trained) = Trained::read(folder, &system.id, &division.name)? {
        return Ok(trained);
    }
    let mut train = config.train_config(system)?;
    if let Some(init) = &mut train.run.init {
        *init = weights_file(init, folder, options.models)?;
    }
    let out = folder.run(&system.id, &division.name);
    make_dir(&out)?;
    // Two programs would overwrite each other's checkpoints.
    let _lock = FolderLock::take(&out, "training")?;
    // Another program may have finished it meanwhile.
    if let Some(trained) = Trained::read(folder, &system.id, &division.name)? {
        return Ok(trained);
    }
    (options.progress)(Event::Training {
        system: &system.id,
        division: &division.name,
    });
    let fail = |e: multirnet_train::Error| {
        let kind = match e.kind() {
            multirnet_train::ErrorKind::Interrupted => return Error::interrupted(),
            multirnet_train::ErrorKind::Write => ErrorKind::Write,
            multirnet_train::ErrorKind::Diverged => ErrorKind::Diverged,
            _ => ErrorKind::Training,
        };
        let error = Error::from_report(e.into_report(|_| kind));
        let error = error.within(&format!("training of {:?}", system.id));
        match kind {
            // A study's folder refuses another configuration, so the remedy needs a new folder.
            ErrorKind::Diverged => error.hint(format!(
                "run the study in a new folder with a lower learning rate than \
                 optimiser.learning_rate = {:?} of this system",
                train.optimiser.learning_rate
            )),
            _ => error,
        }
    };
    let settings = multirnet_train::Options {
        out: &out,
        cache: &folder.cache(),
        read: options.read,
        device: options
            .device
            .open()
            .map_err(|e| Error::caused(ErrorKind::Training, e))?,
        resume: out.join("checkpoints/last.state").exists(),
        prepare_jobs: 2,
    };
    let progress = &mut options.progress;
    let mut parameters = 0;
    let summary = multirnet_train::train(
        &train,
        &division.cohort,
        &division.split,
        &settings,
        &mut |event: &multirnet_train::Event| {
            if let multirnet_train::Event::Started { parameters: n, .. } = event {
                parameters = *n;
            }
            progress(Event::Train(event));
        },
        stop,
    )
    .map_err(fail)?;
    if summary.reason == StopReason::Interrupted {
        return Err(Error::interrupted());
    }
    let weights = summary.best_weights.file_name().unwrap_or_default();
    let trained = Trained {
        parameters,
        epochs: summary.epochs,
        steps: summary.steps,
        best_epoch: summary.best_epoch,
        best_loss: summary.best_loss,
        minutes: summary.minutes,
        weights: weights.to_string_lossy().into_owned(),
    };
    write_json(&out.join("summary.json"), &trained)?;
    Ok(trained)
}
