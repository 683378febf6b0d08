//! One training step: ours and PyTorch's, from the same weights and data.
//!
//! `cargo run --release -p multirnet-benches --bin train-step -- --help`

use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Parser;
use multirnet_benches::contestant::{Contestant, Entry, Precision};
use multirnet_benches::peers::PeerArguments;
use multirnet_benches::rounds::{self, Rounds};
use multirnet_benches::{
    Result, fixture, machine::Machine, machine::interference, serving, table, write_json,
};
use multirnet_nn::ops::with_precision;
use multirnet_nn::{LossConfig, System, SystemConfig, Truth, weights};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

/// The best variant of each peer (found by `--all-variants`).
const PEERS: &[(&str, Precision)] = &[("f32+nhwc", Precision::F32), ("autocast", Precision::Bf16)];

/// The other variants of PyTorch.
const VARIANTS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f32+nhwc", Precision::F32),
    ("f32+compile", Precision::F32),
    ("autocast", Precision::Bf16),
    ("autocast+nhwc", Precision::Bf16),
    ("autocast+compile", Precision::Bf16),
];

/// Largest relative difference of the first step's loss from PyTorch's f32.
fn bound(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        Precision::Bf16 => 2e-2,
    }
}

/// Time of a training step (forward, backward, Adam): ours and PyTorch, in turns
#[derive(Parser)]
struct Arguments {
    /// Net to train; PyTorch's twin is that of multirnet, so other nets are measured without it
    #[arg(long, default_value = "multirnet")]
    system: String,

    /// The net's preset, such as base or small
    #[arg(long, default_value = "base")]
    preset: String,

    /// Passes of multirnet after the first (the paper's n)
    #[arg(long, default_value_t = 0)]
    iterations: usize,

    /// Windows per step
    #[arg(long, default_value_t = 4)]
    batch: usize,

    /// Counted steps of each contestant
    #[arg(long, default_value_t = 9)]
    rounds: usize,

    /// Measure every variant of PyTorch and of its allocators, to find the best
    #[arg(long)]
    all_variants: bool,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(flatten)]
    peers: PeerArguments,

    /// Serve as our contestant: weights, input, batch, precision (this program starts itself with it)
    #[arg(long, hide = true, num_args = 4)]
    serve: Option<Vec<String>>,
}

const WINDOW: [usize; 3] = [32, 96, 96];
const LEARNING_RATE: f64 = 3e-4;

/// Our training step, the same as that of `multirnet_train`.
struct Ours {
    net: System,
    adam: ModuleOptimizer,
    loss: LossConfig,
    x: Tensor<5>,
    truth: Truth,
    precision: multirnet_kernels::Precision,
}

impl serving::Serve for Ours {
    fn run(&mut self) -> Result<Value> {
        let output = with_precision(self.precision, || self.net.answer(self.x.clone()));
        let losses = self.loss.score(&output, &self.truth);
        drop(output);
        let loss = losses.total.clone().into_data().iter::<f64>().next();
        let grads = GradientsParams::from_grads(losses.total.backward(), &self.net);
        self.net = self.adam.step(LEARNING_RATE, self.net.clone(), grads);
        Ok(json!({ "loss": loss }))
    }

    fn output(&self) -> Vec<f32> {
        Vec::new()
    }
}

fn serve(arguments: &[String]) -> Result<()> {
    multirnet_kernels::allocator::keep_freed_pages();
    let [weights, input, batch, precision] = arguments else {
        return Err("--serve takes four values".into());
    };
    let batch: usize = batch.parse().map_err(|e| format!("{batch}: {e}"))?;
    let device = Device::flex().autodiff();
    let net = weights::load::<System>(Path::new(weights), &device).map_err(|e| e.to_string())?;
    let mut images = serving::load(Path::new(input))?;
    let masks = images.split_off(images.len() / 2);
    let [d, h, w] = WINDOW;
    let tensor = |values: Vec<f32>| {
        Tensor::<5>::from_data(TensorData::new(values, [batch, 1, d, h, w]), &device)
    };
    let classes: Vec<i32> = (0..batch as i32).map(|i| i % 3).collect();
    let mut ours = Ours {
        adam: AdamConfig::new().init(),
        // The peers compute this loss.
        loss: LossConfig::paper(),
        x: tensor(images),
        truth: Truth::known(
            tensor(masks),
            Tensor::from_data(TensorData::new(classes, [batch]), &device),
        ),
        net,
        precision: match precision.as_str() {
            "bf16" => multirnet_kernels::Precision::Bf16,
            _ => multirnet_kernels::Precision::F32,
        },
    };
    serving::serve(json!({ "version": env!("CARGO_PKG_VERSION") }), &mut ours)
}

