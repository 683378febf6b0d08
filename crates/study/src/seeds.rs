//! The spread over trainings that differ only in their seed.

use crate::share_intervals::{ShareIntervals, share_intervals};
use crate::system_result::{Compared, SystemResult};
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::intervals::value_under_policy;
use multirnet_metrics::{EmptyPolicy, Metric};
use multirnet_report::read_log;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Trainings of one system with different seeds.
#[derive(Debug, Clone, Serialize)]
pub struct SeedGroup {
    /// The group's name in the configuration.
    pub group: String,
    /// The system's name in tables, without the seed: what the names of its trainings have in common,
    /// else the group's name.
    pub label: String,
    /// Ids of its trainings.
    pub systems: Vec<String>,
    /// The spread of each score.
    pub scores: Vec<SeedSpread>,
    /// The losses of each epoch that a training has reached, in order.
    pub losses: Vec<EpochLosses>,
    /// Intervals for the share of the lungs involved, source by source.
    pub intervals: Vec<ShareIntervals>,
}

/// The losses of one epoch in the trainings of a group, in the order of its systems. They are `None` where a training
/// stopped before, or did not compute the loss in this epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochLosses {
    /// The epoch, from 1 on.
    pub epoch: u64,
    /// Mean loss of the epoch's windows.
    pub training: Vec<Option<f64>>,
    /// Loss on validation windows.
    pub validation: Vec<Option<f64>>,
}

/// One score over trainings. Shares are in 0..=1, distances in mm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedSpread {
    /// The score.
    pub score: Compared,
    /// Its mean over the test scans, for each training; `None` if undefined.
    pub values: Vec<Option<f64>>,
    /// Mean of the defined values over trainings.
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1) over trainings; `None` below two.
    pub sd: Option<f64>,
    /// Smallest.
    pub min: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
}

impl SeedSpread {
    fn from_values(score: Compared, values: Vec<Option<f64>>) -> Self {
        let kept: Vec<f64> = values.iter().copied().flatten().collect();
        let n = kept.len() as f64;
        let mean = (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / n);
        let sd = mean.filter(|_| kept.len() > 1).map(|mean| {
            let squares: f64 = kept.iter().map(|v| (v - mean).powi(2)).sum();
            (squares / (n - 1.0)).sqrt()
        });
        Self {
            score,
            values,
            mean,
            sd,
            min: kept.iter().copied().reduce(f64::min),
            max: kept.iter().copied().reduce(f64::max),
        }
    }
}

/// The losses of trainings, read from their logs. Epochs that no training has are left out.
///
/// # Errors
/// `Malformed` if a log is damaged.
fn epoch_losses(logs: &[PathBuf]) -> Result<Vec<EpochLosses>> {
    let mut epochs: BTreeMap<u64, EpochLosses> = BTreeMap::new();
    // A system whose weights were trained elsewhere does not have a log.
    for (i, log) in logs.iter().enumerate().filter(|(_, log)| log.exists()) {
        let curves = read_log(log, |c| c == "train_loss" || c == "val_loss")
            .map_err(|e| Error::caused(ErrorKind::Malformed, e))?;
        for curve in curves {
            for [epoch, loss] in curve.points {
                let empty = || vec![None; logs.len()];
                let losses = epochs.entry(epoch as u64).or_insert_with(|| EpochLosses {
                    epoch: epoch as u64,
                    training: empty(),
                    validation: empty(),
                });
                let of = match curve.name.as_str() {
                    "train_loss" => &mut losses.training,
                    _ => &mut losses.validation,
                };
                of[i] = Some(loss);
            }
        }
    }
    Ok(epochs.into_values().collect())
}

