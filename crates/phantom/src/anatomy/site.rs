//! Distances of a point to the great surfaces.

use crate::noise::lerp;

/// Signed distances (positive inside, about millimetres) of one point to the great surfaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    /// Within the pleural outline of the cage.
    pub cage: f32,
    /// Within the mediastinum and the spine's column.
    pub mediastinum: f32,
    /// Above the diaphragm.
    pub diaphragm: f32,
    /// Within a lung.
    pub lung: f32,
    /// Above the oblique fissure.
    pub oblique: f32,
    /// Above the horizontal fissure; far from it in the left lung.
    pub minor: f32,
}

impl Site {
    /// Bilinear mean of four sites.
    #[inline]
    pub fn between(corners: [Site; 4], u: f32, v: f32) -> Site {
        let mix = |f: fn(&Site) -> f32| {
            lerp(
                lerp(f(&corners[0]), f(&corners[1]), u),
                lerp(f(&corners[2]), f(&corners[3]), u),
                v,
            )
        };
        Site {
            cage: mix(|s| s.cage),
            mediastinum: mix(|s| s.mediastinum),
            diaphragm: mix(|s| s.diaphragm),
            lung: mix(|s| s.lung),
            oblique: mix(|s| s.oblique),
            minor: mix(|s| s.minor),
        }
    }
}
