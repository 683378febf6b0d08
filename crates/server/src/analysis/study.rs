//! Studies from the network through the queue: the listener hands them in and gets their results.

use crate::job::{JobState, Replaced};
use crate::queue::{Queue, StoredScan};
use crate::{Error, ErrorKind};
use multirnet::dicom::DICOM_FOLDER;
use multirnet_base::{StopToken, files};
use multirnet_pacs::store::ReceivedStudy;
use multirnet_pacs::{Analyse, AnalysisError};
use std::fs;
use std::path::{Path, PathBuf};

/// Analyses received studies as jobs of a queue. A study that was handed in before, also before a
/// kill, is the same job.
pub struct StudyQueue(pub Queue);

impl Analyse for StudyQueue {
    fn analyse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        stop: &StopToken,
    ) -> Result<Vec<PathBuf>, AnalysisError> {
        let replaces = study
            .previous
            .iter()
            .flat_map(|p| &p.results)
            .map(|r| Replaced {
                series_uid: r.series_uid.clone(),
                sop_class_uid: r.sop_class_uid.clone(),
                instance_uid: r.sop_instance_uid.clone(),
            });
        let job = self.0.submit_study(StoredScan {
            key: format!("study {}", study.job),
            name: study.job.study_uid.clone(),
            folder: &study.folder,
            replaces: replaces.collect(),
        })?;
        let Some(job) = self.0.wait_for(&job.id, stop)? else {
            return Err(Box::new(Error::new(ErrorKind::Stopped, "stopped")));
        };
        let made = self.0.data.results(&job.id).join(DICOM_FOLDER);
        let files = if made.is_dir() {
            copy(&made, out)?
        } else {
            Vec::new()
        };
        match (job.state, job.error) {
            (JobState::Failed, Some(error)) if files.is_empty() => {
                Err(Box::new(Error::new(ErrorKind::Scan, error.reason)))
            }
            (JobState::Cancelled, _) => Err(Box::new(Error::new(
                ErrorKind::Scan,
                "someone cancelled the analysis",
            ))),
            _ => Ok(files),
        }
    }
}

/// The objects of the folder `from`, in the order of their names, as files of `out`.
fn copy(from: &Path, out: &Path) -> crate::Result<Vec<PathBuf>> {
    let io = |e| Error::io(from, "read the folder", e);
    let mut names = Vec::new();
    for entry in fs::read_dir(from).map_err(io)? {
        names.push(entry.map_err(io)?.file_name());
    }
    names.sort();
    files::make_dir(out)?;
    let copied = names.iter().map(|name| {
        let (source, target) = (from.join(name), out.join(name));
        fs::hard_link(&source, &target)
            .or_else(|_| fs::copy(&source, &target).map(drop))
            .map_err(|e| Error::write(&target, "copy a result", e))?;
        Ok(target)
    });
    copied.collect()
}
