//! The output of a convolution and its gradients, with products in bf16.

use std::borrow::Cow;

use rayon::prelude::*;

use super::unit::Bf16Unit;
use super::{Call, Results, Values, forward, narrow, widen};
use crate::conv::{Conv, LARGE_PLANE};
use crate::epilogue::{Epilogue, Target};
use crate::error::{Error, Result};
use crate::norm::{Statistics, statistics};
use crate::pointer::Pointer;
use crate::winograd::Plan;

impl Conv {
    /// As [`forward`](Self::forward), but inputs and weights are rounded to bf16 before they are multiplied.
    /// Sums are in `f32`. A processor without [`bf16_available`](crate::bf16_available) multiplies in `f32`,
    /// and so may one whose large tiles in `f32` need fewer products.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn forward_bf16(&self, x: Values, weights: &[f32]) -> Result<Vec<f32>> {
        Error::check_len("the input", x.len(), self.input_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        let cycles = |plan: &Plan| plan.forward_cycles(self.channels_in, self.channels_out, false);
        let Some(unit) = self.blocks_unit(LARGE_PLANE, cycles) else {
            return self.forward_as(&widened(x), weights, None, true);
        };
        let packed = super::packed(self, weights);
        Ok(
            self.output_of(self.output_len(), self.channels_out, |target| {
                let call = call(unit, x, self.input_len() / self.batch, target);
                forward::forward(self, &packed, call);
            }),
        )
    }

    /// [`forward_bf16`](Self::forward_bf16), rounded to bf16, and the statistics of its channels before that.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn forward_rounded(&self, x: Values, weights: &[f32]) -> Result<(Vec<u16>, Statistics)> {
        Error::check_len("the input", x.len(), self.input_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        let cycles = |plan: &Plan| plan.forward_cycles(self.channels_in, self.channels_out, false);
        if let Some(unit) = self.blocks_unit(LARGE_PLANE, cycles) {
            let packed = super::packed(self, weights);
            return Ok(forward::forward_rounded(unit, self, x, &packed));
        }
        let y = self.forward_bf16(x, weights)?;
        let size = self.output().iter().product();
        let statistics = statistics(&y, self.batch, self.channels_out, size)?;
        Ok((narrow(&y), statistics))
    }

