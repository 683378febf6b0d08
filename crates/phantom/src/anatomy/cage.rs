//! Where ribs and scapulae lie around the trunk.

use crate::noise::smooth;

/// Material of the cage's band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RibKind {
    None,
    Bone,
    Cartilage,
}

/// Signed height in mm from the nearest rib at `turn` (0 back, 1 front) of the cage.
pub(super) fn rib(turn: f32, z: f32) -> (f32, RibKind) {
    let mut best = (f32::MAX, RibKind::None);
    let slope = std::f32::consts::FRAC_PI_2 / 0.8;
    let axis = 0.5 * (turn.min(0.8) * slope).sin() + 0.5 * turn / 0.8;
    for k in 0..12 {
        let end = [
            0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.95, 0.9, 0.85, 0.5, 0.36,
        ][k];
        if turn > end {
            continue;
        }
        let k = k as f32;
        let fall = 62.0 + 13.0 * k.min(5.0);
        let mut height = 122.0 - 23.0 * k - fall * axis;
        let (bone_end, lift) = (0.74 - 0.012 * k, 6.0 * (k - 2.0).max(0.0));
        if turn > bone_end {
            let t = (turn - bone_end) / (1.0 - bone_end);
            height += lift * t * t;
        }
        // Distance across the sloping band rather than along the patient's axis.
        let lean = (1.0 - 0.42 * (1.0 - axis)).clamp(0.5, 0.95);
        let off = (z - height) * lean;
        if off.abs() < best.0.abs() {
            let kind = if turn > bone_end {
                RibKind::Cartilage
            } else {
                RibKind::Bone
            };
            best = (off, kind);
        }
    }
    best
}

/// Middle radius and half thickness of the scapula at `turn` of the trunk.
pub(super) fn scapula(turn: f32, z: f32, pleura: f32, muscle: f32) -> [f32; 2] {
    let (low, high) = (-18.0, 112.0);
    if !(low..high).contains(&z) {
        return [0.0; 2];
    }
    let t = (z - low) / (high - low);
    let (medial, lateral) = (0.27 - 0.03 * t, 0.31 + 0.15 * t);
    if turn < medial || turn > lateral {
        return [0.0; 2];
    }
    let u = (turn - medial) / (lateral - medial);
    let half = 1.7 + 3.2 * smooth(0.72, 1.0, u) + 1.2 * smooth(0.12, 0.0, u);
    let end = smooth(0.0, 0.06, u) * smooth(1.0, 0.95, u);
    let room = (muscle - pleura - 14.0).max(4.0);
    [pleura + 13.0 + room * (0.28 + 0.3 * t * u), half * end]
}
