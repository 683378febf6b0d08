//! The folder of the results of many scans.

use super::claim::{Claim, MAX_STARTS};
use super::{FailureReason, Figures, Record};
use crate::{Error, ErrorKind, Result, to_json};
use multirnet_base::digest::sha256;
use multirnet_base::{StagedFolder, StopToken, files};
use multirnet_cohort::ListedScan;
use multirnet_infer::{Model, PredictOptions};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the record in a scan's results.
pub(super) const RECORD: &str = "record.json";

/// Pause before a scan that another process analyses is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What all results of a folder have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Version of the program.
    pub version: String,
    /// Name of the model.
    pub model: String,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// SHA-256 of the options, and of `reading`.
    pub options_sha256: String,
}

impl RunIdentity {
    /// The identity of a run with `model` and `options`. `reading` stands for everything else that changes
    /// results, such as the options of the readers.
    ///
    /// # Errors
    /// `Options` if the options cannot be written as JSON.
    pub fn new(model: &Model, options: &PredictOptions, reading: &str) -> Result<Self> {
        // A limit of memory changes which scans are refused, and no result.
        let options = PredictOptions {
            memory_limit_mib: None,
            ..options.clone()
        };
        let text = serde_json::to_string(&options)
            .map_err(|e| Error::new(ErrorKind::Options, e.to_string()))?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.card().name.clone(),
            model_sha256: model.model_digest().to_owned(),
            options_sha256: sha256(format!("{text}\n{reading}").as_bytes()),
        })
    }

    /// The first difference from `given`, in words.
    fn difference(&self, given: &Self) -> Option<String> {
        let was = |what: &str, a: &str, b: &str| {
            (a != b).then(|| format!("its results have {what} {a}, and {b} is given"))
        };
        // The name of a model may follow from its path, which differs between machines.
        was("version", &self.version, &given.version)
            .or_else(|| was("model digest", &self.model_sha256, &given.model_sha256))
            .or_else(|| {
                was(
                    "options of digest",
                    &self.options_sha256,
                    &given.options_sha256,
                )
            })
    }
}

/// A scan's name in the folder: the stem of the path that the manifest writes, and twelve digits of that
/// path's digest. It is distinct for each scan, and a valid name of a file whatever the path holds.
///
/// ```
/// use multirnet::batch::scan_name;
/// assert_eq!(scan_name("east/Scan 7.nii.gz"), "Scan_7-d8a65c70b808");
/// ```
pub fn scan_name(written: &str) -> String {
    const ENDINGS: [&str; 8] = [
        ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip", ".dcm",
    ];
    let last = written.trim_end_matches(['/', '\\']);
    let last = last.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = ENDINGS.iter().find_map(|e| last.strip_suffix(e));
    let safe = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '-' | '.') => c,
        _ => '_',
    };
    let stem: String = stem.unwrap_or(last).chars().take(40).map(safe).collect();
    // A name must not be hidden, and must not look like an option.
    let stem = stem.trim_start_matches(['.', '-']);
    let stem = if stem.is_empty() { "scan" } else { stem };
    format!("{stem}-{}", &sha256(written.as_bytes())[..12])
}

/// The folder of a scan's name: the first two digits of the digest in it.
fn bucket(name: &str) -> &str {
    let digest = name.rsplit('-').next().unwrap_or_default();
    digest.get(..2).unwrap_or("00")
}

/// The end of one scan.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It had its results before.
    Skipped,
    /// It was analysed now.
    Done(Record),
    /// It could not be analysed, which is recorded.
    Failed(Record),
    /// Another process analyses it.
    Busy,
}

/// A folder of results of many scans; the [module](super) lists its content.
#[derive(Debug, Clone)]
pub struct BatchFolder {
    root: PathBuf,
}

