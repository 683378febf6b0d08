//! 3D max pooling, with a loop of our own on the CPU and the backend's 2D pooling elsewhere.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::ops::Range;

use super::flex::{dense, floats, tensor};
use crate::device::has_kernels;

/// Max pooling and its gradient.
#[backend_extension(Flex, Autodiff)]
pub trait MaxPoolOps: Backend {
    /// The largest value of each window.
    fn max_pool(
        x: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self>;

    /// The gradient of `x`, given the gradient `g` of the output. It goes to the first of each
    /// window's largest values.
    fn max_pool_grad(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self>;
}

/// Cubic windows over one channel.
#[derive(Clone, Copy)]
struct Windows {
    input: [usize; 3],
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Windows {
    fn output(&self) -> [usize; 3] {
        self.input
            .map(|n| (n + 2 * self.padding - self.kernel) / self.stride + 1)
    }

    /// Input positions of window `o` along an axis, without padding. Padding is therefore never the
    /// largest value.
    fn range(&self, o: usize, axis: usize) -> Range<usize> {
        let begin = o * self.stride;
        let end = (begin + self.kernel).saturating_sub(self.padding);
        begin.saturating_sub(self.padding)..end.min(self.input[axis])
    }

    /// Calls `found` with the index of the first of each window's largest values.
    fn visit(&self, x: &[f32], mut found: impl FnMut(usize)) {
        let [d, h, w] = self.output();
        for z in 0..d {
            let zs = self.range(z, 0);
            for y in 0..h {
                let ys = self.range(y, 1);
                for col in 0..w {
                    found(self.largest(x, [zs.clone(), ys.clone(), self.range(col, 2)]));
                }
            }
        }
    }

    fn largest(&self, x: &[f32], [zs, ys, xs]: [Range<usize>; 3]) -> usize {
        let [_, h, w] = self.input;
        let mut best = (zs.start * h + ys.start) * w + xs.start;
        for z in zs {
            for y in ys.clone() {
                let row = (z * h + y) * w;
                for i in row + xs.start..row + xs.end {
                    // NaN counts as the largest value. Skipping it would hide a broken net.
                    if x[i] > x[best] || x[i].is_nan() {
                        best = i;
                    }
                }
            }
        }
        best
    }
}

fn plan(x: &FlexTensor, kernel: usize, stride: usize, padding: usize) -> ([usize; 2], Windows) {
    let [b, c, d, h, w] = x.shape().dims::<5>();
    let windows = Windows {
        input: [d, h, w],
        kernel,
        stride,
        padding,
    };
    ([b, c], windows)
}

fn volume(shape: [usize; 3]) -> usize {
    shape.iter().product()
}

impl MaxPoolOps for Flex {
    fn max_pool(x: FlexTensor, kernel: usize, stride: usize, padding: usize) -> FlexTensor {
        let x = dense(&x);
        let ([b, c], windows) = plan(&x, kernel, stride, padding);
        let [d, h, w] = windows.output();
        let mut y = vec![0f32; b * c * d * h * w];
        y.par_chunks_mut(volume(windows.output()))
            .zip(floats(&x).par_chunks(volume(windows.input)))
            .for_each(|(y, x)| {
                let mut next = y.iter_mut();
                windows.visit(x, |i| {
                    if let Some(y) = next.next() {
                        *y = x[i];
                    }
                });
            });
        tensor(y, [b, c, d, h, w])
    }

    fn max_pool_grad(
        x: FlexTensor,
        g: FlexTensor,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> FlexTensor {
        let (x, g) = (dense(&x), dense(&g));
        let (_, windows) = plan(&x, kernel, stride, padding);
        let mut of_x = vec![0f32; floats(&x).len()];
        of_x.par_chunks_mut(volume(windows.input))
            .zip(floats(&x).par_chunks(volume(windows.input)))
            .zip(floats(&g).par_chunks(volume(windows.output())))
            .for_each(|((of_x, x), g)| {
                let mut next = g.iter();
                windows.visit(x, |i| of_x[i] += next.next().copied().unwrap_or_default());
            });
        tensor(of_x, x.shape())
    }
}

#[derive(Debug)]
struct MaxPoolBackward;

impl<B: MaxPoolOps> Backward<B, 1> for MaxPoolBackward {
    type State = (FloatTensor<B>, [usize; 3]);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let g = grads.consume::<B>(&ops.node);
        let [of_x] = ops.parents;
        let (x, [kernel, stride, padding]) = ops.state;
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::max_pool_grad(x, g, kernel, stride, padding));
        }
    }
}

impl<B: MaxPoolOps, C: CheckpointStrategy> MaxPoolOps for Autodiff<B, C> {
    fn max_pool(
        x: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        let y = B::max_pool(x.clone(), kernel, stride, padding);
        match MaxPoolBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((x, [kernel, stride, padding]), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn max_pool_grad(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        // The result is a constant, because second derivatives are not supported.
        let (x, g) = (x.into_primitive(), g.into_primitive());
        <Self as AutodiffBackend>::from_inner(B::max_pool_grad(x, g, kernel, stride, padding))
    }
}

/// 3D max pooling: the largest value of each cubic window. Padding is never the largest value.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels, d', h', w']`, each side `(side + 2·padding − kernel) / stride + 1`
///
/// # Panics
///
/// Unless `stride > 0`, `2·padding ≤ kernel` and the kernel fits into the padded input.
pub fn max_pool3d(x: Tensor<5>, kernel: usize, stride: usize, padding: usize) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    assert!(
        stride > 0 && 2 * padding <= kernel && [d, h, w].iter().all(|n| n + 2 * padding >= kernel),
        "a window of {kernel} with stride {stride} and padding {padding} does not fit into {:?}",
        [d, h, w]
    );
    if x.dtype() == DType::F32 && has_kernels(&x) {
        let y = <Dispatch as MaxPoolOps>::max_pool(x.into_dispatch(), kernel, stride, padding);
        return Tensor::from_dispatch(y);
    }
    by_planes(x, kernel, stride, padding, [b, c, d, h, w])
}

/// Pools within the planes first, then across them.
fn by_planes(
    x: Tensor<5>,
    kernel: usize,
    stride: usize,
    padding: usize,
    [b, c, d, h, w]: [usize; 5],
) -> Tensor<5> {
    let options = |k, s, p| MaxPoolOptions::<2> {
        kernel_size: k,
        stride: s,
        padding: p,
        dilation: [1; 2],
        ceil_mode: false,
    };
    let y = max_pool2d(
        x.reshape([b * c, d, h, w]),
        options(
            [kernel; 2],
            [stride; 2],
            [[padding; 2]; 2].map(|p| (p[0], p[1])),
        ),
    );
    let [_, _, h, w] = y.dims();
    let y = max_pool2d(
        y.reshape([b * c, 1, d, h * w]),
        options([kernel, 1], [stride, 1], [(padding, padding), (0, 0)]),
    );
    let [_, _, d, _] = y.dims();
    y.reshape([b, c, d, h, w])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().iter::<f32>().collect()
    }