fn entries(o: &Arguments, weights: &Path, input: &Path) -> Result<Vec<Entry>> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut entries = Vec::new();
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        let mut command = Command::new(&this);
        command
            .arg("--serve")
            .args([weights, input])
            .args([&o.batch.to_string(), name])
            .env("RAYON_NUM_THREADS", o.peers.threads().to_string());
        entries.push(Entry {
            name: format!("multirnet {name}"),
            precision,
            ours: true,
            command,
        });
    }
    if o.peers.no_peers || o.system != "multirnet" {
        return Ok(entries);
    }
    let [d, h, w] = WINDOW;
    let mut add = |peers: &PeerArguments, variant: &str, precision| {
        let mut command = peers.python_tuned("train_step.py")?;
        command
            .args([variant, "--weights"])
            .arg(weights)
            .arg("--input")
            .arg(input)
            .args(["--shape", &format!("{},{d},{h},{w}", o.batch)]);
        entries.push(Entry {
            name: format!("torch {variant} ({})", peers.allocator_name()),
            precision,
            ours: false,
            command,
        });
        Ok::<(), String>(())
    };
    for (variant, precision) in if o.all_variants { VARIANTS } else { PEERS } {
        add(&o.peers, variant, *precision)?;
    }
    if o.all_variants {
        for other in o.peers.other_allocators() {
            add(&other, "f32", Precision::F32)?;
        }
    }
    Ok(entries)
}

fn measure(o: &Arguments) -> Result<()> {
    let config = SystemConfig::read(&o.system, Some(&o.preset), Map::new());
    let mut config = config.map_err(|e| e.to_string())?;
    // Dropout is random. Without it every contestant computes the same.
    match &mut config {
        SystemConfig::MultiRNet(config) => {
            (config.iterations, config.dropout) = (o.iterations, 0.0);
            config.detach_mask = false;
        }
        SystemConfig::TransUNet(config) => config.dropout = 0.0,
        SystemConfig::Zhou(config) => config.dropout = 0.0,
        _ => {}
    }
    let machine = Machine::measure();
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let (weights, input) = (
        folder.path().join("net.safetensors"),
        folder.path().join("input.f32"),
    );
    fixture::write_weights(&weights, &config, 1)?;
    fixture::write_input(&input, &fixture::images(o.batch, WINDOW, 2), true)?;
    let rounds = Rounds {
        count: o.rounds,
        warm: 2,
        per_turn: 0,
    };
    let started = rounds::start(entries(o, &weights, &input)?, rounds)?;
    let (mut started, first): (Vec<Contestant>, Vec<Value>) = started.into_iter().unzip();
    let mut all: Vec<&mut Contestant> = started.iter_mut().collect();
    let others = rounds::run(&mut all, rounds)?;

    let loss = |i: usize| first[i]["loss"].as_f64().unwrap_or(f64::NAN);
    let reference = all.iter().position(|c| c.name.starts_with("torch f32"));
    let reference = reference.unwrap_or(0);
    let gflop = all.iter().find_map(|c| c.hello["gflop"].as_f64());
    let mut rows = table::rows(&mut all, gflop)?;
    let mut far = Vec::new();
    for (i, (c, row)) in all.iter().zip(&mut rows).enumerate() {
        let apart = (loss(i) / loss(reference) - 1.0).abs();
        row.check = format!("{:.6} ({apart:.0e})", loss(i));
        if c.broken > 0 {
            row.check += &format!(", not finite in {} later steps", c.broken);
        }
        if apart.is_nan() || apart > bound(c.precision) {
            far.push(format!("{} by {apart:.0e}", c.name));
        }
    }
    println!("{machine}");
    print!("{}", interference(others));
    println!(
        "{} {}, n = {}, batch {} of {WINDOW:?}, Adam, {} threads, {} rounds; one step: {} \
         (three times the forward pass)",
        o.system,
        o.preset,
        o.iterations,
        o.batch,
        o.peers.threads(),
        o.rounds,
        gflop.map_or("-".into(), |g| format!("{g:.0} GFLOP")),
    );
    println!(
        "first step's loss, with its relative difference from {}\n",
        all[reference].name
    );
    table::print(&rows, "first loss");
    if let Some(path) = &o.json {
        let result = json!({
            "bench": "train-step", "system": o.system, "preset": o.preset, "iterations": o.iterations,
            "batch": o.batch, "threads": o.peers.threads(), "machine": machine.json(), "others_cores": others,
            "rows": table::json(&rows),
        });
        write_json(path, &result)?;
    }
    if far.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "first losses differ from the reference: {}",
            far.join(", ")
        ))
    }
}

fn main() -> ExitCode {
    let o = Arguments::parse();
    let done = match &o.serve {
        Some(arguments) => serve(arguments),
        None => measure(&o),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("train-step: {e}");
            ExitCode::FAILURE
        }
    }
}
