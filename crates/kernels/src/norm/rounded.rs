//! Passes of mixed precision: what they read may be in bf16, and what a convolution reads next is.

use rayon::prelude::*;

use super::planes::{plane_backward, plane_forward, plane_through_statistics};
use super::{NormAct, NormGrads, PIECE, Piece, Statistics};
use crate::bf16::{Values, narrow_into};
use crate::error::{Error, Result};
use crate::pointer::Pointer;
use crate::simd::isa;

impl NormAct<'_> {
    /// [`forward`](Self::forward) of values that may be in bf16; the output, and the output rounded to bf16.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn forward_rounded(
        &self,
        x: Values,
        statistics: &Statistics,
        residual: Option<Values>,
    ) -> Result<(Vec<f32>, Vec<u16>)> {
        self.check(x, statistics, residual)?;
        let isa = isa();
        let mut y = Vec::with_capacity(x.len());
        let mut rounded = Vec::with_capacity(x.len());
        let out = Pointer::<f32>(y.as_mut_ptr());
        let rounded_out = Pointer::<u16>(rounded.as_mut_ptr());
        self.by_planes(|i| {
            let c = i % self.channels;
            let [scale, shift] = self.scale_shift(statistics, c);
            let parameters = [scale, shift, self.slope[c]];
            self.pieces(i, x, residual, |at, x, residual| {
                // SAFETY: the processor has `isa`; only this task writes plane `i` of both outputs, first
                // that in `f32`.
                unsafe {
                    let y = { out }.0.add(at);
                    plane_forward(isa, x, residual, parameters, y);
                    let y = std::slice::from_raw_parts(y, x.len());
                    let to = { rounded_out }.0.add(at);
                    narrow_into(y, std::slice::from_raw_parts_mut(to, x.len()));
                }
            });
        });
        // SAFETY: every plane has been written.
        unsafe {
            y.set_len(x.len());
            rounded.set_len(x.len());
        }
        Ok((y, rounded))
    }

    /// [`backward`](Self::backward), with the input's gradient rounded to bf16. The other gradients have an
    /// empty `x`.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn backward_rounded(
        &self,
        x: Values,
        g: &[f32],
        statistics: &Statistics,
        residual: Option<Values>,
        want_residual: bool,
    ) -> Result<(Vec<u16>, NormGrads)> {
        self.check(x, statistics, residual)?;
        Error::check_len("the output's gradient", g.len(), x.len())?;
        let isa = isa();
        // The gradient before the activation is computed twice: a pass over memory would cost more.
        let before = |i: usize, at: usize, x: &[f32], residual: Option<&[f32]>, dz: &mut Piece| {
            let c = i % self.channels;
            let [scale, shift] = self.scale_shift(statistics, c);
            let parameters = [scale, shift, self.slope[c], statistics.mean[c]];
            let mut sums = [0.0; 3];
            let g = &g[at..][..x.len()];
            // SAFETY: the processor has `isa`; a piece has room for as many floats as `x` has.
            unsafe {
                let dz = dz.as_mut_ptr();
                plane_backward(isa, x, g, residual, parameters, dz, &mut sums);
            }
            sums
        };
        let sums: Vec<[f64; 3]> = (0..self.batch * self.channels)
            .into_par_iter()
            .with_min_len(self.min_planes())
            .map(|i| {
                let mut total = [0.0; 3];
                let mut dz = [0f32; PIECE];
                self.pieces(i, x, residual, |at, x, residual| {
                    let sums = before(i, at, x, residual, &mut dz);
                    total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
                });
                total
            })
            .collect();
        let totals = self.totals(&sums);
        let coefficients = self.coefficients(statistics, &totals);
        let mut dx = Vec::with_capacity(x.len());
        let dx_at = Pointer::<u16>(dx.as_mut_ptr());
        let mut of_residual = Vec::with_capacity(if want_residual { x.len() } else { 0 });
        let residual_at = Pointer::<f32>(of_residual.as_mut_ptr());
        self.by_planes(|i| {
            let [mut dz, mut through] = [[0f32; PIECE]; 2];
            self.pieces(i, x, residual, |at, x, residual| {
                before(i, at, x, residual, &mut dz);
                let n = x.len();
                // SAFETY: the processor has `isa`; only this task writes plane `i` of the outputs; pieces
                // have room for `n` floats.
                unsafe {
                    if want_residual {
                        { residual_at }.0.add(at).copy_from(dz.as_ptr(), n);
                    }
                    let (from, to) = (dz.as_ptr(), through.as_mut_ptr());
                    plane_through_statistics(isa, x, coefficients[i % self.channels], from, to);
                    let to = std::slice::from_raw_parts_mut({ dx_at }.0.add(at), n);
                    narrow_into(&through[..n], to);
                }
            });
        });
        // SAFETY: every plane has been written, that of the residual's gradient if it has room.
        unsafe {
            dx.set_len(x.len());
            of_residual.set_len(if want_residual { x.len() } else { 0 });
        }
        let residual = residual
            .filter(|_| want_residual)
            .map(|r| match r.len() == x.len() {
                true => of_residual,
                false => self.sum_channels(&of_residual),
            });
        Ok((dx, self.grads(Vec::new(), statistics, &totals, residual)))
    }
}
