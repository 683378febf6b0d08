//! Bad input gets a message that names the file, the reason and a remedy, and the documented exit
//! code. The program does not panic and leaves nothing half written.

mod common;

use common::{block, both, expect, names, phantom, run, save};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs `predict` on a scan that must be refused for `reason`.
fn refused(scan: &Path, reason: &str) {
    let out = scan.parent().unwrap().join("out");
    let output = run([Path::new("predict"), scan, Path::new("-o"), &out]);
    expect(&output, 3);
    let said = both(&output);
    let name = scan.file_name().unwrap().to_string_lossy().into_owned();
    let told = format!("{name}: {reason}");
    assert!(said.contains(&told), "{told:?} is not in: {said}");
    assert!(!out.exists(), "left {:?}", names(&out));
    let left: Vec<String> = names(scan.parent().unwrap())
        .into_iter()
        .filter(|n| n.starts_with(".multirnet"))
        .collect();
    assert!(left.is_empty(), "left {left:?}");
}

/// Header and voxels of a NIfTI file with the given dimensions and datatype.
fn raw_nifti(dim: [i16; 8], datatype: i16, bits: i16, voxels: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; 352 + voxels];
    bytes[..4].copy_from_slice(&348i32.to_le_bytes());
    for (i, d) in dim.iter().enumerate() {
        bytes[40 + 2 * i..42 + 2 * i].copy_from_slice(&d.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&datatype.to_le_bytes());
    bytes[72..74].copy_from_slice(&bits.to_le_bytes());
    for i in 0..8 {
        bytes[76 + 4 * i..80 + 4 * i].copy_from_slice(&1f32.to_le_bytes());
    }
    bytes[108..112].copy_from_slice(&352f32.to_le_bytes());
    bytes[344..348].copy_from_slice(b"n+1\0");
    bytes
}

#[test]
fn damaged_and_foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refused(
        &dir.path().join("absent.nii.gz"),
        "there is no such file or folder",
    );
    refused(&write("empty.nii", b""), "the file is empty");
    refused(&write("empty.nii.gz", b""), "the file is empty");
    refused(
        &write("letter.txt", b"Dear colleague, ..."),
        "this is neither DICOM nor a zip archive",
    );
    refused(
        &write("noise.nii.gz", &[0x5a; 4000]),
        "this is not a NIfTI-1 file",
    );
    refused(
        &write("broken.nrrd", b"NRRD0004\ntype: short\ndimension: 3\n"),
        "the header lacks \"sizes\"",
    );
    refused(
        &write("broken.mha", b"ObjectType = Image\nNDims = 3\n"),
        "the header lacks \"ElementDataFile\"",
    );
    refused(
        &write("broken.zip", b"PK\x03\x04nothing"),
        "the zip archive cannot be read",
    );
    refused(
        &write("broken.dcm", b"not dicom at all"),
        "this is neither DICOM nor a zip archive",
    );
    let whole = save(dir.path(), "whole.nii", &block([40, 64, 64], 0.0));
    let bytes = fs::read(whole).unwrap();
    refused(
        &write("truncated.nii", &bytes[..bytes.len() / 2]),
        "the file is cut off",
    );
    let empty = dir.path().join("empty-folder");
    fs::create_dir(&empty).unwrap();
    refused(&empty, "there are no files here");
}

#[test]
fn images_that_are_not_volumes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refused(
        &write(
            "flat.nii",
            &raw_nifti([2, 64, 64, 1, 1, 1, 1, 1], 4, 16, 64 * 64 * 2),
        ),
        "this is an image of size [64, 64], not a volume",
    );
    refused(
        &write(
            "film.nii",
            &raw_nifti([4, 16, 16, 16, 5, 1, 1, 1], 4, 16, 16 * 16 * 16 * 10),
        ),
        "this is not one volume but several",
    );
    refused(
        &write(
            "colour.nii",
            &raw_nifti([3, 16, 16, 16, 1, 1, 1, 1], 128, 24, 16 * 16 * 16 * 3),
        ),
        "the voxels are colour",
    );
}

#[test]
fn volumes_that_are_not_chest_ct_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, volume: &Volume<f32>| save(dir.path(), name, volume);
    let good = phantom(Diagnosis::Normal, 3).ct;
    let mut holes = good.clone();
    let middle = holes.data().len() / 2;
    holes.data_mut()[middle] = f32::NAN;
    let [nz, ny, nx] = good.shape();
    let two = good.crop([nz / 2, 0, 0], [2, ny, nx]).unwrap();
    let eight_bit = good.map(|hu| ((hu + 1000.0) / 1400.0 * 255.0).clamp(0.0, 255.0).round());
    let shifted = good.map(|hu| hu.max(-1024.0) + 1024.0);
    let head = block([60, 96, 96], 40.0);
    refused(
        &at("zero.nii.gz", &block([40, 96, 96], 0.0)),
        "all 368640 values are 0: the scan is empty",
    );
    refused(&at("holes.nii.gz", &holes), "1 of 635904 values are NaN");
    refused(&at("two.nii.gz", &two), "the scan has 2 slices");
    refused(
        &at("eight-bit.nii.gz", &eight_bit),
        "the values are whole numbers from 0 to ",
    );
    refused(
        &at("shifted.nii.gz", &shifted),
        "no value lies near air (-1000 HU)",
    );
    refused(
        &at("head.nii.gz", &head),
        "all 552960 values are 40: the scan is empty",
    );
    refused(
        &at("narrow.nii.gz", &block([200, 32, 32], -1000.0)),
        "the image is 48 mm wide",
    );
}

