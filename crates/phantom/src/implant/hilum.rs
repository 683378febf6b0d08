//! Position of the hila, estimated from the lungs' extent.

/// About where bronchi and vessels enter a lung that extends from `low` to `high`, in mm.
pub(super) fn hilum(low: [f32; 3], high: [f32; 3], right: bool) -> [f32; 3] {
    let at = |a: usize, t: f32| low[a] + t * (high[a] - low[a]);
    let medial = if right { 0.86 } else { 0.14 };
    [at(0, 0.52), at(1, 0.52), at(2, medial)]
}
