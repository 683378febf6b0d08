//! Folders and archives of very many files, and of what is not a file.

use crate::support::*;
use crate::watch::{assert_refused, attacked};
use std::io::Write;

/// The process stays below this in all tests of this file.
const MOST_MIB: u64 = 700;

#[test]
fn ten_thousand_tiny_files_are_looked_at_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..10_000 {
        std::fs::write(folder.path().join(format!("{i}.txt")), b"x").unwrap();
    }
    let result = attacked("10000 tiny files", MOST_MIB, || read(folder.path()));
    assert_refused(
        "tiny files",
        result,
        "none of the 10000 files here is DICOM",
    );
    for i in 0..10_000 {
        std::fs::rename(
            folder.path().join(format!("{i}.txt")),
            folder.path().join(format!("{i}.dcm")),
        )
        .unwrap();
    }
    let result = attacked("10000 tiny files named .dcm", MOST_MIB, || {
        read(folder.path())
    });
    let text = result.unwrap_err().to_string();
    assert!(text.len() < 2000, "{} characters", text.len());
}

#[test]
fn ten_thousand_tiny_entries_are_looked_at_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for i in 0..10_000 {
        zip.start_file(format!("{i}.dcm"), options).unwrap();
        zip.write_all(b"x").unwrap();
    }
    for s in series(3) {
        zip.start_file(format!("slice{}.dcm", s.instance), options)
            .unwrap();
        zip.write_all(&s.bytes()).unwrap();
    }
    zip.finish().unwrap();
    let result = attacked("10000 tiny entries", MOST_MIB, || read(&path));
    assert_refused("tiny entries", result, "10000 files cannot be read");
    let scan = attacked("10000 tiny entries, left out", MOST_MIB, || {
        read_anyhow(&path)
    });
    assert_eq!(scan.unwrap().volume.shape()[0], 3);
}

#[cfg(unix)]
#[test]
fn pipes_devices_sockets_and_circles_are_not_waited_for() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(3));
    let inside = |name: &str| folder.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .args([inside("pipe"), inside("pipe.dcm")])
        .status();
    if !made.is_ok_and(|s| s.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    symlink("/dev/zero", inside("zero.dcm")).unwrap();
    symlink("/dev/null", inside("null.dcm")).unwrap();
    symlink(folder.path(), inside("circle")).unwrap();
    symlink("link-to-itself", inside("link-to-itself")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(inside("socket.dcm")).unwrap();
    std::fs::create_dir_all(inside("a/b")).unwrap();
    symlink("../..", inside("a/b/up")).unwrap();

    let scan = attacked("a folder of pipes", MOST_MIB, || read_anyhow(folder.path()));
    assert_eq!(scan.unwrap().volume.shape()[0], 3);
    assert!(multirnet_dicom::is_dicom(folder.path()));
    for name in ["pipe", "pipe.dcm", "zero.dcm", "null.dcm", "socket.dcm"] {
        assert!(!multirnet_dicom::is_dicom(&inside(name)), "{name}");
        let result = attacked(name, MOST_MIB, || read(&inside(name)));
        assert_refused(name, result, "not a regular file");
    }
}
