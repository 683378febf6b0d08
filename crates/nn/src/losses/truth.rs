//! What the losses are computed against.

use burn::tensor::{Device, Int, Tensor};

/// The truth of a batch of windows, and which of it is known.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Lesion voxels, 0 or 1, `[batch, K, d, h, w]`. Channel 0 is ground glass and channel 1
    /// consolidation for K = 2; in windows without kinds every lesion voxel is 1 in all channels.
    pub lesion: Tensor<5>,
    /// `[batch]`: 0 normal, 1 CAP, 2 COVID-19; any of them where the class is not known.
    pub classes: Tensor<1, Int>,
    /// Whether `lesion` is truth at all, for each window.
    pub knows_lesion: Vec<bool>,
    /// Whether the channels of `lesion` tell the kinds apart, for each window.
    pub knows_kinds: Vec<bool>,
    /// Whether the class is known, for each window.
    pub knows_class: Vec<bool>,
}

impl Truth {
    /// A truth of which everything is known.
    ///
    /// # Shapes
    ///
    /// - `lesion`: `[batch, K, d, h, w]`
    /// - `classes`: `[batch]`
    pub fn known(lesion: Tensor<5>, classes: Tensor<1, Int>) -> Self {
        let all = vec![true; lesion.dims()[0]];
        Self {
            lesion,
            classes,
            knows_lesion: all.clone(),
            knows_kinds: all.clone(),
            knows_class: all,
        }
    }
}

/// 1 for each window that `knows`, 0 for the others, `[batch]`.
pub(super) fn weights(knows: &[bool], device: &Device) -> Tensor<1> {
    let weights: Vec<f32> = knows.iter().map(|&k| f32::from(u8::from(k))).collect();
    Tensor::from_floats(weights.as_slice(), device)
}
