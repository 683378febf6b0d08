//! The training loop: exact resume, stopping, learning.

mod common;

use common::{cohort, config, model, run, turn};
use multirnet_nn::MultiRNetConfig;
use multirnet_train::augment::AugmentConfig;
use multirnet_train::config::Schedule;
use multirnet_train::{ErrorKind, StopReason};
use std::fs;
use std::path::Path;

fn weights(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name).join("checkpoints/last.safetensors")).unwrap()
}

#[test]
fn a_resumed_run_gives_bit_identical_weights() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 2);
    let mut config = config();
    config.optimiser.schedule = Schedule::Cosine;
    let dir = folder.path();
    let whole = run(&config, &cohort, dir, "whole", false, None).unwrap();
    assert_eq!((whole.steps, whole.reason), (8, StopReason::Epochs));

    // The run stops in the middle of the first epoch, then again in the second.
    let part = run(&config, &cohort, dir, "parts", false, Some(3)).unwrap();
    assert_eq!((part.steps, part.reason), (3, StopReason::Interrupted));
    assert_ne!(weights(dir, "whole"), weights(dir, "parts"));
    let part = run(&config, &cohort, dir, "parts", true, Some(3)).unwrap();
    assert_eq!(part.steps, 6);
    let part = run(&config, &cohort, dir, "parts", true, None).unwrap();
    assert_eq!((part.steps, part.reason), (8, StopReason::Epochs));
    assert_eq!(weights(dir, "whole"), weights(dir, "parts"));

    same_curves(dir, "whole", "parts");
    let lines = fs::read_to_string(dir.join("whole/log.csv")).unwrap();
    assert_eq!(lines.lines().count(), 3);
}

/// Asserts that the curves of two runs are the same, except for times.
#[track_caller]
fn same_curves(folder: &Path, one: &str, other: &str) {
    let columns = |name: &str, file: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(folder.join(name).join(file)).unwrap();
        let rows = text
            .lines()
            .map(|l| l.split(',').map(str::to_owned).collect());
        let rows: Vec<Vec<String>> = rows.collect();
        let timed = ["minutes", "wait_seconds", "compute_seconds"];
        let kept: Vec<usize> = (0..rows[0].len())
            .filter(|&c| !timed.contains(&rows[0][c].as_str()))
            .collect();
        let keep = |row: &Vec<String>| kept.iter().map(|&c| row[c].clone()).collect();
        rows.iter().map(keep).collect()
    };
    for file in ["log.csv", "steps.csv"] {
        assert_eq!(columns(one, file), columns(other, file), "{file}");
    }
}

#[test]
fn the_number_of_workers_does_not_change_the_weights() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 1);
    let mut config = config();
    config.run.epochs = 1;
    run(&config, &cohort, folder.path(), "one", false, None).unwrap();
    config.run.workers = 3;
    config.run.prefetch = 2;
    run(&config, &cohort, folder.path(), "three", false, None).unwrap();
    assert_eq!(
        weights(folder.path(), "one"),
        weights(folder.path(), "three")
    );
    config.run.seed = 1;
    run(&config, &cohort, folder.path(), "seed", false, None).unwrap();
    assert_ne!(
        weights(folder.path(), "one"),
        weights(folder.path(), "seed")
    );
}

#[test]
fn a_few_scans_are_learned_by_heart() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 2);
    let mut config = config();
    config.model = MultiRNetConfig {
        channels: [8; 5],
        iterations: 0,
        ..model()
    }
    .into();
    config.augment = AugmentConfig::none();
    config.sampling.batch = 4;
    config.sampling.steps_per_epoch = Some(40);
    config.optimiser.learning_rate = 1e-2;
    let summary = run(&config, &cohort, folder.path(), "run", false, None).unwrap();
    assert!(summary.best_epoch > 0 && summary.best_weights.exists());
    let log = fs::read_to_string(folder.path().join("run/steps.csv")).unwrap();
    let losses: Vec<f64> = log
        .lines()
        .skip(1)
        .map(|l| l.split(',').nth(1).unwrap().parse().unwrap())
        .collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (first, last) = (mean(&losses[..8]), mean(&losses[losses.len() - 8..]));
    assert!(last < 0.6 * first, "loss fell from {first} to {last} only");
}

#[test]
fn a_stop_during_validation_ends_the_run_and_resumes_there() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let config = config();
    run(&config, &cohort, dir, "whole", false, None).unwrap();
    // The stop comes after the last step of the first epoch.
    let part = run(&config, &cohort, dir, "parts", false, Some(4)).unwrap();
    assert_eq!(
        (part.reason, part.steps, part.epochs),
        (StopReason::Interrupted, 4, 0)
    );
    let part = run(&config, &cohort, dir, "parts", true, None).unwrap();
    assert_eq!((part.reason, part.epochs), (StopReason::Epochs, 2));
    assert_eq!(weights(dir, "whole"), weights(dir, "parts"));
}

#[test]
fn early_stopping_and_time_limits_end_a_run() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 2);
    let mut config = config();
    config.sampling.steps_per_epoch = Some(1);
    config.optimiser.learning_rate = 0.0;
    config.model = MultiRNetConfig {
        norm: multirnet_nn::Norm::Group,
        ..model()
    }
    .into();
    config.run.epochs = 50;
    config.run.patience = 2;
    let summary = run(&config, &cohort, folder.path(), "patience", false, None).unwrap();
    // The weights do not move, so only the first epoch improves.
    assert_eq!(
        (summary.reason, summary.epochs, summary.best_epoch),
        (StopReason::Patience, 3, 1)
    );
    config.run.max_minutes = Some(1e-6);
    let summary = run(&config, &cohort, folder.path(), "time", false, None).unwrap();
    assert_eq!(summary.reason, StopReason::Time);
    assert!(summary.best_weights.exists());
}

#[test]
fn what_cannot_be_resumed_is_refused_with_the_reason() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let config = config();
    let error = run(&config, &cohort, dir, "run", true, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "nothing to resume: {error}");
    run(&config, &cohort, dir, "run", false, Some(1)).unwrap();
    let error = run(&config, &cohort, dir, "run", false, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resume);

    let mut changed = config.clone();
    changed.optimiser.learning_rate = 1e-4;
    let error = run(&changed, &cohort, dir, "run", true, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resume);
    let text = error.to_string();
    assert!(
        text.contains("optimiser.learning_rate was 0.003 and is 0.0001"),
        "{text}"
    );

    let mut fewer = cohort.clone();
    fewer.cases.remove(0);
    let error = run(&config, &fewer, dir, "run", true, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resume, "{error}");

    let path = dir.join("run/checkpoints/last.state");
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&good[..good.len() - 1], &flipped, &good[..20], &[]] {
        fs::write(&path, bad).unwrap();
        let error = run(&config, &cohort, dir, "run", true, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("last.state"), "{error}");
    }
    fs::write(&path, good).unwrap();
    // Limits of the run may change.
    let mut longer = config.clone();
    longer.run.epochs = 3;
    longer.run.patience = 7;
    longer.run.workers = 2;
    let summary = run(&longer, &cohort, dir, "run", true, None).unwrap();
    assert_eq!(summary.steps, 12);
}
