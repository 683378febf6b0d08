//! Res2Net's block.

use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, avg_pool2d};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Configuration of [`Bottle2neck`].
#[derive(Debug, Clone)]
pub struct Bottle2neckConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Channels of each group.
    pub group: usize,
    /// Groups (the scale `s`), at least 2.
    pub groups: usize,
    /// Stride of the 3 × 3 convolutions.
    pub stride: usize,
    /// Whether this is the first block of its stage. In such a block each group sees only its own
    /// channels, and the shortcut has weights.
    pub first: bool,
}

impl Bottle2neckConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> Bottle2neck {
        let [from, to] = self.channels;
        let inner = self.group * self.groups;
        let unit = |channels, kernel| Conv2dUnitConfig::new(Conv2dConfig::new(channels, kernel));
        let conv = Conv2dConfig::new([self.group; 2], 3).with_stride(self.stride);
        Bottle2neck {
            expand: unit([from, inner], 1).init(device),
            convs: (1..self.groups)
                .map(|_| Conv2dUnitConfig::new(conv.clone()).init(device))
                .collect(),
            reduce: unit([inner, to], 1).init(device),
            shortcut: self
                .first
                .then(|| unit([from, to], 1).without_relu().init(device)),
            group: self.group,
            stride: self.stride,
        }
    }
}

/// Residual bottleneck whose 3 × 3 convolution is split into a sequence of channel groups. Each
/// group's convolution also sees the previous group's output. The last group has no convolution.
///
/// This is the variant v1b. In a stage's first block the groups do not see each other, and the last
/// one is averaged over 3 × 3 pixels. If the block has a stride, its shortcut is averaged before
/// its 1 × 1 convolution.
#[derive(Module, Debug)]
pub struct Bottle2neck {
    /// 1 × 1 convolution to all groups' channels.
    pub expand: Conv2dUnit,
    /// 3 × 3 convolutions of all groups but the last.
    pub convs: Vec<Conv2dUnit>,
    /// 1 × 1 convolution of the joined groups; the residual joins before its ReLU.
    pub reduce: Conv2dUnit,
    /// 1 × 1 convolution of the shortcut, in a stage's first block.
    pub shortcut: Option<Conv2dUnit>,
    /// Channels of each group.
    pub group: usize,
    /// Stride of the 3 × 3 convolutions.
    pub stride: usize,
}

impl Bottle2neck {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d, h/stride, w/stride]`, rounded up
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let all = self.expand.forward(x.clone());
        let group = |i: usize| all.clone().narrow(1, i * self.group, self.group);
        let mut parts: Vec<Tensor<5>> = Vec::with_capacity(self.convs.len() + 1);
        for (i, conv) in self.convs.iter().enumerate() {
            let part = match (parts.last(), &self.shortcut) {
                (Some(previous), None) => previous.clone() + group(i),
                _ => group(i),
            };
            parts.push(conv.forward(part));
        }
        let last = group(self.convs.len());
        parts.push(match self.shortcut {
            Some(_) => avg_pool2d(last, 3, self.stride, 1, true),
            None => last,
        });
        let residual = match &self.shortcut {
            Some(shortcut) if self.stride > 1 => {
                shortcut.forward(avg_pool2d(x, self.stride, self.stride, 0, false))
            }
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        self.reduce
            .forward_residual(Tensor::cat(parts, 1), residual)
    }
}
