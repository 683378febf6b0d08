//! How predictions are scored.

use multirnet_metrics::EmptyPolicy;
use serde::{Deserialize, Serialize};

/// How test scans are scored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreConfig {
    /// Convention and tolerance of surface distances.
    pub surface: multirnet_metrics::SurfaceConfig,
    /// What undefined and infinite values count in means; `worst` is 0 for shares and the scan's
    /// diagonal for distances.
    pub empty: EmptyPolicy,
    /// Intervals by patient.
    pub bootstrap: multirnet_metrics::stats::BootstrapConfig,
}
