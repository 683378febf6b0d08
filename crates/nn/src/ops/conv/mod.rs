//! 3D convolutions, with this project's kernels on the CPU and the backend's own elsewhere.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, FloatDType, Shape, Tensor};
use burn_flex::FlexTensor;
use multirnet_kernels::{Conv, Values};

use super::flex::{dense, tensor, values};
use super::precision::in_bf16;
use super::rounded::{rounded, rounded_map};

/// Whether a kernel of this shape, `[out, in, d, h, w]`, is 1 × 3 × 3. It then convolves each slice by
/// itself, and its stride and padding are those within the slice.
pub(super) fn is_flat(kernel: &Shape) -> bool {
    [kernel[2], kernel[3], kernel[4]] == [1, 3, 3]
}

pub(super) fn options(kernel: &Shape, stride: usize, padding: usize) -> ConvOptions<3> {
    // Stride and padding between slices.
    let (s, p) = if is_flat(kernel) {
        (1, 0)
    } else {
        (stride, padding)
    };
    ConvOptions::new([s, stride, stride], [p, padding, padding], [1; 3], 1)
}

pub(super) fn up_options() -> ConvTransposeOptions<3> {
    ConvTransposeOptions::new([2; 3], [0; 3], [0; 3], [1; 3], 1)
}

/// Convolutions without bias, and their gradients. The default methods are the backend's own.
///
/// Products are in bf16 where an input or a gradient is ([`rounded_map`](Self::rounded_map)). Results are in `f32`.
#[backend_extension(Flex, Cube: cfg(feature = "wgpu"), Autodiff)]
pub trait ConvOps: Backend {
    /// A map in bf16, if this backend multiplies such tensors; else unchanged.
    fn rounded_map(x: FloatTensor<Self>) -> FloatTensor<Self> {
        x
    }

    /// A gradient in bf16, if this backend multiplies such tensors; else unchanged.
    fn rounded_grad(g: FloatTensor<Self>) -> FloatTensor<Self> {
        g
    }

    /// The convolution of `x` with `w`.
    fn conv(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let options = options(&w.shape(), stride, padding);
        Self::conv3d(x, w, None, options)
    }

    /// The gradient of `x`, given the gradient `g` of the output.
    fn conv_input_grad(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let options = options(&w.shape(), stride, padding);
        Self::conv3d_x_backward(x, w, g, options)
    }

    /// The gradient of `w`, given the gradient `g` of the output.
    fn conv_weight_grad(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let options = options(&w.shape(), stride, padding);
        Self::conv3d_weight_backward(x, w, g, options)
    }

    /// The transposed 2³ convolution with stride 2.
    fn up(x: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::conv_transpose3d(x, w, None, up_options())
    }

    /// The gradient of the input `x` of [`up`](Self::up).
    fn up_input_grad(w: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::conv_transpose3d_x_backward(w, g, up_options())
    }

    /// The gradient of the weights `w` of [`up`](Self::up).
    fn up_weight_grad(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv_transpose3d_weight_backward(x, w, g, up_options())
    }
}

/// Whether the kernels read tensors of this type.
fn is_supported(x: &FlexTensor) -> bool {
    matches!(x.dtype(), DType::F32 | DType::BF16)
}

/// The tensor in `f32`, for burn's own operations.
fn widened(x: FlexTensor) -> FlexTensor {
    match x.dtype() {
        DType::BF16 => Flex::float_cast(x, FloatDType::F32),
        _ => x,
    }
}

/// The convolution of `x` with `w`; `None` if this project's kernels do not support it. They need
/// `f32` and a cubic kernel, or one of 1 × 3 × 3 with a padding of 1.
pub(super) fn plan(x: &FlexTensor, w: &FlexTensor, stride: usize, padding: usize) -> Option<Conv> {
    let (s, k) = (x.shape(), w.shape());
    let fits = is_supported(x) && w.dtype() == DType::F32 && s.num_dims() == 5 && k[1] == s[1];
    if !fits {
        return None;
    }
    let (channels, shape) = ([s[1], k[0]], [s[2], s[3], s[4]]);
    if is_flat(&k) && padding == 1 {
        return Conv::flat(s[0], channels, shape, stride).ok();
    }
    let is_cubic = k[2] == k[3] && k[3] == k[4];
    let conv = || Conv::new(s[0], channels, shape, k[2], stride, padding);
    is_cubic.then(conv)?.ok()
}

