//! The parts of a study, run apart and together.

use crate::batch::{command, files, json};
use crate::common::{both, expect};
use crate::lab::{Lab, STUDY, ablation};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// The files of a study that hold its results, with their content.
fn results(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = ["scores", "tables"]
        .iter()
        .flat_map(|name| files(&folder.join(name)))
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            (name, fs::read(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn parts_that_run_apart_make_the_tables_of_the_whole() {
    let lab = Lab::new();
    let second = STUDY
        .split_once("[[system]]")
        .unwrap()
        .1
        .replace("tiny", "second");
    let study = format!("{STUDY}[[system]]{second}set.run.seed = 5\n");
    lab.write("two.toml", &study);
    let line = "compare two.toml --no-figures -o";
    expect(&lab.run(&format!("{line} whole")), 0);

    let parts = json(&lab, &format!("{line} apart --list-parts"), 0);
    assert_eq!(parts, serde_json::json!(["tiny/split", "second/split"]));
    let output = lab.run(&format!("{line} apart --list-parts"));
    assert_eq!(output.stdout, b"tiny/split\nsecond/split\n");
    assert!(!lab.path("apart").exists(), "listing makes nothing");

    // Both parts at once, in one folder.
    let start = |part: &str| {
        let mut command = command(&lab, &format!("{line} apart --only {part}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for child in [start("tiny/split"), start("second/split")] {
        let output = child.wait_with_output().unwrap();
        expect(&output, 0);
        assert!(output.stdout.is_empty());
    }
    assert!(!lab.path("apart/tables").exists());
    let output = lab.run(&format!("{line} apart"));
    expect(&output, 0);
    assert!(
        !both(&output).contains("training"),
        "all parts are found done"
    );
    assert_eq!(results(&lab.path("apart")), results(&lab.path("whole")));

    let output = lab.run(&format!("{line} apart --only third/split"));
    expect(&output, 3);
    assert!(both(&output).contains("its parts are tiny/split, second/split"));
}

#[test]
fn one_training_belongs_to_one_program() {
    let lab = Lab::new();
    let run = lab.path("out/runs/tiny/split");
    fs::create_dir_all(&run).unwrap();
    let lock = fs::File::create(run.join("lock")).unwrap();
    lock.lock().unwrap();
    let line = "compare study.toml --no-figures -o out --only tiny/split";
    let output = lab.run(line);
    expect(&output, 5);
    assert!(both(&output).contains("another program uses this training"));
    drop(lock);
    expect(&lab.run(line), 0);
}

#[test]
fn an_ablation_has_parts_too() {
    let lab = Lab::new();
    lab.write("ablation.toml", &ablation());
    let line = "ablate ablation.toml --no-figures -o out";
    let parts = json(&lab, &format!("{line} --list-parts"), 0);
    let parts = parts.as_array().unwrap();
    assert_eq!(parts.len(), 2);
    for part in parts {
        let part = part.as_str().unwrap();
        expect(&lab.run(&format!("{line} --only {part}")), 0);
    }
    let output = lab.run(line);
    expect(&output, 0);
    assert!(!both(&output).contains("training"), "{}", both(&output));
}
