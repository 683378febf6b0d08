//! What the system says about a process (Linux; elsewhere nothing).

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
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Fields 14 and 15 of proc(5), in hundredths of a second; the name before them may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    Some((ticks(11)? + ticks(12)?) / 100.0)
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
/// A sentence with the end of its standard error, if it cannot be started or fails.
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

/// Waits for the end. The peak is a mark that only rises, so that looking often enough misses
/// nothing but what is taken in the last moments.
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
