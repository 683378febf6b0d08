//! After a start: what a kill left is brought to a state from which the queue goes on.

use super::Queue;
use super::take_in::ONE_REQUEST;
use crate::Result;
use crate::analyser::SUMMARY;
use crate::data::remove;
use crate::job::{JobError, JobSummary};
use std::fs;

impl Queue {
    pub(super) fn recover(&self) -> Result<()> {
        for id in self.database.upload_ids()? {
            if id.starts_with(ONE_REQUEST) {
                self.database.remove_upload(&id)?;
            }
        }
        let (jobs, uploads) = (self.database.job_ids()?, self.database.upload_ids()?);
        self.data.remove_unknown(&jobs, &uploads);
        for (id, starts) in self.database.interrupted()? {
            remove(&self.data.job(&id).join("attempt"));
            if let Some(summary) = self.published(&id) {
                self.database.finish(&id, &summary)?;
            } else if starts >= self.config.analysis.attempts {
                self.database.fail(&id, &ended_often(starts))?;
            } else {
                self.database.requeue(&id, false)?;
            }
        }
        Ok(())
    }

    /// What the results of a job say, if they are there.
    fn published(&self, id: &str) -> Option<JobSummary> {
        let text = fs::read(self.data.results(id).join(SUMMARY)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn ended_often(starts: u32) -> JobError {
    JobError {
        kind: "internal".to_owned(),
        reason: format!("the program ended {starts} times while this scan was analysed"),
        hint: Some("report the scan; retry it when nothing else is running".to_owned()),
    }
}
