//! What all results of one analysis share.

use super::uid;
use crate::reference::SeriesReference;
use crate::{Error, ErrorKind, Result};
use dicom_dictionary_std::uids;

/// The device that made a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equipment {
    /// Manufacturer, `multirnet` in this project's results.
    pub manufacturer: String,
    /// Model name: the name of the analysing model.
    pub model_name: String,
    /// Software version.
    pub software_version: String,
    /// Serial number of the device; an installation's name, or `none`.
    pub serial_number: String,
}

/// The algorithm that made a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm {
    /// Name, at most 64 characters.
    pub name: String,
    /// Version, at most 64 characters.
    pub version: String,
    /// Where it comes from, at most 64 characters.
    pub source: String,
    /// Parameters, one a line, among them the digest of the model (`model_sha256=…`).
    pub parameters: Vec<String>,
}

/// Date and time of a result's content.
///
/// The caller keeps them with the analysis. A repeat with the same values gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentTime {
    pub(crate) date: String,
    pub(crate) time: String,
}

impl ContentTime {
    /// A date `YYYYMMDD` and a time `HHMMSS`.
    ///
    /// # Errors
    /// `Invalid` if they are not a date and a time of this form.
    pub fn new(date: &str, time: &str) -> Result<Self> {
        let number = |text: &str, from: usize, to: usize| -> Option<u32> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
            digits.parse().ok()
        };
        let is_date = date.len() == 8
            && number(date, 0, 4).is_some()
            && number(date, 4, 6).is_some_and(|m| (1..=12).contains(&m))
            && number(date, 6, 8).is_some_and(|d| (1..=31).contains(&d));
        let is_time = time.len() == 6
            && number(time, 0, 2).is_some_and(|h| h < 24)
            && number(time, 2, 4).is_some_and(|m| m < 60)
            && number(time, 4, 6).is_some_and(|s| s <= 60);
        if !is_date || !is_time {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the content's date and time are {date:?} and {time:?}"),
            )
            .hint("give YYYYMMDD and HHMMSS"));
        }
        Ok(Self {
            date: date.to_owned(),
            time: time.to_owned(),
        })
    }
}

/// A result of an earlier analysis of the same study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierResult {
    /// Series instance UID.
    pub series_uid: String,
    /// SOP class UID.
    pub sop_class_uid: String,
    /// SOP instance UID.
    pub instance_uid: String,
}

/// What all results of one analysis share.
#[derive(Debug, Clone, Copy)]
pub struct ResultContext<'a> {
    /// The series that was analysed.
    pub source: &'a SeriesReference,
    /// The device.
    pub equipment: &'a Equipment,
    /// Identifies the analysis, for example a digest of the scan, the model and the options. UIDs are
    /// derived from it and from the source's series: same key and series, same UIDs.
    pub key: &'a str,
    /// Date and time of the content.
    pub made_at: &'a ContentTime,
    /// Results of the study before objects were added to it. The new ones name those that they replace.
    pub replaces: &'a [EarlierResult],
}

