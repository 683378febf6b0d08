//! A whole scan from its files to written results: `multirnet predict`, and pipelines that a user
//! could build instead from SimpleITK, MONAI and PyTorch or OpenVINO.
//!
//! `cargo run --release -p multirnet-benches --bin scan -- --help`

use clap::Parser;
use multirnet_benches::peers::PeerArguments;
use multirnet_benches::program::{self, Run, STAGES};
use multirnet_benches::{
    Result, machine::Machine, machine::interference, median, process, table, write_json,
};
use multirnet_volume::io;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Time of a whole scan: ours and pipelines of MONAI, in turns
///
/// Equal work is `windows`: half-overlapping windows, at the same working spacing, over the lungs.
/// The peers get the lungs' mask as an input and write two files fewer. Ours also segments the
/// lungs, measures and writes them.
#[derive(Parser)]
struct Arguments {
    /// DICOM folder or file that SimpleITK can also read
    scan: PathBuf,

    /// Weights [default: the packaged model]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// Counted runs of each way
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Least Dice of each peer's lesions with ours at equal work
    #[arg(long, default_value_t = 0.9)]
    least_dice: f64,

    /// File that also receives the results, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(flatten)]
    peers: PeerArguments,
}

/// Options of the run that does the same work as the peers. The peers do not fill consolidations.
/// That step of ours would make the masks differ.
const EQUAL_WORK: &str =
    "pipeline = \"windows\"\noverlap = 0.5\nexplain = false\ncomplete_consolidation = false\n";

/// One way to do the work.
struct Way {
    name: &'static str,
    kind: Kind,
    runs: Vec<Run>,
}

enum Kind {
    /// `multirnet predict` with these arguments.
    Ours(&'static [&'static str]),
    /// `multirnet predict` with [`EQUAL_WORK`] and these arguments.
    OursEqual(&'static [&'static str]),
    /// peers/scan.py with this engine and these arguments.
    Peer(&'static str, &'static [&'static str]),
}

const WAYS: [(&str, Kind); 8] = [
    (
        "multirnet windows, overlap 0.5",
        Kind::OursEqual(&["--tile", "off"]),
    ),
    (
        "multirnet windows as tiles",
        Kind::OursEqual(&["--tile", "auto"]),
    ),
    ("multirnet cascade (default)", Kind::Ours(&[])),
    (
        "multirnet cascade, bf16",
        Kind::Ours(&["--precision", "bf16"]),
    ),
    (
        "multirnet cascade, no heat map",
        Kind::Ours(&["--no-heatmap"]),
    ),
    // PyTorch is slower on single windows, because it does not use oneDNN for their deeper levels.
    (
        "MONAI + PyTorch f32",
        Kind::Peer("torch", &["--batch", "4", "--nhwc"]),
    ),
    ("MONAI + OpenVINO f32", Kind::Peer("openvino", &[])),
    ("MONAI + OpenVINO bf16", Kind::Peer("openvino-bf16", &[])),
];
/// The ways that the others are compared with: ours at equal work, and ours with default options.
const AGAINST: [usize; 2] = [0, 2];

struct Bench<'a> {
    o: &'a Arguments,
    program: PathBuf,
    model: PathBuf,
    folder: &'a Path,
}

impl Bench<'_> {
    fn run(&self, kind: &Kind, out: &Path) -> Result<Run> {
        let text = |p: &Path| p.display().to_string();
        let (scan, model, out_text) = (text(&self.o.scan), text(&self.model), text(out));
        let options = text(&self.folder.join("equal-work.toml"));
        let mut arguments = vec![scan.as_str(), "-o", &out_text, "--model", &model];
        match kind {
            Kind::Ours(more) => arguments.extend(*more),
            Kind::OursEqual(more) => {
                arguments.extend(["--config", options.as_str()]);
                arguments.extend(*more);
            }
            Kind::Peer(engine, more) => return self.peer(engine, more, out),
        }
        program::predict(&self.program, self.o.peers.threads(), &arguments)
    }

    fn peer(&self, engine: &str, more: &[&str], out: &Path) -> Result<Run> {
        let mut command = if engine == "torch" {
            self.o.peers.python_tuned("scan.py")?
        } else {
            self.o.peers.python("scan.py")?
        };
        command
            .arg(engine)
            .arg(&self.o.scan)
            .arg("--weights")
            .arg(&self.model)
            .arg("--lungs")
            .arg(self.folder.join("0/lungs.nii.gz"))
            .args(more)
            .arg("-o")
            .arg(out);
        let done = process::run(&mut command)?;
        let line = done.stdout.lines().last().unwrap_or_default();
        let answer: Value =
            serde_json::from_str(line).map_err(|e| format!("scan.py's answer {line:?}: {e}"))?;
        let stages = answer["stages"].as_object().into_iter().flatten();
        let mut stages: std::collections::BTreeMap<String, f64> = stages
            .map(|(k, v)| (k.clone(), v.as_f64().unwrap_or(f64::NAN)))
            .collect();
        // The script's stages do not include the interpreter's own start and end.
        let told: f64 = stages.values().sum();
        *stages.entry("load".into()).or_default() += (done.seconds - told).max(0.0);
        Ok(Run {
            wall: done.seconds,
            stages,
            windows: answer["windows"].as_u64().unwrap_or(0),
            peak_mib: done.peak_mib,
        })
    }
}

