//! Volume, surface, lesion and classification metrics, and the statistics that compare them.
//!
//! - [`case`]: all scores of one scan ([`CaseMetrics`]) and of a set of scans ([`CohortMetrics`]).
//! - [`overlap`]: volume Dice and intersection over union, in voxels and millilitres.
//! - [`surface`]: average surface distance, surface overlap, surface Dice, Hausdorff distances.
//! - [`lesions`]: single lesions found, missed and invented.
//! - [`aggregate`]: means with the numbers of undefined and infinite values.
//! - [`segmentation`]: what is predicted in scans without lesions.
//! - [`classification`]: confusion matrix, accuracy, recall, precision and F1; [`roc`]: curves and
//!   the area under them.
//! - [`calibration`]: reliability of probabilities, and the temperature that mends them.
//! - [`stats`]: tests between systems, intervals, agreement.
//!
//! Nothing is dropped silently. A value that does not exist (Dice of two empty masks, precision of
//! a class that was never predicted) is *undefined*. An explicit [`EmptyPolicy`] decides how an
//! aggregate treats it, and every aggregate carries the counts.
//!
//! ```
//! use multirnet_metrics::{Aggregate, EmptyPolicy, Overlap};
//! use multirnet_volume::{Geometry, Volume};
//!
//! let grid = Geometry::axial([1, 4, 4], [5.0, 1.0, 1.0])?;
//! let columns = |from, to| Volume::from_fn(grid, |[_, _, x]| u8::from(x >= from && x < to));
//! let half = Overlap::from_masks(&columns(0, 2), &columns(1, 3))?;
//! assert_eq!((half.dice(), half.truth_ml()), (Some(0.5), 0.04));
//! // Two empty masks have no Dice. The policy decides what their mean is.
//! let empty = Overlap::from_masks(&columns(0, 0), &columns(0, 0))?;
//! let values = [half.dice(), empty.dice()];
//! let mean = |policy| Aggregate::from_values(&values, policy, 0.0).mean;
//! assert_eq!(mean(EmptyPolicy::Worst), Some(0.25));
//! assert_eq!(mean(EmptyPolicy::Skip), Some(0.5));
//! assert_eq!(mean(EmptyPolicy::Propagate), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod aggregate;
pub mod calibration;
pub mod case;
pub mod classification;
mod error;
pub mod lesions;
pub mod maps;
pub mod number;
pub mod overlap;
pub mod roc;
pub mod segmentation;
pub mod stats;
pub mod surface;

pub use aggregate::{Aggregate, EmptyPolicy};
pub use calibration::{Reliability, Temperature};
pub use case::{CaseMetrics, CohortMetrics, Metric, MetricScores};
pub use classification::{ClassScores, ClassificationScores, ConfusionMatrix};
pub use error::{Error, ErrorKind, Result};
pub use lesions::{LesionConfig, LesionDetection};
pub use overlap::Overlap;
pub use roc::{ClassRoc, RocCurve};
pub use segmentation::FalsePositives;
pub use surface::{Convention, SurfaceConfig, SurfaceDistances, SurfaceScores};
