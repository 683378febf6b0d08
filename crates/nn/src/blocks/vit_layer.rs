//! Encoder layer of a vision transformer (Dosovitskiy et al., ICLR 2021).

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor};

/// Configuration of [`VitLayer`].
#[derive(Debug, Clone)]
pub struct VitLayerConfig {
    /// Length of a token's vector, a multiple of `heads`.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Length of the vector between the perceptron's two layers.
    pub mlp: usize,
    /// Dropout after each of the perceptron's layers.
    pub dropout: f64,
}

impl VitLayerConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> VitLayer {
        let norm = || {
            LayerNormConfig::new(self.hidden)
                .with_epsilon(1e-6)
                .init(device)
        };
        let attend = || LinearConfig::new(self.hidden, self.hidden).init(device);
        let dense = |from, to| {
            LinearConfig::new(from, to)
                .with_initializer(Initializer::XavierUniform { gain: 1.0 })
                .init(device)
        };
        VitLayer {
            attention_norm: norm(),
            query: attend(),
            key: attend(),
            value: attend(),
            out: attend(),
            mlp_norm: norm(),
            widen: dense(self.hidden, self.mlp),
            narrow: dense(self.mlp, self.hidden),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
        }
    }
}

/// Multi-head self-attention and a perceptron of two layers. Each follows a layer norm and has a
/// residual connection around it.
#[derive(Module, Debug)]
pub struct VitLayer {
    /// Norm before the attention.
    pub attention_norm: LayerNorm,
    /// Queries of every head.
    pub query: Linear,
    /// Keys of every head.
    pub key: Linear,
    /// Values of every head.
    pub value: Linear,
    /// Linear layer on the heads' outputs.
    pub out: Linear,
    /// Norm before the perceptron.
    pub mlp_norm: LayerNorm,
    /// The perceptron's first layer.
    pub widen: Linear,
    /// The perceptron's second layer.
    pub narrow: Linear,
    /// Dropout after each of the perceptron's layers.
    pub dropout: Dropout,
    /// Attention heads.
    pub heads: usize,
}

impl VitLayer {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, tokens, hidden]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attend(self.attention_norm.forward(x));
        let y = gelu(self.widen.forward(self.mlp_norm.forward(x.clone())));
        let y = self.narrow.forward(self.dropout.forward(y));
        x + self.dropout.forward(y)
    }

    fn attend(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, hidden] = x.dims();
        let per_head = hidden / self.heads;
        let split = |linear: &Linear| {
            linear
                .forward(x.clone())
                .reshape([batch, tokens, self.heads, per_head])
                .swap_dims(1, 2)
        };
        let (q, k, v) = (split(&self.query), split(&self.key), split(&self.value));
        let similarity = q.matmul(k.swap_dims(2, 3)) / (per_head as f64).sqrt();
        let heads = softmax(similarity, 3).matmul(v).swap_dims(1, 2);
        self.out.forward(heads.reshape([batch, tokens, hidden]))
    }
}
