//! Records as rows of a CSV table.

use super::{Record, ScanState};
use multirnet_base::text::one_line;

/// Columns of the table.
const COLUMNS: [&str; 22] = [
    "scan",
    "state",
    "class",
    "p_normal",
    "p_cap",
    "p_covid19",
    "lungs_ml",
    "lesion_ml",
    "involved",
    "severity_score",
    "ground_glass_ml",
    "consolidation_ml",
    "warnings",
    "kind",
    "reason",
    "hint",
    "name",
    "results",
    "seconds",
    "host",
    "model",
    "content_sha256",
];

/// The names of the columns, in order.
pub fn csv_header() -> &'static [&'static str] {
    &COLUMNS
}

/// The row of a record. `results` is the folder of its results, or empty. What is not known is empty.
pub fn csv_row(record: &Record, results: &str) -> Vec<String> {
    let figures = record.figures.as_ref();
    let failure = record.failure.as_ref();
    let exact = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
    let text = |v: Option<&str>| v.map_or_else(String::new, |v| one_line(v).into_owned());
    let seconds = match record.state {
        ScanState::Missing => String::new(),
        _ => format!("{:.2}", record.seconds),
    };
    vec![
        record.scan.clone(),
        record.state.name().to_owned(),
        text(figures.map(|f| f.class.as_str())),
        exact(figures.map(|f| f.probabilities[0])),
        exact(figures.map(|f| f.probabilities[1])),
        exact(figures.map(|f| f.probabilities[2])),
        exact(figures.map(|f| f.lungs_ml)),
        exact(figures.map(|f| f.lesion_ml)),
        exact(figures.map(|f| f.involved)),
        figures.map_or_else(String::new, |f| f.severity_score.to_string()),
        exact(figures.and_then(|f| f.ground_glass_ml)),
        exact(figures.and_then(|f| f.consolidation_ml)),
        text(figures.map(|f| f.warnings.join("; ")).as_deref()),
        text(failure.map(|f| f.kind.as_str())),
        text(failure.map(|f| f.reason.as_str())),
        text(failure.and_then(|f| f.hint.as_deref())),
        record.name.clone(),
        results.to_owned(),
        seconds,
        record.host.clone(),
        text(figures.map(|f| f.model.as_str())),
        text(figures.map(|f| f.content_sha256.as_str())),
    ]
}
