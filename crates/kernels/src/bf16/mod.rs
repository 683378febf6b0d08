//! Convolutions whose products are in bf16 and whose sums are in `f32`: direct ones, as products of small
//! matrices.
//!
//! The input is packed with the channels of a position beside each other ([`channels_last`]). The numbers
//! that a row of taps reads for an output are then neighbours, and a tile of the left matrix is 16 outputs of
//! 32 such numbers, read in place. Every kernel, stride and phase of a transposed convolution takes this way.
//! Results do not depend on the number of threads.

mod block;
mod channels_last;
mod convert;
mod forward;
mod passes;
mod unit;
mod weight;
mod weights;
mod work;

#[cfg(target_arch = "x86_64")]
pub(crate) use block::amx::multiply as multiply_tiles;
pub use convert::{narrow, round, widen};
pub use convert::{narrow_into, widen_into};
pub(crate) use forward::{
    Call, Results, forward, packed, packed_transposed, transposed, working_floats,
};
pub use unit::{Bf16Unit, available_bf16_units, bf16_available, bf16_unit, reads_bf16_maps};
pub(crate) use weight::weight_grad;
pub(crate) use weights::Weights;
pub(crate) use work::Added;

/// Numbers in `f32`, or in bf16.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// 32 bits each.
    F32(&'a [f32]),
    /// The upper halves of `f32` ([`narrow`]).
    Bf16(&'a [u16]),
}

impl<'a> Values<'a> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// The values from `at` on, as many as `buffer` holds. The buffer holds them if they are widened.
    pub(crate) fn piece<'b>(self, at: usize, buffer: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::F32(values) => &values[at..][..buffer.len()],
            Self::Bf16(values) => {
                widen_into(&values[at..], buffer);
                buffer
            }
        }
    }

    /// `len` values from `at` on.
    pub(crate) fn part(self, at: usize, len: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[at..][..len]),
            Self::Bf16(values) => Self::Bf16(&values[at..][..len]),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a [u16]> for Values<'a> {
    fn from(values: &'a [u16]) -> Self {
        Self::Bf16(values)
    }
}

/// [`Values`] that are written.
#[derive(Debug)]
pub enum ValuesMut<'a> {
    /// 32 bits each.
    F32(&'a mut [f32]),
    /// The upper halves of `f32`, rounded to the nearest.
    Bf16(&'a mut [u16]),
}

impl ValuesMut<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a mut [f32]> for ValuesMut<'a> {
    fn from(values: &'a mut [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a mut [u16]> for ValuesMut<'a> {
    fn from(values: &'a mut [u16]) -> Self {
        Self::Bf16(values)
    }
}

/// A scratch buffer as bf16 numbers.
fn as_bf16(buffer: &mut [f32]) -> &mut [u16] {
    // SAFETY: the slice covers the same bytes, whose every content is valid in both types.
    unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), buffer.len() * 2) }
}
