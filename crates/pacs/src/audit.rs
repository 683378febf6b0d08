//! The audit log: one JSON object a line, with UIDs, AE titles and addresses, and no patient data.

use crate::Result;
use crate::clock::{Clock, iso_8601};
use multirnet_base::files;
use multirnet_base::text::one_line;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Event {
    /// The listener answers on `address`.
    Listening { address: String },
    /// The listener ends.
    Stopped,
    /// A peer was let in.
    AssociationAccepted { peer: String, ae_title: String },
    /// A peer was sent away.
    AssociationRefused { peer: String, reason: String },
    /// An association ended with an error.
    AssociationBroken { peer: String, reason: String },
    /// A peer asked whether this node answers.
    Echo { peer: String, ae_title: String },
    /// An object is on the disk.
    ObjectStored {
        ae_title: String,
        study: String,
        object: String,
    },
    /// An object that is on the disk came again, or was a result of this program.
    ObjectKnown {
        ae_title: String,
        study: String,
        object: String,
    },
    /// An object was refused.
    ObjectRefused {
        ae_title: String,
        object: String,
        reason: String,
    },
    /// A study is complete and waits for its analysis.
    JobQueued {
        study: String,
        job: u32,
        objects: usize,
        previous: Option<u32>,
    },
    /// An analysis begins.
    JobStarted { study: String, job: u32 },
    /// An analysis gave results.
    JobAnalysed {
        study: String,
        job: u32,
        results: usize,
        seconds: f64,
    },
    /// An analysis failed. The reason is in the job's record, since it may name what the study names.
    JobFailed {
        study: String,
        job: u32,
        will_retry: bool,
    },
    /// A destination has an object.
    Delivered {
        study: String,
        job: u32,
        object: String,
        destination: String,
    },
    /// A destination does not have an object.
    NotDelivered {
        study: String,
        job: u32,
        object: String,
        destination: String,
        reason: String,
        will_retry: bool,
    },
    /// The retention rule removed a study's objects.
    ObjectsRemoved {
        study: String,
        objects: usize,
        bytes: u64,
    },
    /// The disk or a part of the program failed.
    Failure { reason: String },
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Hears events.
pub type Watch = Arc<dyn Fn(&Event) + Send + Sync>;

/// Writes events to a file. Each event opens the file, so that `logrotate` may move it at any time.
#[derive(Clone)]
pub struct Audit {
    file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    lock: Arc<Mutex<()>>,
    watch: Option<Watch>,
}

impl Audit {
    /// A log in the file `file`, whose folder is made; `None` writes nothing.
    ///
    /// # Errors
    /// `Write` if the file cannot be opened.
    pub fn new(file: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self> {
        let audit = Self {
            file: file.map(Path::to_owned),
            clock,
            lock: Arc::default(),
            watch: None,
        };
        if let Some(file) = file {
            files::make_dir(files::parent(file))?;
            audit
                .append(file, b"")
                .map_err(|e| crate::Error::write(file, "open the audit log", e))?;
        }
        Ok(audit)
    }

    /// The same log, whose events `watch` hears too.
    pub fn watched_by(mut self, watch: Option<Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Adds an event. A failure is logged, since a full disk must not stop the receiving.
    pub fn tell(&self, event: &Event) {
        tracing::debug!(?event, "audit");
        if let Some(watch) = &self.watch {
            watch(event);
        }
        let Some(file) = &self.file else { return };
        let time = iso_8601(self.clock.wall_ms());
        let Ok(line) = serde_json::to_string(&Line { time, event }) else {
            return;
        };
        // Titles come from peers. JSON escapes some control characters only.
        let line = format!("{}\n", one_line(&line)).into_bytes();
        if let Err(e) = self.append(file, &line) {
            tracing::warn!("{}: cannot write the audit log: {e}", file.display());
        }
    }

    fn append(&self, file: &Path, line: &[u8]) -> std::io::Result<()> {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut open = options.append(true).create(true).open(file)?;
        let length = open.metadata()?.len();
        let written = open.write_all(line);
        if written.is_err() {
            // A disk that fills up takes a part of the line, and the next event would follow on it.
            let _ = open.set_len(length);
        }
        written
    }
}
