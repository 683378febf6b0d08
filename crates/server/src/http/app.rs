//! What every request can reach.

use crate::access::Access;
use crate::job::{Job, JobState};
use crate::queue::Queue;
use crate::{Error, ErrorKind, Result};
use multirnet_pacs::store::Store;
use std::sync::Arc;

/// What every request can reach.
#[derive(Clone)]
pub(crate) struct App {
    pub queue: Queue,
    pub access: Arc<Access>,
    /// Where objects from the network go.
    pub studies: Store,
    /// Title and address of the DICOM listener, if it runs.
    pub listener: Option<(String, String)>,
}

impl App {
    /// A job whose results are there.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` in any other state.
    pub fn done(&self, id: &str) -> Result<Job> {
        let job = self.queue.database.job(id)?;
        match job.state {
            JobState::Done => Ok(job),
            state => Err(
                Error::new(ErrorKind::Conflict, format!("the job is {}", state.name()))
                    .hint("only a job that is done has results"),
            ),
        }
    }
}
