//! Taking scans in: from uploads, from paths, and from the network.

use super::{Queue, new_id};
use crate::database::Upload;
use crate::job::{Job, JobInput, JobSource, NewJob, Replaced, ScanPlace};
use crate::{Error, ErrorKind, Result};
use multirnet_base::files;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

/// Endings of files that can be analysed, the longer ones first.
const ENDINGS: [&str; 6] = [".nii.gz", ".nii", ".nrrd", ".mha", ".zip", ".dcm"];
/// How the names of uploads in one request begin. Their clients do not know the name, so nobody can go on
/// with such an upload after a restart.
pub(super) const ONE_REQUEST: &str = "request-";
/// Longest name of a scan or a patient, in characters.
const LONGEST_NAME: usize = 120;

/// What a caller may say of a scan.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewScan {
    pub name: Option<String>,
    pub patient: Option<String>,
    pub priority: i32,
    pub key: Option<String>,
}

/// A scan whose files are linked into the job's folder.
pub(crate) struct StoredScan<'a> {
    pub key: String,
    pub name: String,
    pub folder: &'a Path,
    pub replaces: Vec<Replaced>,
}

impl Queue {
    /// Begins an upload of `size` bytes that comes in pieces.
    ///
    /// # Errors
    /// `Invalid` for a name whose ending is unknown, `TooLarge`, `Full`, `Write`.
    pub(crate) fn begin_upload(&self, name: &str, size: u64) -> Result<Upload> {
        self.begin_named(new_id()?, name, size)
    }

    /// Begins an upload of `size` bytes that comes in one request. It does not outlive the program.
    ///
    /// # Errors
    /// As [`Queue::begin_upload`].
    pub(crate) fn begin_request(&self, name: &str, size: u64) -> Result<Upload> {
        self.begin_named(format!("{ONE_REQUEST}{}", new_id()?), name, size)
    }

    fn begin_named(&self, id: String, name: &str, size: u64) -> Result<Upload> {
        let name = clean(name).unwrap_or_default();
        ending(&name)?;
        self.check_upload_size(size)?;
        self.check_disk_for(size)?;
        let path = self.data.upload(&id);
        let io = |e| Error::write(&path, "create the file", e);
        let file = File::create_new(&path).map_err(io)?;
        let added = file.sync_all().map_err(io).and_then(|()| {
            files::sync_dir(files::parent(&path))?;
            let most = self.config.limits.uploads;
            self.database.add_upload(&id, &name, size, most)
        });
        if added.is_err() {
            self.data.discard_upload(&id);
        }
        added?;
        Ok(Upload {
            id,
            name,
            size,
            offset: 0,
        })
    }

