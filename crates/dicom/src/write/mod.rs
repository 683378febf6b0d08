//! Results as DICOM objects: segmentations, structured reports, pictures and documents.
//!
//! | object | function |
//! |---|---|
//! | segmentation (one bit a voxel, or a label map) | [`write_segmentation`] |
//! | measurements, TID 1500 | [`write_report`] |
//! | reason why a scan was not analysed | [`write_refusal_report`], [`write_picture`] |
//! | overview picture (secondary capture, RGB) | [`write_picture`] |
//! | report for people (encapsulated PDF) | [`write_pdf`] |
//!
//! # Rules
//!
//! - Patient, study and frame of reference are those of the source. Where the source has no value that
//!   DICOM asks for, the result has an empty one.
//! - UIDs follow from the source's series and [`ResultContext::key`]; dates come from the caller. The same
//!   input gives the same bytes.
//! - Every object passes the checks of [`check`] before a function returns it. They find what viewers
//!   need and validators overlook.
//! - Text is UTF-8 (`ISO_IR 192`), the transfer syntax explicit VR little endian without compression.

mod capture;
pub mod check;
pub mod codes;
mod context;
mod dataset;
mod modules;
mod object;
mod scan;
mod seg;
mod sr;
pub mod uid;

pub use capture::{Picture, PictureRole, write_pdf, write_picture};
pub use context::{Algorithm, ContentTime, EarlierResult, Equipment, ResultContext, Role};
pub use object::ResultObject;
pub use scan::{SyntheticScan, write_synthetic_slice};
pub use seg::{Encoding, Mask, Segment, Segmentation, write_segmentation};
pub use sr::{
    Classification, MeasurementGroup, Report, ReportForm, Share, write_refusal_report, write_report,
};
