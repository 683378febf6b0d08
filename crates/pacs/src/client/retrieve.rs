//! C-MOVE: a node is asked to send objects to another one.

use crate::client::query::{Asked, ask};
use crate::config::DimseNode;
use crate::dimse::{Command, SubOperations, status};
use crate::{Error, ErrorKind, Result};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use multirnet_base::StopToken;

/// Asks `node` to send a study, or one series of it, to the node that it knows as `destination`: the
/// AE title of this program's listener, which must run. `told` hears the counts as they come.
///
/// # Errors
/// `Network`; `Refused` if the node does not know the destination or not all objects were sent;
/// `Stopped`.
pub fn retrieve(
    node: &DimseNode,
    study_uid: &str,
    series_uid: Option<&str>,
    destination: &str,
    stop: &StopToken,
    told: &mut dyn FnMut(SubOperations),
) -> Result<SubOperations> {
    let model = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE;
    let request = |message_id| Command::MoveRequest {
        message_id,
        model: model.to_owned(),
        destination: destination.to_owned(),
    };
    let mut keys = vec![(tags::STUDY_INSTANCE_UID, VR::UI, study_uid)];
    keys.extend(series_uid.map(|uid| (tags::SERIES_INSTANCE_UID, VR::UI, uid)));
    let level = if series_uid.is_some() {
        "SERIES"
    } else {
        "STUDY"
    };
    let Asked {
        mut connection,
        context,
        message_id,
        ..
    } = ask(node, model, level, &keys, request)?;
    let mut is_cancelled = false;
    loop {
        if stop.is_raised() && !is_cancelled {
            connection.send_command(context, &Command::CancelRequest { message_id })?;
            is_cancelled = true;
        }
        let answer = connection.receive()?.0;
        let Command::MoveResponse {
            status: code,
            comment,
            counts,
            ..
        } = answer
        else {
            return Err(connection.protocol("another answer than that to C-MOVE"));
        };
        told(counts);
        if status::is_pending(code) {
            continue;
        }
        connection.release();
        if is_cancelled {
            return Err(Error::stopped());
        }
        if code == status::SUCCESS && counts.failed == 0 {
            return Ok(counts);
        }
        let words = status::describe(code);
        let reason = format!(
            "{} sent {} objects to {destination:?} and failed with {}: {words} {comment}",
            node.place(),
            counts.completed,
            counts.failed
        );
        return Err(Error::new(ErrorKind::Refused, reason.trim_end())
            .hint("does the node know this listener's title and address, and may it send to it?"));
    }
}
