//! Tables of calibration, of the share of the lungs involved, and of heat, source by source.

use crate::results::Results;
use crate::system_result::SystemResult;
use multirnet::evaluation::{CaseScore, SourceScores, score_columns as cells};
use multirnet_report::{Column, Table};

/// Calls `rows` with each source of each system, source by source, and puts the source's and the system's name before
/// each row.
fn by_source(
    results: &Results,
    rows: impl Fn(&SystemResult, &SourceScores) -> Vec<Vec<String>>,
) -> Vec<Vec<String>> {
    let sources = results.systems.iter().map(|s| s.scores.sources.len()).max();
    let mut all = Vec::new();
    for i in 0..sources.unwrap_or(0) {
        for system in &results.systems {
            let Some(source) = system.scores.sources.get(i) else {
                continue;
            };
            let names = [source.source.clone(), system.label.clone()];
            for row in rows(system, source) {
                all.push(names.iter().cloned().chain(row).collect());
            }
        }
    }
    all
}

/// A table with the source and the system before `columns`; `None` without rows.
fn table(caption: &str, columns: Vec<Column>, rows: Vec<Vec<String>>, note: &str) -> Option<Table> {
    let names = ["Source", "System"].map(|n| Column::new(n, false));
    (!rows.is_empty()).then(|| Table {
        caption: caption.to_owned(),
        columns: names.into_iter().chain(columns).collect(),
        rows,
        note: note.to_owned(),
    })
}

/// The table of calibration; `None` if nothing is known.
pub fn calibration_table(results: &Results) -> Option<Table> {
    let rows = by_source(results, |_, source| {
        let row = cells::calibration_cells(&source.scores.calibration);
        row.into_iter().collect()
    });
    table(
        "Calibration of probabilities.",
        cells::calibration_columns(),
        rows,
        cells::CALIBRATION_NOTE,
    )
}

/// The table of the agreement of the share of the lungs involved; `None` if nothing is known.
pub fn involvement_table(results: &Results) -> Option<Table> {
    let rows = by_source(results, |_, source| {
        let row = source.scores.involvement.as_ref();
        row.map(cells::involvement_cells).into_iter().collect()
    });
    table(
        "Share of the lungs involved.",
        cells::involvement_columns(),
        rows,
        cells::INVOLVEMENT_NOTE,
    )
}

/// The table of heat in lesions; `None` without heat maps.
pub fn heat_table(results: &Results) -> Option<Table> {
    let rows = by_source(results, |system, source| {
        let own = system.cases.iter().filter(|c| c.source == source.source);
        cells::heat_rows(&own.collect::<Vec<&CaseScore>>())
    });
    table(
        "Where the heat of the class lies.",
        cells::heat_columns(),
        rows,
        cells::HEAT_NOTE,
    )
}