/// What a result is. Each has a series of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Segmentation, one bit a voxel.
    Segmentation,
    /// Segmentation as a label map.
    LabelMap,
    /// Measurements, Comprehensive 3D SR.
    Measurements,
    /// Measurements, Enhanced SR.
    EnhancedMeasurements,
    /// Overview picture.
    Overview,
    /// Report for people.
    Document,
    /// Picture which says why the scan was not analysed.
    RefusalPicture,
    /// Comprehensive 3D SR which says why the scan was not analysed.
    Refusal,
    /// Enhanced SR which says why the scan was not analysed.
    EnhancedRefusal,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 9] = [
        Self::Segmentation,
        Self::LabelMap,
        Self::Measurements,
        Self::EnhancedMeasurements,
        Self::Overview,
        Self::Document,
        Self::RefusalPicture,
        Self::Refusal,
        Self::EnhancedRefusal,
    ];

    /// SOP class UID.
    pub fn sop_class_uid(self) -> &'static str {
        match self {
            Self::Segmentation => uids::SEGMENTATION_STORAGE,
            Self::LabelMap => uids::LABEL_MAP_SEGMENTATION_STORAGE,
            Self::Measurements | Self::Refusal => uids::COMPREHENSIVE3_DSR_STORAGE,
            Self::EnhancedMeasurements | Self::EnhancedRefusal => uids::ENHANCED_SR_STORAGE,
            Self::Overview | Self::RefusalPicture => uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            Self::Document => uids::ENCAPSULATED_PDF_STORAGE,
        }
    }

    /// Modality.
    pub fn modality(self) -> &'static str {
        match self.sop_class_uid() {
            uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => "SEG",
            uids::COMPREHENSIVE3_DSR_STORAGE | uids::ENHANCED_SR_STORAGE => "SR",
            uids::ENCAPSULATED_PDF_STORAGE => "DOC",
            _ => "OT",
        }
    }

    /// Series number. Numbers from 900 keep results behind the images in a viewer's list.
    pub fn series_number(self) -> u32 {
        match self {
            Self::Segmentation => 900,
            Self::LabelMap => 901,
            Self::Measurements => 910,
            Self::EnhancedMeasurements => 911,
            Self::Overview => 920,
            Self::Document => 930,
            Self::RefusalPicture => 940,
            Self::Refusal => 950,
            Self::EnhancedRefusal => 951,
        }
    }

    /// Series description.
    pub fn series_description(self) -> &'static str {
        match self {
            Self::Segmentation => "multirnet segmentation (research)",
            Self::LabelMap => "multirnet label map (research)",
            Self::Measurements | Self::EnhancedMeasurements => "multirnet measurements (research)",
            Self::Overview => "multirnet overview (research)",
            Self::Document => "multirnet report (research)",
            Self::RefusalPicture | Self::Refusal | Self::EnhancedRefusal => {
                "multirnet: not analysed (research)"
            }
        }
    }

    /// Name in UIDs and of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::LabelMap => "labelmap",
            Self::Measurements => "measurements",
            Self::EnhancedMeasurements => "measurements-enhanced",
            Self::Overview => "overview",
            Self::Document => "report",
            Self::RefusalPicture => "not-analysed",
            Self::Refusal => "not-analysed-report",
            Self::EnhancedRefusal => "not-analysed-report-enhanced",
        }
    }
}

