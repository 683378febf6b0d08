//! The scores of an evaluation as CSV.

use super::{Evaluation, Segmentation, SourceScores};
use crate::{Error, ErrorKind, Result};
use multirnet_finding::{LesionKind, ScoredOn};
use multirnet_metrics::stats::Interval;
use multirnet_metrics::{Metric, Overlap};
use std::borrow::Cow;

/// The table of scans as CSV.
///
/// # Errors
/// `Write` if a row cannot be written, which does not happen in memory.
pub fn cases_csv(evaluation: &Evaluation) -> Result<Vec<u8>> {
    let header: Vec<String> =
        "scan,true_class,predicted_class,p_normal,p_cap,p_covid19,dice,true_ml,\
        predicted_ml,seconds,windows,voxels,network_seconds,source,patient,surface_dice,\
        surface_tolerance_mm,recall,precision,lesions,lesions_missed,lesions_predicted,\
        lesions_invented,lesion_f1,false_area_mm2,lesion_share"
            .split(',')
            .map(str::to_owned)
            .chain(LesionKind::ALL.map(|k| format!("dice_{}", k.label().replace(' ', "_"))))
            .chain(further_metrics().map(column_name))
            .collect();
    let exact = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
    let rows = evaluation.cases.iter().map(|c| {
        let score = &c.score;
        let metrics = score.segmentation.as_ref();
        let value = |m: Metric| exact(metrics.and_then(|s| m.value(s)));
        let lesions = metrics.map(|s| s.lesions);
        let count = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
        let mut row = vec![
            score.scan.clone(),
            score.class.map_or("unknown", |c| c.name()).to_owned(),
            c.predicted.map_or("", |c| c.name()).to_owned(),
        ];
        row.extend([0, 1, 2].map(|k| exact(score.probabilities.map(|p| p.to_array()[k]))));
        row.extend([
            exact(c.dice),
            exact(c.overlap.as_ref().map(Overlap::truth_ml)),
            exact(score.lesion_ml),
            format!("{:.2}", c.seconds),
            c.windows.to_string(),
            c.voxels.to_string(),
            format!("{:.2}", c.network_seconds),
            score.source.clone(),
            score.patient.clone(),
            value(Metric::SurfaceDice),
            metrics.map_or_else(String::new, |s| s.surface.config.tolerance_mm.to_string()),
            value(Metric::Recall),
            value(Metric::Precision),
            count(lesions.map(|l| l.truth)),
            count(lesions.map(|l| l.missed)),
            count(lesions.map(|l| l.predicted)),
            count(lesions.map(|l| l.invented)),
            value(Metric::LesionF1),
            exact(score.false_area_mm2),
            exact(score.lesion_share),
        ]);
        let kind = |k: usize| exact(score.kinds.and_then(|kinds| kinds[k].dice()));
        row.extend([kind(0), kind(1)]);
        row.extend(further_metrics().map(value));
        row
    });
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    csv(&header, rows)
}

/// The metrics that an earlier version of the table of scans did not have. Their columns stand last,
/// so the others keep their places.
fn further_metrics() -> impl Iterator<Item = Metric> {
    const EARLIER: [Metric; 5] = [
        Metric::Dice,
        Metric::SurfaceDice,
        Metric::Recall,
        Metric::Precision,
        Metric::LesionF1,
    ];
    Metric::ALL.into_iter().filter(|m| !EARLIER.contains(m))
}

/// A metric's name as a column, such as `average_surface_distance_mm`.
fn column_name(metric: Metric) -> String {
    let name = metric.label().replace(", ", " ").replace(' ', "_");
    let unit = if metric.is_distance() { "_mm" } else { "" };
    format!("{name}{unit}")
}

/// The scores of sources as CSV, one line per score. Shares are in 0..=1, distances in mm. Scores
/// without an interval have empty ends.
///
/// # Errors
/// As [`cases_csv`].
pub fn sources_csv(evaluation: &Evaluation) -> Result<Vec<u8>> {
    let header = [
        "source",
        "kind",
        "score",
        "statistic",
        "scans",
        "patients",
        "value",
        "low",
        "high",
        "undefined",
        "infinite",
    ];
    let rows = evaluation.scores.sources.iter().flat_map(source_rows);
    csv(&header, rows)
}

/// One line of the scores of sources.
struct Line {
    score: String,
    statistic: &'static str,
    /// Number of scans, of undefined values and of infinite values.
    counts: [usize; 3],
    patients: usize,
    /// The value and the ends of its interval.
    values: [Option<f64>; 3],
}

impl Line {
    fn new(score: &str, statistic: &'static str, counts: [usize; 3], found: &Interval) -> Self {
        Self {
            score: score.to_owned(),
            statistic,
            counts,
            patients: found.patients,
            values: [found.value, found.low, found.high],
        }
    }
}

