//! `--quiet` and `-v`: the messages on standard error when nothing is wrong.

use crate::common::{both, expect};
use crate::lab::{Lab, Problems, output};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_quiet_program_says_nothing_when_all_is_well() {
    let lab = Lab::new();
    lab.train();
    let model = "--model run/model.safetensors --pipeline global";
    let mut problems = Problems::default();
    for line in [
        "info",
        "inspect scan.nii.gz",
        &format!("predict scan.nii.gz {model} -o out"),
        &format!("predict scan.nii.gz normal0.nii.gz {model} --jobs 2 -o outs"),
        &format!("explain scan.nii.gz {model} -o why"),
        &format!("evaluate cohort.csv {model} --pictures -o scores"),
        "demo --model run/model.safetensors --matrix 128 -o demo",
        "phantom one --class cap --matrix 96 -o one",
        "phantom cohort --per-class 1 --matrix 96 -o phantoms",
        "phantom implant scan.nii.gz --variants 1 --config implant.toml -o implanted",
        "prepare cohort.csv -o new.csv",
        "prepare cohort.csv --config tiny.toml --cache new-cache",
        "train cohort.csv --config tiny.toml --cache cache -o new",
        "train cohort.csv --resume --cache cache -o new",
        "package run/model.safetensors --name a --card card.toml -o a",
        "export run/model.safetensors --bundle -o b",
        "compare study.toml -o compared",
        "ablate ablation.toml --no-figures -o ablated",
        "report compared",
    ] {
        let output = lab.run(&format!("--quiet {line}"));
        expect(&output, 0);
        let mut wrong = Vec::new();
        if !output.stderr.is_empty() {
            wrong.push("standard error is not empty".to_owned());
        }
        problems.note(line, &wrong, &output);
    }
    problems.expect_none();
}

#[test]
fn the_memory_plan_is_told_to_those_who_ask() {
    let lab = Lab::new();
    lab.train();
    let line = "predict scan.nii.gz --model run/model.safetensors --pipeline global -o out";
    let mut problems = Problems::default();
    for (flag, is_told) in [("", false), ("-v ", true), ("--quiet ", false)] {
        let line = format!("{flag}{line}");
        let mut command = lab.command(&line);
        command.stdout(Stdio::piped());
        let output = output(command, Duration::from_secs(30));
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        let mut wrong = Vec::new();
        if output.status.code() != Some(0) || said.contains("mib") != is_told {
            wrong.push(format!("{}, or the plan is not as expected", output.status));
        }
        problems.note(&line, &wrong, &output);
    }
    problems.expect_none();
    let output = lab.run(&format!("{line} --memory-limit 1"));
    expect(&output, 3);
    let said = both(&output);
    assert!(
        said.contains("MiB") && said.contains("scan.nii.gz"),
        "{said}"
    );
}
