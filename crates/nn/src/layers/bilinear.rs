//! Bilinear interpolation of each slice.

use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, module};

/// Each slice interpolated to `size` (height, width), as PyTorch's `interpolate` with `bilinear`.
///
/// With `align_corners` the centres of the corner pixels keep their place. Without it the outer
/// edges of the corner pixels keep their place, and positions beyond the border repeat its pixels.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels, d, size[0], size[1]]`
pub fn bilinear(x: Tensor<5>, size: [usize; 2], align_corners: bool) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    if size == [h, w] {
        return x;
    }
    let options = InterpolateOptions::new(InterpolateMode::Bilinear)
        .with_output_size(size)
        .with_align_corners(align_corners);
    module::interpolate(x.reshape([b, c * d, h, w]), options).reshape([b, c, d, size[0], size[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(align_corners: bool, size: [usize; 2]) -> Vec<f32> {
        let x = Tensor::<1>::from_floats([1.0, 2.0, 4.0, 8.0], &Device::flex());
        let y = bilinear(x.reshape([1, 1, 1, 2, 2]), size, align_corners);
        y.into_data().iter::<f32>().collect()
    }

    /// The expected values are those of PyTorch 2.0.
    #[test]
    fn both_kinds_are_pytorchs() {
        let close = |got: Vec<f32>, want: &[f32]| {
            assert_eq!(got.len(), want.len());
            assert!(
                got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6),
                "{got:?}"
            );
        };
        close(values(true, [2, 3]), &[1.0, 1.5, 2.0, 4.0, 6.0, 8.0]);
        close(
            values(false, [2, 4]),
            &[1.0, 1.25, 1.75, 2.0, 4.0, 5.0, 7.0, 8.0],
        );
        close(values(false, [1, 1]), &[3.75]);
    }
}
