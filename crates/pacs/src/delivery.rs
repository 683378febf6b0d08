//! Sending what is due, and noting what became of it.

use crate::client::{SendReport, send_to};
use crate::config::Node;
use crate::store::{Outcome, Outgoing, Store};
use crate::{Error, ErrorKind, Result};
use multirnet_base::StopToken;
use std::fs::File;
use std::path::PathBuf;

/// Sends files, and tells of each by its number what became of it.
type Send<'a> = dyn FnMut(&[PathBuf], &mut dyn FnMut(usize, &Outcome)) -> Result<SendReport> + 'a;

/// Sends what `store` has for `destination` now: the objects of one job. Gives their number.
///
/// # Errors
/// `Write` if the disk refuses the record; the objects are sent again later, under the same UIDs.
pub fn deliver_due(
    store: &Store,
    destination: &str,
    node: &Node,
    stop: &StopToken,
) -> Result<usize> {
    deliver_with(store, destination, &mut |files, told| {
        send_to(node, files, stop, told)
    })
}

/// As [`deliver_due`], with another way to send.
///
/// # Errors
/// As [`deliver_due`].
pub fn deliver_with(store: &Store, destination: &str, send: &mut Send<'_>) -> Result<usize> {
    let mut due: Vec<Outgoing> = store.due(destination);
    let count = due.len();
    for object in &due {
        store.before_delivery(object)?;
    }
    let mut first_error = None;
    // A file that this machine does not give is not refused by the destination.
    due.retain(|object| match File::open(&object.path) {
        Ok(_) => true,
        Err(e) => {
            let reason = Error::io(&object.path, "read the file", e).to_string();
            if let Err(e) = store.record(object, destination, &Outcome::Failed(reason)) {
                first_error.get_or_insert(e);
            }
            false
        }
    });
    if due.is_empty() {
        return first_error.map_or(Ok(count), Err);
    }
    let files: Vec<PathBuf> = due.iter().map(|o| o.path.clone()).collect();
    let mut is_told = vec![false; due.len()];
    let mut record = |index: usize, outcome: &Outcome| {
        is_told[index] = true;
        if let Err(e) = store.record(&due[index], destination, outcome) {
            first_error.get_or_insert(e);
        }
    };
    if let Err(e) = send(&files, &mut record)
        && e.kind() != ErrorKind::Stopped
    {
        let failed = Outcome::Failed(e.to_string());
        for index in 0..due.len() {
            if !is_told[index]
                && let Err(e) = store.record(&due[index], destination, &failed)
            {
                first_error.get_or_insert(e);
            }
        }
    }
    first_error.map_or(Ok(count), Err)
}
