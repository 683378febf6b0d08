//! Batch normalisation, an optional residual and PReLU, fused.
//!
//! `y = act(scale·x + shift + residual)` with `act` a PReLU, all per channel. In training, scale
//! and shift come from the batch's statistics ([`statistics`]), and [`NormAct::backward`]
//! differentiates through them. The backward pass needs `x`, the residual and the statistics, and
//! no other activation.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::pointer::Pointer;
use crate::simd::{Simd, dispatch, isa};

/// Number of values that are summed in `f32` before the sum is added to an `f64` total.
const BLOCK: usize = 2048;
/// Number of partial sums that vector instructions compute at once.
const LANES: usize = 16;

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

/// # Safety
/// The function has no condition of its own; `dispatch!` needs an unsafe function.
#[inline(always)]
unsafe fn statistics_generic<S: Simd>(x: &[f32], pivot: f32, sums: &mut [f64; 2]) {
    for block in x.chunks(BLOCK) {
        let mut acc = [[0f32; LANES]; 2];
        let (whole, rest) = block.as_chunks::<LANES>();
        for v in whole {
            for i in 0..LANES {
                let d = v[i] - pivot;
                acc[0][i] += d;
                acc[1][i] += d * d;
            }
        }
        for (i, v) in rest.iter().enumerate() {
            let d = v - pivot;
            acc[0][i] += d;
            acc[1][i] += d * d;
        }
        for (sum, acc) in sums.iter_mut().zip(acc) {
            *sum += acc.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
}

dispatch! {
    /// Adds the sum and the sum of squares of `x - pivot` to `sums`.
    ///
    /// # Safety
    /// The processor has `isa`.
    unsafe fn plane_statistics = statistics_generic(x: &[f32], pivot: f32, sums: &mut [f64; 2])
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

#[inline(always)]
fn act(z: f32, slope: f32) -> f32 {
    if z > 0.0 { z } else { slope * z }
}

/// # Safety
/// `y` is writable for as many floats as `x` has.
#[inline(always)]
unsafe fn forward_generic<S: Simd>(
    x: &[f32],
    residual: Option<&[f32]>,
    [scale, shift, slope]: [f32; 3],
    y: *mut f32,
) {
    match residual {
        Some(residual) => {
            for (i, (x, r)) in x.iter().zip(residual).enumerate() {
                // SAFETY: `i` is below the length of `x`.
                unsafe { *y.add(i) = act(x * scale + shift + r, slope) };
            }
        }
        None => {
            for (i, x) in x.iter().enumerate() {
                // SAFETY: `i` is below the length of `x`.
                unsafe { *y.add(i) = act(x * scale + shift, slope) };
            }
        }
    }
}

dispatch! {
    /// The output of one channel of one image.
    ///
    /// # Safety
    /// The processor has `isa`; `y` is writable for as many floats as `x` has.
    unsafe fn plane_forward = forward_generic(
        x: &[f32],
        residual: Option<&[f32]>,
        parameters: [f32; 3],
        y: *mut f32,
    )
}

/// Writes the gradient before the activation to `dz`. Adds its sum, the sum of its products with
/// `x - mean`, and the slope's gradient to `sums`.
///
/// # Safety
/// `dz` is writable for as many floats as `x` has.
#[inline(always)]
unsafe fn backward_generic<S: Simd>(
    x: &[f32],
    g: &[f32],
    residual: Option<&[f32]>,
    [scale, shift, slope, mean]: [f32; 4],
    dz: *mut f32,
    sums: &mut [f64; 3],
) {
    let zeros = [0f32; BLOCK];
    for (b, (x, g)) in x.chunks(BLOCK).zip(g.chunks(BLOCK)).enumerate() {
        let start = b * BLOCK;
        let n = x.len().min(g.len());
        let r = residual.map_or(&zeros[..n], |r| &r[start..start + n]);
        let mut acc = [[0f32; LANES]; 3];
        let mut one = |i: usize, lane: usize, x: f32, g: f32, r: f32| {
            let z = x * scale + shift + r;
            let d = if z > 0.0 { g } else { slope * g };
            acc[0][lane] += d;
            acc[1][lane] += d * (x - mean);
            acc[2][lane] += if z > 0.0 { 0.0 } else { g * z };
            // SAFETY: `start + i` is below the length of `x`.
            unsafe { *dz.add(start + i) = d };
        };
        let whole = n / LANES * LANES;
        let (xs, gs, rs) = (
            x[..whole].as_chunks::<LANES>().0,
            g[..whole].as_chunks::<LANES>().0,
            r[..whole].as_chunks::<LANES>().0,
        );
        for (k, ((x, g), r)) in xs.iter().zip(gs).zip(rs).enumerate() {
            for i in 0..LANES {
                one(k * LANES + i, i, x[i], g[i], r[i]);
            }
        }
        for i in whole..n {
            one(i, i - whole, x[i], g[i], r[i]);
        }
        for (sum, acc) in sums.iter_mut().zip(acc) {
            *sum += acc.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
}

dispatch! {
    /// The gradient of one channel of one image, back through the activation.
    ///
    /// # Safety
    /// The processor has `isa`; `dz` is writable for as many floats as `x` has.
    unsafe fn plane_backward = backward_generic(
        x: &[f32],
        g: &[f32],
        residual: Option<&[f32]>,
        parameters: [f32; 4],
        dz: *mut f32,
        sums: &mut [f64; 3],
    )
}

/// # Safety
/// `dz` is readable and `dx` writable for as many floats as `x` has; they may be the same.
#[inline(always)]
unsafe fn through_statistics_generic<S: Simd>(
    x: &[f32],
    [a, b, c]: [f32; 3],
    dz: *const f32,
    dx: *mut f32,
) {
    for (i, x) in x.iter().enumerate() {
        // SAFETY: `i` is below the length of `x`.
        unsafe { *dx.add(i) = a * *dz.add(i) + b * x + c };
    }
}

dispatch! {
    /// `dx = a·dz + b·x + c`.
    ///
    /// # Safety
    /// The processor has `isa`; `dz` is readable and `dx` writable for as many floats as `x` has.
    unsafe fn plane_through_statistics = through_statistics_generic(
        x: &[f32],
        coefficients: [f32; 3],
        dz: *const f32,
        dx: *mut f32,
    )
}

impl NormAct<'_> {
    fn check(&self, x: &[f32], statistics: &Statistics, residual: Option<&[f32]>) -> Result<()> {
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

    /// The residual's values for plane `i`: its own channel, or the only channel of its image.
    fn of_plane<'r>(&self, residual: Option<&'r [f32]>, i: usize) -> Option<&'r [f32]> {
        residual.map(|r| {
            let own = r.len() == self.batch * self.channels * self.size;
            let i = if own { i } else { i / self.channels };
            &r[i * self.size..][..self.size]
        })
    }

    fn inverse(&self, statistics: &Statistics, c: usize) -> f64 {
        1.0 / (f64::from(statistics.variance[c]) + self.epsilon).sqrt()
    }

    fn scale_shift(&self, statistics: &Statistics, c: usize) -> [f32; 2] {
        let scale = f64::from(self.gamma[c]) * self.inverse(statistics, c);
        let shift = f64::from(self.beta[c]) - scale * f64::from(statistics.mean[c]);
        [scale as f32, shift as f32]
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
        self.check(x, statistics, residual)?;
        let isa = isa();
        let mut y = Vec::with_capacity(x.len());
        let out = Pointer(y.as_mut_ptr());
        x.par_chunks(self.size.max(1))
            .enumerate()
            .with_min_len(self.min_planes())
            .for_each(|(i, values)| {
                let c = i % self.channels;
                let [scale, shift] = self.scale_shift(statistics, c);
                let residual = self.of_plane(residual, i);
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
    /// for the residual's gradient.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn backward(
        &self,
        x: &[f32],
        g: &[f32],
        statistics: &Statistics,
        residual: Option<&[f32]>,
        want_residual: bool,
    ) -> Result<NormGrads> {
        self.check(x, statistics, residual)?;
        Error::check_len("the output's gradient", g.len(), x.len())?;
        let isa = isa();
        let mut dz = Vec::with_capacity(x.len());
        let dz_at = Pointer(dz.as_mut_ptr());
        let sums: Vec<[f64; 3]> = x
            .par_chunks(self.size.max(1))
            .zip(g.par_chunks(self.size.max(1)))
            .enumerate()
            .with_min_len(self.min_planes())
            .map(|(i, (x, g))| {
                let c = i % self.channels;
                let [scale, shift] = self.scale_shift(statistics, c);
                let parameters = [scale, shift, self.slope[c], statistics.mean[c]];
                let mut sums = [0.0; 3];
                let residual = self.of_plane(residual, i);
                // SAFETY: the processor has `isa`; only this task writes plane `i` of `dz`.
                unsafe {
                    let dz = { dz_at }.0.add(i * self.size);
                    plane_backward(isa, x, g, residual, parameters, dz, &mut sums);
                }
                sums
            })
            .collect();
        // SAFETY: every plane has been written.
        unsafe { dz.set_len(x.len()) };
        let totals: Vec<[f64; 3]> = (0..self.channels)
            .map(|c| {
                let of_channel = sums.iter().skip(c).step_by(self.channels);
                of_channel.fold([0.0; 3], |t, s| [t[0] + s[0], t[1] + s[1], t[2] + s[2]])
            })
            .collect();
        let count = (self.batch * self.size).max(1) as f64;
        // dx = γ/σ · (dz − mean(dz) − (x − μ)/σ² · mean(dz·(x − μ)))
        let coefficients: Vec<[f32; 3]> = (0..self.channels)
            .map(|c| {
                let inverse = self.inverse(statistics, c);
                let a = f64::from(self.gamma[c]) * inverse;
                let b = -a * inverse * inverse * totals[c][1] / count;
                let shift = -a * totals[c][0] / count - b * f64::from(statistics.mean[c]);
                [a as f32, b as f32, shift as f32]
            })
            .collect();
        let shared = residual.is_some_and(|r| r.len() != x.len());
        let through = |dx: Pointer| {
            x.par_chunks(self.size.max(1))
                .enumerate()
                .with_min_len(self.min_planes())
                .for_each(|(i, x)| {
                    // SAFETY: the processor has `isa`; only this task writes plane `i`, and `dz`
                    // was written above.
                    unsafe {
                        let dz = { dz_at }.0.add(i * self.size).cast_const();
                        let dx = { dx }.0.add(i * self.size);
                        plane_through_statistics(isa, x, coefficients[i % self.channels], dz, dx);
                    }
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
        let of = |i: usize| totals.iter().map(move |t| t[i] as f32).collect();
        Ok(NormGrads {
            x: dx,
            gamma: (0..self.channels)
                .map(|c| (totals[c][1] * self.inverse(statistics, c)) as f32)
                .collect(),
            beta: of(0),
            slope: of(2),
            residual,
        })
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
