//! A finished object.

use super::{ResultContext, Role};
use crate::Result;
use std::fmt;
use std::path::Path;

/// A DICOM object that passed the self-check.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultObject {
    /// What it is.
    pub role: Role,
    /// Study instance UID, that of the source.
    pub study_uid: String,
    /// Series instance UID.
    pub series_uid: String,
    /// SOP instance UID.
    pub instance_uid: String,
    /// The file, in explicit VR little endian.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for ResultObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [role, length] = [self.role.name(), &self.bytes.len().to_string()];
        write!(f, "{role} {} ({length} bytes)", self.instance_uid)
    }
}

impl ResultObject {
    pub(crate) fn new(context: &ResultContext, role: Role, bytes: Vec<u8>) -> Self {
        Self {
            role,
            study_uid: context.source.study_uid.clone(),
            series_uid: context.series_uid(role),
            instance_uid: context.instance_uid(role),
            bytes,
        }
    }

    /// Writes the file, which appears whole or not at all.
    ///
    /// # Errors
    /// `Write` that names `path`.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(multirnet_base::files::write(path, &self.bytes)?)
    }
}
