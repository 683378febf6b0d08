//! Scans, masks, manifests, configurations, checkpoints and models that cannot be used.

use crate::lab::{CARD, Lab, STUDY, TINY, ablation, check};
use std::fs;

#[test]
fn unusable_scans_are_told() {
    let lab = Lab::new();
    lab.add_unusable();
    lab.write_changed("bad-study.toml", STUDY, "cohort.csv", "some.csv");
    lab.write_changed("bad-ablation.toml", &ablation(), "cohort.csv", "some.csv");
    check(
        &lab,
        r#"
        3 | inspect bad.nii.gz | bad.nii.gz: | copy or download it again
        4 | inspect bad.nii.gz scan.nii.gz | bad.nii.gz: | copy or download it again | 1 of 2
        3 | inspect absent.nii.gz | absent.nii.gz: | check the path
        3 | inspect empty | empty: | give the folder, file or zip
        3 | inspect blank.nii.gz | blank.nii.gz: | check that the file holds
        3 | predict bad.nii.gz -o out | bad.nii.gz: | copy or download it again
        3 | predict absent.nii.gz -o out | absent.nii.gz: | check the path
        3 | predict blank.nii.gz -o out | blank.nii.gz: | check that the file holds
        3 | explain bad.nii.gz -o out | bad.nii.gz: | copy or download it again
        3 | explain blank.nii.gz -o out | blank.nii.gz: | check that the file holds
        3 | explain empty -o out | empty: | give the folder, file or zip
        3 | evaluate bad.csv | bad.nii.gz: | copy or download it again
        4 | evaluate some.csv --pipeline global | bad.nii.gz: | copy or download it again | 1 of 2
        3 | prepare bad.csv --config tiny.toml --cache cache | bad.nii.gz: | copy or download it again
        4 | prepare some.csv --config tiny.toml --cache cache | bad.nii.gz: | copy or download it again | 1 of 2
        3 | train bad.csv --config tiny.toml -o run | bad.nii.gz: | copy or download it again | from the manifest
        3 | compare bad-study.toml -o st | bad.nii.gz: | copy or download it again
        3 | ablate bad-ablation.toml -o ab | bad.nii.gz: | copy or download it again
        3 | phantom implant bad.nii.gz -o im | bad.nii.gz: | copy or download it again
        3 | phantom implant blank.nii.gz --variants 1 -o im | blank.nii.gz:
        3 | phantom implant absent.nii.gz -o im | absent.nii.gz: | check the path
        "#,
    );
    assert!(!lab.path("out").exists());
}

#[test]
fn unusable_masks_are_told() {
    let lab = Lab::new();
    lab.add_unusable();
    lab.write_changed("grid-study.toml", STUDY, "cohort.csv", "some-grid.csv");
    check(
        &lab,
        r#"
        3 | predict scan.nii.gz --lungs grid.nii.gz -o out | grid.nii.gz | grid
        3 | explain scan.nii.gz --lungs grid.nii.gz -o out | grid.nii.gz | grid
        3 | predict scan.nii.gz --lungs absent.nii.gz -o out | absent.nii.gz: | check the path
        3 | explain scan.nii.gz --lungs absent.nii.gz -o out | absent.nii.gz: | check the path
        3 | predict scan.nii.gz --lungs normal0.nii.gz -o out | normal0.nii.gz: | instead of a label map?
        3 | prepare grid.csv --config tiny.toml --cache cache | grid.nii.gz: | resample
        3 | train grid.csv --config tiny.toml -o run | grid.nii.gz: | resample
        3 | evaluate grid.csv | grid.nii.gz: | resample
        3 | compare grid-study.toml -o st | grid.nii.gz: | resample
        3 | prepare ct-as-mask.csv --config tiny.toml --cache cache | normal0.nii.gz: | instead of a label map?
        3 | train ct-as-mask.csv --config tiny.toml -o run | normal0.nii.gz: | instead of a label map?
        3 | evaluate ct-as-mask.csv | normal0.nii.gz: | instead of a label map?
        3 | prepare no-mask.csv --cache cache | no-mask.csv:2: | absent.nii.gz | paths are relative to
        3 | train no-mask.csv -o run | no-mask.csv:2: | absent.nii.gz | paths are relative to
        3 | evaluate no-mask.csv | no-mask.csv:2: | absent.nii.gz | paths are relative to
        3 | compare study.toml --manifest no-mask.csv -o st2 | no-mask.csv:2: | absent.nii.gz | paths are relative to
        "#,
    );
    assert!(!lab.path("out").exists());
}