impl ResultContext<'_> {
    /// A UID for `what` of this analysis.
    pub(crate) fn uid(&self, what: &[&str]) -> String {
        let source = self.source;
        let mut parts = vec!["multirnet", &source.study_uid, &source.series_uid, self.key];
        parts.extend(what);
        uid::derive(&parts)
    }

    /// Series instance UID of the result `role`.
    pub fn series_uid(&self, role: Role) -> String {
        self.uid(&["series", role.name()])
    }

    /// SOP instance UID of the result `role`.
    pub fn instance_uid(&self, role: Role) -> String {
        self.uid(&["instance", role.name()])
    }

    /// Tracking UID of the finding with the tracking identifier `id`. A segment and a measurement
    /// group with the same identifier have the same UID.
    pub fn tracking_uid(&self, id: &str) -> String {
        self.uid(&["tracking", id])
    }

    /// UID of the device. It does not depend on the analysis.
    pub(crate) fn device_uid(&self) -> String {
        let e = self.equipment;
        let device = [
            "multirnet",
            "device",
            &e.manufacturer,
            &e.model_name,
            &e.software_version,
            &e.serial_number,
        ];
        uid::derive(&device)
    }

    /// The earlier results that the result `role` replaces: those of its SOP class. A result that is
    /// made again replaces nothing.
    pub(crate) fn replaced_by(&self, role: Role) -> Vec<&EarlierResult> {
        let own = self.instance_uid(role);
        if self.replaces.iter().any(|r| r.instance_uid == own) {
            return Vec::new();
        }
        let is_replaced = |r: &&EarlierResult| r.sop_class_uid == role.sop_class_uid();
        self.replaces.iter().filter(is_replaced).collect()
    }

    /// What a document may say of the one that it replaces, if there is one.
    pub fn replaced_document(&self) -> Option<String> {
        let earlier = self.replaced_by(Role::Document).into_iter().next_back()?;
        let uid = &earlier.instance_uid;
        Some(format!("an earlier report of this study, {uid}"))
    }

    /// What a result says of those that it replaces, if there are any.
    pub(crate) fn replacement_text(&self, role: Role) -> Option<String> {
        let replaced = self.replaced_by(role);
        let uids: Vec<&str> = replaced.iter().map(|r| r.instance_uid.as_str()).collect();
        (!uids.is_empty()).then(|| format!("Replaces {}", uids.join(", ")))
    }

    /// Checks what every result needs.
    ///
    /// # Errors
    /// `Invalid` for a text of the equipment, `IncompleteSource` for a source without study, series or
    /// instance UID.
    pub(crate) fn check(&self) -> Result<()> {
        let e = self.equipment;
        check_text("the manufacturer", &e.manufacturer, 64)?;
        check_text("the model name", &e.model_name, 64)?;
        check_text("the software version", &e.software_version, 64)?;
        check_text("the serial number", &e.serial_number, 64)?;
        for earlier in self.replaces {
            let uids = [
                &earlier.series_uid,
                &earlier.sop_class_uid,
                &earlier.instance_uid,
            ];
            if !uids.into_iter().all(|uid| uid::is_accepted(uid)) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("an earlier result has the UIDs {uids:?}"),
                ));
            }
        }
        let source = self.source;
        if source.instances.is_empty() {
            return Err(incomplete("has no instances"));
        }
        if !uid::is_accepted(&source.study_uid) || !uid::is_accepted(&source.series_uid) {
            return Err(incomplete("has no valid study and series UID"));
        }
        let named = |i: &crate::InstanceReference| {
            uid::is_accepted(&i.instance_uid) && uid::is_accepted(&i.sop_class_uid)
        };
        if !source.instances.iter().all(named) {
            return Err(incomplete("has instances without a valid UID"));
        }
        Ok(())
    }
}

impl Algorithm {
    /// Checks the texts.
    ///
    /// # Errors
    /// `Invalid` with the text that DICOM cannot hold.
    pub(crate) fn check(&self) -> Result<()> {
        check_text("the algorithm's name", &self.name, 64)?;
        check_text("the algorithm's version", &self.version, 64)?;
        check_text("the algorithm's source", &self.source, 64)?;
        check_long_text("the algorithm's parameters", &self.parameters_text(), 10240)
    }

    /// The parameters, one a line.
    pub(crate) fn parameters_text(&self) -> String {
        self.parameters.join("\r\n")
    }
}

/// The source lacks what a result must repeat.
pub(crate) fn incomplete(what: &str) -> Error {
    Error::new(
        ErrorKind::IncompleteSource,
        format!("the source series {what}"),
    )
    .hint("results for viewers need a complete DICOM series; take the other results")
}

/// Refuses a text that is empty, longer than `most` characters, or has control characters or
/// backslashes, which separate values.
pub(crate) fn check_text(what: &str, text: &str, most: usize) -> Result<()> {
    if text.contains('\\') || text.chars().any(char::is_control) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{what} has a backslash or a control character: {text:?}"),
        )
        .hint("give a plain line of text"));
    }
    check_long_text(what, text, most)
}

/// Refuses a text that is empty or longer than `most` characters.
pub(crate) fn check_long_text(what: &str, text: &str, most: usize) -> Result<()> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > most {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{what} has {length} characters"),
        )
        .hint(format!("give 1 to {most} characters")));
    }
    Ok(())
}