    /// The reference is burn's own 2D pooling, applied twice. All values differ, so there are no
    /// ties.
    #[test]
    fn agrees_with_burn() {
        let device = Device::flex().autodiff();
        device.seed(6);
        for (size, kernel, stride, padding) in [
            ([4, 6, 8], 2, 2, 0),
            ([5, 7, 3], 2, 2, 0),
            ([6, 5, 8], 3, 2, 1),
            ([3, 4, 5], 3, 1, 1),
            ([3, 3, 3], 3, 1, 0),
        ] {
            let [d, h, w] = size;
            let shape = [2, 3, d, h, w];
            let x = Tensor::<5>::random(shape, Distribution::Uniform(-2.0, -1.0), &device)
                .require_grad();
            let y = max_pool3d(x.clone(), kernel, stride, padding);
            let z = by_planes(x.clone(), kernel, stride, padding, shape);
            assert_eq!(y.dims(), z.dims());
            assert_eq!(values(y.clone()), values(z.clone()), "{size:?} {kernel}");
            let g = Tensor::<5>::random(z.dims(), Distribution::Default, &device);
            let a = x.grad(&(y * g.clone()).sum().backward()).unwrap();
            let b = x.grad(&(z * g).sum().backward()).unwrap();
            for (a, b) in values(a).into_iter().zip(values(b)) {
                // Sums of up to 27 terms in another order differ only in the last digits.
                let bound = 1e-6 * b.abs().max(1.0);
                assert!((a - b).abs() < bound, "{size:?} {kernel}: {a} {b}");
            }
        }
    }

    #[test]
    fn the_first_of_equals_takes_the_gradient_and_nan_is_seen() {
        let device = Device::flex().autodiff();
        let x = Tensor::<5>::ones([1, 1, 2, 2, 2], &device).require_grad();
        let y = max_pool3d(x.clone(), 2, 2, 0);
        let grad = values(x.grad(&y.sum().backward()).unwrap());
        assert_eq!(grad, [1., 0., 0., 0., 0., 0., 0., 0.]);
        let x = Tensor::<1>::from_floats([0., 1., f32::NAN, 3., 2., 1., 0., 0.], &device);
        assert!(values(max_pool3d(x.reshape([1, 1, 2, 2, 2]), 2, 2, 0))[0].is_nan());
    }

    #[test]
    #[should_panic(expected = "a window of 3 with stride 2")]
    fn a_window_larger_than_the_input_is_refused() {
        max_pool3d(Tensor::zeros([1, 1, 2, 4, 4], &Device::flex()), 3, 2, 0);
    }
}