/// The convolution whose input gradient is the transposed convolution of `x` with `w`.
fn plan_up(x: &FlexTensor, w: &FlexTensor) -> Option<Conv> {
    let (s, k) = (x.shape(), w.shape());
    let fits = is_supported(x)
        && w.dtype() == DType::F32
        && s.num_dims() == 5
        && k[0] == s[1]
        && [k[2], k[3], k[4]] == [2; 3];
    let shape = [2 * s[2], 2 * s[3], 2 * s[4]];
    let conv = || Conv::new(s[0], [k[1], s[1]], shape, 2, 2, 0);
    fits.then(conv)?.ok()
}

fn input_shape(c: &Conv) -> [usize; 5] {
    let [d, h, w] = c.input;
    [c.batch, c.channels_in, d, h, w]
}

pub(super) fn output_shape(c: &Conv) -> [usize; 5] {
    let [d, h, w] = c.output();
    [c.batch, c.channels_out, d, h, w]
}

fn weight_shape(c: &Conv) -> [usize; 5] {
    let [d, h, w] = c.kernel_shape();
    [c.channels_out, c.channels_in, d, h, w]
}

fn forward(conv: Option<Conv>, x: &FlexTensor, w: &FlexTensor) -> Option<FlexTensor> {
    let conv = conv?;
    let (x, w) = (dense(x), dense(w));
    let weights = w.as_slice()?;
    let y = match values(&x)? {
        Values::F32(x) => conv.forward(x, weights, None),
        x => conv.forward_bf16(x, weights),
    };
    Some(tensor(y.ok()?, output_shape(&conv)))
}

fn input_grad(conv: Option<Conv>, w: &FlexTensor, g: &FlexTensor) -> Option<FlexTensor> {
    let conv = conv?;
    let (w, g) = (dense(w), dense(g));
    let weights = w.as_slice()?;
    let y = match values(&g)? {
        Values::F32(g) => conv.input_grad(g, weights),
        g => conv.input_grad_bf16(g, weights),
    };
    Some(tensor(y.ok()?, input_shape(&conv)))
}

fn weight_grad(conv: Option<Conv>, x: &FlexTensor, g: &FlexTensor) -> Option<FlexTensor> {
    let conv = conv?;
    let (x, g) = (dense(x), dense(g));
    let y = match (values(&x)?, values(&g)?) {
        (Values::F32(x), Values::F32(g)) => conv.weight_grad(x, g),
        (x, g) => conv.weight_grad_bf16(x, g),
    };
    Some(tensor(y.ok()?, weight_shape(&conv)))
}

impl ConvOps for Flex {
    fn rounded_map(x: FlexTensor) -> FlexTensor {
        rounded_map(x)
    }

    fn rounded_grad(g: FlexTensor) -> FlexTensor {
        rounded(&dense(&g))
    }

    fn conv(x: FlexTensor, w: FlexTensor, stride: usize, padding: usize) -> FlexTensor {
        forward(plan(&x, &w, stride, padding), &x, &w).unwrap_or_else(|| {
            let options = options(&w.shape(), stride, padding);
            Self::conv3d(widened(x), w, None, options)
        })
    }

    fn conv_input_grad(
        x: FlexTensor,
        w: FlexTensor,
        g: FlexTensor,
        stride: usize,
        padding: usize,
    ) -> FlexTensor {
        input_grad(plan(&x, &w, stride, padding), &w, &g).unwrap_or_else(|| {
            let options = options(&w.shape(), stride, padding);
            Self::conv3d_x_backward(widened(x), w, widened(g), options)
        })
    }

    fn conv_weight_grad(
        x: FlexTensor,
        w: FlexTensor,
        g: FlexTensor,
        stride: usize,
        padding: usize,
    ) -> FlexTensor {
        weight_grad(plan(&x, &w, stride, padding), &x, &g).unwrap_or_else(|| {
            let options = options(&w.shape(), stride, padding);
            Self::conv3d_weight_backward(widened(x), w, widened(g), options)
        })
    }

    fn up(x: FlexTensor, w: FlexTensor) -> FlexTensor {
        input_grad(plan_up(&x, &w), &w, &x)
            .unwrap_or_else(|| Self::conv_transpose3d(widened(x), w, None, up_options()))
    }

    fn up_input_grad(w: FlexTensor, g: FlexTensor) -> FlexTensor {
        // This is a convolution of `g` to the input's channels, with the weights
        // `[C_in, C_out, 2, 2, 2]`.
        forward(plan(&g, &w, 2, 0), &g, &w)
            .unwrap_or_else(|| Self::conv_transpose3d_x_backward(w, widened(g), up_options()))
    }

    fn up_weight_grad(x: FlexTensor, w: FlexTensor, g: FlexTensor) -> FlexTensor {
        weight_grad(plan_up(&x, &w), &g, &x).unwrap_or_else(|| {
            Self::conv_transpose3d_weight_backward(widened(x), w, widened(g), up_options())
        })
    }
}

