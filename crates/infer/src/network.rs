//! The interface between pipelines and networks, and MultiR-Net as such a network.

use crate::window_batch::WindowBatch;
use crate::{Error, ErrorKind, Result};
use burn::tensor::{Device, Tensor, TensorData};
use multirnet_finding::Probabilities;
use multirnet_kernels::Precision;
use multirnet_nn::{Eager, MultiRNet, MultiRNetConfig, Output, class_maps};

/// A network's output for one window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowOutput {
    /// Lesion probabilities, `[K, d, h, w]` flattened.
    pub lesion: Vec<f32>,
    /// Class probabilities.
    pub probabilities: Probabilities,
    /// Grad-CAM of each class, `[d', h', w']` flattened, if it was asked for.
    pub cams: Option<Cams>,
}

/// A part of a tile, in voxels `(z, y, x)` from the tile's first; all multiples of 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First voxel.
    pub start: [usize; 3],
    /// Voxels per axis.
    pub shape: [usize; 3],
}

/// A network's output for one tile.
#[derive(Debug, Clone, PartialEq)]
pub struct TileOutput {
    /// Lesion probabilities, `[K, d, h, w]` flattened.
    pub lesion: Vec<f32>,
    /// Class probabilities of each block.
    pub classes: Vec<Probabilities>,
}

/// Grad-CAM maps of one window, not normalised: `ReLU(Σ_k α_k A_k)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cams {
    /// Grid of the maps `(z, y, x)`, which covers the window's extent.
    pub shape: [usize; 3],
    /// One map per class.
    pub maps: [Vec<f32>; 3],
}

/// A network that segments and classifies windows.
///
/// [`Engine`](crate::Engine), [`BurnNetwork`] and [`SystemNetwork`](crate::SystemNetwork) implement
/// it; tests and other engines bring their own.
pub trait Network: Send + Sync {
    /// Whether the network segments, so that its lesion maps have a meaning.
    fn segments(&self) -> bool {
        true
    }

    /// Whether the network classifies, so that its class probabilities have a meaning.
    fn classifies(&self) -> bool {
        true
    }

    /// Lesion channels K: 1 (lesion) or 2 (ground glass, consolidation).
    fn lesion_channels(&self) -> usize;

    /// Runs the network on `windows` and returns one output for each, with Grad-CAM if `explain`. A
    /// window's output must not depend on the other windows.
    ///
    /// # Errors
    /// `Model` if the network cannot take windows of this shape, `Interrupted` if the caller
    /// stopped the run.
    fn run(&self, windows: &WindowBatch<'_>, explain: bool) -> Result<Vec<WindowOutput>>;

    /// Runs the network on one tile, which may be larger than the windows of training. The result
    /// has class probabilities for each of `blocks`, which are about as large as a window.
    ///
    /// The default implementation gives every block the class probabilities of the whole tile.
    ///
    /// # Errors
    /// `Model` if the network cannot take such a tile, `Interrupted` if the caller stopped the run.
    fn run_tile(&self, tile: &WindowBatch<'_>, blocks: &[Block]) -> Result<TileOutput> {
        let output = self.run(tile, false)?.into_iter().next();
        let output = output.ok_or_else(|| {
            Error::new(ErrorKind::Model, "the network gives no output for a tile")
        })?;
        Ok(TileOutput {
            lesion: output.lesion,
            classes: vec![output.probabilities; blocks.len()],
        })
    }

    /// Peak memory in bytes of one pass over `batch` windows of `shape` voxels, weights included.
    /// This is an estimate for the memory plan.
    fn peak_memory_bytes(&self, shape: [usize; 3], batch: usize) -> u64;

    /// Sets the precision of products. Networks start with [`Precision::F32`].
    ///
    /// # Errors
    /// `Model` if the network or the processor does not support the precision.
    fn set_precision(&mut self, precision: Precision) -> Result<()> {
        match precision {
            Precision::F32 => Ok(()),
            Precision::Bf16 => Err(Error::new(
                ErrorKind::Model,
                "this model runs only in f32 (bf16 needs a net with batch norms on the CPU)",
            )
            .hint("leave the precision at f32")),
        }
    }

    /// The network's configuration, for provenance.
    fn config_json(&self) -> serde_json::Value;
}

/// MultiR-Net on a burn device.
#[derive(Debug)]
pub struct BurnNetwork {
    net: MultiRNet,
    device: Device,
    parameters: u64,
}

impl BurnNetwork {
    /// Wraps a net on `device` (without autodiff).
    ///
    /// # Errors
    /// `Model` if the net has no classification subnet, which a finding needs.
    pub fn new(net: MultiRNet, device: Device) -> Result<Self> {
        if !net.config().classification {
            return Err(Error::new(
                ErrorKind::Model,
                "the model has no classification subnet, so it cannot make a finding",
            )
            .hint("use a model that was trained with `classification = true`"));
        }
        let parameters = burn::module::Module::num_params(&net) as u64;
        Ok(Self {
            net,
            device,
            parameters,
        })
    }

