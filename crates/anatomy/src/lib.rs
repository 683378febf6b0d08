//! Anatomy of the chest, found without a trained model: the input gate, the lung mask, the lung
//! zones, and the preparation of a scan for the network.
//!
//! [`prepare`] checks a scan, finds its lungs and cuts out the network's views. [`check`] and
//! [`segment_lungs`] are its first steps alone. [`zones`] divides the lungs.
//!
//! Every function takes a volume in any of the 48 axis orders. Masks and zones lie on the grid of
//! that volume. Left and right, up and down come from the geometry, never from the array.
//!
//! The lung labels [`RIGHT`] and [`LEFT`] are the patient's sides.
//!
//! ```
//! use multirnet_anatomy::{PrepareConfig, ZONE_NAMES, prepare, zones};
//! use multirnet_phantom::PhantomConfig;
//! use multirnet_volume::Diagnosis;
//!
//! // A synthetic scan stands in for a patient's.
//! let scan = PhantomConfig::sample(3, Diagnosis::Normal, 96).generate()?.ct;
//! let prepared = prepare(&scan, None, &PrepareConfig::default())?;
//! // The lungs lie on the scan's own grid.
//! prepared.lungs.check_same_grid(&scan)?;
//! let zones = zones(&prepared.lungs);
//! assert!((1..=ZONE_NAMES.len() as u8).all(|zone| zones.data().contains(&zone)));
//! // The network sees the box around them, scaled to 0..=1.
//! assert_eq!(prepared.global.shape(), [32, 96, 96]);
//! assert!(prepared.global.data().iter().all(|v| (0.0..=1.0).contains(v)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod gate;
mod lungs;
mod part;
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
pub use zones::{Thirds, ZONE_NAMES, zones};

/// Label of the right lung.
pub const RIGHT: u8 = 1;
/// Label of the left lung.
pub const LEFT: u8 = 2;
