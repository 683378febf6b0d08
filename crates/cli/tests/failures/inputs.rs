//! Scans, masks, manifests, configurations, checkpoints and models that cannot be used.

use crate::lab::{CARD, Lab, Row, STUDY, TINY, ablation, check};
use std::fs;

const COPY: &str = "copy or download it again";
const PATH: &str = "check the path";

#[test]
fn unusable_scans_are_told() {
    let lab = Lab::new();
    lab.add_unusable();
    lab.write_changed("bad-study.toml", STUDY, "cohort.csv", "bad.csv");
    lab.write_changed("bad-ablation.toml", &ablation(), "cohort.csv", "bad.csv");
    check(
        &lab,
        &[
            Row("inspect bad.nii.gz", 3, &["bad.nii.gz: ", COPY]),
            Row("inspect bad.nii.gz scan.nii.gz", 4, &["bad.nii.gz: ", COPY, "1 of 2"]),
            Row("inspect absent.nii.gz", 3, &["absent.nii.gz: ", PATH]),
            Row("inspect empty", 3, &["empty: ", "give the folder, file or zip"]),
            Row("inspect blank.nii.gz", 3, &["blank.nii.gz: ", "check that the file holds"]),
            Row("predict bad.nii.gz -o out", 3, &["bad.nii.gz: ", COPY]),
            Row("predict absent.nii.gz -o out", 3, &["absent.nii.gz: ", PATH]),
            Row("predict blank.nii.gz -o out", 3, &["blank.nii.gz: ", "check that the file holds"]),
            Row("explain bad.nii.gz -o out", 3, &["bad.nii.gz: ", COPY]),
            Row("explain blank.nii.gz -o out", 3, &["blank.nii.gz: ", "check that the file holds"]),
            Row("explain empty -o out", 3, &["empty: ", "give the folder, file or zip"]),
            Row("evaluate bad.csv", 3, &["bad.nii.gz: ", COPY]),
            Row("evaluate some.csv --pipeline global", 4, &["bad.nii.gz: ", COPY, "1 of 2"]),
            Row("prepare bad.csv --config tiny.toml --cache cache", 3, &["bad.nii.gz: ", COPY]),
            Row("prepare some.csv --config tiny.toml --cache cache", 4, &["bad.nii.gz: ", COPY, "1 of 2"]),
            Row("train bad.csv --config tiny.toml -o run", 3, &["bad.nii.gz: ", COPY, "from the manifest"]),
            Row("compare bad-study.toml -o st", 3, &["bad.nii.gz: ", COPY]),
            Row("ablate bad-ablation.toml -o ab", 3, &["bad.nii.gz: ", COPY]),
            Row("phantom implant bad.nii.gz -o im", 3, &["bad.nii.gz: ", COPY]),
            Row("phantom implant blank.nii.gz --variants 1 -o im", 3, &["blank.nii.gz: "]),
            Row("phantom implant absent.nii.gz -o im", 3, &["absent.nii.gz: ", PATH]),
        ],
    );
    assert!(!lab.path("out").exists());
}

#[test]
fn unusable_masks_are_told() {
    let lab = Lab::new();
    lab.add_unusable();
    lab.write_changed("grid-study.toml", STUDY, "cohort.csv", "grid.csv");
    let (label, missing) = ("instead of a label map?", "paths are relative to");
    check(
        &lab,
        &[
            Row("predict scan.nii.gz --lungs grid.nii.gz -o out", 3, &["grid.nii.gz", "grid"]),
            Row("explain scan.nii.gz --lungs grid.nii.gz -o out", 3, &["grid.nii.gz", "grid"]),
            Row("predict scan.nii.gz --lungs absent.nii.gz -o out", 3, &["absent.nii.gz: ", PATH]),
            Row("explain scan.nii.gz --lungs absent.nii.gz -o out", 3, &["absent.nii.gz: ", PATH]),
            Row("predict scan.nii.gz --lungs normal0.nii.gz -o out", 3, &["normal0.nii.gz: ", label]),
            Row("prepare grid.csv --config tiny.toml --cache cache", 3, &["grid.nii.gz: ", "resample"]),
            Row("train grid.csv --config tiny.toml -o run", 3, &["grid.nii.gz: ", "resample"]),
            Row("evaluate grid.csv", 3, &["grid.nii.gz: ", "resample"]),
            Row("compare grid-study.toml -o st", 3, &["grid.nii.gz: ", "resample"]),
            Row("prepare ct-as-mask.csv --config tiny.toml --cache cache", 3, &["normal0.nii.gz: ", label]),
            Row("train ct-as-mask.csv --config tiny.toml -o run", 3, &["normal0.nii.gz: ", label]),
            Row("evaluate ct-as-mask.csv", 3, &["normal0.nii.gz: ", label]),
            Row("prepare no-mask.csv --cache cache", 3, &["no-mask.csv:2: ", "absent.nii.gz", missing]),
            Row("train no-mask.csv -o run", 3, &["no-mask.csv:2: ", "absent.nii.gz", missing]),
            Row("evaluate no-mask.csv", 3, &["no-mask.csv:2: ", "absent.nii.gz", missing]),
            Row("compare study.toml --manifest no-mask.csv -o st2", 3, &["no-mask.csv:2: ", "absent.nii.gz", missing]),
        ],
    );
    assert!(!lab.path("out").exists());
}