    /// Refuses an upload that is too large.
    pub(crate) fn check_upload_size(&self, size: u64) -> Result<()> {
        let most = self.config.limits.upload_mib << 20;
        match size {
            0 => Err(Error::invalid("an upload has at least one byte")),
            _ if size > most => Err(Error::new(
                ErrorKind::TooLarge,
                format!("the upload has {size} bytes, and at most {most} are allowed"),
            )
            .hint("compress the scan, or raise limits.upload_mib")),
            _ => Ok(()),
        }
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn upload(&self, id: &str) -> Result<Upload> {
        let (name, size) = self.database.upload(id)?;
        let path = self.data.upload(id);
        let found = fs::metadata(&path).map_err(|e| Error::io(&path, "read the file", e))?;
        Ok(Upload {
            id: id.to_owned(),
            name,
            size,
            offset: found.len(),
        })
    }

    /// The file of an upload, opened at its end, which must be `offset`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the upload has another length so far, or someone else sends just now.
    pub(crate) fn open_upload(&self, id: &str, offset: u64) -> Result<(Upload, File)> {
        let path = self.data.upload(id);
        self.database.upload(id)?;
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.map_err(|e| Error::write(&path, "open the file", e))?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "a piece of this upload is coming already",
            ));
        }
        // Only now: an earlier piece may have ended in between.
        let upload = self.upload(id)?;
        if upload.offset != offset {
            let reason = format!("the upload has {} bytes so far", upload.offset);
            return Err(Error::new(ErrorKind::Conflict, reason).hint("go on from there"));
        }
        self.check_disk()?;
        Ok((upload, file))
    }

    /// Forgets an upload.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn discard_upload(&self, id: &str) -> Result<()> {
        match self.database.remove_upload(id)? {
            true => {
                self.data.discard_upload(id);
                self.must_clean.store(true, Ordering::Relaxed);
                Ok(())
            }
            false => Err(Error::not_found("upload")),
        }
    }

    /// Forgets an upload that is used up, or that nobody knows. What it became is on the disk already, so
    /// a disk that refuses must not make the caller send again. It is tried later then.
    pub(crate) fn forget_upload(&self, id: &str) {
        if let Err(e) = self.discard_upload(id)
            && e.kind() != ErrorKind::NotFound
        {
            tracing::warn!("upload {id} is used up and cannot be removed yet: {e}");
            self.used_up().push(id.to_owned());
        }
    }

    /// Forgets the uploads that could not be forgotten before.
    pub(super) fn forget_again(&self) {
        let ids = std::mem::take(&mut *self.used_up());
        ids.iter().for_each(|id| self.forget_upload(id));
    }

    fn used_up(&self) -> MutexGuard<'_, Vec<String>> {
        self.used_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a job of a complete upload. If the key has a job already, nobody needs the upload: a kill
    /// came before it was forgotten, or the scan was sent twice.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` if it is not complete, `Full`, `Write`.
    pub(crate) fn submit_upload(&self, id: &str, scan: NewScan) -> Result<Job> {
        let job = match self.known(scan.key.as_deref())? {
            Some(job) => job,
            None => self.submit_complete(id, scan)?,
        };
        self.forget_upload(id);
        Ok(job)
    }

    fn submit_complete(&self, id: &str, scan: NewScan) -> Result<Job> {
        let upload = self.complete_upload(id)?;
        let name = format!("scan{}", ending(&upload.name)?);
        let place = |folder: &Path| {
            link(&self.data.upload(id), &folder.join(&name))?;
            Ok(ScanPlace::Stored(name.clone()))
        };
        let (job, _) = self.submit(scan, stem(&upload.name), JobSource::Upload, place)?;
        Ok(job)
    }

    /// An upload that has all its bytes.
    pub(crate) fn complete_upload(&self, id: &str) -> Result<Upload> {
        let upload = self.upload(id)?;
        if upload.offset != upload.size {
            let reason = format!("the upload has {} of {} bytes", upload.offset, upload.size);
            return Err(Error::new(ErrorKind::Conflict, reason).hint("send the rest first"));
        }
        Ok(upload)
    }

    /// Makes a job of a scan that lies below an allowed root. It is read where it lies.
    ///
    /// # Errors
    /// `Forbidden` for any other path, `NotFound`, `Full`, `Write`.
    pub(crate) fn submit_path(&self, path: &Path, scan: NewScan) -> Result<Job> {
        if let Some(job) = self.known(scan.key.as_deref())? {
            return Ok(job);
        }
        let real = self.allowed(path)?;
        let name = real.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = stem(&name.unwrap_or_else(|| "scan".to_owned()));
        let place = |_: &Path| Ok(ScanPlace::Path(real.clone()));
        Ok(self.submit(scan, name, JobSource::Path, place)?.0)
    }

    /// Makes a job of a study that came over the network, whose files are linked.
    ///
    /// # Errors
    /// `Full`, `Write`.
    pub(crate) fn submit_study(&self, study: StoredScan<'_>) -> Result<Job> {
        if let Some(job) = self.known(Some(&study.key))? {
            return Ok(job);
        }
        let scan = NewScan {
            key: Some(study.key),
            ..NewScan::default()
        };
        let id = new_id()?;
        let place = |folder: &Path| {
            link_tree(study.folder, folder)?;
            Ok(ScanPlace::Stored(String::new()))
        };
        let name = clean(&study.name).unwrap_or_else(|| "study".to_owned());
        Ok(self
            .submit_as(id, scan, name, JobSource::Network, study.replaces, place)?
            .0)
    }

    fn known(&self, key: Option<&str>) -> Result<Option<Job>> {
        match key {
            Some(key) => self.database.job_with_key(key),
            None => Ok(None),
        }
    }

    fn submit(
        &self,
        scan: NewScan,
        name: String,
        source: JobSource,
        place: impl FnOnce(&Path) -> Result<ScanPlace>,
    ) -> Result<(Job, bool)> {
        self.submit_as(new_id()?, scan, name, source, Vec::new(), place)
    }

    /// Puts the scan on the disk, then the row: only then is the job acknowledged.
    fn submit_as(
        &self,
        id: String,
        scan: NewScan,
        name: String,
        source: JobSource,
        replaces: Vec<Replaced>,
        place: impl FnOnce(&Path) -> Result<ScanPlace>,
    ) -> Result<(Job, bool)> {
        self.check_disk()?;
        let folder = self.data.job(&id).join("scan");
        let taken = files::make_dir_synced(&folder)
            .map_err(Error::from)
            .and_then(|()| {
                let place = place(&folder)?;
                crate::data::sync_tree(&folder)?;
                let new = NewJob {
                    id: id.clone(),
                    key: scan.key,
                    name: scan.name.as_deref().and_then(clean).unwrap_or(name),
                    priority: scan.priority,
                    source,
                    input: JobInput { place, replaces },
                    patient: scan.patient.as_deref().and_then(clean),
                };
                let limits = &self.config.limits;
                self.database
                    .add_job(&new, (limits.waiting_jobs, limits.jobs))
            });
        match taken {
            Ok((job, true)) => Ok((self.tell(&job.id).unwrap_or(job), true)),
            other => {
                self.data.discard_job(&id);
                if let Err(e) = &other {
                    self.metrics.refused(e.kind());
                }
                other
            }
        }
    }
}

