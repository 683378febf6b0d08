//! Stages within one training, weights to start from, the threshold.

mod common;

use common::{cohort, config, model, options, run, split, turn};
use multirnet_nn::{MultiRNetConfig, System, weights};
use multirnet_train::config::{Schedule, StageConfig, TrainingPrecision};
use multirnet_train::{ErrorKind, Event, StopReason, TrainConfig, train};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two epochs of three steps in a coarse stage, two of two in the main one.
fn staged() -> TrainConfig {
    let mut config = config();
    config.optimiser.schedule = Schedule::Cosine;
    config.optimiser.warmup_steps = 2;
    config.sampling.steps_per_epoch = Some(2);
    config.stage = vec![StageConfig {
        spacing_scale: Some(2.0),
        patch_size: Some([16, 16, 16]),
        batch: Some(3),
        epochs: Some(2),
        steps_per_epoch: Some(3),
        ..StageConfig::default()
    }];
    config
}

fn files(folder: &Path, name: &str) -> [Vec<u8>; 2] {
    let checkpoints = folder.join(name).join("checkpoints");
    ["best.safetensors", "last.safetensors"].map(|f| fs::read(checkpoints.join(f)).unwrap())
}

/// A column of one of a run's tables, by name.
fn column(folder: &Path, run: &str, file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(run).join(file)).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let c = lines.next().unwrap().iter().position(|h| *h == name);
    lines.map(|l| l[c.unwrap()].to_owned()).collect()
}

#[test]
fn a_run_of_two_stages_resumes_bit_for_bit_from_anywhere() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let config = staged();
    let whole = run(&config, &cohort, dir, "whole", false, None).unwrap();
    assert_eq!((whole.steps, whole.epochs, whole.stage), (10, 4, 2));
    assert_eq!(whole.reason, StopReason::Epochs);
    assert!(whole.best_epoch > 2, "the best is of the last stage");
    let threshold = whole.threshold.unwrap();
    let json = fs::read_to_string(dir.join("whole/threshold.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["threshold"].as_f64().unwrap() as f32, threshold);
    assert_eq!(
        column(dir, "whole", "log.csv", "stage"),
        ["1", "1", "2", "2"]
    );
    assert_eq!(
        column(dir, "whole", "log.csv", "epoch"),
        ["1", "2", "3", "4"]
    );
    // The learning rate rises anew in each stage.
    let rates: Vec<f64> = column(dir, "whole", "steps.csv", "learning_rate")
        .iter()
        .map(|r| r.parse().unwrap())
        .collect();
    assert_eq!((rates[0], rates[6]), (1.5e-3, 1.5e-3));
    assert!(rates[5] < rates[2] && rates[9] < rates[7], "{rates:?}");

    // The stops lie in stage 1, at its last step before the validation, and in stage 2.
    for stops in [vec![2, 4], vec![6], vec![8, 1], vec![1, 5, 2]] {
        let name = format!("{stops:?}");
        for (i, stop) in stops.iter().enumerate() {
            let part = run(&config, &cohort, dir, &name, i > 0, Some(*stop)).unwrap();
            assert_eq!(part.reason, StopReason::Interrupted);
            assert_eq!(part.threshold, None);
        }
        let end = run(&config, &cohort, dir, &name, true, None).unwrap();
        assert_eq!((end.steps, end.threshold), (10, Some(threshold)));
        assert_eq!(files(dir, &name), files(dir, "whole"), "{name}");
        let losses = |run: &str| column(dir, run, "steps.csv", "loss");
        assert_eq!(losses(&name), losses("whole"));
        let losses = |run: &str| column(dir, run, "log.csv", "val_loss");
        assert_eq!(losses(&name), losses("whole"));
    }
}

#[test]
fn a_run_resumes_between_its_stages() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let config = staged();
    run(&config, &cohort, dir, "whole", false, None).unwrap();
    // The stop comes after the last epoch of stage 1, or at the first event of stage 2.
    for at in ["epoch", "stage"] {
        let stop = AtomicBool::new(false);
        let mut observer = |event: &Event| {
            let now = match event {
                Event::Epoch(record) => at == "epoch" && record.epoch == 2,
                Event::Stage { number, .. } => at == "stage" && *number == 2,
                _ => false,
            };
            if now {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let (out, cache) = (dir.join(at), dir.join("cache"));
        let options = options(&out, &cache, false);
        let part = train(
            &config,
            &cohort,
            &split(&cohort),
            &options,
            &mut observer,
            &stop,
        );
        let part = part.unwrap();
        let stage = if at == "epoch" { 1 } else { 2 };
        assert_eq!(
            (part.reason, part.steps, part.stage),
            (StopReason::Interrupted, 6, stage)
        );
        let end = run(&config, &cohort, dir, at, true, None).unwrap();
        assert_eq!((end.reason, end.steps), (StopReason::Epochs, 10));
        assert_eq!(files(dir, at), files(dir, "whole"));
    }
}

#[test]
fn patience_ends_a_stage_and_its_best_weights_go_on() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let mut config = staged();
    // The weights do not move, so only the first epoch of each stage improves.
    config.optimiser.learning_rate = 0.0;
    config.optimiser.final_learning_rate = 0.0;
    config.model = MultiRNetConfig {
        norm: multirnet_nn::Norm::Group,
        ..model()
    }
    .into();
    config.stage[0].epochs = Some(50);
    config.stage[0].patience = Some(1);
    config.run.patience = 2;
    config.run.epochs = 50;
    let summary = run(&config, &cohort, dir, "run", false, None).unwrap();
    assert_eq!(summary.reason, StopReason::Patience);
    assert_eq!(
        (summary.stage, summary.epochs, summary.best_epoch),
        (2, 5, 3)
    );
    assert_eq!(
        column(dir, "run", "log.csv", "best"),
        ["1", "0", "1", "0", "0"]
    );
    let [best, last] = files(dir, "run");
    assert!(best == last);
}

#[test]
fn mixed_precision_is_a_part_of_a_run_that_resumes_bit_for_bit() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let mut config = staged();
    run(&config, &cohort, dir, "f32", false, None).unwrap();
    config.run.precision = TrainingPrecision::Bf16;
    run(&config, &cohort, dir, "whole", false, None).unwrap();
    run(&config, &cohort, dir, "parts", false, Some(4)).unwrap();
    let mut other = config.clone();
    other.run.precision = TrainingPrecision::F32;
    let error = run(&other, &cohort, dir, "parts", true, None).unwrap_err();
    assert!(error.to_string().contains("run.precision"), "{error}");
    run(&config, &cohort, dir, "parts", true, None).unwrap();
    assert_eq!(files(dir, "parts"), files(dir, "whole"));
    assert_ne!(files(dir, "whole"), files(dir, "f32"));
    for loss in column(dir, "whole", "steps.csv", "loss") {
        assert!(loss.parse::<f64>().unwrap().is_finite());
    }
}