#[test]
fn unusable_manifests_are_told() {
    let lab = Lab::new();
    lab.add_unusable();
    fs::create_dir_all(lab.path("folder/flu")).unwrap();
    let classes = "write normal, cap or covid19";
    check(
        &lab,
        &[
            Row("prepare absent.csv --cache cache", 3, &["absent.csv: ", PATH]),
            Row("prepare colour.csv --cache cache", 3, &["colour.csv:1: ", "\"colour\"", "known columns"]),
            Row("prepare class.csv --cache cache", 3, &["class.csv:2: ", "\"flu\"", classes]),
            Row("prepare columns.csv --cache cache", 3, &["columns.csv:1: ", "\"patient\"", "names the columns"]),
            Row("prepare twice.csv --cache cache", 3, &["twice.csv:3: ", "line 2", "keep one"]),
            Row("prepare nothing.csv --cache cache", 3, &["nothing.csv:1: ", "names the columns"]),
            Row("prepare empty -o new.csv", 3, &["empty: ", "expected folders normal, cap, covid19"]),
            Row("prepare folder -o new.csv", 3, &["folder/flu: ", "name the folders normal, cap and covid19"]),
            Row("train absent.csv -o run", 3, &["absent.csv: ", PATH]),
            Row("train class.csv -o run", 3, &["class.csv:2: ", "\"flu\"", classes]),
            Row("train cohort.csv cohort.csv -o run", 3, &["cohort.csv:2: ", "listed", "keep"]),
            Row("train cohort.csv --fold 9 -o run", 3, &["fold 9", "numbered from 0"]),
            Row("evaluate absent.csv", 3, &["absent.csv: ", PATH]),
            Row("evaluate twice.csv", 3, &["twice.csv:3: ", "keep one"]),
            Row("evaluate cohort.csv --source elsewhere", 3, &["elsewhere", "there are: "]),
            Row("evaluate cohort.csv --fold 1", 3, &["no scan is left", "--fold"]),
            Row("compare study.toml --manifest colour.csv -o st", 3, &["colour.csv:1: ", "\"colour\"", "known columns"]),
            Row("compare study.toml --manifest absent.csv -o st1", 3, &["absent.csv: ", PATH]),
            Row("ablate ablation.toml --manifest class.csv -o ab", 3, &["class.csv:2: ", classes]),
            Row("compare study.toml --data empty -o st2", 3, &["cohort.csv:2: ", "paths are relative to"]),
        ],
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
    let (keys, allowed) = ("expected one of", "allowed: ");
    check(
        &lab,
        &[
            Row("train cohort.csv --config key.toml -o r", 3, &["key.toml:", "`batches`", keys]),
            Row("train cohort.csv --config range.toml -o r", 3, &["range.toml: ", "sampling.batch", allowed]),
            Row("train cohort.csv --config absent.toml -o r", 3, &["absent.toml: ", PATH]),
            Row("prepare cohort.csv --config key.toml --cache c", 3, &["key.toml:", "`batches`", keys]),
            Row("prepare cohort.csv --config range.toml --cache c", 3, &["range.toml: ", "sampling.batch", allowed]),
            Row("compare study-key.toml -o st", 3, &["study-key.toml: ", "`batches`", keys]),
            Row("compare study-range.toml -o st", 3, &["study-range.toml: ", "sampling.batch", allowed]),
            Row("compare tiny.toml -o st", 3, &["tiny.toml: ", keys]),
            Row("compare absent.toml -o st", 3, &["absent.toml: ", PATH]),
            Row("ablate ablation-key.toml -o ab", 3, &["ablation-key.toml: ", "`batches`", keys]),
            Row("ablate ablation-range.toml -o ab", 3, &["ablation-range.toml: ", "sampling.batch", allowed]),
            Row("ablate absent.toml -o ab", 3, &["absent.toml: ", PATH]),
            Row("report empty", 3, &["empty/study.toml: ", "give the folder of"]),
            Row("predict scan.nii.gz --config options-key.toml -o out", 3, &["options-key.toml: ", "`treshold`", keys]),
            Row("predict scan.nii.gz --config options-range.toml -o out", 3, &["options-range.toml: ", "threshold", allowed]),
            Row("predict scan.nii.gz --config absent.toml -o out", 3, &["absent.toml: ", PATH]),
            Row("explain scan.nii.gz --config options-key.toml -o out", 3, &["options-key.toml: ", "`treshold`", keys]),
            Row("explain scan.nii.gz --config options-range.toml -o out", 3, &["options-range.toml: ", "threshold", allowed]),
            Row("evaluate cohort.csv --config options-key.toml", 3, &["options-key.toml: ", "`treshold`", keys]),
            Row("evaluate cohort.csv --config options-range.toml", 3, &["options-range.toml: ", "threshold", allowed]),
            Row("phantom implant scan.nii.gz --config implant-key.toml -o im", 3, &["implant-key.toml: ", "`cap_shares`", keys]),
            Row("phantom implant scan.nii.gz --config implant-range.toml -o im", 3, &["implant-range.toml: ", "cap_share", allowed]),
            Row("phantom implant scan.nii.gz --config absent.toml -o im", 3, &["absent.toml: ", PATH]),
            Row("phantom implant scan.nii.gz --avoid avoid-key.toml -o im", 3, &["avoid-key.toml: ", "`avoids`", "expected"]),
            Row("phantom implant scan.nii.gz --avoid avoid-range.toml -o im", 3, &["900 to 901", "count from 0"]),
            Row("package run/model.safetensors --name a --card card-key.toml -o p", 3, &["card-key.toml: ", "`license`", keys]),
            Row("package run/model.safetensors --name a --card card-range.toml -o p", 3, &["card-range.toml: ", "threshold", allowed]),
            Row("package run/model.safetensors --name a --card absent.toml -o p", 3, &["absent.toml: ", PATH]),
        ],
    );
    for folder in ["r", "c", "st", "ab", "out", "p"] {
        assert!(!lab.path(folder).exists(), "{folder} was written");
    }
}

#[test]
fn a_wrong_command_line_is_told() {
    let lab = Lab::new();
    check(
        &lab,
        &[
            Row("predict scan.nii.gz", 2, &["--out"]),
            Row("predict scan.nii.gz -o out --colour red", 2, &["--colour"]),
            Row("predict scan.nii.gz -o out --threshold 2", 2, &["threshold", "allowed: "]),
            Row("predict scan.nii.gz scan.nii.gz --lungs cap0-mask.nii.gz -o out", 2, &["--lungs"]),
            Row("predict scan.nii.gz -o out --jobs 0", 2, &["--jobs"]),
            Row("explain scan.nii.gz -o out --class flu", 2, &["flu", "covid19"]),
            Row("evaluate cohort.csv --phantoms 1", 2, &["--phantoms"]),
            Row("prepare .", 2, &["-o"]),
            Row("train cohort.csv -o run --all --fold 1", 2, &["--fold"]),
            Row("train cohort.csv -o run --device tpu", 2, &["cpu or gpu"]),
            Row("phantom one --class cap --matrix 10 -o out", 2, &["--matrix"]),
            Row("demo --matrix 10 -o out", 2, &["--matrix"]),
            Row("info --threads 0", 2, &["--threads"]),
        ],
    );
    assert!(!lab.path("out").exists() && !lab.path("run").exists());
}

/// Changes the last byte but nine of a file, which no length or header gives away.
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
        fs::copy(lab.path("run/config.toml"), lab.path(run).join("config.toml")).unwrap();
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
    let (other, again) = ("start a new run in another folder", "copy or download it again");
    check(
        &lab,
        &[
            Row("train cohort.csv --resume -o cut", 3, &["cut/checkpoints/last.state: ", "truncated or corrupt", other]),
            Row("train cohort.csv --resume -o damaged", 3, &["damaged/checkpoints/last.state: ", "truncated or corrupt", other]),
            Row("train cohort.csv --resume -o old", 3, &["old/checkpoints/last.state: ", "another version", other]),
            Row("train cohort.csv --resume -o nowhere", 3, &["nowhere/checkpoints/last.state: ", "start a new run"]),
            Row("train cohort.csv --config tiny.toml -o run", 3, &["run/checkpoints/last.state: ", "resume it"]),
            Row("train cohort.csv --config tiny.toml --init cut.safetensors -o r", 3, &["cut.safetensors: ", again]),
            Row("info --model cut.safetensors", 3, &["cut.safetensors: ", again]),
            Row("info --model nobody", 3, &["\"nobody\"", "lungs-small"]),
            Row("predict scan.nii.gz --model cut.safetensors -o out", 3, &["cut.safetensors: ", again]),
            Row("explain scan.nii.gz --model cut.safetensors -o out", 3, &["cut.safetensors: ", again]),
            Row("evaluate cohort.csv --model cut.safetensors -o out", 3, &["cut.safetensors: ", again]),
            Row("demo --model cut.safetensors -o out", 3, &["cut.safetensors: ", again]),
            Row("package cut.safetensors --name a --card card.toml -o out", 3, &["cut.safetensors: ", again]),
            Row("package ./absent.safetensors --name a --card card.toml -o out", 3, &["absent.safetensors: ", PATH]),
            Row("compare init.toml -o st", 3, &["cut.safetensors: ", again]),
        ],
    );
    assert!(!lab.path("out").exists());
}

