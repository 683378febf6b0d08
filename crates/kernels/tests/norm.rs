//! Fused normalisation against plain loops, and its gradients against finite differences.

mod common;

use common::values;
use multirnet_kernels::{
    ErrorKind, NormAct, NormGrads, Statistics, Values, narrow, statistics, widen,
};

const EPSILON: f64 = 1e-5;

struct Case {
    batch: usize,
    channels: usize,
    size: usize,
    x: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    slope: Vec<f64>,
    residual: Option<Vec<f64>>,
    weights: Vec<f64>,
}

impl Case {
    fn new(batch: usize, channels: usize, size: usize, residual_channels: usize) -> Self {
        let wide = |n, seed| {
            values(n, seed)
                .into_iter()
                .map(f64::from)
                .collect::<Vec<_>>()
        };
        Self {
            batch,
            channels,
            size,
            x: wide(batch * channels * size, 1)
                .iter()
                .map(|v| 3.0 * v + 5.0)
                .collect(),
            gamma: wide(channels, 2),
            beta: wide(channels, 3),
            slope: wide(channels, 4),
            residual: (residual_channels > 0).then(|| wide(batch * residual_channels * size, 5)),
            weights: wide(batch * channels * size, 6),
        }
    }

    /// Σ weights · output, in `f64`.
    fn loss(&self) -> f64 {
        let (n, c) = ((self.batch * self.size) as f64, self.channels);
        let index = |b: usize, ch: usize, i: usize| (b * c + ch) * self.size + i;
        let mut loss = 0.0;
        for ch in 0..c {
            let all = || (0..self.batch).flat_map(|b| (0..self.size).map(move |i| (b, i)));
            let mean = all().map(|(b, i)| self.x[index(b, ch, i)]).sum::<f64>() / n;
            let var = all()
                .map(|(b, i)| (self.x[index(b, ch, i)] - mean).powi(2))
                .sum::<f64>()
                / n;
            for (b, i) in all() {
                let k = index(b, ch, i);
                let r = self.residual.as_ref().map_or(0.0, |r| {
                    if r.len() == self.x.len() {
                        r[k]
                    } else {
                        r[b * self.size + i]
                    }
                });
                let hat = (self.x[k] - mean) / (var + EPSILON).sqrt();
                let z = self.gamma[ch] * hat + self.beta[ch] + r;
                loss += self.weights[k] * if z > 0.0 { z } else { self.slope[ch] * z };
            }
        }
        loss
    }

    fn slope_of(&mut self, pick: impl Fn(&mut Self) -> &mut f64) -> f64 {
        let h = 1e-6;
        let at = *pick(self);
        *pick(self) = at + h;
        let up = self.loss();
        *pick(self) = at - h;
        let down = self.loss();
        *pick(self) = at;
        (up - down) / (2.0 * h)
    }
}

fn single(v: &[f64]) -> Vec<f32> {
    v.iter().map(|&v| v as f32).collect()
}

#[test]
fn agrees_with_plain_arithmetic_and_finite_differences() {
    for (batch, channels, size, residual) in [
        (2, 3, 7, 0),
        (1, 1, 40, 1),
        (2, 3, 19, 3),
        (3, 2, 33, 1),
        (1, 2, 5000, 2),
    ] {
        if cfg!(miri) && size > 100 {
            continue;
        }
        let mut case = Case::new(batch, channels, size, residual);
        let (x, gamma, beta) = (single(&case.x), single(&case.gamma), single(&case.beta));
        let slope = single(&case.slope);
        let r = case.residual.as_deref().map(single);
        let norm = NormAct {
            batch,
            channels,
            size,
            gamma: &gamma,
            beta: &beta,
            slope: &slope,
            epsilon: EPSILON,
        };
        let stats = statistics(&x, batch, channels, size).unwrap();
        let y = norm.forward(&x, &stats, r.as_deref()).unwrap();
        let loss: f64 = y
            .iter()
            .zip(&case.weights)
            .map(|(y, w)| f64::from(*y) * w)
            .sum();
        assert!((loss - case.loss()).abs() < 1e-3, "{loss} {}", case.loss());
        let g = single(&case.weights);
        let grads = norm
            .backward(
                Values::F32(&x),
                &g,
                &stats,
                r.as_deref().map(Values::F32),
                true,
            )
            .unwrap();
        let check = |what: &str, found: f32, wanted: f64| {
            let limit = 2e-4 * wanted.abs().max(1.0);
            assert!(
                (f64::from(found) - wanted).abs() < limit,
                "{what}: {found}, {wanted}"
            );
        };
        for i in (0..x.len()).step_by(x.len().div_ceil(40)) {
            check("x", grads.x[i], case.slope_of(|c| &mut c.x[i]));
        }
        for i in 0..channels {
            check("gamma", grads.gamma[i], case.slope_of(|c| &mut c.gamma[i]));
            check("beta", grads.beta[i], case.slope_of(|c| &mut c.beta[i]));
            check("slope", grads.slope[i], case.slope_of(|c| &mut c.slope[i]));
        }
        assert_eq!(grads.residual.is_some(), residual > 0);
        if let Some(dr) = &grads.residual {
            assert_eq!(dr.len(), r.as_ref().unwrap().len());
            for i in (0..dr.len()).step_by(dr.len().div_ceil(40)) {
                let wanted = case.slope_of(|c| &mut c.residual.as_mut().unwrap()[i]);
                check("residual", dr[i], wanted);
            }
        }
        let without = norm
            .backward(
                Values::F32(&x),
                &g,
                &stats,
                r.as_deref().map(Values::F32),
                false,
            )
            .unwrap();
        assert_eq!(without.residual, None);
        assert_eq!(without.x, grads.x);
    }
}

