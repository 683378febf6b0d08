//! The operations that nets are made of, independent of the engine that executes them.
//!
//! A net is defined once, over [`Compute`]. [`Eager`] executes the operations at once with burn,
//! for training and for inference on any device. Another implementation can record them: the engine
//! of `multirnet-infer` passes a recorder through the same code and plans its buffers from the
//! record.

use crate::layers::{
    Conv, FusionUp, NormLayer, UpConv, avg_pool3d, conv_norm_act, global_avg_pool, max_pool3d,
    nearest_up2, trilinear_up2,
};
use crate::ops::gate::gate;
use crate::ops::join::join;
use burn::nn::{Dropout, Linear, PRelu};
use burn::tensor::{Tensor, activation::sigmoid};

/// What follows a norm.
#[derive(Debug, Clone, Copy)]
pub enum Activation<'a> {
    /// A PReLU with trained slopes.
    PRelu(&'a PRelu),
    /// A ReLU.
    Relu,
}

/// Cubic windows of a max pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolWindow {
    /// Side of the window.
    pub side: usize,
    /// Stride along each axis.
    pub stride: usize,
    /// Padding on each side, which is never the largest value.
    pub padding: usize,
}

impl PoolWindow {
    /// Windows of 2³ voxels that do not overlap.
    pub const HALVING: Self = Self {
        side: 2,
        stride: 2,
        padding: 0,
    };
}

/// The operations of a net. An implementation executes or records them.
pub trait Compute {
    /// A map of features, `[batch, channels, d, h, w]`.
    type Map: Clone;
    /// A vector of features, `[batch, features]`.
    type Vector: Clone;

    /// A convolution.
    fn conv(&self, x: Self::Map, layer: &Conv) -> Self::Map;

    /// Convolution → norm → (+ residual) → activation. The residual has the output's shape, or one
    /// channel, which is then added to every channel.
    fn conv_norm_act(
        &self,
        x: Self::Map,
        conv: &Conv,
        norm: &NormLayer,
        act: Activation<'_>,
        residual: Option<Self::Map>,
    ) -> Self::Map;

    /// Norm → ReLU, of a map that no convolution precedes.
    fn norm_relu(&self, x: Self::Map, norm: &NormLayer) -> Self::Map;

    /// Transposed 2³ convolution with stride 2 → norm → PReLU.
    fn up(&self, x: Self::Map, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Self::Map;

    /// Transposed 2³ convolution with stride 2 and nothing after it.
    fn up_conv(&self, x: Self::Map, conv: &UpConv) -> Self::Map;

    /// Trilinear upsampling by 2; see [`trilinear_up2`].
    fn trilinear_up2(&self, x: Self::Map) -> Self::Map;

    /// The concatenation of the channels of all maps, in their order.
    ///
    /// # Panics
    ///
    /// If `maps` is empty.
    fn cat(&self, maps: Vec<Self::Map>) -> Self::Map;

    /// [`cat`](Self::cat) for a map that only convolutions read. It may be in the precision that they read.
    ///
    /// # Panics
    ///
    /// If `maps` is empty.
    fn cat_for_conv(&self, maps: Vec<Self::Map>) -> Self::Map {
        self.cat(maps)
    }

    /// The largest value of each window.
    fn max_pool(&self, x: Self::Map, window: PoolWindow) -> Self::Map;

    /// The mean over cubes of `side` voxels; see [`avg_pool3d`].
    fn avg_pool(&self, x: Self::Map, side: usize) -> Self::Map;

    /// The sigmoid of each value.
    fn sigmoid(&self, x: Self::Map) -> Self::Map;

    /// `skip ⊙ (1 − sigmoid(up2(logit)))`. The logit has one channel and half the sides; it is
    /// upsampled by nearest neighbour and applies to all channels.
    fn reverse_attention(&self, skip: Self::Map, logit: Self::Map) -> Self::Map;

    /// `sigmoid(Σ_i ω_i · UP_i(S_i))` over `(S_i, UP_i, ω_i)`.
    ///
    /// # Panics
    ///
    /// If `parts` is empty.
    fn fuse(&self, parts: Vec<(Self::Map, &FusionUp, f64)>) -> Self::Map;

    /// The maximum over channels, with one channel.
    fn channel_max(&self, x: Self::Map) -> Self::Map;

    /// The product of two maps of the same shape.
    fn multiply(&self, a: Self::Map, b: Self::Map) -> Self::Map;

    /// The sum of two maps of the same shape.
    fn add(&self, a: Self::Map, b: Self::Map) -> Self::Map;

    /// The same map, detached from the gradient. Its values do not change, so an implementation
    /// without gradients returns the map as it is.
    fn detach(&self, x: Self::Map) -> Self::Map {
        x
    }

    /// Global average pooling of each map, concatenation, dropout if there is one, linear layer.
    ///
    /// # Panics
    ///
    /// If `maps` is empty.
    fn head(
        &self,
        maps: Vec<Self::Map>,
        dropout: Option<&Dropout>,
        linear: &Linear,
    ) -> Self::Vector;
}

/// Executes each operation at once, with burn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Eager;

impl Compute for Eager {
    type Map = Tensor<5>;
    type Vector = Tensor<2>;

