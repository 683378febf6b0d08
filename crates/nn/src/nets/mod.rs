//! Nets, which combine blocks. Each file has one net.

mod classification;
mod densenet;
mod grad_cam;
mod inf_net;
mod jcs;
mod medt;
mod multirnet;
mod res2net;
mod segmentation;
mod trans_unet;
mod unet3d;
mod unetpp3d;
mod zhou;

pub use classification::{Classification, ClassificationConfig};
pub use densenet::{DenseNet3d, DenseNet3dConfig};
pub use grad_cam::{GradCam, class_maps};
pub use inf_net::{InfNet, InfNetConfig};
pub use jcs::{Jcs, JcsConfig, JcsSegmentation};
pub use medt::{MedT, MedTConfig};
pub use multirnet::{MultiRNet, Output, Pass};
pub use res2net::{Res2Net, Res2NetBackbone, Res2NetConfig};
pub use segmentation::{Segmentation, SegmentationConfig};
pub use trans_unet::{TransUNet, TransUNetConfig};
pub use unet3d::{UNet3d, UNet3dConfig};
pub use unetpp3d::{UNetPp3d, UNetPp3dConfig, Upsampling};
pub use zhou::{Zhou, ZhouConfig};
