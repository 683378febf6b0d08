//! NRRD headers.

use crate::support::{Bench, refused};
use multirnet_volume::{ErrorKind, io};

const NRRD: &str = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nspace: LPS\n\
    space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\nencoding: raw\n\n";

#[test]
fn nrrd_headers() {
    use ErrorKind::{Geometry, Malformed, Unsupported};
    let b = Bench::new();
    let write =
        |header: &str, voxels: &[u8]| b.file("a.nrrd", &[header.as_bytes(), voxels].concat());
    assert!(io::read(&write(NRRD, &[1; 8])).is_ok());
    refused(&write(NRRD, &[1; 7]), Malformed, "cut off");
    for (from, to, kind, says) in [
        ("NRRD", "NARD", Malformed, "not an NRRD"),
        ("type: uchar\n", "", Malformed, "\"type\""),
        ("uchar", "block", Unsupported, "block"),
        (
            "dimension: 3",
            "dimension: 99999999999",
            Malformed,
            "dimensions",
        ),
        ("dimension: 3", "dimension: x", Malformed, "dimension"),
        (
            "dimension: 3\nsizes: 2 2 2",
            "dimension: 3\nsizes: 2 2",
            Malformed,
            "sizes",
        ),
        ("2 2 2", "2 0 2", Malformed, "no voxels"),
        (
            "2 2 2",
            "9999999999 9999999999 9999999999",
            Unsupported,
            "crop",
        ),
        ("2 2 2", "1000 1000 1000", Malformed, "cut off"),
        ("2 2 2", "2 -2 2", Malformed, "sizes"),
        ("(1,0,0)", "(0,0,0)", Geometry, "affine"),
        ("(1,0,0)", "(0,1,0)", Geometry, "singular"),
        ("(1,0,0)", "(1,0)", Malformed, "space directions"),
        ("(1,0,0)", "", Malformed, "2 space directions"),
        ("(0,0,2)", "none", Geometry, "spacings"),
        (
            "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n",
            "",
            Geometry,
            "spacings",
        ),
        ("space: LPS", "space: RAST", Unsupported, "RAST"),
        ("origin: (0,0,0)", "origin: none", Malformed, "origin"),
        ("origin: (0,0,0)", "origin: (0,0,inf)", Geometry, "origin"),
        ("raw", "bzip2", Unsupported, "bzip2"),
        ("raw", "gzip", Malformed, "cut off"),
        ("raw", "ascii", Malformed, "cut off"),
        ("raw", "raw\nendian: middle", Malformed, "middle"),
        ("raw", "raw\nbyte skip: 5", Malformed, "cut off"),
        ("raw", "raw\nbyte skip: -2", Malformed, "byte skip"),
        ("raw", "raw\nline skip: 5", Malformed, "lines"),
        ("raw", "raw\ndata file: /etc/passwd", Unsupported, "beside"),
        ("raw", "raw\ndata file: ../a.raw", Unsupported, "beside"),
        (
            "raw",
            "raw\ndata file: a%d.raw 1 2 1",
            Unsupported,
            "several files",
        ),
        (
            "raw",
            "raw\ndata file: none.raw",
            ErrorKind::Io,
            "check the path",
        ),
        (
            "raw\n\n",
            "raw\nwithout colon\n\n",
            Malformed,
            "without colon",
        ),
        (
            "dimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (1",
            "dimension: 4\nkinds: vector domain domain domain\nsizes: 3 2 2 2\nspace: LPS\nspace directions: none (1",
            Unsupported,
            "3 values",
        ),
        (
            "dimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (1",
            "dimension: 4\nsizes: 2 2 2 2\nspace: LPS\nspace directions: none (1",
            Unsupported,
            "several",
        ),
    ] {
        assert!(NRRD.contains(from), "{from:?}");
        refused(&write(&NRRD.replacen(from, to, 1), &[200; 8]), kind, says);
    }
    let long = format!("NRRD0004\n{}", "# comment\n".repeat(200_000));
    refused(&write(&long, &[]), Malformed, "does not end");
    // An axis of size 1 does not count, and the reader skips the bytes of `byte skip`.
    let layered = NRRD.replace(
        "dimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (1",
        "dimension: 4\nsizes: 1 2 2 2\nspace: LPS\nspace directions: none (1",
    );
    assert_eq!(io::read(&write(&layered, &[1; 8])).unwrap().shape(), [2; 3]);
    for skip in ["byte skip: 3", "byte skip: -1", "line skip: 1"] {
        let skipping = NRRD.replace("raw\n\n", &format!("raw\n{skip}\n\n"));
        let volume = io::read(&write(&skipping, b"ab\n12345678")).unwrap();
        assert_eq!(volume.at([0, 0, 1]), 50.0);
    }
}
