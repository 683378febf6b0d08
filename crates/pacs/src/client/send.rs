//! C-STORE as a client.

use crate::client::connection::{Connection, MAX_CONTEXTS, NoConnection, Proposal};
use crate::client::convert::data_set_in;
use crate::config::DimseNode;
use crate::dimse::{Command, status};
use crate::store::Outcome;
use crate::{Error, Result, sop};
use multirnet_base::StopToken;
use multirnet_dicom::FileIdentity;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Counts of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendReport {
    /// Objects that the node took.
    pub delivered: usize,
    /// Objects that it refused, or that could not be read.
    pub refused: usize,
    /// Objects for which it was too busy.
    pub failed: usize,
}

impl SendReport {
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Delivered => self.delivered += 1,
            Outcome::Refused(_) => self.refused += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}

type Told<'a> = &'a mut dyn FnMut(usize, &Outcome);

/// Sends files to `node` by C-STORE. Each is proposed in its own transfer syntax; one without
/// compression also in the other syntaxes without compression, and rewritten if need be. A refused
/// object or transfer syntax concerns that file alone.
///
/// # Errors
/// `Network` or `Refused` if an association cannot be opened or breaks, `Stopped`. Files that `told` did
/// not hear of are not sent.
pub fn send(
    node: &DimseNode,
    files: &[PathBuf],
    stop: &StopToken,
    told: Told<'_>,
) -> Result<SendReport> {
    let mut report = SendReport::default();
    let mut tell = |index: usize, outcome: Outcome| {
        report.count(&outcome);
        told(index, &outcome);
    };
    let mut batch: Vec<(usize, FileIdentity)> = Vec::new();
    let mut proposals: Vec<Proposal> = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let identity = match FileIdentity::read(path) {
            Ok(identity) => identity,
            Err(e) => {
                tell(index, Outcome::Refused(e.to_string()));
                continue;
            }
        };
        let mut wanted = proposals_of(&identity);
        wanted.retain(|w| !proposals.contains(w));
        if proposals.len() + wanted.len() > MAX_CONTEXTS {
            send_batch(node, files, &batch, &proposals, stop, &mut tell)?;
            batch.clear();
            proposals.clear();
            wanted = proposals_of(&identity);
        }
        proposals.append(&mut wanted);
        batch.push((index, identity));
    }
    if !batch.is_empty() {
        send_batch(node, files, &batch, &proposals, stop, &mut tell)?;
    }
    Ok(report)
}

/// The contexts in which a file can be sent: its own syntax, and those it can be rewritten in.
fn proposals_of(identity: &FileIdentity) -> Vec<Proposal> {
    let class = &identity.object.sop_class_uid;
    let own = &identity.transfer_syntax;
    let mut proposals = vec![(class.clone(), vec![own.clone()])];
    if sop::UNCOMPRESSED.contains(&own.as_str()) {
        // Big endian is not proposed for files that are not.
        let others = sop::UNCOMPRESSED[..2].iter().filter(|s| *s != own);
        proposals.push((class.clone(), others.map(|s| (*s).to_owned()).collect()));
    }
    proposals
}

fn send_batch(
    node: &DimseNode,
    files: &[PathBuf],
    batch: &[(usize, FileIdentity)],
    proposals: &[Proposal],
    stop: &StopToken,
    tell: &mut dyn FnMut(usize, Outcome),
) -> Result<()> {
    let mut connection = match Connection::try_open(node, proposals) {
        Ok(connection) => connection,
        Err(NoConnection::Error(e)) => return Err(e),
        Err(NoConnection::NothingAccepted) => {
            for (index, identity) in batch {
                tell(*index, Outcome::Refused(not_accepted(identity)));
            }
            return Ok(());
        }
    };
    for (index, identity) in batch {
        if stop.is_raised() {
            connection.release();
            return Err(Error::stopped());
        }
        let outcome = send_one(&mut connection, &files[*index], identity)?;
        tell(*index, outcome);
    }
    connection.release();
    Ok(())
}

fn not_accepted(identity: &FileIdentity) -> String {
    format!(
        "the peer does not accept {} in {}",
        sop::name(&identity.object.sop_class_uid),
        sop::name(&identity.transfer_syntax)
    )
}

/// The data set to send, and the context to send it in.
enum Body {
    File(BufReader<File>),
    Rewritten(Vec<u8>),
}

fn send_one(connection: &mut Connection, path: &Path, identity: &FileIdentity) -> Result<Outcome> {
    let class = &identity.object.sop_class_uid;
    let own = &identity.transfer_syntax;
    let of_class: Vec<_> = connection
        .contexts()
        .iter()
        .filter(|c| c.abstract_syntax == *class)
        .map(|c| (c.id, c.transfer_syntax.clone()))
        .collect();
    let same = of_class.iter().find(|(_, syntax)| syntax == own);
    let is_plain = |s: &String| sop::UNCOMPRESSED.contains(&s.as_str());
    let other = of_class
        .iter()
        .find(|(_, syntax)| is_plain(syntax) && is_plain(own));
    let Some((context, syntax)) = same.or(other) else {
        return Ok(Outcome::Refused(not_accepted(identity)));
    };
    let body = if syntax == own {
        open_data_set(path, identity.data_set_start).map(Body::File)
    } else {
        data_set_in(path, syntax).map(Body::Rewritten)
    };
    let body = match body {
        Ok(body) => body,
        Err(e) => return Ok(Outcome::Refused(e.to_string())),
    };
    let message_id = connection.next_message();
    let request = Command::StoreRequest {
        message_id,
        sop_class: class.clone(),
        sop_instance: identity.object.sop_instance_uid.clone(),
    };
    connection.send_command(*context, &request)?;
    match body {
        Body::File(mut file) => connection.send_data(*context, &mut file)?,
        Body::Rewritten(bytes) => connection.send_data(*context, &mut bytes.as_slice())?,
    }
    match connection.receive()?.0 {
        Command::StoreResponse {
            message_id: answered,
            status,
            comment,
            ..
        } if answered == message_id => Ok(outcome_of(status, &comment)),
        _ => Err(connection.protocol("another answer than that to C-STORE")),
    }
}

fn outcome_of(status: u16, comment: &str) -> Outcome {
    let mut words = status::describe(status);
    if !comment.is_empty() {
        words = format!("{words}: {comment}");
    }
    if status::is_stored(status) || status == status::DUPLICATE {
        Outcome::Delivered
    } else if status::is_transient(status) {
        Outcome::Failed(words)
    } else {
        Outcome::Refused(words)
    }
}

fn open_data_set(path: &Path, start: u64) -> Result<BufReader<File>> {
    let open = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::with_capacity(1 << 17, file))
    };
    open().map_err(|e| Error::io(path, "read the file", e))
}
