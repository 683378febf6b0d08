//! `--device`: the program uses the device, or explains why it cannot.

mod common;

use common::{both, expect, multirnet, phantom, run, save};
use multirnet_volume::Diagnosis;

#[test]
fn an_unknown_device_is_a_wrong_argument() {
    let output = run(["info", "--device", "tpu"]);
    expect(&output, 2);
    assert!(both(&output).contains("cpu or gpu"), "{}", both(&output));
}

#[test]
fn an_unknown_instruction_set_is_a_wrong_setting() {
    for (value, code) in [("avx1024", 2), ("", 0), ("portable", 0), ("AVX2", 0)] {
        let output = multirnet()
            .args(["info", "--json"])
            .env("MULTIRNET_ISA", value)
            .output()
            .unwrap();
        expect(&output, code);
        let told = both(&output).contains("MULTIRNET_ISA is \"avx1024\"");
        assert_eq!(told, code == 2, "{}", both(&output));
    }
}

#[test]
fn a_graphics_processor_is_used_or_its_absence_explained() {
    let output = run(["info", "--json"]);
    expect(&output, 0);
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = facts["gpu"].as_str();

    let dir = tempfile::tempdir().unwrap();
    let scan = save(dir.path(), "scan.nii.gz", &phantom(Diagnosis::Cap, 1).ct);
    let out = dir.path().join("out");
    let output = run([
        "predict".as_ref(),
        scan.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
        "--pipeline=global".as_ref(),
        "--device=gpu".as_ref(),
    ]);
    if let Some(name) = found {
        eprintln!("on {name}");
        expect(&output, 0);
        assert!(out.join("finding.json").exists());
        return;
    }
    expect(&output, 2);
    let said = both(&output);
    let remedy = if cfg!(feature = "wgpu") {
        "driver"
    } else {
        "--features wgpu"
    };
    assert!(
        said.contains("--device gpu") && said.contains(remedy),
        "{said}"
    );
    assert!(!out.exists());
}
