//! The choice of the network that runs a system.

use crate::{BurnNetwork, DeviceChoice, Engine, Error, ErrorKind, Network, Result};
use burn::tensor::Device;
use multirnet_nn::{System, SystemConfig, weights};
use std::path::Path;

/// Loads the weights file of any system as the network that runs it fastest on `device`.
///
/// # Errors
/// `Device` if the device cannot be used; `Model` if the file cannot be read or is damaged, or if
/// no network can run the system.
pub fn load_network(path: &Path, device: DeviceChoice) -> Result<Box<dyn Network>> {
    let opened = device
        .open()
        .map_err(|e| Error::caused(ErrorKind::Device, e))?;
    let system: System =
        weights::load(path, &opened).map_err(|e| Error::caused(ErrorKind::Model, e))?;
    network_for(system, opened, device == DeviceChoice::Cpu)
}

/// An untrained net of `config` with random weights, drawn with `seed`.
///
/// # Errors
/// `Device` if the device cannot be used; `Model` if no network can run the system.
pub fn untrained_network(
    config: &SystemConfig,
    seed: u64,
    device: DeviceChoice,
) -> Result<Box<dyn Network>> {
    let opened = device
        .open()
        .map_err(|e| Error::caused(ErrorKind::Device, e))?;
    opened.seed(seed);
    network_for(config.init(&opened), opened, device == DeviceChoice::Cpu)
}

/// The network that runs `system`, whose net is on `device`, fastest.
///
/// # Errors
/// `Model` if the chosen network cannot run the system.
pub(crate) fn network_for(
    system: System,
    device: Device,
    on_cpu: bool,
) -> Result<Box<dyn Network>> {
    if on_cpu && Engine::supports(system.config()) {
        return Ok(Box::new(Engine::new(&system)?));
    }
    Ok(Box::new(BurnNetwork::new(system, device)))
}
