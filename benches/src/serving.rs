//! The other end of [`crate::contestant`]: our own engines as processes, with the protocol that
//! `peers/serving.py` describes.

use crate::{Result, process};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// One engine behind the protocol.
pub trait Serve {
    /// Works once. Returns the fields of the answer besides the time.
    ///
    /// # Errors
    /// A sentence. It ends the process.
    fn run(&mut self) -> Result<Value>;

    /// The last run's output.
    fn output(&self) -> Vec<f32>;
}

/// Answers requests until standard input ends.
///
/// # Errors
/// The engine's error, which this function has also sent as an answer.
pub fn serve(hello: Value, engine: &mut dyn Serve) -> Result<()> {
    let answer = |value: &Value| {
        println!("{value}");
        let _ = std::io::stdout().flush();
    };
    answer(&hello);
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let done = match command {
            "run" => {
                let start = Instant::now();
                engine.run().map(|mut fields| {
                    fields["ms"] = json!(1e3 * start.elapsed().as_secs_f64());
                    fields
                })
            }
            "save" => save(Path::new(argument), &engine.output()).map(|()| json!({})),
            "stats" => Ok(json!({
                "peak_mib": process::peak_mib(std::process::id()).unwrap_or(f64::NAN),
                "cpu_s": process::cpu_seconds(std::process::id()).unwrap_or(f64::NAN),
            })),
            other => Err(format!("unknown command {other}")),
        };
        match done {
            Ok(fields) => answer(&fields),
            Err(reason) => {
                answer(&json!({ "error": reason }));
                return Err(reason);
            }
        }
    }
    Ok(())
}

/// Writes little-endian f32.
///
/// # Errors
/// A sentence that names the file.
pub fn save(path: &Path, values: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path, bytes).map_err(|e| format!("{}: cannot write: {e}", path.display()))
}

/// Reads little-endian f32.
///
/// # Errors
/// A sentence that names the file.
pub fn load(path: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: cannot read: {e}", path.display()))?;
    let (quads, _) = bytes.as_chunks::<4>();
    Ok(quads.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
