//! Nearest-neighbour upsampling.

use burn::tensor::Tensor;

/// Repeats each voxel twice along each spatial axis.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels, 2d, 2h, 2w]`
pub fn nearest_up2(x: Tensor<5>) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    x.reshape([b * c * d, 1, h, 1, w, 1])
        .expand([b * c * d, 2, h, 2, w, 2])
        .reshape([b, c, 2 * d, 2 * h, 2 * w])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn repeats_each_voxel() {
        let device = Device::flex();
        let x = Tensor::<1>::from_floats([1., 2., 3., 4., 5., 6., 7., 8.], &device)
            .reshape([1, 2, 1, 2, 2]);
        let y = nearest_up2(x.clone());
        assert_eq!(y.dims(), [1, 2, 2, 4, 4]);
        for (c, d, h, w) in [(0, 0, 0, 0), (0, 1, 3, 0), (1, 1, 1, 2), (1, 0, 3, 3)] {
            let at = |t: &Tensor<5>, c, d, h, w| {
                let t: Tensor<5> = t
                    .clone()
                    .slice([0..1, c..c + 1, d..d + 1, h..h + 1, w..w + 1]);
                t.into_scalar::<f32>()
            };
            assert_eq!(at(&y, c, d, h, w), at(&x, c, d / 2, h / 2, w / 2));
        }
    }
}
