//! Time and memory of an attack.

use multirnet_dicom::Error;
use std::time::{Duration, Instant};

/// No attack may take longer. This is a bound against work without end and not a measure of speed.
const HANGS: Duration = Duration::from_secs(120);

/// The most memory that this process has had so far, in MiB; `None` if the system does not tell.
pub fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// Runs an attack, prints what it took, and checks that the process stays below `most_mib`.
pub fn attacked<T>(name: &str, most_mib: u64, attack: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = attack();
    let (took, peak) = (begin.elapsed(), peak_mib());
    println!(
        "{name}: {} ms, peak {} MiB",
        took.as_millis(),
        peak.unwrap_or(0)
    );
    assert!(took < HANGS, "{name} took {took:?}");
    assert!(peak.is_none_or(|p| p < most_mib), "{name}: {peak:?} MiB");
    result
}

/// Fails unless `result` is a refusal that says `reason`.
pub fn assert_refused<T>(name: &str, result: Result<T, Error>, reason: &str) {
    let Err(error) = result else {
        panic!("{name} is accepted")
    };
    let text = error.to_string();
    assert!(text.contains(reason), "{name}: {text}");
    assert!(
        !text.contains("the decoder failed"),
        "{name} panics: {text}"
    );
}
