//! Parts of a list, one after the other: skipping, failures, other runs, and scans that end the program.

use crate::batch::{BAD, PREDICT, add_bad, command, files, json, lab, table, write_list};
use crate::common::{both, expect};
use multirnet::batch::scan_name;
use std::fs;

#[test]
fn parts_make_the_whole_and_missing_scans_are_named_until_then() {
    let lab = lab(5);
    for (shard, scans) in [("1/2", 3), ("2/2", 2)] {
        let said = json(&lab, &format!("{PREDICT} --shard {shard} -o out"), 0);
        assert_eq!(said["shard"], shard);
        assert_eq!(
            (&said["scans"], &said["done"]),
            (&scans.into(), &scans.into())
        );
        let rows = table(&lab, "out", if shard == "1/2" { 4 } else { 0 });
        let missing = rows.values().filter(|r| r["state"] == "missing");
        assert_eq!(missing.count(), if shard == "1/2" { 2 } else { 0 });
    }
    // Another order of the list, one scan more, and one less: what is done is found by its name.
    write_list(&lab, ["scans/s3.nii.gz", "scans/s0.nii.gz", "cap1.nii.gz"]);
    let said = json(&lab, &format!("{PREDICT} -o out"), 0);
    assert_eq!((&said["skipped"], &said["done"]), (&2.into(), &1.into()));
    let said = json(&lab, "merge out --manifest scans.csv", 0);
    assert_eq!((&said["done"], &said["unlisted"]), (&3.into(), &3.into()));
    // Without the list, the table has every scan of the folder, in both forms in the folder.
    let said = json(&lab, "merge out", 0);
    assert_eq!((&said["done"], &said["missing"]), (&6.into(), &0.into()));
    for name in ["out/table.csv", "out/table.jsonl"] {
        let text = fs::read_to_string(lab.path(name)).unwrap();
        assert_eq!(text.lines().count(), 6 + usize::from(name.ends_with("csv")));
    }
    let output = command(&lab, "merge scans").output().unwrap();
    expect(&output, 3);
    assert!(both(&output).contains("holds no results of many scans"));
    assert!(!lab.path("scans/table.csv").exists());
    let output = command(&lab, "merge out -o scans").output().unwrap();
    expect(&output, 5);
    assert!(both(&output).contains("scans: this is a directory"));
}

#[test]
fn a_failed_scan_is_recorded_alone_and_tried_again() {
    let lab = lab(2);
    add_bad(&lab);
    let said = json(&lab, &format!("{PREDICT} -o out"), 4);
    assert_eq!((&said["done"], &said["failed"]), (&2.into(), &2.into()));
    let name = scan_name(BAD[0]);
    let record = lab.path("out/failures").join(&name[name.len() - 12..][..2]);
    let record = record.join(format!("{name}.json"));
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
    assert_eq!(record["scan"], BAD[0]);
    assert_eq!(record["failure"]["kind"], "scan");
    assert!(record["failure"]["hint"].is_string(), "{record}");

    fs::copy(lab.path("cap1.nii.gz"), lab.path(BAD[0])).unwrap();
    let said = json(&lab, &format!("{PREDICT} -o out"), 4);
    assert_eq!((&said["done"], &said["failed"]), (&1.into(), &1.into()));
    assert_eq!(table(&lab, "out", 4)[BAD[0]]["state"], "done");
    assert_eq!(files(&lab.path("out/failures")).len(), 1);
}

#[test]
fn a_folder_keeps_to_one_model_and_one_set_of_options() {
    let lab = lab(1);
    json(&lab, &format!("{PREDICT} -o out"), 0);
    for (change, said) in [
        ("--threshold 0.4", "options"),
        ("--allow-irregular", "options"),
        ("--dicom", "options"),
    ] {
        let output = command(&lab, &format!("{PREDICT} {change} -o out"));
        let output = { output }.output().unwrap();
        expect(&output, 3);
        let text = both(&output);
        assert!(
            text.contains("holds another run") && text.contains(said),
            "{text}"
        );
    }
    // A limit of memory changes no result.
    json(&lab, &format!("{PREDICT} --memory-limit 100000 -o out"), 0);
    let train = "train cohort.csv --config tiny.toml --cache cache -o run2";
    lab.write_changed(
        "tiny.toml",
        crate::lab::TINY,
        "epochs = 1",
        "epochs = 1\nseed = 9",
    );
    expect(&lab.run(train), 0);
    let line = format!("{PREDICT} -o out").replace("run/", "run2/");
    let output = command(&lab, &line).output().unwrap();
    expect(&output, 3);
    assert!(both(&output).contains("model digest"), "{}", both(&output));
}

#[test]
fn a_scan_that_ends_the_program_again_and_again_is_given_up() {
    let lab = lab(2);
    let name = scan_name("scans/s0.nii.gz");
    let claim = lab.path("out/claims").join(&name[name.len() - 12..][..2]);
    fs::create_dir_all(&claim).unwrap();
    let claim = claim.join(&name);
    // As three killed processes leave it.
    fs::write(&claim, "node1 11\nnode2 12\nnode1 13\n").unwrap();
    for _ in 0..2 {
        let said = json(&lab, &format!("{PREDICT} -o out"), 4);
        assert_eq!(said["failed"], 1);
        let failure = &said["failures"][0]["failure"];
        assert_eq!(failure["kind"], "ended");
        assert!(
            failure["reason"]
                .as_str()
                .unwrap()
                .contains("ended 3 times")
        );
        assert!(failure["hint"].as_str().unwrap().contains(&name));
    }
    fs::remove_file(&claim).unwrap();
    let said = json(&lab, &format!("{PREDICT} -o out"), 0);
    assert_eq!((&said["done"], &said["skipped"]), (&1.into(), &1.into()));
    assert_eq!(table(&lab, "out", 0).len(), 2);
}
