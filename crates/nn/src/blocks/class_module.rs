//! Residual module of the classification subnet.

use super::unit::{Unit, UnitConfig};
use crate::compute::Compute;
use crate::config::Norm;
use crate::layers::{Conv, ConvConfig};
use burn::module::Module;
use burn::tensor::Device;

/// Configuration of [`ClassModule`].
#[derive(Debug, Clone)]
pub struct ClassModuleConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Stride of the first convolution.
    pub stride: usize,
    /// Kind of normalisation.
    pub norm: Norm,
}

impl ClassModuleConfig {
    /// A residual module.
    pub fn new(channels: [usize; 2], stride: usize, norm: Norm) -> Self {
        Self {
            channels,
            stride,
            norm,
        }
    }

    /// Makes the block.
    pub fn init(&self, device: &Device) -> ClassModule {
        let [channels_in, channels_out] = self.channels;
        let changes = channels_in != channels_out || self.stride != 1;
        ClassModule {
            first: UnitConfig::new(self.channels, 3, self.norm)
                .with_stride(self.stride)
                .init(device),
            second: UnitConfig::new([channels_out, channels_out], 3, self.norm).init(device),
            shortcut: changes.then(|| {
                ConvConfig::new(self.channels, 1)
                    .with_stride(self.stride)
                    .init(device)
            }),
        }
    }
}

/// Two 3³ convolutions with norm and PReLU; the residual joins before the last PReLU.
///
/// The residual path is a 1³ convolution if the shape changes, else the identity.
#[derive(Module, Debug)]
pub struct ClassModule {
    /// First convolution, which has the stride.
    pub first: Unit,
    /// Second convolution.
    pub second: Unit,
    /// 1³ convolution of the residual path, if the shape changes.
    pub shortcut: Option<Conv>,
}

impl ClassModule {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d/stride, h/stride, w/stride]`
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        let residual = match &self.shortcut {
            Some(conv) => on.conv(x.clone(), conv),
            None => x.clone(),
        };
        self.second
            .forward_residual(on, self.first.forward(on, x), residual)
    }
}
