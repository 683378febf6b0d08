//! The choice of the threshold on probabilities of lesion.

use crate::Result;
use crate::batch::{floats, union};
use crate::window::{ViewKind, Window};
use multirnet_nn::ModelOutput;
use serde::Serialize;

/// Number of thresholds that are tried: 0.2, 0.25, … 0.8.
const TRIED: usize = 13;

fn tried(i: usize) -> f32 {
    (4 + i) as f32 / 20.0
}

/// Mean Dice at every threshold, over local windows with lesion whose truth is known.
#[derive(Debug, Default)]
pub(super) struct Grid {
    sums: [f64; TRIED],
    windows: usize,
}

/// The record of the choice.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    threshold: f32,
    windows: usize,
    tried: Vec<Tried>,
}

#[derive(Debug, Serialize)]
struct Tried {
    threshold: f32,
    mean_dice: f64,
}

impl Grid {
    /// Adds a batch with the net's output.
    pub fn add(&mut self, windows: &[Window], answer: &ModelOutput) -> Result<()> {
        let Some(map) = answer.lesion() else {
            return Ok(());
        };
        let probability = floats(map)?;
        let size = probability.len() / windows.len().max(1);
        for (window, own) in windows.iter().zip(probability.chunks_exact(size.max(1))) {
            if window.kind == ViewKind::Local && window.known.lesion {
                self.add_window(own, &window.labels);
            }
        }
        Ok(())
    }

    fn add_window(&mut self, probability: &[f32], labels: &[u8]) {
        // Voxels, and true voxels, by the number of thresholds that they reach.
        let mut reach = [[0u64; 2]; TRIED + 1];
        for (p, &label) in union(probability, labels.len()).zip(labels) {
            let n = (0..TRIED).take_while(|&i| p >= tried(i)).count();
            reach[n][0] += 1;
            reach[n][1] += u64::from(label != 0);
        }
        let truth: u64 = reach.iter().map(|r| r[1]).sum();
        if truth == 0 {
            return;
        }
        self.windows += 1;
        let (mut marked, mut both) = (0, 0);
        for i in (0..TRIED).rev() {
            marked += reach[i + 1][0];
            both += reach[i + 1][1];
            self.sums[i] += 2.0 * both as f64 / (marked + truth) as f64;
        }
    }

    /// The threshold with the highest mean Dice; a tie goes to the one nearest to 0.5. `None` without
    /// any window.
    pub fn chosen(&self) -> Option<f32> {
        let middle = TRIED / 2;
        let best = (0..TRIED).max_by(|&i, &j| {
            let nearness = j.abs_diff(middle).cmp(&i.abs_diff(middle));
            self.sums[i].total_cmp(&self.sums[j]).then(nearness)
        });
        best.filter(|_| self.windows > 0).map(tried)
    }

    /// The record of the chosen threshold and of all that were tried.
    pub fn record(&self, threshold: f32) -> Record {
        let of = |(i, sum): (usize, &f64)| Tried {
            threshold: tried(i),
            mean_dice: sum / self.windows.max(1) as f64,
        };
        Record {
            threshold,
            windows: self.windows,
            tried: self.sums.iter().enumerate().map(of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_threshold_by_hand() {
        let mut grid = Grid::default();
        assert_eq!(grid.chosen(), None);
        // A window without lesion does not count.
        grid.add_window(&[0.9; 4], &[0; 4]);
        assert_eq!(grid.chosen(), None);
        // At 0.4 and below, one voxel too many is marked; above 0.6, one too few.
        grid.add_window(&[0.9, 0.6, 0.4, 0.1], &[1, 2, 0, 0]);
        assert_eq!(grid.chosen(), Some(0.5));
        let dice: Vec<f64> = grid.record(0.5).tried.iter().map(|t| t.mean_dice).collect();
        assert_eq!((dice[0], dice[4], dice[5]), (0.8, 0.8, 1.0));
        assert_eq!((dice[8], dice[9], dice[12]), (1.0, 2.0 / 3.0, 2.0 / 3.0));
        // A faint lesion in the second channel. 0.3 is the highest threshold that finds it.
        grid.add_window(&[0.0, 0.1, 0.3, 0.2], &[1, 0]);
        // Mean Dice: (0.8 + 2/3) / 2 at 0.2, (0.8 + 1) / 2 at 0.25 and 0.3, 0.5 at 0.45.
        assert_eq!(grid.windows, 2);
        assert_eq!(grid.chosen(), Some(0.3));
    }
}
