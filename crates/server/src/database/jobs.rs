//! Jobs in the database. Each function is one transaction.

use super::job_query::{Direction, JobOrder, JobQuery, ReviewFilter};
use super::{Database, json_column, named, now_ms, study_key, to_json};
use crate::job::{Job, JobError, JobInput, JobSource, JobState, JobSummary, NewJob, Verdict};
use crate::{Error, ErrorKind, Result};
use multirnet::Diagnosis;
use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

const COLUMNS: &str = "id, name, state, priority, created_ms, started_ms, finished_ms, source, format, \
     patient, study_date, description, model, diagnosis, probabilities, share_involved, lesion_ml, \
     severity_score, warnings, error, corrections, reviewed, has_thumbnail";

/// Number of jobs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobCounts {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that are analysed.
    pub running: u64,
    /// Jobs with results.
    pub done: u64,
    /// Jobs that could not be analysed.
    pub failed: u64,
    /// Jobs that someone cancelled.
    pub cancelled: u64,
}

impl JobCounts {
    /// All jobs.
    pub fn all(&self) -> u64 {
        self.queued + self.running + self.done + self.failed + self.cancelled
    }
}

/// The job that a row of [`columns`] holds.
pub(super) fn job_of(row: &Row<'_>) -> rusqlite::Result<Job> {
    let text = |i: usize| row.get::<_, Option<String>>(i);
    let (started_ms, finished_ms): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
    let state = named(&row.get::<_, String>(2)?, JobState::from_name)?;
    let seconds = started_ms.zip(finished_ms);
    Ok(Job {
        id: row.get(0)?,
        name: row.get(1)?,
        state,
        progress: if state == JobState::Done { 1.0 } else { 0.0 },
        stage: None,
        priority: row.get(3)?,
        created_ms: row.get(4)?,
        started_ms,
        finished_ms,
        // The clock may have been set back in between.
        seconds: seconds.map(|(a, b)| (b - a).max(0) as f64 / 1000.0),
        source: named(&row.get::<_, String>(7)?, JobSource::from_name)?,
        format: text(8)?,
        patient: text(9)?,
        study_date: text(10)?,
        description: text(11)?,
        model: text(12)?,
        diagnosis: text(13)?.map(|t| named(&t, class_of)).transpose()?,
        probabilities: text(14)?.map(|t| json_column(&t)).transpose()?,
        share_involved: row.get(15)?,
        lesion_ml: row.get(16)?,
        severity_score: row.get(17)?,
        warnings: json_column(&row.get::<_, String>(18)?)?,
        error: text(19)?.map(|t| json_column(&t)).transpose()?,
        corrections: row.get(20)?,
        reviewed: text(21)?
            .map(|t| named(&t, Verdict::from_name))
            .transpose()?,
        has_thumbnail: row.get(22)?,
    })
}

pub(super) fn class_of(name: &str) -> Option<Diagnosis> {
    Diagnosis::ALL.into_iter().find(|d| d.name() == name)
}

/// The columns of a job, each with `prefix` before it.
pub(super) fn columns(prefix: &str) -> String {
    let all: Vec<String> = COLUMNS
        .split(", ")
        .map(|c| format!("{prefix}{c}"))
        .collect();
    all.join(", ")
}

