//! Manifests as CSV.

use super::COLUMNS;
use super::row::Row;
use crate::{Error, ErrorKind, Result};

/// Parses a table that has at least the columns `required`.
pub(super) fn parse(text: &str, required: &[&str]) -> Result<Vec<Row>> {
    let malformed = |line: u64, reason: String| Error::new(ErrorKind::Malformed, reason).line(line);
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let place = |e: &csv::Error| e.position().map_or(1, csv::Position::line);
    let header = reader
        .headers()
        .map_err(|e| malformed(place(&e), e.to_string()))?
        .clone();
    let mut columns = Vec::new();
    for name in &header {
        let column = COLUMNS.iter().position(|c| *c == name).ok_or_else(|| {
            malformed(1, format!("unknown column {name:?}"))
                .hint(format!("known columns: {}", COLUMNS.join(", ")))
        })?;
        if columns.contains(&column) {
            return Err(malformed(1, format!("the column {name:?} occurs twice")));
        }
        columns.push(column);
    }
    for required in required {
        if !header.iter().any(|h| h == *required) {
            return Err(malformed(1, format!("the column {required:?} is missing"))
                .hint("the first line names the columns, e.g. scan,mask,class,patient"));
        }
    }
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|e| malformed(place(&e), e.to_string()))?;
            let mut row = Row {
                line: record.position().map_or(0, csv::Position::line),
                ..Row::default()
            };
            for (&column, cell) in columns.iter().zip(&record) {
                row.cells[column] = cell.to_owned();
            }
            Ok(row)
        })
        .collect()
}

pub(super) fn print(rows: &[Row]) -> String {
    // Columns that no scan uses are left out.
    let used: Vec<usize> = (0..COLUMNS.len())
        .filter(|&k| {
            ["scan", "mask", "class", "patient"].contains(&COLUMNS[k])
                || rows
                    .iter()
                    .any(|r| !matches!(r.cells[k].as_str(), "" | "hu"))
        })
        .collect();
    let quote = |cell: &str| {
        if cell.contains([',', '"', '\n', '\r', '#']) || cell.trim() != cell {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    };
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        text.push_str(&cells.join(","));
        text.push('\n');
    };
    line(used.iter().map(|&k| COLUMNS[k].to_owned()).collect());
    for row in rows {
        line(used.iter().map(|&k| quote(&row.cells[k])).collect());
    }
    text
}
