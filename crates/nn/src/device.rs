//! The device that a network runs on.

use crate::error::Result;
pub use burn::tensor::Device;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The device that a network runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The CPU, with this project's kernels.
    #[default]
    Cpu,
    /// The best GPU that wgpu finds, with burn's kernels. Needs the feature `wgpu`.
    Gpu,
}

impl DeviceChoice {
    /// All choices.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Gpu];

    /// Machine name: `cpu` or `gpu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }

    /// Opens the device, without autodiff. The GPU is opened once and then shared.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) for the GPU if the program was built without
    /// the feature `wgpu`, or if no GPU with a driver is found.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Gpu => gpu().map(|(device, _)| device),
        }
    }

    /// Name of the device: the GPU's name and backend, or `CPU`.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn describe(self) -> Result<String> {
        match self {
            Self::Cpu => Ok("CPU".to_owned()),
            Self::Gpu => gpu().map(|(_, name)| name),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether this project's kernels can run on the device of `x`. On other devices burn's own
/// operations do the work.
pub(crate) fn has_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    !cfg!(feature = "wgpu") || x.device() == Device::flex()
}

#[cfg(feature = "wgpu")]
fn gpu() -> Result<(Device, String)> {
    use crate::error::{Error, ErrorKind};
    use std::sync::OnceLock;

    // A runtime can be initialised only once. A failure is therefore kept as well.
    static GPU: OnceLock<std::result::Result<(Device, String), String>> = OnceLock::new();
    let opened = GPU.get_or_init(|| {
        let (device, setup) = Device::wgpu_options()
            .init_with_setup()
            .map_err(|e| e.to_string())?;
        let info = setup.adapter.get_info();
        Ok((device, format!("{} ({})", info.name, info.backend)))
    });
    opened.clone().map_err(|reason| {
        Error::new(
            ErrorKind::Device,
            format!("no graphics processor can be used: {reason}"),
        )
        .hint(
            "install its driver (on Linux its Vulkan driver; `vulkaninfo --summary` lists what \
             there is), or use the device cpu",
        )
    })
}

#[cfg(not(feature = "wgpu"))]
fn gpu() -> Result<(Device, String)> {
    use crate::error::{Error, ErrorKind};

    Err(Error::new(
        ErrorKind::Device,
        "this program was built without support for graphics processors",
    )
    .hint("build it with `cargo build --release --features wgpu`, or use the device cpu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        let device = DeviceChoice::Cpu.open().unwrap();
        assert!(!device.is_autodiff());
        assert!(has_kernels(&Tensor::<1>::zeros([1], &device)));
        let device = device.autodiff();
        assert!(has_kernels(&Tensor::<1>::zeros([1], &device)));
    }

    #[cfg(not(feature = "wgpu"))]
    #[test]
    fn a_build_without_the_feature_says_how_to_get_it() {
        let error = DeviceChoice::Gpu.open().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Device);
        assert!(error.to_string().contains("--features wgpu"), "{error}");
    }
}
