//! Loss curves as CSV: `log.csv` with a line for each epoch, `steps.csv` with a line for each step.

use crate::{Error, Result};
use multirnet_base::files;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Mean losses over windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct MeanLosses {
    /// The total that is minimised.
    pub total: f64,
    /// The segmentation loss.
    pub segmentation: f64,
    /// The cross-entropy.
    pub classification: f64,
}

/// Losses and scores of the fixed validation windows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ValidationRecord {
    /// Mean losses.
    pub losses: MeanLosses,
    /// Mean Dice of the windows with lesions; `None` if there are none.
    pub dice: Option<f64>,
    /// The same for global views only.
    pub dice_global: Option<f64>,
    /// Mean Dice of ground glass over the windows that have some and whose kinds are known; `None`
    /// if there are none or the net has one lesion channel.
    pub dice_ground_glass: Option<f64>,
    /// The same for consolidation.
    pub dice_consolidation: Option<f64>,
    /// Share of windows of a known class whose class is right; `None` if there are none or the net
    /// does not classify.
    pub accuracy: Option<f64>,
    /// The same for global views only, which have the class of their scan.
    pub accuracy_global: Option<f64>,
}

/// One line of `log.csv`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1, through all stages.
    pub epoch: u64,
    /// Number of the stage, from 1.
    pub stage: usize,
    /// Steps done.
    pub step: u64,
    /// Minutes of training.
    pub minutes: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean losses over the epoch's steps.
    pub train: MeanLosses,
    /// Validation, if this epoch had one.
    pub validation: Option<ValidationRecord>,
    /// Whether the validation loss is the lowest so far in its stage.
    pub best: bool,
}

/// One line of `steps.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepRecord {
    /// Number of the step, from 1.
    pub step: u64,
    /// The batch's losses.
    pub losses: MeanLosses,
    /// Learning rate.
    pub learning_rate: f64,
    /// Seconds of waiting for windows.
    pub wait_seconds: f64,
    /// Seconds of forward and backward pass and update.
    pub compute_seconds: f64,
}

const EPOCHS: &str = "epoch,stage,step,minutes,learning_rate,train_loss,train_segmentation,\
train_classification,val_loss,val_segmentation,val_classification,val_dice,val_dice_global,\
val_dice_ground_glass,val_dice_consolidation,val_accuracy,val_accuracy_global,best";
const STEPS: &str =
    "step,loss,segmentation,classification,learning_rate,wait_seconds,compute_seconds";

/// The two files of a run.
pub(crate) struct Log {
    epochs: PathBuf,
    lines: Vec<String>,
    steps: File,
    steps_path: PathBuf,
}

impl Log {
    /// Opens the logs in `folder`. Keeps the lines up to `epoch` and `step`. Drops later lines, which
    /// the run wrote after its last checkpoint.
    pub fn open(folder: &Path, epoch: u64, step: u64) -> Result<Self> {
        let (epochs, steps_path) = (folder.join("log.csv"), folder.join("steps.csv"));
        let lines = kept(&epochs, epoch);
        let mut text = kept(&steps_path, step);
        text.insert(0, STEPS.to_owned());
        text.push(String::new());
        files::write_synced(&steps_path, text.join("\n").as_bytes())?;
        let file = File::options()
            .append(true)
            .open(&steps_path)
            .map_err(|e| Error::write(&steps_path, "open", e))?;
        let log = Self {
            epochs,
            lines,
            steps: file,
            steps_path,
        };
        log.write_epochs()?;
        Ok(log)
    }

    pub fn step(&mut self, r: &StepRecord) -> Result<()> {
        let l = &r.losses;
        let line = format!(
            "{},{:.6},{:.6},{:.6},{:e},{:.4},{:.4}\n",
            r.step,
            l.total,
            l.segmentation,
            l.classification,
            r.learning_rate,
            r.wait_seconds,
            r.compute_seconds
        );
        let written = self.steps.write_all(line.as_bytes());
        written.map_err(|e| Error::write(&self.steps_path, "write", e))
    }

    pub fn epoch(&mut self, r: &EpochRecord) -> Result<()> {
        let optional = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
        let losses = |l: Option<MeanLosses>| {
            let parts = [
                l.map(|l| l.total),
                l.map(|l| l.segmentation),
                l.map(|l| l.classification),
            ];
            parts.map(optional).join(",")
        };
        let v = r.validation.as_ref();
        self.lines.push(format!(
            "{},{},{},{:.3},{:e},{},{},{},{},{},{},{},{},{}",
            r.epoch,
            r.stage,
            r.step,
            r.minutes,
            r.learning_rate,
            losses(Some(r.train)),
            losses(v.map(|v| v.losses)),
            optional(v.and_then(|v| v.dice)),
            optional(v.and_then(|v| v.dice_global)),
            optional(v.and_then(|v| v.dice_ground_glass)),
            optional(v.and_then(|v| v.dice_consolidation)),
            optional(v.and_then(|v| v.accuracy)),
            optional(v.and_then(|v| v.accuracy_global)),
            u8::from(r.best),
        ));
        self.write_epochs()
    }

    fn write_epochs(&self) -> Result<()> {
        let mut text = format!("{EPOCHS}\n");
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        Ok(files::write_synced(&self.epochs, text.as_bytes())?)
    }
}

/// Lines of a log whose first number is at most `last`; none if there is no such file.
fn kept(path: &Path, last: u64) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .filter(|l| {
            let number = l.split(',').next().and_then(|n| n.parse::<u64>().ok());
            number.is_some_and(|n| n <= last)
        })
        .map(str::to_owned)
        .collect()
}
