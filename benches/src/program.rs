//! The `multirnet` program as a user runs it: one process per scan.

use crate::{Result, process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The stages of a scan's analysis, in the order of tables.
pub const STAGES: [&str; 6] = ["load", "read", "preprocess", "network", "restore", "write"];

/// Voxels of a window of 32 × 96 × 96.
const WINDOW_VOXELS: f64 = 294_912.0;

/// Measurements of one scan, from its files to the written results.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Wall-clock seconds of the whole process.
    pub wall: f64,
    /// Seconds per stage of [`STAGES`]. `load` is the time without work on the scan (start, model).
    pub stages: BTreeMap<String, f64>,
    /// Number of windows that the network computed. A larger tile counts as the number of windows
    /// with as many voxels.
    pub windows: u64,
    /// Peak resident memory in MiB.
    pub peak_mib: f64,
}

impl Run {
    /// Seconds from the start of reading to the end of writing.
    pub fn work(&self) -> f64 {
        let stages = self.stages.iter();
        stages.filter(|(k, _)| *k != "load").map(|(_, v)| v).sum()
    }
}

/// The program that was built beside this one.
///
/// # Errors
/// A sentence that says how to build it.
pub fn find() -> Result<PathBuf> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let path = this.with_file_name(format!("multirnet{}", std::env::consts::EXE_SUFFIX));
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{}: the program does not exist (run `cargo build --workspace --release` first)",
            path.display()
        ))
    }
}

/// Path of the packaged model's weights.
pub fn packaged_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/lungs-small/model.safetensors")
}

/// Runs `multirnet predict` with `arguments` (scan, output folder and options among them).
///
/// # Errors
/// A sentence with the program's message.
pub fn predict(program: &Path, threads: usize, arguments: &[&str]) -> Result<Run> {
    let mut command = Command::new(program);
    command.args(["--json", "--threads", &threads.to_string(), "predict"]);
    let done = process::run(command.args(arguments))?;
    let answer: Value = serde_json::from_str(&done.stdout)
        .map_err(|e| format!("multirnet's answer is not JSON: {e}"))?;
    let scan = &answer[0];
    let seconds = scan["seconds"]
        .as_f64()
        .ok_or("multirnet's answer holds no time")?;
    let mut stages: BTreeMap<String, f64> = BTreeMap::new();
    for timing in scan["finding"]["timings"].as_array().into_iter().flatten() {
        let stage = match timing["stage"].as_str().unwrap_or_default() {
            // The digests are computed in parallel with the other stages.
            "hash" => continue,
            "read" => "read",
            "lungs" | "prepare" => "preprocess",
            "global" | "windows" | "explain" => "network",
            _ => "restore",
        };
        *stages.entry(stage.into()).or_default() += timing["seconds"].as_f64().unwrap_or(0.0);
    }
    let told: f64 = stages.values().sum();
    stages.insert("write".into(), (seconds - told).max(0.0));
    stages.insert("load".into(), (done.seconds - seconds).max(0.0));
    let voxels = scan["finding"]["provenance"]["voxels"].as_f64();
    Ok(Run {
        wall: done.seconds,
        stages,
        windows: (voxels.unwrap_or(0.0) / WINDOW_VOXELS).round() as u64,
        peak_mib: done.peak_mib,
    })
}
