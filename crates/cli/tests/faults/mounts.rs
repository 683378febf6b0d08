//! A server and a listener on a small disk that is really full, and without rights that are really taken.

use crate::common::{expect, multirnet};
use crate::pacs::*;
use crate::serve::{PATIENCE, SCAN, Served};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// Options of `unshare` and `nsenter` for a file system of one's own.
const OWN: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// A command that runs `program` with a small disk mounted at `disk`; `None`, and a message, where that
/// cannot be done.
fn on_a_small_disk(disk: &Path, mib: u32, program: &Command) -> Option<Command> {
    fs::create_dir_all(disk).unwrap();
    let mount = format!("mount -t tmpfs -o size={mib}m none '{}'", disk.display());
    let tried = Command::new("unshare")
        .args(OWN)
        .args(["sh", "-c", &mount])
        .output();
    if !tried.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no file system can be mounted here without rights");
        return None;
    }
    let mut command = Command::new("unshare");
    let script = format!("{mount} && exec \"$@\"");
    command.args(OWN).args(["sh", "-c", &script, "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    Some(command)
}

/// Runs a script where the process `id` has its disk.
fn beside(id: &str, script: &str) -> Output {
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        id,
        "--user",
        "--mount",
        "--preserve-credentials",
    ]);
    command.args(["sh", "-c", script]).output().unwrap()
}

/// Fills the disk to the last byte.
fn fill(id: &str, disk: &Path) {
    let script = format!("cat /dev/zero > '{}/fill'", disk.display());
    let output = beside(id, &script);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("No space left"),
        "{output:?}"
    );
}

fn make_room(id: &str, disk: &Path) {
    expect(&beside(id, &format!("rm '{}/fill'", disk.display())), 0);
}

#[test]
fn a_server_on_a_disk_that_is_really_full_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("data");
    let config = dir.path().join("server.toml");
    // The limit alone would refuse what is to be tried here.
    fs::write(&config, "[limits]\nfree_disk_mib = 0\n").unwrap();
    let mut program = multirnet();
    program
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config);
    program.arg("--data").arg(&disk);
    let Some(command) = on_a_small_disk(&disk, 192, &program) else {
        return;
    };
    let server = Served::begin(command);
    let id = server.id();
    let upload = |key: &str| {
        let path = format!("/api/v1/jobs/upload?name={key}.nii.gz");
        server.ask("POST", &path, key, SCAN.clone()).unwrap()
    };
    let mut refused = 0;
    // The disk fills up at another moment of each analysis.
    for round in 0..6_u64 {
        let (status, job) = upload(&format!("scan-{round}"));
        assert_eq!(status, 201, "{job}");
        std::thread::sleep(Duration::from_millis(round * 150));
        fill(&id, &disk);
        let (status, value) = upload(&format!("full-{round}"));
        // The free space is asked before the upload begins, and the disk may refuse it afterwards.
        assert!(matches!(status, 503 | 507), "{status}: {value}");
        refused += 1;
        std::thread::sleep(Duration::from_millis(400));
        make_room(&id, &disk);
        let (status, job) = upload(&format!("full-{round}"));
        assert_eq!(status, 201, "{job}");
        server.wait_until_done(2 * (round + 1), 3 * PATIENCE);
    }
    let jobs = server.get("/api/v1/jobs?limit=100")["jobs"].clone();
    let shares: Vec<_> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|j| &j["share_involved"])
        .collect();
    assert_eq!(shares, vec![shares[0]; 12]);
    let script = format!("find '{0}' -name attempt; ls '{0}/uploads'", disk.display());
    wait_until("uploads that are used up are gone", || {
        beside(&id, &script).stdout.is_empty()
    });
    println!("{refused} uploads refused, {} scans analysed", shares.len());
    assert_eq!(server.end(), Some(130));
}

#[test]
fn a_listener_on_a_disk_that_is_really_full_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let disk = folder.join("store");
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 2);
        let mut program = multirnet();
        program.arg("listen").arg(&config);
        let Some(command) = on_a_small_disk(&disk, 64, &program) else {
            return;
        };
        let mut listener = Running::begin(command);
        let id = listener.process().to_string();
        for round in 1..=4_u8 {
            let files = study(folder, round);
            // Once before the study comes, once within its quiet time, and then during its analysis.
            if round == 1 {
                fill(&id, &disk);
                assert!(listener.send(&files) < files.len());
                make_room(&id, &disk);
            }
            assert_eq!(listener.send(&files), files.len());
            std::thread::sleep(Duration::from_millis(700 * u64::from(round)));
            fill(&id, &disk);
            std::thread::sleep(Duration::from_millis(2500));
            make_room(&id, &disk);
            wait_until("four results", || results(folder, round).len() == 4);
        }
        listener.wait_for("free some space");
        assert_eq!(audited(folder, "job_analysed").len(), 4);
        assert_eq!(listener.end(), Some(130));
    });
}

/// Whether this user may write everywhere.
fn is_root(folder: &Path) -> bool {
    let locked = folder.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    fs::write(locked.join("probe"), "").is_ok()
}

#[test]
fn a_server_whose_folders_are_locked_goes_on_when_they_are_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let program = multirnet();
    let mut command = Command::new(program.get_program());
    if is_root(dir.path()) {
        // The server runs as somebody who may not write everywhere.
        for path in [dir.path(), &data] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let owned = Command::new("chown").arg("65534:65534").arg(&data).status();
        let mut probe = Command::new("setpriv");
        let tried = probe
            .args(nobody)
            .arg(program.get_program())
            .arg("--version")
            .output();
        if !owned.is_ok_and(|s| s.success()) || !tried.is_ok_and(|o| o.status.success()) {
            eprintln!("skipped: the program cannot run as another user here");
            return;
        }
        command = Command::new("setpriv");
        command.args(nobody).arg(program.get_program());
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data);
    let server = Served::begin(command);
    let lock = |mode: u32| {
        for name in ["jobs", "uploads"] {
            fs::set_permissions(data.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    server.upload("before").unwrap();
    lock(0o555);
    let path = "/api/v1/jobs/upload?name=a.nii.gz";
    let (status, value) = server.ask("POST", path, "locked", SCAN.clone()).unwrap();
    assert_eq!(
        (status, &value["error"]["kind"]),
        (507, &"disk".into()),
        "{value}"
    );
    assert!(value["error"]["hint"].is_string(), "{value}");
    std::thread::sleep(Duration::from_millis(500));
    lock(0o755);
    let (status, job) = server.ask("POST", path, "locked", SCAN.clone()).unwrap();
    assert_eq!(status, 201, "{job}");
    server.wait_until_done(2, PATIENCE);
    assert_eq!(server.end(), Some(130));
}
