//! What comes over the network from DICOM peers.

use crate::seeds::texts;
use crate::{MIB, Target, nothing};
use dicom_ul::pdu::{
    AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed, UserVariableItem,
    read_pdu, write_pdu,
};
use multirnet_pacs::dimse::{Assembler, Command, SubOperations};
use multirnet_pacs::fuzzing;

/// The target `dimse_pdu`.
pub static DIMSE_PDU: Target = Target {
    name: "dimse_pdu",
    about: "DIMSE PDUs and the messages in them",
    longest: 4096,
    fixed: MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: pdus,
    seeds: || seed_pdus(),
};
/// The target `dimse_command`.
pub static DIMSE_COMMAND: Target = Target {
    name: "dimse_command",
    about: "DIMSE command sets",
    longest: 1024,
    fixed: MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: command,
    seeds: || seed_commands(),
};
/// The target `multipart`.
pub static MULTIPART: Target = Target {
    name: "multipart",
    about: "multipart bodies and their types",
    longest: 4096,
    fixed: MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: multipart,
    seeds: || {
        texts(&[
            "multipart/related; type=\"application/dicom\"; boundary=b0\n--b0\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b0\r\n\r\nx\r\n--b0--\r\n",
            "multipart/related;boundary=\"x y\"\n--x y--\r\n",
        ])
    },
};
/// The target `dicom_json`.
pub static DICOM_JSON: Target = Target {
    name: "dicom_json",
    about: "DICOM JSON of QIDO-RS and STOW-RS answers",
    longest: 4096,
    fixed: MIB,
    per_byte: 256,
    has_threads: false,
    prepare: nothing,
    parse: json,
    seeds: || {
        texts(&[
            "[{\"0020000D\":{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]},\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"A^B\"}]}}]",
            "{\"00081198\":{\"vr\":\"SQ\",\"Value\":[{\"00081197\":{\"vr\":\"US\",\"Value\":[273]}}]}}",
        ])
    },
};

/// As the listener's default.
const LONGEST_PDU: u32 = 131_072;

/// PDUs one after the other, and the messages that their values make up.
fn pdus(mut input: &[u8]) {
    let mut assembler = Assembler::default();
    while let Ok(Some(pdu)) = read_pdu(&mut input, LONGEST_PDU, true) {
        let Pdu::PData { data } = pdu else { continue };
        for value in data {
            if assembler.push(value).is_err() {
                return;
            }
        }
    }
}

/// A command that can be read can be written, and is the same then.
fn command(input: &[u8]) {
    let Ok(command) = Command::decode(input) else {
        return;
    };
    let written = command.encode().expect("a command that was read");
    // Comments are cut to the length that the standard allows, and answers to unknown requests say no more
    // than their status.
    let again = Command::decode(&written).expect("a command that was written");
    assert_eq!(
        std::mem::discriminant(&command),
        std::mem::discriminant(&again)
    );
}

/// The first line is the content type, the rest the body.
fn multipart(input: &[u8]) {
    let end = input.iter().position(|b| *b == b'\n');
    let (kind, body) = input.split_at(end.unwrap_or(0));
    fuzzing::multipart(
        &String::from_utf8_lossy(kind),
        body.get(1..).unwrap_or_default(),
    );
}

fn json(input: &[u8]) {
    fuzzing::dicom_json(input);
}

fn store() -> Command {
    Command::StoreRequest {
        message_id: 7,
        sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
        sop_instance: "1.2.3".to_owned(),
    }
}

/// One command of each kind that carries texts or numbers.
pub fn seed_commands() -> Vec<Vec<u8>> {
    let model = "1.2.840.10008.5.1.4.1.2.2.1".to_owned();
    let comment = "refused".to_owned();
    let commands = [
        Command::EchoRequest { message_id: 1 },
        Command::EchoResponse {
            message_id: 1,
            status: 0,
        },
        store(),
        Command::StoreResponse {
            message_id: 7,
            sop_class: "1.2".to_owned(),
            sop_instance: "1.3".to_owned(),
            status: 0xA700,
            comment: comment.clone(),
        },
        Command::FindRequest {
            message_id: 2,
            model: model.clone(),
        },
        Command::MoveRequest {
            message_id: 3,
            model,
            destination: "AE".to_owned(),
        },
        Command::MoveResponse {
            message_id: 3,
            status: 0xFF00,
            comment,
            counts: SubOperations {
                remaining: 1,
                completed: 2,
                failed: 3,
                warning: 4,
            },
            has_data_set: false,
        },
        Command::CancelRequest { message_id: 3 },
    ];
    let encoded = commands.iter().map(|c| c.encode().expect("a command"));
    encoded.collect()
}

/// A request for an association, a message of a command and data, and a release.
pub fn seed_pdus() -> Vec<Vec<u8>> {
    let value = |value_type, data: &[u8]| PDataValue {
        presentation_context_id: 1,
        value_type,
        is_last: true,
        data: data.to_vec(),
    };
    let command = store().encode().expect("a command");
    let pdus = [
        Pdu::AssociationRQ(AssociationRQ {
            protocol_version: 1,
            called_ae_title: "MULTIRNET".to_owned(),
            calling_ae_title: "PEER".to_owned(),
            application_context_name: "1.2.840.10008.3.1.1.1".to_owned(),
            presentation_contexts: vec![PresentationContextProposed {
                id: 1,
                abstract_syntax: "1.2.840.10008.1.1".to_owned(),
                transfer_syntaxes: vec!["1.2.840.10008.1.2".to_owned()],
            }],
            user_variables: vec![UserVariableItem::MaxLength(16_384)],
        }),
        Pdu::PData {
            data: vec![
                value(PDataValueType::Command, &command),
                value(PDataValueType::Data, b"data"),
            ],
        },
        Pdu::ReleaseRQ,
    ];
    let written = pdus.iter().map(|pdu| {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).expect("a PDU");
        bytes
    });
    let all: Vec<Vec<u8>> = written.collect();
    let together = all.concat();
    all.into_iter().chain([together]).collect()
}
