//! Measures multirnet and its peers side by side. This is the code that the programs in `src/bin`
//! share.
//!
//! Every contestant, ours too, is a process of its own that answers lines on its standard input
//! ([`contestant`], [`serving`]). They take turns ([`rounds`]), and while one works the others sleep.
//! A machine that grows slower or busier therefore does so for all of them.

pub mod contestant;
pub mod fixture;
pub mod machine;
pub mod peers;
pub mod process;
pub mod program;
pub mod rounds;
pub mod serving;
pub mod table;

/// Result of a bench. An error is a sentence with the fault, its reason and a remedy.
pub type Result<T> = std::result::Result<T, String>;

/// The median: the middle value, or the mean of the two middle ones. It is NaN without values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Writes `value` as JSON to `path`, through a temporary file that is renamed when complete.
///
/// # Errors
/// A sentence that names the file.
pub fn write_json(path: &std::path::Path, value: &serde_json::Value) -> Result<()> {
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let text = format!("{value:#}\n");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|e| format!("{}: cannot write: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn medians() {
        assert_eq!(super::median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(super::median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(super::median(&[]).is_nan());
    }
}
