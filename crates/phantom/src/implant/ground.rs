//! A scan that is prepared for lesions.

use super::coarse::Coarse;
use super::config::{ImplantConfig, Region};
use super::hilum::hilum;
use crate::noise::smooth;
use crate::{Error, ErrorKind, Result, Side};
use multirnet_anatomy::{LEFT, RIGHT};
use multirnet_volume::distance::{distance_to_background, distance_to_mask};
use multirnet_volume::morphology::{bounds, dilate, open};
use multirnet_volume::{Geometry, Volume};

/// A real scan, prepared once for the lesions of all variants.
///
/// All fields lie on one canonical grid (z up, y to the back, x to the patient's left).
pub struct Ground {
    pub(super) hu: Volume<f32>,
    /// 1 right, 2 left.
    pub(super) lungs: Volume<u8>,
    /// Distance in mm below the lung's surface; negative outside it.
    pub(super) depth: Volume<f32>,
    /// 0 where no lesion is put, 1 where lesions have their full density. It rises over some
    /// millimetres.
    pub(super) free: Volume<f32>,
    /// 1 in the lumen of airways that the scan shows within the lungs.
    pub(super) lumen: Volume<f32>,
    abnormal_ml: f64,
}

/// Distance in mm from an avoided region over which lesions fade out.
const FADE_MM: f32 = 4.0;

impl Ground {
    /// Prepares `scan` in HU, whose lungs are `lungs` on the same grid (1 right, 2 left; see
    /// `multirnet_anatomy::segment_lungs`). No lesion is put into the regions `avoid`, or where the
    /// lung already looks abnormal.
    ///
    /// # Errors
    /// `Config` as [`ImplantConfig::validate`], for a region that is not in the scan and for values
    /// that are not finite; `Mismatch` if the grids differ; `NoLungs` if the mask has no lungs or
    /// other values than 1 and 2, or if less than 5 % of the lungs is left for lesions.
    pub fn new(
        scan: &Volume<f32>,
        lungs: &Volume<u8>,
        avoid: &[Region],
        config: &ImplantConfig,
    ) -> Result<Self> {
        config.validate()?;
        if scan.check_same_grid(lungs).is_err() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                "the lung mask lies on another grid than the scan",
            ));
        }
        if scan.data().iter().any(|v| !v.is_finite()) {
            return Err(Error::new(
                ErrorKind::Config,
                "the scan has values that are not finite",
            ));
        }
        let mut blocked = avoided(lungs, avoid)?.to_canonical();
        let (hu, lungs) = (scan.to_canonical(), lungs.to_canonical());
        if lungs.data().iter().any(|&v| v > LEFT) || lungs.data().iter().all(|&v| v == 0) {
            return Err(Error::new(
                ErrorKind::NoLungs,
                "the lung mask is empty or has other values than 1 (right) and 2 (left)",
            ));
        }
        let within = distance_to_background(&lungs);
        let beyond = distance_to_mask(&lungs);
        let mut depth = within;
        for (d, b) in depth.data_mut().iter_mut().zip(beyond.data()) {
            *d = if *b > 0.0 { -b.min(20.0) } else { d.min(200.0) };
        }
        let abnormal = abnormal(&hu, &lungs, &depth, config.abnormal_hu as f32)?;
        let count = abnormal.data().iter().filter(|&&v| v != 0).count();
        for (b, a) in blocked.data_mut().iter_mut().zip(abnormal.data()) {
            *b |= a;
        }
        let free = distance_to_mask(&blocked).map(|d| smooth(0.0, FADE_MM, d));
        let open = free
            .data()
            .iter()
            .zip(lungs.data())
            .filter(|(f, l)| **l > 0 && **f > 0.5)
            .count();
        if (open as f64) < 0.05 * lungs.data().iter().filter(|&&l| l > 0).count() as f64 {
            return Err(Error::new(
                ErrorKind::NoLungs,
                "nearly all of the lungs is avoided or already looks abnormal",
            )
            .hint("give a scan of normal or near normal lungs in Hounsfield units"));
        }
        let lumen = lumen(&hu, &lungs);
        Ok(Self {
            abnormal_ml: count as f64 * hu.geometry().voxel_mm3() / 1000.0,
            hu,
            lungs,
            depth,
            free,
            lumen,
        })
    }

    /// Millilitres of lung that already look abnormal.
    pub fn abnormal_ml(&self) -> f64 {
        self.abnormal_ml
    }

    pub(super) fn geometry(&self) -> &Geometry {
        self.hu.geometry()
    }
}

/// Radius in mm around a hilum within which large vessels crowd.
const HILUM_MM: f32 = 38.0;

