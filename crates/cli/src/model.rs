//! The arguments that choose the model and the device that it runs on.

use crate::failure::{Exit, Failure, Outcome};
use multirnet::{DEFAULT_MODEL, DeviceChoice, Model, Precision, load_model_on};
use multirnet_nn::device::Device;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// `predict` prints this once when it uses the default model.
const OTHER_MODEL: &str = "There is also the model patients-small (--model patients-small), which \
                           learned from scans of patients; its licence allows non-commercial \
                           research only.";

/// Which model to use.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ModelArguments {
    /// Name or path of the model (default: the one in the program)
    ///
    /// A text with a path separator, a leading dot or the ending .safetensors is a path, to a file
    /// or to a folder with model.safetensors. Any other text is a name, which is looked up in the
    /// program, in the folders that the environment variable MULTIRNET_MODELS lists, in models/ in
    /// the working folder and in models/ beside the program: NAME/model.safetensors or
    /// NAME.safetensors. `multirnet info` lists all models.
    #[arg(long, value_name = "NAME|PATH")]
    pub model: Option<PathBuf>,

    /// Precision of the network's products on the CPU: f32, or bf16 (faster, a little less exact;
    /// needs AMX or AVX512-BF16)
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

/// The device that the network runs on.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceArguments {
    /// Device of the network: cpu, or gpu (needs a build with `--features wgpu` and a driver)
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
    /// Opens the device. A device that cannot be used is a wrong argument.
    pub fn open(&self) -> Outcome<Device> {
        self.device
            .open()
            .map_err(|e| Failure::new(Exit::Usage, format!("--device {}: {e}", self.device)))
    }
}

impl ModelArguments {
    /// Loads the model.
    pub fn load(&self) -> Outcome<Model> {
        self.device.open()?;
        load_model_on(Some(self.wanted()), self.device.device)?
            .with_precision(self.precision.unwrap_or_default())
            .map_err(Failure::input)
    }

    /// A note about another model, if this one is the default model.
    pub fn note(&self) -> Option<&'static str> {
        (self.wanted() == DEFAULT_MODEL.name).then_some(OTHER_MODEL)
    }

    fn wanted(&self) -> &OsStr {
        let named = self.model.as_deref().map(Path::as_os_str);
        named.unwrap_or(OsStr::new(DEFAULT_MODEL.name))
    }
}
