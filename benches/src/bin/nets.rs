//! A window through each net of volumes: burn and the engine, in turns.
//!
//! `cargo run --release -p multirnet-benches --bin nets -- --help`

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use clap::Parser;
use multirnet_benches::{Result, fixture, machine::Machine, write_json};
use multirnet_infer::{BurnNetwork, Engine, Network, WindowBatch, WindowOutput};
use multirnet_nn::{System, SystemConfig};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

/// The nets that the engine runs.
const NETS: [&str; 5] = ["multirnet", "unet3d", "unetpp3d", "zhou", "densenet"];

/// Largest difference of any probability between burn and the engine.
const BOUND: f64 = 1e-4;

const WINDOW: [usize; 3] = [32, 96, 96];

/// Time of one window through each net of volumes, by burn and by the engine, in turns
#[derive(Parser)]
struct Arguments {
    /// Preset of the nets: base or small
    #[arg(long, default_value = "base")]
    preset: String,

    /// Nets to measure
    #[arg(long, value_delimiter = ',', default_values = NETS)]
    nets: Vec<String>,

    /// Counted runs of each
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A net with random weights, whose running statistics follow its activations.
fn net(config: &SystemConfig) -> System {
    let device = Device::flex().autodiff();
    device.seed(1);
    let system = config.init(&device);
    for _ in 0..10 {
        let range = Distribution::Uniform(0.0, 1.0);
        drop(system.answer(Tensor::<5>::random([2, 1, 32, 32, 32], range, &device)));
    }
    system.valid()
}

fn timed(network: &dyn Network, input: &[f32]) -> Result<(f64, WindowOutput)> {
    let windows = WindowBatch::new(input, WINDOW).map_err(|e| e.to_string())?;
    let start = Instant::now();
    let mut output = network.run(&windows, false).map_err(|e| e.to_string())?;
    Ok((1e3 * start.elapsed().as_secs_f64(), output.swap_remove(0)))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    match times.len() % 2 {
        0 => (times[middle - 1] + times[middle]) / 2.0,
        _ => times[middle],
    }
}

/// Largest difference of any probability.
fn apart(a: &WindowOutput, b: &WindowOutput) -> f64 {
    let maps = a.lesion.iter().zip(&b.lesion);
    let maps = maps.map(|(a, b)| f64::from((a - b).abs()));
    let classes = a.probabilities.to_array().into_iter();
    let classes = classes.zip(b.probabilities.to_array());
    maps.chain(classes.map(|(a, b)| (a - b).abs()))
        .fold(0.0, f64::max)
}

fn measure(o: &Arguments) -> Result<()> {
    let machine = Machine::measure();
    println!("{machine}");
    println!(
        "preset {}, window {WINDOW:?}, {} rounds in turns, medians in ms",
        o.preset, o.rounds
    );
    println!("\n| net | burn | engine | ratio | difference |\n|---|---:|---:|---:|---:|");
    let input = fixture::images(1, WINDOW, 2);
    let mut rows: Vec<Value> = Vec::new();
    for name in &o.nets {
        let config = SystemConfig::read(name, Some(&o.preset), Map::new());
        let system = net(&config.map_err(|e| e.to_string())?);
        let engine = Engine::new(&system).map_err(|e| e.to_string())?;
        let burn = BurnNetwork::new(system, Device::flex());
        let both: [&dyn Network; 2] = [&burn, &engine];
        let mut times = [Vec::new(), Vec::new()];
        let mut difference = 0.0;
        // The first round packs weights and is not counted.
        for round in 0..=o.rounds {
            let [(a, x), (b, y)] = [timed(both[0], &input)?, timed(both[1], &input)?];
            difference = apart(&x, &y);
            if round > 0 {
                times[0].push(a);
                times[1].push(b);
            }
        }
        let [burn, engine] = times.map(median);
        println!(
            "| {name} | {burn:.0} | {engine:.0} | {:.2} | {difference:.1e} |",
            burn / engine
        );
        rows.push(json!({
            "net": name, "burn_ms": burn, "engine_ms": engine, "difference": difference,
        }));
        if difference > BOUND {
            return Err(format!(
                "{name}: burn and the engine differ by {difference:.1e}"
            ));
        }
    }
    match &o.json {
        None => Ok(()),
        Some(path) => write_json(
            path,
            &json!({ "bench": "nets", "preset": o.preset, "machine": machine.json(), "rows": rows }),
        ),
    }
}

fn main() -> ExitCode {
    multirnet_kernels::allocator::keep_freed_pages();
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nets: {e}");
            ExitCode::FAILURE
        }
    }
}