fn dice(a: &Path, b: &Path) -> Result<f64> {
    let read = |p: &Path| io::read_labels(p).map_err(|e| e.to_string());
    let (a, b) = (read(a)?, read(b)?);
    if a.shape() != b.shape() {
        return Err(format!(
            "masks of {:?} and {:?} voxels",
            a.shape(),
            b.shape()
        ));
    }
    let count = |v: &[u8]| v.iter().filter(|v| **v != 0).count() as f64;
    let pairs = a.data().iter().zip(b.data());
    let both = pairs.filter(|(a, b)| **a != 0 && **b != 0).count() as f64;
    let sum = count(a.data()) + count(b.data());
    Ok(if sum == 0.0 { 1.0 } else { 2.0 * both / sum })
}

fn measure(o: &Arguments) -> Result<()> {
    let machine = Machine::measure();
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    std::fs::write(folder.path().join("equal-work.toml"), EQUAL_WORK)
        .map_err(|e| format!("equal-work.toml: {e}"))?;
    let bench = Bench {
        o,
        program: program::find()?,
        model: o.model.clone().unwrap_or_else(program::packaged_model),
        folder: folder.path(),
    };
    let mut ways: Vec<Way> = WAYS
        .into_iter()
        .filter(|(_, kind)| match kind {
            Kind::Peer(..) => !o.peers.no_peers,
            // The program refuses bf16 where it is not faster.
            Kind::Ours(more) => !more.contains(&"bf16") || multirnet_kernels::bf16_available(),
            Kind::OursEqual(_) => true,
        })
        .map(|(name, kind)| Way {
            name,
            kind,
            runs: Vec::new(),
        })
        .collect();
    let out = |i: usize| folder.path().join(i.to_string());
    // One run of each way does not count. It brings files and programs into the system's cache.
    for (i, way) in ways.iter().enumerate() {
        eprintln!("trying {}", way.name);
        bench.run(&way.kind, &out(i))?;
    }
    let others = process::Others::watch(&[]);
    let n = ways.len();
    for round in 0..o.rounds {
        eprintln!("round {} of {}", round + 1, o.rounds);
        for turn in 0..n {
            let i = (round + turn) % n;
            // Removing earlier results is not part of the work.
            if i != 0 {
                let _ = std::fs::remove_dir_all(out(i));
            }
            let run = bench.run(&ways[i].kind, &out(i))?;
            ways[i].runs.push(run);
        }
    }
    let others = others.cores(&[]);
    println!("{machine}");
    print!("{}", interference(others));
    println!(
        "{} threads, {} rounds; seconds, medians. `work` is from the begin of reading to the end \
         of writing, without `load` (program start, imports, model, compilation). `x`: the peers' \
         work over our wall time.\n",
        o.peers.threads(),
        o.rounds
    );
    let far = report(o, &ways, &machine, &out)?;
    if far.is_empty() {
        Ok(())
    } else {
        Err(format!("results differ at equal work: {}", far.join(", ")))
    }
}

fn report(
    o: &Arguments,
    ways: &[Way],
    machine: &Machine,
    out: &dyn Fn(usize) -> PathBuf,
) -> Result<Vec<String>> {
    let of =
        |way: &Way, f: &dyn Fn(&Run) -> f64| median(&way.runs.iter().map(f).collect::<Vec<_>>());
    let ours = AGAINST.map(|i| of(&ways[i], &|r| r.wall));
    let head = [
        "pipeline",
        "wall",
        "work",
        "x windows",
        "x cascade",
        "load",
        "read",
        "preprocess",
        "network",
        "restore",
        "write",
        "windows",
        "peak MiB",
        "Dice",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    let (mut far, mut rows) = (Vec::new(), Vec::new());
    for (i, way) in ways.iter().enumerate() {
        let peer = matches!(way.kind, Kind::Peer(..));
        let wall = of(way, &|r| r.wall);
        let work = of(way, &Run::work);
        let seconds = |v: f64| format!("{v:.2}");
        let ratio = |k: usize| {
            let compared = if peer { work } else { wall };
            seconds(compared / ours[k])
        };
        let stage = |s: usize| {
            let get = |r: &Run| r.stages.get(STAGES[s]).copied().unwrap_or(0.0);
            seconds(of(way, &get))
        };
        let dice = dice(
            &out(0).join("lesions.nii.gz"),
            &out(i).join("lesions.nii.gz"),
        )?;
        if peer && dice < o.least_dice {
            far.push(format!("{}: Dice {dice:.3}", way.name));
        }
        let windows = way.runs.last().map_or(0, |r| r.windows);
        let peak = of(way, &|r| r.peak_mib);
        cells.push([
            way.name.into(),
            seconds(wall),
            seconds(work),
            ratio(0),
            ratio(1),
            stage(0),
            stage(1),
            stage(2),
            stage(3),
            stage(4),
            stage(5),
            windows.to_string(),
            format!("{peak:.0}"),
            format!("{dice:.3}"),
        ]);
        let runs: Vec<Value> = way
            .runs
            .iter()
            .map(|r| json!({ "wall": r.wall, "stages": r.stages, "peak_mib": r.peak_mib }))
            .collect();
        rows.push(json!({
            "name": way.name, "wall": wall, "work": work, "windows": windows, "peak_mib": peak,
            "dice": dice, "runs": runs,
        }));
    }
    print!("{}", table::aligned(&cells, 1));
    if let Some(path) = &o.json {
        let result = json!({
            "bench": "scan", "threads": o.peers.threads(), "machine": machine.json(), "rows": rows,
        });
        write_json(path, &result)?;
    }
    Ok(far)
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("scan: {e}");
            ExitCode::FAILURE
        }
    }
}
