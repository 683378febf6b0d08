//! Command sets: C-ECHO, C-STORE, C-FIND, C-MOVE and C-CANCEL (PS3.7, 9.3 and E.1).

use crate::error::with_causes;
use crate::{Error, ErrorKind, Result};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;

const STORE: u16 = 0x0001;
const FIND: u16 = 0x0020;
const MOVE: u16 = 0x0021;
const ECHO: u16 = 0x0030;
const CANCEL: u16 = 0x0FFF;
const RESPONSE: u16 = 0x8000;
/// Command Data Set Type of a message without a data set.
const NO_DATA_SET: u16 = 0x0101;
const HAS_DATA_SET: u16 = 0x0001;
const MEDIUM_PRIORITY: u16 = 0x0000;
/// Elements of a command set are few; more are an attack.
const MAX_ELEMENTS: usize = 64;

/// Counts of a retrieval's sub-operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubOperations {
    /// Objects that are still to be sent.
    pub remaining: u16,
    /// Objects that were sent.
    pub completed: u16,
    /// Objects that could not be sent.
    pub failed: u16,
    /// Objects that were sent with a warning.
    pub warning: u16,
}

/// A command of a DIMSE message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    /// C-ECHO-RQ.
    EchoRequest { message_id: u16 },
    /// C-ECHO-RSP.
    EchoResponse { message_id: u16, status: u16 },
    /// C-STORE-RQ; an object follows.
    StoreRequest {
        message_id: u16,
        sop_class: String,
        sop_instance: String,
    },
    /// C-STORE-RSP.
    StoreResponse {
        message_id: u16,
        sop_class: String,
        sop_instance: String,
        status: u16,
        comment: String,
    },
    /// C-FIND-RQ; an identifier follows.
    FindRequest { message_id: u16, model: String },
    /// C-FIND-RSP; an identifier follows a pending one.
    FindResponse {
        message_id: u16,
        status: u16,
        comment: String,
        has_data_set: bool,
    },
    /// C-MOVE-RQ; an identifier follows.
    MoveRequest {
        message_id: u16,
        model: String,
        destination: String,
    },
    /// C-MOVE-RSP; a list of failed objects may follow.
    MoveResponse {
        message_id: u16,
        status: u16,
        comment: String,
        counts: SubOperations,
        has_data_set: bool,
    },
    /// C-CANCEL-RQ.
    CancelRequest { message_id: u16 },
    /// The answer to a request that this node does not know.
    UnknownResponse {
        field: u16,
        message_id: u16,
        status: u16,
    },
    /// A request that this node does not know; a data set may follow.
    UnknownRequest {
        field: u16,
        message_id: u16,
        has_data_set: bool,
    },
}

impl Command {
    /// Whether a data set follows.
    pub fn has_data_set(&self) -> bool {
        match self {
            Self::StoreRequest { .. } | Self::FindRequest { .. } | Self::MoveRequest { .. } => true,
            Self::FindResponse { has_data_set, .. }
            | Self::MoveResponse { has_data_set, .. }
            | Self::UnknownRequest { has_data_set, .. } => *has_data_set,
            _ => false,
        }
    }

