//! Damaged files give an error or a result, never a panic or a huge allocation.

use crate::support::*;
use multirnet_dicom::ReadOptions;
use rand::{Rng, RngExt, SeedableRng};
use std::io::Read;
use std::path::Path;

/// Replaces the middle one of three files by `bytes` and reads the series. An error is fine, a
/// panic or a value that is not finite fails the test.
fn try_with(folder: &Path, bytes: &[u8]) {
    std::fs::write(folder.join("01.dcm"), bytes).unwrap();
    for allow_irregular in [false, true] {
        let options = ReadOptions {
            series: None,
            allow_irregular,
            ..ReadOptions::default()
        };
        if let Ok(scan) = multirnet_dicom::read(folder, &options) {
            assert!(scan.volume.data().iter().all(|v| v.is_finite()));
        }
    }
}

fn golden(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.zip"));
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|i| {
            let mut bytes = Vec::new();
            zip.by_index(i).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        })
        .collect()
}

const FORMATS: [&str; 9] = [
    "implicit",
    "explicit",
    "big_endian",
    "deflated",
    "rle",
    "jpeg_lossless",
    "jpeg_ls",
    "jpeg_2000",
    "jpeg_baseline",
];

#[test]
fn truncated_files_never_panic() {
    for name in FORMATS {
        let files = golden(name);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00.dcm"), &files[0]).unwrap();
        std::fs::write(folder.path().join("02.dcm"), &files[2]).unwrap();
        for end in (0..files[1].len()).step_by(11) {
            try_with(folder.path(), &files[1][..end]);
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(7);
    for name in FORMATS {
        let files = golden(name);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00.dcm"), &files[0]).unwrap();
        std::fs::write(folder.path().join("02.dcm"), &files[2]).unwrap();
        for round in 0..150 {
            let mut bytes = files[1].clone();
            for _ in 0..1 + round % 4 {
                // Every other round changes only the second half, where the compressed data are.
                let from = if round % 2 == 0 { 128 } else { bytes.len() / 2 };
                let at = rng.random_range(from..bytes.len());
                bytes[at] = (rng.next_u32() & 0xFF) as u8;
            }
            try_with(folder.path(), &bytes);
        }
    }
}

#[test]
fn damaged_archives_never_panic() {
    let whole =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/jpeg_ls.zip"))
            .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.zip");
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(8);
    for round in 0..200 {
        let mut bytes = whole.clone();
        if round % 2 == 0 {
            bytes.truncate(rng.random_range(0..whole.len()));
        } else {
            let at = rng.random_range(4..whole.len());
            bytes[at] = bytes[at].wrapping_add(1 + (rng.next_u32() % 255) as u8);
        }
        std::fs::write(&path, &bytes).unwrap();
        let _ = read(&path);
    }
    std::fs::write(&path, &whole[..whole.len() - 30]).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.contains("study.zip") && error.contains("fetch it again"),
        "{error}"
    );
}

#[test]
fn lengths_beyond_the_file_cost_no_memory() {
    // A private element that claims 4 GB, plain and inside a sequence.
    let huge = [
        0x29, 0, 0x10, 0x10, b'O', b'B', 0, 0, 0xF0, 0xFF, 0xFF, 0xFF,
    ];
    // The same with a type that does not exist, whose length the parser takes as 32 bits.
    let unknown = [
        0x29, 0, 0x10, 0x10, b'A', b'Y', 4, 0, 0xF0, 0xFF, 0xFF, 0xFF,
    ];
    let mut nested = Writer::default();
    nested.sequence((0x0029, 0x1011), &[Writer(huge.to_vec())]);
    for more in [huge.to_vec(), unknown.to_vec(), nested.0] {
        let mut slices = series(3);
        slices[1].more = Writer(more);
        let error = read_slices(&slices, false).unwrap_err().to_string();
        assert!(
            error.contains("01.dcm") && error.contains("truncated"),
            "{error}"
        );
    }
}

#[test]
fn numbers_of_broken_length_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = series(3);
    // The general parser reads one number of four bytes, steps on by six, and takes what is left of the
    // value for the length of an element.
    slices[1].more.raw(
        (0x0029, 0x1001),
        "UL",
        &[0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0x7F],
    );
    write(folder.path(), &slices);
    let error = multirnet_dicom::read(folder.path(), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("6 bytes"), "{error}");
    assert_eq!(error.offending(), ["01.dcm"]);
}
