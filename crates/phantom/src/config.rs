//! Configuration of a phantom.

use crate::{Error, ErrorKind, Result};
use multirnet_base::Ranges;
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};

/// One side of the chest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The patient's right (label 1 in the lung truth).
    Right,
    /// The patient's left (label 2 in the lung truth).
    Left,
}

/// A lobe of the lungs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lobe {
    /// Above both right fissures.
    RightUpper,
    /// Between the right fissures.
    RightMiddle,
    /// Behind the right oblique fissure.
    RightLower,
    /// Before the left oblique fissure.
    LeftUpper,
    /// Behind the left oblique fissure.
    LeftLower,
}

impl Lobe {
    /// The side that the lobe lies on.
    pub fn side(self) -> Side {
        match self {
            Self::RightUpper | Self::RightMiddle | Self::RightLower => Side::Right,
            Self::LeftUpper | Self::LeftLower => Side::Left,
        }
    }
}

/// Everything that makes a phantom. The same configuration gives the same voxels.
///
/// Positions inside the patient are in *reference millimetres*: LPS axes written `[z, y, x]`, for
/// an average adult before [`PatientConfig::scale`]; the carina lies near `[40, 14, 0]`, the lungs
/// reach from about 130 to −150 in z.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomConfig {
    /// Seed of everything irregular: outlines, vessel trees, textures, noise.
    pub seed: u64,
    /// The class recorded as truth; the lesions themselves are in `lesions`.
    pub class: Diagnosis,
    /// Voxels `(z, y, x)`.
    pub shape: [usize; 3],
    /// Millimetres between voxel centres `(z, y, x)`.
    pub spacing_mm: [f64; 3],
    /// LPS position `(X, Y, Z)` of the first voxel's centre.
    pub origin_mm: [f64; 3],
    /// The patient's build and pose.
    pub patient: PatientConfig,
    /// The scanner and its reconstruction.
    pub scanner: ScannerConfig,
    /// Pneumonic opacities, painted and marked in the truth.
    pub lesions: Vec<Lesion>,
    /// Pleural fluid; neither lung nor lesion in the truth.
    pub effusions: Vec<Effusion>,
    /// Other findings; never marked as lesion.
    pub confounders: Confounders,
}

/// The patient's build and pose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientConfig {
    /// LPS position `(X, Y, Z)` of the patient's reference point, mid chest.
    pub position_mm: [f64; 3],
    /// Size relative to the average adult `(z, y, x)`, 0.6 to 1.5.
    pub scale: [f64; 3],
    /// Rotation about the long axis in degrees, −30 to 30.
    pub roll_deg: f64,
    /// Breathing level: 0 full expiration, 1 full inspiration.
    pub inspiration: f64,
    /// Mean thickness of the subcutaneous fat in mm, 1 to 60.
    pub fat_mm: f64,
    /// Muscle thickness relative to the average, 0.3 to 2.
    pub muscle: f64,
    /// Prominence of the breasts in mm, 0 to 80.
    pub breast_mm: f64,
    /// Heart size relative to the average, 0.7 to 1.5.
    pub heart: f64,
    /// Aortic calibre relative to the average, 0.6 to 1.6.
    pub aorta: f64,
    /// HU of the blood pool, 25 to 60 (no contrast medium).
    pub blood_hu: f64,
    /// Mean HU of the lung at full inspiration, −920 to −780.
    pub lung_hu: f64,
    /// HU by which the lung's back is denser than its front, 0 to 150.
    pub gravity_hu: f64,
    /// Share of the stomach that holds gas, 0 to 1.
    pub stomach_gas: f64,
    /// Mean HU of cancellous bone, 60 to 350.
    pub marrow_hu: f64,
    /// Vessel density relative to the average, 0.3 to 2.
    pub vessels: f64,
    /// Visibility of the fissures, 0 to 1.
    pub fissures: f64,
}

