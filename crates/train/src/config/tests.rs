//! Configurations: defaults, files, stages, refusals.

use super::*;

#[test]
fn the_recipe_is_the_default_after_a_coarse_stage() {
    let file = include_str!("../../../../configs/train/recipe.toml");
    // The file spells out the configuration that holds without a file.
    assert_eq!(TrainConfig::parse(file).unwrap(), TrainConfig::recipe());
    let stages = TrainConfig::recipe().stages();
    assert_eq!(stages.len(), 2);
    assert_eq!(stages[0].prepare.spacing_mm, [5.0, 3.0, 3.0]);
    assert_eq!(stages[0].prepare.global_shape, [16, 48, 48]);
    let default = TrainConfig {
        model: stages[1].model.clone(),
        ..TrainConfig::default()
    };
    assert_eq!(stages[1], default);
}

#[test]
fn the_paper_is_another_configuration() {
    let paper = TrainConfig::parse(include_str!("../../../../configs/train/paper.toml")).unwrap();
    assert_eq!(paper.loss, LossConfig::paper());
    assert_eq!(
        paper.model,
        MultiRNetConfig {
            detach_mask: false,
            logit_gain: 1.0,
            ..MultiRNetConfig::base()
        }
        .into()
    );
    assert_eq!(
        TrainConfig::default().differences(&paper),
        [
            "loss.classification_weight was 0.2 and is 0.3",
            "loss.cross_entropy was 1.0 and is 0.0",
            "loss.tversky_windows was \"with_lesion\" and is \"all\"",
            "model.detach_mask was true and is false",
            "model.logit_gain was 5.0 and is 1.0",
            "optimiser.average was 0.98 and is 0.0",
            "optimiser.clip_norm was 1.0 and is 0.0",
            "optimiser.learning_rate was 0.002 and is 0.0003",
            "optimiser.schedule was \"cosine\" and is \"constant\"",
            "optimiser.warmup_steps was 10 and is 0",
        ]
    );
    assert_eq!((paper.run.epochs, paper.run.patience), (1000, 100));
}

#[test]
fn the_packaged_models_are_trained_by_the_recipe() {
    for text in [
        include_str!("../../../../configs/train/lungs-small.toml"),
        include_str!("../../../../configs/train/lungs-small-finish.toml"),
        include_str!("../../../../configs/train/lungs-wide.toml"),
        include_str!("../../../../configs/train/patients-small.toml"),
    ] {
        let config = TrainConfig::parse(text).unwrap();
        let expected = MultiRNetConfig {
            iterations: 0,
            lesion_channels: 2,
            ..MultiRNetConfig::small()
        };
        assert_eq!(config.model, expected.into());
        assert_eq!(config.loss, LossConfig::default());
        assert_eq!(config.optimiser.average, Some(0.98));
    }
}

#[test]
fn stages_take_what_they_leave_out_from_the_main_tables() {
    let text = "[prepare]\nspacing_mm = [2.0, 1.0, 1.0]\n[sampling]\nbatch = 3\n\
                [run]\nepochs = 7\nmax_minutes = 30\n\
                [[stage]]\nspacing_scale = 3\npatch_size = [16, 32, 32]\nbatch = 8\nminutes = 2\n\
                [[stage]]\nspacing_mm = [4.0, 2.0, 2.0]\nlearning_rate = 1e-3\n\
                final_learning_rate = 1e-5\nwarmup_steps = 5\nepochs = 2\npatience = 4\n\
                steps_per_epoch = 9\n";
    let config = TrainConfig::parse(text).unwrap();
    let [first, second, last] = config.stages().try_into().unwrap();
    assert_eq!(first.prepare.spacing_mm, [6.0, 3.0, 3.0]);
    assert_eq!(first.sampling.patch_size, [16, 32, 32]);
    assert_eq!(first.prepare.global_shape, [16, 32, 32]);
    assert_eq!((first.sampling.batch, first.run.epochs), (8, 7));
    assert_eq!(first.run.max_minutes, Some(2.0));
    assert_eq!(second.prepare.spacing_mm, [4.0, 2.0, 2.0]);
    assert_eq!(second.sampling.patch_size, [32, 96, 96]);
    assert_eq!(second.sampling.steps_per_epoch, Some(9));
    assert_eq!((second.run.epochs, second.run.patience), (2, 4));
    assert_eq!(second.run.max_minutes, None);
    let o = &second.optimiser;
    assert_eq!(
        (o.learning_rate, o.final_learning_rate, o.warmup_steps),
        (1e-3, 1e-5, 5)
    );
    assert_eq!(
        (last.stage.len(), last.prepare, last.run),
        (0, config.prepare.clone(), config.run.clone())
    );
    let back = TrainConfig::parse(&config.to_toml().unwrap()).unwrap();
    assert_eq!(back, config);
}

