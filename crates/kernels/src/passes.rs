//! The output of a convolution, and the gradient of its input.

use crate::conv::{Conv, LARGE_PLANE};
use crate::direct;
use crate::epilogue::{Epilogue, EpilogueSource, Target};
use crate::error::{Error, Result};
use crate::pointer::Pointer;
use crate::winograd::{Filter, Plan};

impl Conv {
    /// The output for `x`, `weights` and an optional `bias` per output channel.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn forward(&self, x: &[f32], weights: &[f32], bias: Option<&[f32]>) -> Result<Vec<f32>> {
        self.forward_as(x, weights, bias, false)
    }

    /// [`forward`](Self::forward); the products of tiles are in bf16 if `in_bf16` and there is a unit for it.
    pub(crate) fn forward_as(
        &self,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        in_bf16: bool,
    ) -> Result<Vec<f32>> {
        Error::check_len("the input", x.len(), self.input_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        if let Some(bias) = bias {
            Error::check_len("the bias", bias.len(), self.channels_out)?;
        }
        let (taps, ci) = (self.taps(), self.channels_in);
        let cycles = |plan: &Plan| plan.forward_cycles(ci, self.channels_out, false);
        if let Some(plan) = self.winograd(self.isa().lanes(), LARGE_PLANE, cycles) {
            let filter = Filter::new(self.isa(), plan.tile, ci, self.channels_out, |o, c, t| {
                weights[(o * ci + c) * taps + t]
            });
            let filter = filter.in_precision(in_bf16 && self.unit.is_some());
            let epilogue = Epilogue {
                bias,
                ..Epilogue::default()
            };
            return Ok(self.by_winograd(&plan, x, &filter, &epilogue));
        }
        let packed = direct::Packed::forward(self, weights);
        let epilogue = Epilogue {
            bias,
            ..Epilogue::default()
        };
        let mut y = Vec::with_capacity(self.output_len());
        let (source, target) = self.dense(x, &mut y, [ci, self.channels_out], self.output());
        direct::forward(self, source, &packed, target, &epilogue);
        // SAFETY: the call has written every image, channel, plane, row and column.
        unsafe { y.set_len(self.output_len()) };
        Ok(y)
    }

    /// The gradient of the input, given the gradient `g` of the output: the transposed
    /// convolution.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn input_grad(&self, g: &[f32], weights: &[f32]) -> Result<Vec<f32>> {
        self.input_grad_as(g, weights, false)
    }

    /// [`input_grad`](Self::input_grad); the products of tiles are in bf16 as in [`forward_as`](Self::forward_as).
    pub(crate) fn input_grad_as(
        &self,
        g: &[f32],
        weights: &[f32],
        in_bf16: bool,
    ) -> Result<Vec<f32>> {
        Error::check_len("the output's gradient", g.len(), self.output_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        let (taps, ci, co) = (self.taps(), self.channels_in, self.channels_out);
        let cycles = |plan: &Plan| plan.forward_cycles(co, ci, false);
        if let Some(plan) = self.winograd(self.isa().lanes(), LARGE_PLANE, cycles) {
            // This is a convolution with flipped kernels, from output channels to input channels.
            let filter = Filter::new(self.isa(), plan.tile, co, ci, |o, c, t| {
                weights[(c * ci + o) * taps + taps - 1 - t]
            });
            let filter = filter.in_precision(in_bf16 && self.unit.is_some());
            return Ok(self.by_winograd(&plan, g, &filter, &Epilogue::default()));
        }
        let packed = direct::Packed::transposed(self, weights);
        let mut y = Vec::with_capacity(self.input_len());
        let (source, target) = self.dense(g, &mut y, [co, ci], self.input);
        direct::transposed(self, source, &packed, target, &Epilogue::default());
        // SAFETY: the call has written every position.
        unsafe { y.set_len(self.input_len()) };
        Ok(y)
    }

    /// A dense source of `from` channels, and a dense target of `to` channels of `size`.
    fn dense<'a>(
        &self,
        x: &'a [f32],
        y: &mut Vec<f32>,
        [from, to]: [usize; 2],
        size: [usize; 3],
    ) -> (EpilogueSource<'a>, Target) {
        debug_assert_eq!(x.len() % (self.batch * from), 0);
        let image = to * size.iter().product::<usize>();
        let source = EpilogueSource {
            x,
            image: x.len() / self.batch,
        };
        let target = Target {
            y: Pointer(y.as_mut_ptr()),
            len: self.batch * image,
            image,
        };
        (source, target)
    }

    fn by_winograd(
        &self,
        plan: &Plan,
        x: &[f32],
        filter: &Filter,
        epilogue: &Epilogue,
    ) -> Vec<f32> {
        let mut y = Vec::with_capacity(self.batch * filter.channels_out * self.volume());
        let channels = [filter.channels_in, filter.channels_out];
        let (source, target) = self.dense(x, &mut y, channels, self.input);
        plan.forward(self.isa(), source, filter, target, epilogue);
        // SAFETY: the plan's tiles cover every position of every channel and image.
        unsafe { y.set_len(target.len) };
        y
    }
}
