//! What a scheduler's variables and the arguments say about the part.

use crate::batch::{PREDICT, command, lab, parsed};
use crate::common::{both, expect};

#[test]
fn schedulers_and_arguments_give_the_part_or_say_what_is_missing() {
    let lab = lab(4);
    // (variables, arguments, part, or what is said instead)
    let table = [
        ("", "", Ok("1/1")),
        (
            "SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=4",
            "",
            Ok("2/4"),
        ),
        ("SLURM_ARRAY_TASK_ID=7", "--shards 9", Ok("7/9")),
        ("JOB_COMPLETION_INDEX=0", "--shards 4", Ok("1/4")),
        ("JOB_COMPLETION_INDEX=3 JOB_COMPLETIONS=4", "", Ok("4/4")),
        // The argument is stronger than the variables.
        ("SLURM_ARRAY_TASK_ID=2", "--shard 3/4", Ok("3/4")),
        (
            "SLURM_ARRAY_TASK_ID=2",
            "",
            Err("SLURM_ARRAY_TASK_COUNT is not"),
        ),
        (
            "JOB_COMPLETION_INDEX=2",
            "",
            Err("number of parts is not known"),
        ),
        ("", "--shards 4", Err("which of 4 parts")),
        ("", "--shard 5/4", Err("no part 5 of 4")),
        ("", "--shard 1/4 --shards 4", Err("cannot be used with")),
        ("", "scan.nii.gz", Err("cannot be used with")),
    ];
    for (variables, arguments, expected) in table {
        let mut part = command(&lab, &format!("--json {PREDICT} {arguments} -o out"));
        for pair in variables.split_whitespace() {
            let (name, value) = pair.split_once('=').unwrap();
            part.env(name, value);
        }
        let output = part.output().unwrap();
        match expected {
            Ok(part) => {
                expect(&output, 0);
                assert_eq!(parsed(&output)["shard"], part, "{variables} {arguments}");
            }
            Err(said) => {
                expect(&output, 2);
                assert!(both(&output).contains(said), "{}", both(&output));
            }
        }
    }
    // Without a manifest the variables mean nothing: a scan is analysed within an array as well.
    let line = "predict scan.nii.gz --model run/model.safetensors --pipeline global -o single";
    let mut whole = command(&lab, line);
    expect(&whole.env("SLURM_ARRAY_TASK_ID", "2").output().unwrap(), 0);
    let output = command(&lab, "predict scan.nii.gz --shard 1/2 -o single").output();
    expect(&output.unwrap(), 2);
}
