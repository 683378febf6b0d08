//! Times training steps of any system on windows of 32 × 96 × 96: `cargo run --release -p
//! multirnet-nn --example system_step -- SYSTEM [preset] [batch] [steps] [fields as JSON]`, or
//! `all` for every system. Prints the median of each stage and the processor time of a step, which
//! is the more reliable figure on a busy machine.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor};
use multirnet_nn::systems::SystemConfig;
use multirnet_nn::{LossConfig, Result, Truth};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Processor seconds of this process so far (Linux; elsewhere 0).
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    // These are fields 14 and 15 of proc(5), in hundredths of a second.
    (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn time(config: &SystemConfig, batch: usize, steps: usize) {
    let device = Device::flex().autodiff();
    let mut net = config.init(&device);
    let parameters = net.trained_parameters() as f64 / 1e6;
    let mut adam = AdamConfig::new().init();
    let uniform = |channels| {
        let shape = [batch, channels, 32, 96, 96];
        Tensor::<5>::random(shape, Distribution::Uniform(0.0, 1.0), &device)
    };
    let x = uniform(1);
    let lesion = uniform(config.lesion_channels()).greater_elem(0.9).float();
    let classes = Tensor::<1, Int>::zeros([batch], &device);
    let truth = Truth::known(lesion, classes);
    let loss = LossConfig::default();
    let mut times = [vec![], vec![], vec![], vec![]];
    for step in 0..=steps {
        let begin = (Instant::now(), processor());
        let losses = loss.score(&net.answer(x.clone()), &truth);
        let forward = begin.0.elapsed().as_secs_f64();
        let grads = losses.total.backward();
        let backward = begin.0.elapsed().as_secs_f64();
        let grads = GradientsParams::from_grads(grads, &net);
        net = adam.step(3e-4, net, grads);
        let all = begin.0.elapsed().as_secs_f64();
        // The first step also makes the parameters and fills the allocator.
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
        "{:<12} {parameters:7.2} M, batch {batch}: forward {forward:.2} s, backward {backward:.2} \
         s, update {update:.2} s, step {:.2} s, processor {processor:.2} s",
        config.name(),
        forward + backward + update
    );
}

fn run(args: &[String]) -> Result<()> {
    let text = |i: usize, default: &'static str| args.get(i).map_or(default, String::as_str);
    let number = |i: usize, default| text(i, "").parse().unwrap_or(default);
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text(4, "{}")).unwrap_or_default();
    let names = match text(0, "all") {
        "all" => SystemConfig::NAMES.to_vec(),
        name => vec![name],
    };
    for name in names {
        let config = SystemConfig::read(name, Some(text(1, "small")), fields.clone())?;
        config.validate()?;
        time(&config, number(2, 4), number(3, 5).max(1));
    }
    Ok(())
}

fn main() {
    multirnet_kernels::allocator::keep_freed_pages();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = run(&args) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