impl Database {
    /// Takes a job in. If `key` is known, that job is given instead, and `false`.
    ///
    /// # Errors
    /// `Full` if there are as many jobs as `limits` (waiting, all) allow; `Write`.
    pub(crate) fn add_job(&self, new: &NewJob, limits: (usize, usize)) -> Result<(Job, bool)> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        if let Some(key) = &new.key {
            let sql = format!("SELECT {COLUMNS} FROM jobs WHERE key = ?1");
            if let Some(job) = transaction.query_row(&sql, [key], job_of).optional()? {
                return Ok((job, false));
            }
        }
        let count = |sql: &str| transaction.query_row(sql, [], |r| r.get::<_, i64>(0));
        let full = |reason: String, hint: &str| Err(Error::new(ErrorKind::Full, reason).hint(hint));
        let waiting = count("SELECT count(*) FROM jobs WHERE state = 'queued'")?;
        if waiting >= limits.0 as i64 {
            return full(format!("{waiting} jobs wait already"), "try again later");
        }
        let all = count("SELECT count(*) FROM jobs")?;
        if all >= limits.1 as i64 {
            return full(
                format!("the server has {all} jobs already"),
                "delete old jobs",
            );
        }
        transaction.execute(
            "INSERT INTO jobs (id, key, name, state, priority, created_ms, source, input, patient)
             VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7, ?8)",
            params![
                new.id,
                new.key,
                new.name,
                new.priority,
                now_ms(),
                new.source.name(),
                to_json(&new.input)?,
                new.patient
            ],
        )?;
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
        let job = transaction.query_row(&sql, [&new.id], job_of)?;
        transaction.commit()?;
        Ok((job, true))
    }

    /// A job.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn job(&self, id: &str) -> Result<Job> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
        let found = self.connection().query_row(&sql, [id], job_of).optional()?;
        found.ok_or_else(|| Error::not_found("job"))
    }

    /// The job with this key, if there is one.
    pub(crate) fn job_with_key(&self, key: &str) -> Result<Option<Job>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE key = ?1");
        Ok(self
            .connection()
            .query_row(&sql, [key], job_of)
            .optional()?)
    }

    /// What is needed to analyse a job.
    pub(crate) fn input(&self, id: &str) -> Result<JobInput> {
        let text: Option<String> = self
            .connection()
            .query_row("SELECT input FROM jobs WHERE id = ?1", [id], |r| r.get(0))
            .optional()?;
        let text = text.ok_or_else(|| Error::not_found("job"))?;
        Ok(json_column(&text)?)
    }

    /// All jobs' names in the interface.
    pub(crate) fn job_ids(&self) -> Result<BTreeSet<String>> {
        let connection = self.connection();
        let mut found = connection.prepare("SELECT id FROM jobs")?;
        let ids = found.query_map([], |r| r.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// Number of jobs by state.
    pub fn counts(&self) -> Result<JobCounts> {
        let connection = self.connection();
        let mut found = connection.prepare("SELECT state, count(*) FROM jobs GROUP BY state")?;
        let rows = found.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)))?;
        let mut counts = JobCounts::default();
        for row in rows {
            let (state, count) = row?;
            let count = count.unsigned_abs();
            match named(&state, JobState::from_name)? {
                JobState::Queued => counts.queued = count,
                JobState::Running => counts.running = count,
                JobState::Done => counts.done = count,
                JobState::Failed => counts.failed = count,
                JobState::Cancelled => counts.cancelled = count,
            }
        }
        Ok(counts)
    }

    /// The number of jobs that `query` finds, and those of its page.
    pub fn list(&self, query: &JobQuery) -> Result<(u64, Vec<Job>)> {
        let mut wheres: Vec<&str> = Vec::new();
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        if let Some(state) = query.state {
            wheres.push("state = ?");
            values.push(Box::new(state.name()));
        }
        if let Some(class) = query.diagnosis {
            wheres.push("diagnosis = ?");
            values.push(Box::new(class.name()));
        }
        match query.reviewed {
            None => {}
            Some(ReviewFilter::None) => wheres.push("reviewed IS NULL"),
            Some(ReviewFilter::Confirmed) => wheres.push("reviewed = 'confirmed'"),
            Some(ReviewFilter::Corrected) => wheres.push("reviewed = 'corrected'"),
        }
        if let Some(text) = query.q.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
            wheres.push(
                "(instr(fold(name), ?) OR instr(fold(coalesce(patient, '')), ?) \
                 OR instr(fold(coalesce(description, '')), ?))",
            );
            for _ in 0..3 {
                values.push(Box::new(text.to_lowercase()));
            }
        }
        let filter = match wheres.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", wheres.join(" AND ")),
        };
        let connection = self.connection();
        let all = rusqlite::params_from_iter(values.iter());
        let count = format!("SELECT count(*) FROM jobs{filter}");
        let total: i64 = connection.query_row(&count, all, |r| r.get(0))?;
        let way = if query.order == Direction::Asc {
            "ASC"
        } else {
            "DESC"
        };
        let column = match query.sort {
            JobOrder::Created => "created_ms",
            JobOrder::Finished => "finished_ms",
            JobOrder::Name => "fold(name)",
            JobOrder::Share => "share_involved",
            JobOrder::State => "state",
        };
        let limit = query.limit.unwrap_or(50).clamp(1, 500);
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs{filter} ORDER BY {column} {way}, number {way} \
             LIMIT {limit} OFFSET {}",
            query.offset
        );
        let mut found = connection.prepare(&sql)?;
        let rows = found.query_map(rusqlite::params_from_iter(values.iter()), job_of)?;
        Ok((total.unsigned_abs(), rows.collect::<rusqlite::Result<_>>()?))
    }

    /// The jobs that readers confirmed or corrected, the first one first.
    pub fn reviewed(&self) -> Result<Vec<Job>> {
        let connection = self.connection();
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE reviewed IS NOT NULL AND state = 'done' ORDER BY number"
        );
        let mut found = connection.prepare(&sql)?;
        let rows = found.query_map([], job_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Earlier finished jobs of the same patient, newest first.
    pub fn previous(&self, id: &str) -> Result<Vec<Job>> {
        self.job(id)?;
        let connection = self.connection();
        let sql = format!(
            "SELECT {} FROM jobs AS own JOIN jobs AS other ON other.patient = own.patient
             WHERE own.id = ?1 AND other.id <> own.id AND other.state = 'done'
               AND (coalesce(other.study_date, ''), other.number) < (coalesce(own.study_date, ''), own.number)
             ORDER BY other.study_date DESC, other.number DESC LIMIT 50",
            columns("other.")
        );
        let mut found = connection.prepare(&sql)?;
        let rows = found.query_map([id], job_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Begins the job whose turn it is. A job that was begun more often than others, perhaps because it
    /// ended the program, comes after them; those of `deferred` do not come yet. Gives how often it was
    /// begun.
    pub(crate) fn begin_next(&self, deferred: &[String]) -> Result<Option<(Job, u32)>> {
        let sql = format!(
            "UPDATE jobs SET state = 'running', starts = starts + 1, started_ms = ?1, finished_ms = NULL,
               error = NULL
             WHERE number = (SELECT number FROM jobs WHERE state = 'queued'
                               AND id NOT IN (SELECT value FROM json_each(?2))
                             ORDER BY priority DESC, starts, number LIMIT 1)
             RETURNING {COLUMNS}, starts"
        );
        let row = |r: &Row<'_>| Ok((job_of(r)?, r.get(23)?));
        let mut connection = self.connection();
        // The row is given before it is on the disk. Only the transaction says whether the disk took it.
        let transaction = connection.transaction()?;
        let values = params![now_ms(), to_json(&deferred)?];
        let begun = transaction.query_row(&sql, values, row).optional()?;
        transaction.commit()?;
        Ok(begun)
    }

    /// The jobs that were running when the program ended, with how often they were begun.
    pub(crate) fn interrupted(&self) -> Result<Vec<(String, u32)>> {
        let connection = self.connection();
        let mut found =
            connection.prepare("SELECT id, starts FROM jobs WHERE state = 'running'")?;
        let rows = found.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes what an analysis gave.
    pub(crate) fn finish(&self, id: &str, summary: &JobSummary) -> Result<()> {
        let facts = &summary.facts;
        self.connection().execute(
            "UPDATE jobs SET state = 'done', finished_ms = ?2, format = ?3, patient = coalesce(patient, ?4),
               study_date = ?5, description = ?6, model = ?7, diagnosis = ?8, probabilities = ?9,
               share_involved = ?10, lesion_ml = ?11, severity_score = ?12, warnings = ?13, error = NULL,
               has_thumbnail = 1,
               name = CASE source WHEN 'network' THEN ?14 ELSE name END
             WHERE id = ?1",
            params![
                id,
                now_ms(),
                facts.format,
                facts.patient,
                facts.study_date,
                facts.description,
                summary.model,
                summary.diagnosis.name(),
                to_json(&summary.probabilities)?,
                summary.share_involved,
                summary.lesion_ml,
                summary.severity_score,
                to_json(&summary.warnings)?,
                summary.shown
            ],
        )?;
        Ok(())
    }

    /// Notes that a job failed.
    pub(crate) fn fail(&self, id: &str, error: &JobError) -> Result<()> {
        self.connection().execute(
            "UPDATE jobs SET state = 'failed', finished_ms = ?2, error = ?3 WHERE id = ?1",
            params![id, now_ms(), to_json(error)?],
        )?;
        Ok(())
    }

    /// Puts a running job back into the queue. With `forget`, this start does not count.
    pub(crate) fn requeue(&self, id: &str, forget: bool) -> Result<()> {
        self.connection().execute(
            "UPDATE jobs SET state = 'queued', started_ms = NULL, starts = max(0, starts - ?2)
             WHERE id = ?1 AND state = 'running'",
            params![id, i64::from(forget)],
        )?;
        Ok(())
    }

    /// Puts a running job whose results the disk refused back into the queue, with the reason why it
    /// waits. This start does not count.
    pub(crate) fn defer(&self, id: &str, error: &JobError) -> Result<()> {
        self.connection().execute(
            "UPDATE jobs SET state = 'queued', started_ms = NULL, starts = max(0, starts - 1), error = ?2
             WHERE id = ?1 AND state = 'running'",
            params![id, to_json(error)?],
        )?;
        Ok(())
    }

    /// Changes the state from one of `from` to `to`. Gives whether it was one of them.
    pub(crate) fn change_state(&self, id: &str, from: &[JobState], to: JobState) -> Result<bool> {
        let names: Vec<String> = from.iter().map(|s| format!("'{}'", s.name())).collect();
        // Adding to NULL gives NULL.
        let ended = if to.is_finished() { "?3" } else { "NULL + ?3" };
        let fresh = if to == JobState::Queued {
            ", starts = 0, error = NULL, started_ms = NULL"
        } else {
            ""
        };
        let sql = format!(
            "UPDATE jobs SET state = ?2, finished_ms = {ended}{fresh} WHERE id = ?1 AND state IN ({})",
            names.join(", ")
        );
        let changed = self
            .connection()
            .execute(&sql, params![id, to.name(), now_ms()])?;
        Ok(changed > 0)
    }

    /// Sets a job's priority.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn set_priority(&self, id: &str, priority: i32) -> Result<()> {
        let changed = self.connection().execute(
            "UPDATE jobs SET priority = ?2 WHERE id = ?1",
            params![id, priority],
        )?;
        match changed {
            0 => Err(Error::not_found("job")),
            _ => Ok(()),
        }
    }

    /// Forgets a job with its corrections. The received objects of `study` are to be removed too, if no
    /// other job has them.
    pub(crate) fn remove_job(&self, id: &str, study: Option<&str>) -> Result<()> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM jobs WHERE id = ?1", [id])?;
        if let Some(study) = study {
            let first = format!("{}#", study_key(study));
            let sql = "SELECT count(*) FROM jobs WHERE substr(key, 1, length(?1)) = ?1";
            let others: i64 = transaction.query_row(sql, [first], |r| r.get(0))?;
            if others == 0 {
                let sql = "INSERT OR IGNORE INTO forgotten (study) VALUES (?1)";
                transaction.execute(sql, [study])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Finished jobs without corrections that ended before `before_ms`.
    pub(crate) fn expired(&self, before_ms: i64) -> Result<Vec<String>> {
        let connection = self.connection();
        let mut found = connection.prepare(
            "SELECT id FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND corrections = 0
               AND finished_ms < ?1",
        )?;
        let ids = found.query_map([before_ms], |r| r.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }
}
