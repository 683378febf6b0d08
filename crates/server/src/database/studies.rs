//! Received studies whose jobs are deleted. Their objects lie in the store, which has to remove them too.

use super::Database;
use crate::Result;
use rusqlite::OptionalExtension;

/// What the key of a job of a received study begins with.
const STUDY_KEY: &str = "study ";

/// The key of a job of a received study: that of the study's job in the store.
pub(crate) fn study_key(job: &str) -> String {
    format!("{STUDY_KEY}{job}")
}

impl Database {
    /// The study of a job that came over the network.
    pub(crate) fn study_of(&self, id: &str) -> Result<Option<String>> {
        let sql = "SELECT key FROM jobs WHERE id = ?1 AND source = 'network'";
        let key: Option<Option<String>> = self
            .connection()
            .query_row(sql, [id], |r| r.get(0))
            .optional()?;
        let key = key.flatten().unwrap_or_default();
        let study = key.strip_prefix(STUDY_KEY).and_then(|k| k.rsplit_once('#'));
        Ok(study.map(|(study, _)| study.to_owned()))
    }

    /// Studies whose received objects are to be removed.
    pub(crate) fn forgotten(&self) -> Result<Vec<String>> {
        let connection = self.connection();
        let mut found = connection.prepare("SELECT study FROM forgotten")?;
        let studies = found.query_map([], |r| r.get(0))?;
        Ok(studies.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that nothing of a study is left to remove.
    pub(crate) fn is_forgotten(&self, study: &str) -> Result<()> {
        let sql = "DELETE FROM forgotten WHERE study = ?1";
        self.connection().execute(sql, [study])?;
        Ok(())
    }
}
