//! One window through the network: ours, PyTorch, ONNX Runtime and OpenVINO, from the same weights.
//!
//! `cargo run --release -p multirnet-benches --bin window -- --help`

use clap::Parser;
use multirnet_benches::contestant::{Contestant, Entry, Precision};
use multirnet_benches::peers::PeerArguments;
use multirnet_benches::rounds::{self, Rounds};
use multirnet_benches::{
    Result, fixture, machine::Machine, machine::interference, serving, table, write_json,
};
use multirnet_infer::{BurnNetwork, Engine, Network, WindowBatch, WindowOutput};
use multirnet_nn::{MultiRNet, MultiRNetConfig, System, weights};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

/// Our engines, one line each: name, precision, how it is made from a weights file.
const OURS: &[(&str, Precision, Make)] = &[
    ("multirnet f32", Precision::F32, engine),
    ("multirnet bf16", Precision::Bf16, engine_bf16),
    ("multirnet burn f32", Precision::F32, burn_network),
];

type Make = fn(&Path) -> Result<Box<dyn Network>>;

fn burn_network(path: &Path) -> Result<Box<dyn Network>> {
    let device = burn::tensor::Device::flex();
    let net = weights::load::<MultiRNet>(path, &device).map_err(|e| e.to_string())?;
    let network = BurnNetwork::new(net, device);
    Ok(Box::new(network))
}

fn engine(path: &Path) -> Result<Box<dyn Network>> {
    let device = burn::tensor::Device::flex();
    let net = weights::load::<System>(path, &device).map_err(|e| e.to_string())?;
    Ok(Box::new(Engine::new(&net).map_err(|e| e.to_string())?))
}

fn engine_bf16(path: &Path) -> Result<Box<dyn Network>> {
    let mut network = engine(path)?;
    network
        .set_precision(multirnet_infer::Precision::Bf16)
        .map_err(|e| e.to_string())?;
    Ok(network)
}

/// The best variant of each peer (found by `--all-variants`), and the reference: PyTorch with its
/// defaults.
const PEERS: &[(&str, &str, Precision)] = &[
    ("torch", "f32", Precision::F32),
    ("torch", "f32+compile", Precision::F32),
    ("torch", "autocast+compile", Precision::Bf16),
    ("onnxruntime", "f32", Precision::F32),
    ("openvino", "f32", Precision::F32),
    ("openvino", "bf16", Precision::Bf16),
];

/// The other variants of PyTorch.
const VARIANTS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f32+unfolded", Precision::F32),
    ("f32+nhwc", Precision::F32),
    ("f32+onednn", Precision::F32),
    ("f32+onednn+nhwc", Precision::F32),
    ("f32+trace", Precision::F32),
    ("f32+compile", Precision::F32),
    ("f32+nhwc+compile", Precision::F32),
    ("f32+freeze", Precision::F32),
    ("bf16", Precision::Bf16),
    ("bf16+unfolded", Precision::Bf16),
    ("bf16+nhwc", Precision::Bf16),
    ("bf16+trace", Precision::Bf16),
    ("bf16+compile", Precision::Bf16),
    ("bf16+nhwc+compile", Precision::Bf16),
    ("autocast", Precision::Bf16),
    ("autocast+nhwc", Precision::Bf16),
    ("autocast+compile", Precision::Bf16),
    ("autocast+nhwc+compile", Precision::Bf16),
    ("autocast+freeze", Precision::Bf16),
];

/// The contestant whose outputs are the reference.
const REFERENCE: (&str, &str) = ("torch", "f32");

/// Largest difference of any probability from the reference.
fn bound(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        Precision::Bf16 => 0.05,
    }
}

/// Time of one window through the network: ours and the peers, in turns
#[derive(Parser)]
struct Arguments {
    /// base, small or vnet5
    #[arg(long, default_value = "base")]
    preset: String,

    /// Passes after the first (the paper's n)
    #[arg(long, default_value_t = 0)]
    iterations: usize,

