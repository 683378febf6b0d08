//! Uploads that are not jobs yet. How far one is follows from its file.

use super::{Database, now_ms};
use crate::{Error, ErrorKind, Result};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// Its name in the interface.
    pub id: String,
    /// The file's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that are on the server's disk.
    pub offset: u64,
}

impl Database {
    /// Notes a new upload.
    ///
    /// # Errors
    /// `Full` if there are `most` uploads; `Write`.
    pub(crate) fn add_upload(&self, id: &str, name: &str, size: u64, most: usize) -> Result<()> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let count: i64 = transaction.query_row("SELECT count(*) FROM uploads", [], |r| r.get(0))?;
        if count >= i64::try_from(most).unwrap_or(i64::MAX) {
            return Err(Error::new(
                ErrorKind::Full,
                format!("there are {count} unfinished uploads already"),
            )
            .hint("finish or delete one of them"));
        }
        transaction.execute(
            "INSERT INTO uploads (id, name, size, touched_ms) VALUES (?1, ?2, ?3, ?4)",
            params![id, name, i64::try_from(size).unwrap_or(i64::MAX), now_ms()],
        )?;
        Ok(transaction.commit()?)
    }

    /// Name and size of an upload.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn upload(&self, id: &str) -> Result<(String, u64)> {
        let found = self
            .connection()
            .query_row("SELECT name, size FROM uploads WHERE id = ?1", [id], |r| {
                Ok((r.get(0)?, r.get::<_, i64>(1)?))
            })
            .optional()?;
        let (name, size) = found.ok_or_else(|| Error::not_found("upload"))?;
        Ok((name, u64::try_from(size).unwrap_or(0)))
    }

    /// Notes that a piece came.
    pub(crate) fn touch_upload(&self, id: &str) -> Result<()> {
        self.connection().execute(
            "UPDATE uploads SET touched_ms = ?2 WHERE id = ?1",
            params![id, now_ms()],
        )?;
        Ok(())
    }

    /// Forgets an upload. Gives whether there was one.
    pub(crate) fn remove_upload(&self, id: &str) -> Result<bool> {
        let removed = self
            .connection()
            .execute("DELETE FROM uploads WHERE id = ?1", [id])?;
        Ok(removed > 0)
    }

    /// The uploads of which no piece came since `before_ms`.
    pub(crate) fn stale_uploads(&self, before_ms: i64) -> Result<Vec<String>> {
        let connection = self.connection();
        let mut found = connection.prepare("SELECT id FROM uploads WHERE touched_ms < ?1")?;
        let ids = found.query_map([before_ms], |r| r.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// All uploads.
    pub(crate) fn upload_ids(&self) -> Result<BTreeSet<String>> {
        let connection = self.connection();
        let mut found = connection.prepare("SELECT id FROM uploads")?;
        let ids = found.query_map([], |r| r.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }
}
