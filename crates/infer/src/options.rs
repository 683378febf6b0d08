//! Options of an analysis.

use crate::{Error, ErrorKind, Result, Tile};
use multirnet_anatomy::PrepareConfig;
use multirnet_base::Ranges;
use multirnet_metrics::calibration::{self, tempered};
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Temperatures that are allowed.
pub(crate) const TEMPERATURES: RangeInclusive<f64> =
    calibration::TEMPERATURES[0]..=calibration::TEMPERATURES[1];

/// Which views of a scan the network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pipeline {
    /// The whole chest in one coarse window, then fine windows around the lesions of the coarse
    /// map.
    #[default]
    Cascade,
    /// Fine windows over both lungs.
    Windows,
    /// The whole chest in one coarse window only.
    Global,
}

impl Pipeline {
    /// All pipelines.
    pub const ALL: [Self; 3] = [Self::Cascade, Self::Windows, Self::Global];

    /// Machine name: `cascade`, `windows`, `global`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cascade => "cascade",
            Self::Windows => "windows",
            Self::Global => "global",
        }
    }
}

impl std::fmt::Display for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Pipeline {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|p| p.name().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| {
                Error::new(ErrorKind::Options, format!("unknown pipeline {text:?}"))
                    .hint("write cascade, windows or global")
            })
    }
}

/// All options that a result depends on besides the scan and the model.
///
/// None of these fields comes from the paper; they are choices of this project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictOptions {
    /// Which views the network sees.
    pub pipeline: Pipeline,
    /// `cascade` only: whether fine windows also cover the rest of the lungs.
    pub thorough: bool,
    /// Lowest probability of a lesion voxel, in `(0, 1)`.
    pub threshold: f32,
    /// Temperature of the lesion probability: the network's logits are divided by it. It does not move the lesions if the
    /// threshold is moved with it, but for the interpolation at their border. 1 leaves the probability as it is.
    pub lesion_temperature: f64,
    /// Temperature of the class probabilities. It changes how sure the most probable class is, never which one it is.
    pub class_temperature: f64,
    /// `cascade` only: lowest coarse probability of a voxel that gets fine windows, in `(0, 1)`.
    /// A lower `threshold` replaces it, so that no lesion depends on the coarse view alone.
    pub coarse_threshold: f32,
    /// `cascade` only: distance in millimetres by which the coarse lesions are dilated.
    pub dilation_mm: f64,
    /// Share of a window that neighbouring windows have in common, in `[0, 0.9]`.
    pub overlap: f64,
    /// Voxels `(z, y, x)` of a fine window; multiples of 16.
    pub window_shape: [usize; 3],
    /// Whether fine windows are merged into larger tiles. The pipeline `windows` with `explain`
    /// never merges them, because it makes the heat map from windows.
    pub tile: Tile,
    /// Halo `(z, y, x)` in voxels: neighbouring tiles overlap by two halos and fade into each other
    /// there.
    pub halo: [usize; 3],
    /// Number of windows that go through the network together. It changes time and memory, not the
    /// result.
    pub batch: usize,
    /// `cascade` only: weight of the windows' class probabilities, in `[0, 1]`; the global view has
    /// the rest. Without any lesion the global view alone decides.
    pub local_class_weight: f64,
    /// Whether the probability is set to 0 outside the lung mask.
    pub restrict_to_lungs: bool,
    /// Distance in millimetres by which the lung mask is dilated for `restrict_to_lungs`. With the
    /// default 0 every lesion voxel lies in a lung, so the lesion mask and the measurements agree.
    pub lung_margin_mm: f64,
    /// Whether thick airless tissue inside the lungs that touches a lesion counts as lesion. The
    /// network tends to miss the inside of large consolidations. The pipeline `global` ignores this
    /// option.
    pub complete_consolidation: bool,
    /// Whether the Grad-CAM heat map is made.
    pub explain: bool,
    /// Class of the Grad-CAM heat map; `None` stands for the most probable class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain_class: Option<Diagnosis>,
    /// Preparation of the scan. It must be the one that the model was trained with.
    pub prepare: PrepareConfig,
    /// Memory limit in MiB. An analysis whose plan needs more is refused.
    pub memory_limit_mib: Option<u64>,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            pipeline: Pipeline::Cascade,
            thorough: false,
            threshold: 0.5,
            lesion_temperature: 1.0,
            class_temperature: 1.0,
            coarse_threshold: 0.25,
            dilation_mm: 10.0,
            overlap: 0.25,
            window_shape: [32, 96, 96],
            tile: Tile::Auto,
            halo: [4, 12, 12],
            batch: 1,
            local_class_weight: 0.5,
            restrict_to_lungs: true,
            lung_margin_mm: 0.0,
            complete_consolidation: true,
            explain: true,
            explain_class: None,
            prepare: PrepareConfig::default(),
            memory_limit_mib: None,
        }
    }
}

impl PredictOptions {
    /// Whether fine windows are merged into tiles. The heat map of the pipeline `windows` needs
    /// separate windows.
    pub(crate) fn uses_tiles(&self) -> bool {
        self.tile != Tile::Off && !(self.explain && self.pipeline == Pipeline::Windows)
    }