/// The groups of `systems`, in the order in which they appear. `log` is the path of a training's log.
///
/// # Errors
/// `Malformed` if a log is damaged.
pub(crate) fn seed_groups(
    systems: &[SystemResult],
    policy: EmptyPolicy,
    log: impl Fn(&SystemResult) -> PathBuf,
) -> Result<Vec<SeedGroup>> {
    let mut names: Vec<&String> = Vec::new();
    for name in systems.iter().filter_map(|s| s.group.as_ref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let group = |name: &String| {
        let members = || systems.iter().filter(|s| s.group.as_ref() == Some(name));
        let spread = |score: Compared| {
            let spread =
                SeedSpread::from_values(score, members().map(|s| mean(s, score, policy)).collect());
            spread.mean.is_some().then_some(spread)
        };
        let metrics = Metric::PAPER.map(Compared::Segmentation).into_iter();
        let labels: Vec<&str> = members().map(|s| s.label.as_str()).collect();
        let logs: Vec<PathBuf> = members().map(&log).collect();
        Ok(SeedGroup {
            group: name.clone(),
            label: common_label(&labels).unwrap_or_else(|| name.clone()),
            systems: members().map(|s| s.id.clone()).collect(),
            scores: metrics
                .chain([Compared::CorrectClass])
                .filter_map(spread)
                .collect(),
            losses: epoch_losses(&logs)?,
            intervals: share_intervals(&members().collect::<Vec<_>>()),
        })
    };
    names.into_iter().map(group).collect()
}

/// The parts at the start of `labels`, separated by commas, that all labels share. The labels differ
/// in the seed, so `U-Net, seed 1` and `U-Net, seed 2` give `U-Net`. `None` if the first parts differ.
fn common_label(labels: &[&str]) -> Option<String> {
    let (first, others) = labels.split_first()?;
    let mut common: Vec<&str> = first.split(", ").collect();
    for other in others {
        let parts = common.iter().zip(other.split(", "));
        let same = parts.take_while(|(a, b)| **a == *b).count();
        common.truncate(same);
    }
    (!common.is_empty()).then(|| common.join(", "))
}

/// A system's mean over the test scans, as the tables have it.
fn mean(system: &SystemResult, score: Compared, policy: EmptyPolicy) -> Option<f64> {
    match score {
        Compared::CorrectClass => Some(system.classification()?.scores.accuracy),
        Compared::Segmentation(metric) => {
            let values: Vec<Option<f64>> = system
                .cases_with_lesions()
                .map(|case| value_under_policy(metric, case, policy))
                .collect();
            let kept: Vec<f64> = values.iter().copied().flatten().collect();
            let whole = policy == EmptyPolicy::Skip || kept.len() == values.len();
            (whole && !kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_labelled_without_the_seed() {
        for (labels, label) in [
            (
                &["n = 0, batch norm, seed 1", "n = 0, batch norm, seed 2"][..],
                Some("n = 0, batch norm"),
            ),
            (
                &["3D U-Net", "3D U-Net, seed 2", "3D U-Net, seed 3"],
                Some("3D U-Net"),
            ),
            (&["first", "second"], None),
            (&["alone, seed 1"], Some("alone, seed 1")),
        ] {
            assert_eq!(common_label(labels).as_deref(), label);
        }
    }

    #[test]
    fn spread_over_seeds_by_hand() {
        let values = vec![Some(0.5), Some(0.6), Some(0.7)];
        let spread = SeedSpread::from_values(Compared::CorrectClass, values);
        assert!((spread.mean.unwrap() - 0.6).abs() < 1e-12);
        assert!((spread.sd.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!((spread.min, spread.max), (Some(0.5), Some(0.7)));
        let one = SeedSpread::from_values(Compared::CorrectClass, vec![Some(0.5), None]);
        assert_eq!((one.mean, one.sd, one.max), (Some(0.5), None, Some(0.5)));
    }

    #[test]
    fn losses_are_those_of_the_logs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let header = "epoch,stage,train_loss,val_loss,val_dice\n";
        std::fs::write(
            path("a"),
            format!("{header}1,1,0.5,,0.1\n2,1,0.25,0.75,0.2\n"),
        )
        .unwrap();
        std::fs::write(path("b"), format!("{header}1,1,1.5,0.5,0.1\n")).unwrap();
        let logs = ["a", "none", "b"].map(path);
        let losses = epoch_losses(&logs).unwrap();
        assert_eq!(losses.len(), 2);
        assert_eq!(losses[0].training, [Some(0.5), None, Some(1.5)]);
        assert_eq!(losses[0].validation, [None, None, Some(0.5)]);
        assert_eq!(losses[1].training, [Some(0.25), None, None]);
        assert_eq!((losses[1].epoch, losses[1].validation[0]), (2, Some(0.75)));
        std::fs::write(path("b"), "epoch,train_loss\n1,much\n").unwrap();
        let error = epoch_losses(&logs).unwrap_err().to_string();
        assert!(error.contains("\"much\""), "{error}");
    }
}
