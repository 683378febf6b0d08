//! Configuration of implanted lesions.

use crate::{Result, Side};
use multirnet_base::Ranges;
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};

/// How lesions are put into real lungs. All values are ours.
///
/// A pair is a range `[low, high]` from which each variant draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImplantConfig {
    /// Share of a scan's variants that get no lesion and the class normal, 0 to 1.
    pub normal_share: f64,
    /// Share of a scan's variants that get the class CAP, 0 to 1; the rest is COVID-19.
    pub cap_share: f64,
    /// Share of the lungs' volume that stays without lesion in every variant, 0.1 to 0.99.
    pub clear_share: f64,
    /// Share of COVID-19 variants with large, faint, confluent ground glass, 0 to 1.
    pub faint_share: f64,
    /// Target share of the lungs' volume, drawn uniformly in its logarithm, 0.0005 to 0.9.
    pub involvement: [f64; 2],
    /// HU by which full ground glass exceeds the lung around it, drawn uniformly in its logarithm, 40
    /// to 650.
    pub ground_glass_hu: [f64; 2],
    /// HU of full consolidation, −100 to 100.
    pub consolidation_hu: [f64; 2],
    /// Width in mm over which ground glass fades out, 0.5 to 20.
    pub edge_mm: [f64; 2],
    /// HU by which ground glass must exceed the local lung, in the mean over some millimetres, to be
    /// labelled, 20 to 300.
    pub contrast_hu: f64,
    /// HU above which the mean over some millimetres counts as abnormal, −800 to −200. The limit is
    /// at least 200 HU above the lungs' median. No lesion is put into abnormal lung.
    pub abnormal_hu: f64,
    /// How the scan itself is varied.
    pub background: BackgroundConfig,
}

/// How the scan is varied before and after lesions are put into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackgroundConfig {
    /// Whether the scan is varied at all. If not, all other fields are ignored. The voxels then keep
    /// their places and, outside lesions, their values.
    pub vary: bool,
    /// Millimetres between pixels, 0.5 to 4.
    pub pixel_mm: [f64; 2],
    /// Thickness and distance of slices in mm, drawn uniformly in its logarithm, 0.8 to 10. Slices
    /// are not made thinner than 0.6 times the scan's.
    pub slice_mm: [f64; 2],
    /// Stretching per axis, 0.6 to 1.6.
    pub scale: [f64; 2],
    /// Largest rotation about the long axis in degrees, 0 to 30. Rotations about the other axes reach
    /// half of it.
    pub rotation_deg: f64,
    /// Amplitude of an elastic deformation in mm, 0 to 15.
    pub elastic_mm: f64,
    /// Mean HU of aerated lung (the breathing level), −950 to −550. The shift is limited to 110 HU.
    pub lung_hu: [f64; 2],
    /// Dependent density: HU that are added at the lungs' back and fade towards the front, −50 to
    /// 200.
    pub dependent_hu: [f64; 2],
    /// Reconstruction kernel: −1 smooths, 0 keeps, 1 sharpens; −1 to 1.
    pub kernel: [f64; 2],
    /// Standard deviation in HU of noise that is added, 0 to 100.
    pub noise_hu: [f64; 2],
    /// Margin in mm that is kept around the lungs, 5 to 200.
    pub margin_mm: [f64; 2],
}

impl Default for ImplantConfig {
    fn default() -> Self {
        Self {
            normal_share: 0.2,
            cap_share: 0.3,
            clear_share: 0.5,
            faint_share: 0.35,
            involvement: [0.004, 0.45],
            ground_glass_hu: [100.0, 480.0],
            consolidation_hu: [5.0, 60.0],
            edge_mm: [2.0, 8.0],
            contrast_hu: 60.0,
            abnormal_hu: -600.0,
            background: BackgroundConfig::default(),
        }
    }
}

