//! 2D convolutions of slices, mostly with the 3D kernels.
//!
//! A 3 × 3 convolution is one of 1 × 3 × 3 in three dimensions. With Winograd's algorithm this takes
//! 2.25 multiplications per output, a quarter of those of a direct convolution. For a dilation r, every
//! r-th row and column become an image of their own. All other shapes use burn's `conv2d`.
//! `cargo run --release -p multirnet-nn --example conv2d` times both ways.

use super::conv::conv3d;
use crate::device::has_kernels;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

/// Largest number of pixels of slices that a 1 × 1 convolution merges into one line.
const LINE: usize = 4096;

/// Stride, padding, dilation and groups of a 2D convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Stride along each axis.
    pub stride: usize,
    /// Zero padding above and below, and left and right.
    pub padding: [usize; 2],
    /// Distance between the kernel's taps.
    pub dilation: usize,
    /// Number of channel groups that are convolved separately.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    /// Stride 1, no padding, dilation 1, one group.
    fn default() -> Self {
        Self {
            stride: 1,
            padding: [0; 2],
            dilation: 1,
            groups: 1,
        }
    }
}

/// The slices of windows as a batch of images.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch · d, channels, h, w]`
pub fn to_slices(x: Tensor<5>) -> Tensor<4> {
    let [b, c, d, h, w] = x.dims();
    x.swap_dims(1, 2).reshape([b * d, c, h, w])
}

/// Images as windows of `depth` slices, the reverse of [`to_slices`].
///
/// # Shapes
///
/// - input: `[batch · depth, channels, h, w]`
/// - output: `[batch, channels, depth, h, w]`
///
/// # Panics
///
/// If `depth` does not divide the number of images.
pub fn from_slices(x: Tensor<4>, depth: usize) -> Tensor<5> {
    let [n, c, h, w] = x.dims();
    assert_eq!(
        n % depth,
        0,
        "{n} images do not make up windows of {depth} slices"
    );
    x.reshape([n / depth, depth, c, h, w]).swap_dims(1, 2)
}

/// Number of slices, of `depth` slices of `plane` pixels, that a 1 × 1 convolution merges into one
/// line. The kernels are fastest on long lines, but need enough lines for all threads.
fn folded(depth: usize, plane: usize) -> usize {
    let fits = |n: &usize| depth.is_multiple_of(*n) && (*n == 1 || n * plane <= LINE);
    (1..=depth).rev().find(fits).unwrap_or(1)
}

