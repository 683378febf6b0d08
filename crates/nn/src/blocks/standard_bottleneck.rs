//! Bottleneck of the ResNet in front of a vision transformer (Kolesnikov et al., Big Transfer,
//! ECCV 2020; Dosovitskiy et al., ICLR 2021).

use crate::layers::{GroupNorm2d, GroupNorm2dConfig, StandardConv2d, StandardConv2dConfig};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`StandardBottleneck`].
#[derive(Debug, Clone)]
pub struct StandardBottleneckConfig {
    /// Channels in, in the middle and out.
    pub channels: [usize; 3],
    /// Stride: 1, or 2 to halve the sides.
    pub stride: usize,
    /// Groups of the norms.
    pub groups: usize,
}

impl StandardBottleneckConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> StandardBottleneck {
        let [from, middle, to] = self.channels;
        let conv = |from, to, kernel| StandardConv2dConfig::new([from, to], kernel);
        let norm = |channels, groups, epsilon| {
            GroupNorm2dConfig {
                channels,
                groups,
                epsilon,
            }
            .init(device)
        };
        let projects = self.stride != 1 || from != to;
        StandardBottleneck {
            reduce: conv(from, middle, 1).init(device),
            reduce_norm: norm(middle, self.groups, 1e-6),
            spatial: conv(middle, middle, 3)
                .with_stride(self.stride)
                .init(device),
            spatial_norm: norm(middle, self.groups, 1e-6),
            expand: conv(middle, to, 1).init(device),
            expand_norm: norm(to, self.groups, 1e-6),
            project: projects.then(|| conv(from, to, 1).with_stride(self.stride).init(device)),
            project_norm: projects.then(|| norm(to, to, 1e-5)),
        }
    }
}

/// 1², 3² and 1² convolution with standardised weights and group norms, and a residual connection
/// around them. If the shape changes, the residual path has a convolution and an instance norm.
#[derive(Module, Debug)]
pub struct StandardBottleneck {
    /// 1² convolution to fewer channels.
    pub reduce: StandardConv2d,
    /// Norm after `reduce`.
    pub reduce_norm: GroupNorm2d,
    /// 3² convolution, with the stride.
    pub spatial: StandardConv2d,
    /// Norm after `spatial`.
    pub spatial_norm: GroupNorm2d,
    /// 1² convolution to more channels.
    pub expand: StandardConv2d,
    /// Norm after `expand`.
    pub expand_norm: GroupNorm2d,
    /// Convolution of the residual path, if the shape changes.
    pub project: Option<StandardConv2d>,
    /// Norm after `project`.
    pub project_norm: Option<GroupNorm2d>,
}

impl StandardBottleneck {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels[0], d, h, w]`
    /// - output: `[batch, channels[2], d, h / stride, w / stride]`, rounded up
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let y = relu(self.reduce_norm.forward(self.reduce.forward(x.clone())));
        let y = relu(self.spatial_norm.forward(self.spatial.forward(y)));
        let y = self.expand_norm.forward(self.expand.forward(y));
        let residual = match (&self.project, &self.project_norm) {
            (Some(project), Some(norm)) => norm.forward(project.forward(x)),
            _ => x,
        };
        relu(residual + y)
    }
}
