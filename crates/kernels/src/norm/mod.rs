//! Batch normalisation, an optional residual and PReLU, fused.
//!
//! `y = act(scale·x + shift + residual)` with `act` a PReLU, all per channel. In training, scale
//! and shift come from the batch's statistics ([`statistics`]), and [`NormAct::backward`]
//! differentiates through them. The backward pass needs `x`, the residual and the statistics, and
//! no other activation.

mod planes;
mod rounded;

use rayon::prelude::*;

use crate::bf16::Values;
use crate::error::{Error, Result};
use crate::pointer::Pointer;
use crate::simd::isa;
use planes::{BLOCK, plane_backward, plane_forward, plane_statistics, plane_through_statistics};

/// Values that are widened from bf16 at a time, a multiple of [`BLOCK`].
const PIECE: usize = 2 * BLOCK;
type Piece = [f32; PIECE];

/// Mean and biased variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Biased variance of each channel.
    pub variance: Vec<f32>,
}

/// Gradients of [`NormAct::forward`] with batch statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct NormGrads {
    /// Gradient of the input, `[batch, channels, size]`.
    pub x: Vec<f32>,
    /// Gradient of the scale γ of each channel.
    pub gamma: Vec<f32>,
    /// Gradient of the shift β of each channel.
    pub beta: Vec<f32>,
    /// Gradient of the negative slope of each channel.
    pub slope: Vec<f32>,
    /// Gradient of the residual, if the caller asked for it; it has the residual's shape.
    pub residual: Option<Vec<f32>>,
}

/// Normalisation, residual and PReLU of a `[batch, channels, size]` array.
#[derive(Debug, Clone, Copy)]
pub struct NormAct<'a> {
    /// Number of images.
    pub batch: usize,
    /// Number of channels.
    pub channels: usize,
    /// Number of positions of one channel of one image.
    pub size: usize,
    /// Scale γ of each channel.
    pub gamma: &'a [f32],
    /// Shift β of each channel.
    pub beta: &'a [f32],
    /// Negative slope of each channel.
    pub slope: &'a [f32],
    /// ε, added to the variance.
    pub epsilon: f64,
}

/// Mean and biased variance of each channel of a `[batch, channels, size]` array.
///
/// # Errors
/// `Mismatch` if `x` has another length than the shape.
pub fn statistics(x: &[f32], batch: usize, channels: usize, size: usize) -> Result<Statistics> {
    Error::check_len("the input", x.len(), batch * channels * size)?;
    let isa = isa();
    let count = (batch * size).max(1) as f64;
    let sums: Vec<[f64; 2]> = x
        .par_chunks(size.max(1))
        .enumerate()
        .with_min_len((BLOCK / size.max(1)).max(1))
        .map(|(i, values)| {
            let mut sums = [0.0; 2];
            // The variance below is a difference of two sums. A pivot near the channel's mean keeps
            // it exact enough.
            let pivot = x[i % channels * size];
            // SAFETY: the processor has `isa`, which is the only condition; a slice knows its length.
            unsafe { plane_statistics(isa, values, pivot, &mut sums) };
            sums
        })
        .collect();
    let (mean, variance) = (0..channels)
        .map(|c| {
            let pivot = f64::from(x.get(c * size).copied().unwrap_or(0.0));
            let [sum, squares] = sums
                .iter()
                .skip(c)
                .step_by(channels)
                .fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
            let mean = sum / count;
            let variance = (squares / count - mean * mean).max(0.0);
            ((mean + pivot) as f32, variance as f32)
        })
        .unzip();
    Ok(Statistics { mean, variance })
}

