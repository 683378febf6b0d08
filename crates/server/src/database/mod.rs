//! The database: one SQLite file that any SQLite tool opens.
//!
//! Every change is one transaction that is on the disk when the function returns
//! (`synchronous = FULL`).

mod corrections;
mod job_query;
mod jobs;
mod studies;
mod uploads;

pub use corrections::{ClassChange, Correction, CorrectionSummary, ModelCount, ReasonCount};
pub(crate) use corrections::{Measured, NewCorrection};
pub use job_query::{Direction, JobOrder, JobQuery, ReviewFilter};
pub use jobs::JobCounts;
pub(crate) use studies::study_key;
pub use uploads::Upload;

use crate::{Error, ErrorKind, Result};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the tables. A file with a higher one was written by a later program.
const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  key TEXT UNIQUE,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  priority INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  finished_ms INTEGER,
  starts INTEGER NOT NULL DEFAULT 0,
  source TEXT NOT NULL,
  input TEXT NOT NULL,
  format TEXT,
  patient TEXT,
  study_date TEXT,
  description TEXT,
  model TEXT,
  diagnosis TEXT,
  probabilities TEXT,
  share_involved REAL,
  lesion_ml REAL,
  severity_score INTEGER,
  warnings TEXT NOT NULL DEFAULT '[]',
  error TEXT,
  has_thumbnail INTEGER NOT NULL DEFAULT 0,
  corrections INTEGER NOT NULL DEFAULT 0,
  reviewed TEXT
) STRICT;
CREATE INDEX jobs_by_turn ON jobs (state, priority DESC, starts, number);
CREATE INDEX jobs_by_time ON jobs (created_ms);
CREATE INDEX jobs_by_patient ON jobs (patient, number);
CREATE TABLE corrections (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  reviewer TEXT NOT NULL,
  reason TEXT NOT NULL,
  verdict TEXT NOT NULL,
  diagnosis TEXT,
  has_mask INTEGER NOT NULL,
  measured TEXT,
  model TEXT NOT NULL,
  model_diagnosis TEXT NOT NULL,
  PRIMARY KEY (job, version)
) STRICT;
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  touched_ms INTEGER NOT NULL
) STRICT;
";

/// Studies whose job was deleted, and whose received objects are to be removed too.
const FORGOTTEN: &str = "CREATE TABLE forgotten (study TEXT PRIMARY KEY) STRICT;";

/// Jobs, uploads and corrections.
pub struct Database(Mutex<Connection>);

impl Database {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// `Write`; `Database` if the file is damaged or of a later version of the program.
    pub fn open(path: &Path) -> Result<Self> {
        Self::prepared(path).map_err(|e| e.at(path))
    }

    fn prepared(path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is deleted is overwritten: names of patients do not stay in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        // Idle servers keep little: the list of jobs is read page by page anyway.
        connection.pragma_update(None, "cache_size", -4096)?;
        // SQLite's own `lower` knows the letters of ASCII only.
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("fold", 1, flags, |values| {
            Ok(values.get::<String>(0)?.to_lowercase())
        })?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
        if version > VERSION {
            let reason = "a later version of the program wrote this database";
            return Err(Error::new(ErrorKind::Database, reason).hint("use that version"));
        }
        if version < VERSION {
            let transaction = connection.transaction()?;
            if version < 1 {
                transaction.execute_batch(TABLES)?;
            }
            transaction.execute_batch(FORGOTTEN)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        Ok(Self(Mutex::new(connection)))
    }

    /// Exclusive use of the connection. A panic within a transaction rolls it back.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the log into the file and empties it, so that it does not keep what was deleted. Another
    /// program that reads the database delays this; gives whether it is done.
    ///
    /// # Errors
    /// `Write`.
    pub(crate) fn empty_log(&self) -> Result<bool> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy = self
            .connection()
            .query_row(sql, [], |r| r.get::<_, i64>(0))?;
        Ok(is_busy == 0)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Database`.
    pub fn check(&self) -> Result<()> {
        Ok(self.connection().query_row("SELECT 1", [], |_| Ok(()))?)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// A value that a column keeps as JSON.
fn json_column<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
    })
}

/// A name that a column keeps.
fn named<T>(text: &str, from: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    from(text).ok_or_else(|| {
        let reason = format!("{text:?} is unknown");
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, reason.into())
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(ErrorKind::Database, format!("cannot write JSON: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobInput, JobSource, NewJob, ScanPlace};
    use multirnet_base::random::Random;

    /// Every file of the database, one after the other.
    fn bytes_of(folder: &Path) -> Vec<u8> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            all.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        all
    }

    #[test]
    fn nothing_of_deleted_rows_stays_in_the_file_or_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("server.db")).unwrap();
        let mut random = Random::new(3, 0);
        // Names of all lengths, so that pages split, merge, overflow and are used again.
        let mut alive: Vec<(usize, String)> = Vec::new();
        let mut gone: Vec<usize> = Vec::new();
        for i in 0..1500 {
            let id = format!("job-{i}");
            let long = "x".repeat(random.below(400) * random.below(20));
            let name = format!("<name-{i}>{long}");
            let new = NewJob {
                id: id.clone(),
                key: Some(format!("<name-{i}>key")),
                name: name.clone(),
                priority: 0,
                source: JobSource::Upload,
                input: JobInput {
                    place: ScanPlace::Stored("scan.nii".into()),
                    replaces: Vec::new(),
                },
                patient: Some(format!("<name-{i}>patient")),
            };
            database.add_job(&new, (10_000, 10_000)).unwrap();
            database
                .add_upload(&format!("upload-{i}"), &name, 1, 10_000)
                .unwrap();
            alive.push((i, id));
            while random.below(3) > 0 && !alive.is_empty() {
                let (i, id) = alive.swap_remove(random.below(alive.len()));
                database.remove_job(&id, None).unwrap();
                database.remove_upload(&format!("upload-{i}")).unwrap();
                gone.push(i);
            }
        }
        assert!(database.empty_log().unwrap());
        let bytes = bytes_of(dir.path());
        let found: std::collections::BTreeSet<usize> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, w)| *w == b"<name-")
            .map(|(at, _)| {
                let digits = bytes[at + 6..].split(|b| *b == b'>').next().unwrap();
                std::str::from_utf8(digits).unwrap().parse().unwrap()
            })
            .collect();
        assert!(gone.len() > 1000 && alive.iter().all(|(i, _)| found.contains(i)));
        let left: Vec<_> = gone.iter().filter(|i| found.contains(i)).collect();
        assert!(left.is_empty(), "{} of {} are left", left.len(), gone.len());
    }

    #[test]
    fn a_database_of_the_first_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        for _ in 0..2 {
            let database = Database::open(&path).unwrap();
            assert!(database.forgotten().unwrap().is_empty());
        }
    }
}
