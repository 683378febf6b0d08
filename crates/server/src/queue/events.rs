//! What happens to jobs, for those who watch.

use crate::Job;
use serde::Serialize;
use tokio::sync::broadcast::{Receiver, Sender, channel};

/// Events that a slow watcher may lag behind. One that lags further reads the list again.
const KEPT: usize = 1024;

/// An event of a job.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum JobEvent {
    /// The job changed.
    Changed(Box<Job>),
    /// The job was deleted.
    Removed {
        /// Its name in the interface.
        id: String,
    },
}

/// Tells everyone who watches.
#[derive(Debug, Clone)]
pub(crate) struct Events(Sender<JobEvent>);

impl Events {
    pub fn new() -> Self {
        Self(channel(KEPT).0)
    }

    pub fn changed(&self, job: Job) {
        // Nobody may watch just now.
        let _ = self.0.send(JobEvent::Changed(Box::new(job)));
    }

    pub fn removed(&self, id: &str) {
        let _ = self.0.send(JobEvent::Removed { id: id.to_owned() });
    }

    pub fn watch(&self) -> Receiver<JobEvent> {
        self.0.subscribe()
    }
}
