//! Naive convolutions in `f64`, the reference in the tests of the kernels.

use crate::Conv;

/// Calls `f(x index, weight index, y index)` for every product of the convolution.
fn products(conv: &Conv, mut f: impl FnMut(usize, usize, usize)) {
    let (taps, s, p) = (conv.taps(), conv.strides(), conv.borders());
    let (i, o) = (conv.input, conv.output());
    let at = |a: usize, out: usize, tap: usize| {
        let at = (out * s[a] + tap).checked_sub(p[a]);
        at.filter(|&v| v < i[a])
    };
    for n in 0..conv.batch {
        for co in 0..conv.channels_out {
            for ci in 0..conv.channels_in {
                for q in 0..o[0] * o[1] * o[2] {
                    let (z, y, x) = (q / (o[1] * o[2]), q / o[2] % o[1], q % o[2]);
                    for (t, [tz, ty, tx]) in conv.positions().enumerate() {
                        let (Some(iz), Some(iy), Some(ix)) =
                            (at(0, z, tz), at(1, y, ty), at(2, x, tx))
                        else {
                            continue;
                        };
                        f(
                            (((n * conv.channels_in + ci) * i[0] + iz) * i[1] + iy) * i[2] + ix,
                            (co * conv.channels_in + ci) * taps + t,
                            (n * conv.channels_out + co) * o[0] * o[1] * o[2] + q,
                        );
                    }
                }
            }
        }
    }
}

/// The convolution of `x` with the weights `w`, without bias.
pub fn forward(conv: &Conv, x: &[f32], w: &[f32]) -> Vec<f32> {
    let mut y = vec![0f64; conv.output_len()];
    products(conv, |i, j, o| y[o] += f64::from(x[i]) * f64::from(w[j]));
    y.into_iter().map(|v| v as f32).collect()
}

/// The gradient of the input, given the gradient `g` of the output and the weights `w`.
pub fn input_grad(conv: &Conv, g: &[f32], w: &[f32]) -> Vec<f32> {
    let mut x = vec![0f64; conv.input_len()];
    products(conv, |i, j, o| x[i] += f64::from(g[o]) * f64::from(w[j]));
    x.into_iter().map(|v| v as f32).collect()
}

/// The gradient of the weights, given the input `x` and the gradient `g` of the output.
pub fn weight_grad(conv: &Conv, x: &[f32], g: &[f32]) -> Vec<f32> {
    let mut w = vec![0f64; conv.weight_len()];
    products(conv, |i, j, o| w[j] += f64::from(x[i]) * f64::from(g[o]));
    w.into_iter().map(|v| v as f32).collect()
}
