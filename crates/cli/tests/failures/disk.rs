//! Folders that cannot be written, and disks that are full.

use crate::common::both;
use crate::lab::{LIMIT, Lab, Problems, WRITING, faults, output};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The remedy of messages about a folder that cannot be made or written.
const REMEDY: &str = "choose a folder that you may write to";

/// Runs every command with `out` in place of `OUT`, and reports those that do not fail as they should.
fn check(lab: &Lab, out: &str, names: &str, remedy: &str, run: impl Fn(&str) -> Output) {
    let mut problems = Problems::default();
    for line in WRITING {
        let line = line.replace("OUT", out);
        let output = run(&line);
        let mut wrong = faults(&output, 5, &[names, remedy]);
        let left = lab.unfinished();
        if !left.is_empty() || both(&output).contains(LEFT) {
            wrong.push(format!("it left unfinished files {left:?}"));
        }
        problems.note(&line, &wrong, &output);
    }
    problems.expect_none();
}

/// What the script of [`run_on_a_full_disk`] prints before unfinished files.
const LEFT: &str = "left unfinished: ";

#[test]
fn a_file_in_the_place_of_a_folder_is_told() {
    let lab = Lab::new();
    lab.train();
    lab.write("file", "mine");
    check(&lab, "file/out", "file", "", |line| lab.run(line));
    assert_eq!(fs::read_to_string(lab.path("file")).unwrap(), "mine");
    assert!(!lab.path("new/model.safetensors").exists());
}

#[test]
fn a_folder_that_may_not_be_written_is_told() {
    let lab = Lab::new();
    lab.train();
    let locked = lab.path("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(locked.join("probe"), "").is_err() {
        return check(&lab, "locked/out", "locked", REMEDY, |line| lab.run(line));
    }
    // Root may write everywhere, but not as a user of a name space of its own.
    fs::remove_file(locked.join("probe")).unwrap();
    if !can(
        &["--user"],
        &format!("! touch {}", locked.join("probe").display()),
    ) {
        eprintln!(
            "skipped: root may write to every folder, and `unshare --user` does not work here"
        );
        return;
    }
    check(&lab, "locked/out", "locked", REMEDY, |line| {
        let program = lab.command(line);
        let mut command = Command::new("unshare");
        command
            .arg("--user")
            .arg(program.get_program())
            .args(program.get_args());
        command.current_dir(lab.root()).stdout(Stdio::piped());
        output(command, LIMIT)
    });
}

/// Whether a script succeeds with `unshare` and these options.
fn can(options: &[&str], script: &str) -> bool {
    let output = Command::new("unshare")
        .args(options)
        .args(["sh", "-c", script])
        .output();
    output.is_ok_and(|o| o.status.success())
}

/// Options of `unshare` that let a user without rights mount a file system of its own.
const OWN_MOUNTS: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// Runs the program while the folder `full` is a file system in memory without a free block.
fn run_on_a_full_disk(lab: &Lab, line: &str) -> Output {
    let script = format!(
        "mount -t tmpfs -o size=64k none full || exit 99
        cat /dev/zero > full/zeros 2> /dev/null
        \"$@\"
        code=$?
        left=$(find full -name '.multirnet-partial-*')
        [ -z \"$left\" ] || echo \"{LEFT}$left\"
        exit $code"
    );
    let program = lab.command(line);
    let mut command = Command::new("unshare");
    command.args(OWN_MOUNTS).args(["sh", "-c", &script, "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(lab.root()).stdout(Stdio::piped());
    output(command, LIMIT)
}

#[test]
fn a_full_disk_is_told() {
    let lab = Lab::new();
    lab.train();
    fs::create_dir(lab.path("full")).unwrap();
    let mount = format!("mount -t tmpfs none {}", lab.path("full").display());
    if !can(&OWN_MOUNTS, &mount) {
        eprintln!("skipped: no file system can be mounted here without rights");
        return;
    }
    check(&lab, "full/out", "full", "free some space", |line| {
        run_on_a_full_disk(&lab, line)
    });
}

#[test]
fn a_full_standard_output_is_told() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let lab = Lab::new();
    lab.train();
    let model = "--model run/model.safetensors --pipeline global";
    let mut problems = Problems::default();
    for line in [
        "info",
        "inspect scan.nii.gz",
        &format!("predict scan.nii.gz {model} -o out"),
        &format!("explain scan.nii.gz {model} -o why"),
        &format!("evaluate cohort.csv {model}"),
        "prepare cohort.csv -o new.csv",
        "phantom one --class cap --matrix 96 -o one",
        "package run/model.safetensors --name a --card card.toml -o a",
        "export run/model.safetensors -o a.onnx",
        "train cohort.csv --resume -o run",
        "compare study.toml --no-figures -o st",
        "report st",
    ] {
        let mut command = lab.command(line);
        command.stdout(fs::OpenOptions::new().write(true).open(full).unwrap());
        let output = output(command, LIMIT);
        let wrong = faults(&output, 5, &["cannot write to standard output"]);
        problems.note(line, &wrong, &output);
    }
    problems.expect_none();
}