    /// The command set in implicit VR little endian.
    ///
    /// # Errors
    /// `Protocol` if a text cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut set = Writer::default();
        match self {
            Self::EchoRequest { message_id } => {
                set.uid(tags::AFFECTED_SOP_CLASS_UID, uids::VERIFICATION);
                set.request(ECHO, *message_id);
            }
            Self::EchoResponse { message_id, status } => {
                set.uid(tags::AFFECTED_SOP_CLASS_UID, uids::VERIFICATION);
                set.response(ECHO, *message_id, *status, "");
            }
            Self::StoreRequest {
                message_id,
                sop_class,
                sop_instance,
            } => {
                set.uid(tags::AFFECTED_SOP_CLASS_UID, sop_class);
                set.request(STORE, *message_id);
                set.number(tags::PRIORITY, MEDIUM_PRIORITY);
                set.uid(tags::AFFECTED_SOP_INSTANCE_UID, sop_instance);
            }
            Self::StoreResponse {
                message_id,
                sop_class,
                sop_instance,
                status,
                comment,
            } => {
                set.uid(tags::AFFECTED_SOP_CLASS_UID, sop_class);
                set.response(STORE, *message_id, *status, comment);
                set.uid(tags::AFFECTED_SOP_INSTANCE_UID, sop_instance);
            }
            Self::FindRequest { message_id, model } => {
                set.uid(tags::AFFECTED_SOP_CLASS_UID, model);
                set.request(FIND, *message_id);
                set.number(tags::PRIORITY, MEDIUM_PRIORITY);
            }
            Self::FindResponse {
                message_id,
                status,
                comment,
                ..
            } => {
                set.response(FIND, *message_id, *status, comment);
            }
            Self::MoveRequest {
                message_id,
                model,
                destination,
            } => {
                set.uid(tags::AFFECTED_SOP_CLASS_UID, model);
                set.request(MOVE, *message_id);
                set.number(tags::PRIORITY, MEDIUM_PRIORITY);
                set.text(tags::MOVE_DESTINATION, VR::AE, destination);
            }
            Self::MoveResponse {
                message_id,
                status,
                comment,
                counts,
                ..
            } => {
                set.response(MOVE, *message_id, *status, comment);
                set.number(tags::NUMBER_OF_REMAINING_SUBOPERATIONS, counts.remaining);
                set.number(tags::NUMBER_OF_COMPLETED_SUBOPERATIONS, counts.completed);
                set.number(tags::NUMBER_OF_FAILED_SUBOPERATIONS, counts.failed);
                set.number(tags::NUMBER_OF_WARNING_SUBOPERATIONS, counts.warning);
            }
            Self::CancelRequest { message_id } => {
                set.number(tags::COMMAND_FIELD, CANCEL);
                set.number(tags::MESSAGE_ID_BEING_RESPONDED_TO, *message_id);
            }
            Self::UnknownRequest {
                field, message_id, ..
            } => set.request(*field, *message_id),
            Self::UnknownResponse {
                field,
                message_id,
                status,
            } => {
                set.response(*field, *message_id, *status, "");
            }
        }
        let kind = if self.has_data_set() {
            HAS_DATA_SET
        } else {
            NO_DATA_SET
        };
        set.number(tags::COMMAND_DATA_SET_TYPE, kind);
        let object = InMemDicomObject::command_from_element_iter(set.0);
        let mut bytes = Vec::new();
        object
            .write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
            .map_err(|e| Error::new(ErrorKind::Protocol, with_causes(&e)))?;
        Ok(bytes)
    }

    /// The command that a command set holds.
    ///
    /// # Errors
    /// `Protocol` for what is not a command set, and for one that lacks what it needs.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        check_elements(bytes)?;
        let syntax = IMPLICIT_VR_LITTLE_ENDIAN.uid();
        multirnet_dicom::check_data_set(bytes, syntax).map_err(|e| malformed(e.reason()))?;
        let object =
            InMemDicomObject::read_dataset_with_ts(bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
                .map_err(|e| malformed(&with_causes(&e)))?;
        let set = Reader(&object);
        let field = set.number(tags::COMMAND_FIELD)?;
        let message_id = if field == CANCEL || field & RESPONSE != 0 {
            set.number(tags::MESSAGE_ID_BEING_RESPONDED_TO)?
        } else {
            set.number(tags::MESSAGE_ID)?
        };
        let has_data_set = set.number(tags::COMMAND_DATA_SET_TYPE)? != NO_DATA_SET;
        const STORE_RESPONSE: u16 = RESPONSE | STORE;
        const FIND_RESPONSE: u16 = RESPONSE | FIND;
        const MOVE_RESPONSE: u16 = RESPONSE | MOVE;
        const ECHO_RESPONSE: u16 = RESPONSE | ECHO;
        let command = match field {
            ECHO => Self::EchoRequest { message_id },
            ECHO_RESPONSE => Self::EchoResponse {
                message_id,
                status: set.number(tags::STATUS)?,
            },
            STORE => Self::StoreRequest {
                message_id,
                sop_class: set.uid(tags::AFFECTED_SOP_CLASS_UID)?,
                sop_instance: set.uid(tags::AFFECTED_SOP_INSTANCE_UID)?,
            },
            STORE_RESPONSE => Self::StoreResponse {
                message_id,
                sop_class: set.text(tags::AFFECTED_SOP_CLASS_UID),
                sop_instance: set.text(tags::AFFECTED_SOP_INSTANCE_UID),
                status: set.number(tags::STATUS)?,
                comment: set.text(tags::ERROR_COMMENT),
            },
            FIND => Self::FindRequest {
                message_id,
                model: set.uid(tags::AFFECTED_SOP_CLASS_UID)?,
            },
            FIND_RESPONSE => Self::FindResponse {
                message_id,
                status: set.number(tags::STATUS)?,
                comment: set.text(tags::ERROR_COMMENT),
                has_data_set,
            },
            MOVE => Self::MoveRequest {
                message_id,
                model: set.uid(tags::AFFECTED_SOP_CLASS_UID)?,
                destination: set.text(tags::MOVE_DESTINATION),
            },
            MOVE_RESPONSE => Self::MoveResponse {
                message_id,
                status: set.number(tags::STATUS)?,
                comment: set.text(tags::ERROR_COMMENT),
                counts: SubOperations {
                    remaining: set.count(tags::NUMBER_OF_REMAINING_SUBOPERATIONS),
                    completed: set.count(tags::NUMBER_OF_COMPLETED_SUBOPERATIONS),
                    failed: set.count(tags::NUMBER_OF_FAILED_SUBOPERATIONS),
                    warning: set.count(tags::NUMBER_OF_WARNING_SUBOPERATIONS),
                },
                has_data_set,
            },
            CANCEL => Self::CancelRequest { message_id },
            field if field & RESPONSE == 0 => Self::UnknownRequest {
                field,
                message_id,
                has_data_set,
            },
            field => Self::UnknownResponse {
                field: field & !RESPONSE,
                message_id,
                status: set.number(tags::STATUS)?,
            },
        };
        if command.has_data_set() != has_data_set {
            return Err(malformed("its data set type does not fit its command"));
        }
        Ok(command)
    }
}

