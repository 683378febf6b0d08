//! A list of scans, and what is in the folder of their results.

use crate::common::expect;
use crate::lab::Lab;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Scans of a list that cannot be used: one is not an image, the other does not exist.
pub const BAD: [&str; 2] = ["scans/bad.nii.gz", "scans/absent.nii.gz"];

/// The command that analyses the list with a net of few channels, without OUT.
pub const PREDICT: &str = "--quiet --threads 1 predict --manifest scans.csv --no-heatmap \
                           --model run/model.safetensors --pipeline global";

/// A folder with a trained net and a list of `count` sound scans.
pub fn lab(count: usize) -> Lab {
    let lab = Lab::new();
    lab.train();
    fs::create_dir(lab.path("scans")).unwrap();
    let names: Vec<String> = (0..count).map(|i| format!("scans/s{i}.nii.gz")).collect();
    for (i, name) in names.iter().enumerate() {
        let source = ["cap0.nii.gz", "normal0.nii.gz"][i % 2];
        fs::hard_link(lab.path(source), lab.path(name)).unwrap();
    }
    write_list(&lab, names.iter().map(String::as_str));
    lab
}

/// Writes the list `scans.csv`.
pub fn write_list<'a>(lab: &Lab, names: impl IntoIterator<Item = &'a str>) {
    let rows: String = names.into_iter().map(|n| format!("{n}\n")).collect();
    lab.write("scans.csv", &format!("scan\n{rows}"));
}

/// Adds the unusable scans in front of the list, so that they are in different parts.
pub fn add_bad(lab: &Lab) {
    lab.write(BAD[0], "Dear colleague,");
    let list = fs::read_to_string(lab.path("scans.csv")).unwrap();
    let names: Vec<&str> = list.lines().skip(1).collect();
    write_list(lab, BAD.into_iter().chain(names));
}

/// The program without variables of a scheduler.
pub fn command(lab: &Lab, line: &str) -> Command {
    let mut command = lab.command(line);
    for name in [
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_COUNT",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_STEP",
        "JOB_COMPLETION_INDEX",
        "JOB_COMPLETIONS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the program with JSON, and returns what it printed. The exit code must be `code`.
pub fn json(lab: &Lab, line: &str, code: i32) -> Value {
    let output = command(lab, &format!("--json {line}")).output().unwrap();
    expect(&output, code);
    parsed(&output)
}

/// The JSON that a program printed.
pub fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Merges the folder `out` with the list, and returns the table's rows by scan. The exit code must be
/// `code`.
pub fn table(lab: &Lab, out: &str, code: i32) -> BTreeMap<String, BTreeMap<String, String>> {
    let line = format!("merge {out} --manifest scans.csv -o {out}.csv -o {out}.jsonl");
    expect(&command(lab, &line).output().unwrap(), code);
    let text = fs::read_to_string(lab.path(&format!("{out}.csv"))).unwrap();
    let mut lines = text.lines().map(cells);
    let header = lines.next().unwrap();
    let rows: Vec<BTreeMap<String, String>> = lines
        .map(|row| header.iter().cloned().zip(row).collect())
        .collect();
    let list = fs::read_to_string(lab.path("scans.csv")).unwrap();
    let listed: Vec<&str> = list.lines().skip(1).collect();
    let order: Vec<&str> = rows.iter().map(|r| r["scan"].as_str()).collect();
    assert_eq!(order, listed, "the table has the list's order");
    // The other form has the same rows.
    let lines = fs::read_to_string(lab.path(&format!("{out}.jsonl"))).unwrap();
    let values = lines
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    for (value, row) in values.zip(&rows) {
        assert_eq!(value["scan"], row["scan"].as_str());
        assert_eq!(value["state"], row["state"].as_str());
        let class = value.pointer("/figures/class").and_then(Value::as_str);
        assert_eq!(class.unwrap_or_default(), row["class"]);
        let reason = value.pointer("/failure/reason").and_then(Value::as_str);
        assert_eq!(reason.unwrap_or_default(), row["reason"]);
    }
    assert_eq!(lines.lines().count(), rows.len());
    rows.into_iter().map(|r| (r["scan"].clone(), r)).collect()
}

/// The cells of a line of CSV.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cells.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

/// Columns that differ between runs of the same scans.
const OF_THE_RUN: [&str; 3] = ["seconds", "host", "results"];

/// Asserts that two tables have the same figures and failures.
pub fn assert_same(
    a: &BTreeMap<String, BTreeMap<String, String>>,
    b: &BTreeMap<String, BTreeMap<String, String>>,
) {
    let strip = |table: &BTreeMap<String, BTreeMap<String, String>>| {
        let mut table = table.clone();
        for row in table.values_mut() {
            row.retain(|column, _| !OF_THE_RUN.contains(&column.as_str()));
        }
        table
    };
    assert_eq!(strip(a), strip(b));
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}
