//! Golden files of the supported compressions, from independent encoders (`golden/make_series.py`).

use crate::support::read;
use std::path::Path;

const SIDE: usize = 16;

/// The same formula as in `golden/make_series.py`.
fn pattern(z: usize, y: usize, x: usize) -> f32 {
    if (4..8).contains(&y) {
        return (40 + z) as f32;
    }
    ((x * 37 + y * 91 + z * 53 + x * y * 7) % 4096) as f32 - 1024.0
}

fn smooth(z: usize, y: usize, x: usize) -> f32 {
    (x * 6 + y * 5 + z * 10) as f32
}

fn check(name: &str, expected: fn(usize, usize, usize) -> f32, tolerance: f32, warns: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.zip"));
    let scan = read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(scan.volume.shape(), [3, SIDE, SIDE], "{name}");
    assert_eq!(scan.volume.geometry().spacing_mm(), [2.5, 0.75, 0.5]);
    assert_eq!(
        !scan.warnings.is_empty(),
        warns,
        "{name}: {:?}",
        scan.warnings
    );
    for z in 0..3 {
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (found, wanted) = (scan.volume.at([z, y, x]), expected(z, y, x));
                assert!(
                    (found - wanted).abs() <= tolerance,
                    "{name} at {z} {y} {x}: {found}, {wanted} expected"
                );
            }
        }
    }
}

#[test]
fn lossless_formats_are_exact() {
    for name in [
        "implicit",
        "explicit",
        "deflated",
        "big_endian",
        "rle",
        "jpeg_lossless",
        "jpeg_lossless_any",
        "jpeg_ls",
        "jpeg_ls_16",
        "jpeg_2000",
        "jpeg_2000_unsigned",
    ] {
        check(name, pattern, 0.0, false);
    }
}

#[test]
fn lossy_formats_are_near_and_warned_of() {
    check("jpeg_ls_near", pattern, 2.0, true);
    check("jpeg_baseline", smooth, 4.0, true);
}
