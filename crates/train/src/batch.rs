//! Tensors of windows, and quick scores of the net's output.

use crate::log::{MeanLosses, ValidationRecord};
use crate::window::{ViewKind, Window};
use crate::{Error, ErrorKind, Result, TrainConfig};
use burn::tensor::{Device, Tensor, TensorData};
use multirnet_cohort::known::Known;
use multirnet_nn::{Losses, ModelOutput, Truth};

/// A batch on a device.
pub(crate) struct Batch {
    /// `[b, 1, d, h, w]`.
    pub image: Tensor<5>,
    pub truth: Truth,
}

impl Batch {
    pub fn new(windows: &[Window], shape: [usize; 3], channels: usize, device: &Device) -> Self {
        let [d, h, w] = shape;
        let b = windows.len();
        let image: Vec<f32> = windows
            .iter()
            .flat_map(|v| v.image.iter().copied())
            .collect();
        let mut lesion = Vec::with_capacity(b * channels * d * h * w);
        for window in windows {
            let kinds = channels > 1 && window.known.kinds;
            for channel in 0..channels {
                let is = |l: u8| l != 0 && (!kinds || usize::from(l) == channel + 1);
                lesion.extend(window.labels.iter().map(|&l| f32::from(u8::from(is(l)))));
            }
        }
        let classes: Vec<i64> = windows.iter().map(|v| v.class as i64).collect();
        let knows = |what: fn(&Known) -> bool| windows.iter().map(|v| what(&v.known)).collect();
        Self {
            image: Tensor::from_data(TensorData::new(image, [b, 1, d, h, w]), device),
            truth: Truth {
                lesion: Tensor::from_data(TensorData::new(lesion, [b, channels, d, h, w]), device),
                classes: Tensor::from_data(TensorData::new(classes, [b]), device),
                knows_lesion: knows(|k| k.lesion),
                knows_kinds: knows(|k| k.kinds),
                knows_class: knows(|k| k.class),
            },
        }
    }
}

/// The three losses as numbers. They are read from the device at once.
pub(crate) fn numbers(losses: &Losses) -> Result<MeanLosses> {
    let all = Tensor::cat(
        vec![
            losses.total.clone(),
            losses.segmentation.clone(),
            losses.classification.clone(),
        ],
        0,
    );
    let values = floats(all.detach())?;
    Ok(MeanLosses {
        total: f64::from(values[0]),
        segmentation: f64::from(values[1]),
        classification: f64::from(values[2]),
    })
}

pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|e| Error::new(ErrorKind::Diverged, format!("unreadable tensor: {e:?}")))
}

/// Quick scores of windows, summed batch by batch.
pub(crate) struct Scores {
    /// λ of a net with both tasks.
    classification_weight: Option<f64>,
    /// Mean loss of each task over the windows whose truth is known for it.
    segmentation: Mean,
    classification: Mean,
    /// Dice of any lesion, and right classes. Each is over all windows, then over global ones.
    dice: [Mean; 2],
    right: [Mean; 2],
    /// Dice of ground glass and of consolidation.
    kinds: [Mean; 2],
}

