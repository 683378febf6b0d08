//! A disk that refuses at a step, and a clock that jumps, for a program that runs. `faults.c` says how.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// `ENOSPC`: the disk is full.
pub const FULL: i64 = 28;
/// `EROFS`: the file system is read-only.
pub const READ_ONLY: i64 = 30;

/// The library that breaks the disk, if there is a C compiler.
static LIBRARY: LazyLock<Option<(tempfile::TempDir, PathBuf)>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/faults.c");
    let mut command = Command::new("cc");
    command.args(["-O1", "-shared", "-fPIC", "-o"]);
    let built = command.arg(&path).arg(source).arg("-ldl").output();
    match built {
        Ok(output) if output.status.success() => Some((dir, path)),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => None,
    }
});

/// Faults that a test and a program share.
pub struct Faults {
    folder: tempfile::TempDir,
    control: File,
}

/// Numbers of the control file.
const STEPS: u64 = 0;
const FROM: u64 = 1;
const TO: u64 = 2;
const CODE: u64 = 3;
const FAILED: u64 = 4;
const AHEAD: u64 = 5;
const SOCKETS: u64 = 6;
const NAMES_ONLY: u64 = 7;

impl Faults {
    /// No faults so far. `None`, and a message, if they cannot be built here.
    pub fn new() -> Option<Self> {
        if LIBRARY.is_none() {
            eprintln!("skipped: there is no C compiler `cc` to build the disk that refuses");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        fs::write(&path, [0; 64]).unwrap();
        let control = File::options().read(true).write(true).open(path).unwrap();
        Some(Self { folder, control })
    }

    /// Lets `command` meet the faults, in the folder `root`.
    pub fn meet(&self, command: &mut Command, root: &Path) {
        let (_, library) = LIBRARY.as_ref().unwrap();
        command.env("LD_PRELOAD", library);
        command.env("FAULTS_ROOT", root);
        command.env("FAULTS_CONTROL", self.folder.path().join("control"));
    }

    fn get(&self, index: u64) -> i64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, index * 8).unwrap();
        i64::from_ne_bytes(bytes)
    }

    fn set(&self, index: u64, value: i64) {
        let bytes = value.to_ne_bytes();
        self.control.write_all_at(&bytes, index * 8).unwrap();
    }

    /// From the step `after` steps from now on the disk refuses with `code`. With `names_only`, files
    /// that are open are still written, as after the loss of a permission.
    pub fn refuse(&self, after: i64, code: i64, names_only: bool) {
        self.heal();
        self.set(CODE, code);
        self.set(NAMES_ONLY, i64::from(names_only));
        self.set(TO, i64::MAX);
        self.set(FROM, self.steps() + after);
    }

    /// The disk is sound again.
    pub fn heal(&self) {
        self.set(FROM, 0);
        self.set(FAILED, 0);
    }

    /// Steps so far.
    pub fn steps(&self) -> i64 {
        self.get(STEPS)
    }

    /// How many steps have failed.
    pub fn failed(&self) -> i64 {
        self.get(FAILED)
    }

    /// Sets the computer's clock ahead, or back.
    pub fn set_clock(&self, seconds: i64) {
        self.set(AHEAD, seconds * 1000);
    }

    /// How many sockets of the internet were made.
    pub fn sockets(&self) -> i64 {
        self.get(SOCKETS)
    }
}

/// Some of the numbers `1..=count`, spread evenly, the first and the last among them.
pub fn spread(count: i64, most: i64) -> Vec<i64> {
    if count <= most {
        return (1..=count).collect();
    }
    (0..most)
        .map(|i| 1 + i * (count - 1) / (most - 1))
        .collect()
}