/// Checks that `bytes` are elements of group 0000 with ascending tags and lengths that fit. The
/// general parser allocates what a length says.
fn check_elements(bytes: &[u8]) -> Result<()> {
    let (mut rest, mut last) = (bytes, None);
    for _ in 0..MAX_ELEMENTS {
        let Some((head, after)) = rest.split_first_chunk::<8>() else {
            if rest.is_empty() && last.is_some() {
                return Ok(());
            }
            return Err(malformed("it ends inside an element"));
        };
        let [g0, g1, e0, e1, l0, l1, l2, l3] = *head;
        let element = u16::from_le_bytes([e0, e1]);
        if [g0, g1] != [0, 0] {
            return Err(malformed("it has an element outside group 0000"));
        }
        if last.is_some_and(|last| element <= last) {
            return Err(malformed("its elements are not in order"));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        rest = after
            .get(length..)
            .ok_or_else(|| malformed("an element is longer than the command set"))?;
        last = Some(element);
    }
    Err(malformed("it has too many elements"))
}

fn malformed(reason: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the command set is malformed: {reason}"),
    )
}

#[derive(Default)]
struct Writer(Vec<DataElement<InMemDicomObject>>);

impl Writer {
    fn number(&mut self, tag: Tag, value: u16) {
        self.0
            .push(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }

    fn text(&mut self, tag: Tag, vr: VR, value: &str) {
        self.0
            .push(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }

    fn uid(&mut self, tag: Tag, value: &str) {
        self.text(tag, VR::UI, value);
    }

    fn request(&mut self, field: u16, message_id: u16) {
        self.number(tags::COMMAND_FIELD, field);
        self.number(tags::MESSAGE_ID, message_id);
    }

    fn response(&mut self, field: u16, message_id: u16, status: u16, comment: &str) {
        self.number(tags::COMMAND_FIELD, RESPONSE | field);
        self.number(tags::MESSAGE_ID_BEING_RESPONDED_TO, message_id);
        self.number(tags::STATUS, status);
        if !comment.is_empty() {
            // LO holds 64 characters (PS3.7, C.4.2).
            let short: String = comment.chars().filter(char::is_ascii).take(64).collect();
            self.text(tags::ERROR_COMMENT, VR::LO, &short);
        }
    }
}

struct Reader<'a>(&'a InMemDicomObject);

impl Reader<'_> {
    fn number(&self, tag: Tag) -> Result<u16> {
        let missing = || malformed(&format!("{tag} is missing or not a number"));
        let element = self.0.get(tag).ok_or_else(missing)?;
        element.to_int::<u16>().map_err(|_| missing())
    }

    fn count(&self, tag: Tag) -> u16 {
        self.number(tag).unwrap_or(0)
    }

    fn text(&self, tag: Tag) -> String {
        let element = self.0.get(tag).and_then(|e| e.to_str().ok());
        element.map_or_else(String::new, |s| s.trim_matches(['\0', ' ']).to_owned())
    }

    fn uid(&self, tag: Tag) -> Result<String> {
        let uid = self.text(tag);
        if multirnet_dicom::is_uid(&uid) {
            Ok(uid)
        } else {
            Err(malformed(&format!("{tag} is missing or not a valid UID")))
        }
    }
}

#[cfg(test)]
mod tests;