#[test]
fn unusable_manifests_are_told() {
    let lab = Lab::new();
    lab.add_unusable();
    fs::create_dir_all(lab.path("folder/flu")).unwrap();
    check(
        &lab,
        r#"
        3 | prepare absent.csv --cache cache | absent.csv: | check the path
        3 | prepare colour.csv --cache cache | colour.csv:1: | "colour" | known columns
        3 | prepare class.csv --cache cache | class.csv:2: | "flu" | write normal, cap or covid19
        3 | prepare columns.csv --cache cache | columns.csv:1: | "patient" | names the columns
        3 | prepare twice.csv --cache cache | twice.csv:3: | line 2 | keep one
        3 | prepare nothing.csv --cache cache | nothing.csv:1: | names the columns
        3 | prepare empty -o new.csv | empty: | make folders normal, cap and covid19
        3 | prepare folder -o new.csv | folder/flu: | name the folders normal, cap and covid19
        3 | train absent.csv -o run | absent.csv: | check the path
        3 | train class.csv -o run | class.csv:2: | "flu" | write normal, cap or covid19
        3 | train cohort.csv cohort.csv -o run | cohort.csv:2: | listed | keep
        3 | train cohort.csv --fold 9 -o run | fold 9 | numbered from 0
        3 | evaluate absent.csv | absent.csv: | check the path
        3 | evaluate twice.csv | twice.csv:3: | keep one
        3 | evaluate cohort.csv --source elsewhere | elsewhere | leave out --source
        3 | evaluate cohort.csv --fold 1 | no scan is left | --fold
        3 | compare study.toml --manifest colour.csv -o st | colour.csv:1: | "colour" | known columns
        3 | compare study.toml --manifest absent.csv -o st1 | absent.csv: | check the path
        3 | ablate ablation.toml --manifest class.csv -o ab | class.csv:2: | write normal, cap or covid19
        3 | compare study.toml --data empty -o st2 | cohort.csv:2: | paths are relative to
        "#,
    );
    assert!(!lab.path("new.csv").exists() && !lab.path("run").exists());
}

