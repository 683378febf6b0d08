//! Opening a store: what the folder says of studies and jobs.

use super::job::{DeliveryState, Job, JobId, JobState};
use super::receive::is_whole;
use super::results::doubled;
use super::{Inner, PreviousJob, State, Store, StoreSettings, StoredObject, Study, remove_folder};
use crate::{Audit, Clock, Error, ErrorKind, Probe, Result, sop};
use multirnet_base::{FolderLock, files};
use multirnet_dicom::{FileIdentity, is_uid};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

impl Store {
    /// Opens the store in `settings.folder`, which is made if it does not exist, and goes on where the
    /// last program that used it was stopped. The quiet time of studies that are not analysed yet
    /// begins anew, since senders may have been waiting.
    ///
    /// # Errors
    /// `Write` if another program uses the store, or the folder cannot be written; `Read` for a
    /// damaged record.
    pub fn open(
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        audit: Audit,
        probe: Probe,
    ) -> Result<Self> {
        make_private(&settings.folder)?;
        files::make_dir_synced(&settings.folder.join("studies"))?;
        let lock = FolderLock::take(&settings.folder, "store")?;
        if !lock.is_held {
            let folder = settings.folder.display();
            tracing::warn!("{folder}: the file system has no locks");
        }
        let store = Self(Arc::new(Inner {
            settings,
            clock,
            probe,
            audit,
            state: Mutex::default(),
            _lock: lock,
        }));
        // Whatever was being received was not acknowledged.
        remove_folder(&store.incoming_folder());
        files::make_dir_synced(&store.incoming_folder())?;
        let mut state = State::default();
        for folder in entries(&store.studies_folder())? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if is_uid(&name) {
                store.load(&mut state, &name)?;
            }
        }
        *store.state() = state;
        Ok(store)
    }

    fn load(&self, state: &mut State, study_uid: &str) -> Result<()> {
        let mut study = Study {
            last_object_ms: self.now_ms(),
            ..Study::default()
        };
        let folder = self.study_folder(study_uid);
        for path in entries(&folder.join("jobs"))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let record = path.join("job.json");
            let Ok(number) = name.parse::<u32>() else {
                continue;
            };
            // A folder without a record is a job that was not made.
            if !record.exists() {
                continue;
            }
            let job = Job::read(&record)?;
            if job.id
                != (JobId {
                    study_uid: study_uid.to_owned(),
                    number,
                })
            {
                return Err(
                    Error::new(ErrorKind::Read, "the record is that of another job").at(&record),
                );
            }
            self.load_job(state, &mut study, job)?;
        }
        for series in entries(&folder.join("objects"))? {
            for file in entries(&series)? {
                load_object(&mut study, &series, &file);
            }
        }
        study.is_changed = self.has_changed(study_uid, &mut study)?;
        state.studies.insert(study_uid.to_owned(), study);
        Ok(())
    }

    fn load_job(&self, state: &mut State, study: &mut Study, mut job: Job) -> Result<()> {
        let (analysis, delivery) = (&self.0.settings.analysis, &self.0.settings.delivery);
        let known = &delivery.to;
        let mut has_lost = false;
        // The clock may have been ahead when the record was written. Nothing waits longer than it would
        // from now on.
        let now = self.now_ms();
        let wait = doubled(analysis.retry_seconds, job.failures, u64::MAX);
        job.next_ms = job.next_ms.min(now.saturating_add(wait));
        let longest_ms = delivery.longest_retry_seconds * 1000;
        for delivery in job
            .results
            .iter_mut()
            .flat_map(|r| r.deliveries.values_mut())
        {
            delivery.next_ms = delivery.next_ms.min(now + longest_ms);
        }
        study.last_job = study.last_job.max(job.id.number);
        for result in &mut job.results {
            let uid = &result.sop_instance_uid;
            study.results.insert(uid.clone());
            for (name, delivery) in &mut result.deliveries {
                match delivery.state {
                    DeliveryState::Delivered => {
                        study.delivered.insert((name.clone(), uid.clone()));
                    }
                    DeliveryState::Pending if !known.contains(name) => {
                        has_lost = true;
                        delivery.state = DeliveryState::Refused;
                        delivery.reason = Some("the destination is not configured any more".into());
                    }
                    _ => {}
                }
            }
        }
        if job.state == JobState::Analysed {
            let is_later = |p: &PreviousJob| p.number > job.id.number;
            if !study.last_analysed.as_ref().is_some_and(is_later) {
                study.last_analysed = Some(PreviousJob::new(&job));
            }
        }
        if has_lost {
            self.save(state, job)?;
        } else if !job.is_finished() {
            state.jobs.insert(job.id.clone(), job);
        }
        Ok(())
    }

    /// Whether the disk has CT objects that the last job does not have.
    fn has_changed(&self, study_uid: &str, study: &mut Study) -> Result<bool> {
        if study.objects.is_empty() {
            return Ok(false);
        }
        let inputs = self.last_inputs(study_uid, study)?.clone();
        let (mut is_changed, mut damaged) = (false, Vec::new());
        for (uid, object) in &mut study.objects {
            if inputs.get(uid) == Some(&object.digest) {
                continue;
            }
            let path = self.object_path(study_uid, uid, object);
            if is_whole(&path, &object.digest) {
                let class = self.class_of(study_uid, uid, object);
                is_changed |= class.is_some_and(sop::is_ct);
            } else {
                tracing::warn!("{}: removing a damaged object", path.display());
                fs::remove_file(&path).map_err(|e| Error::write(&path, "remove the file", e))?;
                damaged.push(uid.clone());
            }
        }
        study.objects.retain(|uid, _| !damaged.contains(uid));
        Ok(is_changed)
    }

    /// Digests of the last job's objects by SOP Instance UID.
    pub(super) fn last_inputs<'a>(
        &self,
        study_uid: &str,
        study: &'a mut Study,
    ) -> Result<&'a BTreeMap<String, String>> {
        if study.last_inputs.is_none() {
            let mut inputs = BTreeMap::new();
            if study.last_job > 0 {
                let number = study.last_job;
                let study_uid = study_uid.to_owned();
                for input in self.read_inputs(&JobId { study_uid, number })? {
                    inputs.insert(input.sop_instance_uid, input.digest);
                }
            }
            study.last_inputs = Some(inputs);
        }
        Ok(study.last_inputs.get_or_insert_default())
    }

    /// The class of an object, read from its file if it is not known. `None` for a damaged file.
    pub(super) fn class_of<'a>(
        &self,
        study_uid: &str,
        uid: &str,
        object: &'a mut StoredObject,
    ) -> Option<&'a str> {
        if object.sop_class_uid.is_none() {
            let path = self.object_path(study_uid, uid, object);
            match FileIdentity::read(&path) {
                Ok(identity) => object.sop_class_uid = Some(identity.object.sop_class_uid),
                Err(e) => tracing::warn!("{e}"),
            }
        }
        object.sop_class_uid.as_deref()
    }
}