    fn conv(&self, x: Tensor<5>, layer: &Conv) -> Tensor<5> {
        layer.forward(x)
    }

    fn conv_norm_act(
        &self,
        x: Tensor<5>,
        conv: &Conv,
        norm: &NormLayer,
        act: Activation<'_>,
        residual: Option<Tensor<5>>,
    ) -> Tensor<5> {
        let slopes = match act {
            Activation::PRelu(act) => Some(act),
            Activation::Relu => None,
        };
        if let Some(y) = conv_norm_act(&x, conv, norm, slopes, residual.as_ref()) {
            return y;
        }
        let x = conv.forward(x);
        match act {
            Activation::PRelu(act) => norm.forward_act(x, residual, act),
            Activation::Relu => norm.forward_slope(x, residual, 0.0),
        }
    }

    fn norm_relu(&self, x: Tensor<5>, norm: &NormLayer) -> Tensor<5> {
        norm.forward_slope(x, None, 0.0)
    }

    fn up(&self, x: Tensor<5>, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Tensor<5> {
        norm.forward_act(conv.forward(x), None, act)
    }

    fn up_conv(&self, x: Tensor<5>, conv: &UpConv) -> Tensor<5> {
        conv.forward(x)
    }

    fn trilinear_up2(&self, x: Tensor<5>) -> Tensor<5> {
        trilinear_up2(x)
    }

    fn cat(&self, maps: Vec<Tensor<5>>) -> Tensor<5> {
        Tensor::cat(maps, 1)
    }

    fn cat_for_conv(&self, maps: Vec<Tensor<5>>) -> Tensor<5> {
        let joined = match &maps[..] {
            [a, b] => join(a, b),
            _ => None,
        };
        joined.unwrap_or_else(|| self.cat(maps))
    }

    fn max_pool(&self, x: Tensor<5>, window: PoolWindow) -> Tensor<5> {
        max_pool3d(x, window.side, window.stride, window.padding)
    }

    fn avg_pool(&self, x: Tensor<5>, side: usize) -> Tensor<5> {
        avg_pool3d(x, side)
    }

    fn sigmoid(&self, x: Tensor<5>) -> Tensor<5> {
        sigmoid(x)
    }

    fn reverse_attention(&self, skip: Tensor<5>, logit: Tensor<5>) -> Tensor<5> {
        // 1 − sigmoid(s) = sigmoid(−s), and upsampling by repetition commutes with it.
        let weights = sigmoid(logit.neg());
        gate(&skip, &weights).unwrap_or_else(|| skip * nearest_up2(weights))
    }

    fn fuse(&self, parts: Vec<(Tensor<5>, &FusionUp, f64)>) -> Tensor<5> {
        let sum = parts
            .into_iter()
            .map(|(x, up, weight)| up.forward(x).mul_scalar(weight))
            .reduce(|a, b| a + b);
        sigmoid(sum.expect("a fusion has parts"))
    }

    fn channel_max(&self, x: Tensor<5>) -> Tensor<5> {
        x.max_dim(1)
    }

    fn multiply(&self, a: Tensor<5>, b: Tensor<5>) -> Tensor<5> {
        a * b
    }

    fn add(&self, a: Tensor<5>, b: Tensor<5>) -> Tensor<5> {
        a + b
    }

    fn detach(&self, x: Tensor<5>) -> Tensor<5> {
        x.detach()
    }

    fn head(&self, maps: Vec<Tensor<5>>, dropout: Option<&Dropout>, linear: &Linear) -> Tensor<2> {
        let pooled = Tensor::cat(maps.into_iter().map(global_avg_pool).collect(), 1);
        linear.forward(match dropout {
            Some(dropout) => dropout.forward(pooled),
            None => pooled,
        })
    }
}
