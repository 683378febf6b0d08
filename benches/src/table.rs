//! The table of a bench, for people and as JSON.

use crate::contestant::{Contestant, Precision};
use crate::{Result, median, rounds};
use serde_json::{Value, json};

/// One contestant's line.
#[derive(Debug, Clone)]
pub struct Row {
    name: String,
    version: String,
    precision: Precision,
    ours: bool,
    ms: Vec<f64>,
    gflop: Option<f64>,
    peak_mib: f64,
    idle_share: f64,
    against: [Option<f64>; 2],
    /// Text of the check: the largest absolute and relative difference from the reference, or other
    /// checked values.
    pub check: String,
}

/// The lines of all contestants after their rounds. `gflop` is the work of one run.
///
/// # Errors
/// A sentence that names the contestant that no longer answers.
pub fn rows(contestants: &mut [&mut Contestant], gflop: Option<f64>) -> Result<Vec<Row>> {
    let ours = [Precision::F32, Precision::Bf16].map(|p| rounds::our_best(contestants, p));
    let mut rows = Vec::new();
    for c in contestants {
        let middle = median(&c.ms);
        rows.push(Row {
            name: c.name.clone(),
            version: c.hello["version"].as_str().unwrap_or_default().to_owned(),
            precision: c.precision,
            ours: c.ours,
            ms: c.ms.clone(),
            gflop,
            peak_mib: c.peak_mib()?,
            idle_share: c.idle_share,
            against: ours.map(|o| o.map(|o| middle / o)),
            check: String::new(),
        });
    }
    Ok(rows)
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "version": self.version, "precision": self.precision.name(),
            "ours": self.ours, "ms": self.ms, "median_ms": median(&self.ms), "gflop": self.gflop,
            "peak_mib": self.peak_mib, "idle_share": self.idle_share,
            "times_ours_f32": self.against[0], "times_ours_bf16": self.against[1],
            "check": self.check,
        })
    }
}

/// All lines as JSON.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(Row::json).collect()
}

/// Prints all lines as a table. `what` heads the column of checks.
pub fn print(rows: &[Row], what: &str) {
    let mut cells = vec![
        [
            "name",
            "version",
            "median ms",
            "min",
            "max",
            "GFLOP/s",
            "x ours f32",
            "x ours bf16",
            "peak MiB",
            what,
        ]
        .map(str::to_owned),
    ];
    for r in rows {
        let bounds = |f: fn(f64, f64) -> f64, from: f64| r.ms.iter().copied().fold(from, f);
        let middle = median(&r.ms);
        let ratio = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.2}"));
        cells.push([
            r.name.clone(),
            r.version.clone(),
            format!("{middle:.1}"),
            format!("{:.1}", bounds(f64::min, f64::INFINITY)),
            format!("{:.1}", bounds(f64::max, 0.0)),
            r.gflop
                .map_or("-".into(), |g| format!("{:.0}", 1e3 * g / middle)),
            ratio(r.against[0]),
            ratio(r.against[1]),
            format!("{:.0}", r.peak_mib),
            r.check.clone(),
        ]);
    }
    print!("{}", aligned(&cells, 2));
    for r in rows.iter().filter(|r| r.idle_share > 0.02) {
        println!(
            "WARNING: {} takes {:.0} % of a core while it waits, which slows the others",
            r.name,
            100.0 * r.idle_share
        );
    }
}

/// Cells as a Markdown table. The first `left` columns and the last are flushed left.
pub fn aligned<const N: usize>(cells: &[[String; N]], left: usize) -> String {
    let width: [usize; N] = std::array::from_fn(|c| {
        let widest = cells.iter().map(|row| row[c].chars().count()).max();
        widest.unwrap_or(0).max(3)
    });
    let is_left = |c: usize| c < left || c + 1 == N;
    let mut text = String::new();
    for (i, row) in cells.iter().enumerate() {
        for (c, cell) in row.iter().enumerate() {
            let w = width[c];
            text += &if is_left(c) {
                format!("| {cell:<w$} ")
            } else {
                format!("| {cell:>w$} ")
            };
        }
        text += "|\n";
        if i == 0 {
            for (c, w) in width.iter().enumerate() {
                text += &if is_left(c) {
                    format!("|{}", "-".repeat(w + 2))
                } else {
                    format!("|{}:", "-".repeat(w + 1))
                };
            }
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn tables_are_aligned() {
        let cells = [["a", "b", "c"], ["long", "1", "x"]].map(|r| r.map(str::to_owned));
        let text = super::aligned(&cells, 1);
        assert_eq!(
            text,
            "| a    |   b | c   |\n|------|----:|-----|\n| long |   1 | x   |\n"
        );
    }
}
