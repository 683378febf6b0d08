//! DICOM series to volumes, and results to DICOM objects.
//!
//! [`read`] takes a folder (searched through), a zip archive or a single file, finds the series,
//! chooses one, sorts its slices along their normal and returns a
//! [`Volume`](multirnet_volume::Volume) in Hounsfield units. [`list`] only lists the series. [`write`](mod@write)
//! makes segmentations, reports, pictures and documents that refer to the series.
//!
//! ```
//! use multirnet_dicom::{ReadOptions, list, read};
//! use std::path::Path;
//!
//! // A zip archive with three slices of 16 × 16 pixels, compressed as JPEG 2000.
//! let path = Path::new("tests/golden/jpeg_2000.zip");
//! let series = list(path)?;
//! assert!(series[0].taken, "{}", series[0].reason);
//! let scan = read(path, &ReadOptions::default())?;
//! assert_eq!(scan.volume.shape(), [3, 16, 16]);
//! assert_eq!(scan.volume.geometry().spacing_mm()[0], 2.5);
//! assert!(scan.warnings.is_empty());
//! # Ok::<(), multirnet_dicom::Error>(())
//! ```
//!
//! # Rules
//!
//! - **Choice**: [`read`] takes the axial CT series with the most slices, at least three; a tie goes
//!   to the lowest series number. A series is axial if its normal is nearest to the patient's long
//!   axis. [`ReadOptions::series`] overrides the choice. Localizers, projections, colour images and
//!   other modalities are never slices.
//! - **A single file** stands for its series: the reader searches the files beside it for the rest.
//!   A file with many frames (enhanced CT) is read by itself.
//! - **Geometry** comes from the slices' positions and orientations, never from the slice thickness.
//!   Array axis z runs along row × column, ascending; y along a column, x along a row.
//! - **Values**: stored value × rescale slope + intercept, per slice. Pixel padding, and everything
//!   below −1024 HU, is air: −1024 HU.
//! - **Irregular series** (missing slices, uneven distances, gantry tilt, sideways shifts, mixed
//!   orientations or sizes, several slices at one place, damaged files) are refused with the list
//!   of files. With [`ReadOptions::allow_irregular`] the reader mends them and warns.
//! - **Compression**: none, deflated, RLE, JPEG Lossless, JPEG baseline, JPEG-LS, JPEG 2000; all
//!   decoders are Rust. Anything else is refused by name.
//! - **Bounds**: 2 GiB a file (unpacked), 8 GiB all files of a zip archive, 16 GiB all deflated data sets,
//!   100 000 files, 2²⁰ elements a data set, 2³⁰ voxels a volume or
//!   [`ReadOptions::max_voxels`], 2²² pixels a compressed frame. Entries of
//!   an archive that overlap, or whose size is a lie, are refused; archives in an archive are not opened.
//!   Headers of JPEG and JPEG 2000 are read before a decoder sees them. Only regular files are opened.

mod archive;
mod attributes;
mod codec;
mod dataset;
mod error;
mod guard;
mod header;
mod identity;
mod layout;
mod legal;
mod limits;
mod pixels;
mod read;
mod reference;
mod repair;
mod scan;
mod series;
mod source;
mod stack;
mod stream;
pub mod write;

pub use attributes::SourceAttribute;
pub use error::{Error, ErrorKind, Result};
pub use identity::{FileIdentity, ObjectIdentity, check_data_set, check_lengths, is_uid};
pub use limits::{AIR_HU, MAX_VOXELS};
pub use read::{list, read, refused_series};
pub use reference::{InstanceReference, SeriesReference};
pub use scan::{ReadOptions, Scan};
pub use series::SeriesInfo;
pub use source::is_dicom;