#[test]
fn zero_switches_the_average_and_the_clipping_off() {
    let off = TrainConfig::parse("[optimiser]\naverage = 0\nclip_norm = 0.0").unwrap();
    assert_eq!(
        (off.optimiser.average, off.optimiser.clip_norm),
        (None, None)
    );
    let back = TrainConfig::parse(&off.to_toml().unwrap()).unwrap();
    assert_eq!(back, off);
}

#[test]
fn the_effective_configuration_reads_back_the_same() {
    let mut config = TrainConfig::parse("[model]\npreset = \"vnet5\"\niterations = 0").unwrap();
    let expected = MultiRNetConfig {
        iterations: 0,
        ..MultiRNetConfig::vnet5()
    };
    assert_eq!(config.model, expected.into());
    config.optimiser.clip_norm = Some(0.1);
    config.run.max_minutes = Some(1.0 / 3.0);
    let back = TrainConfig::parse(&config.to_toml().unwrap()).unwrap();
    assert_eq!(back, config);
}

#[test]
fn bad_configurations_are_refused_with_key_and_line() {
    let table = [
        ("[run]\nseed = 1\nepoch = 3\n", "line 3", "epoch"),
        ("[modell]\n", "line 1", "modell"),
        ("[model]\npreset = \"huge\"\n", "base, small, vnet5", "huge"),
        ("[model]\npreset = \"small\"\nwidth = 3\n", "width", "width"),
        ("[sampling]\nbatch = 0\n", "at least 1", "sampling.batch"),
        (
            "[sampling]\npatch_size = [32, 96, 90]\n",
            "16",
            "sampling.patch_size",
        ),
        (
            "[sampling]\npatch_size = [16, 96, 96]\n",
            "same shape",
            "global_shape",
        ),
        (
            "[optimiser]\nschedule = \"cosine-time\"\n",
            "max_minutes",
            "schedule",
        ),
        ("[augment]\nscale = 3\n", "0.5", "augment.scale"),
        ("[optimiser]\naverage = 1\n", "below 1", "optimiser.average"),
        (
            "[[stage]]\n[[stage]]\npatch_size = [16, 40, 48]\n",
            "stage 2",
            "sampling.patch_size",
        ),
        (
            "[[stage]]\nspacing_scale = 2\nspacing_mm = [5, 3, 3]\n",
            "stage 1",
            "exclude each other",
        ),
        ("[[stage]]\nspacing_scale = 0\n", "stage 1", "above 0"),
        ("[[stage]]\nminutes = 0\n", "stage 1", "minutes = 0.0"),
        ("[[stage]]\nshare = 0.5\n", "line 2", "share"),
        (
            "[optimiser]\nschedule = \"cosine-time\"\n[run]\nmax_minutes = 9\n[[stage]]\n",
            "stage 1",
            "minutes",
        ),
        ("[run\n", "line 1", ""),
    ];
    for (text, first, second) in table {
        let error = TrainConfig::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.to_string();
        assert!(
            message.contains(first) && message.contains(second),
            "{message}"
        );
    }
}

#[test]
fn differences_name_keys_and_leave_limits_alone() {
    let mut a = TrainConfig::default();
    a.optimiser.schedule = Schedule::Constant;
    let mut b = a.clone();
    b.run.patience = 3;
    b.run.init = Some("weights.safetensors".into());
    b.run.epochs = 7;
    assert!(a.differences(&b).is_empty());
    b.loss.alpha = 0.5;
    b.optimiser.clip_norm = Some(2.0);
    assert_eq!(
        a.differences(&b),
        [
            "loss.alpha was 0.7 and is 0.5",
            "optimiser.clip_norm was 1.0 and is 2.0"
        ]
    );
    let mut c = a.clone();
    c.optimiser.schedule = Schedule::Cosine;
    let mut d = c.clone();
    d.run.epochs = 7;
    assert_eq!(c.differences(&d).len(), 1, "a cosine depends on its length");
}
