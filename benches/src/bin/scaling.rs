//! Time and memory of `multirnet predict` against scan size and threads.
//!
//! `cargo run --release -p multirnet-benches --bin scaling -- --help`

use clap::Parser;
use multirnet_benches::program::{self, Run, STAGES};
use multirnet_benches::{
    Result, machine::Machine, machine::interference, median, process, table, write_json,
};
use multirnet_phantom::PhantomConfig;
use multirnet_volume::{Diagnosis, io};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Time and peak memory of a whole scan against its size and against threads
///
/// The scans are phantoms of the same chest (covid19), cut into more and thinner slices.
#[derive(Parser)]
struct Arguments {
    /// Slices of the scans
    #[arg(long, value_delimiter = ',', default_value = "64,128,256,512")]
    slices: Vec<usize>,

    /// Voxels along x and y
    #[arg(long, default_value_t = 512)]
    matrix: usize,

    /// Threads, for the middle one of the scans [default: 1, 2, 4 ... up to the cores]
    #[arg(long, value_delimiter = ',')]
    threads: Option<Vec<usize>>,

    /// Seed of the phantom
    #[arg(long, default_value_t = 5)]
    seed: u64,

    /// Counted runs of each case
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Weights [default: the packaged model]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

struct Case {
    slices: usize,
    threads: usize,
    scan: PathBuf,
    runs: Vec<Run>,
}

fn phantom(o: &Arguments, slices: usize, folder: &Path) -> Result<PathBuf> {
    let mut config = PhantomConfig::sample(o.seed, Diagnosis::Covid19, o.matrix);
    let extent = config.shape[0] as f64 * config.spacing_mm[0];
    config.shape[0] = slices;
    config.spacing_mm[0] = extent / slices as f64;
    let made = config.generate().map_err(|e| e.to_string())?;
    let path = folder.join(format!("{slices}.nii.gz"));
    io::write_nifti(&path, &made.ct.map(|hu| hu.round() as i16)).map_err(|e| e.to_string())?;
    Ok(path)
}

fn measure(o: &Arguments) -> Result<()> {
    let machine = Machine::measure();
    let program = program::find()?;
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut cases = Vec::new();
    for &slices in &o.slices {
        eprintln!("making a phantom of {slices} slices");
        cases.push(Case {
            slices,
            threads: cores,
            scan: phantom(o, slices, folder.path())?,
            runs: Vec::new(),
        });
    }
    let middle = o.slices.len() / 2;
    let powers = || (0..).map(|i| 1 << i).take_while(|t| *t < cores).collect();
    for threads in o.threads.clone().unwrap_or_else(powers) {
        cases.push(Case {
            slices: o.slices[middle],
            threads,
            scan: cases[middle].scan.clone(),
            runs: Vec::new(),
        });
    }
    let model = o.model.clone().unwrap_or_else(program::packaged_model);
    let (model, out) = (model.display().to_string(), folder.path().join("out"));
    let out = out.display().to_string();
    let others = process::Others::watch(&[]);
    let n = cases.len();
    for round in 0..=o.rounds {
        eprintln!("round {round} of {} (round 0 does not count)", o.rounds);
        for turn in 0..n {
            let case = &mut cases[(round + turn) % n];
            let scan = case.scan.display().to_string();
            let arguments = [scan.as_str(), "-o", &out, "--model", &model];
            let run = program::predict(&program, case.threads, &arguments)?;
            if round > 0 {
                case.runs.push(run);
            }
        }
    }
    let others = others.cores(&[]);
    println!("{machine}");
    print!("{}", interference(others));
    println!(
        "phantoms of seed {}, {} x {} in plane, .nii.gz; default options; {} rounds; seconds, \
         medians\n",
        o.seed, o.matrix, o.matrix, o.rounds
    );
    let head = [
        "slices",
        "threads",
        "wall",
        "load",
        "read",
        "preprocess",
        "network",
        "restore",
        "write",
        "windows",
        "peak MiB",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    let mut rows = Vec::new();
    for case in &cases {
        let of = |f: &dyn Fn(&Run) -> f64| median(&case.runs.iter().map(f).collect::<Vec<_>>());
        let stage = |s: usize| {
            format!(
                "{:.2}",
                of(&|r| r.stages.get(STAGES[s]).copied().unwrap_or(0.0))
            )
        };
        let (wall, peak) = (of(&|r| r.wall), of(&|r| r.peak_mib));
        let windows = case.runs.last().map_or(0, |r| r.windows);
        cells.push([
            case.slices.to_string(),
            case.threads.to_string(),
            format!("{wall:.2}"),
            stage(0),
            stage(1),
            stage(2),
            stage(3),
            stage(4),
            stage(5),
            windows.to_string(),
            format!("{peak:.0}"),
        ]);
        let walls: Vec<f64> = case.runs.iter().map(|r| r.wall).collect();
        rows.push(json!({
            "slices": case.slices, "threads": case.threads, "wall": walls, "windows": windows,
            "peak_mib": peak,
        }));
    }
    print!("{}", table::aligned(&cells, 0));
    if let Some(path) = &o.json {
        write_json(
            path,
            &json!({ "bench": "scaling", "machine": machine.json(), "rows": rows }),
        )?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let o = Arguments::parse();
    let done = if o.slices.is_empty() || o.rounds == 0 {
        Err("--slices and --rounds need a value".into())
    } else {
        measure(&o)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("scaling: {e}");
            ExitCode::FAILURE
        }
    }
}
