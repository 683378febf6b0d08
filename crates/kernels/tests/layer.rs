//! Layers with bias, residual and PReLU against the reference and plain arithmetic. The maps are
//! channels of larger maps.

mod common;

use common::values;
use multirnet_kernels::{
    Algorithm, Conv, ErrorKind, Layer, Maps, MapsMut, Precision, bf16_available, reference,
};

fn prelu(v: f32, slope: f32) -> f32 {
    if v > 0.0 { v } else { slope * v }
}

/// Runs `layer` as channels 1.. of larger maps and compares with `plain`, the results without
/// bias, residual and PReLU.
fn check(layer: Layer, batch: usize, input: [usize; 3], x: &[f32], plain: &[f32], residuals: bool) {
    let (ci, co) = (layer.channels_in(), layer.channels_out());
    let volume: usize = input.iter().product();
    let out: usize = layer.output(input).unwrap().iter().product();
    let (bias, slope) = (values(co, 7), values(co, 8));
    let layer = layer
        .with_bias(bias.clone())
        .unwrap()
        .with_slope(slope.clone())
        .unwrap();
    // One channel lies before the maps and two behind them.
    let (x_image, y_image) = ((ci + 3) * volume, (co + 3) * out);
    let mut wide = vec![f32::NAN; batch * x_image];
    for n in 0..batch {
        wide[n * x_image + volume..][..ci * volume]
            .copy_from_slice(&x[n * ci * volume..][..ci * volume]);
    }
    let full = values(batch * co * out, 9);
    let one = values(batch * out, 10);
    let cases: &[Option<bool>] = if residuals {
        &[None, Some(false), Some(true)]
    } else {
        &[None]
    };
    for &case in cases {
        let residual = case.map(|broadcast| {
            let (values, image) = if broadcast {
                (&one[..], out)
            } else {
                (&full[..], co * out)
            };
            let values = values.into();
            (Maps { values, image }, broadcast)
        });
        let mut y = vec![5.0; batch * y_image];
        layer
            .run(
                batch,
                input,
                Maps {
                    values: (&wide[volume..]).into(),
                    image: x_image,
                },
                residual,
                MapsMut {
                    values: (&mut y[out..]).into(),
                    image: y_image,
                },
            )
            .unwrap();
        let scale = plain.iter().fold(1f32, |m, v| m.max(v.abs()));
        for (i, &found) in y.iter().enumerate() {
            let (n, c, p) = (i / y_image, i % y_image / out, i % out);
            if c == 0 || c > co {
                assert_eq!(found, 5.0, "{layer:?} wrote outside its channels");
                continue;
            }
            let at = (n * co + c - 1) * out + p;
            let r = match case {
                None => 0.0,
                Some(true) => one[n * out + p],
                Some(false) => full[at],
            };
            let wanted = prelu(plain[at] + bias[c - 1] + r, slope[c - 1]);
            assert!(
                (found - wanted).abs() <= 2e-5 * scale,
                "{i}: {found} {wanted}"
            );
        }
    }
}

#[test]
fn convolutions_with_bias_residual_and_prelu() {
    for (batch, [ci, co], input, kernel, stride, padding) in [
        (2, [3, 5], [4, 9, 21], 3, 1, 1),
        (1, [16, 8], [3, 12, 50], 3, 1, 1),
        (2, [17, 33], [2, 6, 6], 3, 1, 1),
        (2, [3, 5], [5, 6, 11], 3, 2, 1),
        (1, [4, 9], [4, 6, 10], 2, 2, 0),
        (2, [5, 1], [3, 4, 7], 1, 1, 0),
        (1, [3, 4], [4, 6, 8], 1, 2, 0),
        (1, [2, 3], [5, 6, 11], 5, 1, 2),
        (1, [2, 3], [2, 3, 5], 3, 1, 1),
        (1, [1, 2], [2, 2, 3], 5, 1, 2),
    ] {
        // Miri takes thousands of times longer, so it gets the smallest cases.
        let conv = Conv::new(batch, [ci, co], input, kernel, stride, padding).unwrap();
        if cfg!(miri) && conv.flops() > 20_000 {
            continue;
        }
        for way in [
            Algorithm::Auto,
            Algorithm::Direct,
            Algorithm::Winograd2,
            Algorithm::Winograd4,
        ] {
            let x = values(conv.input_len(), 1);
            let w = values(conv.weight_len(), 2);
            let plain = reference::forward(&conv, &x, &w);
            let layer = Layer::conv([ci, co], kernel, stride, padding, w)
                .unwrap()
                .with_algorithm(way);
            check(layer, batch, input, &x, &plain, true);
        }
    }
}

