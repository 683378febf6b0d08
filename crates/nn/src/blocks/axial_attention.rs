//! Self-attention along one axis of each slice (Wang et al., Axial-DeepLab, ECCV 2020), with gates
//! on its relative positions (Valanarasu et al., Medical Transformer, MICCAI 2021).

use crate::config::Norm;
use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, NormConfig, NormLayer};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};

/// The axis along which attention runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Attention within each column.
    Height,
    /// Attention within each row.
    Width,
}

/// Configuration of [`AxialAttention`].
#[derive(Debug, Clone)]
pub struct AxialAttentionConfig {
    /// Channels in and out; an even multiple of `heads`.
    pub channels: usize,
    /// Number of attention heads. A query and a key have half as many channels as a value.
    pub heads: usize,
    /// Length of the axis; `None` for a block without relative positions.
    pub positions: Option<usize>,
}

impl AxialAttentionConfig {
    /// Makes the block. Position embeddings are drawn from a normal distribution with variance
    /// 1 / (channels per head).
    pub fn init(&self, device: &Device) -> AxialAttention {
        let Self {
            channels, heads, ..
        } = *self;
        let norm = |channels: usize| NormConfig::new(Norm::Batch, channels).init(device);
        let positions = self.positions.map(|length| Positions {
            relative: Initializer::Normal {
                mean: 0.0,
                std: (heads as f64 / channels as f64).sqrt(),
            }
            .init([2 * channels / heads, 2 * length - 1], device),
            gates: Param::from_data([0.1, 0.1, 1.0, 0.1], device),
            query_norm: norm(heads),
            key_norm: norm(heads),
            value_norm: norm(channels),
        });
        AxialAttention {
            qkv: Conv2dUnitConfig::new(Conv2dConfig::new([channels, 2 * channels], 1))
                .without_relu()
                .init(device),
            similarity_norm: norm(heads),
            output_norm: norm(channels),
            positions,
            heads,
        }
    }
}

/// Multi-head self-attention along one axis.
///
/// As published, similarities are not divided by the square root of the channels. Instead, a batch
/// norm scales each of their terms. Each term of the output has its own batch norm too.
#[derive(Module, Debug)]
pub struct AxialAttention {
    /// Queries, keys and values of every head.
    pub qkv: Conv2dUnit,
    /// Norm of the similarities, by head.
    pub similarity_norm: NormLayer,
    /// Norm of the output.
    pub output_norm: NormLayer,
    /// Relative positions, if the block has them.
    pub positions: Option<Positions>,
    /// Attention heads.
    pub heads: usize,
}

/// Relative positions. They act on queries, keys and values, each through a trained gate.
#[derive(Module, Debug)]
pub struct Positions {
    /// Embedding of each distance, `[2 · channels per head, 2 · length − 1]`. A quarter of the rows
    /// is for queries, a quarter for keys, and the rest for values. All heads share them.
    pub relative: Param<Tensor<2>>,
    /// Gates of the terms of the query, the key, the value and the value's position.
    pub gates: Param<Tensor<1>>,
    /// Norm of the query's term of the similarities, by head.
    pub query_norm: NormLayer,
    /// Norm of the key's term of the similarities, by head.
    pub key_norm: NormLayer,
    /// Norm of the positions' term of the output.
    pub value_norm: NormLayer,
}

impl Positions {
    /// The embedding of the distance `i − j` at `[:, i, j]`, `[2 · channels per head, n, n]`.
    fn embeddings(&self) -> Tensor<3> {
        let relative = self.relative.val();
        let [rows, distances] = relative.dims();
        let n = distances.div_ceil(2);
        let index: Vec<i32> = (0..n * n)
            .map(|at| (at / n + n - 1 - at % n) as i32)
            .collect();
        let index = Tensor::<1, Int>::from_data(index.as_slice(), &relative.device());
        relative.select(1, index).reshape([rows, n, n])
    }

    fn gate<const D: usize>(&self, which: usize) -> Tensor<D> {
        self.gates.val().narrow(0, which, 1).reshape([1; D])
    }
}

