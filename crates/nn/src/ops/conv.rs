//! 3D convolutions.

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

/// 3D convolution (cross-correlation, as in every deep-learning library).
///
/// # Shapes
///
/// - `x`: `[batch, channels_in, d, h, w]`
/// - `weight`: `[channels_out, channels_in, k, k, k]`
/// - `bias`: `[channels_out]`
/// - output: `[batch, channels_out, d', h', w']`, each side `(side + 2·padding − k) / stride + 1`
pub fn conv3d(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<5> {
    let options = ConvOptions::new([stride; 3], [padding; 3], [1; 3], 1);
    module::conv3d(x, weight, bias, options)
}

/// 2³ transposed convolution with stride 2: doubles each side.
///
/// # Shapes
///
/// - `x`: `[batch, channels_in, d, h, w]`
/// - `weight`: `[channels_in, channels_out, 2, 2, 2]`
/// - `bias`: `[channels_out]`
/// - output: `[batch, channels_out, 2d, 2h, 2w]`
pub fn up2(x: Tensor<5>, weight: Tensor<5>, bias: Option<Tensor<1>>) -> Tensor<5> {
    let options = ConvTransposeOptions::new([2; 3], [0; 3], [0; 3], [1; 3], 1);
    module::conv_transpose3d(x, weight, bias, options)
}
