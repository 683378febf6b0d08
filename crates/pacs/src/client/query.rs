//! Queries for studies and series: the keys of C-FIND (PS3.4, C.6.2.1) and QIDO-RS.

use crate::client::Connection;
use crate::client::convert::{read_data_set, syntax};
use crate::config::DimseNode;
use crate::dimse::{Command, status};
use crate::error::with_causes;
use crate::{Error, ErrorKind, Result};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

/// Most matches of a query.
pub(crate) const MAX_MATCHES: usize = 10_000;

/// What studies are asked for. Empty keys match all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyQuery {
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Patient ID; `*` and `?` are wildcards.
    pub patient_id: Option<String>,
    /// Accession number.
    pub accession_number: Option<String>,
    /// Study date `YYYYMMDD`, or a range `YYYYMMDD-YYYYMMDD`.
    pub study_date: Option<String>,
    /// A modality that the study has, such as CT.
    pub modality: Option<String>,
}

/// A study that matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct StudyMatch {
    /// Study Instance UID.
    pub study_uid: String,
    /// Patient ID.
    pub patient_id: String,
    /// Accession number.
    pub accession_number: String,
    /// Study date `YYYYMMDD`.
    pub study_date: String,
    /// Study description.
    pub description: String,
    /// Modalities, joined by a backslash.
    pub modalities: String,
    /// Number of series, if the node tells.
    pub series: Option<u32>,
    /// Number of instances, if the node tells.
    pub instances: Option<u32>,
}

impl StudyQuery {
    /// The keys with a value, by tag.
    pub(crate) fn keys(&self) -> [(Tag, VR, &str); 5] {
        fn value(key: &Option<String>) -> &str {
            key.as_deref().unwrap_or_default()
        }
        [
            (tags::STUDY_INSTANCE_UID, VR::UI, value(&self.study_uid)),
            (tags::PATIENT_ID, VR::LO, value(&self.patient_id)),
            (
                tags::ACCESSION_NUMBER,
                VR::SH,
                value(&self.accession_number),
            ),
            (tags::STUDY_DATE, VR::DA, value(&self.study_date)),
            (tags::MODALITIES_IN_STUDY, VR::CS, value(&self.modality)),
        ]
    }
}

/// Attributes that an answer shall have besides the keys.
pub(crate) const RETURNED: [(Tag, VR); 3] = [
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS),
    (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS),
];

impl StudyMatch {
    /// The match that an answer describes, whose attributes `text` gives; `None` without a valid study
    /// UID.
    pub(crate) fn from_texts(text: impl Fn(Tag) -> String) -> Option<Self> {
        let study_uid = text(tags::STUDY_INSTANCE_UID);
        multirnet_dicom::is_uid(&study_uid).then(|| Self {
            study_uid,
            patient_id: text(tags::PATIENT_ID),
            accession_number: text(tags::ACCESSION_NUMBER),
            study_date: text(tags::STUDY_DATE),
            description: text(tags::STUDY_DESCRIPTION),
            modalities: text(tags::MODALITIES_IN_STUDY),
            series: text(tags::NUMBER_OF_STUDY_RELATED_SERIES).parse().ok(),
            instances: text(tags::NUMBER_OF_STUDY_RELATED_INSTANCES).parse().ok(),
        })
    }
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.get(tag).and_then(|e| e.to_str().ok());
    value.map_or_else(String::new, |s| s.trim_matches(['\0', ' ']).to_owned())
}

/// The studies of `node` that match `query`, by C-FIND.
///
/// # Errors
/// `Network`; `Refused` if the node does not answer queries; `Protocol` for a damaged answer or more
/// than 10 000 matches.
pub fn find_studies(node: &DimseNode, query: &StudyQuery) -> Result<Vec<StudyMatch>> {
    let mut keys: Vec<(Tag, VR, &str)> = query.keys().into();
    keys.extend(RETURNED.iter().map(|(tag, vr)| (*tag, *vr, "")));
    let found = find(node, "STUDY", &keys)?;
    let of = |o: &InMemDicomObject| StudyMatch::from_texts(|tag| text(o, tag));
    Ok(found.iter().filter_map(of).collect())
}