    /// The threshold of the network's own probability, before [`lesion_temperature`](Self::lesion_temperature).
    pub(crate) fn network_threshold(&self) -> f32 {
        if self.lesion_temperature == 1.0 {
            return self.threshold;
        }
        tempered(f64::from(self.threshold), 1.0 / self.lesion_temperature) as f32
    }

    /// Checks every field's range.
    ///
    /// # Errors
    /// `Options` if a field is out of range; the message names the field, its value and the range.
    pub fn validate(&self) -> Result<()> {
        const INNER: &str = "between 0 and 1, both excluded";
        const SHAPE: &str = "multiples of 16, at most 1024";
        let inner = |v: f32| v > 0.0 && v < 1.0;
        let shape = |s: [usize; 3]| s.iter().all(|&n| n >= 16 && n % 16 == 0 && n <= 1024);
        let tile = match self.tile {
            Tile::Shape(tile) => shape(tile),
            Tile::Off | Tile::Auto => true,
        };
        let (window, global) = (self.window_shape, self.prepare.global_shape);
        Ok(Ranges::new()
            .require(inner(self.threshold), "threshold", self.threshold, INNER)
            .require(
                inner(self.coarse_threshold),
                "coarse_threshold",
                self.coarse_threshold,
                INNER,
            )
            .within("lesion_temperature", self.lesion_temperature, TEMPERATURES)
            .within("class_temperature", self.class_temperature, TEMPERATURES)
            .within("dilation_mm", self.dilation_mm, 0.0..=100.0)
            .within("overlap", self.overlap, 0.0..=0.9)
            .require(shape(window), "window_shape", window, SHAPE)
            .require(shape(global), "prepare.global_shape", global, SHAPE)
            .require(
                tile,
                "tile",
                self.tile,
                "off, auto, or multiples of 16, at most 1024",
            )
            .each_within("halo", &self.halo, 0..=64)
            .within("batch", self.batch, 1..=64)
            .within("local_class_weight", self.local_class_weight, 0.0..=1.0)
            .within("lung_margin_mm", self.lung_margin_mm, 0.0..=100.0)
            .check()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_json() {
        let options = PredictOptions::default();
        options.validate().unwrap();
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(
            serde_json::from_str::<PredictOptions>(&text).unwrap(),
            options
        );
        assert!(serde_json::from_str::<PredictOptions>(r#"{"treshold":0.4}"#).is_err());
    }

    #[test]
    fn out_of_range_fields_are_named() {
        let d = PredictOptions::default;
        let cases: [(&str, PredictOptions); 13] = [
            (
                "lesion_temperature",
                PredictOptions {
                    lesion_temperature: 0.0,
                    ..d()
                },
            ),
            (
                "class_temperature",
                PredictOptions {
                    class_temperature: f64::NAN,
                    ..d()
                },
            ),
            (
                "tile",
                PredictOptions {
                    tile: Tile::Shape([32, 100, 96]),
                    ..d()
                },
            ),
            (
                "halo",
                PredictOptions {
                    halo: [4, 65, 4],
                    ..d()
                },
            ),
            (
                "threshold",
                PredictOptions {
                    threshold: 1.0,
                    ..d()
                },
            ),
            (
                "threshold",
                PredictOptions {
                    threshold: f32::NAN,
                    ..d()
                },
            ),
            (
                "coarse_threshold",
                PredictOptions {
                    coarse_threshold: 0.0,
                    ..d()
                },
            ),
            (
                "dilation_mm",
                PredictOptions {
                    dilation_mm: f64::INFINITY,
                    ..d()
                },
            ),
            (
                "overlap",
                PredictOptions {
                    overlap: 1.0,
                    ..d()
                },
            ),
            (
                "window_shape",
                PredictOptions {
                    window_shape: [32, 90, 96],
                    ..d()
                },
            ),
            ("batch", PredictOptions { batch: 0, ..d() }),
            (
                "local_class_weight",
                PredictOptions {
                    local_class_weight: -0.1,
                    ..d()
                },
            ),
            (
                "lung_margin_mm",
                PredictOptions {
                    lung_margin_mm: f64::NAN,
                    ..d()
                },
            ),
        ];
        for (field, options) in cases {
            let error = options.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Options);
            assert!(error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn the_threshold_moves_with_the_temperature() {
        let options = PredictOptions {
            threshold: 0.6,
            lesion_temperature: 2.0,
            ..PredictOptions::default()
        };
        // The odds 1.5 are squared.
        assert!((options.network_threshold() - 2.25 / 3.25).abs() < 1e-6);
        assert_eq!(PredictOptions::default().network_threshold(), 0.5);
    }

    #[test]
    fn pipelines_parse() {
        for p in Pipeline::ALL {
            assert_eq!(p.name().parse::<Pipeline>().unwrap(), p);
        }
        assert!(
            "local"
                .parse::<Pipeline>()
                .unwrap_err()
                .to_string()
                .contains("cascade")
        );
    }
}