/// The scanner and its reconstruction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerConfig {
    /// Thickness of a slice in mm, 0.3 to 15.
    pub thickness_mm: f64,
    /// Standard deviation of the in-plane blur in mm, 0 to 3.
    pub blur_mm: f64,
    /// Edge enhancement of the kernel: 0 none to 2 very sharp.
    pub sharpening: f64,
    /// Standard deviation of the noise at mid chest in HU, 0 to 200.
    pub noise_hu: f64,
    /// Size of the noise's grain in mm, 0.2 to 3.
    pub grain_mm: f64,
    /// Strength of streaks through the shoulders, 0 to 2.
    pub streaks: f64,
    /// Value outside the circular field of view, −4096 to −1000; the field is not cut without it.
    pub padding_hu: Option<i32>,
    /// Whether the couch is seen below the patient.
    pub couch: bool,
    /// Gap between the back and the couch in mm, 0 to 60.
    pub couch_gap_mm: f64,
    /// Amplitude of breathing motion at the lung bases in mm, 0 to 15.
    pub motion_mm: f64,
}

/// One opacity: a rough ellipsoid of ground glass with or without a consolidated core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesion {
    /// Centre `[z, y, x]` in reference mm.
    pub centre_mm: [f64; 3],
    /// Half axes `[z, y, x]` in reference mm before rotation, 1 to 150.
    pub radii_mm: [f64; 3],
    /// Rotation about the long axis in degrees.
    pub yaw_deg: f64,
    /// The lobe that bounds the opacity, if it respects the fissures.
    pub lobe: Option<Lobe>,
    /// The side that it is confined to.
    pub side: Side,
    /// HU of full ground glass, −800 to −200.
    pub ground_glass_hu: f64,
    /// Size of the consolidated core relative to the opacity: 0 none to 1.2 all of it.
    pub core: f64,
    /// HU of full consolidation, −200 to 100.
    pub consolidation_hu: f64,
    /// Irregularity of the outline, 0 to 1.
    pub roughness: f64,
    /// Width of the edge relative to the half axes, 0.02 to 0.6.
    pub softness: f64,
    /// Strength of the reticular network (crazy paving), 0 to 1.
    pub paving: f64,
    /// Shift of the texture. It makes equal ellipsoids look different.
    pub phase: f64,
}

/// Free pleural fluid in the dependent part of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effusion {
    /// The side that the fluid lies on.
    pub side: Side,
    /// Depth of the layer at the lung base in mm, 0 to 60.
    pub depth_mm: f64,
    /// Height above the base at which the fluid ends, in mm, 10 to 250.
    pub height_mm: f64,
    /// HU of the fluid, −10 to 40.
    pub hu: f64,
}

/// A nodule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodule {
    /// Centre `[z, y, x]` in reference mm.
    pub centre_mm: [f64; 3],
    /// Radius in mm, 0.5 to 20.
    pub radius_mm: f64,
    /// HU of the centre, −700 to 900.
    pub hu: f64,
}

/// Findings that are not pneumonia and never marked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confounders {
    /// Strength of dependent atelectasis `[right, left]`, 0 to 1.
    pub atelectasis: [f64; 2],
    /// Depth of dependent atelectasis in mm, 1 to 40.
    pub atelectasis_mm: f64,
    /// Share of the upper lungs destroyed by emphysema, 0 to 1.
    pub emphysema: f64,
    /// Thickening of the pleura at the apices in mm, 0 to 12.
    pub apical_cap_mm: f64,
    /// Nodules.
    pub nodules: Vec<Nodule>,
    /// Scars and plate atelectases as lines from `[z, y, x]` to `[z, y, x]` in reference mm.
    pub scars: Vec<[[f64; 3]; 2]>,
}

