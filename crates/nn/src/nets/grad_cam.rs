//! Grad-CAM: the parts of a window that support a class.

use super::multirnet::{MultiRNet, Output};
use burn::tensor::Tensor;

/// Grad-CAM of each of three classes, `ReLU(Σ_k w_kc A_k / N)`, for a classifier that consists of
/// an average over N voxels of the features A and a linear layer. The gradient ∂logit_c/∂A_k is
/// then w_kc / N in every voxel, and so is its mean. All networks use this function.
///
/// `features` holds the A_k one after the other, `voxels` values each. `weights` holds w_kc, three
/// for each k. Weights of further features are ignored.
pub fn class_maps(features: &[f32], voxels: usize, weights: &[f32]) -> [Vec<f32>; 3] {
    [0, 1, 2].map(|class| {
        let mut map = vec![0f32; voxels];
        for (channel, weights) in features.chunks_exact(voxels).zip(weights.chunks_exact(3)) {
            let alpha = weights[class] / voxels as f32;
            map.iter_mut()
                .zip(channel)
                .for_each(|(m, v)| *m += alpha * v);
        }
        map.iter_mut().for_each(|m| *m = m.max(0.0));
        map
    })
}

/// A Grad-CAM heat map for one class of each window.
#[derive(Debug, Clone)]
pub struct GradCam {
    /// `ReLU(Σ_k α_k A_k)` on the class features' grid, not normalised:
    /// `[batch, 1, d/16, h/16, w/16]`.
    pub map: Tensor<5>,
    /// The class that the map of each window explains, `[batch]`.
    pub classes: Vec<usize>,
}

impl MultiRNet {
    /// Runs the net and makes a heat map for a class; see [`explain`](Self::explain).
    ///
    /// # Shapes
    ///
    /// - input: CT in \[0, 1\], `[batch, 1, d, h, w]`, sides multiples of 16
    ///
    /// # Panics
    ///
    /// For the shapes for which [`forward`](Self::forward) panics.
    pub fn grad_cam(&self, x: Tensor<5>, class: Option<usize>) -> (Output, Option<GradCam>) {
        let output = self.forward(x);
        let cam = self.explain(&output, class);
        (output, cam)
    }

    /// Grad-CAM at the last classification module for `class`, or for each window's most likely
    /// class; `None` without classification subnet, or if `class` is not 0, 1 or 2.
    ///
    /// Only an average and a linear layer follow these features A, so [`class_maps`] gives the
    /// gradient without autodiff. With `class_from: mean` the features are the mean over passes.
    pub fn explain(&self, output: &Output, class: Option<usize>) -> Option<GradCam> {
        let from = self.config().class_from;
        let head = &self.classification.as_ref()?.linear;
        let features = output.class_features(from)?;
        let logits = output.class_logits(from)?;
        let [b, c, d, h, w] = features.dims();
        let device = features.device();
        let n = d * h * w;
        let [_, count] = logits.dims();
        let classes: Vec<usize> = match class {
            Some(class) if class < count => vec![class; b],
            Some(_) => return None,
            None => {
                let chosen = logits
                    .argmax(1)
                    .into_data()
                    .iter::<i64>()
                    .collect::<Vec<_>>();
                chosen.into_iter().map(|c| c as usize).collect()
            }
        };
        let values =
            |tensor: Tensor<1>| tensor.into_data().convert::<f32>().try_to_vec::<f32>().ok();
        let weights = values(head.weight.val().flatten(0, 1))?;
        let features = values(features.flatten(0, 4))?;
        let mut map: Vec<f32> = Vec::with_capacity(b * n);
        for (window, class) in features.chunks_exact(c * n).zip(&classes) {
            map.extend_from_slice(&class_maps(window, n, &weights)[*class]);
        }
        let map = Tensor::<1>::from_data(map.as_slice(), &device).reshape([b, 1, d, h, w]);
        Some(GradCam { map, classes })
    }
}