    /// The net's configuration.
    pub fn config(&self) -> &MultiRNetConfig {
        self.net.config()
    }

    fn forward(&self, windows: &WindowBatch<'_>) -> Result<Output> {
        windows.check_stop()?;
        let [d, h, w] = windows.shape();
        MultiRNetConfig::check_window([d, h, w]).map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let data = TensorData::new(windows.values().to_vec(), [windows.count(), 1, d, h, w]);
        let input = Tensor::<5>::from_data(data, &self.device);
        Ok(self.net.forward(input))
    }
}

impl Network for BurnNetwork {
    fn lesion_channels(&self) -> usize {
        self.net.config().lesion_channels
    }

    fn run_tile(&self, tile: &WindowBatch<'_>, blocks: &[Block]) -> Result<TileOutput> {
        let output = self.forward(tile)?;
        let from = self.net.config().class_from;
        let classes = self.net.classification.as_ref();
        let (Some(net), Some(features), Some(bottleneck)) = (
            classes,
            output.class_features(from),
            output.bottleneck(from),
        ) else {
            return Err(no_class());
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
                let logits = values(net.head(&Eager, part(&features), part(&bottleneck)))?;
                Ok(softmax([0, 1, 2].map(|c| f64::from(logits[c]))))
            })
            .collect::<Result<_>>()?;
        Ok(TileOutput {
            lesion: values(output.lesion())?,
            classes,
        })
    }

    fn run(&self, windows: &WindowBatch<'_>, explain: bool) -> Result<Vec<WindowOutput>> {
        let output = self.forward(windows)?;
        let n = windows.count();
        let logits = output
            .class_logits(self.net.config().class_from)
            .ok_or_else(no_class)?;
        let logits = values(logits)?;
        let from = self.net.config().class_from;
        let head = self.net.classification.as_ref();
        let cams = match (head, output.class_features(from)) {
            (Some(head), Some(features)) if explain => {
                Some(window_cams(features, head.linear.weight.val())?)
            }
            _ => None,
        };
        let lesion = values(output.lesion())?;
        let of = |all: &[f32], i: usize| all[i * all.len() / n..(i + 1) * all.len() / n].to_vec();
        Ok((0..n)
            .map(|i| WindowOutput {
                lesion: of(&lesion, i),
                probabilities: softmax([0, 1, 2].map(|c| f64::from(logits[3 * i + c]))),
                cams: cams.as_ref().map(|cams| cams[i].clone()),
            })
            .collect())
    }

