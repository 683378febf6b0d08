//! 3D pooling.

pub use crate::ops::pool::max_pool3d;
use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

/// Average pooling over cubes of `side` voxels. A remainder at the far end of an axis is dropped,
/// as PyTorch's `AvgPool3d` does.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels, ⌊d/side⌋, ⌊h/side⌋, ⌊w/side⌋]`
///
/// # Panics
///
/// If `side` is 0 or larger than a side of the input.
pub fn avg_pool3d(x: Tensor<5>, side: usize) -> Tensor<5> {
    if side == 1 {
        return x;
    }
    let [b, c, d, h, w] = x.dims();
    assert!(
        side > 0 && [d, h, w].iter().all(|n| *n >= side),
        "a cube of side {side} does not fit into {:?}",
        [d, h, w]
    );
    // It averages within the planes first, then across them.
    let y = avg_pool2d(
        x.reshape([b * c, d, h, w]),
        AvgPoolOptions::new([side, side]),
    );
    let [_, _, h, w] = y.dims();
    let y = avg_pool2d(
        y.reshape([b * c, 1, d, h * w]),
        AvgPoolOptions::new([side, 1]),
    );
    y.reshape([b, c, d / side, h, w])
}

/// Global average pooling: the mean of each channel over all voxels.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels]`
pub fn global_avg_pool(x: Tensor<5>) -> Tensor<2> {
    let [b, c, d, h, w] = x.dims();
    x.reshape([b, c, d * h * w]).mean_dim(2).reshape([b, c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().iter::<f32>().collect()
    }

    fn ramp(shape: [usize; 5], device: &Device) -> Tensor<5> {
        let n = shape.iter().product::<usize>() as u16;
        let values: Vec<f32> = (0..n).map(f32::from).collect();
        Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
    }

    #[test]
    fn means_by_hand() {
        let device = Device::flex();
        // Values are 12 z + 4 y + x. The third row does not fill a cube and is dropped.
        let y = avg_pool3d(ramp([1, 1, 2, 3, 4], &device), 2);
        assert_eq!(y.dims(), [1, 1, 1, 1, 2]);
        // (0 + 1 + 4 + 5 + 12 + 13 + 16 + 17) / 8, and two more.
        assert_eq!(values(y), [8.5, 10.5]);
        let x = ramp([2, 1, 1, 2, 2], &device);
        assert_eq!(values(global_avg_pool(x.clone())), [1.5, 5.5]);
        assert_eq!(values(avg_pool3d(x.clone(), 1)), values(x));
    }

    #[test]
    fn the_gradient_is_shared_evenly() {
        let device = Device::flex().autodiff();
        let x = ramp([1, 2, 4, 4, 4], &device).require_grad();
        let grads = avg_pool3d(x.clone(), 4).sum().backward();
        let grad = values(x.grad(&grads).unwrap());
        assert!(grad.iter().all(|g| (g - 1.0 / 64.0).abs() < 1e-7));
    }
}