#[test]
fn what_is_validated_and_saved_is_the_average() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 2);
    let mut config = config();
    config.run.epochs = 1;
    let with = |average, name: &str| {
        let mut config = config.clone();
        config.optimiser.average = average;
        run(&config, &cohort, dir, name, false, None).unwrap();
        let losses = column(dir, name, "steps.csv", "loss");
        (losses, files(dir, name)[1].clone())
    };
    let (raw_losses, raw) = with(None, "raw");
    let (losses, averaged) = with(Some(0.9), "averaged");
    assert_eq!(losses, raw_losses, "the average changes no step");
    assert_ne!(averaged, raw);
}

#[test]
fn a_run_starts_from_given_weights() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 1);
    let mut config = config();
    config.run.epochs = 1;
    let first = run(&config, &cohort, dir, "first", false, None).unwrap();

    // With a learning rate of 0 the weights stay as they are. Passes and dropout may differ.
    config.run.init = Some(first.last_weights.clone());
    config.optimiser.learning_rate = 0.0;
    config.model = MultiRNetConfig {
        iterations: 0,
        dropout: 0.0,
        ..model()
    }
    .into();
    let second = run(&config, &cohort, dir, "second", false, Some(2)).unwrap();
    let trained = |path: &Path| {
        let net: System = weights::load(path, &burn::tensor::Device::flex()).unwrap();
        let tensors = weights::tensors(&net).into_iter();
        let kept = tensors.filter(|t| !t.name.contains("running_"));
        kept.map(|t| (t.name, t.values)).collect::<Vec<_>>()
    };
    assert_eq!(trained(&second.last_weights), trained(&first.last_weights));
    // The run records the path, and resumes without the file.
    let text = fs::read_to_string(dir.join("second/config.toml")).unwrap();
    assert!(text.contains("init = "), "{text}");
    fs::remove_file(&first.last_weights).unwrap();
    run(&config, &cohort, dir, "second", true, None).unwrap();
}

#[test]
fn weights_that_do_not_fit_are_refused_before_anything_is_prepared() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let cohort = cohort(dir, 1);
    let path = dir.join("weights.safetensors");
    let device = burn::tensor::Device::flex();
    weights::save(&path, &System::from(model().init(&device))).unwrap();
    let unet = "[model]\nsystem = \"unet3d\"\npreset = \"small\"\n";
    let table = [
        (
            MultiRNetConfig {
                lesion_channels: 2,
                ..model()
            }
            .into(),
            "set model.lesion_channels = 1",
        ),
        (
            MultiRNetConfig {
                channels: [8; 5],
                ..model()
            }
            .into(),
            "shape",
        ),
        (TrainConfig::parse(unet).unwrap().model, "3D U-Net"),
    ];
    for (model, expected) in table {
        let mut config = config();
        config.model = model;
        config.run.init = Some(path.clone());
        let error = run(&config, &cohort, dir, "run", false, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("weights.safetensors"),
            "{text}"
        );
    }
    assert!(!dir.join("cache").exists());
}
