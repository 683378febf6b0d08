//! Analysis of chest CT scans: the library that the command line, servers and other programs use.
//!
//! For research use only. Not a medical device.
//!
//! ```no_run
//! use multirnet::{HeatmapGrid, ReadOptions, StopToken, analyse, load_model, open_scan, write_results};
//! use std::path::Path;
//!
//! let scan = open_scan(Path::new("study/"), &ReadOptions::default())?;
//! let model = load_model(None)?;
//! let (options, stop) = (model.options(), StopToken::new());
//! let prediction = analyse(&model, &scan, None, &options, &stop, &mut |p| {
//!     eprintln!("{:3.0} % {}", 100.0 * p.fraction, p.stage.name());
//! })?;
//! let share = prediction.finding.involvement.both.fraction;
//! println!("{:.1} % of the lungs are involved", 100.0 * share);
//! write_results(&scan.volume, &prediction, "study", HeatmapGrid::Own, Path::new("results"))?;
//! # Ok::<(), multirnet::Error>(())
//! ```

mod analysis;
pub mod batch;
pub mod dicom;
mod error;
pub mod evaluation;
mod models;
mod options;

pub use analysis::{HeatmapGrid, analyse, to_json, write_results};
pub use error::{Error, ErrorKind, Result};
pub use models::{DEFAULT_MODEL, load_model, load_model_on, models};
pub use multirnet_base::StopToken;
pub use multirnet_cohort::{
    ListedScan, ReadOptions, Scan, ScanList, SeriesInfo, SeriesReference, open_scan, read_volume,
};
pub use multirnet_finding::{
    Finding, Involvement, KindInvolvement, Lesion, LesionChanges, LesionKind, Maps, NOTICE,
    NativeMap, Prediction, Probabilities, Provenance, ScanSource, Timing, ZoneInvolvement,
};
pub use multirnet_infer::{
    Catalogue, DeviceChoice, EmbeddedModel, MemoryPlan, Model, ModelCard, Pipeline, Precision,
    PredictOptions, Progress, Stage, Tile,
};
pub use multirnet_volume::{Diagnosis, Geometry, Volume};
pub use options::{merge, overlay, overlay_toml};