    /// Windows per pass
    #[arg(long, default_value_t = 1)]
    batch: usize,

    /// Counted runs of each contestant
    #[arg(long, default_value_t = 15)]
    rounds: usize,

    /// Measure every variant of PyTorch and of its allocators, to find the best
    #[arg(long)]
    all_variants: bool,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(flatten)]
    peers: PeerArguments,

    /// Serve as one of our engines: number, weights, input (this program starts itself with it)
    #[arg(long, hide = true, num_args = 3)]
    serve: Option<Vec<String>>,
}

const WINDOW: [usize; 3] = [32, 96, 96];

struct Ours {
    network: Box<dyn Network>,
    input: Vec<f32>,
    last: Vec<WindowOutput>,
}

impl serving::Serve for Ours {
    fn run(&mut self) -> Result<Value> {
        self.last = WindowBatch::new(&self.input, WINDOW)
            .and_then(|windows| self.network.run(&windows, false))
            .map_err(|e| e.to_string())?;
        Ok(json!({}))
    }

    fn output(&self) -> Vec<f32> {
        let lesion = self.last.iter().flat_map(|o| o.lesion.iter().copied());
        let class = self.last.iter().flat_map(|o| o.probabilities.to_array());
        lesion.chain(class.map(|p| p as f32)).collect()
    }
}

fn serve(arguments: &[String]) -> Result<()> {
    multirnet_kernels::allocator::keep_freed_pages();
    let [number, weights, input] = arguments else {
        return Err("--serve takes three values".into());
    };
    let engine = number.parse().ok().and_then(|n: usize| OURS.get(n));
    let (_, _, make) = engine.ok_or("no such engine")?;
    let mut ours = Ours {
        network: make(Path::new(weights))?,
        input: serving::load(Path::new(input))?,
        last: Vec::new(),
    };
    serving::serve(json!({ "version": env!("CARGO_PKG_VERSION") }), &mut ours)
}

/// The files that all contestants get.
struct Files {
    weights: PathBuf,
    input: PathBuf,
    onnx: PathBuf,
}

fn entries(o: &Arguments, files: &Files) -> Result<Vec<Entry>> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut entries = Vec::new();
    for (i, (name, precision, _)) in OURS.iter().enumerate() {
        // The engine refuses bf16 where it is not faster.
        if *precision == Precision::Bf16 && !multirnet_kernels::bf16_available() {
            continue;
        }
        let mut command = Command::new(&this);
        command
            .args(["--serve", &i.to_string()])
            .args([&files.weights, &files.input])
            .env("RAYON_NUM_THREADS", o.peers.threads().to_string());
        entries.push(Entry {
            name: (*name).into(),
            precision: *precision,
            ours: true,
            command,
        });
    }
    if o.peers.no_peers {
        return Ok(entries);
    }
    let [d, h, w] = WINDOW;
    let with_files = |mut command: Command, engine: &str, variant: &str| {
        command
            .args([engine, variant, "--weights"])
            .arg(&files.weights)
            .arg("--input")
            .arg(&files.input)
            .arg("--onnx")
            .arg(&files.onnx)
            .args(["--shape", &format!("{},{d},{h},{w}", o.batch)]);
        command
    };
    eprintln!("exporting the network to ONNX");
    let mut export = with_files(o.peers.python("window.py")?, "export", "f32");
    multirnet_benches::process::run(&mut export)?;
    let mut peer = |peers: &PeerArguments, engine: &str, variant: &str, precision, suffix: &str| {
        let command = if engine == "torch" {
            peers.python_tuned("window.py")?
        } else {
            peers.python("window.py")?
        };
        entries.push(Entry {
            name: format!("{engine} {variant}{suffix}"),
            precision,
            ours: false,
            command: with_files(command, engine, variant),
        });
        Ok::<(), String>(())
    };
    for (engine, variant, precision) in PEERS {
        let suffix = match *engine {
            "torch" => format!(" ({})", o.peers.allocator_name()),
            _ => String::new(),
        };
        if !(o.all_variants && *engine == "torch") {
            peer(&o.peers, engine, variant, *precision, &suffix)?;
        }
    }
    if o.all_variants {
        let suffix = format!(" ({})", o.peers.allocator_name());
        for (variant, precision) in VARIANTS {
            peer(&o.peers, "torch", variant, *precision, &suffix)?;
        }
        for other in o.peers.other_allocators() {
            let suffix = format!(" ({})", other.allocator_name());
            peer(&other, "torch", "f32", Precision::F32, &suffix)?;
        }
    }
    Ok(entries)
}

