//! Nets: blocks put together, one to a file.

mod classification;
mod grad_cam;
mod multirnet;
mod segmentation;

pub use classification::{Classification, ClassificationConfig};
pub use grad_cam::GradCam;
pub use multirnet::{MultiRNet, Output, Pass};
pub use segmentation::{Segmentation, SegmentationConfig};
