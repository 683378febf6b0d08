//! A contestant: an engine in a process of its own, ours or a peer's, that works on request.

use crate::{Result, process, serving};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The precision of stored values. Contestants are compared at the same precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits, with 8 bits of precision.
    Bf16,
}

impl Precision {
    /// `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// A contestant that is not started yet.
#[derive(Debug)]
pub struct Entry {
    /// Name of the contestant in the table.
    pub name: String,
    /// Precision at which it is compared.
    pub precision: Precision,
    /// Whether it is ours.
    pub ours: bool,
    /// The command that starts its process.
    pub command: Command,
}

/// A contestant whose process is started.
#[derive(Debug)]
pub struct Contestant {
    /// Name of the contestant in the table.
    pub name: String,
    /// Precision at which it is compared.
    pub precision: Precision,
    /// Whether it is ours.
    pub ours: bool,
    /// Its first message, which describes it: `version`, perhaps `gflop`.
    pub hello: Value,
    /// Time of each counted run, in milliseconds.
    pub ms: Vec<f64>,
    /// Number of runs whose loss was not finite.
    pub broken: usize,
    /// Share of a core that it takes while it waits.
    pub idle_share: f64,
    child: Child,
    requests: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Contestant {
    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// A sentence that names the contestant.
    pub fn start(entry: Entry) -> Result<Self> {
        let Entry {
            name,
            precision,
            ours,
            mut command,
        } = entry;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{name}: cannot start {:?}: {e}", command.get_program()))?;
        let requests = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut contestant = Self {
            name,
            precision,
            ours,
            hello: Value::Null,
            ms: Vec::new(),
            broken: 0,
            idle_share: 0.0,
            child,
            requests,
            answers: BufReader::new(stdout).lines(),
        };
        contestant.hello = contestant.answer()?;
        Ok(contestant)
    }

    /// Identifier of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Works once. Returns the time in milliseconds and the whole answer.
    ///
    /// # Errors
    /// A sentence that names the contestant.
    pub fn run(&mut self) -> Result<(f64, Value)> {
        let answer = self.ask("run")?;
        let ms = answer["ms"]
            .as_f64()
            .ok_or_else(|| format!("{}: its answer {answer} holds no time", self.name))?;
        self.broken += usize::from(answer.get("loss").is_some_and(Value::is_null));
        Ok((ms, answer))
    }

    /// The last run's output, which the process writes to a file in `folder`.
    ///
    /// # Errors
    /// A sentence that names the contestant.
    pub fn output(&mut self, folder: &Path) -> Result<Vec<f32>> {
        let path = folder.join("output.f32");
        self.ask(&format!("save {}", path.display()))?;
        serving::load(&path)
    }

    /// Peak resident memory so far, in MiB.
    ///
    /// # Errors
    /// A sentence that names the contestant.
    pub fn peak_mib(&mut self) -> Result<f64> {
        Ok(self.ask("stats")?["peak_mib"].as_f64().unwrap_or(f64::NAN))
    }

    /// Measures how much of a core it takes while it waits. A busy wait would slow the others.
    pub fn measure_idle(&mut self) {
        const REST: Duration = Duration::from_millis(300);
        // The threads may spin for a moment, but they must stop.
        std::thread::sleep(REST / 3);
        let before = process::cpu_seconds(self.child.id());
        std::thread::sleep(REST);
        let after = process::cpu_seconds(self.child.id());
        if let (Some(before), Some(after)) = (before, after) {
            self.idle_share = (after - before) / REST.as_secs_f64();
        }
    }

    fn ask(&mut self, request: &str) -> Result<Value> {
        let Some(pipe) = &mut self.requests else {
            return Err(format!("{} has ended", self.name));
        };
        writeln!(pipe, "{request}")
            .and_then(|()| pipe.flush())
            .map_err(|e| format!("{} has gone: {e}", self.name))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let line = match self.answers.next() {
            Some(Ok(line)) => line,
            Some(Err(e)) => return Err(format!("{}: {e}", self.name)),
            None => {
                return Err(format!(
                    "{} ended without an answer (its messages are above)",
                    self.name
                ));
            }
        };
        let value: Value = serde_json::from_str(&line)
            .map_err(|e| format!("{}: {line:?} is not an answer: {e}", self.name))?;
        match value["error"].as_str() {
            Some(error) => Err(format!("{}: {error}", self.name)),
            None => Ok(value),
        }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // The process ends when its input ends.
        self.requests = None;
        let _ = self.child.wait();
    }
}
