//! Surface distances of a pair of masks: ours, DeepMind's `surface-distance` and MONAI.
//!
//! `cargo run --release -p multirnet-benches --bin surface -- --help`

use clap::Parser;
use multirnet_benches::contestant::{Contestant, Entry, Precision};
use multirnet_benches::peers::PeerArguments;
use multirnet_benches::rounds::{self, Rounds};
use multirnet_benches::{
    Result, machine::Machine, machine::interference, serving, table, write_json,
};
use multirnet_metrics::{Convention, SurfaceDistances};
use multirnet_volume::{Geometry, Volume};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

/// Each convention with the library that defines it.
const CONVENTIONS: [(Convention, &str); 2] = [
    (Convention::Area, "surface-distance"),
    (Convention::Voxel6, "monai"),
];

/// Spacing along z, y and x, mm.
const SPACING_MM: [f64; 3] = [1.25, 0.7, 0.7];

const TOLERANCE_MM: f64 = 1.0;

/// Largest difference from the library, relative to values above 1.
const BOUND: f64 = 1e-6;

/// Time and memory of surface scores on large masks: ours and the peers, in turns
#[derive(Parser)]
struct Arguments {
    /// Voxels along z, y and x
    #[arg(long, default_value = "300,512,512", value_parser = shape)]
    shape: Shape,

    /// Counted runs of each contestant
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(flatten)]
    peers: PeerArguments,

    /// Serve as our contestant: convention, truth, prediction (this program starts itself with it)
    #[arg(long, hide = true, num_args = 3)]
    serve: Option<Vec<String>>,
}

#[derive(Clone, Copy)]
struct Shape([usize; 3]);

fn shape(text: &str) -> Result<Shape> {
    let numbers: Vec<usize> = text.split(',').filter_map(|n| n.parse().ok()).collect();
    numbers
        .try_into()
        .map(Shape)
        .map_err(|_| format!("{text:?} is not a shape (write three numbers as in 300,512,512)"))
}

/// A lesion: centre and radii in voxels.
#[derive(Clone, Copy)]
struct Ball {
    centre: [f64; 3],
    radius: [f64; 3],
}

/// Lesions in the two halves of a chest, and a prediction of them. The prediction moves and resizes
/// each lesion a little, misses one in eight and invents one in eight.
fn lesions([nz, ny, nx]: [usize; 3], seed: u64) -> [Vec<Ball>; 2] {
    let size = [nz, ny, nx].map(|n| n as f64);
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut draw = |from: f64, to: f64| rng.random_range(from..to);
    let (mut truth, mut predicted) = (Vec::new(), Vec::new());
    for i in 0..64 {
        let side = if i % 2 == 0 { 0.3 } else { 0.7 };
        let ball = Ball {
            centre: [
                size[0] * draw(0.15, 0.85),
                size[1] * draw(0.25, 0.75),
                size[2] * (side + draw(-0.13, 0.13)),
            ],
            radius: std::array::from_fn(|a| size[a] * draw(0.01, 0.07)),
        };
        if i % 8 != 3 {
            truth.push(ball);
        }
        if i % 8 != 6 {
            predicted.push(Ball {
                centre: std::array::from_fn(|a| ball.centre[a] + size[a] * draw(-0.006, 0.006)),
                radius: std::array::from_fn(|a| ball.radius[a] * draw(0.85, 1.15)),
            });
        }
    }
    [truth, predicted]
}

fn paint([nz, ny, nx]: [usize; 3], balls: &[Ball]) -> Vec<u8> {
    let mut mask = vec![0u8; nz * ny * nx];
    let range = |b: &Ball, a: usize, n: usize| {
        let (from, to) = (b.centre[a] - b.radius[a], b.centre[a] + b.radius[a] + 1.0);
        from.max(0.0) as usize..(to.max(0.0) as usize + 1).min(n)
    };
    for ball in balls {
        for z in range(ball, 0, nz) {
            for y in range(ball, 1, ny) {
                for x in range(ball, 2, nx) {
                    let i = [z, y, x];
                    let away =
                        (0..3).map(|a| ((i[a] as f64 - ball.centre[a]) / ball.radius[a]).powi(2));
                    if away.sum::<f64>() <= 1.0 {
                        mask[(z * ny + y) * nx + x] = 1;
                    }
                }
            }
        }
    }
    mask
}

struct Ours {
    truth: Volume<u8>,
    predicted: Volume<u8>,
    convention: Convention,
    last: Vec<f32>,
}

impl serving::Serve for Ours {
    fn run(&mut self) -> Result<Value> {
        let d = SurfaceDistances::from_masks(&self.truth, &self.predicted, None, self.convention)
            .map_err(|e| e.to_string())?;
        let (t, p) = (&d.truth_to_predicted, &d.predicted_to_truth);
        let scores = [
            t.mean_mm(),
            p.mean_mm(),
            t.overlap(TOLERANCE_MM),
            p.overlap(TOLERANCE_MM),
            d.surface_dice(TOLERANCE_MM),
            d.hausdorff_mm(100.0),
            d.hausdorff_mm(95.0),
        ];
        self.last = scores.map(|s| s.unwrap_or(f64::NAN) as f32).to_vec();
        Ok(json!({}))
    }

    fn output(&self) -> Vec<f32> {
        self.last.clone()
    }
}

