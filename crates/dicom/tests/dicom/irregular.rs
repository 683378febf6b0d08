//! Irregular series are refused with their files, and mended on demand.

use crate::support::*;
use multirnet_dicom::{Error, ErrorKind, Scan};

/// Reads `slices` without and with `allow_irregular`. Returns the error and the scan.
fn both(slices: &[Slice]) -> (Error, Scan) {
    let error = read_slices(slices, false).expect_err("an irregular series was read");
    assert_eq!(error.kind(), ErrorKind::Irregular, "{error}");
    assert!(error.to_string().contains("`allow_irregular`"), "{error}");
    let scan = read_slices(slices, true).unwrap();
    assert!(!scan.warnings.is_empty());
    (error, scan)
}

#[test]
fn missing_slices_are_refused_or_interpolated() {
    let mut slices = series(8);
    slices.drain(3..5);
    let (error, scan) = both(&slices);
    let text = error.to_string();
    assert!(text.contains("2 slices are missing"), "{text}");
    assert_eq!(error.offending().len(), 1);
    assert!(text.contains("6.00 mm between 02.dcm and 03.dcm"), "{text}");
    // The gap is interpolated linearly.
    let expected: Vec<f32> = (0..8).map(|k| k as f32).collect();
    for (a, b) in planes(&scan).iter().zip(expected) {
        assert!((a - b).abs() < 1e-4, "{:?}", planes(&scan));
    }
    assert_eq!(scan.volume.shape(), [8, 4, 4]);
    assert!(scan.warnings[0].contains("2 slices are missing"));
    assert!(scan.warnings[0].contains("resampled linearly to 2.000 mm"));
}

#[test]
fn uneven_distances_are_refused_or_resampled() {
    let mut slices = series(6);
    slices[4].position = Some([-10.0, -20.0, -100.0 + 8.7]);
    let (error, scan) = both(&slices);
    assert!(
        error.to_string().contains("not uniformly spaced"),
        "{error}"
    );
    assert_eq!(error.offending().len(), 2);
    // Plane 4 lies at 8 mm, between slice 3 at 6 mm and slice 4 at 8.7 mm.
    let expected = 3.0 + 2.0 / 2.7;
    assert!(
        (planes(&scan)[4] - expected).abs() < 1e-3,
        "{:?}",
        planes(&scan)
    );
    assert_eq!(planes(&scan)[5], 5.0);
}

#[test]
fn rounding_of_positions_is_not_an_irregularity() {
    let mut slices = series(9);
    for (k, s) in slices.iter_mut().enumerate() {
        let jitter = if k % 2 == 0 { 0.01 } else { -0.01 };
        s.position = Some([-10.0 + jitter, -20.0, -100.0 + 2.0 * k as f64 + jitter]);
    }
    let scan = read_slices(&slices, false).unwrap();
    assert!((scan.volume.geometry().spacing_mm()[0] - 2.0).abs() < 0.005);
}

