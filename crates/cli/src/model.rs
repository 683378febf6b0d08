//! The model to use, the packaged one or the user's file, and the device that it runs on.

use crate::failure::{Exit, Failure, Outcome};
use multirnet_infer::{DeviceChoice, Precision, Predictor};
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

    /// Precision of the network's products on the CPU: f32, or bf16 (faster, a little less exact;
    /// needs AVX512-BF16)
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = precision)]
    pub precision: Option<Precision>,

    #[command(flatten)]
    pub device: DeviceArguments,
}

fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        _ => Err(format!("unknown precision {text:?} (write f32 or bf16)")),
    }
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
        .and_then(|p| p.with_precision(self.precision.unwrap_or_default()))
        .map_err(Failure::input)
    }
}
