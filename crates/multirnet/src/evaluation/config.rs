//! Configuration of the scoring.

use multirnet_metrics::EmptyPolicy;
use serde::{Deserialize, Serialize};

/// Configuration of the scoring of test scans.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreConfig {
    /// Convention and tolerance of surface distances.
    pub surface: multirnet_metrics::SurfaceConfig,
    /// The values that undefined and infinite scores have in means. `worst` is 0 for shares and the
    /// scan's diagonal for distances.
    pub empty: EmptyPolicy,
    /// Bootstrap of the intervals by patient.
    pub bootstrap: multirnet_metrics::stats::BootstrapConfig,
}
