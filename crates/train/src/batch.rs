//! From windows to tensors, and from the net's output to quick scores.

use crate::known::Known;
use crate::log::{MeanLosses, ValidationRecord};
use crate::window::{ViewKind, Window};
use crate::{Error, ErrorKind, Result};
use burn::tensor::{Device, Tensor, TensorData};
use multirnet_nn::{Answer, Losses, Truth};

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

/// The three losses as numbers, fetched at once.
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

fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|e| Error::new(ErrorKind::Diverged, format!("unreadable tensor: {e:?}")))
}

/// Quick scores of windows, summed batch by batch.
#[derive(Default)]
pub(crate) struct Scores {
    windows: usize,
    losses: [f64; 3],
    /// Sum and count of Dice and of right classes, over all windows and over global ones.
    dice: [Mean; 2],
    right: [Mean; 2],
}

#[derive(Default)]
struct Mean {
    sum: f64,
    n: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn get(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

impl Scores {
    pub fn add(&mut self, windows: &[Window], losses: &MeanLosses, answer: &Answer) -> Result<()> {
        let b = windows.len();
        self.windows += b;
        let parts = [losses.total, losses.segmentation, losses.classification];
        for (sum, part) in self.losses.iter_mut().zip(parts) {
            *sum += part * b as f64;
        }
        let probability = answer.lesion().map(floats).transpose()?;
        let logits = answer.logits().map(floats).transpose()?;
        for (k, window) in windows.iter().enumerate() {
            let groups = if window.kind == ViewKind::Global {
                2
            } else {
                1
            };
            let dice = probability.as_ref().and_then(|p| {
                let size = p.len() / b;
                window_dice(&p[k * size..(k + 1) * size], &window.labels)
            });
            if let Some(dice) = dice {
                self.dice.iter_mut().take(groups).for_each(|m| m.add(dice));
            }
            if let Some(logits) = &logits {
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
        let n = self.windows.max(1) as f64;
        ValidationRecord {
            losses: MeanLosses {
                total: self.losses[0] / n,
                segmentation: self.losses[1] / n,
                classification: self.losses[2] / n,
            },
            dice: self.dice[0].get(),
            dice_global: self.dice[1].get(),
            accuracy: self.right[0].get(),
            accuracy_global: self.right[1].get(),
        }
    }
}

/// Dice of a window at threshold 0.5, any lesion channel against any label; `None` if it truly has
/// no lesion.
fn window_dice(probability: &[f32], labels: &[u8]) -> Option<f64> {
    let n = labels.len();
    let (mut both, mut sum, mut truth) = (0u64, 0u64, 0u64);
    for (i, &label) in labels.iter().enumerate() {
        let p = probability.iter().skip(i).step_by(n).any(|&p| p >= 0.5);
        let t = label != 0;
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

    #[test]
    fn labels_become_channels() {
        let window = Window {
            image: vec![0.5; 4],
            labels: vec![0, 1, 2, 3],
            class: 2,
            known: Known::ALL,
            kind: ViewKind::Local,
            case: 0,
        };
        let device = Device::flex();
        let channels = |k: usize, known: Known| {
            let window = Window {
                known,
                ..window.clone()
            };
            let batch = Batch::new(&[window], [1, 2, 2], k, &device);
            floats(batch.truth.lesion).unwrap()
        };
        let lesion = [0.0, 1.0, 1.0, 1.0];
        assert_eq!(channels(1, Known::ALL), lesion);
        assert_eq!(
            channels(2, Known::ALL),
            [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        );
        // Lesion of a kind that nobody named is lesion in both channels.
        let unnamed = Known {
            kinds: false,
            ..Known::ALL
        };
        assert_eq!(channels(2, unnamed), [lesion, lesion].concat());
    }
}
