//! V-Net's block of convolutions with a residual path.

use super::unit::{Unit, UnitConfig};
use crate::compute::Compute;
use crate::config::Norm;
use burn::module::Module;
use burn::tensor::Device;

/// Configuration of [`Residual`].
#[derive(Debug, Clone)]
pub struct ResidualConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Number of convolutions, at least 1.
    pub convs: usize,
    /// Side of the kernels.
    pub kernel_size: usize,
    /// Kind of normalisation.
    pub norm: Norm,
}

impl ResidualConfig {
    /// A block of `convs` convolutions.
    pub fn new(channels: [usize; 2], convs: usize, kernel_size: usize, norm: Norm) -> Self {
        Self {
            channels,
            convs,
            kernel_size,
            norm,
        }
    }

    /// Makes the block.
    pub fn init(&self, device: &Device) -> Residual {
        let [channels_in, channels_out] = self.channels;
        let unit = |i| {
            let from = if i == 0 { channels_in } else { channels_out };
            UnitConfig::new([from, channels_out], self.kernel_size, self.norm).init(device)
        };
        Residual {
            units: (0..self.convs).map(unit).collect(),
        }
    }
}

/// Convolutions, each with norm and PReLU. The residual is added before the last PReLU.
#[derive(Module, Debug)]
pub struct Residual {
    /// The convolutions, each with its norm and PReLU.
    pub units: Vec<Unit>,
}

impl Residual {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - `residual`: `[batch, channels_out or 1, d, h, w]`
    /// - output: `[batch, channels_out, d, h, w]`
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map, residual: C::Map) -> C::Map {
        match self.units.split_last() {
            None => on.add(x, residual),
            Some((last, first)) => {
                let x = first.iter().fold(x, |x, unit| unit.forward(on, x));
                last.forward_residual(on, x, residual)
            }
        }
    }
}