#[test]
fn gantry_tilt_is_refused_or_straightened() {
    let tilt = 15f64.to_radians();
    let mut slices = series(6);
    for (k, s) in slices.iter_mut().enumerate() {
        // Slices are stacked straight up while their planes are tilted about the x axis.
        s.rows = 16;
        s.orientation = [1.0, 0.0, 0.0, 0.0, tilt.cos(), tilt.sin()];
        s.position = Some([0.0, 0.0, 2.0 * k as f64]);
        // A pattern fixed in the world: linear along the column direction.
        s.values = (0..16)
            .flat_map(|y| {
                let along = y as f64 * 0.8 + 2.0 * k as f64 * tilt.sin();
                [(along * 100.0).round() as i16; 4]
            })
            .collect();
    }
    let (error, scan) = both(&slices);
    assert!(error.to_string().contains("15.0° (gantry tilt)"), "{error}");
    assert_eq!(error.offending().len(), 6);
    let g = scan.volume.geometry();
    assert!((g.spacing_mm()[0] - 2.0 * tilt.cos()).abs() < 1e-6);
    // The axes are perpendicular, and every voxel inside shows the pattern at its own place.
    let column = g.direction()[1];
    let [nz, ny, nx] = g.shape();
    assert!(ny > 16);
    let mut seen = 0;
    for z in 0..nz {
        for y in 0..ny {
            let v = scan.volume.at([z, y, nx / 2]);
            let w = g.index_to_world([z as f64, y as f64, (nx / 2) as f64]);
            let along: f64 = (0..3).map(|k| column[k] * w[k]).sum();
            if v > 0.0 && (2..14).contains(&(y as i64 - 4 * z as i64 / 6)) {
                assert!(
                    (f64::from(v) - along * 100.0).abs() < 1.5,
                    "{z} {y}: {v} {along}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn sideways_shifts_are_refused_or_straightened() {
    let mut slices = series(5);
    slices[2].position = Some([-10.0 + 1.2, -20.0, -96.0]);
    let (error, scan) = both(&slices);
    assert!(
        error.to_string().contains("1 slice is shifted sideways"),
        "{error}"
    );
    assert_eq!(error.offending(), ["02.dcm"]);
    // The grid is two pixels of 0.6 mm wider than a slice.
    assert_eq!(scan.volume.shape(), [5, 4, 6]);
    assert_eq!(
        scan.volume.plane(0)[..6],
        [0.0, 0.0, 0.0, 0.0, -1024.0, -1024.0]
    );
    assert_eq!(
        scan.volume.plane(2)[..6],
        [-1024.0, -1024.0, 2.0, 2.0, 2.0, 2.0]
    );
}

#[test]
fn slices_of_other_orientation_or_size_are_refused() {
    let mut slices = series(6);
    slices[1].spacing = Some([0.9, 0.6]);
    let mut scout = slice(7);
    scout.orientation = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    slices.push(scout);
    let mut large = slice(6);
    large.rows = 5;
    slices.push(large);
    let (error, _) = both(&slices);
    assert!(
        error
            .to_string()
            .contains("3 slices differ from the other 5"),
        "{error}"
    );
    assert_eq!(error.offending(), ["01.dcm", "06.dcm", "07.dcm"]);
}

#[test]
fn duplicates_are_told_apart() {
    let mut copies = series(4);
    copies.push(slice(1));
    let (error, scan) = both(&copies);
    assert!(
        error.to_string().contains("copies of the same images"),
        "{error}"
    );
    assert_eq!(error.offending(), ["04.dcm"]);
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0]);

    // A second time point.
    let mut phases = series(4);
    for k in 0..4 {
        let mut s = slice(k);
        s.instance_uid = format!("1.2.9.{k}");
        s.acquisition = 2;
        s.values = vec![500; 16];
        phases.insert(0, s);
    }
    let (error, scan) = both(&phases);
    assert!(error.to_string().contains("several volumes"), "{error}");
    assert_eq!(error.offending().len(), 4);
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn slices_without_geometry_are_refused_or_left_out() {
    let mut slices = series(5);
    slices[4].spacing = None;
    let (error, scan) = both(&slices);
    assert!(
        error.to_string().contains("no pixel spacing (0028,0030)"),
        "{error}"
    );
    assert_eq!(error.offending(), ["04.dcm"]);
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn long_lists_of_files_are_capped() {
    let mut slices = series(30);
    for s in &mut slices[..14] {
        s.spacing = None;
    }
    let error = read_slices(&slices, false).unwrap_err();
    assert_eq!(error.offending().len(), 14);
    assert!(error.to_string().contains("09.dcm and 4 more"), "{error}");
}

#[test]
fn a_localizer_within_the_series_is_skipped() {
    let mut slices = series(4);
    let mut scout = slice(9);
    scout.image_type = "ORIGINAL\\PRIMARY\\LOCALIZER";
    scout.orientation = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    slices.push(scout);
    let scan = read_slices(&slices, false).unwrap();
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0]);
    assert!(scan.notes[0].contains("localizer"), "{:?}", scan.notes);
    assert!(scan.notes[0].contains("04.dcm"), "{:?}", scan.notes);
}
