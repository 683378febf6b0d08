//! Many scans by one `multirnet predict`: scans an hour, and how busy the cores are. Also the program's
//! start.
//!
//! `cargo run --release -p multirnet-benches --bin many -- --help`

use clap::Parser;
use multirnet_benches::{
    Result, machine::Machine, machine::interference, median, process, program, table, write_json,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Scans an hour of one process, with and without the overlap of scans, in turns
#[derive(Parser)]
struct Arguments {
    /// A scan that `multirnet predict` reads
    scan: PathBuf,

    /// How often the scan is analysed in a run
    #[arg(long, default_value_t = 6)]
    scans: usize,

    /// Counted runs of each way
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Starts of the program
    #[arg(long, default_value_t = 31)]
    starts: usize,

    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,

    /// Weights [default: the packaged model]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A limit keeps scans from overlapping. This one is beyond every plan.
const NO_OVERLAP: &[&str] = &["--memory-limit", "1000000"];

const WAYS: [(&str, &[&str]); 3] = [
    ("one after the other", NO_OVERLAP),
    ("overlapping (default)", &[]),
    ("--jobs 2", &["--jobs", "2"]),
];

/// One run of a way.
struct Run {
    seconds: f64,
    /// Mean number of busy cores.
    cores: f64,
    peak_mib: f64,
}

fn run(
    o: &Arguments,
    program: &Path,
    threads: usize,
    scans: &[String],
    way: &[&str],
) -> Result<Run> {
    let out = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let model = o.model.clone().unwrap_or_else(program::packaged_model);
    let mut command = Command::new(program);
    command
        .args(["--quiet", "--threads", &threads.to_string(), "predict"])
        .args(scans)
        .args(way)
        .arg("--model")
        .arg(&model)
        .arg("-o")
        .arg(out.path().join("results"));
    let before = process::children_seconds();
    let done = process::run(&mut command)?;
    let busy = process::children_seconds() - before;
    Ok(Run {
        seconds: done.seconds,
        cores: busy / done.seconds,
        peak_mib: done.peak_mib,
    })
}

/// Milliseconds of each start of `program` with `arguments`.
fn starts(program: &Path, count: usize, arguments: &[&str]) -> Result<Vec<f64>> {
    (0..count)
        .map(|_| {
            let begin = Instant::now();
            let status = Command::new(program)
                .args(arguments)
                .stdout(std::process::Stdio::null())
                .status()
                .map_err(|e| format!("{}: cannot start: {e}", program.display()))?;
            if status.success() {
                Ok(begin.elapsed().as_secs_f64() * 1e3)
            } else {
                Err(format!("{} {arguments:?} failed", program.display()))
            }
        })
        .collect()
}

fn measure(o: &Arguments) -> Result<()> {
    let machine = Machine::measure();
    let program = program::find()?;
    let threads = match o.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    // Every scan needs a name of its own, which links give it.
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let whole = std::fs::canonicalize(&o.scan).map_err(|e| format!("{}: {e}", o.scan.display()))?;
    let name = o.scan.file_name().unwrap_or_default().to_string_lossy();
    let mut scans = Vec::new();
    for i in 0..o.scans {
        let link = folder.path().join(format!("{i}-{name}"));
        std::os::unix::fs::symlink(&whole, &link)
            .map_err(|e| format!("{}: {e}", link.display()))?;
        scans.push(link.display().to_string());
    }
    let others = process::Others::watch(&[]);
    let help = starts(&program, o.starts, &["--help"])?;
    let mut runs: Vec<Vec<Run>> = WAYS.iter().map(|_| Vec::new()).collect();
    for round in 0..o.rounds {
        eprintln!("round {} of {}", round + 1, o.rounds);
        for turn in 0..WAYS.len() {
            let way = (round + turn) % WAYS.len();
            runs[way].push(run(o, &program, threads, &scans, WAYS[way].1)?);
        }
    }
    let others = others.cores(&[]);
    println!("{machine}");
    print!("{}", interference(others));
    println!(
        "start: `multirnet --help` takes {:.1} ms (median of {}, at least {:.1})",
        median(&help),
        help.len(),
        help.iter().copied().fold(f64::INFINITY, f64::min)
    );
    println!(
        "{} scans a run, {threads} threads, {} rounds, medians\n",
        o.scans, o.rounds
    );
    let head = [
        "way",
        "seconds a scan",
        "scans an hour",
        "x",
        "busy cores",
        "peak MiB",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    let of =
        |runs: &[Run], f: &dyn Fn(&Run) -> f64| median(&runs.iter().map(f).collect::<Vec<_>>());
    let first = of(&runs[0], &|r| r.seconds);
    let mut rows = Vec::new();
    for ((name, _), runs) in WAYS.iter().zip(&runs) {
        let seconds = of(runs, &|r| r.seconds);
        let a_scan = seconds / o.scans as f64;
        let (cores, peak) = (of(runs, &|r| r.cores), of(runs, &|r| r.peak_mib));
        cells.push([
            (*name).to_owned(),
            format!("{a_scan:.2}"),
            format!("{:.0}", 3600.0 / a_scan),
            format!("{:.2}", first / seconds),
            format!("{cores:.2}"),
            format!("{peak:.0}"),
        ]);
        let all: Vec<f64> = runs.iter().map(|r| r.seconds).collect();
        rows.push(json!({ "way": name, "seconds": all, "cores": cores, "peak_mib": peak }));
    }
    print!("{}", table::aligned(&cells, 1));
    if let Some(path) = &o.json {
        let machine = machine.json();
        let all = json!({ "bench": "many", "machine": machine, "start_ms": help, "rows": rows });
        write_json(path, &all)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let o = Arguments::parse();
    let done = if [o.scans, o.rounds, o.starts].contains(&0) {
        Err("--scans, --rounds and --starts need a value".into())
    } else {
        measure(&o)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("many: {e}");
            ExitCode::FAILURE
        }
    }
}
