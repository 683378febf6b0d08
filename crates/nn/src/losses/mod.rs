//! Losses of the two tasks and their sum.

mod config;
mod terms;
#[cfg(test)]
mod tests;
mod truth;

pub use config::{LossConfig, SegmentationLoss, TverskyWindows};
pub use truth::Truth;

use crate::config::ClassFrom;
use crate::net::ModelOutput;
use crate::nets::Output;
use burn::tensor::{Int, Tensor, activation::log_softmax};
use terms::{mean_of_rows, mean_of_windows, to_f32};

/// The total loss and its two parts, each `[1]`, averaged over passes and windows.
#[derive(Debug, Clone)]
pub struct Losses {
    /// `(1 − λ) segmentation + λ classification`, or the loss of the only task.
    pub total: Tensor<1>,
    /// The segmentation loss; 0 if the net does not segment.
    pub segmentation: Tensor<1>,
    /// The cross-entropy of the classes; 0 if the net does not classify.
    pub classification: Tensor<1>,
}

impl LossConfig {
    /// The loss of MultiR-Net's `output` against the truth; see [`score`](Self::score).
    ///
    /// # Panics
    ///
    /// If the truth is of another number of windows.
    pub fn forward(&self, output: &Output, truth: &Truth) -> Losses {
        self.score(&output.clone().into_answer(ClassFrom::Last), truth)
    }

    /// The loss of the output `answer` against the truth. Edge maps add their binary cross-entropy
    /// to the segmentation loss. For a net with one task the total is that task's loss.
    ///
    /// Each task's loss is a mean over the windows whose truth is known for the task. It is 0 if
    /// the truth is not known for any window.
    ///
    /// # Panics
    ///
    /// If the output is empty, or if the truth is of another number of windows.
    pub fn score(&self, answer: &ModelOutput, truth: &Truth) -> Losses {
        let maps = answer.lesion.iter();
        let maps = mean(maps.map(|map| self.segmentation(map.clone(), truth)));
        let edges = self.edges(answer, truth);
        let segmentation = match (maps, edges) {
            (Some(maps), Some(edges)) => Some(maps + edges),
            (maps, edges) => maps.or(edges),
        };
        let logits = answer.class_logits.iter();
        let logits = logits.map(|logits| self.classification(logits.clone(), truth));
        let (segmentation, classification) = match (segmentation, mean(logits)) {
            (Some(s), Some(c)) => {
                let total = s.clone().mul_scalar(1.0 - self.classification_weight)
                    + c.clone().mul_scalar(self.classification_weight);
                return Losses {
                    total,
                    segmentation: s,
                    classification: c,
                };
            }
            (s, c) => (s, c),
        };
        let total = segmentation
            .clone()
            .or(classification.clone())
            .expect("an answer has maps or classes");
        Losses {
            segmentation: segmentation.unwrap_or_else(|| total.zeros_like()),
            classification: classification.unwrap_or_else(|| total.zeros_like()),
            total,
        }
    }

    /// Segmentation loss of one map, `[1]`: overlap loss plus weighted cross-entropy, each a mean
    /// over its windows. For K > 1 the probability of the union is the maximum over channels.
    ///
    /// # Shapes
    ///
    /// - `p`: probabilities `[batch, K, d, h, w]`
    ///
    /// # Panics
    ///
    /// If the truth is of another shape.
    pub fn segmentation(&self, p: Tensor<5>, truth: &Truth) -> Tensor<1> {
        let (p, g) = (to_f32(p), to_f32(truth.lesion.clone()));
        let device = p.device();
        let [b, k, ..] = p.dims();
        let known = truth::weights(&truth.knows_lesion, &device);
        // The terms of each window are those of the union. If a window's kinds of lesion are known,
        // the terms of the kinds are mixed in.
        let union = |x: &Tensor<5>| match k {
            1 => x.clone(),
            _ => x.clone().max_dim(1),
        };
        let mut terms = self.rows(union(&p), union(&g));
        let with_lesion = terms.present.clone().reshape([b]);
        if k > 1 && truth.knows_kinds.iter().any(|k| *k) {
            let kinds = self.rows(p, g);
            let share = truth::weights(&truth.knows_kinds, &device)
                .mul_scalar(1.0 - self.union_weight)
                .reshape([b, 1]);
            terms = terms.mixed_with(kinds, share);
        }
        let overlap_windows = match self.tversky_windows {
            TverskyWindows::All => known.clone(),
            TverskyWindows::WithLesion => known.clone() * with_lesion,
        };
        let overlap = mean_of_windows(terms.overlap.reshape([b]), overlap_windows);
        match terms.entropy {
            None => overlap,
            Some(entropy) => {
                let entropy = mean_of_windows(entropy.reshape([b]), known);
                overlap + entropy.mul_scalar(self.cross_entropy)
            }
        }
    }