#[test]
fn unreadable_files_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), "locked.nii.gz", &block([8, 16, 16], 0.0));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read every file. Then there is nothing to test.
    if fs::read(&path).is_err() {
        let output = run([
            Path::new("predict"),
            &path,
            Path::new("-o"),
            &dir.path().join("out"),
        ]);
        expect(&output, 3);
        assert!(both(&output).contains("give yourself read permission"));
    }
}

#[test]
fn masks_on_another_grid_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let made = phantom(Diagnosis::Cap, 4);
    let scan = save(dir.path(), "scan.nii.gz", &made.ct);
    let other = Geometry::axial([10, 20, 20], [5.0, 5.0, 5.0]).unwrap();
    let mask = save(dir.path(), "mask.nii.gz", &Volume::filled(1u8, other));
    let out = dir.path().join("out");
    let output = run([
        Path::new("predict"),
        &scan,
        Path::new("--lungs"),
        &mask,
        Path::new("-o"),
        &out,
    ]);
    expect(&output, 3);
    assert!(both(&output).contains("grid"), "{}", both(&output));
    assert!(!out.exists());

    let manifest = dir.path().join("cohort.csv");
    fs::write(
        &manifest,
        "scan,mask,class,patient\nscan.nii.gz,mask.nii.gz,cap,a\n",
    )
    .unwrap();
    let output = run([
        Path::new("prepare"),
        &manifest,
        Path::new("--cache"),
        &dir.path().join("cache"),
    ]);
    expect(&output, 3);
    assert!(both(&output).contains("mask.nii.gz"), "{}", both(&output));
}

#[test]
fn manifests_with_mistakes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("cohort.csv");
    save(dir.path(), "a.nii.gz", &block([8, 16, 16], 0.0));
    let cases = [
        (
            "scan,mask,class,patient\na.nii.gz,,normal,p1\nmissing.nii.gz,,normal,p2\n",
            "missing.nii.gz",
        ),
        ("scan,mask,class,patient\na.nii.gz,,flu,p1\n", "flu"),
        (
            "scan,mask,class,patient,colour\na.nii.gz,,normal,p1,red\n",
            "colour",
        ),
        ("scan,mask,class\na.nii.gz,,normal\n", "patient"),
        ("", "scan"),
    ];
    for (text, reason) in cases {
        fs::write(&manifest, text).unwrap();
        let output = run([
            Path::new("prepare"),
            &manifest,
            Path::new("--cache"),
            &dir.path().join("cache"),
        ]);
        expect(&output, 3);
        let said = both(&output);
        assert!(
            said.contains("cohort.csv") && said.contains(reason),
            "{reason} is not in: {said}"
        );
    }
}

#[test]
fn unusable_models_are_refused_by_file_name() {
    let dir = tempfile::tempdir().unwrap();
    let scan = save(dir.path(), "scan.nii.gz", &block([8, 16, 16], 0.0));
    let model = dir.path().join("model.safetensors");
    let sound = include_bytes!("../../../models/lungs-small/model.safetensors");
    let mut flipped = sound.to_vec();
    flipped[20] ^= 0xff;
    for bytes in [&b""[..], b"nonsense", &sound[..sound.len() / 2], &flipped] {
        fs::write(&model, bytes).unwrap();
        let out = dir.path().join("out");
        let output = run([
            Path::new("predict"),
            &scan,
            Path::new("--model"),
            &model,
            Path::new("-o"),
            &out,
        ]);
        expect(&output, 3);
        assert!(
            both(&output).contains("model.safetensors"),
            "{}",
            both(&output)
        );
        assert!(!out.exists());
    }
}

#[test]
fn unwritable_places_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let scan = save(dir.path(), "scan.nii.gz", &phantom(Diagnosis::Normal, 5).ct);
    let occupied = dir.path().join("file");
    fs::write(&occupied, b"mine").unwrap();
    let output = run([Path::new("predict"), &scan, Path::new("-o"), &occupied]);
    expect(&output, 5);
    assert_eq!(fs::read(&occupied).unwrap(), b"mine");
    let nowhere = Path::new("/dev/null/out");
    expect(
        &run([Path::new("predict"), &scan, Path::new("-o"), nowhere]),
        5,
    );
}

/// A limit on file sizes stands in for a full disk. Writing fails in the same place.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let scan = save(dir.path(), "scan.nii.gz", &phantom(Diagnosis::Cap, 6).ct);
    let out = dir.path().join("out");
    let program = env!("CARGO_BIN_EXE_multirnet");
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{program}' predict '{}' -o '{}'",
        scan.display(),
        out.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    expect(&output, 5);
    assert!(!out.exists(), "left {:?}", names(&out));
    assert_eq!(names(dir.path()), ["scan.nii.gz"]);
}

#[test]
fn wrong_command_lines_have_their_exit_code() {
    for arguments in [
        &["fly"][..],
        &["predict"],
        &["predict", "x.nii"],
        &["predict", "x.nii", "-o", "y", "--pipeline", "sideways"],
    ] {
        expect(&run(arguments), 2);
    }
}
