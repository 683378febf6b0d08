//! Prepares a scan for the network: cuts out its two views (SPEC 3).

use crate::gate::{GateConfig, GateReport, check_lungs, check_scan};
use crate::part::{Beyond, Part};
use crate::step::{Step, Watch, tell};
use crate::{Error, ErrorKind, LungConfig, Result, segment_lungs_watched};
use multirnet_base::Ranges;
use multirnet_volume::morphology::bounds;
use multirnet_volume::{Geometry, Orientation, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What a scan's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intensity {
    /// Hounsfield units.
    #[default]
    Hu,
    /// Already scaled grey values, 0..1 or 0..255 (divided by 255 when the largest exceeds 1.5).
    /// The gate does not judge them, and the caller must give a lung mask.
    Unit,
}

/// What the network sees beyond the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeyondScan {
    /// The nearest scanned voxel, repeated (ours). A scan that ends within the lungs then does not
    /// have an edge there. Beside an edge to air, networks mark half a lung.
    #[default]
    Repeat,
    /// Air.
    Air,
}

/// How a scan is prepared. Training and inference must use the same configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrepareConfig {
    /// Values scaled to 0 and 1 (ours: the paper does not state its window).
    pub window_hu: [f64; 2],
    /// Spacing of the local view `(z, y, x)` in millimetres (ours).
    pub spacing_mm: [f64; 3],
    /// Margin around the lungs in millimetres (ours).
    pub margin_mm: f64,
    /// Shape of the global view `(z, y, x)` (the paper's input size).
    pub global_shape: [usize; 3],
    /// What lies beyond the ends of the scan and outside its field of view (ours).
    pub beyond_scan: BeyondScan,
    /// Least height of the global view's box in millimetres where the scan cuts the lungs and its
    /// ends are repeated (ours). A thin slab then keeps the proportions of a chest.
    pub least_height_mm: f64,
    /// What the scan's values are.
    pub intensity: Intensity,
    /// Limits of the input gate.
    pub gate: GateConfig,
    /// How the lungs are found.
    pub lungs: LungConfig,
}

impl Default for PrepareConfig {
    fn default() -> Self {
        Self {
            window_hu: [-1000.0, 400.0],
            spacing_mm: [2.5, 1.5, 1.5],
            margin_mm: 10.0,
            global_shape: [32, 96, 96],
            beyond_scan: BeyondScan::Repeat,
            least_height_mm: 160.0,
            intensity: Intensity::Hu,
            gate: GateConfig::default(),
            lungs: LungConfig::default(),
        }
    }
}

impl PrepareConfig {
    fn validate(&self) -> Result<()> {
        let [low, high] = self.window_hu;
        let rises = low.is_finite() && high.is_finite() && low < high;
        Ok(Ranges::of_table("prepare")
            .require(
                rises,
                "window_hu",
                self.window_hu,
                "two values, the lower one first",
            )
            .each_within("spacing_mm", &self.spacing_mm, 0.2..=20.0)
            .within("margin_mm", self.margin_mm, 0.0..=200.0)
            .within("least_height_mm", self.least_height_mm, 0.0..=1000.0)
            .each_within("global_shape", &self.global_shape, 1..=1024)
            .check()?)
    }
}

/// A scan as the network sees it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Lung mask (1 right, 2 left) on the scan's own grid and orientation.
    pub lungs: Volume<u8>,
    /// The lung box with its margin in canonical orientation at the working spacing, in [0, 1].
    pub local: Volume<f32>,
    /// Lung mask on the grid of `local`.
    pub local_lungs: Volume<u8>,
    /// The same box resized to the global shape, in [0, 1]. It is higher than the box of `local`
    /// for a thin slab ([`PrepareConfig::least_height_mm`]). It keeps its geometry, so resampling
    /// leads back to the scan.
    pub global: Volume<f32>,
    /// Lung mask on the grid of `global`. It and `local_lungs` are 0 beyond the scan.
    pub global_lungs: Volume<u8>,
    /// What the views show beyond the scan.
    pub beyond_scan: BeyondScan,
    /// What the gate found.
    pub report: GateReport,
}

/// Checks `scan`, finds its lungs unless `lungs` gives them, and cuts out the two views. In
/// `lungs`, 1 is the right lung, 2 the left one, and any other value but 0 is lung of an unknown
/// side.
///
/// # Errors
/// `Grid`, `Intensity` or `NoLungs` if the gate refuses the scan; `Mismatch` if `lungs` is not on
/// the scan's grid; `NoLungs` if it is empty or if [`Intensity::Unit`] comes without it; `Config`
/// if a value of `config` is out of its range.
pub fn prepare(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    config: &PrepareConfig,
) -> Result<Prepared> {
    prepare_watched(scan, lungs, config, &mut |_| true)
}

