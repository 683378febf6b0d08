//! Checkpoints.
//!
//! The folder `checkpoints/` of a run has `best.safetensors` and `last.safetensors` (weights, for
//! use) and `last.state` (the state for an exact continuation). The safetensors files hold the
//! averaged weights, if there is an average. Each file is written whole or not at all.
//!
//! `last.state` consists of the magic bytes; the length of a TOML header as u64; the header
//! (position, configuration, training scans); the weights, the averaged weights (if there is an
//! average) and the optimiser's state as burn's own records in full precision; the SHA-256 of all
//! bytes before it. Numbers are little-endian.

use crate::average::Average;
use crate::{Error, ErrorKind, Result};
use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use multirnet_base::digest::sha256_bytes;
use multirnet_base::files;
use multirnet_nn::System;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"MRNTRST2";

/// Position of a run. The seed and the step key the random numbers of windows and dropout, so the
/// position needs no other random state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done in the current epoch.
    pub step_in_epoch: u64,
    /// Sums of the losses over the steps of the current epoch: total, segmentation, classification.
    pub sums: [f64; 3],
    /// The stage, from 0.
    pub stage: usize,
    /// Steps, epochs and seconds done before the stage.
    pub before: Before,
    /// Lowest validation loss of the stage.
    pub best_loss: f64,
    /// The epoch with the lowest validation loss, from 1; 0 for none.
    pub best_epoch: u64,
    /// Validations since the best epoch.
    pub epochs_without_improvement: u64,
    /// Seconds of training in all parts of the run.
    pub seconds: f64,
}

/// Steps, epochs and seconds that were done before a stage began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Steps.
    pub steps: u64,
    /// Epochs.
    pub epochs: u64,
    /// Seconds of training.
    pub seconds: f64,
}

impl Position {
    /// The start of the next stage.
    pub(crate) fn next_stage(&self) -> Self {
        Self {
            step: self.step,
            epoch: self.epoch,
            seconds: self.seconds,
            stage: self.stage + 1,
            before: Before {
                steps: self.step,
                epochs: self.epoch,
                seconds: self.seconds,
            },
            ..Self::default()
        }
    }
}

