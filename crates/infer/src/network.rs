//! The interface between pipelines and networks.

use crate::window_batch::WindowBatch;
use crate::{Error, ErrorKind, Result};
use burn::tensor::Tensor;
use multirnet_finding::Probabilities;
use multirnet_kernels::Precision;
use multirnet_nn::class_maps;

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
/// [`Engine`](crate::Engine) and [`BurnNetwork`](crate::BurnNetwork) implement
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

    /// Frees buffers that are kept for the next run. The next run makes them anew.
    fn release(&self) {}

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
        tile_as_window(self.run(tile, false)?, blocks.len())
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

/// The output of a tile that ran as one window: each of `blocks` blocks gets the window's classes.
pub(crate) fn tile_as_window(outputs: Vec<WindowOutput>, blocks: usize) -> Result<TileOutput> {
    let output = outputs.into_iter().next();
    let output = output.ok_or_else(|| Error::new(ErrorKind::Model, "no output for a tile"))?;
    Ok(TileOutput {
        lesion: output.lesion,
        classes: vec![output.probabilities; blocks],
    })
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
}