/// [`prepare`] with progress: calls `watch` before each part of the work, which can stop it.
///
/// # Errors
/// As [`prepare`], and `Interrupted` if `watch` returns false.
pub fn prepare_watched(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    config: &PrepareConfig,
    watch: &mut Watch<'_>,
) -> Result<Prepared> {
    config.validate()?;
    let (report, lungs) = gate(scan, lungs, config, watch)?;
    views(scan, lungs, report, config, watch)
}

fn views(
    scan: &Volume<f32>,
    lungs: Volume<u8>,
    report: GateReport,
    config: &PrepareConfig,
    watch: &mut Watch<'_>,
) -> Result<Prepared> {
    tell(watch, Step::Views)?;
    let (scale, shift) = scaling(scan, config);
    let air = match config.intensity {
        Intensity::Hu => config.window_hu[0] as f32,
        Intensity::Unit => 0.0,
    };
    let repeat = config.beyond_scan == BeyondScan::Repeat;
    // The gate knows the smallest value. Scans without padding skip the search for it.
    let padded = repeat && report.range_hu[0] < UNSCANNED_HU;
    let value = |hu: f32| {
        if padded && f64::from(hu) < UNSCANNED_HU {
            f32::NAN
        } else {
            (hu * scale + shift).clamp(0.0, 1.0)
        }
    };
    let target = lungs.geometry().reoriented(Orientation::CANONICAL);
    let (low, high) = bounds(&lungs).ok_or_else(|| {
        Error::new(ErrorKind::NoLungs, "the lung mask is empty").hint("give a mask that marks lung")
    })?;
    // The box in canonical order, from two opposite corners in world millimetres.
    let corners = [low, high].map(|b| {
        let world = scan.geometry().index_to_world(b.map(|v| v as f64));
        target.world_to_index(world).map(|v| v.round() as i64)
    });
    let spacing = target.spacing_mm();
    let (mut start, mut shape) = ([0i64; 3], [0usize; 3]);
    for a in 0..3 {
        let margin = (config.margin_mm / spacing[a]).round() as i64;
        let (p, q) = (corners[0][a], corners[1][a]);
        start[a] = p.min(q) - margin;
        shape[a] = ((p - q).unsigned_abs() as i64 + 1 + 2 * margin) as usize;
    }
    let local = target.window(start, shape)?;
    let last = target.shape()[0] as i64 - 1;
    let [p, q] = corners.map(|c| c[0]);
    let cut = [p.min(q) <= 0, p.max(q) >= last];
    let missing = config.least_height_mm - shape[0] as f64 * spacing[0];
    let taller = if repeat && missing > 0.0 && cut.contains(&true) {
        let share = missing / if cut == [true; 2] { 2.0 } else { 1.0 };
        let more = (share / spacing[0]).ceil() as usize;
        let [below, above] = cut.map(|end| if end { more } else { 0 });
        let start = [start[0] - below as i64, start[1], start[2]];
        let shape = [shape[0] + below + above, shape[1], shape[2]];
        Some(target.window(start, shape)?)
    } else {
        None
    };
    let [(local, local_lungs), (global, global_lungs)] = {
        let coarse = taller.as_ref().unwrap_or(&local);
        let grids = [
            local.with_spacing(config.spacing_mm)?,
            coarse.with_shape(config.global_shape)?,
        ];
        let masks = grids.map(|grid| lungs.resample_nearest(&grid, 0));
        tell(watch, Step::Views)?;
        let images = if repeat && !padded {
            // The usual case needs no copy of the box at the scan's spacing.
            grids.map(|grid| scan.resample_repeated(&grid, value))
        } else {
            let beyond = if repeat {
                Beyond::Repeat
            } else {
                Beyond::Value(air)
            };
            let image_of = |grid: Geometry| {
                let mut image = Part::new(scan.geometry(), grid).cut(scan, beyond, value);
                if padded {
                    fill_unscanned(&mut image);
                }
                image
            };
            let image = image_of(local);
            let coarse = taller.map(image_of);
            [
                image.resample_linear(&grids[0], 0.0),
                coarse
                    .as_ref()
                    .unwrap_or(&image)
                    .resample_linear(&grids[1], 0.0),
            ]
        };
        let [a, b] = images;
        let [c, d] = masks;
        [(a, c), (b, d)]
    };
    Ok(Prepared {
        local,
        local_lungs,
        global,
        global_lungs,
        beyond_scan: config.beyond_scan,
        lungs,
        report,
    })
}

/// Values below this are padding outside the scanner's field of view, not air. Scanners write
/// −2000, −2048 or −3024 there.
const UNSCANNED_HU: f64 = -1500.0;

