//! An object that comes in by C-STORE, and the answer to it.

use crate::dimse::{Command, status};
use crate::store::{Incoming, IncomingObject, Store};
use crate::{Audit, Error, ErrorKind, Event};

/// A refused object is read to its end, so that the association can go on. One that is this many times
/// longer than allowed ends the association.
const MOST_DISCARDED: u64 = 4;

/// An object that comes in. Once it is refused, the rest of its bytes is discarded.
pub(super) struct ArrivingObject {
    about: IncomingObject,
    state: Result<Incoming, (u16, String)>,
    bytes: u64,
    limit: u64,
}

type Result<T, E = Error> = std::result::Result<T, E>;

impl ArrivingObject {
    pub fn begin(store: &Store, about: IncomingObject, limit: u64) -> Self {
        let state = store.receive(about.clone()).map_err(|e| refusal(&e));
        Self {
            about,
            state,
            bytes: 0,
            limit,
        }
    }

    pub fn refused(about: IncomingObject, status: u16, reason: &str, limit: u64) -> Self {
        let state = Err((status, reason.to_owned()));
        Self {
            about,
            state,
            bytes: 0,
            limit,
        }
    }

    /// Takes bytes of the data set. An error ends the association.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit.saturating_mul(MOST_DISCARDED) {
            return Err(Error::new(ErrorKind::Protocol, "an object does not end"));
        }
        if let Ok(incoming) = &mut self.state
            && let Err(e) = incoming.write(bytes)
        {
            self.state = Err(refusal(&e));
        }
        Ok(())
    }

    /// Keeps the object and gives the answer. Success means that it is on the disk.
    pub async fn finish(self, message_id: u16, audit: &Audit) -> Command {
        let kept = match self.state {
            Ok(incoming) => {
                // Waiting for the disk must not keep other associations from going on.
                match tokio::task::spawn_blocking(move || incoming.finish()).await {
                    Ok(kept) => kept.map(|_| ()).map_err(|e| refusal(&e)),
                    Err(_) => Err((status::CANNOT_UNDERSTAND, "internal error".to_owned())),
                }
            }
            Err(refusal) => Err(refusal),
        };
        let (code, comment) = match kept {
            Ok(()) => (status::SUCCESS, String::new()),
            Err((code, reason)) => {
                audit.tell(&Event::ObjectRefused {
                    ae_title: self.about.ae_title,
                    object: self.about.sop_instance_uid.clone(),
                    reason: reason.clone(),
                });
                (code, reason)
            }
        };
        Command::StoreResponse {
            message_id,
            sop_class: self.about.sop_class_uid,
            sop_instance: self.about.sop_instance_uid,
            status: code,
            comment,
        }
    }
}

/// Status and comment of a refusal. Paths of this machine are not the peer's concern.
fn refusal(error: &Error) -> (u16, String) {
    let code = match error.kind() {
        ErrorKind::Write | ErrorKind::Read => status::OUT_OF_RESOURCES,
        ErrorKind::Refused => status::DATA_SET_MISMATCH,
        _ => status::CANNOT_UNDERSTAND,
    };
    (code, error.reason().to_owned())
}