#[test]
fn unusable_configurations_are_told() {
    let lab = Lab::new();
    lab.train();
    lab.write_changed("key.toml", TINY, "batch", "batches");
    lab.write_changed("range.toml", TINY, "batch = 2", "batch = 0");
    lab.write_changed("study-key.toml", STUDY, "batch", "batches");
    lab.write_changed("study-range.toml", STUDY, "batch = 2", "batch = 0");
    lab.write_changed("ablation-key.toml", &ablation(), "batch", "batches");
    lab.write_changed("ablation-range.toml", &ablation(), "batch = 2", "batch = 0");
    lab.write_changed(
        "untested.toml",
        STUDY,
        "test_fraction = 0.4",
        "test_fraction = 0.0",
    );
    lab.write("options-key.toml", "treshold = 0.5\n");
    lab.write("options-range.toml", "threshold = 2.0\n");
    lab.write("implant-key.toml", "cap_shares = 0.5\n");
    lab.write("implant-range.toml", "cap_share = 2.0\n");
    lab.write("avoid-key.toml", "[[scan]]\nname = \"scan\"\navoids = []\n");
    lab.write(
        "avoid-range.toml",
        "[[scan]]\nname = \"scan\"\navoid = [{ slices = [900, 901], reason = \"x\" }]\n",
    );
    lab.write_changed("card-key.toml", CARD, "licence", "license");
    lab.write("card-range.toml", &format!("{CARD}threshold = 1.5\n"));
    check(
        &lab,
        r#"
        3 | train cohort.csv --config key.toml -o r | key.toml: | `batches` | expected one of
        3 | train cohort.csv --config range.toml -o r | range.toml: | sampling.batch | allowed:
        3 | train cohort.csv --config absent.toml -o r | absent.toml: | check the path
        3 | prepare cohort.csv --config key.toml --cache c | key.toml: | `batches` | expected one of
        3 | prepare cohort.csv --config range.toml --cache c | range.toml: | sampling.batch | allowed:
        3 | compare study-key.toml -o st | study-key.toml:12: | `batches` | expected one of
        3 | compare study-range.toml -o st | study-range.toml: | sampling.batch | allowed:
        3 | compare tiny.toml -o st | tiny.toml:1: | expected one of
        3 | compare absent.toml -o st | absent.toml: | check the path
        3 | ablate ablation-key.toml -o ab | ablation-key.toml:12: | `batches` | expected one of
        3 | ablate ablation-range.toml -o ab | ablation-range.toml: | sampling.batch | allowed:
        3 | ablate absent.toml -o ab | absent.toml: | check the path
        3 | compare untested.toml -o untested | "split" is empty | raise split.test_fraction
        3 | report empty | empty/study.toml: | give the folder of
        3 | predict scan.nii.gz --config options-key.toml -o out | options-key.toml: | `treshold` | expected one of
        3 | predict scan.nii.gz --config options-range.toml -o out | options-range.toml: | threshold | allowed:
        3 | predict scan.nii.gz --config absent.toml -o out | absent.toml: | check the path
        3 | explain scan.nii.gz --config options-key.toml -o out | options-key.toml: | `treshold` | expected one of
        3 | explain scan.nii.gz --config options-range.toml -o out | options-range.toml: | threshold | allowed:
        3 | evaluate cohort.csv --config options-key.toml | options-key.toml: | `treshold` | expected one of
        3 | evaluate cohort.csv --config options-range.toml | options-range.toml: | threshold | allowed:
        3 | phantom implant scan.nii.gz --config implant-key.toml -o im | implant-key.toml: | `cap_shares` | expected one of
        3 | phantom implant scan.nii.gz --config implant-range.toml -o im | implant-range.toml: | cap_share | allowed:
        3 | phantom implant scan.nii.gz --config absent.toml -o im | absent.toml: | check the path
        3 | phantom implant scan.nii.gz --avoid avoid-key.toml -o im | avoid-key.toml: | `avoids` | expected
        3 | phantom implant scan.nii.gz --avoid avoid-range.toml -o im | 900 to 901 | count from 0
        3 | package run/model.safetensors --name a --card card-key.toml -o p | card-key.toml: | `license` | expected one of
        3 | package run/model.safetensors --name a --card card-range.toml -o p | card-range.toml: | threshold | allowed:
        3 | package run/model.safetensors --name a --card absent.toml -o p | absent.toml: | check the path
        "#,
    );
    for folder in ["r", "c", "st", "ab", "out", "p"] {
        assert!(!lab.path(folder).exists(), "{folder} was written");
    }
}

#[test]
fn a_wrong_command_line_is_told() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("folder/normal")).unwrap();
    fs::copy(lab.path("scan.nii.gz"), lab.path("folder/normal/a.nii.gz")).unwrap();
    check(
        &lab,
        r#"
        2 | predict scan.nii.gz | --out
        2 | predict scan.nii.gz -o out --colour red | --colour
        2 | predict scan.nii.gz -o out --threshold 2 | threshold | allowed:
        2 | predict scan.nii.gz scan.nii.gz --lungs cap0-mask.nii.gz -o out | --lungs
        2 | predict scan.nii.gz -o out --jobs 0 | --jobs
        2 | explain scan.nii.gz -o out --class flu | flu | covid19
        2 | evaluate cohort.csv --phantoms 1 | --phantoms
        2 | prepare folder | -o
        2 | prepare folder cohort.csv -o new.csv | cannot be joined with manifests
        2 | train cohort.csv -o run --all --fold 1 | --fold
        2 | train cohort.csv -o run --device tpu | cpu or gpu
        2 | phantom one --class cap --matrix 10 -o out | --matrix
        2 | demo --matrix 10 -o out | --matrix
        2 | info --threads 0 | --threads
        "#,
    );
    assert!(!lab.path("out").exists() && !lab.path("run").exists());
}

