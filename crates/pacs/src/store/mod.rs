//! The store: received objects, jobs and results in one folder, and everything that survives a kill.
//!
//! ```text
//! store/
//!   lock                                    held by the program that uses the store
//!   incoming/                               objects that are being received
//!   studies/STUDY/objects/SERIES/SOP_DIGEST.dcm
//!   studies/STUDY/jobs/N/inputs.json        the objects that job N analyses
//!   studies/STUDY/jobs/N/job.json           state, results, deliveries
//!   studies/STUDY/jobs/N/study/             links to the inputs while they are analysed
//!   studies/STUDY/jobs/N/results/           what the analysis made
//! ```
//!
//! Each transition is one rename. What was not renamed did not happen, and is done again after a
//! restart. Records are on the disk before their rename. Objects are after it, and are acknowledged
//! only then; one that a loss of power damaged in between is told by the digest in its name.
//!
//! | transition | done by | a kill before it | a kill after it |
//! |---|---|---|---|
//! | object received | rename to `objects/`, then sync | the sender has no answer and sends again | a second sending is known by its digest |
//! | job made | rename of `job.json` | the study is quiet again after the restart | – |
//! | job analysed | rename of `job.json` | the analysis runs again, with the same results | – |
//! | object delivered | rename of `job.json` | it is sent again under the same UID | – |

mod deliver;
mod job;
mod open;
mod ready;
mod receive;
mod results;
mod retain;

pub use deliver::{Outcome, Outgoing};
pub use job::{Delivery, DeliveryState, Job, JobId, JobState, PreviousJob, ResultObject};
pub use ready::{ReceivedObject, ReceivedStudy, RunningJob};
pub use receive::{Incoming, IncomingObject, Received};

use crate::config::{AnalysisConfig, Config, DeliveryConfig, RetentionConfig};
use crate::{Audit, Clock, Error, Event, Probe, Result, Step};
use job::Input;
use multirnet_base::{FolderLock, files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Milliseconds after which work that the disk refused is tried again.
const DISK_RETRY_MS: u64 = 10_000;

/// What a store does and when.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Its folder.
    pub folder: PathBuf,
    /// A study is complete after so many seconds without an object.
    pub quiet_seconds: u64,
    /// How often an analysis is tried.
    pub analysis: AnalysisConfig,
    /// Where results go.
    pub delivery: DeliveryConfig,
    /// When objects are removed.
    pub retention: RetentionConfig,
    /// Largest object in bytes.
    pub max_object_bytes: u64,
}

impl StoreSettings {
    /// The settings that `config` has.
    pub fn new(config: &Config) -> Self {
        Self {
            folder: config.store.folder.clone(),
            quiet_seconds: config.store.quiet_seconds,
            analysis: config.analysis.clone(),
            delivery: config.delivery.clone(),
            retention: config.retention.clone(),
            max_object_bytes: config.listener.max_object_mib << 20,
        }
    }
}

/// Received studies, their jobs and results. Clones share one store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    probe: Probe,
    audit: Audit,
    state: Mutex<State>,
    /// Held, and with it the lock, as long as the store is open.
    _lock: FolderLock,
}

#[derive(Default)]
struct State {
    studies: BTreeMap<String, Study>,
    /// Jobs that are not finished.
    jobs: BTreeMap<JobId, Job>,
    /// Jobs whose analysis runs.
    running: BTreeSet<JobId>,
}

/// What is known of a study.
#[derive(Default)]
struct Study {
    /// Objects on the disk by SOP Instance UID.
    objects: BTreeMap<String, StoredObject>,
    /// When the last object came, or when the store was opened.
    last_object_ms: u64,
    /// Objects that get their place just now.
    arriving: usize,
    /// Whether CT objects came that the last job does not have.
    is_changed: bool,
    /// Not before this time is a job made, since the disk refused it.
    not_before_ms: u64,
    /// Digests of the last job's objects by SOP Instance UID; read when they are needed.
    last_inputs: Option<BTreeMap<String, String>>,
    last_job: u32,
    /// The last job that has results.
    last_analysed: Option<PreviousJob>,
    /// SOP Instance UIDs of all results.
    results: BTreeSet<String>,
    /// Results by destination and SOP Instance UID that are delivered.
    delivered: BTreeSet<(String, String)>,
}

