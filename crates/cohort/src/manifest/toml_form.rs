//! Manifests as TOML: one `[[case]]` table for each scan.

use super::COLUMNS;
use super::row::Row;
use crate::{Error, ErrorKind, Result};
use multirnet_base::toml_text;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    case: Vec<toml::Spanned<BTreeMap<String, toml::Value>>>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Row>> {
    let malformed = |line: u64, reason: String| Error::new(ErrorKind::Malformed, reason).line(line);
    let document: Document = toml_text::parse(text).map_err(|fault| {
        malformed(fault.line.unwrap_or(1), fault.reason)
            .hint("write one [[case]] table for each scan")
    })?;
    document
        .case
        .into_iter()
        .map(|table| {
            let line = toml_text::line_of(text, table.span().start);
            let mut row = Row {
                line,
                ..Row::default()
            };
            for (name, value) in table.into_inner() {
                let column = COLUMNS.iter().position(|c| *c == name).ok_or_else(|| {
                    malformed(line, format!("unknown key {name:?}"))
                        .hint(format!("known keys: {}", COLUMNS.join(", ")))
                })?;
                row.cells[column] = cell(&value).ok_or_else(|| {
                    malformed(line, format!("the value of {name:?} has the wrong type"))
                        .hint("write a text, a number, or a list of numbers")
                })?;
            }
            Ok(row)
        })
        .collect()
}

fn cell(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Array(list) => {
            let parts: Option<Vec<_>> = list.iter().map(number).collect();
            parts.map(|p| p.join(";"))
        }
        other => number(other),
    }
}

fn number(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Integer(i) => Some(i.to_string()),
        toml::Value::Float(f) => Some(f.to_string()),
        _ => None,
    }
}

pub(super) fn print(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str("[[case]]\n");
        for (name, value) in COLUMNS.iter().zip(&row.cells) {
            if !value.is_empty() {
                let value = match *name {
                    "fold" | "slope" | "intercept" => value.clone(),
                    _ => toml::Value::String(value.clone()).to_string(),
                };
                text.push_str(&format!("{name} = {value}\n"));
            }
        }
        text.push('\n');
    }
    text
}
