//! Analysis of scans: a [`Model`] turns a scan into a
//! [`Prediction`](multirnet_finding::Prediction), which is a
//! [`Finding`](multirnet_finding::Finding) with its [`Maps`](multirnet_finding::Maps).
//!
//! Two views of a scan go through the network: the *global* view (the lung box in one coarse
//! window) and *fine* windows at the working spacing. [`Pipeline`] chooses the views and how their
//! results are joined:
//!
//! | | lesion probability | class probabilities | Grad-CAM |
//! |---|---|---|---|
//! | `global` | global view | global view | global view |
//! | `windows` | windows over both lungs | lesion-mass-weighted mean of the windows' (plain mean without lesion) | windows, overlap-added |
//! | `cascade` | windows around the lesions that the global view suspects (`thorough`: over both lungs), faded over 10 mm into the global view's elsewhere | mean of the global view's and the windows' (`local_class_weight`; without lesion the global view's) | global view |
//!
//! With [`PredictOptions::tile`] neighbouring windows are computed as one larger tile, and each
//! window-sized block of a tile gives class probabilities as a window does.
//!
//! Windows overlap and are added with Gaussian weights ([`Stitcher`]). A window's lesion mass is
//! the sum of its probabilities at or above the threshold within the lungs. Maps are resampled to
//! the scan's own grid by linear interpolation in world coordinates, set to 0 outside the lung mask
//! (`restrict_to_lungs`), and thresholded on that grid. The lesion mask and the probability map
//! therefore agree voxel by voxel.
//!
//! All of this is a choice of this project: the paper does not describe how a scan is split into
//! windows and how their results are joined.
//!
//! ```
//! use multirnet_base::StopToken;
//! use multirnet_finding::ScanSource;
//! use multirnet_infer::{DeviceChoice, Model, ModelCard, Pipeline, PredictOptions, untrained_network};
//! use multirnet_nn::MultiRNetConfig;
//!
//! // An untrained net and a synthetic scan, so the finding means nothing.
//! let net = MultiRNetConfig { channels: [2; 5], class_channels: [2; 6], ..MultiRNetConfig::base() };
//! let network = untrained_network(&net.into(), 1, DeviceChoice::Cpu)?;
//! let model = Model::with_network(network, ModelCard::unknown("example"), String::new());
//! # use multirnet_phantom::PhantomConfig;
//! # let scan = PhantomConfig::sample(3, multirnet_volume::Diagnosis::Cap, 96).generate()?.ct;
//! let options = PredictOptions { pipeline: Pipeline::Global, ..model.options() };
//! let (source, stop) = (ScanSource::default(), StopToken::new());
//! let prediction = model.analyse(&scan, None, source, &options, &stop, &mut |_| {})?;
//! // The maps are on the scan's own grid, not on the grid that the network saw.
//! prediction.maps.lesions.check_same_grid(&scan)?;
//! assert!((prediction.finding.probabilities.to_array().iter().sum::<f64>() - 1.0).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod burn_network;
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
#[cfg(test)]
mod testing;
mod tile;
mod tiles;
mod window_batch;
mod windows;

pub use burn_network::BurnNetwork;
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
pub use network::{Block, Cams, Network, TileOutput, WindowOutput};
pub use network_choice::{load_network, untrained_network};
pub use options::{Pipeline, PredictOptions};
pub use scoring::{ScanOutput, run_prepared};
pub use stage::{Progress, Stage};
pub use stitch::Stitcher;
pub use tile::Tile;
pub use window_batch::WindowBatch;
pub use windows::plan_windows;
