//! Runs the program, and makes the scans that it reads.
#![allow(dead_code)] // Each test program uses a part of this module.

pub mod dicom;

use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_volume::{Diagnosis, Geometry, Volume, Voxel, io};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program as a command without arguments.
pub fn multirnet() -> Command {
    Command::new(env!("CARGO_BIN_EXE_multirnet"))
}

/// Runs the program with `arguments`.
pub fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    multirnet().args(arguments).output().unwrap()
}

/// The program's standard output and standard error.
pub fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Asserts an exit code. A failed assertion shows the program's output. A panic has code 101.
pub fn expect(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", both(output));
}

/// A quick phantom.
pub fn phantom(class: Diagnosis, seed: u64) -> Phantom {
    PhantomConfig::sample(seed, class, 96).generate().unwrap()
}

/// Writes a volume and returns its path.
pub fn save<T: Voxel>(folder: &Path, name: &str, volume: &Volume<T>) -> PathBuf {
    let path = folder.join(name);
    io::write_nifti(&path, volume).unwrap();
    path
}

/// A volume of one value.
pub fn block(shape: [usize; 3], value: f32) -> Volume<f32> {
    Volume::filled(value, Geometry::axial(shape, [3.0, 1.5, 1.5]).unwrap())
}

/// Names in a folder; empty if there is none.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return vec![];
    };
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
