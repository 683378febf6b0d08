//! Trilinear upsampling.

use burn::tensor::{Device, Tensor, TensorData};

/// Doubles each side by trilinear interpolation between voxel centres. Positions beyond the
/// outermost centres repeat the outermost voxels (PyTorch's
/// `Upsample(scale_factor=2, mode="trilinear", align_corners=False)`).
///
/// It takes one matrix product for each axis. These cost as much as a few convolution taps and have
/// fast gradients.
///
/// # Shapes
///
/// - input: `[batch, channels, d, h, w]`
/// - output: `[batch, channels, 2d, 2h, 2w]`
pub fn trilinear_up2(x: Tensor<5>) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    let device = x.device();
    // The outermost axis comes first, because its matrix product has the least to compute then.
    let x = doubling(d, &device)
        .unsqueeze::<3>()
        .matmul(x.reshape([b * c, d, h * w]));
    let x = doubling(h, &device)
        .unsqueeze::<3>()
        .matmul(x.reshape([b * c * 2 * d, h, w]));
    let x = x
        .reshape([b * c * 4 * d * h, w])
        .matmul(doubling(w, &device).transpose());
    x.reshape([b, c, 2 * d, 2 * h, 2 * w])
}

/// The interpolation matrix `[2n, n]` along one axis: the weight of each input in each output.
fn doubling(n: usize, device: &Device) -> Tensor<2> {
    let mut shares = vec![0f32; 2 * n * n];
    for (o, row) in shares.chunks_exact_mut(n).enumerate() {
        // Output o lies at (o + 0.5) / 2 − 0.5: a quarter of a voxel before or after input o / 2.
        let near = o / 2;
        let far = if o % 2 == 0 {
            near.saturating_sub(1)
        } else {
            (near + 1).min(n - 1)
        };
        row[near] += 0.75;
        row[far] += 0.25;
    }
    Tensor::from_data(TensorData::new(shares, [2 * n, n]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(t: Tensor<5>) -> Vec<f32> {
        t.into_data().iter::<f32>().collect()
    }

    #[test]
    fn each_axis_by_hand() {
        let device = Device::flex();
        let line = || Tensor::<1>::from_floats([0., 4., 8.], &device);
        let want = [0., 1., 3., 5., 7., 8.];
        for (shape, stride) in [
            ([1, 1, 3, 1, 1], 4),
            ([1, 1, 1, 3, 1], 2),
            ([1, 1, 1, 1, 3], 1),
        ] {
            let y = trilinear_up2(line().reshape(shape));
            assert_eq!(y.dims(), [1, 1, 2 * shape[2], 2 * shape[3], 2 * shape[4]]);
            let y = values(y);
            // Along the other axes the values repeat.
            let along: Vec<f32> = match stride {
                4 => y.iter().step_by(4).copied().collect(),
                2 => y.iter().step_by(2).take(6).copied().collect(),
                _ => y[..6].to_vec(),
            };
            assert_eq!(along, want, "{shape:?}");
        }
    }

    #[test]
    fn each_input_has_eight_shares_in_the_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<5>::ones([2, 3, 2, 4, 3], &device).require_grad();
        let grads = trilinear_up2(x.clone()).sum().backward();
        for g in values(x.grad(&grads).unwrap()) {
            assert!((g - 8.0).abs() < 1e-5);
        }
    }
}
