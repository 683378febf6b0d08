//! Grad-CAM: which part of the window speaks for a class.

use super::multirnet::{MultiRNet, Output};
use burn::tensor::{Int, Tensor};

/// A heat map for one class of each window.
#[derive(Debug, Clone)]
pub struct GradCam {
    /// `ReLU(Σ_k α_k A_k)` on the class features' grid, not normalised:
    /// `[batch, 1, d/16, h/16, w/16]`.
    pub map: Tensor<5>,
    /// The class explained in each window, `[batch]`.
    pub classes: Vec<usize>,
}

impl MultiRNet {
    /// Runs the net and explains a class; see [`explain`](Self::explain).
    ///
    /// # Shapes
    ///
    /// - input: CT in \[0, 1\], `[batch, 1, d, h, w]`, sides multiples of 16
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn grad_cam(&self, x: Tensor<5>, class: Option<usize>) -> (Output, Option<GradCam>) {
        let output = self.forward(x);
        let cam = self.explain(&output, class);
        (output, cam)
    }

    /// Grad-CAM at the last classification module for `class`, or for each window's most likely
    /// class; `None` without classification subnet, or when `class` is not 0, 1 or 2.
    ///
    /// Behind those features A there are only averages and a linear layer, so the gradient is
    /// known without autodiff: ∂logit_c/∂A_k = w_kc / N in each of N voxels, and its mean α_k is
    /// the same number. With `class_from: mean` the features are the passes' mean.
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
        let index: Vec<i64> = classes.iter().map(|c| *c as i64).collect();
        let index = Tensor::<1, Int>::from_data(index.as_slice(), &device);
        // [features, classes] → the chosen classes' columns → [batch, 1, features]
        let alpha = head
            .weight
            .val()
            .narrow(0, 0, c)
            .select(1, index)
            .transpose()
            .reshape([b, 1, c])
            .div_scalar(n as f64);
        let map = alpha.matmul(features.reshape([b, c, n]));
        Some(GradCam {
            map: burn::tensor::activation::relu(map).reshape([b, 1, d, h, w]),
            classes,
        })
    }
}