/// The product of `x`, `[lines, heads, channels, n]`, and an embedding `[channels, n, m]` over the
/// channels, separately for each of the n places: `[lines, heads, n, m]`.
fn by_place(x: Tensor<4>, embedding: Tensor<3>) -> Tensor<4> {
    let [lines, heads, channels, n] = x.dims();
    let m = embedding.dims()[2];
    let x = x
        .permute([3, 0, 1, 2])
        .reshape([n, lines * heads, channels]);
    let y = x.matmul(embedding.permute([1, 0, 2]));
    y.permute([1, 0, 2]).reshape([lines, heads, n, m])
}

/// `x` normalised by head, plus `sum` if there is one; all are `[lines, heads, n, n]`.
fn add_normed(norm: &NormLayer, x: Tensor<4>, sum: Option<Tensor<4>>) -> Tensor<4> {
    let sum = sum.map(|sum| sum.unsqueeze_dim(2));
    norm.forward_slope(x.unsqueeze_dim(2), sum, 1.0)
        .squeeze_dim(2)
}

impl AxialAttention {
    /// Applies the block along `axis`.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, d, h, w]`; a block with positions needs the axis
    ///   length that it was made for
    pub fn forward(&self, x: Tensor<5>, axis: Axis) -> Tensor<5> {
        let [batch, channels, d, h, w] = x.dims();
        let per_head = channels / self.heads;
        let half = per_head / 2;
        let qkv = self
            .qkv
            .forward(x)
            .reshape([batch, self.heads, 2 * per_head, d, h, w]);
        let (lines, n, qkv) = match axis {
            Axis::Height => (batch * d * w, h, qkv.permute([0, 3, 5, 1, 2, 4])),
            Axis::Width => (batch * d * h, w, qkv.permute([0, 3, 4, 1, 2, 5])),
        };
        let qkv = qkv.reshape([lines, self.heads, 2 * per_head, n]);
        let q = qkv.clone().narrow(2, 0, half);
        let k = qkv.clone().narrow(2, half, half);
        let v = qkv.narrow(2, per_head, per_head);
        let size = [batch, d, h, w];

        let similarity = q.clone().swap_dims(2, 3).matmul(k.clone());
        let similarity = add_normed(&self.similarity_norm, similarity, None);
        let Some(positions) = &self.positions else {
            let attention = softmax(similarity, 3);
            let out = to_map(v.matmul(attention.swap_dims(2, 3)), size, axis);
            return self.output_norm.forward_slope(out, None, 1.0);
        };
        let embeddings = positions.embeddings();
        // A gate on the embedding equals a gate on the product and costs less.
        let part =
            |start, len, gate| embeddings.clone().narrow(0, start, len) * positions.gate(gate);
        let query_term = by_place(q, part(0, half, 0));
        let similarity = add_normed(&positions.query_norm, query_term, Some(similarity));
        let key_term = by_place(k, part(half, half, 1)).swap_dims(2, 3);
        let similarity = add_normed(&positions.key_norm, key_term, Some(similarity));
        let attention = softmax(similarity, 3).swap_dims(2, 3);
        let value_term = v.matmul(attention.clone()) * positions.gate(2);
        // `[channels, i, j]` becomes `[j, i, channels]`, because the sum for each i runs over j.
        let place = part(per_head, per_head, 3).permute([2, 1, 0]);
        let place_term = by_place(attention, place).swap_dims(2, 3);
        let out = self
            .output_norm
            .forward_slope(to_map(value_term, size, axis), None, 1.0);
        positions
            .value_norm
            .forward_slope(to_map(place_term, size, axis), Some(out), 1.0)
    }
}

/// Lines `[lines, heads, channels per head, n]` back to a map `[batch, channels, d, h, w]`.
fn to_map(lines: Tensor<4>, [batch, d, h, w]: [usize; 4], axis: Axis) -> Tensor<5> {
    let [_, heads, per_head, _] = lines.dims();
    let channels = heads * per_head;
    match axis {
        Axis::Height => lines
            .reshape([batch, d, w, channels, h])
            .permute([0, 3, 1, 4, 2]),
        Axis::Width => lines
            .reshape([batch, d, h, channels, w])
            .permute([0, 3, 1, 2, 4]),
    }
}
