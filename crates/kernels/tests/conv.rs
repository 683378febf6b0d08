//! The kernels against the naive reference, over odd sizes, channel tails, strides and paddings,
//! on every instruction set that the processor has.

mod common;

use common::values;
use multirnet_kernels::{Algorithm, Conv, ErrorKind, available, bias_grad, reference};

fn assert_close(what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1f32, |m, v| m.max(v.abs()));
    for (i, (f, w)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (f - w).abs() <= 2e-5 * scale,
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
    (1, [3, 5], [5, 7, 9], 2, 2, 0),
    (2, [9, 1], [3, 4, 5], 1, 1, 0),
    (1, [4, 11], [2, 4, 12], 1, 1, 0),
    (1, [16, 8], [3, 8, 8], 1, 1, 0),
    (1, [3, 2], [5, 6, 7], 1, 2, 0),
    (1, [2, 3], [5, 6, 11], 5, 1, 2),
    (1, [2, 3], [7, 6, 11], 5, 2, 2),
    (1, [2, 2], [4, 5, 6], 3, 1, 0),
    (1, [2, 2], [4, 5, 6], 3, 1, 3),
    (1, [2, 2], [7, 8, 9], 3, 3, 1),
    (1, [1, 2], [3, 3, 3], 2, 3, 0),
    (1, [8, 4], [3, 16, 70], 3, 1, 1),
    (2, [5, 9], [6, 10, 13], 3, 1, 1),
    (1, [19, 35], [4, 12, 12], 3, 1, 1),
    (2, [4, 3], [2, 5, 203], 3, 1, 1),
    (3, [33, 17], [2, 6, 6], 3, 1, 1),
    (1, [2, 3], [32, 9, 97], 3, 1, 1),
    (1, [2, 3], [2, 3, 5], 3, 1, 1),
    (1, [1, 1], [1, 2, 41], 3, 1, 1),
];

/// Whether a case of so many products is worth its time: Miri takes thousands of times longer.
fn is_quick(products: usize) -> bool {
    !cfg!(miri) || products <= 5_000
}

/// Kernels of one plane: batch, [in, out], input
type FlatCase = (usize, [usize; 2], [usize; 3]);

const FLAT: &[FlatCase] = &[
    (1, [1, 1], [1, 1, 1]),
    (2, [2, 8], [3, 5, 7]),
    (1, [3, 13], [2, 9, 33]),
    (2, [5, 9], [6, 10, 13]),
    (1, [19, 35], [4, 12, 12]),
    (2, [4, 3], [2, 5, 203]),
    (3, [33, 17], [2, 6, 6]),
    (1, [2, 3], [5, 9, 97]),
];

#[test]
fn agrees_with_the_reference() {
    let cubic = CASES
        .iter()
        .map(|&(batch, channels, input, kernel, stride, padding)| {
            Conv::new(batch, channels, input, kernel, stride, padding)
        });
    let flat = FLAT.iter().flat_map(|&(batch, channels, input)| {
        [1, 2, 3].map(|stride| Conv::flat(batch, channels, input, stride))
    });
    for conv in cubic.chain(flat) {
        let conv = conv.unwrap();
        if !is_quick(conv.flops() / 2) {
            continue;
        }
        let ways: &[Algorithm] = if (conv.kernel, conv.stride, conv.padding) == (3, 1, 1) {
            &[
                Algorithm::Direct,
                Algorithm::Winograd2,
                Algorithm::Winograd4,
                Algorithm::Auto,
            ]
        } else {
            &[Algorithm::Auto]
        };
        for (isa, &way) in available()
            .into_iter()
            .flat_map(|isa| ways.iter().map(move |w| (isa, w)))
        {
            let conv = conv.with_isa(isa).with_algorithm(way);
            let what = format!("{conv:?}");
            let x = values(conv.input_len(), 1);
            let w = values(conv.weight_len(), 2);
            let g = values(conv.output_len(), 3);
            let bias = values(conv.channels_out, 4);
            let plain = reference::forward(&conv, &x, &w);
            let size = conv.output().iter().product::<usize>();
            let biased: Vec<f32> = plain
                .iter()
                .enumerate()
                .map(|(i, v)| v + bias[i / size % conv.channels_out])
                .collect();
            assert_close(&what, &conv.forward(&x, &w, None).unwrap(), &plain);
            assert_close(&what, &conv.forward(&x, &w, Some(&bias)).unwrap(), &biased);
            let dx = conv.input_grad(&g, &w).unwrap();
            assert_close(&what, &dx, &reference::input_grad(&conv, &g, &w));
            let dw = conv.weight_grad(&x, &g).unwrap();
            assert_close(&what, &dw, &reference::weight_grad(&conv, &x, &g));
        }
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    for way in [
        Algorithm::Direct,
        Algorithm::Winograd2,
        Algorithm::Winograd4,
    ] {
        repeats(way);
    }
}

fn repeats(way: Algorithm) {
    let (channels, input) = if cfg!(miri) {
        ([1, 2], [2, 3, 9])
    } else {
        ([8, 12], [9, 40, 50])
    };
    let conv = Conv::new(2, channels, input, 3, 1, 1)
        .unwrap()
        .with_algorithm(way);
    let x = values(conv.input_len(), 1);
    let w = values(conv.weight_len(), 2);
    let g = values(conv.output_len(), 3);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            (
                conv.forward(&x, &w, None).unwrap(),
                conv.input_grad(&g, &w).unwrap(),
                conv.weight_grad(&x, &g).unwrap(),
                bias_grad(&g, 2, channels[1]).unwrap(),
            )
        })
    };
    let one = with(1);
    for threads in if cfg!(miri) { 2..3 } else { 2..6 } {
        assert!(one == with(threads), "{way:?}, {threads} threads");
    }
}

#[test]
fn the_bias_gradient_sums_each_channel() {
    let g = [1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0];
    assert_eq!(bias_grad(&g, 2, 2).unwrap(), [10.0, 100.0]);
}

#[test]
fn refuses_what_does_not_fit() {
    for (batch, channels, input, kernel, stride) in [
        (0, [1, 1], [4, 4, 4], 3, 1),
        (1, [1, 0], [4, 4, 4], 3, 1),
        (1, [1, 1], [4, 0, 4], 3, 1),
        (1, [1, 1], [4, 4, 2], 3, 1),
        (1, [1, 1], [4, 4, 4], 3, 0),
    ] {
        let error = Conv::new(batch, channels, input, kernel, stride, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
    let conv = Conv::new(1, [1, 1], [4, 4, 4], 3, 1, 1).unwrap();
    let (x, w) = ([0.0; 64], [0.0; 27]);
    for error in [
        conv.forward(&x[1..], &w, None).unwrap_err(),
        conv.forward(&x, &w[1..], None).unwrap_err(),
        conv.forward(&x, &w, Some(&w)).unwrap_err(),
        conv.input_grad(&x[1..], &w).unwrap_err(),
        conv.weight_grad(&x, &x[1..]).unwrap_err(),
        bias_grad(&x, 3, 1).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.to_string().contains("elements, but the shape needs"));
    }
}