impl Default for BackgroundConfig {
    fn default() -> Self {
        Self {
            vary: true,
            pixel_mm: [1.2, 1.8],
            slice_mm: [1.5, 5.0],
            scale: [0.88, 1.12],
            rotation_deg: 6.0,
            elastic_mm: 4.0,
            lung_hu: [-900.0, -720.0],
            dependent_hu: [0.0, 60.0],
            kernel: [-1.0, 0.8],
            noise_hu: [0.0, 25.0],
            margin_mm: [15.0, 45.0],
        }
    }
}

impl ImplantConfig {
    /// Checks every field against the range in its documentation.
    ///
    /// # Errors
    /// `Config` that names the field, its value and its range.
    pub fn validate(&self) -> Result<()> {
        Ranges::new()
            .within("normal_share", self.normal_share, 0.0..=1.0)
            .within("cap_share", self.cap_share, 0.0..=1.0)
            .within(
                "normal_share + cap_share",
                self.normal_share + self.cap_share,
                0.0..=1.0,
            )
            .within("clear_share", self.clear_share, 0.1..=0.99)
            .within("faint_share", self.faint_share, 0.0..=1.0)
            .ordered_within("involvement", self.involvement, 0.0005..=0.9)
            .ordered_within("ground_glass_hu", self.ground_glass_hu, 40.0..=650.0)
            .ordered_within("consolidation_hu", self.consolidation_hu, -100.0..=100.0)
            .ordered_within("edge_mm", self.edge_mm, 0.5..=20.0)
            .within("contrast_hu", self.contrast_hu, 20.0..=300.0)
            .within("abnormal_hu", self.abnormal_hu, -800.0..=-200.0)
            .check()?;
        let b = &self.background;
        Ok(Ranges::of_table("background")
            .ordered_within("pixel_mm", b.pixel_mm, 0.5..=4.0)
            .ordered_within("slice_mm", b.slice_mm, 0.8..=10.0)
            .ordered_within("scale", b.scale, 0.6..=1.6)
            .within("rotation_deg", b.rotation_deg, 0.0..=30.0)
            .within("elastic_mm", b.elastic_mm, 0.0..=15.0)
            .ordered_within("lung_hu", b.lung_hu, -950.0..=-550.0)
            .ordered_within("dependent_hu", b.dependent_hu, -50.0..=200.0)
            .ordered_within("kernel", b.kernel, -1.0..=1.0)
            .ordered_within("noise_hu", b.noise_hu, 0.0..=100.0)
            .ordered_within("margin_mm", b.margin_mm, 5.0..=200.0)
            .check()?)
    }

    /// The class of variant `variant` of a scan. The variants of each scan follow the shares as nearly
    /// as their number allows, for any `start` (for example the scan's seed).
    pub fn class_of(&self, start: u64, variant: u64) -> Diagnosis {
        // Multiples of the golden ratio fill the unit interval evenly.
        let first = (start >> 11) as f64 / (1u64 << 53) as f64;
        let place = (first + variant as f64 * 0.618_033_988_749_894_9).fract();
        if place < self.normal_share {
            Diagnosis::Normal
        } else if place < self.normal_share + self.cap_share {
            Diagnosis::Cap
        } else {
            Diagnosis::Covid19
        }
    }
}

/// A part of a scan that gets no lesions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The lung concerned; both if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// First and last slice, both included, counted from 0 in the order of the file.
    pub slices: [usize; 2],
    /// Why the region is avoided, for the reader.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// The avoided regions of several scans, as read from a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvoidList {
    /// One entry per scan.
    #[serde(default)]
    pub scan: Vec<ScanRegions>,
}

/// The avoided regions of one scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanRegions {
    /// The scan file's name without its ending and without a final `_ct` or `-ct`.
    pub name: String,
    /// The regions to avoid; none for a clean scan.
    #[serde(default)]
    pub avoid: Vec<Region>,
}

impl AvoidList {
    /// The regions of the scan `name`; none if the list does not have it.
    pub fn regions_in(&self, name: &str) -> &[Region] {
        self.scan
            .iter()
            .find(|s| s.name == name)
            .map_or(&[], |s| &s.avoid)
    }
}
