//! Volume and classification metrics.
//!
//! - [`overlap`]: volume Dice of two label maps, in voxels and millilitres.
//! - [`aggregate`]: means that say how many values were undefined or infinite.
//! - [`segmentation`]: the lesion scores of a set of scans, lesion-free scans on their own line.
//! - [`classification`]: confusion matrix, accuracy, recall, precision and F1.
//!
//! Nothing is dropped silently: a value that does not exist (Dice of two empty masks, precision
//! of a class that was never predicted) is *undefined*, an explicit [`EmptyPolicy`] says what an
//! aggregate makes of it, and every aggregate carries the counts.

pub mod aggregate;
pub mod classification;
mod error;
pub mod overlap;
pub mod segmentation;

pub use aggregate::{Aggregate, EmptyPolicy};
pub use classification::{ClassScores, ClassificationScores, ConfusionMatrix};
pub use error::{Error, ErrorKind, Result};
pub use overlap::Overlap;
pub use segmentation::{CaseOverlap, FalsePositives, SegmentationScores};
