//! Cohort manifests.
//!
//! A manifest lists scans, as CSV with a header line or as TOML with one `[[case]]` table per scan:
//!
//! | column | meaning |
//! |---|---|
//! | `scan` | the CT: a volume file, a folder of DICOM, or a PNG or JPEG picture of one axial slice in 8-bit grey, patient right at the left. Required |
//! | `mask` | lesion labels on the scan's grid, or the word `unknown` if lesions were not outlined; may be empty for class `normal` only: no lesion |
//! | `class` | `normal`, `cap`, `covid19`, or `unknown` if training must not use the scan's class. Required |
//! | `patient` | any name; scans of one patient never lie on two sides of a split, whatever their sources and manifests. Required |
//! | `fold` | number of the cross-validation fold, from 0; for all scans of the manifest or for none |
//! | `source` | name of the data set that the scan is from, for balanced sampling and scores per source. Default: one source without a name |
//! | `intensity` | `hu` (default) or `unit` (values 0..1 or 0..255 that are not HU) |
//! | `slope`, `intercept` | HU = slope · value + intercept, for exports that are linear in HU. Default: 1 and 0; for `hu` only |
//! | `spacing_mm` | `z;y;x`, the spacing along the array's slices, rows and columns in millimetres; replaces the file's. Required for pictures |
//! | `slices` | a CSV with the columns `k` (position in the scan's array, from 0) and `source_slice` (number of the slice in the scan that it was taken from), for stacks with gaps: a jump of `source_slice` is a gap, and no window reaches over it |
//! | `mask_values` | values of the mask that are lesion, e.g. `2` or `1;2`; the first is label 1 (ground glass), the second label 2 (consolidation). Two values say that the mask tells these kinds apart. Default: any value but 0, kept as it is, of unknown kind |
//! | `lungs` | lung labels on the scan's grid, or the word `all` if the scan is cropped to its lungs; replaces the lung segmentation. Required for `unit` |
//! | `lungs_values` | values of `lungs` that are lung; default: any value but 0 |
//! | `study_uid` | study identifier, for the leakage check |
//!
//! Paths are relative to the manifest's folder, or to the folder of the data where one is given.
//! Lines of a CSV that begin with `#` are comments.
//!
//! Labels that a scan lacks are left out and not guessed: [`Case::known`] says which losses its
//! windows have.

mod case;
mod cohort;
mod csv_form;
mod folders;
mod row;
mod scan_list;
mod toml_form;

pub use case::Case;
pub use cohort::Cohort;
pub use folders::from_folders;
pub use scan_list::{ListedScan, ScanList};

/// Column names, in the order in which they are written.
pub(crate) const COLUMNS: [&str; 15] = [
    "scan",
    "mask",
    "class",
    "patient",
    "fold",
    "source",
    "intensity",
    "slope",
    "intercept",
    "spacing_mm",
    "slices",
    "mask_values",
    "lungs",
    "lungs_values",
    "study_uid",
];
