//! Compressed volumes that unpack to far more than their header says, or say far more than they hold.

use crate::support::{Bench, gzip, refused, zlib};
use flate2::write::GzEncoder;
use multirnet_volume::{ErrorKind, io};
use std::io::Write;

/// The most memory that this process has had so far, in MiB; `None` if the system does not tell.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// `head`, then `mib` MiB of `byte`, gzipped.
fn bomb(head: &[u8], byte: u8, mib: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(head).unwrap();
    let block = vec![byte; 1 << 20];
    (0..mib).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

const NRRD: &str = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nspace: LPS\n\
    space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\nencoding: gzip\n\n";
const MHA: &str = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 1 2\n\
    CompressedData = True\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";

#[test]
fn what_follows_the_voxels_is_not_read_without_end() {
    let b = Bench::new();
    let nrrd = |data: &[u8]| [NRRD.as_bytes(), data].concat();
    let mha = |data: &[u8]| [MHA.as_bytes(), data].concat();
    assert!(io::read(&b.file("a.nrrd", &nrrd(&gzip(&[1; 8])))).is_ok());
    assert!(io::read(&b.file("a.mha", &mha(&zlib(&[1; 8])))).is_ok());
    // A little more than the voxels is harmless.
    assert!(io::read(&b.file("a.nii.gz", &bomb(&b.good, 0, 2))).is_ok());
    let told = "follow the voxels";
    let after = bomb(&b.good, 0, 400);
    assert!(after.len() < 4 << 20);
    refused(&b.file("b.nii.gz", &after), ErrorKind::Malformed, told);
    refused(
        &b.file("b.nrrd", &nrrd(&bomb(&[1; 8], 0, 400))),
        ErrorKind::Malformed,
        told,
    );
    refused(
        &b.file("b.mha", &mha(&bomb(&[1; 8], 0, 400))),
        ErrorKind::Malformed,
        told,
    );
    assert!(peak_mib().is_none_or(|p| p < 500), "{:?} MiB", peak_mib());
}

#[test]
fn what_precedes_the_voxels_is_bounded() {
    let b = Bench::new();
    let far = b.patched(&[(108, &2e8f32.to_le_bytes())]);
    let file = b.file("far.nii.gz", &bomb(&far, 0, 100));
    refused(&file, ErrorKind::Unsupported, "the voxels begin at byte");
    let skip = NRRD.replace("encoding: gzip\n", "encoding: gzip\nbyte skip: 200000000\n");
    let file = b.file("far.nrrd", &[skip.as_bytes(), &bomb(&[], 1, 100)].concat());
    refused(&file, ErrorKind::Unsupported, "the voxels begin at byte");
}

#[test]
fn a_shape_that_the_data_do_not_hold_costs_no_memory() {
    let b = Bench::new();
    // 1000 x 1000 x 1000 voxels of 2 bytes in a stream that could hold them, but does not.
    let mut dim = Vec::new();
    [3i16, 1000, 1000, 1000]
        .iter()
        .for_each(|d| dim.extend(d.to_le_bytes()));
    let claims = b.patched(&[(40, &dim)]);
    let noise: Vec<u8> = (0..3_000_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let file = b.file("claims.nii.gz", &gzip(&[claims, noise].concat()));
    refused(&file, ErrorKind::Malformed, "cut off");
    let text = NRRD
        .replace("gzip", "ascii")
        .replace("sizes: 2 2 2", "sizes: 100 100 100");
    let file = b.file(
        "text.nrrd",
        &[text.as_bytes(), &b"1 ".repeat(600_000)].concat(),
    );
    refused(&file, ErrorKind::Malformed, "cut off");
    assert!(peak_mib().is_none_or(|p| p < 500), "{:?} MiB", peak_mib());
}

#[test]
fn numbers_as_text_are_read_in_parts() {
    let b = Bench::new();
    let header = NRRD.replace("gzip", "ascii");
    let good = format!("{header}1 2.5,3\n\t4 5e0 {}6 7 8", " ".repeat(700_000));
    let read = io::read(&b.file("spaces.nrrd", good.as_bytes())).unwrap();
    assert_eq!(read.data(), [1.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let large: String = (0..200_000).map(|i| format!("{} ", i % 251)).collect();
    let header = header.replace("sizes: 2 2 2", "sizes: 200 100 10");
    let read = io::read(&b.file("large.nrrd", format!("{header}{large}").as_bytes())).unwrap();
    assert!(
        read.data()
            .iter()
            .enumerate()
            .all(|(i, &v)| v == (i % 251) as f32)
    );
    let long = format!("{header}1 {} 3", "9".repeat(100_000_000));
    refused(
        &b.file("long.nrrd", long.as_bytes()),
        ErrorKind::Malformed,
        "characters",
    );
}

#[test]
fn the_callers_limit_of_voxels_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii.gz");
    let grid = multirnet_volume::Geometry::axial([4, 5, 6], [1.0; 3]).unwrap();
    io::write_nifti(&path, &multirnet_volume::Volume::filled(7i16, grid)).unwrap();
    assert_eq!(io::read_at_most(&path, 120).unwrap().0.shape(), [4, 5, 6]);
    let error = io::read_at_most(&path, 119).unwrap_err();
    assert_eq!(error.kind(), multirnet_volume::ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("more than 119 voxels"),
        "{error}"
    );
}
