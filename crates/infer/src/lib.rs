//! Scan in, finding out: a [`Model`] holds a model and turns a scan into a [`Prediction`](multirnet_finding::Prediction), a
//! [`Finding`](multirnet_finding::Finding) with its [`Maps`](multirnet_finding::Maps).
//!
//! Two views of a scan go through the network: the *global* view (the lung box in one coarse
//! window) and *fine* windows at the working spacing. [`Pipeline`] says which are used and how
//! they are joined:
//!
//! | | lesion probability | class probabilities | Grad-CAM |
//! |---|---|---|---|
//! | `global` | global view | global view | global view |
//! | `windows` | windows over both lungs | lesion-mass-weighted mean of the windows' (plain mean without lesion) | windows, overlap-added |
//! | `cascade` | windows around what the global view suspects (`thorough`: over both lungs), faded over 10 mm into the global view's elsewhere | mean of the global view's and the windows' (`local_class_weight`; without lesion the global view's) | global view |
//!
//! With [`PredictOptions::tile`] neighbouring windows are computed as one larger tile, and each
//! window-sized block of a tile gives class probabilities as a window does.
//!
//! Windows overlap and are added with Gaussian weights ([`Stitcher`]). A window's lesion mass is
//! the sum of its probabilities at or above the threshold within the lungs. Maps are brought back
//! to the scan's own grid by linear interpolation in world coordinates, set to 0 outside the lung
//! mask (`restrict_to_lungs`), and thresholded there, so that the lesion mask and the probability
//! map agree voxel by voxel.
//!
//! Everything here is a choice of this project: the paper does not say how a scan is taken apart
//! and put together again.

mod card;
mod catalogue;
mod consolidation;
mod engine;
mod error;
mod memory;
mod model;
mod network;
mod network_choice;
mod options;
mod pipeline;
mod run;
mod scoring;
mod stage;
mod stitch;
mod system;
#[cfg(test)]
mod testing;
mod tile;
mod tiles;
mod window_batch;
mod windows;

pub use card::{CardScore, ModelCard, ModelInput};
pub use catalogue::{
    Catalogue, CatalogueEntry, EmbeddedModel, MODEL_FILE, MODELS_VARIABLE, ModelFacts, ModelSource,
};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use memory::{MemoryPhase, MemoryPlan};
pub use model::Model;
pub use multirnet_kernels::Precision;
pub use multirnet_nn::DeviceChoice;
pub use network::{Block, BurnNetwork, Cams, Network, TileOutput, WindowOutput};
pub use network_choice::{load_network, untrained_network};
pub use options::{Pipeline, PredictOptions};
pub use scoring::{ScanOutput, run_prepared};
pub use stage::{Progress, Stage};
pub use stitch::Stitcher;
pub use system::SystemNetwork;
pub use tile::Tile;
pub use window_batch::WindowBatch;
pub use windows::plan_windows;
