//! `multirnet predict --manifest`: one process's part of a list of scans.

use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::scan_work::Work;
use multirnet::batch::{BatchFolder, Ended, Record, RunIdentity, Shard};
use multirnet::{ListedScan, ScanList};
use multirnet_base::jobs::in_parallel;
use multirnet_base::text::one_line;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The arguments of a list of scans.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ListArguments {
    /// Manifest of the scans (CSV or TOML; only the column `scan` is needed) in place of SCAN; scans
    /// that have their results are skipped
    #[arg(long, value_name = "FILE", conflicts_with = "scans")]
    pub manifest: Option<PathBuf>,

    /// Folder that paths in the manifest are relative to (default: its own)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Part of the manifest, such as 3/64 (default: what SLURM_ARRAY_TASK_ID or
    /// JOB_COMPLETION_INDEX say, or all of it)
    #[arg(long, value_name = "I/N", conflicts_with = "shards", value_parser = shard)]
    pub shard: Option<Shard>,

    /// Number of parts, where the environment says only which part this is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub shards: Option<u32>,
}

fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|e: multirnet::Error| e.to_string())
}

impl ListArguments {
    /// The list, and this process's part of it; `None` without a manifest.
    pub fn read(&self) -> Outcome<Option<(ScanList, Shard)>> {
        let Some(manifest) = &self.manifest else {
            // clap's `requires` does not hold for an argument that conflicts with a given one (SCAN).
            let given = self.shard.is_some() || self.shards.is_some() || self.data.is_some();
            if given {
                let reason =
                    "--shard, --shards and --data are for a list of scans (add --manifest)";
                return Err(Failure::new(Exit::Usage, reason));
            }
            return Ok(None);
        };
        let shard = match self.shard {
            Some(shard) => shard,
            None => {
                let count = self.shards.map(|n| n as usize);
                let found = Shard::from_environment(count, |name| std::env::var(name).ok());
                let found = found.map_err(|error| {
                    let flag = "give --shard I/N or --shards N";
                    Failure::new(Exit::Usage, format!("{error}; {flag}"))
                });
                found?.unwrap_or(Shard::WHOLE)
            }
        };
        let list = ScanList::read(manifest, self.data.as_deref())?;
        Ok(Some((list, shard)))
    }
}

/// What the scans of a part came to.
#[derive(Default)]
struct Tally {
    done: usize,
    skipped: usize,
    failures: Vec<Record>,
}

/// Analyses one part of a list into the folder `out`.
pub fn run(out: &Path, work: &Work<'_>, (list, shard): (ScanList, Shard)) -> Outcome {
    let reading = format!("{:?} dicom={}", work.read, work.dicom.is_some());
    let identity = RunIdentity::new(work.model, work.options, &reading)?;
    let folder = BatchFolder::open(out, &identity)?;
    let scans: Vec<&ListedScan> = shard
        .positions(list.scans.len())
        .map(|i| &list.scans[i])
        .collect();
    let total = scans.len();
    output::say(&format!(
        "part {shard}: {total} of {} scans",
        list.scans.len()
    ));
    let begun = AtomicUsize::new(0);
    let stop = &work.run.stop;
    let all = |scans: &[&ListedScan], wait: bool| {
        // An error that concerns every scan ends the part.
        let broken = AtomicUsize::new(0);
        let go_on = || !stop.is_raised() && broken.load(Ordering::Relaxed) == 0;
        in_parallel(scans.len(), work.stages.threads, go_on, |i| {
            let scan = scans[i];
            let ended = folder.analyse(scan, wait, stop, |results| {
                let number = begun.fetch_add(1, Ordering::Relaxed) + 1;
                let label = format!("{number} of {total}, {}", scan.written);
                let name = multirnet::batch::scan_name(&scan.written);
                let refusal = folder.refusal(&name);
                let (finding, _) = work.one(&scan.path, (&label, &name), (results, &refusal))?;
                Ok((&finding).into())
            });
            if ended.is_err() {
                broken.store(1, Ordering::Relaxed);
            }
            if let Ok(Ended::Failed(record)) = &ended {
                output::say(&failure_line(record));
            }
            ended
        })
    };
    let mut tally = Tally::default();
    let mut add = |scans: &[&ListedScan], wait: bool| -> Outcome<Vec<usize>> {
        let mut busy = Vec::new();
        for (i, ended) in all(scans, wait).into_iter().enumerate() {
            match ended {
                Some(Ok(Ended::Done(_))) => tally.done += 1,
                Some(Ok(Ended::Skipped)) => tally.skipped += 1,
                Some(Ok(Ended::Failed(record))) => tally.failures.push(record),
                Some(Ok(Ended::Busy)) => busy.push(i),
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        if stop.is_raised() {
            return Err(Failure::stopped());
        }
        Ok(busy)
    };
    // Scans that another process analyses come last: it may be killed before it ends them.
    let busy: Vec<_> = add(&scans, false)?.into_iter().map(|i| scans[i]).collect();
    add(&busy, true)?;
    finish(out, work, shard, total, &tally)
}

fn finish(out: &Path, work: &Work<'_>, shard: Shard, total: usize, tally: &Tally) -> Outcome {
    let failed = tally.failures.len();
    if work.run.context.json {
        let summary = json!({
            "shard": shard.to_string(),
            "scans": total,
            "done": tally.done,
            "skipped": tally.skipped,
            "failed": failed,
            "failures": tally.failures,
        });
        output::print(&output::to_json(&summary)?)?;
    } else {
        let out = output::path(out);
        output::print(&format!(
            "part {shard}: {} analysed, {} were done, {failed} failed; `multirnet merge {out}` makes one table\n",
            tally.done, tally.skipped
        ))?;
    }
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {total} scans of part {shard} failed");
    Err(Failure::new(Exit::Partial, message))
}

fn failure_line(record: &Record) -> String {
    let scan = one_line(&record.scan);
    let Some(failure) = &record.failure else {
        return format!("{scan} failed");
    };
    let hint = failure.hint.as_ref().map(|h| format!(" ({h})"));
    let reason = format!("{}{}", failure.reason, hint.unwrap_or_default());
    format!("{scan} failed: {}", one_line(&reason))
}
