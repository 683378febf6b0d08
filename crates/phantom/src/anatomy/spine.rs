//! The spine's position, bend and phase.

use super::form::Form;
use crate::noise::smooth;

/// The spine's cut at one height.
pub(super) struct Spine {
    pub x: f32,
    pub y: f32,
    /// Phase within vertebra (0 to 0.8) and disc.
    pub phase: f32,
    /// Thickness of the transverse processes, 0 where there are none.
    pub processes: f32,
    pub spinous: f32,
    pub size: f32,
}

impl Spine {
    pub fn new(form: &Form, z: f32) -> Self {
        let size = 1.0 - 0.0011 * (z + 40.0).clamp(-120.0, 180.0);
        let pitch = 23.0;
        let phase = ((z + 400.0) / pitch).rem_euclid(1.0);
        let bend = (z / 150.0 * 1.3).cos();
        Self {
            x: form.scoliosis * (z / 60.0).sin(),
            y: 48.0 + (form.kyphosis + 5.0) * bend
                - 0.07 * (z - 60.0).max(0.0)
                - 0.05 * (-60.0 - z).max(0.0),
            phase,
            processes: 4.6 * smooth(0.12, 0.3, phase) * smooth(0.75, 0.55, phase),
            spinous: 3.4 * smooth(0.02, 0.2, phase) * smooth(1.0, 0.8, phase),
            size,
        }
    }
}