#[test]
fn transposes() {
    for (batch, [ci, co], input) in [(1, [3, 5], [2, 3, 7]), (2, [16, 9], [1, 4, 20])] {
        if cfg!(miri) && ci > 8 {
            continue;
        }
        let conv = Conv::new(batch, [co, ci], input.map(|v| 2 * v), 2, 2, 0).unwrap();
        let x = values(conv.output_len(), 1);
        let w = values(conv.weight_len(), 2);
        let plain = reference::input_grad(&conv, &x, &w);
        let layer = Layer::up([ci, co], w).unwrap();
        check(layer, batch, input, &x, &plain, false);
    }
}

#[test]
fn refuses_what_does_not_fit() {
    assert_eq!(
        Layer::conv([2, 3], 3, 1, 1, vec![0.0; 5])
            .unwrap_err()
            .kind(),
        ErrorKind::Mismatch
    );
    let layer = || Layer::conv([1, 1], 3, 1, 1, vec![0.0; 27]).unwrap();
    assert!(layer().with_bias(vec![0.0; 2]).is_err());
    assert!(layer().with_slope(vec![]).is_err());
    let x: &'static [f32] = &[0.0; 64];
    let maps = |values: &'static [f32]| Maps {
        values: values.into(),
        image: 64,
    };
    for (x, r, y) in [
        (&x[1..], None, 64),
        (x, None, 63),
        (x, Some((maps(&x[2..]), true)), 64),
    ] {
        let mut y = vec![0.0; y];
        let y = MapsMut {
            values: y.as_mut_slice().into(),
            image: 64,
        };
        assert!(layer().run(1, [4; 3], maps(x), r, y).is_err());
    }
    let mut y = vec![0.0; 512];
    let y = MapsMut {
        values: y.as_mut_slice().into(),
        image: 512,
    };
    let up = Layer::up([1, 1], vec![0.0; 8]).unwrap();
    assert!(
        up.run(1, [4; 3], maps(x), Some((maps(x), true)), y)
            .is_err()
    );
}

#[test]
fn bf16_is_as_close_as_its_rounding_allows() {
    if !bf16_available() {
        eprintln!("skipped: this processor has no bf16 instructions");
        return;
    }
    for (channels, input) in [
        ([16, 16], [4, 24, 24]),
        ([7, 9], [5, 10, 37]),
        ([33, 40], [2, 12, 12]),
    ] {
        let conv = Conv::new(1, channels, input, 3, 1, 1).unwrap();
        let (x, w) = (values(conv.input_len(), 1), values(conv.weight_len(), 2));
        let plain = reference::forward(&conv, &x, &w);
        // The bound is on the root mean square of the error, relative to that of the outputs. F(2³)
        // doubles the error of a direct convolution in bf16 (0.0024), and large tiles multiply it
        // by six.
        for (way, bound) in [(Algorithm::Winograd2, 8e-3), (Algorithm::Winograd4, 2.5e-2)] {
            let mut layer = Layer::conv(channels, 3, 1, 1, w.clone())
                .unwrap()
                .with_algorithm(way);
            layer.set_precision(Precision::Bf16);
            let mut y = vec![0.0; plain.len()];
            let image = y.len();
            let maps = Maps {
                values: x.as_slice().into(),
                image: x.len(),
            };
            let to = MapsMut {
                values: y.as_mut_slice().into(),
                image,
            };
            layer.run(1, input, maps, None, to).unwrap();
            let square = |v: f32| f64::from(v) * f64::from(v);
            let error: f64 = y.iter().zip(&plain).map(|(a, b)| square(a - b)).sum();
            let whole: f64 = plain.iter().map(|v| square(*v)).sum();
            let relative = (error / whole).sqrt();
            assert!(relative < bound, "{way:?}: {relative}");
            assert!(relative > 1e-4, "{way:?}: {relative} is too small for bf16");
        }
    }
}