/// The avoided regions on the scan's own grid.
fn avoided(lungs: &Volume<u8>, avoid: &[Region]) -> Result<Volume<u8>> {
    let [nz, ny, nx] = lungs.shape();
    let mut mask = lungs.map(|_| 0u8);
    for region in avoid {
        let [first, last] = region.slices;
        if first > last || last >= nz {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the slices {first} to {last} to avoid are not in a scan of {nz} slices"),
            )
            .hint("count from 0 in the order of the file, the lower number first"));
        }
        let side = region.side.map(|s| match s {
            Side::Right => RIGHT,
            Side::Left => LEFT,
        });
        let plane = ny * nx;
        let span = first * plane..(last + 1) * plane;
        for (m, &l) in mask.data_mut()[span.clone()]
            .iter_mut()
            .zip(&lungs.data()[span])
        {
            if l > 0 && side.is_none_or(|s| s == l) {
                *m = 1;
            }
        }
    }
    Ok(mask)
}

/// Lung that already looks abnormal: compact regions whose mean over about 5 mm is dense. Single
/// vessels are thinner than that. Regions around the hila do not count, because vessels crowd there.
/// The dependent edge may count; a lesion there could not be told from it.
fn abnormal(
    hu: &Volume<f32>,
    lungs: &Volume<u8>,
    depth: &Volume<f32>,
    limit_hu: f32,
) -> Result<Volume<u8>> {
    let spacing = hu.geometry().spacing_mm().map(|s| s as f32);
    let [_, ny, nx] = hu.shape();
    let mut values: Vec<f32> = hu
        .data()
        .iter()
        .zip(lungs.data())
        .filter(|(_, l)| **l > 0)
        .map(|(v, _)| *v)
        .collect();
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let limit = limit_hu.max(*median + 200.0);
    // Voxels next to the surface are partly chest wall, so they do not count.
    let mean = Coarse::mean(hu.shape(), spacing, 2.5, -1000.0, |i| {
        (depth.data()[i] > 2.0).then(|| hu.data()[i].min(50.0))
    });
    let extents = [RIGHT, LEFT].map(|label| {
        bounds(&lungs.map(|l| u8::from(l == label))).map(|(low, high)| {
            let mm = |index: [usize; 3]| std::array::from_fn(|a| index[a] as f32 * spacing[a]);
            hilum(mm(low), mm(high), label == RIGHT)
        })
    });
    let central = |p: [f32; 3]| {
        extents.iter().flatten().any(|h: &[f32; 3]| {
            (0..3).map(|a| (p[a] - h[a]).powi(2)).sum::<f32>() < HILUM_MM * HILUM_MM
        })
    };
    let dense = Volume::from_fn(*hu.geometry(), |[z, y, x]| {
        let i = (z * ny + y) * nx + x;
        let p = [z, y, x].map(|v| v as f32);
        let p = std::array::from_fn(|a| p[a] * spacing[a]);
        u8::from(lungs.data()[i] > 0 && mean.at(p, spacing) > limit && !central(p))
    });
    let mut compact = dilate(&open(&dense, 2.5), 2.5);
    for (c, l) in compact.data_mut().iter_mut().zip(lungs.data()) {
        *c = u8::from(*c > 0 && *l > 0);
    }
    Ok(compact)
}

/// Airways that the scan shows within the lungs: voxels clearly darker than the lung around them.
fn lumen(hu: &Volume<f32>, lungs: &Volume<u8>) -> Volume<f32> {
    let spacing = hu.geometry().spacing_mm().map(|s| s as f32);
    let [_, ny, nx] = hu.shape();
    let mean = Coarse::mean(hu.shape(), spacing, 6.0, -850.0, |i| {
        (lungs.data()[i] > 0 && hu.data()[i] < -600.0).then(|| hu.data()[i])
    });
    Volume::from_fn(*hu.geometry(), |[z, y, x]| {
        let i = (z * ny + y) * nx + x;
        if lungs.data()[i] == 0 || x == 0 || y == 0 || x + 1 == nx || y + 1 == ny {
            return 0.0;
        }
        // The sum over a cross of five pixels keeps noise from looking like an airway.
        let cross = hu.data()[i]
            + hu.data()[i - 1]
            + hu.data()[i + 1]
            + hu.data()[i - nx]
            + hu.data()[i + nx];
        let p = [z, y, x].map(|v| v as f32);
        let p = std::array::from_fn(|a| p[a] * spacing[a]);
        let below = mean.at(p, spacing) - 0.2 * cross;
        smooth(50.0, 100.0, below) * smooth(-860.0, -930.0, hu.data()[i])
    })
}
