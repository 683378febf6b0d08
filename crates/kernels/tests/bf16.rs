//! Convolutions in bf16 against the reference on rounded inputs, over odd sizes, channel tails, strides and
//! paddings, on every unit that the processor has.

mod common;

use common::values;
use multirnet_kernels::{
    Conv, Layer, Maps, MapsMut, Precision, Values, available_bf16_units, bf16_available, narrow,
    reads_bf16_maps, reference, round, statistics, widen,
};

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| widen(round(*v))).collect()
}

fn assert_close(what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1f32, |m, v| m.max(v.abs()));
    for (i, (f, w)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (f - w).abs() <= 1e-5 * scale,
            "{what}: element {i} is {f} where the reference has {w} (scale {scale})"
        );
    }
}

/// batch, [in, out], input, kernel, stride, padding
type Case = (usize, [usize; 2], [usize; 3], usize, usize, usize);

const CASES: &[Case] = &[
    (1, [1, 1], [1, 1, 1], 3, 1, 1),
    (2, [2, 8], [3, 5, 7], 3, 1, 1),
    (1, [8, 8], [4, 6, 17], 3, 1, 1),
    (1, [3, 13], [2, 9, 33], 3, 1, 1),
    (3, [16, 16], [2, 3, 5], 3, 1, 1),
    (1, [5, 24], [3, 6, 6], 3, 1, 1),
    (2, [7, 3], [5, 4, 19], 3, 2, 1),
    (1, [8, 16], [4, 8, 8], 3, 2, 1),
    (1, [2, 4], [1, 2, 3], 3, 2, 1),
    (2, [8, 16], [4, 6, 10], 2, 2, 0),
    (1, [40, 50], [4, 8, 70], 2, 2, 0),
    (1, [3, 5], [5, 7, 9], 2, 2, 0),
    (2, [9, 1], [3, 4, 5], 1, 1, 0),
    (1, [40, 70], [2, 4, 12], 1, 1, 0),
    (1, [3, 2], [5, 6, 7], 1, 2, 0),
    (1, [2, 3], [5, 6, 11], 5, 1, 2),
    (1, [2, 3], [7, 6, 11], 5, 2, 2),
    (1, [2, 2], [4, 5, 6], 3, 1, 0),
    (1, [2, 2], [4, 5, 6], 3, 1, 3),
    (1, [2, 2], [7, 8, 9], 3, 3, 1),
    (1, [1, 2], [3, 3, 3], 2, 3, 0),
    (1, [8, 4], [3, 16, 70], 3, 1, 1),
    (1, [19, 35], [4, 12, 12], 3, 1, 1),
    (2, [4, 3], [2, 5, 203], 3, 1, 1),
    (3, [33, 67], [2, 6, 6], 3, 1, 1),
    (1, [64, 3], [3, 5, 40], 3, 1, 1),
    (1, [2, 3], [32, 9, 97], 3, 1, 1),
    (1, [17, 3], [3, 9, 62], 3, 2, 1),
];

/// Kernels of one plane: batch, [in, out], input
const FLAT: &[(usize, [usize; 2], [usize; 3])] = &[
    (2, [2, 8], [3, 5, 7]),
    (1, [3, 13], [2, 9, 33]),
    (3, [33, 17], [2, 6, 6]),
];

fn convolutions() -> Vec<Conv> {
    let cubic = CASES
        .iter()
        .map(|&(batch, channels, input, kernel, stride, padding)| {
            Conv::new(batch, channels, input, kernel, stride, padding)
        });
    let flat = FLAT.iter().flat_map(|&(batch, channels, input)| {
        [1, 2, 3].map(|stride| Conv::flat(batch, channels, input, stride))
    });
    let all: Vec<Conv> = cubic.chain(flat).map(|conv| conv.unwrap()).collect();
    // Miri takes thousands of times longer.
    all.into_iter()
        .filter(|c| !cfg!(miri) || c.flops() <= 10_000)
        .collect()
}

#[test]
fn agrees_with_the_reference() {
    for conv in convolutions() {
        let x = values(conv.input_len(), 1);
        let w = values(conv.weight_len(), 2);
        let g = values(conv.output_len(), 3);
        let (x16, w16, g16) = (rounded(&x), rounded(&w), rounded(&g));
        let (y, dx, dw) = (
            reference::forward(&conv, &x16, &w16),
            reference::input_grad(&conv, &g16, &w16),
            reference::weight_grad(&conv, &x16, &g16),
        );
        for unit in available_bf16_units() {
            // A chosen algorithm other than the cost model's takes the unit's blocks.
            let conv = conv
                .with_bf16_unit(unit)
                .with_algorithm(multirnet_kernels::Algorithm::Direct);
            let what = format!("{conv:?}");
            let (narrow_x, narrow_g) = (narrow(&x), narrow(&g));
            // Buffers are kept between calls. What earlier ones left there must not reach a result.
            let nan = vec![f32::NAN; conv.input_len().max(conv.output_len())];
            let (of_x, of_y) = (&nan[..conv.input_len()], &nan[..conv.output_len()]);
            conv.forward_bf16(Values::F32(of_x), &w).unwrap();
            conv.input_grad_bf16(Values::F32(of_y), &w).unwrap();
            conv.weight_grad_bf16(Values::F32(of_x), Values::F32(of_y))
                .unwrap();
            for values in [Values::F32(&x), Values::Bf16(&narrow_x)] {
                assert_close(&what, &conv.forward_bf16(values, &w).unwrap(), &y);
                assert_close(
                    &what,
                    &conv.weight_grad_bf16(values, Values::F32(&g)).unwrap(),
                    &dw,
                );
            }
            let (short, found) = conv.forward_rounded(Values::F32(&x), &w).unwrap();
            let exact = conv.forward_bf16(Values::F32(&x), &w).unwrap();
            assert_eq!(short, narrow(&exact), "{what}");
            let size = conv.output().iter().product();
            let wanted = statistics(&exact, conv.batch, conv.channels_out, size).unwrap();
            assert_close(&what, &found.mean, &wanted.mean);
            assert_close(&what, &found.variance, &wanted.variance);
            for values in [Values::F32(&g), Values::Bf16(&narrow_g)] {
                assert_close(&what, &conv.input_grad_bf16(values, &w).unwrap(), &dx);
            }
        }
    }
}

