//! The patient's own variations.

/// Single-precision copies of the values that every voxel needs, and the patient's own variations.
pub(super) struct Form {
    pub heart: f32,
    pub blood: f32,
    pub gas: f32,
    pub marrow: f32,
    /// Height by which expiration raises the domes.
    pub rise: f32,
    pub dome: [f32; 2],
    pub kyphosis: f32,
    pub scoliosis: f32,
    pub fissure: [f32; 3],
    pub effusion: [[f32; 3]; 2],
}
