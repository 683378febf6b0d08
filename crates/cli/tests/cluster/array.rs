//! A simulated array of eight processes, of which some are killed.

use crate::batch::{BAD, PREDICT, add_bad, assert_same, command, files, json, lab, parsed, table};
use crate::common::{both, expect};
use crate::lab::Lab;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const TASKS: usize = 8;

/// Starts one task of a Slurm array that writes to `out`.
fn task(lab: &Lab, id: usize, out: &str) -> Child {
    let mut command = command(lab, &format!("{PREDICT} -o {out}"));
    command
        .env("SLURM_ARRAY_TASK_ID", id.to_string())
        .env("SLURM_ARRAY_TASK_COUNT", TASKS.to_string())
        .env("SLURM_ARRAY_TASK_MIN", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until the folder `out` has `count` scans with results, or some seconds are over.
fn wait_for(lab: &Lab, out: &str, count: usize) {
    let start = Instant::now();
    let done = || {
        let all = files(&lab.path(out).join("scans"));
        all.iter().filter(|f| f.ends_with("record.json")).count()
    };
    while done() < count && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_tasks_that_start_again_leave_nothing_out_and_nothing_half_done() {
    let lab = lab(22);
    add_bad(&lab);
    // What one process makes of the list without disturbance.
    let output = command(&lab, &format!("{PREDICT} -o whole"))
        .output()
        .unwrap();
    expect(&output, 4);
    let whole = table(&lab, "whole", 4);

    let mut tasks: Vec<Child> = (1..=TASKS).map(|id| task(&lab, id, "out")).collect();
    for (kill, count) in [2, 5, 7].into_iter().zip([1, 2, 3]) {
        wait_for(&lab, "out", count);
        tasks[kill].kill().unwrap();
    }
    for task in tasks {
        task.wait_with_output().unwrap();
    }
    // All tasks start again, as after `scontrol requeue`.
    let mut failed = 0;
    for task in (1..=TASKS)
        .map(|id| task(&lab, id, "out"))
        .collect::<Vec<_>>()
    {
        let output = task.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => {}
            Some(4) => failed += 1,
            _ => panic!("{}", both(&output)),
        }
    }
    assert_eq!(failed, BAD.len(), "each unusable scan is in another part");
    let merged = table(&lab, "out", 4);
    assert_same(&merged, &whole);
    for (scan, row) in &merged {
        if BAD.contains(&scan.as_str()) {
            assert_eq!(row["state"], "failed");
            assert!(["io", "scan"].contains(&row["kind"].as_str()), "{row:?}");
            assert!(!row["reason"].is_empty() && row["results"].is_empty());
        } else {
            assert_eq!(row["state"], "done");
            let results = lab.path(&row["results"]);
            assert!(results.join("lesions.nii.gz").exists(), "{row:?}");
        }
    }
    assert!(merged[BAD[1]]["reason"].contains("no such file"));
    assert_eq!(lab.unfinished(), Vec::<std::path::PathBuf>::new());
    assert!(files(&lab.path("out/claims")).is_empty());
    // Everything is done; only the failures are tried once more.
    let again = json(&lab, &format!("{PREDICT} -o out"), 4);
    assert_eq!(again["done"], 0);
    assert_eq!(again["skipped"], 22);
    assert_eq!(again["failed"], 2);
}

#[test]
fn two_processes_with_one_part_share_it() {
    let lab = lab(8);
    let start = || {
        let mut command = command(&lab, &format!("--json {PREDICT} -o out"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [start(), start()].map(|c| c.wait_with_output().unwrap());
    let mut done = 0;
    for output in &both {
        expect(output, 0);
        let said = parsed(output);
        assert_eq!(said["scans"], 8);
        let of = |key: &str| said[key].as_u64().unwrap();
        assert_eq!(
            of("done") + of("skipped"),
            8,
            "neither ends before all is done"
        );
        done += of("done");
    }
    assert_eq!(done, 8, "no scan is analysed twice");
    assert!(table(&lab, "out", 0).values().all(|r| r["state"] == "done"));
    assert_eq!(lab.unfinished(), Vec::<std::path::PathBuf>::new());
}