impl PhantomConfig {
    /// Checks every field against the range in its documentation.
    ///
    /// # Errors
    /// `Config` that names the field, its value and its range; `Geometry` for an unusable grid.
    pub fn validate(&self) -> Result<()> {
        let p = &self.patient;
        let s = &self.scanner;
        let c = &self.confounders;
        Ranges::new()
            .each_within("shape", &self.shape, 8..=4096)
            .each_within("spacing_mm", &self.spacing_mm, 0.2..=20.0)
            .each_within("origin_mm", &self.origin_mm, -1e5..=1e5)
            .check()?;
        Ranges::of_table("patient")
            .each_within("position_mm", &p.position_mm, -1e5..=1e5)
            .each_within("scale", &p.scale, 0.6..=1.5)
            .within("roll_deg", p.roll_deg, -30.0..=30.0)
            .within("inspiration", p.inspiration, 0.0..=1.0)
            .within("fat_mm", p.fat_mm, 1.0..=60.0)
            .within("muscle", p.muscle, 0.3..=2.0)
            .within("breast_mm", p.breast_mm, 0.0..=80.0)
            .within("heart", p.heart, 0.7..=1.5)
            .within("aorta", p.aorta, 0.6..=1.6)
            .within("blood_hu", p.blood_hu, 25.0..=60.0)
            .within("lung_hu", p.lung_hu, -920.0..=-780.0)
            .within("gravity_hu", p.gravity_hu, 0.0..=150.0)
            .within("stomach_gas", p.stomach_gas, 0.0..=1.0)
            .within("marrow_hu", p.marrow_hu, 60.0..=350.0)
            .within("vessels", p.vessels, 0.3..=2.0)
            .within("fissures", p.fissures, 0.0..=1.0)
            .check()?;
        Ranges::of_table("scanner")
            .within("thickness_mm", s.thickness_mm, 0.3..=15.0)
            .within("blur_mm", s.blur_mm, 0.0..=3.0)
            .within("sharpening", s.sharpening, 0.0..=2.0)
            .within("noise_hu", s.noise_hu, 0.0..=200.0)
            .within("grain_mm", s.grain_mm, 0.2..=3.0)
            .within("streaks", s.streaks, 0.0..=2.0)
            .within("couch_gap_mm", s.couch_gap_mm, 0.0..=60.0)
            .within("motion_mm", s.motion_mm, 0.0..=15.0)
            .within(
                "padding_hu",
                s.padding_hu.map_or(-1000.0, f64::from),
                -4096.0..=-1000.0,
            )
            .check()?;
        Ranges::of_table("confounders")
            .each_within("atelectasis", &c.atelectasis, 0.0..=1.0)
            .within("atelectasis_mm", c.atelectasis_mm, 0.0..=40.0)
            .within("emphysema", c.emphysema, 0.0..=1.0)
            .within("apical_cap_mm", c.apical_cap_mm, 0.0..=12.0)
            .check()?;
        for l in &self.lesions {
            Ranges::of_table("lesions")
                .each_within("centre_mm", &l.centre_mm, -400.0..=400.0)
                .each_within("radii_mm", &l.radii_mm, 1.0..=150.0)
                .within("yaw_deg", l.yaw_deg, -360.0..=360.0)
                .within("ground_glass_hu", l.ground_glass_hu, -800.0..=-200.0)
                .within("core", l.core, 0.0..=1.2)
                .within("consolidation_hu", l.consolidation_hu, -200.0..=100.0)
                .within("roughness", l.roughness, 0.0..=1.0)
                .within("softness", l.softness, 0.02..=0.6)
                .within("paving", l.paving, 0.0..=1.0)
                .within("phase", l.phase, -1e4..=1e4)
                .check()?;
        }
        for e in &self.effusions {
            Ranges::of_table("effusions")
                .within("depth_mm", e.depth_mm, 0.0..=60.0)
                .within("height_mm", e.height_mm, 10.0..=250.0)
                .within("hu", e.hu, -10.0..=40.0)
                .check()?;
        }
        for n in &c.nodules {
            Ranges::of_table("nodules")
                .each_within("centre_mm", &n.centre_mm, -400.0..=400.0)
                .within("radius_mm", n.radius_mm, 0.5..=20.0)
                .within("hu", n.hu, -700.0..=900.0)
                .check()?;
        }
        for scar in c.scars.iter().flatten() {
            Ranges::of_table("confounders")
                .each_within("scars", scar, -400.0..=400.0)
                .check()?;
        }
        if (self.class == Diagnosis::Normal) != self.lesions.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the class is {} with {} lesions",
                    self.class,
                    self.lesions.len()
                ),
            )
            .hint("give a normal phantom no lesions, and a pneumonia at least one"));
        }
        Ok(())
    }

    /// The same phantom on `slices` slices over the same extent (thickness = new spacing).
    ///
    /// # Errors
    /// `Config` as [`PhantomConfig::validate`].
    pub fn with_slices(mut self, slices: usize) -> Result<Self> {
        let extent = self.shape[0] as f64 * self.spacing_mm[0];
        let bottom = self.origin_mm[2] - self.spacing_mm[0] / 2.0;
        self.shape[0] = slices;
        self.spacing_mm[0] = extent / slices.max(1) as f64;
        self.origin_mm[2] = bottom + self.spacing_mm[0] / 2.0;
        self.scanner.thickness_mm = self.spacing_mm[0].clamp(0.3, 15.0);
        self.validate()?;
        Ok(self)
    }
}