#[derive(Default)]
struct Mean {
    sum: f64,
    n: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.add_all(value, 1);
    }

    fn add_all(&mut self, value: f64, n: usize) {
        self.sum += value * n as f64;
        self.n += n;
    }

    fn get(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

impl Scores {
    /// Empty scores for the tasks that `config` trains.
    pub fn new(config: &TrainConfig) -> Self {
        let both = config.model.segments() && config.model.classifies();
        Self {
            classification_weight: both.then_some(config.loss.classification_weight),
            segmentation: Mean::default(),
            classification: Mean::default(),
            dice: Default::default(),
            right: Default::default(),
            kinds: Default::default(),
        }
    }

    pub fn add(
        &mut self,
        windows: &[Window],
        losses: &MeanLosses,
        answer: &ModelOutput,
    ) -> Result<()> {
        let b = windows.len();
        let count = |knows: fn(&Known) -> bool| windows.iter().filter(|w| knows(&w.known)).count();
        self.segmentation
            .add_all(losses.segmentation, count(|k| k.lesion));
        self.classification
            .add_all(losses.classification, count(|k| k.class));
        let channels = answer.lesion().map_or(1, |map| map.dims()[1]);
        let probability = answer.lesion().map(floats).transpose()?;
        let logits = answer.logits().map(floats).transpose()?;
        for (k, window) in windows.iter().enumerate() {
            let groups = match window.kind {
                ViewKind::Global => 2,
                ViewKind::Local => 1,
            };
            if let Some(p) = &probability
                && window.known.lesion
            {
                let size = p.len() / b;
                let own = &p[k * size..(k + 1) * size];
                if let Some(dice) = window_dice(own, &window.labels) {
                    self.dice.iter_mut().take(groups).for_each(|m| m.add(dice));
                }
                if channels == 2 && window.known.kinds {
                    let parts = own.chunks_exact(size / 2);
                    for ((mean, part), kind) in self.kinds.iter_mut().zip(parts).zip(1..) {
                        let dice = dice(
                            window
                                .labels
                                .iter()
                                .zip(part)
                                .map(|(&l, &p)| (p, l == kind)),
                        );
                        dice.into_iter().for_each(|d| mean.add(d));
                    }
                }
            }
            if let Some(logits) = &logits
                && window.known.class
            {
                let own = &logits[3 * k..3 * k + 3];
                let best = (0..3)
                    .max_by(|&i, &j| own[i].total_cmp(&own[j]))
                    .unwrap_or(0);
                let right = f64::from(u8::from(best == window.class));
                self.right
                    .iter_mut()
                    .take(groups)
                    .for_each(|m| m.add(right));
            }
        }
        Ok(())
    }

    pub fn record(&self) -> ValidationRecord {
        let segmentation = self.segmentation.get().unwrap_or(0.0);
        let classification = self.classification.get().unwrap_or(0.0);
        ValidationRecord {
            losses: MeanLosses {
                total: match self.classification_weight {
                    Some(w) => (1.0 - w) * segmentation + w * classification,
                    // If there is only one task, the other's loss is 0.
                    None => segmentation + classification,
                },
                segmentation,
                classification,
            },
            dice: self.dice[0].get(),
            dice_global: self.dice[1].get(),
            dice_ground_glass: self.kinds[0].get(),
            dice_consolidation: self.kinds[1].get(),
            accuracy: self.right[0].get(),
            accuracy_global: self.right[1].get(),
        }
    }
}

/// Probability of any lesion in each voxel: the largest of the channels'.
pub(crate) fn union(probability: &[f32], voxels: usize) -> impl Iterator<Item = f32> {
    (0..voxels).map(move |i| {
        let channels = probability.iter().skip(i).step_by(voxels);
        channels.copied().fold(0.0, f32::max)
    })
}

/// Dice of a window at threshold 0.5, any lesion channel against any label; `None` if its truth has
/// no lesion.
fn window_dice(probability: &[f32], labels: &[u8]) -> Option<f64> {
    let truth = labels.iter().map(|&l| l != 0);
    dice(union(probability, labels.len()).zip(truth))
}

/// Dice at threshold 0.5 of voxels `(probability, truth)`; `None` if none is true.
fn dice(voxels: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let (mut both, mut sum, mut truth) = (0u64, 0u64, 0u64);
    for (p, t) in voxels {
        let p = p >= 0.5;
        both += u64::from(p && t);
        truth += u64::from(t);
        sum += u64::from(p) + u64::from(t);
    }
    (truth > 0).then(|| 2.0 * both as f64 / sum as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_of_windows_by_hand() {
        // Two channels over four voxels.
        let p = [0.9, 0.1, 0.1, 0.6, 0.2, 0.2, 0.8, 0.1];
        assert_eq!(window_dice(&p, &[1, 0, 2, 0]), Some(0.8));
        assert_eq!(window_dice(&p[..4], &[1, 0, 0, 1]), Some(1.0));
        assert_eq!(window_dice(&p[..4], &[0; 4]), None);
    }

    fn window(labels: &[u8], class: usize, known: Known) -> Window {
        Window {
            image: vec![0.5; labels.len()],
            labels: labels.to_vec(),
            class,
            known,
            kind: ViewKind::Local,
            case: 0,
        }
    }

    #[test]
    fn scores_leave_out_what_is_not_known() {
        let unnamed = Known {
            kinds: false,
            ..Known::ALL
        };
        let unknown = Known {
            lesion: false,
            class: false,
            ..Known::ALL
        };
        let windows = [
            window(&[1, 1, 2, 0], 0, Known::ALL),
            window(&[1, 1, 1, 0], 0, unnamed),
            window(&[1, 1, 1, 1], 1, unknown),
        ];
        // Ground glass in voxels 0 and 3, consolidation in voxel 2, in each window.
        let p = [0.9, 0.1, 0.2, 0.8, 0.1, 0.1, 0.7, 0.1].repeat(3);
        let device = Device::flex();
        let answer = ModelOutput {
            lesion: vec![Tensor::<1>::from_floats(p.as_slice(), &device).reshape([3, 2, 1, 2, 2])],
            class_logits: vec![Tensor::from_floats([[2.0, 1.0, 0.0]; 3], &device)],
            ..ModelOutput::default()
        };
        let config = TrainConfig::default();
        let losses = |segmentation, classification| MeanLosses {
            total: 0.0,
            segmentation,
            classification,
        };
        let mut scores = Scores::new(&config);
        scores.add(&windows, &losses(0.6, 1.2), &answer).unwrap();
        let record = scores.record();
        // Any lesion: in both windows of known lesions, 2 of 3 marked voxels are 2 of 3 true ones.
        assert_eq!(record.dice, Some(2.0 / 3.0));
        assert_eq!(record.dice_ground_glass, Some(0.5));
        assert_eq!(record.dice_consolidation, Some(1.0));
        assert_eq!(record.accuracy, Some(1.0));
        // A batch of unknown truth does not change the losses.
        scores
            .add(&windows[2..], &losses(9.0, 9.0), &ModelOutput::default())
            .unwrap();
        let total = 0.8 * 0.6 + 0.2 * 1.2;
        assert!((scores.record().losses.total - total).abs() < 1e-12);
    }

    #[test]
    fn labels_become_channels() {
        let device = Device::flex();
        let channels = |k: usize, known: Known| {
            let window = window(&[0, 1, 2, 3], 2, known);
            let batch = Batch::new(&[window], [1, 2, 2], k, &device);
            floats(batch.truth.lesion).unwrap()
        };
        let lesion = [0.0, 1.0, 1.0, 1.0];
        assert_eq!(channels(1, Known::ALL), lesion);
        assert_eq!(
            channels(2, Known::ALL),
            [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        );
        // A lesion of unknown kind is lesion in both channels.
        let unnamed = Known {
            kinds: false,
            ..Known::ALL
        };
        assert_eq!(channels(2, unnamed), [lesion, lesion].concat());
    }
}