#[derive(Debug, Clone)]
struct StoredObject {
    digest: String,
    series_uid: String,
    /// Read from the file when it is needed after a restart.
    sop_class_uid: Option<String>,
    bytes: u64,
    received_ms: u64,
}

impl StoredObject {
    fn file_name(&self, sop_instance_uid: &str) -> String {
        format!("{sop_instance_uid}_{}.dcm", self.digest)
    }
}

impl Store {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before anything in it can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    fn wall_ms(&self) -> u64 {
        self.0.clock.wall_ms()
    }

    fn ask(&self, step: Step, path: &Path) -> Result<()> {
        let asked = self.0.probe.ask(step);
        asked.map_err(|e| Error::write(path, "write the file", e))
    }

    fn tell(&self, event: &Event) {
        self.0.audit.tell(event);
    }

    /// Largest object in bytes.
    pub(crate) fn max_object_bytes(&self) -> u64 {
        self.0.settings.max_object_bytes
    }

    pub(crate) fn incoming_folder(&self) -> PathBuf {
        self.0.settings.folder.join("incoming")
    }

    fn studies_folder(&self) -> PathBuf {
        self.0.settings.folder.join("studies")
    }

    fn study_folder(&self, study_uid: &str) -> PathBuf {
        self.studies_folder().join(study_uid)
    }

    fn object_path(&self, study_uid: &str, sop_instance_uid: &str, o: &StoredObject) -> PathBuf {
        let objects = self.study_folder(study_uid).join("objects");
        objects
            .join(&o.series_uid)
            .join(o.file_name(sop_instance_uid))
    }

    fn job_folder(&self, id: &JobId) -> PathBuf {
        let jobs = self.study_folder(&id.study_uid).join("jobs");
        jobs.join(id.number.to_string())
    }

    /// Writes a job's record, and then keeps it in memory while it is not finished.
    fn save(&self, state: &mut State, job: Job) -> Result<()> {
        let folder = self.job_folder(&job.id);
        let path = folder.join("job.json");
        self.ask(Step::WriteJob, &path)?;
        files::make_dir_synced(&folder)?;
        files::write_synced(&path, &job::to_json(&job)?)?;
        if job.is_finished() {
            state.jobs.remove(&job.id);
            remove_folder(&folder.join("study"));
        } else {
            state.jobs.insert(job.id.clone(), job);
        }
        Ok(())
    }

    /// The jobs that are not finished.
    pub fn open_jobs(&self) -> Vec<Job> {
        self.state().jobs.values().cloned().collect()
    }

    /// All jobs of a study, the first one first.
    ///
    /// # Errors
    /// `Read` for a record that cannot be read.
    pub fn jobs_of(&self, study_uid: &str) -> Result<Vec<Job>> {
        let last = self
            .state()
            .studies
            .get(study_uid)
            .map_or(0, |s| s.last_job);
        let id = |number| JobId {
            study_uid: study_uid.to_owned(),
            number,
        };
        let path = |number| self.job_folder(&id(number)).join("job.json");
        (1..=last).map(|number| Job::read(&path(number))).collect()
    }

    /// The studies that the store knows.
    pub fn study_uids(&self) -> Vec<String> {
        self.state().studies.keys().cloned().collect()
    }

    fn read_inputs(&self, id: &JobId) -> Result<Vec<Input>> {
        job::read_json(
            &self.job_folder(id).join("inputs.json"),
            "list of the job's objects",
        )
    }
}

/// Removes a folder of files that can be made again.
fn remove_folder(folder: &Path) {
    if let Err(e) = std::fs::remove_dir_all(folder)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{}: cannot remove the folder: {e}", folder.display());
    }
}
