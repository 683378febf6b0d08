//! Checks that the values are Hounsfield units of a body with air in and around it.

use crate::{Error, ErrorKind, Result};
use multirnet_volume::Volume;
use rayon::prelude::*;

/// Air and aerated lung lie below this.
const AIR_HU: f32 = -700.0;
/// Fat, muscle, blood and organs lie between these.
const TISSUE_HU: [f32; 2] = [-200.0, 250.0];
/// Least share of the voxels that are air, and least share that are tissue.
const LEAST: f64 = 0.005;
/// Range of all CT numbers, metal and padding included.
const LIMITS: [f32; 2] = [-32_768.0, 65_535.0];
/// A scan with more than 1 % of its voxels above this is not in Hounsfield units.
const BRIGHT_HU: f32 = 3100.0;

/// Counts over all voxels. A chunk with values that are not finite fills only `nan` and `infinite`.
#[derive(Clone, Copy)]
struct Census {
    nan: usize,
    infinite: usize,
    low: f32,
    high: f32,
    air: usize,
    tissue: usize,
    bright: usize,
    /// Voxels from 850 to 1250, where tissue lies if 1024 was not subtracted.
    raised_tissue: usize,
}

impl Census {
    const EMPTY: Self = Self {
        nan: 0,
        infinite: 0,
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
        air: 0,
        tissue: 0,
        bright: 0,
        raised_tissue: 0,
    };

    /// Counts `values`. Each count has a simple loop of its own, which the compiler can vectorise.
    fn of(values: &[f32]) -> Self {
        let count = |test: fn(f32) -> bool| values.iter().map(|&v| u32::from(test(v))).sum::<u32>();
        let mut c = Self::EMPTY;
        if count(|v| !v.is_finite()) > 0 {
            c.nan = count(f32::is_nan) as usize;
            c.infinite = count(f32::is_infinite) as usize;
            return c;
        }
        for &v in values {
            c.low = if v < c.low { v } else { c.low };
            c.high = if v > c.high { v } else { c.high };
        }
        c.air = count(|v| v < AIR_HU) as usize;
        c.tissue = count(|v| v > TISSUE_HU[0] && v < TISSUE_HU[1]) as usize;
        c.bright = count(|v| v > BRIGHT_HU) as usize;
        c.raised_tissue = count(|v| v > 850.0 && v < 1250.0) as usize;
        c
    }

    fn join(self, other: Self) -> Self {
        Self {
            nan: self.nan + other.nan,
            infinite: self.infinite + other.infinite,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            air: self.air + other.air,
            tissue: self.tissue + other.tissue,
            bright: self.bright + other.bright,
            raised_tissue: self.raised_tissue + other.raised_tissue,
        }
    }
}

/// Refuses a scan that is not a CT in Hounsfield units. Returns the smallest and the largest value.
pub(super) fn check(scan: &Volume<f32>) -> Result<[f64; 2]> {
    let census = scan
        .data()
        .par_chunks(1 << 12)
        .with_min_len(16)
        .map(Census::of)
        .reduce(|| Census::EMPTY, Census::join);
    let total = scan.data().len();
    let refuse =
        |reason: String, hint: &str| Err(Error::new(ErrorKind::Intensity, reason).hint(hint));
    if census.nan + census.infinite > 0 {
        return refuse(
            format!(
                "{} of {total} values are NaN and {} are infinite",
                census.nan, census.infinite
            ),
            "convert the scan again from its DICOM series; padding should be -1024",
        );
    }
    let (low, high) = (census.low, census.high);
    if low == high {
        return refuse(
            format!("all {total} values are {low}: the scan is empty"),
            "check that the file holds the image and not an empty mask",
        );
    }
    if low >= -1.5 && high <= 1.5 {
        return refuse(
            format!("the values run from {low} to {high}: they were scaled, not Hounsfield units"),
            "give the CT in Hounsfield units, or state that its intensity is \"unit\" and give a \
             lung mask",
        );
    }
    let whole = || scan.data().par_iter().all(|v| v.fract() == 0.0);
    if low >= 0.0 && high <= 255.0 && whole() {
        return refuse(
            format!(
                "the values are whole numbers from {low} to {high}: an 8-bit image of one grey \
                 window, or a mask, not Hounsfield units"
            ),
            "give the CT in Hounsfield units, or state that its intensity is \"unit\" and give a \
             lung mask",
        );
    }
    if low < LIMITS[0] || high > LIMITS[1] {
        return refuse(
            format!("the values run from {low} to {high}, beyond what a CT can hold"),
            "check slope and intercept in the file's header",
        );
    }
    let share = |n: usize| n as f64 / total as f64;
    if share(census.air) < LEAST {
        if low > -100.0 && share(census.raised_tissue) > 0.05 {
            return refuse(
                format!(
                    "no value lies near air (-1000 HU) and {:.0} % lie from 850 to 1250: the \
                     values run from {low} to {high} and look as if 1024 had not been subtracted",
                    100.0 * share(census.raised_tissue)
                ),
                "apply the DICOM rescale slope and intercept (usually 1 and -1024)",
            );
        }
        return refuse(
            format!(
                "only {:.2} % of the values lie below {AIR_HU} HU, but a chest CT has more air \
                 (the values run from {low} to {high})",
                100.0 * share(census.air)
            ),
            "check that this is a CT in Hounsfield units and that it was not clipped to a soft \
             tissue window",
        );
    }
    if share(census.tissue) < LEAST {
        return refuse(
            format!(
                "only {:.2} % of the values lie between {} and {} HU, but a chest CT has more \
                 soft tissue (the values run from {low} to {high})",
                100.0 * share(census.tissue),
                TISSUE_HU[0],
                TISSUE_HU[1]
            ),
            "check slope and intercept in the file's header",
        );
    }
    if share(census.bright) > 0.01 {
        return refuse(
            format!(
                "{:.1} % of the values lie above {BRIGHT_HU} HU, denser than bone",
                100.0 * share(census.bright)
            ),
            "check slope and intercept in the file's header",
        );
    }
    Ok([f64::from(low), f64::from(high)])
}