/// Replaces NaN voxels. Those before the first scanned voxel of a row take its value; the others
/// take the scanned voxel before them. A row without scanned voxels takes the nearest row of its
/// slice that has some. A slice without any becomes air (0).
fn fill_unscanned(image: &mut Volume<f32>) {
    let [_, ny, nx] = image.shape();
    image
        .data_mut()
        .par_chunks_mut(ny * nx)
        .filter(|plane| plane.iter().any(|v: &f32| v.is_nan()))
        .for_each(|plane| {
            let mut filled = Vec::new();
            for (y, row) in plane.chunks_exact_mut(nx).enumerate() {
                let Some(first) = row.iter().position(|v| !v.is_nan()) else {
                    continue;
                };
                filled.push(y);
                let value = row[first];
                row[..first].fill(value);
                let mut value = value;
                for v in row[first..].iter_mut() {
                    if v.is_nan() {
                        *v = value;
                    }
                    value = *v;
                }
            }
            for y in (0..ny).filter(|y| !filled.contains(y)).collect::<Vec<_>>() {
                match filled.iter().min_by_key(|f| f.abs_diff(y)) {
                    Some(&f) => plane.copy_within(f * nx..(f + 1) * nx, y * nx),
                    None => plane[y * nx..(y + 1) * nx].fill(0.0),
                }
            }
        });
}

impl Prepared {
    /// Resamples a label map of the scan onto the grids of the local and the global view, by
    /// nearest neighbour. Beyond the scan it is repeated or 0, as the views are.
    ///
    /// # Errors
    /// `Mismatch` if `mask` is not on the scan's grid.
    pub fn labels(&self, mask: &Volume<u8>) -> Result<(Volume<u8>, Volume<u8>)> {
        self.lungs.check_same_grid(mask).map_err(|e| {
            Error::new(
                ErrorKind::Mismatch,
                format!("the mask is not on the scan's grid: {e}"),
            )
            .hint("resample the mask onto the scan first")
        })?;
        let views = [&self.local, &self.global].map(|view| -> Result<_> {
            let grid = view.geometry();
            if self.beyond_scan == BeyondScan::Air {
                return Ok(mask.resample_nearest(grid, 0));
            }
            // A lesion at the end of the scan continues in the repeated slices, as the image does.
            let part = Part::around(mask.geometry(), grid)?;
            let whole = part.cut(mask, Beyond::Repeat, |v| v);
            Ok(whole.resample_nearest(grid, 0))
        });
        let [local, global] = views;
        Ok((local?, global?))
    }
}

fn gate(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    config: &PrepareConfig,
    watch: &mut Watch<'_>,
) -> Result<(GateReport, Volume<u8>)> {
    tell(watch, Step::Check)?;
    if let Some(mask) = lungs {
        scan.check_same_grid(mask).map_err(|e| {
            Error::new(
                ErrorKind::Mismatch,
                format!("the lung mask is not on the scan's grid: {e}"),
            )
            .hint("resample the lung mask onto the scan first")
        })?;
    }
    match (config.intensity, lungs) {
        (Intensity::Unit, None) => Err(Error::new(
            ErrorKind::NoLungs,
            "lungs cannot be found in grey values that are not Hounsfield units",
        )
        .hint("give a lung mask along with the scan")),
        (Intensity::Unit, Some(mask)) => {
            let canonical = scan.geometry().reoriented(Orientation::CANONICAL);
            let report = GateReport {
                warnings: vec![
                    "The values are not Hounsfield units: the input gate did not judge them."
                        .to_owned(),
                ],
                shape: canonical.shape(),
                spacing_mm: canonical.spacing_mm(),
                ..GateReport::default()
            };
            Ok((report, mask.clone()))
        }
        (Intensity::Hu, mask) => {
            let mut report = check_scan(scan, &config.gate)?;
            let lungs = match mask {
                Some(mask) => mask.clone(),
                None => segment_lungs_watched(scan, &config.lungs, watch)?,
            };
            tell(watch, Step::Check)?;
            check_lungs(scan, &lungs, &config.gate, &mut report)?;
            Ok((report, lungs))
        }
    }
}

/// Factor and summand that take the scan's values to [0, 1].
fn scaling(scan: &Volume<f32>, config: &PrepareConfig) -> (f32, f32) {
    match config.intensity {
        Intensity::Hu => {
            let [low, high] = config.window_hu;
            let scale = 1.0 / (high - low);
            (scale as f32, (-low * scale) as f32)
        }
        Intensity::Unit => {
            let bytes = scan.data().iter().any(|&v| v > 1.5);
            (if bytes { 1.0 / 255.0 } else { 1.0 }, 0.0)
        }
    }
}
