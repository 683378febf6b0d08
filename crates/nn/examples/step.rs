//! Times training steps: `cargo run --release -p multirnet-nn --example step -- [small|base]
//! [iterations] [batch] [steps]`. Prints the median of each stage, and the processor time of a
//! step, which says more on a busy machine.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor};
use multirnet_nn::{LossConfig, MultiRNetConfig};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Processor seconds of this process so far (Linux; elsewhere 0).
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    multirnet_kernels::allocator::keep_freed_pages();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| {
        let value = args.get(i).and_then(|a| a.parse().ok());
        value.unwrap_or(default)
    };
    let preset = args.first().map_or("small", String::as_str);
    let Some(mut config) = MultiRNetConfig::preset(preset) else {
        eprintln!("unknown preset {preset}: small, base or vnet5");
        return;
    };
    config.iterations = number(1, config.iterations);
    let (batch, steps) = (number(2, 4), number(3, 5).max(1));
    let device = Device::flex().autodiff();
    let mut net = config.init(&device);
    let mut adam = AdamConfig::new().init();
    let x = Tensor::<5>::random(
        [batch, 1, 32, 96, 96],
        Distribution::Uniform(0.0, 1.0),
        &device,
    );
    let lesion = x.clone().greater_elem(0.9).float();
    let classes = Tensor::<1, Int>::zeros([batch], &device);
    let loss = LossConfig::default();
    let mut times = [vec![], vec![], vec![], vec![]];
    for step in 0..=steps {
        let begin = (Instant::now(), processor());
        let losses = loss.forward(&net.forward(x.clone()), lesion.clone(), classes.clone());
        let forward = begin.0.elapsed().as_secs_f64();
        let grads = losses.total.backward();
        let backward = begin.0.elapsed().as_secs_f64();
        let grads = GradientsParams::from_grads(grads, &net);
        net = adam.step(3e-4, net, grads);
        let all = begin.0.elapsed().as_secs_f64();
        if step > 0 {
            let stages = [
                forward,
                backward - forward,
                all - backward,
                processor() - begin.1,
            ];
            for (times, t) in times.iter_mut().zip(stages) {
                times.push(t);
            }
        }
    }
    let [forward, backward, update, processor] = times.each_mut().map(|t| median(t));
    println!(
        "{preset}, n = {}, batch {batch}: forward {forward:.2} s, backward {backward:.2} s, \
         update {update:.2} s, step {:.2} s, processor {processor:.2} s",
        config.iterations,
        forward + backward + update
    );
}
