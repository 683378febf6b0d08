//! The operations that nets are made of, independent of the engine that executes them.
//!
//! A net is defined once, over [`Compute`]. [`Eager`] executes the operations at once with burn,
//! for training and for inference on any device. Another implementation can record them: the engine
//! of `multirnet-infer` passes a recorder through the same code and plans its buffers from the
//! record.

use crate::layers::{Conv, FusionUp, NormLayer, UpConv, nearest_up2};
use burn::nn::{Dropout, Linear, PRelu};
use burn::tensor::{Tensor, activation::sigmoid};

/// The operations of a net. An implementation executes or records them.
pub trait Compute {
    /// A map of features, `[batch, channels, d, h, w]`.
    type Map: Clone;
    /// A vector of features, `[batch, features]`.
    type Vector: Clone;

    /// A convolution.
    fn conv(&self, x: Self::Map, layer: &Conv) -> Self::Map;

    /// Convolution → norm → (+ residual) → PReLU. The residual has the output's shape, or one
    /// channel, which is then added to every channel.
    fn conv_norm_act(
        &self,
        x: Self::Map,
        conv: &Conv,
        norm: &NormLayer,
        act: &PRelu,
        residual: Option<Self::Map>,
    ) -> Self::Map;

    /// Transposed 2³ convolution with stride 2 → norm → PReLU.
    fn up(&self, x: Self::Map, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Self::Map;

    /// The concatenation of the channels of both maps, those of `a` first.
    fn cat(&self, a: Self::Map, b: Self::Map) -> Self::Map;

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

    /// Global average pooling of each map, concatenation, dropout, linear layer.
    fn head(&self, maps: [Self::Map; 2], dropout: &Dropout, linear: &Linear) -> Self::Vector;
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
        act: &PRelu,
        residual: Option<Tensor<5>>,
    ) -> Tensor<5> {
        norm.forward_act(conv.forward(x), residual, act)
    }

    fn up(&self, x: Tensor<5>, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Tensor<5> {
        norm.forward_act(conv.forward(x), None, act)
    }

    fn cat(&self, a: Tensor<5>, b: Tensor<5>) -> Tensor<5> {
        Tensor::cat(vec![a, b], 1)
    }

    fn reverse_attention(&self, skip: Tensor<5>, logit: Tensor<5>) -> Tensor<5> {
        // 1 − sigmoid(s) = sigmoid(−s), and upsampling by repetition commutes with it.
        skip * nearest_up2(sigmoid(logit.neg()))
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

    fn head(&self, maps: [Tensor<5>; 2], dropout: &Dropout, linear: &Linear) -> Tensor<2> {
        let pooled = Tensor::cat(maps.map(pool).to_vec(), 1);
        linear.forward(dropout.forward(pooled))
    }
}

/// Global average pooling, `[batch, channels, d, h, w]` → `[batch, channels]`.
fn pool(x: Tensor<5>) -> Tensor<2> {
    let [b, c, d, h, w] = x.dims();
    x.reshape([b, c, d * h * w]).mean_dim(2).reshape([b, c])
}
