//! The model and the curves of a single training's folder.

use crate::{Error, ErrorKind, Result};
use multirnet_base::files;
use multirnet_cohort::Cohort;
use multirnet_infer::{DeviceChoice, ModelCard, ModelInput};
use multirnet_nn::weights::{self, Dtype};
use multirnet_report::{curves_png, read_log};
use multirnet_train::{Summary, TrainConfig};
use std::path::{Path, PathBuf};

/// Writes the best weights of the training in the folder `run` in 16 bits, with a card, to
/// `model.safetensors` there. Returns the file's path. Without best weights it writes the last ones.
///
/// `name` becomes the model's name, and `trained_on` describes the cohort in a sentence; see
/// [`describe_cohort`].
///
/// # Errors
/// `Io` or `Malformed` if the weights cannot be read, `Write` if the model cannot be written.
pub fn package_run(
    run: &Path,
    name: &str,
    config: &TrainConfig,
    summary: &Summary,
    trained_on: String,
) -> Result<PathBuf> {
    let malformed = |e: multirnet_nn::Error| Error::caused(ErrorKind::Malformed, e);
    let path = run.join("model.safetensors");
    let source = if summary.best_weights.exists() {
        &summary.best_weights
    } else {
        &summary.last_weights
    };
    let cpu = DeviceChoice::Cpu.open().map_err(malformed)?;
    let net: multirnet_nn::System = weights::load(source, &cpu).map_err(malformed)?;
    // The stage of the weights is the last one, unless the run was stopped before it.
    let prepare = &config.stages()[summary.stage - 1].prepare;
    let card = ModelCard {
        name: name.to_owned(),
        trained_on,
        version: env!("CARGO_PKG_VERSION").into(),
        input: Some(ModelInput::from(prepare)),
        threshold: summary.threshold,
        ..ModelCard::unknown(name)
    };
    let bytes = weights::to_bytes(&net, Dtype::F16).map_err(malformed)?;
    let bytes = card
        .package(name, &bytes)
        .map_err(|e| Error::caused(ErrorKind::Write, e))?;
    files::write(&path, &bytes)?;
    Ok(path)
}

/// A sentence for a model's card: the cohort's name and its numbers of scans.
pub fn describe_cohort(name: &str, cohort: &Cohort) -> String {
    let [normal, cap, covid19] = cohort.class_counts();
    format!("{name} with {normal} normal, {cap} CAP and {covid19} COVID-19 scans.")
}

/// Draws the curves of the training in the folder `run` from its log, to `curves.png` there. A run
/// without a full epoch does not have curves yet. `name` names the training in the title.
///
/// # Errors
/// `Io` or `Malformed` if the log cannot be read, `Figure` if the curves cannot be drawn, `Write` if
/// they cannot be written.
pub fn draw_curves(run: &Path, name: &str) -> Result<()> {
    let log = run.join("log.csv");
    let curves = read_log(&log, |c| {
        matches!(c, "train_loss" | "val_loss" | "val_dice" | "val_accuracy")
    })
    .map_err(|e| Error::caused(ErrorKind::Malformed, e))?;
    let title = format!("Training of {name}");
    let png = curves_png(&title, "epoch", "loss, Dice, accuracy", &curves)
        .map_err(|e| Error::caused(ErrorKind::Figure, e))?;
    Ok(files::write(&run.join("curves.png"), &png)?)
}
