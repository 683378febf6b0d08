//! Any system of [`multirnet_nn`] as a network that burn runs.

use crate::network::{
    Block, Network, TileOutput, WindowOutput, softmax, tile_as_window, values, window_cams,
};
use crate::window_batch::WindowBatch;
use crate::{Error, ErrorKind, Result};
use burn::tensor::{Device, Tensor, TensorData};
use multirnet_nn::{AnyNet, Eager, MultiRNet, System};

/// A [`System`] on a burn device.
///
/// Its output for a missing task is neutral: a net that only classifies gives no lesion, and a net
/// that only segments gives equal probabilities. See [`Network::segments`] and
/// [`Network::classifies`].
#[derive(Debug)]
pub struct BurnNetwork {
    system: System,
    device: Device,
    parameters: u64,
}

impl BurnNetwork {
    /// Wraps a system on `device` (without autodiff).
    pub fn new(system: impl Into<System>, device: Device) -> Self {
        let system = system.into();
        let parameters = burn::module::Module::num_params(&system) as u64;
        Self {
            system,
            device,
            parameters,
        }
    }

    /// The net, if it is a MultiR-Net that classifies: it can tell the blocks of a tile apart.
    fn multirnet(&self) -> Option<&MultiRNet> {
        match &self.system.net {
            AnyNet::MultiRNet(net) if net.config().classification => Some(net),
            _ => None,
        }
    }

    fn input(&self, windows: &WindowBatch<'_>) -> Result<Tensor<5>> {
        windows.check_stop()?;
        let [d, h, w] = windows.shape();
        self.system
            .config()
            .check_window([d, h, w])
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let data = TensorData::new(windows.values().to_vec(), [windows.count(), 1, d, h, w]);
        Ok(Tensor::from_data(data, &self.device))
    }
}

impl Network for BurnNetwork {
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
        let output = self.system.answer(self.input(windows)?);
        let n = windows.count();
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
        let of = |all: &[f32], i: usize| {
            let size = all.len() / n;
            all[i * size..(i + 1) * size].to_vec()
        };
        Ok((0..n)
            .map(|i| WindowOutput {
                lesion: of(&lesion, i),
                probabilities: softmax([0, 1, 2].map(|c| f64::from(logits[3 * i + c]))),
                cams: cams.as_ref().map(|cams| cams[i].clone()),
            })
            .collect())
    }

    fn run_tile(&self, tile: &WindowBatch<'_>, blocks: &[Block]) -> Result<TileOutput> {
        match self.multirnet() {
            Some(net) => blocks_of_multirnet(net, self.input(tile)?, blocks),
            None => tile_as_window(self.run(tile, false)?, blocks.len()),
        }
    }

    fn peak_memory_bytes(&self, shape: [usize; 3], batch: usize) -> u64 {
        let maps = match self.multirnet() {
            // MultiR-Net needs most memory in its last decoder block. The factor counts maps of the
            // first level's width: skip, up, their concatenation (two), input and output of a
            // convolution, and kernel scratch; deeper levels add a seventh at most. It was checked
            // against measured peaks.
            Some(net) => {
                let config = net.config();
                9 * config.channels[0].max(config.class_channels[0]) as u64
            }
            // Number of maps at full resolution that the widest of the other nets keeps.
            None => 144,
        };
        let voxels: u64 = shape.iter().map(|&s| s as u64).product();
        4 * (voxels * batch as u64 * maps + 2 * self.parameters)
    }

    fn config_json(&self) -> serde_json::Value {
        let json = match self.multirnet() {
            Some(net) => serde_json::to_value(net.config()),
            None => serde_json::to_value(self.system.config()),
        };
        json.unwrap_or_default()
    }
}