#[test]
fn the_cost_models_choice_is_close_to_f32() {
    for conv in convolutions() {
        let x = values(conv.input_len(), 1);
        let w = values(conv.weight_len(), 2);
        let g = values(conv.output_len(), 3);
        for unit in available_bf16_units() {
            let conv = conv.with_bf16_unit(unit);
            let bound = 0.03 * (conv.weight_len() as f32 / conv.channels_out as f32).sqrt();
            let close = |a: Vec<f32>, b: Vec<f32>, scale: f32| {
                let far = a
                    .iter()
                    .zip(&b)
                    .find(|(a, b)| (**a - **b).abs() > bound * scale);
                assert_eq!(far, None, "{conv:?}");
            };
            let plain = reference::forward(&conv, &x, &w);
            close(conv.forward_bf16(Values::F32(&x), &w).unwrap(), plain, 1.0);
            let plain = reference::input_grad(&conv, &g, &w);
            close(
                conv.input_grad_bf16(Values::F32(&g), &w).unwrap(),
                plain,
                2.0,
            );
            let plain = reference::weight_grad(&conv, &x, &g);
            let positions = conv.output_len() as f32 / conv.channels_out as f32;
            let found = conv
                .weight_grad_bf16(Values::F32(&x), Values::Bf16(&narrow(&g)))
                .unwrap();
            close(found, plain, positions.sqrt());
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let conv = Conv::new(2, [19, 35], [4, 12, 12], 3, 1, 1).unwrap();
    let (x, w) = (values(conv.input_len(), 1), values(conv.weight_len(), 2));
    let g = values(conv.output_len(), 3);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            available_bf16_units()
                .into_iter()
                .map(|unit| {
                    let conv = conv.with_bf16_unit(unit);
                    [
                        conv.forward_bf16(Values::F32(&x), &w).unwrap(),
                        conv.input_grad_bf16(Values::F32(&g), &w).unwrap(),
                        conv.weight_grad_bf16(Values::F32(&x), Values::Bf16(&narrow(&g)))
                            .unwrap(),
                    ]
                })
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn layers_in_bf16_have_the_epilogue_of_f32() {
    if !bf16_available() {
        return;
    }
    let [batch, ci, co] = [2, 6, 5];
    let input = [4, 10, 22];
    let cases = [
        (false, 3, 1, 1),
        (false, 1, 1, 0),
        (false, 2, 2, 0),
        (true, 2, 2, 0),
    ];
    for (transposed, kernel, stride, padding) in cases {
        let weights = values(ci * co * kernel * kernel * kernel, 2);
        let layer = match transposed {
            true => Layer::up([ci, co], weights),
            false => Layer::conv([ci, co], kernel, stride, padding, weights),
        };
        let mut layer = layer
            .and_then(|l| l.with_bias(values(co, 7)))
            .and_then(|l| l.with_slope(values(co, 8)))
            .unwrap();
        let out: usize = layer.output(input).unwrap().iter().product();
        let volume: usize = input.iter().product();
        let x = values(batch * ci * volume, 1);
        let r = values(batch * co * out, 9);
        let residual = (!transposed).then_some((
            Maps {
                values: r.as_slice().into(),
                image: co * out,
            },
            false,
        ));
        let mut run = |precision| {
            layer.set_precision(precision);
            let mut y = vec![f32::NAN; batch * co * out];
            let (x, to) = (
                Maps {
                    values: x.as_slice().into(),
                    image: ci * volume,
                },
                co * out,
            );
            layer
                .run(
                    batch,
                    input,
                    x,
                    residual,
                    MapsMut {
                        values: y.as_mut_slice().into(),
                        image: to,
                    },
                )
                .unwrap();
            y
        };
        let (exact, found) = (run(Precision::F32), run(Precision::Bf16));
        assert_ne!(exact, found);
        if reads_bf16_maps() {
            // The same maps in bf16 give the same results, rounded.
            let (x, r) = (narrow(&x), narrow(&r));
            let maps = |values, image| Maps { values, image };
            let residual = (!transposed).then_some((maps(Values::Bf16(&r), co * out), false));
            let mut y = vec![0u16; batch * co * out];
            let to = MapsMut {
                values: y.as_mut_slice().into(),
                image: co * out,
            };
            let x = maps(Values::Bf16(&x), ci * volume);
            layer.run(batch, input, x, residual, to).unwrap();
            for (a, b) in found.iter().zip(&y) {
                assert!(
                    (a - widen(*b)).abs() <= 0.02 + 0.005 * a.abs(),
                    "{kernel} {stride}: {a}"
                );
            }
        }
        for (a, b) in exact.iter().zip(&found) {
            assert!((a - b).abs() <= 0.2, "{kernel} {stride}: {a} {b}");
        }
    }
}
