//! Analysis of many scans by many processes, which share nothing but a folder.
//!
//! | path | content |
//! |---|---|
//! | `run.json` | version, model and options of all results ([`RunIdentity`]) |
//! | `scans/3f/NAME/` | the results of one scan, with its `record.json`; the folder appears whole |
//! | `failures/3f/NAME.json` | the [`Record`] of a scan that could not be analysed |
//! | `claims/3f/NAME` | the starts of a scan that is being analysed; locked meanwhile |
//!
//! `NAME` follows from the path that the manifest writes ([`scan_name`]), so it depends neither on the
//! order of the manifest nor on the machine. `3f` are the first digits of that path's digest. They keep
//! folders small: a million scans make 256 folders of 4,000.
//!
//! Each process has a [`Shard`] of the manifest. A scan with results is skipped, and one that failed is
//! tried again. Nothing breaks if two processes have the same shard. The lock of the claim keeps one of
//! them waiting; where a file system has no locks, both analyse the scan, and the first result stays.

mod claim;
mod environment;
mod folder;
mod merge;
mod record;
mod shard;
mod table;

pub use claim::MAX_STARTS;
pub use folder::{BatchFolder, Ended, RunIdentity, scan_name};
pub use merge::{MergeCounts, merge};
pub use record::{FailureReason, Figures, Record, ScanState};
pub use shard::Shard;
pub use table::{csv_header, csv_row};