fn serve(o: &Arguments, arguments: &[String]) -> Result<()> {
    let [convention, truth, predicted] = arguments else {
        return Err("--serve takes three values".into());
    };
    let (convention, _) = CONVENTIONS
        .into_iter()
        .find(|(c, _)| c.name() == convention)
        .ok_or("no such convention")?;
    let geometry = Geometry::axial(o.shape.0, SPACING_MM).map_err(|e| e.to_string())?;
    let read = |path: &str| {
        let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
        Volume::new(bytes, geometry).map_err(|e| e.to_string())
    };
    let mut ours = Ours {
        truth: read(truth)?,
        predicted: read(predicted)?,
        convention,
        last: Vec::new(),
    };
    serving::serve(json!({ "version": env!("CARGO_PKG_VERSION") }), &mut ours)
}

fn entries(o: &Arguments, masks: &[PathBuf; 2]) -> Result<Vec<Entry>> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let join = |values: [String; 3]| values.join(",");
    let shape = join(o.shape.0.map(|n| n.to_string()));
    let mut entries = Vec::new();
    for (convention, library) in CONVENTIONS {
        let mut entry = |name: String, ours: bool, command: Command| {
            entries.push(Entry {
                name: format!("{} ({convention})", name),
                precision: Precision::F32,
                ours,
                command,
            });
        };
        let mut threads = vec![o.peers.threads()];
        if threads[0] > 1 {
            threads.push(1);
        }
        for n in threads {
            let mut command = Command::new(&this);
            command
                .args(["--shape", &shape, "--serve", convention.name()])
                .args(masks)
                .env("RAYON_NUM_THREADS", n.to_string());
            let plural = if n == 1 { "" } else { "s" };
            entry(format!("multirnet, {n} thread{plural}"), true, command);
        }
        if o.peers.no_peers {
            continue;
        }
        let mut command = o.peers.python("surface.py")?;
        command
            .args([library, "--masks"])
            .arg(masks.each_ref().map(|m| m.display().to_string()).join(","))
            .args(["--shape", &shape, "--spacing"])
            .arg(join(SPACING_MM.map(|v| v.to_string())))
            .args(["--tolerance", &TOLERANCE_MM.to_string()]);
        entry(library.into(), false, command);
    }
    Ok(entries)
}

/// The largest difference of two contestants' scores, relative to values above 1.
fn apart(ours: &[f32], theirs: &[f32]) -> f64 {
    let pairs = ours.iter().zip(theirs);
    let differences = pairs.map(|(a, b)| f64::from((a - b).abs() / b.abs().max(1.0)));
    if ours.len() == theirs.len() {
        differences.fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
    } else {
        f64::NAN
    }
}

fn measure(o: &Arguments) -> Result<()> {
    let machine = Machine::measure();
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let masks = ["truth", "predicted"].map(|n| folder.path().join(n));
    for (path, balls) in masks.iter().zip(lesions(o.shape.0, 1)) {
        write(path, &paint(o.shape.0, &balls))?;
    }
    let rounds = Rounds {
        count: o.rounds,
        warm: 1,
        per_turn: 0,
    };
    let started = rounds::start(entries(o, &masks)?, rounds)?;
    let mut started: Vec<Contestant> = started.into_iter().map(|(c, _)| c).collect();
    let mut all: Vec<&mut Contestant> = started.iter_mut().collect();
    let others = rounds::run(&mut all, rounds)?;
    println!("{machine}");
    print!("{}", interference(others));
    println!(
        "masks of {:?} voxels of {SPACING_MM:?} mm, tolerance {TOLERANCE_MM} mm, {} rounds",
        o.shape.0, o.rounds
    );
    println!("scores: largest difference from the convention's library");
    let (mut wrong, mut results) = (Vec::new(), Vec::new());
    for (convention, library) in CONVENTIONS {
        let suffix = format!("({convention})");
        let (mut group, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|c| c.name.ends_with(&suffix));
        all = rest;
        let expected = match group.iter_mut().find(|c| !c.ours) {
            Some(peer) => Some(peer.output(folder.path())?),
            None => None,
        };
        let mut rows = table::rows(&mut group, None)?;
        for (c, row) in group.iter_mut().zip(&mut rows) {
            let Some(expected) = &expected else { continue };
            let apart = apart(&c.output(folder.path())?, expected);
            row.check = format!("{apart:.1e}");
            if apart.is_nan() || apart > BOUND {
                row.check += " WRONG";
                wrong.push(c.name.clone());
            }
        }
        println!("\nconvention {convention}, as {library}\n");
        table::print(&rows, "difference");
        results.push(json!({ "convention": convention.name(), "rows": table::json(&rows) }));
    }
    if let Some(path) = &o.json {
        let result = json!({
            "bench": "surface", "shape": o.shape.0, "spacing_mm": SPACING_MM,
            "tolerance_mm": TOLERANCE_MM, "threads": o.peers.threads(), "machine": machine.json(),
            "others_cores": others, "conventions": results,
        });
        write_json(path, &result)?;
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "scores differ from the library's: {}",
            wrong.join(", ")
        ))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| format!("{}: cannot write: {e}", path.display()))
}

fn main() -> ExitCode {
    let o = Arguments::parse();
    let done = match &o.serve {
        Some(arguments) => serve(&o, arguments),
        None => measure(&o),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("surface: {e}");
            ExitCode::FAILURE
        }
    }
}
