//! Cohorts: scans of any format ([`open_scan`]), the [manifest] that lists them with masks and
//! classes, the [`Split`] by patient, and the [`Cache`] of scans prepared for training.
//!
//! ```
//! use multirnet_cohort::{Case, Cohort, Side, Split, SplitConfig};
//! use multirnet_volume::Diagnosis;
//!
//! let case = |i: usize| {
//!     let class = Diagnosis::ALL[i % 3];
//!     Case::new(format!("{i}.nii.gz"), None, class, format!("patient {}", i / 2))
//! };
//! let cohort = Cohort { cases: (0..60).map(case).collect() };
//! let split = Split::stratified(&cohort, &SplitConfig::default())?;
//! // Two scans of one patient lie on one side.
//! assert!(split.sides.chunks(2).all(|pair| pair[0] == pair[1]));
//! assert!(!split.on(Side::Test).is_empty());
//! # Ok::<(), multirnet_cohort::Error>(())
//! ```

pub mod cache;
mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod known;
pub mod load;
pub mod manifest;
pub mod scan;
pub mod split;

pub use cache::{Cache, Entry};
pub use error::{Error, ErrorKind, Result};
pub use known::Known;
pub use load::{CaseScan, Part, PreparedCase, Reader, read_case};
pub use manifest::{Case, Cohort, ListedScan, ScanList};
pub use multirnet_dicom::{ReadOptions, SeriesInfo, SeriesReference};
pub use scan::{Scan, open_scan, read_volume};
pub use split::{Side, Split, SplitConfig};
