//! Spread and common properties of a variant's lesions.
//!
//! The patterns follow what is published of the two pneumonias on CT. COVID-19 lies mostly on both
//! sides, near the pleura, at the back and the base, and is ground glass with or without
//! consolidation. CAP lies mostly on one side; it is dense and bounded by a lobe or segment, or
//! patchy along the bronchi. The patterns overlap on purpose: density or place alone does not tell
//! the class.

use super::config::ImplantConfig;
use super::shape::Texture;
use multirnet_base::random::Random;
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};

/// How a variant's lesions are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// No lesion.
    Clear,
    /// COVID-19: several patches near the pleura.
    Scattered,
    /// COVID-19: large, faint, confluent ground glass at the back and the base.
    Confluent,
    /// COVID-19: bands along the pleura, often consolidated.
    Bands,
    /// CAP: most of a lobe, consolidated.
    Lobar,
    /// CAP: a wedge of one or two segments.
    Segmental,
    /// CAP: many patches around the bronchi of one or two lobes.
    Bronchial,
    /// CAP: one or two round opacities, mostly ground glass.
    Round,
}

/// Common properties of one variant's lesions.
pub(super) struct Style {
    pub pattern: Pattern,
    /// Range of full ground glass in HU above the lung.
    pub glass_hu: [f64; 2],
    pub radius_mm: [f64; 2],
    /// Chance of consolidation.
    pub dense: f64,
    pub texture: Texture,
    pub edge_mm: f32,
    pub roughness: f32,
    /// Decay length in mm of the lesions' frequency away from the pleura.
    pub pleural_mm: f64,
    pub most: usize,
}

impl Pattern {
    /// A pattern of `class`.
    pub(super) fn draw(class: Diagnosis, config: &ImplantConfig, r: &mut Random) -> Self {
        let u = r.unit();
        match class {
            Diagnosis::Normal => Self::Clear,
            Diagnosis::Covid19 if u < config.faint_share => Self::Confluent,
            Diagnosis::Covid19 if u < 0.6 + 0.4 * config.faint_share => Self::Scattered,
            Diagnosis::Covid19 => Self::Bands,
            Diagnosis::Cap if u < 0.36 => Self::Lobar,
            Diagnosis::Cap if u < 0.62 => Self::Segmental,
            Diagnosis::Cap if u < 0.86 => Self::Bronchial,
            Diagnosis::Cap => Self::Round,
        }
    }
}

impl Style {
    /// A style for `pattern`.
    pub fn draw(pattern: Pattern, config: &ImplantConfig, r: &mut Random) -> Self {
        let [low, high] = config.ground_glass_hu;
        let span = high / low;
        // Place of the variant in the range of ground glass, in its logarithm.
        let from = match pattern {
            Pattern::Confluent => r.uniform(0.0, 0.62),
            Pattern::Lobar | Pattern::Segmental => r.uniform(0.35, 0.9),
            _ => r.uniform(0.15, 0.85),
        };
        let glass_hu = [from - 0.12, from + 0.12].map(|t| low * span.powf(t.clamp(0.0, 1.0)));
        let radius_mm = match pattern {
            Pattern::Confluent => [26.0, 85.0],
            Pattern::Bands => [14.0, 60.0],
            Pattern::Lobar => [45.0, 95.0],
            Pattern::Segmental => [28.0, 60.0],
            Pattern::Bronchial => [4.5, 17.0],
            Pattern::Round => [10.0, 32.0],
            Pattern::Scattered | Pattern::Clear => [5.0, 32.0],
        };
        let dense = match pattern {
            Pattern::Confluent => r.pick(&[0.05, 0.2, 0.5]),
            Pattern::Lobar | Pattern::Segmental => 0.93,
            Pattern::Bronchial => r.uniform(0.3, 0.9),
            Pattern::Round => 0.4,
            Pattern::Bands => r.uniform(0.3, 0.95),
            // Some variants are almost pure ground glass, some almost pure consolidation.
            Pattern::Scattered | Pattern::Clear => r.pick(&[0.05, 0.2, 0.5, 0.9]),
        };
        let uneven = matches!(pattern, Pattern::Confluent);
        let texture = Texture {
            coarse: r.uniform(0.2, 0.9) as f32,
            fine: r.uniform(0.12, 0.95) as f32,
            fading: r.uniform(0.0, 0.6) as f32,
            spared: if r.chance(if uneven { 0.75 } else { 0.35 }) {
                r.uniform(0.3, 0.9) as f32
            } else {
                0.0
            },
            paving: if r.chance(0.3) {
                r.uniform(0.2, 0.9) as f32
            } else {
                0.0
            },
        };
        let [thin, wide] = config.edge_mm;
        Self {
            pattern,
            glass_hu,
            radius_mm,
            dense,
            texture,
            edge_mm: r.uniform(thin, wide) as f32,
            roughness: r.uniform(0.25, 0.75) as f32,
            pleural_mm: match pattern {
                Pattern::Bronchial => 60.0,
                Pattern::Lobar | Pattern::Segmental => 30.0,
                Pattern::Confluent => 18.0,
                _ => r.pick(&[8.0, 12.0, 20.0, 50.0]),
            },
            most: match pattern {
                Pattern::Clear => 0,
                Pattern::Scattered => 6 + r.below(16),
                Pattern::Confluent => 3 + r.below(9),
                Pattern::Bands => 2 + r.below(7),
                Pattern::Lobar => 1 + r.below(2),
                Pattern::Segmental => 1 + r.below(3),
                Pattern::Bronchial => 8 + r.below(16),
                Pattern::Round => 1 + r.below(2),
            },
        }
    }
}
