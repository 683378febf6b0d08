//! Pooling of each slice.

use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};

/// Applies `pool` to height and width, with all other axes merged into one.
fn per_plane(x: Tensor<5>, pool: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    let y = pool(x.reshape([b, c * d, h, w]));
    let [_, _, h, w] = y.dims();
    y.reshape([b, c, d, h, w])
}

/// Maximum over `kernel` × `kernel` pixels of each slice.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels, d, h', w']`, sides `(side + 2·padding − kernel) / stride + 1`
pub fn max_pool2d(x: Tensor<5>, kernel: usize, stride: usize, padding: usize) -> Tensor<5> {
    let options = MaxPoolOptions::new([kernel; 2])
        .with_stride([stride; 2])
        .with_padding([padding; 2]);
    per_plane(x, |x| module::max_pool2d(x, options))
}

/// Mean over `kernel` × `kernel` pixels of each slice. Padding counts as zeros if `count_padding`,
/// else the mean excludes it.
///
/// # Shapes
///
/// - as [`max_pool2d`]
pub fn avg_pool2d(
    x: Tensor<5>,
    kernel: usize,
    stride: usize,
    padding: usize,
    count_padding: bool,
) -> Tensor<5> {
    let [_, _, _, h, w] = x.dims();
    if kernel == stride && padding == 0 && h % kernel == 0 && w % kernel == 0 {
        let [b, c, d, ..] = x.dims();
        let (p, q) = (h / kernel, w / kernel);
        return x
            .reshape([b * c * d * p, kernel, q, kernel])
            .mean_dim(3)
            .mean_dim(1)
            .reshape([b, c, d, p, q]);
    }
    let options = AvgPoolOptions::new([kernel; 2])
        .with_stride([stride; 2])
        .with_padding([padding; 2])
        .with_count_include_pad(count_padding);
    per_plane(x, |x| module::avg_pool2d(x, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn image(device: &Device) -> Tensor<5> {
        Tensor::<1>::from_floats(
            core::array::from_fn::<f32, 16, _>(|i| ((7 * i) % 16) as f32),
            device,
        )
        .reshape([1, 1, 1, 4, 4])
    }

    fn values(x: Tensor<5>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn small_image_by_hand() {
        // The image is 0 7 14 5 / 12 3 10 1 / 8 15 6 13 / 4 11 2 9.
        let x = image(&Device::flex());
        assert_eq!(values(max_pool2d(x.clone(), 2, 2, 0)), [12., 14., 15., 13.]);
        assert_eq!(values(max_pool2d(x.clone(), 3, 2, 1)), [12., 14., 15., 15.]);
        let mean = [5.5, 7.5, 9.5, 7.5];
        assert_eq!(values(avg_pool2d(x.clone(), 2, 2, 0, true)), mean);
        let third = values(avg_pool2d(x.clone(), 3, 2, 1, true))[0];
        assert!((third - 22.0 / 9.0).abs() < 1e-6);
        assert_eq!(values(avg_pool2d(x, 3, 2, 1, false))[0], 5.5);
    }
}