fn source_rows(source: &SourceScores) -> Vec<Vec<String>> {
    let scores = &source.scores;
    let mut lines = scores.segmentation.as_ref().map_or(vec![], lesion_lines);
    if let Some(auc) = scores.segmentation.as_ref().and_then(|s| s.auc.as_ref()) {
        let counts = [scores.scans, 0, 0];
        lines.push(Line::new("AUC of lesion share", "value", counts, auc));
    }
    if let Some(classes) = &scores.classification {
        let counts = [classes.scores.n as usize, 0, 0];
        let found = &classes.accuracy_interval;
        lines.push(Line::new("accuracy", "share", counts, found));
    }
    let kind = source.kind.map_or("", ScoredOn::label);
    let row = |line: Line| {
        let exact = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
        let [n, undefined, infinite] = line.counts.map(|n| n.to_string());
        let mut row = [&source.source, kind, &line.score, line.statistic]
            .map(str::to_owned)
            .to_vec();
        row.extend([n, line.patients.to_string()]);
        row.extend(line.values.map(exact));
        row.extend([undefined, infinite]);
        row
    };
    lines.into_iter().map(row).collect()
}

/// The lines of every metric over scans with lesions, of kinds of lesions, and of false lesions.
fn lesion_lines(lesions: &Segmentation) -> Vec<Line> {
    let mut lines = Vec::new();
    let patients = lesions.intervals.first().map(|m| m.mean.patients);
    // Metrics over scans with lesions need at least one such scan.
    let metrics = lesions
        .metrics
        .scores
        .iter()
        .zip(patients.into_iter().cycle());
    for (found, patients) in metrics {
        let (metric, all) = (found.metric, &found.aggregate);
        let counts = [all.n, all.n_undefined, all.n_infinite];
        if let Some(own) = lesions.intervals(metric) {
            lines.push(Line::new(metric.label(), "mean", counts, &own.mean));
            lines.push(Line::new(metric.label(), "median", counts, &own.median));
            continue;
        }
        for (statistic, value) in [("mean", all.mean), ("median", all.median)] {
            lines.push(Line {
                score: metric.label().to_owned(),
                statistic,
                counts,
                patients,
                values: [value, None, None],
            });
        }
    }
    for k in &lesions.kinds {
        let score = format!("Dice of {}", k.kind);
        lines.push(Line::new(&score, "mean", [k.n, 0, 0], &k.mean));
        lines.push(Line::new(&score, "median", [k.n, 0, 0], &k.median));
    }
    if let Some(f) = &lesions.false_lesions {
        for (score, statistic, found) in [
            ("any false lesion", "share", &f.any),
            ("false lesion above 1 cm2 in a slice", "share", &f.large),
            ("largest false area in a slice, mm2", "mean", &f.area_mm2),
            ("false volume, ml", "mean", &f.volume_ml),
        ] {
            lines.push(Line::new(score, statistic, [f.n, 0, 0], found));
        }
    }
    lines
}

/// A cell that a spreadsheet does not take for a formula. Names of scans come from strangers, and a cell
/// that begins with one of these characters may run a command when somebody opens the file. An apostrophe
/// in front makes it text. Numbers and intervals stay as they are.
fn as_text(cell: &str) -> Cow<'_, str> {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_number = |c: char| c.is_ascii_digit() || " .,+-–−()%to".contains(c);
    match is_formula && !(cell.starts_with(['+', '-']) && cell.chars().all(is_number)) {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

/// A CSV file of a header and rows. Cells that a spreadsheet takes for formulas get an apostrophe.
///
/// # Errors
/// `Write` if a row cannot be written.
pub fn csv(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let bad = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Write, format!("CSV: {e}"));
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(vec![]);
    writer.write_record(header).map_err(|e| bad(&e))?;
    for row in rows {
        let cells = row.iter().map(|cell| as_text(cell));
        writer
            .write_record(cells.map(|c| c.as_bytes().to_vec()))
            .map_err(|e| bad(&e))?;
    }
    writer.into_inner().map_err(|e| bad(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_strangers_are_not_formulas() {
        let cells = [
            "=HYPERLINK(\"http://evil\")",
            "+1+cmd|' /C calc'!A0",
            "-2+3+cmd|' /C calc'!A0",
            "@SUM(1)",
            "\tx",
            "-0.5 (-1.0 to 0.1)",
            "-3.5",
            "a, \"b\"\nc",
            "scan-1",
        ];
        let bytes = csv(&["name"], cells.iter().map(|c| vec![(*c).to_owned()])).unwrap();
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(&bytes[..]);
        let read: Vec<String> = reader.records().map(|r| r.unwrap()[0].to_owned()).collect();
        for (found, cell) in read.iter().zip(&cells).take(5) {
            assert_eq!(*found, format!("'{cell}"));
        }
        assert_eq!(read[5..], cells[5..]);
    }
}
