//! Conversions between burn's CPU tensors and the kernels' slices.

use burn::tensor::{DType, Shape, TensorData, bf16};
use burn_flex::FlexTensor;
use multirnet_kernels::Values;

/// The tensor in dense row-major order. A tensor that is dense already shares its storage.
pub(super) fn dense(x: &FlexTensor) -> FlexTensor {
    x.to_contiguous()
}

/// A tensor that takes `values` over without a copy.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The values of a dense tensor; `None` if they are neither `f32` nor bf16.
pub(super) fn values(x: &FlexTensor) -> Option<Values<'_>> {
    match x.dtype() {
        DType::F32 => x.as_slice().map(Values::F32),
        DType::BF16 => x
            .as_slice::<bf16>()
            .map(|values| Values::Bf16(bytemuck::cast_slice(values))),
        _ => None,
    }
}

/// The dense values in either precision, of a tensor whose type an operation has checked.
pub(super) fn numbers(x: &FlexTensor) -> Values<'_> {
    values(x).unwrap_or(Values::F32(&[]))
}

/// The dense `f32` values of a tensor whose type an operation has checked.
pub(super) fn floats(x: &FlexTensor) -> &[f32] {
    x.as_slice().unwrap_or_default()
}