    fn rows(&self, p: Tensor<5>, g: Tensor<5>) -> Rows {
        let present = terms::present(g.clone());
        Rows {
            overlap: terms::overlap(self, p.clone(), g.clone()),
            counted: match self.tversky_windows {
                TverskyWindows::All => present.ones_like(),
                TverskyWindows::WithLesion => present.clone(),
            },
            present,
            entropy: (self.cross_entropy > 0.0).then(|| terms::cross_entropy(p, g)),
        }
    }

    /// Cross-entropy of the edge maps, `[1]`; `None` without edge maps.
    fn edges(&self, answer: &ModelOutput, truth: &Truth) -> Option<Tensor<1>> {
        if answer.edges.is_empty() {
            return None;
        }
        let edge = terms::edge_of(to_f32(truth.lesion.clone()));
        let loss = |map: &Tensor<5>| {
            let rows = terms::cross_entropy(to_f32(map.clone()), edge.clone());
            let known = truth::weights(&truth.knows_lesion, &rows.device());
            let [b, _] = rows.dims();
            mean_of_windows(rows.reshape([b]), known)
        };
        mean(answer.edges.iter().map(loss))
    }

    /// Cross-entropy of one pass's class logits, `[1]`: the mean over the windows whose class is
    /// known, weighted by `class_weights`.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, 3]`
    ///
    /// # Panics
    ///
    /// If the truth is of another number of windows.
    pub fn classification(&self, logits: Tensor<2>, truth: &Truth) -> Tensor<1> {
        let [b, _] = logits.dims();
        let device = logits.device();
        let classes: Tensor<1, Int> = truth.classes.clone();
        let loss = log_softmax(to_f32(logits), 1)
            .gather(1, classes.clone().reshape([b, 1]))
            .reshape([b])
            .neg();
        let known = truth::weights(&truth.knows_class, &device);
        let weights = match self.class_weights {
            None => known,
            Some(weights) => {
                let of_class = Tensor::<1>::from_data(weights.map(|w| w as f32), &device);
                known * of_class.select(0, classes)
            }
        };
        mean_of_windows(loss, weights)
    }
}

/// Terms of the segmentation loss, `[batch, K]` each.
struct Rows {
    overlap: Tensor<2>,
    /// Weight of each channel in a window's overlap loss.
    counted: Tensor<2>,
    /// 1 if the row has a lesion, else 0.
    present: Tensor<2>,
    entropy: Option<Tensor<2>>,
}

impl Rows {
    /// Replaces a `share` (`[batch, 1]`) of each window's terms by the mean of `kinds`.
    fn mixed_with(self, kinds: Self, share: Tensor<2>) -> Self {
        let rest = share.clone().neg().add_scalar(1.0);
        let mix = |union: Tensor<2>, kinds: Tensor<2>, weights: Tensor<2>| {
            let [b, _] = union.dims();
            let kinds = mean_of_rows(kinds, weights).reshape([b, 1]);
            union * rest.clone() + kinds * share.clone()
        };
        let all = kinds.counted.ones_like();
        Self {
            overlap: mix(self.overlap, kinds.overlap, kinds.counted),
            entropy: self
                .entropy
                .zip(kinds.entropy)
                .map(|(union, kinds)| mix(union, kinds, all)),
            ..self
        }
    }
}

fn mean(losses: impl ExactSizeIterator<Item = Tensor<1>>) -> Option<Tensor<1>> {
    let n = losses.len() as f64;
    losses.reduce(|a, b| a + b).map(|sum| sum.div_scalar(n))
}
