//! What the chest holds, as far as it can be found without learning: the input gate, the lung
//! mask, the lung zones, the involvement of the lungs, and the preparation of a scan for the
//! network.
//!
//! The usual way in is [`prepare`]; [`check`], [`segment_lungs`], [`zones`] and [`involvement`]
//! are its parts and what follows it.
//!
//! Every function takes a volume in any of the 48 axis orders and answers on the same grid: left
//! and right, up and down come from the geometry, never from the array.
//!
//! Lung labels are [`RIGHT`] and [`LEFT`], the patient's.

mod error;
mod gate;
mod lungs;
mod prepare;
mod step;
mod zones;

/// Connected components and exact distances, which all crates share.
pub use multirnet_volume::{components, distance};

pub use error::{Error, ErrorKind, Result};
pub use gate::{GateConfig, GateReport, check, check_lungs, check_scan};
pub use lungs::{LungConfig, segment_lungs, segment_lungs_watched};
pub use prepare::{BeyondScan, Intensity, PrepareConfig, Prepared, prepare, prepare_watched};
pub use step::{Step, Watch};
pub use zones::{ZONE_NAMES, zones};

/// Label of the right lung.
pub const RIGHT: u8 = 1;
/// Label of the left lung.
pub const LEFT: u8 = 2;
