//! Real peers, which the scripts in `.ci/peers` install. Continuous integration calls the scripts.

use std::path::Path;
use std::process::Command;

fn script(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(root.join(".ci/peers").join(name));
    assert!(command.current_dir(root).status().unwrap().success());
}

#[test]
#[ignore = "skipped: needs Orthanc, dcmtk and a browser; .ci/peers/pacs installs and tries them"]
fn archives_and_a_viewer_take_the_results() {
    script("pacs");
}

#[test]
#[ignore = "skipped: needs dciodvfy, PixelMed, highdicom and dcmqi; .ci/peers/run installs and tries them"]
fn other_programs_read_the_results() {
    script("run");
}
