//! `multirnet merge`: one table of the results of many scans.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use multirnet::ScanList;
use multirnet::batch::{BatchFolder, MergeCounts, Record, ScanState, csv_header, csv_row, merge};
use multirnet_base::PartialFile;
use multirnet_base::files;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Make one table of the results of `predict --manifest`
///
/// The table has a row for every scan: its figures, or the reason why it failed. With --manifest it also
/// has the scans of which nothing is known yet. The exit code is 4 if a scan failed or is missing.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet merge results --manifest scans.csv\n  multirnet merge results --manifest scans.csv -o figures.csv"
)]
pub struct Merge {
    /// Folder that `predict --manifest` wrote to
    folder: PathBuf,

    /// Manifest of the scans; the table then has its order, and its missing scans
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// File for the table: CSV, or JSON lines if the name ends in .jsonl (default: both, table.csv and
    /// table.jsonl in the folder)
    #[arg(short, long, value_name = "FILE")]
    out: Vec<PathBuf>,
}

impl Merge {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let list = self
            .manifest
            .as_deref()
            .map(|path| ScanList::read(path, None));
        let list = list.transpose()?;
        let folder = BatchFolder::existing(&self.folder);
        let places = match self.out.as_slice() {
            [] => ["table.csv", "table.jsonl"]
                .map(|n| self.folder.join(n))
                .to_vec(),
            given => given.to_vec(),
        };
        let mut tables = None;
        let counts = merge(&folder, list.as_ref(), &mut |record| {
            // The files are made with the first row: a folder without a run stays as it is.
            let tables = match &mut tables {
                Some(tables) => tables,
                empty => empty.insert(open(&places)?),
            };
            let results = match record.state {
                ScanState::Done => folder.results(&record.name).display().to_string(),
                _ => String::new(),
            };
            tables.iter_mut().try_for_each(|t| t.row(record, &results))
        })?;
        let tables = match tables {
            Some(tables) => tables,
            None => open(&places)?,
        };
        tables.into_iter().try_for_each(Table::keep)?;
        self.say(context, &places, &counts)
    }

    fn say(&self, context: Context, places: &[PathBuf], counts: &MergeCounts) -> Outcome {
        if context.json {
            output::print(&output::to_json(counts)?)?;
        } else {
            let mut text = format!(
                "{} done, {} failed, {} missing",
                counts.done, counts.failed, counts.missing
            );
            if counts.unlisted > 0 {
                text += &format!("; {} are not in the manifest", counts.unlisted);
            }
            for (kind, number) in &counts.kinds {
                text += &format!("\n  failed ({kind}): {number}");
            }
            for place in places {
                text += &format!("\ntable: {}", output::path(place));
            }
            output::print(&(text + "\n"))?;
        }
        if self.manifest.is_none() {
            output::say("missing scans are not known without --manifest");
        }
        let lacking = counts.failed + counts.missing;
        if lacking == 0 {
            return Ok(());
        }
        let all = lacking + counts.done;
        let message = format!("{lacking} of {all} scans have no results");
        Err(Failure::new(Exit::Partial, message))
    }
}

/// A table that is being written. It appears whole.
struct Table {
    place: PathBuf,
    is_csv: bool,
    file: PartialFile,
}

fn open(places: &[PathBuf]) -> multirnet::Result<Vec<Table>> {
    places.iter().map(|place| Table::create(place)).collect()
}

impl Table {
    fn create(place: &Path) -> multirnet::Result<Self> {
        let place = &files::place_to_write(place)?;
        let folder = files::parent(place);
        let is_lines = place.extension().is_some_and(|e| e == "jsonl");
        let mut table = Self {
            place: place.to_owned(),
            is_csv: !is_lines,
            file: PartialFile::create(folder)?,
        };
        if table.is_csv {
            table.line(&csv_line(csv_header()))?;
        }
        Ok(table)
    }

    fn row(&mut self, record: &Record, results: &str) -> multirnet::Result<()> {
        let line = match self.is_csv {
            true => csv_line(&csv_row(record, results)),
            false => serde_json::to_string(record)
                .map_err(|e| multirnet::Error::new(multirnet::ErrorKind::Write, e.to_string()))?,
        };
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> multirnet::Result<()> {
        writeln!(self.file, "{line}")
            .map_err(|e| multirnet::Error::write(&self.place, "write the table", e))
    }

    fn keep(self) -> multirnet::Result<()> {
        Ok(self.file.keep_synced(&self.place)?)
    }
}

/// One line of CSV. Cells are quoted where they must be.
fn csv_line(cells: &[impl AsRef<str>]) -> String {
    let quoted = |cell: &str| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    let cells: Vec<_> = cells.iter().map(|c| quoted(c.as_ref())).collect();
    cells.join(",")
}
