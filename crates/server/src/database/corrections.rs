//! What readers confirmed and corrected.

use super::jobs::{class_of, columns, job_of};
use super::{Database, json_column, named, now_ms, to_json};
use crate::job::{Job, Verdict};
use crate::{Error, Result};
use multirnet::{Diagnosis, Involvement, KindInvolvement, LesionChanges};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A version of a job's result that a reader made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Correction {
    /// Number from 1. Version 0 is the model's, which never changes.
    pub version: u32,
    /// When it was saved, milliseconds since 1970.
    pub created_ms: i64,
    /// Who.
    pub reviewer: String,
    /// Why.
    pub reason: String,
    /// What the reader did.
    pub verdict: Verdict,
    /// The reader's class; absent if it was left as it was.
    #[schema(value_type = Option<String>)]
    pub diagnosis: Option<Diagnosis>,
    /// Whether the version has a lesion map of its own.
    pub has_mask: bool,
    /// How that map differs from the model's.
    #[schema(value_type = Option<Object>)]
    pub changes: Option<LesionChanges>,
    /// Lesion volume as a share of the lungs, 0 to 1.
    pub share_involved: Option<f64>,
    /// Lesion volume in millilitres.
    pub lesion_ml: Option<f64>,
    /// Involvement by lung and zone.
    #[schema(value_type = Option<Object>)]
    pub involvement: Option<Involvement>,
    /// Involvement by kind.
    #[schema(value_type = Vec<Object>)]
    pub lesion_kinds: Vec<KindInvolvement>,
}

/// What is measured on a corrected map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub changes: LesionChanges,
    pub involvement: Involvement,
    pub lesion_kinds: Vec<KindInvolvement>,
}

/// A correction that is to be saved.
#[derive(Debug, Clone)]
pub(crate) struct NewCorrection {
    pub reviewer: String,
    pub reason: String,
    pub verdict: Verdict,
    pub diagnosis: Option<Diagnosis>,
    pub measured: Option<Measured>,
    pub model: String,
    pub model_diagnosis: Diagnosis,
}

/// Counts of a model's failures, as readers corrected them. Of each job the latest version counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct CorrectionSummary {
    /// Jobs with results.
    pub scans_done: u64,
    /// Jobs that a reader confirmed or corrected.
    pub reviewed: u64,
    /// Jobs whose latest version confirms the model.
    pub confirmed: u64,
    /// Jobs whose latest version corrects the model.
    pub corrected: u64,
    /// Lesions that the model missed.
    pub lesions_added: usize,
    /// Lesions of the model that are not lesions.
    pub lesions_removed: usize,
    /// Lesions that the model drew too small.
    pub lesions_grown: usize,
    /// Lesions that the model drew too large.
    pub lesions_shrunk: usize,
    /// Volume that the model missed, in millilitres.
    pub added_ml: f64,
    /// Volume that the model marked wrongly, in millilitres.
    pub removed_ml: f64,
    /// Volume whose kind was corrected, in millilitres.
    pub kind_changed_ml: f64,
    /// Classes that readers changed.
    pub class_changes: Vec<ClassChange>,
    /// Reasons that readers gave.
    pub reasons: Vec<ReasonCount>,
    /// By model.
    pub by_model: Vec<ModelCount>,
}

/// A change of the class.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ClassChange {
    /// The model's class.
    #[schema(value_type = String)]
    pub from: Diagnosis,
    /// The reader's class.
    #[schema(value_type = String)]
    pub to: Diagnosis,
    /// Jobs.
    pub count: u64,
}

/// How often a reason was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReasonCount {
    /// The reason.
    pub reason: String,
    /// Jobs.
    pub count: u64,
}

/// What readers did with the results of a model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelCount {
    /// The model.
    pub model: String,
    /// Jobs whose latest version confirms the model.
    pub confirmed: u64,
    /// Jobs whose latest version corrects the model.
    pub corrected: u64,
    /// Mean Dice of corrected and model maps; absent without corrected maps.
    pub mean_dice: Option<f64>,
}

