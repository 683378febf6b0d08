//! The model to use: the packaged one, or the user's file.

use crate::failure::{Failure, Outcome};
use multirnet_infer::{DeviceChoice, Predictor};
use std::path::PathBuf;

/// Name of the packaged model.
pub const PACKAGED_NAME: &str = "phantom-small";

/// The packaged model's weights, trained on synthetic phantoms only (see its card in `models/`).
pub const PACKAGED: &[u8] = include_bytes!("../../../models/phantom-small/model.safetensors");

/// Which model to use.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ModelArguments {
    /// Model file (.safetensors); default: the packaged model, which has seen phantoms only
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
}

impl ModelArguments {
    /// Loads the model.
    pub fn load(&self) -> Outcome<Predictor> {
        match &self.model {
            Some(path) => Predictor::load(path, DeviceChoice::Cpu),
            None => Predictor::from_bytes(PACKAGED_NAME, PACKAGED, DeviceChoice::Cpu),
        }
        .map_err(Failure::input)
    }
}
