//! Gradients of convolutions on GPUs, composed of burn's operations.
//!
//! burn's own gradient of the weights is a convolution whose kernel is the output's gradient: one
//! thread computes a few weights and sums over the whole batch. The first levels have few weights
//! and large maps. Most of the device would be idle there, and the sums would round badly. burn's
//! own gradient of the input is wrong if the stride is larger than the kernel.

use super::conv::{ConvOps, is_flat, options, up_options};
use burn::backend::ops::ModuleOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Cube, TensorMetadata};
use burn::tensor::{Shape, Slice};

/// Smallest number of weights with which burn's own gradient keeps the device busy.
const MANY_WEIGHTS: usize = 1 << 16;

impl ConvOps for Cube {
    fn conv_input_grad(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let [_, _, k, ..] = w.shape().dims::<5>();
        let is_flat = is_flat(&w.shape());
        if stride == 1 && k > padding && !is_flat {
            return correlate::<Self>(w, g, k - 1 - padding);
        }
        if k == 1 && padding == 0 && !is_flat {
            let at_taps = correlate::<Self>(w, g, 0);
            return spread::<Self>(&x, at_taps, stride);
        }
        let options = options(&w.shape(), stride, padding);
        Self::conv3d_x_backward(x, w, g, options)
    }

    fn conv_weight_grad(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        if w.shape().num_elements() >= MANY_WEIGHTS || is_flat(&w.shape()) {
            let options = options(&w.shape(), stride, padding);
            return Self::conv3d_weight_backward(x, w, g, options);
        }
        weight_grad::<Self>(x, g, w.shape().dims::<5>()[2], stride, padding)
    }

    fn up_weight_grad(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if w.shape().num_elements() >= MANY_WEIGHTS {
            return Self::conv_transpose3d_weight_backward(x, w, g, up_options());
        }
        // This is the weight gradient of the convolution from `g` to `x`.
        weight_grad::<Self>(g, x, 2, 2, 0)
    }
}

/// The gradient of the input of a convolution with stride 1, which is a convolution with flipped
/// weights.
fn correlate<B: Backend>(w: FloatTensor<B>, g: FloatTensor<B>, padding: usize) -> FloatTensor<B> {
    let w = B::float_swap_dims(B::float_flip(w, &[2, 3, 4]), 0, 1);
    let options = options(&w.shape(), 1, padding);
    B::conv3d(g, w, None, options)
}

/// A map of the shape of `x` whose every `stride`-th voxel comes from `values`. The others are 0.
fn spread<B: Backend>(x: &FloatTensor<B>, values: FloatTensor<B>, stride: usize) -> FloatTensor<B> {
    let zeros = B::float_zeros(x.shape(), &x.device(), x.dtype().into());
    let taps = taps([0; 3], values.shape().dims(), stride);
    B::float_slice_assign(zeros, &taps, values)
}

/// The gradient `[o, c, k, k, k]` of the weights of a convolution from `x`, `[n, c, ..]`, to an
/// output with the gradient `g`, `[n, o, ..]`. Each tap takes a matrix product per plane and their
/// sum.
fn weight_grad<B: Backend>(
    x: FloatTensor<B>,
    g: FloatTensor<B>,
    k: usize,
    stride: usize,
    padding: usize,
) -> FloatTensor<B> {
    let (c, o) = (x.shape()[1], g.shape()[1]);
    let x = pad::<B>(x, padding);
    let shape = g.shape().dims();
    let g = planes::<B>(g);
    let offsets = (0..k.pow(3)).map(|i| [i / (k * k), i / k % k, i % k]);
    let products = offsets.map(|offset| {
        let tap = B::float_slice(x.clone(), &taps(offset, shape, stride));
        let tap = B::float_swap_dims(planes::<B>(tap), 1, 2);
        B::float_sum_dim(B::float_matmul(g.clone(), tap), 0)
    });
    let all = B::float_cat(products.collect(), 0);
    B::float_reshape(
        B::float_permute(all, &[1, 2, 0]),
        Shape::new([o, c, k, k, k]),
    )
}

/// `[n, c, d, h, w]` as `[n · d, c, h · w]`.
fn planes<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [n, c, d, h, w] = x.shape().dims();
    B::float_reshape(B::float_swap_dims(x, 1, 2), Shape::new([n * d, c, h * w]))
}

/// Pads each channel with zeros.
fn pad<B: Backend>(x: FloatTensor<B>, padding: usize) -> FloatTensor<B> {
    if padding == 0 {
        return x;
    }
    let [n, c, d, h, w] = x.shape().dims();
    let around = Shape::new([n, c, d + 2 * padding, h + 2 * padding, w + 2 * padding]);
    let zeros = B::float_zeros(around, &x.device(), x.dtype().into());
    B::float_slice_assign(zeros, &taps([padding; 3], [n, c, d, h, w], 1), x)
}

/// Slices that select the voxels from `offset` on, `stride` apart, as many as the shape has.
fn taps(offset: [usize; 3], [_, _, d, h, w]: [usize; 5], stride: usize) -> [Slice; 5] {
    let axis = |from: usize, count: usize| {
        let end = from + (count - 1) * stride + 1;
        Slice::new(from as isize, Some(end as isize), stride as isize)
    };
    let [z, y, x] = offset;
    [
        Slice::full(),
        Slice::full(),
        axis(z, d),
        axis(y, h),
        axis(x, w),
    ]
}
