//! Any system of [`multirnet_nn`] as a network.

use crate::network::{Network, WindowOutput, softmax, values, window_cams};
use crate::window_batch::WindowBatch;
use crate::{Error, ErrorKind, Result};
use burn::tensor::{Device, Tensor, TensorData};
use multirnet_nn::System;

/// A [`System`] on a burn device.
///
/// Its output for a missing task is neutral: a net that only classifies gives no lesion, and a net
/// that only segments gives equal probabilities. See [`Network::segments`] and
/// [`Network::classifies`].
#[derive(Debug)]
pub struct SystemNetwork {
    system: System,
    device: Device,
    parameters: u64,
}

impl SystemNetwork {
    /// Wraps a system on `device` (without autodiff).
    pub fn new(system: System, device: Device) -> Self {
        let parameters = burn::module::Module::num_params(&system) as u64;
        Self {
            system,
            device,
            parameters,
        }
    }
}

impl Network for SystemNetwork {
    fn segments(&self) -> bool {
        self.system.config().segments()
    }

    fn classifies(&self) -> bool {
        self.system.config().classifies()
    }

    fn lesion_channels(&self) -> usize {
        self.system.config().lesion_channels()
    }

    fn run(&self, windows: &WindowBatch<'_>, explain: bool) -> Result<Vec<WindowOutput>> {
        windows.check_stop()?;
        let shape = windows.shape();
        self.system
            .config()
            .check_window(shape)
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let n = windows.count();
        let [d, h, w] = shape;
        let data = TensorData::new(windows.values().to_vec(), [n, 1, d, h, w]);
        let output = self
            .system
            .answer(Tensor::<5>::from_data(data, &self.device));
        let lesion = match output.lesion() {
            Some(map) => values(map)?,
            None => vec![0.0; self.lesion_channels() * windows.values().len()],
        };
        let logits = match output.logits() {
            Some(logits) => values(logits)?,
            None => vec![0.0; 3 * n],
        };
        let cams = match (output.class_features, self.system.class_weights()) {
            (Some(features), Some(weights)) if explain => Some(window_cams(features, weights)?),
            _ => None,
        };
        let of = |all: &[f32], parts: usize, i: usize| {
            let size = all.len() / parts;
            all[i * size..(i + 1) * size].to_vec()
        };
        Ok((0..n)
            .map(|i| WindowOutput {
                lesion: of(&lesion, n, i),
                probabilities: softmax([0, 1, 2].map(|c| f64::from(logits[3 * i + c]))),
                cams: cams.as_ref().map(|cams| cams[i].clone()),
            })
            .collect())
    }

    fn peak_memory_bytes(&self, shape: [usize; 3], batch: usize) -> u64 {
        // Number of maps at full resolution that the widest net keeps. It serves for all nets.
        const MAPS: u64 = 144;
        let voxels: u64 = shape.iter().map(|&s| s as u64).product();
        4 * (voxels * batch as u64 * MAPS + 2 * self.parameters)
    }

    fn config_json(&self) -> serde_json::Value {
        serde_json::to_value(self.system.config()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BurnNetwork;
    use multirnet_nn::MultiRNetConfig;

    #[test]
    fn it_says_what_the_net_itself_says() {
        let device = Device::flex();
        device.seed(5);
        let config = MultiRNetConfig {
            channels: [2, 2, 4, 4, 4],
            class_channels: [2, 2, 4, 4, 4, 4],
            iterations: 1,
            ..MultiRNetConfig::small()
        };
        let net = config.init(&device);
        let shape = [16, 32, 32];
        let windows: Vec<f32> = (0..2 * 16 * 32 * 32)
            .map(|i| (i * 37 % 101) as f32 / 100.0)
            .collect();
        let system = SystemNetwork::new(net.clone().into(), device.clone());
        let net = BurnNetwork::new(net, device).unwrap();
        let (a, b) = (
            WindowBatch::new(&windows, shape)
                .and_then(|b| system.run(&b, true))
                .unwrap(),
            WindowBatch::new(&windows, shape)
                .and_then(|b| net.run(&b, true))
                .unwrap(),
        );
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(a.lesion, b.lesion);
            assert_eq!(a.probabilities, b.probabilities);
            let (a, b) = (a.cams.as_ref().unwrap(), b.cams.as_ref().unwrap());
            assert_eq!(a.shape, b.shape);
            for (a, b) in a.maps.iter().flatten().zip(b.maps.iter().flatten()) {
                assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{a} {b}");
            }
        }
        let error = WindowBatch::new(&windows, [16, 32, 30])
            .and_then(|b| system.run(&b, false))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
    }

    #[test]
    fn what_a_net_does_not_do_is_neutral_and_told() {
        let device = Device::flex();
        let config = MultiRNetConfig {
            channels: [2; 5],
            classification: false,
            iterations: 0,
            ..MultiRNetConfig::small()
        };
        let system = SystemNetwork::new(config.init(&device).into(), device);
        assert!(system.segments() && !system.classifies());
        let output = WindowBatch::new(&[0.5; 16 * 16 * 16], [16; 3])
            .and_then(|b| system.run(&b, true))
            .unwrap();
        assert_eq!(output[0].probabilities.to_array(), [1.0 / 3.0; 3]);
        assert!(output[0].cams.is_none());
    }
}