/// Whether a character shows itself and nothing else. Orders to a terminal, ends of lines and signs that
/// turn the reading direction round make a text look like another one.
pub(crate) fn is_plain(c: char) -> bool {
    let is_turn = matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}');
    !c.is_control() && !is_turn && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// A name without path and without characters that are not plain, or `None` if nothing is left.
pub(crate) fn clean(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let text: String = last.chars().filter(|c| is_plain(*c)).collect();
    let text = text.trim();
    let skip = text.chars().count().saturating_sub(LONGEST_NAME);
    // The end of a long name has the ending.
    let text: String = text.chars().skip(skip).collect();
    (!text.is_empty()).then_some(text)
}

/// The ending of a file that can be analysed.
fn ending(name: &str) -> Result<&'static str> {
    let lower = name.to_ascii_lowercase();
    let found = ENDINGS.into_iter().find(|e| lower.ends_with(e));
    found.ok_or_else(|| {
        Error::invalid(format!("the ending of {name:?} is not one of a scan")).hint(format!(
            "the endings are {}; put a DICOM series into a zip",
            ENDINGS.join(", ")
        ))
    })
}

/// A file's name without its ending.
fn stem(name: &str) -> String {
    let cut = ending(name).map_or(0, str::len);
    clean(&name[..name.len() - cut]).unwrap_or_else(|| "scan".to_owned())
}

/// A second name of the file `from`, or a copy where the file system has no links. A file that is there
/// is not replaced: it may be the same one under its second name.
pub(crate) fn link(from: &Path, to: &Path) -> Result<()> {
    let copy = || {
        let mut copy = File::create_new(to)?;
        std::io::copy(&mut File::open(from)?, &mut copy).map(drop)
    };
    fs::hard_link(from, to)
        .or_else(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Err(e),
            _ => copy(),
        })
        .map_err(|e| Error::write(to, "link the file", e))
}

/// Links the files of the folder `from` into the folder `to`.
pub(crate) fn link_tree(from: &Path, to: &Path) -> Result<()> {
    let io = |e| Error::io(from, "read the folder", e);
    for entry in fs::read_dir(from).map_err(io)? {
        let entry = entry.map_err(io)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            files::make_dir(&target)?;
            link_tree(&source, &target)?;
        } else {
            link(&source, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_paths_and_control_characters() {
        assert_eq!(clean("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(clean("C:\\scans\\a.nii").as_deref(), Some("a.nii"));
        assert_eq!(clean("a\u{1b}[31m\nb").as_deref(), Some("a[31mb"));
        assert_eq!(clean("nii.\u{202e}gnp").as_deref(), Some("nii.gnp"));
        assert_eq!(clean(" / "), None);
        let long = format!("{}.nii.gz", "x".repeat(500));
        let short = clean(&long).unwrap();
        assert_eq!(short.chars().count(), LONGEST_NAME);
        assert!(short.ends_with(".nii.gz"));
    }

    #[test]
    fn endings_are_known_in_any_case_and_stems_lose_them() {
        assert_eq!(ending("A.NII.GZ").unwrap(), ".nii.gz");
        assert_eq!(stem("A.NII.GZ"), "A");
        assert_eq!(stem(".zip"), "scan");
        assert_eq!(stem("study"), "study");
        let error = ending("virus.exe").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
