//! Times 2D convolutions of 128 slices forward and backward, with this project's kernels and with
//! burn's `conv2d`: `cargo run --release -p multirnet-nn --example conv2d`. Prints medians and the
//! processor time, which is the more reliable figure on a busy machine.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor, module};
use multirnet_nn::ops::conv2d::{Conv2dOptions, conv2d};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

const RUNS: usize = 5;

/// Processor seconds of this process so far (Linux; elsewhere 0).
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    // These are fields 14 and 15 of proc(5), in hundredths of a second.
    (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
}

/// Median seconds and mean processor seconds of a forward and backward pass.
fn time<const D: usize>(run: impl Fn() -> Tensor<D>) -> (f64, f64) {
    run().sum().backward();
    let start = processor();
    let mut times = [0.0; RUNS];
    for t in &mut times {
        let begin = Instant::now();
        run().sum().backward();
        *t = begin.elapsed().as_secs_f64();
    }
    times.sort_by(f64::total_cmp);
    (times[RUNS / 2], (processor() - start) / RUNS as f64)
}

fn main() {
    multirnet_kernels::allocator::keep_freed_pages();
    let device = Device::flex().autodiff();
    println!("| channels | side | kernel | stride | kernels | burn |");
    println!("|---|---|---|---|---|---|");
    for ([from, to], side, kernel, stride) in [
        ([16, 16], 96, 3, 1),
        ([16, 16], 48, 3, 1),
        ([32, 32], 24, 3, 1),
        ([64, 64], 12, 3, 1),
        ([16, 32], 48, 3, 2),
        ([16, 64], 24, 1, 1),
        ([128, 64], 6, 1, 1),
    ] {
        let uniform = Distribution::Uniform(-1.0, 1.0);
        let x = Tensor::<5>::random([4, from, 32, side, side], uniform, &device).require_grad();
        let w = Tensor::<4>::random([to, from, kernel, kernel], uniform, &device).require_grad();
        let options = Conv2dOptions {
            stride,
            padding: [kernel / 2; 2],
            ..Conv2dOptions::default()
        };
        let slices = Tensor::<4>::random([128, from, side, side], uniform, &device).require_grad();
        let burns = ConvOptions::new([stride; 2], options.padding, [1; 2], 1);
        let ours = time(|| conv2d(x.clone(), w.clone(), None, options));
        let theirs = time(|| module::conv2d(slices.clone(), w.clone(), None, burns.clone()));
        println!(
            "| {from} → {to} | {side} | {kernel} | {stride} | {:.3} s ({:.3} s) | {:.3} s ({:.3} s) |",
            ours.0, ours.1, theirs.0, theirs.1
        );
    }
}