const COLUMNS: &str =
    "version, created_ms, reviewer, reason, verdict, diagnosis, has_mask, measured";

fn correction_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Correction> {
    let text = |i: usize| row.get::<_, Option<String>>(first + i);
    let measured: Option<Measured> = text(7)?.map(|t| json_column(&t)).transpose()?;
    Ok(Correction {
        version: row.get(first)?,
        created_ms: row.get(first + 1)?,
        reviewer: row.get(first + 2)?,
        reason: row.get(first + 3)?,
        verdict: named(&row.get::<_, String>(first + 4)?, Verdict::from_name)?,
        diagnosis: text(5)?.map(|t| named(&t, class_of)).transpose()?,
        has_mask: row.get(first + 6)?,
        share_involved: measured.as_ref().map(|m| m.involvement.both.fraction),
        lesion_ml: measured.as_ref().map(|m| m.involvement.both.lesion_ml),
        changes: measured.as_ref().map(|m| m.changes.clone()),
        lesion_kinds: measured
            .as_ref()
            .map_or_else(Vec::new, |m| m.lesion_kinds.clone()),
        involvement: measured.map(|m| m.involvement),
    })
}

impl Database {
    /// The number of the next version of a job.
    pub(crate) fn next_version(&self, job: &str) -> Result<u32> {
        let sql = "SELECT coalesce(max(version), 0) + 1 FROM corrections WHERE job = ?1";
        Ok(self.connection().query_row(sql, [job], |r| r.get(0))?)
    }

