//! Memory and processor time of processes (Linux only; other systems give `None`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Peak resident memory so far, in MiB.
pub fn peak_mib(id: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Processor time so far, in seconds, of all its threads.
pub fn cpu_seconds(id: u32) -> Option<f64> {
    Some(ticks(id)?[..2].iter().sum())
}

/// Processor time, in seconds, of the processes that this one has started and waited for.
pub fn children_seconds() -> f64 {
    ticks(std::process::id()).unwrap_or_default()[2..]
        .iter()
        .sum()
}

/// Seconds in user and in system mode: its own two, then those of the children that it has waited
/// for.
fn ticks(id: u32) -> Option<[f64; 4]> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Fields 14 to 17 of proc(5), in hundredths of a second. The name before them may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let mut seconds = [0.0; 4];
    for (s, field) in seconds.iter_mut().zip(fields.get(11..15)?) {
        *s = field.parse::<f64>().ok()? / 100.0;
    }
    Some(seconds)
}

/// Measures the work of other programs while a bench runs.
#[derive(Debug)]
pub struct Others {
    since: Instant,
    busy: Option<f64>,
    ours: f64,
}

impl Others {
    /// Starts the measurement. `live` are the processes that belong to the bench, besides this one
    /// and those that it waits for.
    pub fn watch(live: &[u32]) -> Self {
        Self {
            since: Instant::now(),
            busy: machine_seconds(),
            ours: own_seconds(live),
        }
    }

    /// Mean number of cores that other programs have kept busy since the start.
    pub fn cores(&self, live: &[u32]) -> Option<f64> {
        let busy = machine_seconds()? - self.busy?;
        let ours = own_seconds(live) - self.ours;
        Some(((busy - ours) / self.since.elapsed().as_secs_f64()).max(0.0))
    }
}

fn own_seconds(live: &[u32]) -> f64 {
    let own: f64 = ticks(std::process::id()).unwrap_or_default().iter().sum();
    own + live.iter().filter_map(|id| cpu_seconds(*id)).sum::<f64>()
}

/// Busy processor seconds of the whole machine since its start.
fn machine_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<f64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|f| f.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let idle = fields.get(3)? + fields.get(4)?;
    Some((fields.iter().take(8).sum::<f64>() - idle) / 100.0)
}

/// A process that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Wall-clock seconds from start to end.
    pub seconds: f64,
    /// Peak resident memory in MiB.
    pub peak_mib: f64,
    /// Its standard output.
    pub stdout: String,
}

/// Runs a program to its end and watches its memory.
///
/// # Errors
/// If it cannot be started or fails, a sentence with the end of its standard error.
pub fn run(command: &mut Command) -> crate::Result<Finished> {
    let program = Path::new(command.get_program()).display().to_string();
    let files = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let open = |name: &str| {
        std::fs::File::create(files.path().join(name)).map_err(|e| format!("{name}: {e}"))
    };
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(open("stdout")?)
        .stderr(open("stderr")?)
        .spawn()
        .map_err(|e| format!("{program}: cannot start: {e}"))?;
    let (status, peak_mib) = watch(&mut child).map_err(|e| format!("{program}: {e}"))?;
    let seconds = start.elapsed().as_secs_f64();
    let text = |name: &str| std::fs::read_to_string(files.path().join(name)).unwrap_or_default();
    if !status.success() {
        let stderr = text("stderr");
        let lines: Vec<&str> = stderr.lines().collect();
        let end = lines[lines.len().saturating_sub(8)..].join("\n");
        return Err(format!("{program} failed ({status}):\n{end}"));
    }
    Ok(Finished {
        seconds,
        peak_mib,
        stdout: text("stdout"),
    })
}

/// Waits for the process to end, and reads its peak memory again and again. The peak only rises, so
/// only memory taken in the last moments is missed.
fn watch(child: &mut Child) -> std::io::Result<(std::process::ExitStatus, f64)> {
    let mut peak = 0.0f64;
    loop {
        peak = peak.max(peak_mib(child.id()).unwrap_or(0.0));
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak));
        }
        std::thread::sleep(Duration::from_millis(4));
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_watched_to_its_end() {
        let done = run(Command::new("sh").args(["-c", "echo one; sleep 0.05"])).unwrap();
        assert_eq!(done.stdout, "one\n");
        assert!(done.seconds >= 0.05 && done.peak_mib > 0.0);
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.contains("why"), "{error}");
        assert!(run(&mut Command::new("/no/such/program")).is_err());
    }

    #[test]
    fn a_live_process_has_memory_and_time() {
        let own = std::process::id();
        assert!(peak_mib(own).unwrap() > 0.5);
        assert!(cpu_seconds(own).unwrap() >= 0.0);
    }
}
