//! Conversions between burn's CPU tensors and the kernels' slices.

use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;

/// The tensor in dense row-major order. A tensor that is dense already shares its storage.
pub(super) fn dense(x: &FlexTensor) -> FlexTensor {
    x.to_contiguous()
}

/// A tensor that takes `values` over without a copy.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