/// Series Instance UID and modality of each series of a study, by C-FIND.
///
/// # Errors
/// As [`find_studies`].
pub fn find_series(node: &DimseNode, study_uid: &str) -> Result<Vec<(String, String)>> {
    let keys = [
        (tags::STUDY_INSTANCE_UID, VR::UI, study_uid),
        (tags::SERIES_INSTANCE_UID, VR::UI, ""),
        (tags::MODALITY, VR::CS, ""),
    ];
    let found = find(node, "SERIES", &keys)?;
    let pair = |o: &InMemDicomObject| (text(o, tags::SERIES_INSTANCE_UID), text(o, tags::MODALITY));
    Ok(found.iter().map(pair).collect())
}

/// An identifier of the level `level` with `keys`.
fn identifier(level: &str, keys: &[(Tag, VR, &str)]) -> InMemDicomObject {
    let level = DataElement::new(
        tags::QUERY_RETRIEVE_LEVEL,
        VR::CS,
        PrimitiveValue::from(level),
    );
    let element = |(tag, vr, value): &(Tag, VR, &str)| match *value {
        "" => DataElement::new(*tag, *vr, PrimitiveValue::Empty),
        value => DataElement::new(*tag, *vr, PrimitiveValue::from(value)),
    };
    InMemDicomObject::from_element_iter(keys.iter().map(element).chain([level]))
}

/// A query or retrieval that was asked for, and whose answers come.
pub(crate) struct Asked {
    pub connection: Connection,
    pub context: u8,
    pub message_id: u16,
    syntax_uid: String,
}

/// Opens an association for the query or retrieval `model`, and sends the request that `request` makes of
/// its message ID, with an identifier of the level `level` with `keys`.
pub(crate) fn ask(
    node: &DimseNode,
    model: &str,
    level: &str,
    keys: &[(Tag, VR, &str)],
    request: impl FnOnce(u16) -> Command,
) -> Result<Asked> {
    let syntaxes = [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
    ];
    let syntaxes = syntaxes.map(str::to_owned).to_vec();
    let mut connection = Connection::open(node, &[(model.to_owned(), syntaxes)])?;
    let accepted = &connection.contexts()[0];
    let (context, syntax_uid) = (accepted.id, accepted.transfer_syntax.clone());
    let message_id = connection.next_message();
    connection.send_command(context, &request(message_id))?;
    let mut bytes = Vec::new();
    let written = identifier(level, keys).write_dataset_with_ts(&mut bytes, syntax(&syntax_uid)?);
    written.map_err(|e| Error::new(ErrorKind::Protocol, with_causes(&e)))?;
    connection.send_data(context, &mut bytes.as_slice())?;
    Ok(Asked {
        connection,
        context,
        message_id,
        syntax_uid,
    })
}

fn find(node: &DimseNode, level: &str, keys: &[(Tag, VR, &str)]) -> Result<Vec<InMemDicomObject>> {
    let model = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND;
    let request = |message_id| Command::FindRequest {
        message_id,
        model: model.to_owned(),
    };
    let asked = ask(node, model, level, keys, request)?;
    let (mut connection, syntax_uid) = (asked.connection, asked.syntax_uid);
    let mut found = Vec::new();
    loop {
        let (answer, data) = connection.receive()?;
        let Command::FindResponse {
            status: code,
            comment,
            has_data_set,
            ..
        } = answer
        else {
            return Err(connection.protocol("another answer than that to C-FIND"));
        };
        if has_data_set && status::is_pending(code) {
            if found.len() == MAX_MATCHES {
                return Err(connection.protocol("too many matches"));
            }
            found.push(read_data_set(&data, &syntax_uid)?);
        }
        if code == status::SUCCESS {
            connection.release();
            return Ok(found);
        }
        if !status::is_pending(code) {
            connection.release();
            let words = status::describe(code);
            let reason = format!("{} refuses the query: {words} {comment}", node.place());
            return Err(Error::new(ErrorKind::Refused, reason.trim_end()));
        }
    }
}