    fn peak_memory_bytes(&self, shape: [usize; 3], batch: usize) -> u64 {
        // Number of maps of the first level's width that are alive in the last decoder block, which
        // takes the most memory: skip, up, their concatenation (two), input and output of a
        // convolution, and kernel scratch. Deeper levels add at most a seventh. The number was
        // checked against measured peaks.
        const LIVE: u64 = 9;
        let voxels: u64 = shape.iter().map(|&s| s as u64).product();
        let width = self.net.config().channels[0].max(self.net.config().class_channels[0]) as u64;
        4 * (voxels * batch as u64 * width * LIVE + 2 * self.parameters)
    }

    fn config_json(&self) -> serde_json::Value {
        serde_json::to_value(self.net.config()).unwrap_or_default()
    }
}

/// Grad-CAM of each window, from `features` `[batch, channels, d', h', w']` and the `weights`
/// `[channels, 3]` of the linear layer that follows their average.
pub(crate) fn window_cams(features: Tensor<5>, weights: Tensor<2>) -> Result<Vec<Cams>> {
    let [_, channels, d, h, w] = features.dims();
    let (features, weights) = (values(features)?, values(weights)?);
    let voxels = d * h * w;
    Ok(features
        .chunks_exact(channels * voxels)
        .map(|window| Cams {
            shape: [d, h, w],
            maps: class_maps(window, voxels, &weights),
        })
        .collect())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|e| {
            Error::new(
                ErrorKind::Model,
                format!("cannot read the network's output: {e:?}"),
            )
        })
}

pub(crate) fn softmax(logits: [f64; 3]) -> Probabilities {
    let top = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let e = logits.map(|l| (l - top).exp());
    let sum: f64 = e.iter().sum();
    Probabilities::from_array(e.map(|v| v / sum))
}

/// Refuses a network that neither segments nor classifies.
pub(crate) fn check_tasks(network: &dyn Network) -> Result<()> {
    if network.segments() || network.classifies() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Model,
        "the network neither segments nor classifies",
    ))
}

fn no_class() -> Error {
    Error::new(ErrorKind::Model, "the model gives no class")
}

/// Refuses values that are not probabilities.
pub(crate) fn check_tile(lesion: &[f32], classes: &[Probabilities]) -> Result<()> {
    let probability = |p: f64| (0.0..=1.0 + 1e-6).contains(&p);
    // The compiler vectorises this comparison in 32 bits. NaN fails it.
    let good = lesion
        .iter()
        .fold(true, |good, &p| good & (0.0..=1.0 + 1e-6).contains(&p));
    if good && classes.iter().flat_map(|p| p.to_array()).all(probability) {
        return Ok(());
    }
    Err(senseless())
}

/// Refuses probabilities and Grad-CAM values that a sound network cannot give.
pub(crate) fn check_output(output: &WindowOutput) -> Result<()> {
    check_tile(&output.lesion, &[output.probabilities])?;
    let finite = |c: &Cams| c.maps.iter().flatten().all(|v| v.is_finite());
    if output.cams.as_ref().is_none_or(finite) {
        return Ok(());
    }
    Err(senseless())
}

fn senseless() -> Error {
    Error::new(
        ErrorKind::Model,
        "the model's output holds values that are not probabilities (NaN or out of range)",
    )
    .hint("the training diverged or the file is damaged: use another model")
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_nn::ClassFrom;

    #[test]
    fn softmax_is_stable_and_sums_to_one() {
        let p = softmax([1000.0, 1000.0, -1000.0]);
        assert_eq!(p.to_array(), [0.5, 0.5, 0.0]);
        assert!(
            softmax([f64::NAN, 0.0, 0.0])
                .to_array()
                .iter()
                .any(|v| v.is_nan())
        );
    }

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
        let network = BurnNetwork::new(config.init(&device), device).unwrap();
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
            let network = BurnNetwork::new(config.init(&device), device.clone()).unwrap();
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
    fn a_net_without_classes_is_refused() {
        let device = Device::flex();
        let config = MultiRNetConfig {
            classification: false,
            ..MultiRNetConfig::small()
        };
        let error = BurnNetwork::new(config.init(&device), device).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
    }
}