fn measure(o: &Arguments) -> Result<()> {
    let mut config = MultiRNetConfig::preset(&o.preset)
        .ok_or_else(|| format!("unknown preset {}: base, small or vnet5", o.preset))?;
    (config.iterations, config.dropout) = (o.iterations, 0.0);
    let machine = Machine::measure();
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let files = Files {
        weights: folder.path().join("net.safetensors"),
        input: folder.path().join("input.f32"),
        onnx: folder.path().join("net.onnx"),
    };
    fixture::write_weights(&files.weights, &config.into(), 1)?;
    fixture::write_input(&files.input, &fixture::images(o.batch, WINDOW, 2), false)?;
    let rounds = Rounds {
        count: o.rounds,
        warm: 3,
        per_turn: 1,
    };
    let started = rounds::start(entries(o, &files)?, rounds)?;
    let mut started: Vec<Contestant> = started.into_iter().map(|(c, _)| c).collect();
    let mut all: Vec<&mut Contestant> = started.iter_mut().collect();
    let others = rounds::run(&mut all, rounds)?;

    let reference = all
        .iter()
        .position(|c| {
            c.name
                .starts_with(&format!("{} {}", REFERENCE.0, REFERENCE.1))
        })
        .unwrap_or(0);
    let expected = all[reference].output(folder.path())?;
    let gflop = all.iter().find_map(|c| c.hello["gflop"].as_f64());
    let mut rows = table::rows(&mut all, gflop)?;
    let mut far = Vec::new();
    for (c, row) in all.iter_mut().zip(&mut rows) {
        let output = c.output(folder.path())?;
        match rounds::difference(&output, &expected) {
            Some((apart, _)) => {
                row.check = format!("{apart:.1e}");
                if apart > bound(c.precision) {
                    row.check += " WRONG";
                    far.push(format!("{} by {apart:.1e}", c.name));
                }
            }
            None => far.push(format!(
                "{} in size or by values that are not finite",
                c.name
            )),
        }
    }
    println!("{machine}");
    print!("{}", interference(others));
    println!(
        "preset {}, n = {}, batch {}, window {WINDOW:?}, {} threads, {} rounds; one window: {}",
        o.preset,
        o.iterations,
        o.batch,
        o.peers.threads(),
        o.rounds,
        gflop.map_or("-".into(), |g| format!("{:.1} GFLOP", g / o.batch as f64)),
    );
    println!(
        "lesion map and class probabilities: largest difference from {}",
        all[reference].name
    );
    println!();
    table::print(&rows, "difference");
    if let Some(path) = &o.json {
        let result = json!({
            "bench": "window", "preset": o.preset, "iterations": o.iterations, "batch": o.batch,
            "threads": o.peers.threads(), "machine": machine.json(), "others_cores": others, "rows": table::json(&rows),
        });
        write_json(path, &result)?;
    }
    // Variants are only tried. One with other results is marked and does not fail the run.
    if far.is_empty() || o.all_variants {
        Ok(())
    } else {
        Err(format!(
            "results differ from the reference: {}",
            far.join(", ")
        ))
    }
}

fn main() -> ExitCode {
    multirnet_kernels::allocator::keep_freed_pages();
    let o = Arguments::parse();
    let done = match &o.serve {
        Some(arguments) => serve(arguments),
        None => measure(&o),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("window: {e}");
            ExitCode::FAILURE
        }
    }
}
