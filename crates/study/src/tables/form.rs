//! Tables as text and as files.

use super::tables;
use crate::Result;
use crate::Results;
use crate::folder::{Folder, write_json};
use multirnet::evaluation::csv;
use multirnet_base::files::write;
use multirnet_finding::ScoredOn;
use multirnet_metrics::Metric;

/// The tables as text for a terminal.
pub fn tables_text(results: &Results) -> String {
    let mut text = format!("{}\n", results.title);
    match results.kind {
        Some(ScoredOn::Phantoms) => {
            text += "Synthetic phantoms: these numbers say nothing about patients.\n";
        }
        Some(ScoredOn::ImplantedLesions) => {
            text += "Lesions that a program implanted: these numbers say little about patients.\n";
        }
        _ => {}
    }
    text += "For research use only. Not a medical device.\n";
    let shown = |name: &str| !["tests", "systems"].contains(&name);
    for (_, table) in tables(results).into_iter().filter(|(name, _)| shown(name)) {
        text += "\n";
        text += &table.to_markdown();
    }
    text
}

/// Writes every table as Markdown and CSV, every score as `cases.csv`, and all results as
/// `results.json` into the study's folder.
///
/// # Errors
/// `Write` if a file cannot be written.
pub fn write_tables(folder: &Folder, results: &Results) -> Result<()> {
    let to = folder.tables();
    for (name, table) in tables(results) {
        write(
            &to.join(format!("{name}.md")),
            table.to_markdown().as_bytes(),
        )?;
        let header: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let rows = table.rows.iter().cloned();
        write(&to.join(format!("{name}.csv")), &csv(&header, rows)?)?;
    }
    let mut header = vec!["system", "case", "scan", "patient", "class"];
    let metrics: Vec<String> = Metric::ALL
        .iter()
        .map(|m| {
            let unit = if m.is_distance() { "mm" } else { "share" };
            format!("{} ({unit})", m.label())
        })
        .collect();
    header.extend(metrics.iter().map(String::as_str));
    header.extend([
        "true ml",
        "predicted ml",
        "p normal",
        "p CAP",
        "p COVID-19",
        "predicted class",
        "source",
        "largest false area in a slice (mm2)",
        "lesion ml",
        "lesion share of the lungs",
    ]);
    let rows = results.systems.iter().flat_map(|system| {
        system.cases.iter().map(|score| {
            let exact = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
            let s = score.segmentation.as_ref();
            let mut row = vec![
                system.id.clone(),
                score.case.to_string(),
                score.scan.clone(),
                score.patient.clone(),
                score.class.map_or("unknown", |c| c.name()).to_owned(),
            ];
            row.extend(
                Metric::ALL
                    .iter()
                    .map(|m| exact(s.and_then(|s| m.value(s)))),
            );
            row.push(exact(s.map(|s| s.overlap.truth_ml())));
            row.push(exact(s.map(|s| s.overlap.predicted_ml())));
            row.extend([0, 1, 2].map(|c| exact(score.probabilities.map(|p| p.to_array()[c]))));
            row.push(
                score
                    .predicted()
                    .map_or_else(String::new, |d| d.name().to_owned()),
            );
            row.push(score.source.clone());
            row.push(exact(score.false_area_mm2));
            row.push(exact(score.lesion_ml));
            row.push(exact(score.lesion_share));
            row
        })
    });
    write(&to.join("cases.csv"), &csv(&header, rows)?)?;
    write_json(&to.join("results.json"), results)
}