/// A tile through MultiR-Net, with the classes of each block.
fn blocks_of_multirnet(net: &MultiRNet, input: Tensor<5>, blocks: &[Block]) -> Result<TileOutput> {
    let output = net.forward(input);
    let from = net.config().class_from;
    let (Some(head), Some(features), Some(bottleneck)) = (
        net.classification.as_ref(),
        output.class_features(from),
        output.bottleneck(from),
    ) else {
        return Err(Error::new(ErrorKind::Model, "the model does not classify"));
    };
    // The head is a linear layer on pooled features. Pooling over a block therefore gives the
    // block's logits.
    let classes = blocks
        .iter()
        .map(|block| {
            let part = |x: &Tensor<5>| {
                (0..3).fold(x.clone(), |x, a| {
                    x.narrow(a + 2, block.start[a] / 16, block.shape[a] / 16)
                })
            };
            let logits = values(head.head(&Eager, part(&features), part(&bottleneck)))?;
            Ok(softmax([0, 1, 2].map(|c| f64::from(logits[c]))))
        })
        .collect::<Result<_>>()?;
    Ok(TileOutput {
        lesion: values(output.lesion())?,
        classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::check_output;
    use multirnet_finding::Probabilities;
    use multirnet_nn::{ClassFrom, MultiRNetConfig};

    #[test]
    fn windows_do_not_depend_on_the_batch_and_cams_come_on_demand() {
        let device = Device::flex();
        device.seed(3);
        let config = MultiRNetConfig {
            channels: [2, 2, 4, 4, 4],
            class_channels: [2, 2, 4, 4, 4, 4],
            iterations: 1,
            ..MultiRNetConfig::small()
        };
        let network = BurnNetwork::new(config.init(&device), device);
        let shape = [16, 32, 32];
        let size = 16 * 32 * 32;
        let windows: Vec<f32> = (0..2 * size)
            .map(|i| (i * 37 % 101) as f32 / 100.0)
            .collect();
        let both = WindowBatch::new(&windows, shape)
            .and_then(|b| network.run(&b, true))
            .unwrap();
        let one = WindowBatch::new(&windows[size..], shape)
            .and_then(|b| network.run(&b, true))
            .unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(both[0].lesion.len(), size);
        let close = |a: &[f32], b: &[f32]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
        };
        assert!(close(&both[1].lesion, &one[0].lesion));
        let cams = both[1].cams.as_ref().unwrap();
        assert_eq!(cams.shape, [1, 2, 2]);
        for (a, b) in cams.maps.iter().zip(&one[0].cams.as_ref().unwrap().maps) {
            assert!(close(a, b));
        }
        assert!((one[0].probabilities.to_array().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        check_output(&one[0]).unwrap();
        assert!(
            WindowBatch::new(&windows, shape)
                .and_then(|b| network.run(&b, false))
                .unwrap()[0]
                .cams
                .is_none()
        );
        let error = WindowBatch::new(&windows, [16, 32, 30])
            .and_then(|b| network.run(&b, false))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
    }

    #[test]
    fn a_tile_of_one_block_is_a_window() {
        let device = Device::flex();
        device.seed(4);
        for class_from in [ClassFrom::Last, ClassFrom::First, ClassFrom::Mean] {
            let config = MultiRNetConfig {
                channels: [2, 2, 4, 4, 4],
                class_channels: [2, 2, 4, 4, 4, 4],
                iterations: 1,
                class_from,
                ..MultiRNetConfig::small()
            };
            let network = BurnNetwork::new(config.init(&device), device.clone());
            let shape = [32, 32, 48];
            let tile: Vec<f32> = (0..32 * 32 * 48)
                .map(|i| (i * 37 % 101) as f32 / 100.0)
                .collect();
            let whole = Block {
                start: [0; 3],
                shape,
            };
            let parts = [[0, 0, 0], [16, 0, 0]].map(|start| Block {
                start,
                shape: [16, 32, 48],
            });
            let blocks = [whole, parts[0], parts[1]];
            let output = WindowBatch::new(&tile, shape)
                .and_then(|b| network.run_tile(&b, &blocks))
                .unwrap();
            let window = WindowBatch::new(&tile, shape)
                .and_then(|b| network.run(&b, false))
                .unwrap()
                .remove(0);
            assert_eq!(output.lesion, window.lesion);
            let log = |p: Probabilities| p.to_array().map(|v| (v / p.normal).ln());
            let [all, a, b] = [0, 1, 2].map(|i| log(output.classes[i]));
            let window = log(window.probabilities);
            for c in 0..3 {
                assert!((all[c] - window[c]).abs() < 1e-5, "{class_from:?}");
                // The mean of the logits of two equal parts is the logit of the whole.
                assert!(
                    ((a[c] + b[c]) / 2.0 - all[c]).abs() < 1e-5,
                    "{class_from:?}"
                );
            }
        }
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
        let system = BurnNetwork::new(config.init(&device), device);
        assert!(system.segments() && !system.classifies());
        let output = WindowBatch::new(&[0.5; 16 * 16 * 16], [16; 3])
            .and_then(|b| system.run(&b, true))
            .unwrap();
        assert_eq!(output[0].probabilities.to_array(), [1.0 / 3.0; 3]);
        assert!(output[0].cams.is_none());
    }
}