/// Adds the object in `file`. If the program was killed while one version replaced another, both are
/// there; the later one stays.
fn load_object(study: &mut Study, series: &Path, file: &Path) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let series_uid = series.file_name().unwrap_or_default().to_string_lossy();
    let Some((uid, digest)) = name.strip_suffix(".dcm").and_then(|n| n.split_once('_')) else {
        return;
    };
    let Ok(meta) = fs::metadata(file) else { return };
    let modified = meta.modified().ok();
    let since = modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok());
    let object = StoredObject {
        digest: digest.to_owned(),
        series_uid: series_uid.into_owned(),
        sop_class_uid: None,
        bytes: meta.len(),
        received_ms: since.map_or(0, |d| d.as_millis() as u64),
    };
    let Some(other) = study.objects.get(uid) else {
        study.objects.insert(uid.to_owned(), object);
        return;
    };
    let objects = files::parent(series);
    let stale = if other.received_ms <= object.received_ms {
        let stale = objects.join(&other.series_uid).join(other.file_name(uid));
        study.objects.insert(uid.to_owned(), object);
        stale
    } else {
        file.to_owned()
    };
    if let Err(e) = fs::remove_file(&stale) {
        tracing::warn!("{}: cannot remove the file: {e}", stale.display());
    }
}

/// What a folder holds, in the order of the names; nothing if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |e| Error::io(folder, "read the folder", e);
    let mut paths = match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|e| e.map(|e| e.path()).map_err(io))
            .collect::<Result<Vec<_>>>()?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(io(e)),
    };
    paths.sort();
    Ok(paths)
}

/// Makes the store's folder, which has data of patients, for its owner alone. The rights of a folder that
/// exists stay as the administrator has set them.
fn make_private(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    files::make_dir_synced(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let owner_only = fs::Permissions::from_mode(0o700);
        fs::set_permissions(folder, owner_only)
            .map_err(|e| Error::write(folder, "set the rights of the folder", e))?;
    }
    Ok(())
}