impl BatchFolder {
    /// Opens the folder `root` for results of the run `identity`. It may be new, or hold results of the
    /// same run.
    ///
    /// # Errors
    /// `Options` if it holds results of another version, model or options; `Io`, `Write`.
    pub fn open(root: &Path, identity: &RunIdentity) -> Result<Self> {
        let folder = Self::existing(root);
        let path = root.join("run.json");
        let read = || -> Result<Option<RunIdentity>> {
            match std::fs::read_to_string(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::io(&path, "read the run", e)),
                Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| {
                    Error::new(ErrorKind::Io, format!("the file is damaged: {e}"))
                        .at(&path)
                        .hint(
                            "delete it if the results beside it are of the same model and options",
                        )
                }),
            }
        };
        if read()?.is_none() {
            files::write_synced(&path, to_json(identity)?.as_bytes())?;
        }
        // Read again: another process may have written the file at the same time.
        match read()?.and_then(|found| found.difference(identity)) {
            None => Ok(folder),
            Some(difference) => Err(Error::new(
                ErrorKind::Options,
                format!("the folder holds another run: {difference}"),
            )
            .at(root)
            .hint("choose another folder, or go on with the same version, model and options")),
        }
    }

    /// The folder `root`, to read what is in it.
    pub fn existing(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the results of the scan `name`.
    pub fn results(&self, name: &str) -> PathBuf {
        self.root.join("scans").join(bucket(name)).join(name)
    }

    /// Record of the failure of the scan `name`.
    pub fn failure(&self, name: &str) -> PathBuf {
        let folder = self.root.join("failures").join(bucket(name));
        folder.join(format!("{name}.json"))
    }

    /// Folder for what is told of a scan that was refused, beside its record.
    pub fn refusal(&self, name: &str) -> PathBuf {
        self.root.join("failures").join(bucket(name)).join(name)
    }

    fn claim(&self, name: &str) -> PathBuf {
        self.root.join("claims").join(bucket(name)).join(name)
    }

    /// The record of a scan: of its results, or of its failure.
    ///
    /// # Errors
    /// `Io` if it cannot be read or is damaged.
    pub fn record(&self, name: &str) -> Result<Option<Record>> {
        match Record::read(&self.results(name).join(RECORD))? {
            Some(record) => Ok(Some(record)),
            None => Record::read(&self.failure(name)),
        }
    }

    fn is_done(&self, name: &str) -> bool {
        self.results(name).join(RECORD).exists()
    }

    /// Analyses `scan` unless it has its results. `work` writes them into the folder that it receives, and
    /// returns their figures; the folder then appears whole. An error of `work` is recorded as the scan's
    /// failure, except those that concern every scan: `Write`, `Device` and `Interrupted` are returned.
    ///
    /// If another process analyses the scan, `wait` says whether to wait for its end.
    ///
    /// # Errors
    /// `Write` if something cannot be written, `Interrupted` if `stop` is raised, `Device`.
    pub fn analyse(
        &self,
        scan: &ListedScan,
        wait: bool,
        stop: &StopToken,
        work: impl FnOnce(&Path) -> Result<Figures>,
    ) -> Result<Ended> {
        let name = scan_name(&scan.written);
        let path = self.claim(&name);
        if self.is_done(&name) {
            Claim::remove_left(&path);
            return Ok(Ended::Skipped);
        }
        let mut claim = loop {
            match Claim::take(&path)? {
                Some(claim) => break claim,
                None if !wait => return Ok(Ended::Busy),
                None if stop.is_raised() => {
                    return Err(Error::new(ErrorKind::Interrupted, "stopped"));
                }
                None => std::thread::sleep(LOOK_AGAIN),
            }
        };
        // It may have got its results while this process opened the claim or waited for it.
        if self.is_done(&name) {
            claim.end()?;
            return Ok(Ended::Skipped);
        }
        if claim.earlier >= MAX_STARTS {
            return self.given_up(scan, name, claim);
        }
        if let Err(error) = claim.start() {
            claim.give_back();
            return Err(error);
        }
        let begun = Instant::now();
        match self.stage(scan, &name, begun, work) {
            Ok(record) => {
                // What an earlier run told of a failure is no longer true.
                let _ = std::fs::remove_file(self.failure(&name));
                let _ = std::fs::remove_dir_all(self.refusal(&name));
                claim.end()?;
                Ok(Ended::Done(record))
            }
            Err(error) => match error.kind() {
                ErrorKind::Write | ErrorKind::Device | ErrorKind::Interrupted => {
                    claim.give_back();
                    Err(error)
                }
                _ => {
                    let failure = FailureReason::from(&error);
                    let seconds = begun.elapsed().as_secs_f64();
                    let record = Record::failed(scan, name, failure, seconds);
                    if let Err(error) = self.write_failure(&record) {
                        claim.give_back();
                        return Err(error);
                    }
                    claim.end()?;
                    Ok(Ended::Failed(record))
                }
            },
        }
    }

    /// Runs `work` in an unfinished folder, adds the record, and gives the folder its name.
    fn stage(
        &self,
        scan: &ListedScan,
        name: &str,
        begun: Instant,
        work: impl FnOnce(&Path) -> Result<Figures>,
    ) -> Result<Record> {
        let staged = StagedFolder::new(&self.results(name))?;
        let figures = work(staged.folder())?;
        let seconds = begun.elapsed().as_secs_f64();
        let record = Record::done(scan, name.to_owned(), figures, seconds);
        staged.write(RECORD, to_json(&record)?.as_bytes())?;
        // Without locks another process may have been faster. Its results stay as they are.
        if !self.is_done(name) {
            staged.publish()?;
        }
        Ok(record)
    }

    /// Records that a scan was begun too often. Its claim stays, so the next run does not begin it either.
    fn given_up(&self, scan: &ListedScan, name: String, claim: Claim) -> Result<Ended> {
        let failure = FailureReason {
            kind: "ended".to_owned(),
            reason: format!(
                "the program was ended {} times while it analysed this scan",
                claim.earlier
            ),
            hint: Some(format!(
                "give it more memory or time, and delete {} to try again",
                self.claim(&name).display()
            )),
        };
        let record = Record::failed(scan, name, failure, 0.0);
        self.write_failure(&record)?;
        Ok(Ended::Failed(record))
    }

    fn write_failure(&self, record: &Record) -> Result<()> {
        let path = self.failure(&record.name);
        Ok(files::write(&path, to_json(record)?.as_bytes())?)
    }
}