    /// Saves a version.
    pub(crate) fn add_correction(
        &self,
        job: &str,
        version: u32,
        new: &NewCorrection,
    ) -> Result<Correction> {
        let measured = new.measured.as_ref().map(to_json).transpose()?;
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT INTO corrections (job, version, created_ms, reviewer, reason, verdict, diagnosis,
               has_mask, measured, model, model_diagnosis)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                job,
                version,
                now_ms(),
                new.reviewer,
                new.reason,
                new.verdict.name(),
                new.diagnosis.map(Diagnosis::name),
                measured.is_some(),
                measured,
                new.model,
                new.model_diagnosis.name()
            ],
        )?;
        transaction.execute(
            "UPDATE jobs SET corrections = corrections + 1, reviewed = ?2 WHERE id = ?1",
            params![job, new.verdict.name()],
        )?;
        let sql = format!("SELECT {COLUMNS} FROM corrections WHERE job = ?1 AND version = ?2");
        let saved = transaction.query_row(&sql, params![job, version], |r| correction_at(r, 0))?;
        transaction.commit()?;
        Ok(saved)
    }

    /// The versions of a job, the first one first.
    pub fn corrections_of(&self, job: &str) -> Result<Vec<Correction>> {
        self.job(job)?;
        let connection = self.connection();
        let sql = format!("SELECT {COLUMNS} FROM corrections WHERE job = ?1 ORDER BY version");
        let mut found = connection.prepare(&sql)?;
        let rows = found.query_map([job], |r| correction_at(r, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A version of a job.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn correction(&self, job: &str, version: u32) -> Result<Correction> {
        let sql = format!("SELECT {COLUMNS} FROM corrections WHERE job = ?1 AND version = ?2");
        let connection = self.connection();
        let found = connection
            .query_row(&sql, params![job, version], |r| correction_at(r, 0))
            .optional()?;
        found.ok_or_else(|| Error::not_found("version"))
    }

    /// The number of all corrections, and a page of them with their jobs, newest first.
    pub fn all_corrections(
        &self,
        limit: u32,
        offset: u32,
    ) -> Result<(u64, Vec<(Job, Correction)>)> {
        let connection = self.connection();
        let total: i64 =
            connection.query_row("SELECT count(*) FROM corrections", [], |r| r.get(0))?;
        let sql = format!(
            "SELECT {}, {} FROM corrections AS c JOIN jobs AS j ON j.id = c.job
             ORDER BY c.created_ms DESC, c.rowid DESC LIMIT ?1 OFFSET ?2",
            columns("j."),
            COLUMNS
                .split(", ")
                .map(|c| format!("c.{c}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        let mut found = connection.prepare(&sql)?;
        let rows = found.query_map(params![limit, offset], |r| {
            Ok((job_of(r)?, correction_at(r, 23)?))
        })?;
        Ok((total.unsigned_abs(), rows.collect::<rusqlite::Result<_>>()?))
    }

    /// Counts of corrections by kind. Of each job, the latest version and the latest map count.
    pub fn correction_summary(&self) -> Result<CorrectionSummary> {
        let scans_done = self.counts()?.done;
        let connection = self.connection();
        // A version that leaves the class or the map as it was keeps that of the version before it.
        let sql = "
            SELECT c.reason, c.verdict,
              (SELECT d.diagnosis FROM corrections AS d
               WHERE d.job = c.job AND d.diagnosis IS NOT NULL ORDER BY d.version DESC LIMIT 1),
              c.model, c.model_diagnosis,
              (SELECT m.measured FROM corrections AS m
               WHERE m.job = c.job AND m.has_mask = 1 ORDER BY m.version DESC LIMIT 1)
            FROM corrections AS c
            WHERE c.version = (SELECT max(version) FROM corrections WHERE job = c.job)";
        let mut found = connection.prepare(sql)?;
        let mut rows = found.query([])?;
        let mut summary = CorrectionSummary {
            scans_done,
            ..CorrectionSummary::default()
        };
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        let mut classes: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        let mut models: BTreeMap<String, (u64, u64, Vec<f64>)> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (reason, model): (String, String) = (row.get(0)?, row.get(3)?);
            let verdict = named(&row.get::<_, String>(1)?, Verdict::from_name)?;
            let class: Option<String> = row.get(2)?;
            let before = named(&row.get::<_, String>(4)?, class_of)?;
            let measured: Option<String> = row.get(5)?;
            summary.reviewed += 1;
            let of_model = models.entry(model).or_default();
            match verdict {
                Verdict::Confirmed => {
                    summary.confirmed += 1;
                    of_model.0 += 1;
                }
                Verdict::Corrected => {
                    summary.corrected += 1;
                    of_model.1 += 1;
                    // Details stand behind the kind.
                    let kind = reason.split(':').next().unwrap_or_default().trim();
                    *reasons.entry(kind.to_owned()).or_default() += 1;
                }
            }
            if verdict == Verdict::Corrected
                && let Some(class) = class
            {
                let class = named(&class, class_of)?;
                if class != before {
                    *classes.entry((before.index(), class.index())).or_default() += 1;
                }
            }
            if verdict == Verdict::Corrected
                && let Some(measured) = measured
            {
                let changes = json_column::<Measured>(&measured)?.changes;
                summary.lesions_added += changes.lesions_added;
                summary.lesions_removed += changes.lesions_removed;
                summary.lesions_grown += changes.lesions_grown;
                summary.lesions_shrunk += changes.lesions_shrunk;
                summary.added_ml += changes.added_ml;
                summary.removed_ml += changes.removed_ml;
                summary.kind_changed_ml += changes.kind_changed_ml;
                of_model.2.extend(changes.dice_with_model);
            }
        }
        summary.class_changes = classes
            .into_iter()
            .map(|((from, to), count)| ClassChange {
                from: Diagnosis::ALL[from],
                to: Diagnosis::ALL[to],
                count,
            })
            .collect();
        summary.reasons = reasons
            .into_iter()
            .map(|(reason, count)| ReasonCount { reason, count })
            .collect();
        summary.reasons.sort_by_key(|r| std::cmp::Reverse(r.count));
        summary.by_model = models
            .into_iter()
            .map(|(model, (confirmed, corrected, dice))| ModelCount {
                model,
                confirmed,
                corrected,
                mean_dice: (!dice.is_empty()).then(|| dice.iter().sum::<f64>() / dice.len() as f64),
            })
            .collect();
        Ok(summary)
    }
}
