//! The model to use, the packaged one or the user's file, and the device that it runs on.

use crate::failure::{Exit, Failure, Outcome};
use multirnet_infer::{DeviceChoice, Predictor};
use multirnet_nn::device::Device;
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

    #[command(flatten)]
    pub device: DeviceArguments,
}

/// Where the network runs.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceArguments {
    /// Where the network runs: cpu or gpu (a build with `--features wgpu` and a driver)
    #[arg(long, value_name = "NAME", default_value_t, value_parser = device)]
    pub device: DeviceChoice,
}

fn device(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::ALL
        .into_iter()
        .find(|d| d.name() == text)
        .ok_or_else(|| format!("unknown device {text:?} (write cpu or gpu)"))
}

impl DeviceArguments {
    /// Opens the device. One that is not there is a wrong argument.
    pub fn open(&self) -> Outcome<Device> {
        self.device
            .open()
            .map_err(|e| Failure::new(Exit::Usage, format!("--device {}: {e}", self.device)))
    }
}

impl ModelArguments {
    /// Loads the model.
    pub fn load(&self) -> Outcome<Predictor> {
        self.device.open()?;
        let device = self.device.device;
        match &self.model {
            Some(path) => Predictor::load(path, device),
            None => Predictor::from_bytes(PACKAGED_NAME, PACKAGED, device),
        }
        .map_err(Failure::input)
    }
}