/// Changes the last byte but nine of a file. No length or header shows the change.
fn damage(lab: &Lab, from: &str, to: &str) {
    let mut bytes = fs::read(lab.path(from)).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 0xff;
    fs::write(lab.path(to), bytes).unwrap();
}

/// Copies the first half of a file.
fn cut(lab: &Lab, from: &str, to: &str) {
    let bytes = fs::read(lab.path(from)).unwrap();
    fs::write(lab.path(to), &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn corrupt_checkpoints_and_models_are_told() {
    let lab = Lab::new();
    lab.train();
    for run in ["cut", "damaged", "old"] {
        fs::create_dir_all(lab.path(run).join("checkpoints")).unwrap();
        fs::copy(
            lab.path("run/config.toml"),
            lab.path(run).join("config.toml"),
        )
        .unwrap();
    }
    let state = "run/checkpoints/last.state";
    cut(&lab, state, "cut/checkpoints/last.state");
    damage(&lab, state, "damaged/checkpoints/last.state");
    let old = [b"MRNTRST0", &fs::read(lab.path(state)).unwrap()[8..]].concat();
    fs::write(lab.path("old/checkpoints/last.state"), old).unwrap();
    cut(&lab, "run/model.safetensors", "cut.safetensors");
    lab.write_changed(
        "init.toml",
        STUDY,
        "[train.run]",
        "[train.run]\ninit = \"cut.safetensors\"",
    );
    check(
        &lab,
        r#"
        3 | train cohort.csv --resume -o cut | cut/checkpoints/last.state: | truncated or corrupt | start a new run in another folder
        3 | train cohort.csv --resume -o damaged | damaged/checkpoints/last.state: | truncated or corrupt | start a new run in another folder
        3 | train cohort.csv --resume -o old | old/checkpoints/last.state: | another version | start a new run in another folder
        3 | train cohort.csv --resume -o nowhere | nowhere/checkpoints/last.state: | start a new run
        3 | train cohort.csv --config tiny.toml -o run | run/checkpoints/last.state: | resume it
        3 | train cohort.csv --config tiny.toml --init cut.safetensors -o r | cut.safetensors: | copy or download it again
        3 | info --model cut.safetensors | cut.safetensors: | copy or download it again
        3 | info --model nobody | "nobody" | lungs-small
        3 | predict scan.nii.gz --model cut.safetensors -o out | cut.safetensors: | copy or download it again
        3 | explain scan.nii.gz --model cut.safetensors -o out | cut.safetensors: | copy or download it again
        3 | evaluate cohort.csv --model cut.safetensors -o out | cut.safetensors: | copy or download it again
        3 | demo --model cut.safetensors -o out | cut.safetensors: | copy or download it again
        3 | package cut.safetensors --name a --card card.toml -o out | cut.safetensors: | copy or download it again
        3 | export cut.safetensors -o a.onnx | cut.safetensors: | copy or download it again
        3 | export nobody -o a.onnx | "nobody" | lungs-small
        3 | package ./absent.safetensors --name a --card card.toml -o out | absent.safetensors: | check the path
        3 | compare init.toml -o st | cut.safetensors: | copy or download it again
        "#,
    );
    assert!(!lab.path("out").exists());
}

#[test]
fn damaged_studies_are_told() {
    let lab = Lab::new();
    crate::common::expect(&lab.run("compare study.toml --no-figures -o st"), 0);
    lab.write_changed("other.toml", STUDY, "One system", "Another system");
    check(
        &lab,
        r#"
        3 | compare other.toml -o st | st/study.toml: | another study | choose another folder
        "#,
    );
    let scores = fs::read_dir(lab.path("st/scores/tiny/split")).unwrap();
    let score = scores
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "json"))
        .unwrap();
    let sound = fs::read(&score).unwrap();
    fs::write(&score, "{").unwrap();
    check(
        &lab,
        r#"
        3 | compare study.toml -o st | st/scores/tiny/split/ | .json: | delete the file: what it holds is then made again
        3 | report st | st/scores/tiny/split/ | .json: | delete the file: what it holds is then made again
        "#,
    );
    fs::write(&score, sound).unwrap();
    let summary = lab.path("st/runs/tiny/split/summary.json");
    let sound = fs::read(&summary).unwrap();
    fs::write(&summary, "{").unwrap();
    check(
        &lab,
        r#"
        3 | compare study.toml -o st | split/summary.json: | delete the file: what it holds is then made again
        3 | report st | split/summary.json: | delete the file: what it holds is then made again
        "#,
    );
    fs::write(&summary, sound).unwrap();
    // The figures show scans, which may have disappeared since.
    for scan in ["normal0", "normal1", "cap0", "cap1"] {
        fs::write(lab.path(&format!("{scan}.nii.gz")), "gone").unwrap();
    }
    check(
        &lab,
        r#"
        3 | report st | .nii.gz: | copy or download it again
        "#,
    );
    // A training was stopped within a study, and its state was damaged since.
    fs::remove_file(summary).unwrap();
    damage(
        &lab,
        "st/runs/tiny/split/checkpoints/last.state",
        "st/runs/tiny/split/checkpoints/last.state",
    );
    check(
        &lab,
        r#"
        3 | compare study.toml -o st | checkpoints/last.state: | truncated or corrupt | restore it
        "#,
    );
}