    /// As [`input_grad`](Self::input_grad), with products in bf16 as in [`forward_bf16`](Self::forward_bf16).
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn input_grad_bf16(&self, g: Values, weights: &[f32]) -> Result<Vec<f32>> {
        Error::check_len("the output's gradient", g.len(), self.output_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        let cycles = |plan: &Plan| plan.forward_cycles(self.channels_out, self.channels_in, false);
        let Some(unit) = self.blocks_unit(LARGE_PLANE, cycles) else {
            return self.input_grad_as(&widened(g), weights, true);
        };
        let packed = super::packed_transposed(self, weights);
        Ok(
            self.output_of(self.input_len(), self.channels_in, |target| {
                let call = call(unit, g, self.output_len() / self.batch, target);
                forward::transposed(self, &packed, call);
            }),
        )
    }

    /// As [`weight_grad`](Self::weight_grad), with products in bf16 as in [`forward_bf16`](Self::forward_bf16).
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn weight_grad_bf16(&self, x: Values, g: Values) -> Result<Vec<f32>> {
        Error::check_len("the input", x.len(), self.input_len())?;
        Error::check_len("the output's gradient", g.len(), self.output_len())?;
        let cycles = |plan: &Plan| plan.weight_grad_cycles(self.channels_in, self.channels_out);
        match self.blocks_unit(LARGE_PLANE, cycles) {
            Some(unit) => Ok(super::weight_grad(unit, self, x, g)),
            None => self.weight_grad_widened(x, g, WIDENED),
        }
    }

    /// The gradient of the weights with products in `f32`. Few images at a time are widened, since a whole
    /// batch of widened maps is the largest block of a training step.
    ///
    /// Images that are widened together have at most `most` floats, unless one image has more.
    fn weight_grad_widened(&self, x: Values, g: Values, most: usize) -> Result<Vec<f32>> {
        if let (Values::F32(x), Values::F32(g)) = (x, g) {
            return self.weight_grad(x, g);
        }
        let (x_image, g_image) = (x.len() / self.batch, g.len() / self.batch);
        let group = (most / (x_image + g_image)).max(1);
        let mut total = vec![0.0; self.weight_len()];
        for first in (0..self.batch).step_by(group) {
            let batch = group.min(self.batch - first);
            let mut images = *self;
            images.batch = batch;
            let x = widened(x.part(first * x_image, batch * x_image));
            let g = widened(g.part(first * g_image, batch * g_image));
            let dw = images.weight_grad(&x, &g)?;
            total.iter_mut().zip(dw).for_each(|(t, v)| *t += v);
        }
        Ok(total)
    }

    /// The unit for products of blocks; `None` if another way is faster.
    ///
    /// `least_plane` is that of [`winograd`](Self::winograd).
    pub(crate) fn blocks_unit(
        &self,
        least_plane: usize,
        cycles: impl Fn(&Plan) -> f64,
    ) -> Option<Bf16Unit> {
        match self.unit? {
            // Vectors of pairs multiply at most twice as fast as `f32`, and Winograd's tiles save more.
            Bf16Unit::Avx512 if self.is_auto() => {
                let plan = self.winograd(16, least_plane, cycles);
                plan.is_none().then_some(Bf16Unit::Avx512)
            }
            unit => Some(unit),
        }
    }

    /// `len` floats of `channels` channels that `write` writes.
    fn output_of(&self, len: usize, channels: usize, write: impl FnOnce(Target)) -> Vec<f32> {
        debug_assert!(len.is_multiple_of(self.batch * channels));
        let mut y = Vec::with_capacity(len);
        write(Target {
            y: Pointer(y.as_mut_ptr()),
            len,
            image: len / self.batch,
        });
        // SAFETY: the call has written every position of every channel and image.
        unsafe { y.set_len(len) };
        y
    }
}

/// A call of dense images, without epilogue.
fn call<'a>(unit: Bf16Unit, values: Values<'a>, image: usize, target: Target) -> Call<'a> {
    const NOTHING: &Epilogue = &Epilogue {
        bias: None,
        residual: None,
        slope: None,
    };
    Call {
        unit,
        values,
        image,
        results: Results::F32(target),
        epilogue: NOTHING,
        residual: None,
    }
}

/// Most floats of images that are widened together (32 MiB).
const WIDENED: usize = 8 << 20;

/// The values in `f32`.
fn widened(values: Values) -> Cow<[f32]> {
    match values {
        Values::F32(values) => Cow::Borrowed(values),
        Values::Bf16(values) => Cow::Owned(values.par_iter().map(|v| widen(*v)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::narrow;

    /// Groups of images give the sums of the whole batch, with either of the two in bf16.
    #[test]
    fn weight_gradients_of_groups_add_up() {
        let conv = Conv::new(5, [3, 2], [4, 6, 16], 3, 1, 1).unwrap();
        let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| (i as f32 * 0.37).sin()).collect() };
        let x = narrow(&wave(conv.input_len()));
        let g = narrow(&wave(conv.output_len()));
        let (wide_x, wide_g) = (widened((&x[..]).into()), widened((&g[..]).into()));
        let whole = conv.weight_grad(&wide_x, &wide_g).unwrap();
        let image = (x.len() + g.len()) / conv.batch;
        for (x, g) in [
            (Values::from(&x[..]), Values::from(&g[..])),
            (Values::from(&*wide_x), Values::from(&g[..])),
        ] {
            for most in [0, image, 2 * image, 5 * image] {
                let dw = conv.weight_grad_widened(x, g, most).unwrap();
                let far = dw.iter().zip(&whole).map(|(a, b)| (a - b).abs());
                assert!(far.fold(0.0, f32::max) < 1e-3, "{most}");
            }
        }
    }
}