impl NormAct<'_> {
    fn check(&self, x: Values, statistics: &Statistics, residual: Option<Values>) -> Result<()> {
        let len = self.batch * self.channels * self.size;
        Error::check_len("the input", x.len(), len)?;
        for (name, values) in [
            ("gamma", self.gamma),
            ("beta", self.beta),
            ("the slope", self.slope),
            ("the mean", &statistics.mean),
            ("the variance", &statistics.variance),
        ] {
            Error::check_len(name, values.len(), self.channels)?;
        }
        match residual {
            Some(r) if r.len() != self.batch * self.size => {
                Error::check_len("the residual", r.len(), len)
            }
            _ => Ok(()),
        }
    }

    /// The residual's plane for plane `i`: its own channel, or the only channel of its image.
    fn residual_plane(&self, residual: Values, i: usize) -> usize {
        if residual.len() == self.batch * self.channels * self.size {
            i
        } else {
            i / self.channels
        }
    }

    fn inverse(&self, statistics: &Statistics, c: usize) -> f64 {
        1.0 / (f64::from(statistics.variance[c]) + self.epsilon).sqrt()
    }

    fn scale_shift(&self, statistics: &Statistics, c: usize) -> [f32; 2] {
        let scale = f64::from(self.gamma[c]) * self.inverse(statistics, c);
        let shift = f64::from(self.beta[c]) - scale * f64::from(statistics.mean[c]);
        [scale as f32, shift as f32]
    }

    /// Calls `work` with each piece of plane `i`: its start, its values and those of the residual.
    fn pieces(
        &self,
        i: usize,
        x: Values,
        residual: Option<Values>,
        mut work: impl FnMut(usize, &[f32], Option<&[f32]>),
    ) {
        let [mut own, mut other] = [[0f32; PIECE]; 2];
        for from in (0..self.size).step_by(PIECE) {
            let n = PIECE.min(self.size - from);
            let at = i * self.size + from;
            let x = x.piece(at, &mut own[..n]);
            match residual {
                Some(r) => {
                    let from = self.residual_plane(r, i) * self.size + from;
                    work(at, x, Some(r.piece(from, &mut other[..n])));
                }
                None => work(at, x, None),
            }
        }
    }

    fn min_planes(&self) -> usize {
        (BLOCK / self.size.max(1)).max(1)
    }

    /// The output, normalised with `statistics`: those of the batch in training, else the running
    /// ones.
    ///
    /// `residual` is `[batch, channels, size]`, or `[batch, 1, size]` and then added to every
    /// channel.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn forward(
        &self,
        x: &[f32],
        statistics: &Statistics,
        residual: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        self.check(Values::F32(x), statistics, residual.map(Values::F32))?;
        let isa = isa();
        let mut y = Vec::with_capacity(x.len());
        let out = Pointer::<f32>(y.as_mut_ptr());
        x.par_chunks(self.size.max(1))
            .enumerate()
            .with_min_len(self.min_planes())
            .for_each(|(i, values)| {
                let c = i % self.channels;
                let [scale, shift] = self.scale_shift(statistics, c);
                let residual = residual
                    .map(|r| &r[self.residual_plane(Values::F32(r), i) * self.size..][..self.size]);
                // SAFETY: the processor has `isa`; only this task writes plane `i` of `y`.
                unsafe {
                    let y = { out }.0.add(i * self.size);
                    plane_forward(isa, values, residual, [scale, shift, self.slope[c]], y);
                }
            });
        // SAFETY: every plane has been written.
        unsafe { y.set_len(x.len()) };
        Ok(y)
    }

    /// The gradients, given the gradient `g` of the output. `statistics` must be the batch's, since
    /// the gradient of the input includes the derivative of the statistics. `want_residual` asks
    /// for the residual's gradient. The input and the residual may have been rounded to bf16 since the
    /// forward pass.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn backward(
        &self,
        x: Values,
        g: &[f32],
        statistics: &Statistics,
        residual: Option<Values>,
        want_residual: bool,
    ) -> Result<NormGrads> {
        self.check(x, statistics, residual)?;
        Error::check_len("the output's gradient", g.len(), x.len())?;
        let isa = isa();
        let mut dz = Vec::with_capacity(x.len());
        let dz_at = Pointer::<f32>(dz.as_mut_ptr());
        let sums: Vec<[f64; 3]> = (0..self.batch * self.channels)
            .into_par_iter()
            .with_min_len(self.min_planes())
            .map(|i| {
                let c = i % self.channels;
                let [scale, shift] = self.scale_shift(statistics, c);
                let parameters = [scale, shift, self.slope[c], statistics.mean[c]];
                let mut sums = [0.0; 3];
                self.pieces(i, x, residual, |at, x, residual| {
                    // SAFETY: the processor has `isa`; only this task writes plane `i` of `dz`.
                    unsafe {
                        let dz = { dz_at }.0.add(at);
                        let g = &g[at..][..x.len()];
                        plane_backward(isa, x, g, residual, parameters, dz, &mut sums);
                    }
                });
                sums
            })
            .collect();
        // SAFETY: every plane has been written.
        unsafe { dz.set_len(x.len()) };
        let totals = self.totals(&sums);
        let coefficients = self.coefficients(statistics, &totals);
        let shared = residual.is_some_and(|r| r.len() != x.len());
        let through = |dx: Pointer| {
            self.by_planes(|i| {
                self.pieces(i, x, None, |at, x, _| {
                    let coefficients = coefficients[i % self.channels];
                    // SAFETY: the processor has `isa`; only this task writes plane `i`, and `dz` was
                    // written above.
                    unsafe {
                        let dz = { dz_at }.0.add(at).cast_const();
                        plane_through_statistics(isa, x, coefficients, dz, { dx }.0.add(at));
                    }
                });
            });
        };
        let (dx, residual) = if want_residual && residual.is_some() && !shared {
            let mut dx = Vec::with_capacity(x.len());
            through(Pointer(dx.as_mut_ptr()));
            // SAFETY: every plane has been written.
            unsafe { dx.set_len(x.len()) };
            (dx, Some(dz))
        } else {
            let residual = (want_residual && shared).then(|| self.sum_channels(&dz));
            through(dz_at);
            (dz, residual)
        };
        Ok(self.grads(dx, statistics, &totals, residual))
    }

    fn by_planes(&self, work: impl Fn(usize) + Sync + Send) {
        (0..self.batch * self.channels)
            .into_par_iter()
            .with_min_len(self.min_planes())
            .for_each(work);
    }

    /// The sums of each channel.
    fn totals(&self, sums: &[[f64; 3]]) -> Vec<[f64; 3]> {
        (0..self.channels)
            .map(|c| {
                let of_channel = sums.iter().skip(c).step_by(self.channels);
                of_channel.fold([0.0; 3], |t, s| [t[0] + s[0], t[1] + s[1], t[2] + s[2]])
            })
            .collect()
    }

    /// Coefficients of `dz`, `x` and 1 in the input's gradient:
    /// `dx = γ/σ · (dz − mean(dz) − (x − μ)/σ² · mean(dz·(x − μ)))`.
    fn coefficients(&self, statistics: &Statistics, totals: &[[f64; 3]]) -> Vec<[f32; 3]> {
        let count = (self.batch * self.size).max(1) as f64;
        (0..self.channels)
            .map(|c| {
                let inverse = self.inverse(statistics, c);
                let a = f64::from(self.gamma[c]) * inverse;
                let b = -a * inverse * inverse * totals[c][1] / count;
                let shift = -a * totals[c][0] / count - b * f64::from(statistics.mean[c]);
                [a as f32, b as f32, shift as f32]
            })
            .collect()
    }

    fn grads(
        &self,
        x: Vec<f32>,
        statistics: &Statistics,
        totals: &[[f64; 3]],
        residual: Option<Vec<f32>>,
    ) -> NormGrads {
        let of = |i: usize| totals.iter().map(move |t| t[i] as f32).collect();
        NormGrads {
            x,
            gamma: (0..self.channels)
                .map(|c| (totals[c][1] * self.inverse(statistics, c)) as f32)
                .collect(),
            beta: of(0),
            slope: of(2),
            residual,
        }
    }

    fn sum_channels(&self, values: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.batch * self.size];
        sum.par_chunks_mut(self.size.max(1))
            .zip(values.par_chunks((self.channels * self.size).max(1)))
            .for_each(|(sum, image)| {
                for plane in image.chunks(self.size.max(1)) {
                    sum.iter_mut().zip(plane).for_each(|(s, v)| *s += v);
                }
            });
        sum
    }
}