#[test]
fn a_diverged_training_is_told() {
    let lab = Lab::new();
    let wild = "[optimiser]\nlearning_rate = 1e30\nclip_norm = 0";
    let train = TINY.replace("steps_per_epoch = 1", "steps_per_epoch = 20");
    lab.write_changed("wild.toml", &train, "[optimiser]", wild);
    let wild = wild.replace("[optimiser]", "[train.optimiser]");
    for (name, text) in [
        ("wild-study.toml", STUDY),
        ("wild-ablation.toml", &ablation()),
    ] {
        let text = text.replace("steps_per_epoch = 1", "steps_per_epoch = 20");
        lab.write_changed(name, &text, "[train.optimiser]", &wild);
    }
    check(
        &lab,
        r#"
        6 | train cohort.csv --config wild.toml -o run | run: the loss of step | not finite | a new folder with a lower learning rate
        6 | compare wild-study.toml -o st | st/runs/tiny/split: | not finite | a new folder with a lower learning rate
        6 | ablate wild-ablation.toml -o ab | ab/runs/ | not finite | a new folder with a lower learning rate
        "#,
    );
    assert!(!lab.path("run/model.safetensors").exists());
    // The remedy of the message works.
    let lower = fs::read_to_string(lab.path("wild.toml")).unwrap();
    lab.write("lower.toml", &lower.replace("1e30", "1e-3"));
    let output = lab.run("train cohort.csv --config lower.toml -o lower");
    crate::common::expect(&output, 0);
}

#[test]
fn an_unusable_scan_is_named_once() {
    let lab = Lab::new();
    lab.add_unusable();
    lab.write_changed(
        "bad-trained.toml",
        STUDY,
        "[split]",
        "training = [{ manifest = \"bad.csv\" }]\n[split]",
    );
    for line in [
        "train bad.csv --config tiny.toml -o run",
        "compare bad-trained.toml -o trained",
    ] {
        let output = lab.run(line);
        crate::common::expect(&output, 3);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.matches("bad.nii.gz").count(), 1, "{line}: {said}");
    }
}