#[test]
fn a_backward_pass_of_rounded_values_is_that_of_their_f32() {
    let (batch, channels, size) = (2, 3, 5000);
    let x = narrow(&values(batch * channels * size, 1));
    let r = narrow(&values(batch * channels * size, 2));
    let one = narrow(&values(batch * size, 3));
    let g = values(batch * channels * size, 4);
    let wide = |values: &[u16]| values.iter().map(|v| widen(*v)).collect::<Vec<f32>>();
    let stats = statistics(&wide(&x), batch, channels, size).unwrap();
    let norm = NormAct {
        batch,
        channels,
        size,
        gamma: &[1.0, -0.5, 2.0],
        beta: &[0.1, 0.0, -0.3],
        slope: &[0.25, 0.1, -0.2],
        epsilon: 1e-5,
    };
    for r in [None, Some(&r), Some(&one)] {
        let in_f32 = r.map(|r| wide(r));
        let wanted = norm
            .backward(
                Values::F32(&wide(&x)),
                &g,
                &stats,
                in_f32.as_deref().map(Values::F32),
                true,
            )
            .unwrap();
        let r = r.map(|r| Values::Bf16(r));
        let found = norm
            .backward(Values::Bf16(&x), &g, &stats, r, true)
            .unwrap();
        assert_eq!(found, wanted);
        // The same, and the input's gradient in bf16.
        let (dx, found) = norm
            .backward_rounded(Values::Bf16(&x), &g, &stats, r, true)
            .unwrap();
        assert_eq!(dx, narrow(&wanted.x));
        let others = NormGrads {
            x: Vec::new(),
            ..wanted
        };
        assert_eq!(found, others);
        let (dx, found) = norm
            .backward_rounded(Values::Bf16(&x), &g, &stats, r, false)
            .unwrap();
        assert_eq!((dx.len(), found.residual), (g.len(), None));
        // The output, and the output in bf16.
        let plain = norm.forward(&wide(&x), &stats, in_f32.as_deref()).unwrap();
        let (y, rounded) = norm.forward_rounded(Values::Bf16(&x), &stats, r).unwrap();
        assert_eq!(rounded, narrow(&plain));
        assert_eq!(y, plain);
    }
}

#[test]
fn statistics_hold_far_from_zero() {
    let size = if cfg!(miri) { 300 } else { 10_000 };
    let x: Vec<f32> = values(6 * size, 9).iter().map(|v| 1000.0 + v).collect();
    let found = statistics(&x, 2, 3, size).unwrap();
    for c in 0..3 {
        let of: Vec<f64> = (0..2)
            .flat_map(|b| {
                x[(b * 3 + c) * size..][..size]
                    .iter()
                    .map(|&v| f64::from(v))
            })
            .collect();
        let n = 2.0 * size as f64;
        let mean = of.iter().sum::<f64>() / n;
        let variance = of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        assert!((f64::from(found.mean[c]) - mean).abs() < 1e-3);
        assert!((f64::from(found.variance[c]) / variance - 1.0).abs() < 1e-4);
    }
}

#[test]
fn refuses_wrong_lengths() {
    let one = [1.0f32; 2];
    let norm = NormAct {
        batch: 1,
        channels: 2,
        size: 3,
        gamma: &one,
        beta: &one,
        slope: &one,
        epsilon: EPSILON,
    };
    let stats = Statistics {
        mean: vec![0.0; 2],
        variance: vec![1.0; 2],
    };
    let short = Statistics {
        mean: vec![0.0; 1],
        variance: vec![1.0; 2],
    };
    let x = [0.0; 6];
    for error in [
        statistics(&x, 1, 2, 4).unwrap_err(),
        norm.forward(&x[1..], &stats, None).unwrap_err(),
        norm.forward(&x, &short, None).unwrap_err(),
        norm.forward(&x, &stats, Some(&x[..4])).unwrap_err(),
        norm.backward(Values::F32(&x), &x[1..], &stats, None, false)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Mismatch);
    }
    // An empty array has no plane, but must not panic.
    let empty = statistics(&[], 0, 2, 0).unwrap();
    assert_eq!(empty.mean, [0.0, 0.0]);
}