#[test]
fn damaged_studies_are_told() {
    let lab = Lab::new();
    crate::common::expect(&lab.run("compare study.toml --no-figures -o st"), 0);
    lab.write_changed("other.toml", STUDY, "One system", "Another system");
    let delete = "delete the file: what it holds is then made again";
    check(
        &lab,
        &[Row("compare other.toml -o st", 3, &["st/study.toml: ", "another study", "choose another folder"])],
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
        &[
            Row("compare study.toml -o st", 3, &["st/scores/tiny/split/", ".json: ", delete]),
            Row("report st", 3, &["st/scores/tiny/split/", ".json: ", delete]),
        ],
    );
    fs::write(&score, sound).unwrap();
    let summary = lab.path("st/runs/tiny/split/summary.json");
    let sound = fs::read(&summary).unwrap();
    fs::write(&summary, "{").unwrap();
    check(
        &lab,
        &[
            Row("compare study.toml -o st", 3, &["split/summary.json: ", delete]),
            Row("report st", 3, &["split/summary.json: ", delete]),
        ],
    );
    fs::write(&summary, sound).unwrap();
    // The figures show scans, which may have gone since.
    for scan in ["normal0", "normal1", "cap0", "cap1"] {
        fs::write(lab.path(&format!("{scan}.nii.gz")), "gone").unwrap();
    }
    check(&lab, &[Row("report st", 3, &[".nii.gz: ", "copy or download it again"])]);
    // A training that stopped within a study, whose state is damaged since.
    fs::remove_file(summary).unwrap();
    damage(&lab, "st/runs/tiny/split/checkpoints/last.state", "st/runs/tiny/split/checkpoints/last.state");
    check(
        &lab,
        &[Row("compare study.toml -o st", 3, &["checkpoints/last.state: ", "truncated or corrupt", "restore it"])],
    );
}

#[test]
fn a_diverged_training_is_told() {
    let lab = Lab::new();
    let wild = "[optimiser]\nlearning_rate = 1e30\nclip_norm = 0";
    let train = TINY.replace("steps_per_epoch = 1", "steps_per_epoch = 20");
    lab.write_changed("wild.toml", &train, "[optimiser]", wild);
    let wild = wild.replace("[optimiser]", "[train.optimiser]");
    for (name, text) in [("wild-study.toml", STUDY), ("wild-ablation.toml", &ablation())] {
        let text = text.replace("steps_per_epoch = 1", "steps_per_epoch = 20");
        lab.write_changed(name, &text, "[train.optimiser]", &wild);
    }
    let said = &["not finite", "a lower learning rate"];
    check(
        &lab,
        &[
            Row("train cohort.csv --config wild.toml -o run", 6, said),
            Row("compare wild-study.toml -o st", 6, said),
            Row("ablate wild-ablation.toml -o ab", 6, said),
        ],
    );
    assert!(!lab.path("run/model.safetensors").exists());
}