/// 2D convolution (cross-correlation) of each slice by itself.
///
/// # Shapes
///
/// - `x`: `[batch, channels_in, d, h, w]`
/// - `weight`: `[channels_out, channels_in / groups, kh, kw]`
/// - `bias`: `[channels_out]`
/// - output: `[batch, channels_out, d, h', w']`, each side
///   `(side + 2·padding − dilation·(k − 1) − 1) / stride + 1`
pub fn conv2d(
    x: Tensor<5>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: Conv2dOptions,
) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    let [_, _, kh, kw] = weight.dims();
    let Conv2dOptions {
        stride,
        padding,
        dilation: r,
        groups,
    } = options;
    let cubic = kh == kw && (kh == 1 || kh == 3) && groups == 1 && has_kernels(&x);
    let same = padding == [kh / 2 * r; 2];
    if cubic && same && stride == 1 && kh == 1 {
        let n = folded(d, h * w);
        let y = conv3d(
            x.reshape([b, c, d / n, n, h * w]),
            weight.unsqueeze_dim(2),
            bias,
            1,
            0,
        );
        let o = y.dims()[1];
        return y.reshape([b, o, d, h, w]);
    }
    if cubic && same && kh == 3 && r == 1 {
        return conv3d(x, weight.unsqueeze_dim(2), bias, stride, 1);
    }
    if cubic && same && stride == 1 && h % r == 0 && w % r == 0 {
        // Taps at distance r see every r-th row and column, so a slice splits into r² separate
        // images.
        let (p, q) = (h / r, w / r);
        let x = x
            .reshape([b * c * d, p, r, q, r])
            .permute([0, 2, 4, 1, 3])
            .reshape([b, c, d * r * r, p, q]);
        let y = conv3d(x, weight.unsqueeze_dim(2), bias, 1, 1);
        let o = y.dims()[1];
        return y
            .reshape([b * o * d, r, r, p, q])
            .permute([0, 3, 1, 4, 2])
            .reshape([b, o, d, h, w]);
    }
    if cubic && same && kh == 1 {
        // A 3D stride would skip slices. Each slice is therefore a volume of its own.
        let slices = to_slices(x).reshape([b * d, c, 1, h, w]);
        let y = conv3d(slices, weight.unsqueeze_dim(2), bias, stride, 0);
        let [n, o, _, p, q] = y.dims();
        return from_slices(y.reshape([n, o, p, q]), d);
    }
    let options = ConvOptions::new([stride; 2], padding, [r; 2], groups);
    from_slices(module::conv2d(to_slices(x), weight, bias, options), d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn close<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
        assert_eq!(a.dims(), b.dims(), "{what}");
        let diff: f32 = (a - b.clone()).abs().max().into_scalar();
        let scale: f32 = b.abs().max().into_scalar();
        assert!(diff <= 1e-4 * scale.max(1.0), "{what}: {diff} of {scale}");
    }

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
    }

    #[test]
    fn every_way_agrees_with_burn() {
        let device = Device::flex().autodiff();
        // Cases of kernel, stride, padding, dilation and groups.
        for (kernel, stride, padding, dilation, groups) in [
            ([3, 3], 1, [1, 1], 1, 1),
            ([1, 1], 1, [0, 0], 1, 1),
            ([3, 3], 2, [1, 1], 1, 1),
            ([1, 1], 2, [0, 0], 1, 1),
            ([3, 3], 1, [2, 2], 2, 1),
            ([3, 3], 1, [5, 5], 5, 1),
            ([3, 3], 1, [0, 0], 1, 1),
            ([7, 7], 2, [3, 3], 1, 1),
            ([1, 5], 1, [0, 2], 1, 1),
            ([3, 3], 1, [1, 1], 1, 2),
        ] {
            let what = format!("{kernel:?} {stride} {padding:?} {dilation} {groups}");
            let x = random([2, 4, 3, 8, 12], &device).require_grad();
            let w = random([6, 4 / groups, kernel[0], kernel[1]], &device).require_grad();
            let bias = random([6], &device);
            let options = Conv2dOptions {
                stride,
                padding,
                dilation,
                groups,
            };
            let ours = conv2d(x.clone(), w.clone(), Some(bias.clone()), options);
            let burns = ConvOptions::new([stride; 2], padding, [dilation; 2], groups);
            let theirs = module::conv2d(to_slices(x.clone()), w.clone(), Some(bias), burns);
            let theirs = from_slices(theirs, 3);
            close(&what, ours.clone(), theirs.clone());
            let g = random(ours.dims(), &device);
            let a = (ours * g.clone()).sum().backward();
            let b = (theirs * g).sum().backward();
            close(&what, x.grad(&a).unwrap(), x.grad(&b).unwrap());
            close(&what, w.grad(&a).unwrap(), w.grad(&b).unwrap());
        }
    }

    #[test]
    fn slices_keep_their_place() {
        let x = random([2, 3, 4, 5, 6], &Device::flex());
        let slices = to_slices(x.clone());
        let one = slices.clone().slice([6..7, 1..2]).reshape([5, 6]);
        let same = x
            .clone()
            .slice([1..2, 1..2, 2..3, 0..5, 0..6])
            .reshape([5, 6]);
        close("slice 2 of window 1", one, same);
        close("back", from_slices(slices, 4), x);
    }
}
