//! Entry points for the fuzz targets of the workspace's folder `fuzz`. They are not part of the library:
//! they may change at any time.

use crate::client::read_json;
use crate::multipart::{Parts, boundary};
use dicom_dictionary_std::tags;

/// Reads the parts of a body whose type is `content_type`.
pub fn multipart(content_type: &str, body: &[u8]) {
    let Some(boundary) = boundary(content_type) else {
        return;
    };
    let mut parts = Parts::new(body, &boundary);
    while let Ok(true) = parts.next_part() {
        if parts.copy_part(&mut |_| Ok(())).is_err() {
            return;
        }
    }
}

/// Reads an answer to a query, and the values that the clients look for.
pub fn dicom_json(body: &[u8]) {
    for object in read_json(body).unwrap_or_default() {
        object.text(tags::PATIENT_NAME);
        for item in object.items(tags::FAILED_SOP_SEQUENCE) {
            item.text(tags::FAILURE_REASON);
        }
    }
}