impl Default for Position {
    fn default() -> Self {
        Self {
            step: 0,
            epoch: 0,
            step_in_epoch: 0,
            sums: [0.0; 3],
            stage: 0,
            before: Before::default(),
            best_loss: f64::INFINITY,
            best_epoch: 0,
            epochs_without_improvement: 0,
            seconds: 0.0,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    weights_bytes: u64,
    average_bytes: u64,
    optimiser_bytes: u64,
    scans: Vec<String>,
    position: Position,
    config: crate::TrainConfig,
}

/// A state as read from a file.
pub(crate) struct State {
    pub position: Position,
    pub config: crate::TrainConfig,
    /// Content digests of the training scans, then of the validation scans.
    pub scans: Vec<String>,
    weights: Bytes,
    average: Option<Bytes>,
    optimiser: Bytes,
    path: PathBuf,
}

/// The net in training, with its optimiser and the average of its weights.
pub(crate) struct Trained {
    pub net: System,
    pub optimiser: ModuleOptimizer,
    /// The moving average of the weights; none before the first step of a stage.
    pub average: Option<Average>,
}

impl Trained {
    /// The net for evaluation that is validated and saved. It has the average, if there is one.
    pub fn evaluated(&self) -> System {
        match &self.average {
            Some(average) => average.of(&self.net),
            None => self.net.valid(),
        }
    }
}

/// Writes the state.
pub(crate) fn save(
    path: &Path,
    position: &Position,
    config: &crate::TrainConfig,
    scans: &[String],
    trained: &Trained,
) -> Result<()> {
    let bytes = encode(position, config, scans, trained).map_err(|e| e.at(path))?;
    Ok(files::write_synced(path, &bytes)?)
}

/// The state as a file.
pub(crate) fn encode(
    position: &Position,
    config: &crate::TrainConfig,
    scans: &[String],
    trained: &Trained,
) -> Result<Vec<u8>> {
    let fail = |e: String| Error::new(ErrorKind::Write, format!("cannot save the state: {e}"));
    // `valid` updates the running statistics, which otherwise lag by one batch.
    let record = |net: System| net.into_record().into_bytes();
    let weights = record(trained.net.valid()).map_err(|e| fail(e.to_string()))?;
    let average = match &trained.average {
        Some(average) => Some(record(average.of(&trained.net)).map_err(|e| fail(e.to_string()))?),
        None => None,
    };
    let optimiser = trained.optimiser.into_bytes();
    let optimiser = optimiser.map_err(|e| fail(e.to_string()))?;
    let header = toml::to_string(&Header {
        weights_bytes: weights.len() as u64,
        average_bytes: average.as_ref().map_or(0, |a| a.len() as u64),
        optimiser_bytes: optimiser.len() as u64,
        scans: scans.to_vec(),
        position: position.clone(),
        config: config.clone(),
    })
    .map_err(|e| fail(e.to_string()))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend_from_slice(&weights);
    if let Some(average) = &average {
        bytes.extend_from_slice(average);
    }
    bytes.extend_from_slice(&optimiser);
    let digest = sha256_bytes(&bytes);
    bytes.extend(digest);
    Ok(bytes)
}

/// Reads a state.
///
/// # Errors
/// `Io`; `Malformed` if the file is truncated or corrupt.
pub(crate) fn load(path: &Path) -> Result<State> {
    let bytes = std::fs::read(path).map_err(|e| {
        Error::io(path, "read the checkpoint", e).hint("start a new run to train from scratch")
    })?;
    decode(&bytes, path).ok_or_else(|| {
        let other = bytes.starts_with(&MAGIC[..7]) && !bytes.starts_with(MAGIC);
        let (reason, hint) = match other {
            true => (
                "another version of the program wrote the checkpoint",
                "resume with that version, or start a new run in another folder",
            ),
            false => (
                "the checkpoint is truncated or corrupt",
                "restore it from a copy, or start a new run in another folder",
            ),
        };
        Error::new(ErrorKind::Malformed, reason).at(path).hint(hint)
    })
}

pub(crate) fn decode(bytes: &[u8], path: &Path) -> Option<State> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if sha256_bytes(body) != digest {
        return None;
    }
    let (length, rest) = body.strip_prefix(MAGIC)?.split_at_checked(8)?;
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (header, rest) = rest.split_at_checked(length)?;
    let header: Header = toml::from_str(std::str::from_utf8(header).ok()?).ok()?;
    let cut = |bytes, n: u64| <[u8]>::split_at_checked(bytes, usize::try_from(n).ok()?);
    let (weights, rest) = cut(rest, header.weights_bytes)?;
    let (average, optimiser) = cut(rest, header.average_bytes)?;
    let own = |bytes: &[u8]| Bytes::from_bytes_vec(bytes.to_vec());
    (optimiser.len() as u64 == header.optimiser_bytes).then(|| State {
        position: header.position,
        config: header.config,
        scans: header.scans,
        weights: own(weights),
        average: (!average.is_empty()).then(|| own(average)),
        optimiser: own(optimiser),
        path: path.to_owned(),
    })
}

impl State {
    /// Puts the saved weights into `net` and the saved moments into `optimiser`.
    pub fn restore(self, net: System, optimiser: ModuleOptimizer) -> Result<Trained> {
        let fail = |e: String| {
            Error::new(
                ErrorKind::Malformed,
                format!("the checkpoint does not fit the network: {e}"),
            )
            .at(&self.path)
        };
        let load = |net: System, bytes: Bytes| {
            let record = ModuleRecord::from_bytes(bytes).map_err(|e| fail(e.to_string()))?;
            net.try_load_record(record).map_err(|e| fail(e.to_string()))
        };
        let average = match self.average {
            Some(bytes) => Some(Average::new(&load(net.clone(), bytes)?)),
            None => None,
        };
        let net = load(net, self.weights)?;
        let record =
            OptimizerRecord::from_bytes(self.optimiser).map_err(|e| fail(e.to_string()))?;
        Ok(Trained {
            net,
            optimiser: optimiser.load_record(record),
            average,
        })
    }
}
