//! The ground truth of a batch of windows.

use burn::tensor::{Device, Int, Tensor};

/// The ground truth of a batch of windows, with flags for the parts that are known.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Lesion voxels, 0 or 1, `[batch, K, d, h, w]`. For K = 2 channel 0 is ground glass and
    /// channel 1 consolidation. In windows without kinds every lesion voxel is 1 in all channels.
    pub lesion: Tensor<5>,
    /// Classes `[batch]`: 0 normal, 1 CAP, 2 COVID-19. If the class is not known, any of them.
    pub classes: Tensor<1, Int>,
    /// Whether the lesions are known, for each window.
    pub knows_lesion: Vec<bool>,
    /// Whether the channels of `lesion` tell the kinds apart, for each window.
    pub knows_kinds: Vec<bool>,
    /// Whether the class is known, for each window.
    pub knows_class: Vec<bool>,
}

impl Truth {
    /// A truth in which everything is known.
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

/// 1 for each window that is true in `knows`, 0 for the others, `[batch]`.
pub(super) fn weights(knows: &[bool], device: &Device) -> Tensor<1> {
    let weights: Vec<f32> = knows.iter().map(|&k| f32::from(u8::from(k))).collect();
    Tensor::from_floats(weights.as_slice(), device)
}
