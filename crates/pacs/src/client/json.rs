//! DICOM JSON (PS3.18, F): as much of it as answers to queries and to STOW-RS need.
//!
//! The crate `dicom-json` reads all of it, but changes the order of keys in every JSON file that the
//! program writes, since it switches on a feature of `serde_json`.

use dicom_core::Tag;
use serde_json::{Map, Value};

/// A data set.
#[derive(Debug, Clone, Default)]
pub(crate) struct JsonObject(Map<String, Value>);

/// Reads one object, or a list of objects.
pub(crate) fn read_json(body: &[u8]) -> Result<Vec<JsonObject>, String> {
    let value = serde_json::from_slice(body).map_err(|e| format!("the answer is not JSON: {e}"))?;
    match value {
        Value::Object(object) => Ok(vec![JsonObject(object)]),
        Value::Array(list) => list.into_iter().map(object).collect(),
        _ => Err("the answer is not DICOM JSON".to_owned()),
    }
}

fn object(value: Value) -> Result<JsonObject, String> {
    match value {
        Value::Object(object) => Ok(JsonObject(object)),
        _ => Err("the answer is not DICOM JSON".to_owned()),
    }
}

/// A tag as DICOM JSON and QIDO-RS write it: eight hexadecimal digits.
pub(crate) fn hex(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

impl JsonObject {
    fn values(&self, tag: Tag) -> &[Value] {
        let values = self.0.get(&hex(tag)).and_then(|e| e.get("Value"));
        values.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The values of an attribute, joined by backslashes; empty if it is missing.
    pub fn text(&self, tag: Tag) -> String {
        let values: Vec<String> = self.values(tag).iter().map(text_of).collect();
        values.join("\\").trim_matches(['\0', ' ']).to_owned()
    }

    /// The items of a sequence.
    pub fn items(&self, tag: Tag) -> impl Iterator<Item = Self> {
        let objects = self.values(tag).iter().filter_map(Value::as_object);
        objects.map(|o| Self(o.clone()))
    }
}

/// A value as text. Of a person's name this is the alphabetic form.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(name) => name.get("Alphabetic").map_or_else(String::new, text_of),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_dictionary_std::tags;

    #[test]
    fn values_of_all_kinds_are_read_as_text() {
        let body = br#"[{"0020000D":{"vr":"UI","Value":["1.2.3"]},
            "00080061":{"vr":"CS","Value":["CT","SEG",null]},
            "00201208":{"vr":"IS","Value":[257]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]},
            "00081030":{"vr":"LO"},"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[273]}}]}},{}]"#;
        let found = read_json(body).unwrap();
        assert_eq!(found.len(), 2);
        for (tag, expected) in [
            (tags::STUDY_INSTANCE_UID, "1.2.3"),
            (tags::MODALITIES_IN_STUDY, "CT\\SEG\\"),
            (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, "257"),
            (tags::PATIENT_NAME, "A^B"),
            (tags::STUDY_DESCRIPTION, ""),
            (tags::PATIENT_ID, ""),
        ] {
            assert_eq!(found[0].text(tag), expected, "{tag}");
        }
        let item = found[0].items(tags::FAILED_SOP_SEQUENCE).next().unwrap();
        assert_eq!(item.text(tags::FAILURE_REASON), "273");
    }

    #[test]
    fn other_answers_are_refused() {
        for body in ["", "<html>", "3", "[3]", "[{}"] {
            let error = read_json(body.as_bytes()).unwrap_err();
            assert!(error.contains("not"), "{body}: {error}");
        }
    }
}