#[derive(Debug)]
struct ConvBackward;

/// Input, weights, stride, padding, and whether products are in bf16.
type ConvState<B> = (FloatTensor<B>, FloatTensor<B>, usize, usize, bool);

impl<B: ConvOps> Backward<B, 2> for ConvBackward {
    type State = ConvState<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_x, of_w] = ops.parents;
        let g = grads.consume::<B>(&ops.node);
        let (x, w, stride, padding, in_bf16) = ops.state;
        // Both gradients read the rounded one.
        let g = if in_bf16 { B::rounded_grad(g) } else { g };
        // The weights come first: working memory of theirs is gone before there is a gradient of the map.
        if let Some(node) = of_w {
            let grad = B::conv_weight_grad(x.clone(), w.clone(), g.clone(), stride, padding);
            grads.register::<B>(node.id, grad);
        }
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::conv_input_grad(x, w, g, stride, padding));
        }
    }
}

#[derive(Debug)]
struct UpBackward;

impl<B: ConvOps> Backward<B, 2> for UpBackward {
    /// Input, weights, and whether products are in bf16.
    type State = (FloatTensor<B>, FloatTensor<B>, bool);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_x, of_w] = ops.parents;
        let g = grads.consume::<B>(&ops.node);
        let (x, w, in_bf16) = ops.state;
        let g = if in_bf16 { B::rounded_grad(g) } else { g };
        if let Some(node) = of_w {
            let grad = B::up_weight_grad(x, w.clone(), g.clone());
            grads.register::<B>(node.id, grad);
        }
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::up_input_grad(w, g));
        }
    }
}

/// What the backward pass keeps: the input, in bf16 if passes are recorded so, the weights, and whether
/// products are in bf16.
fn kept<B: ConvOps>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, bool) {
    let in_bf16 = in_bf16();
    (if in_bf16 { B::rounded_map(x) } else { x }, w, in_bf16)
}

impl<B: ConvOps, C: CheckpointStrategy> ConvOps for Autodiff<B, C> {
    fn conv(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node()];
        match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (x, w, in_bf16) = kept::<B>(x.into_primitive(), w.into_primitive());
                let y = B::conv(x.clone(), w.clone(), stride, padding);
                prep.finish((x, w, stride, padding, in_bf16), y)
            }
            OpsKind::UnTracked(prep) => {
                let y = B::conv(x.into_primitive(), w.into_primitive(), stride, padding);
                prep.finish(y)
            }
        }
    }

    fn up(x: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node()];
        match UpBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (x, w, in_bf16) = kept::<B>(x.into_primitive(), w.into_primitive());
                let y = B::up(x.clone(), w.clone());
                prep.finish((x, w, in_bf16), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::up(x.into_primitive(), w.into_primitive())),
        }
    }
}

/// 3D convolution (cross-correlation, as in every deep-learning library).
///
/// # Shapes
///
/// - `x`: `[batch, channels_in, d, h, w]`
/// - `weight`: `[channels_out, channels_in, k, k, k]`, or `[…, 1, 3, 3]` to convolve each slice by itself, with
///   stride and padding within the slice
/// - `bias`: `[channels_out]`
/// - output: `[batch, channels_out, d', h', w']`, each side `(side + 2·padding − k) / stride + 1`
pub fn conv3d(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<5> {
    let y = <Dispatch as ConvOps>::conv(x.into_dispatch(), weight.into_dispatch(), stride, padding);
    with_bias(Tensor::from_dispatch(y), bias)
}

/// 2³ transposed convolution with stride 2, which doubles each side.
///
/// # Shapes
///
/// - `x`: `[batch, channels_in, d, h, w]`
/// - `weight`: `[channels_in, channels_out, 2, 2, 2]`
/// - `bias`: `[channels_out]`
/// - output: `[batch, channels_out, 2d, 2h, 2w]`
pub fn up2(x: Tensor<5>, weight: Tensor<5>, bias: Option<Tensor<1>>) -> Tensor<5> {
    let y = <Dispatch as ConvOps>::up(x.into_dispatch(), weight.into_dispatch());
    with_bias(Tensor::from_dispatch(y), bias)
}

fn with_bias(y: Tensor<5>, bias: Option<Tensor<1>>) -> Tensor<5> {
    match bias {
        Some(bias) => {
            let [channels] = bias.dims();
            y + bias.reshape([1, channels, 1, 1, 1])
        }
        None => y,
    }
}

#[cfg(test)]
mod tests;
