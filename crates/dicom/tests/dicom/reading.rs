//! Series that are read, and the volumes that come out.

use crate::support::*;
use multirnet_dicom::{ReadOptions, is_dicom, list};
use std::io::Write;

#[test]
fn a_shuffled_series_is_sorted_along_its_normal() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = series(5);
    slices.reverse();
    slices.swap(0, 3);
    write(folder.path(), &slices);
    let scan = read(folder.path()).unwrap();
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0, 4.0]);
    let g = scan.volume.geometry();
    assert_eq!(g.shape(), [5, 4, 4]);
    assert_eq!(g.spacing_mm(), [2.0, 0.8, 0.6]);
    assert_eq!(g.origin_mm(), [-10.0, -20.0, -100.0]);
    assert_eq!(
        g.direction(),
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    );
    assert_eq!(scan.files[0], "04.dcm");
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
    assert!(scan.notes.is_empty(), "{:?}", scan.notes);
    assert_eq!(scan.series.orientation, "axial");
    assert_eq!(scan.series.kernel, "B30f");
    assert_eq!((scan.series.files, scan.series.slices), (5, 5));
}

#[test]
fn pixels_lie_where_the_header_says() {
    // Feet-first prone: rows run to the right, the stack is written top down.
    let mut slices = series(3);
    for s in &mut slices {
        s.orientation = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
        s.values = (0..16).map(|v| v + 100 * s.instance as i16).collect();
    }
    let scan = read_slices(&slices, false).unwrap();
    let g = scan.volume.geometry();
    assert_eq!(scan.volume.at([1, 2, 3]), 111.0);
    let world = g.index_to_world([1.0, 2.0, 3.0]);
    for (a, b) in world.iter().zip([-10.0 - 1.8, -20.0 - 1.6, -98.0]) {
        assert!((a - b).abs() < 1e-9, "{world:?}");
    }
}

#[test]
fn the_normal_points_up_whatever_the_order_of_positions() {
    // Columns run forward: the normal is downward, so the top slice comes first.
    let mut slices = series(3);
    for s in &mut slices {
        s.orientation = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
    }
    let scan = read_slices(&slices, false).unwrap();
    assert_eq!(planes(&scan), [2.0, 1.0, 0.0]);
    assert_eq!(scan.volume.geometry().direction()[0], [0.0, 0.0, -1.0]);
    assert_eq!(scan.volume.geometry().origin_mm()[2], -96.0);
}

#[test]
fn oblique_stacks_without_tilt_are_regular() {
    let (sin, cos) = 20f64.to_radians().sin_cos();
    let mut slices = series(4);
    for (k, s) in slices.iter_mut().enumerate() {
        s.orientation = [1.0, 0.0, 0.0, 0.0, cos, sin];
        let at = 3.0 * k as f64;
        s.position = Some([0.0, -sin * at, cos * at]);
    }
    let scan = read_slices(&slices, false).unwrap();
    assert!((scan.volume.geometry().spacing_mm()[0] - 3.0).abs() < 1e-6);
    assert_eq!(scan.series.orientation, "oblique axial");
}

#[test]
fn values_are_rescaled_per_slice_and_padding_is_air() {
    let mut slices = series(3);
    for (k, s) in slices.iter_mut().enumerate() {
        s.rescale = Some([2.0, -1000.0 - k as f64]);
        s.padding = Some(-3024);
        s.values = vec![-3024; 16];
        s.values[5] = 500;
        s.values[6] = -300;
    }
    let scan = read_slices(&slices, false).unwrap();
    assert_eq!(scan.volume.plane(1)[..5], [-1024.0; 5]);
    assert_eq!(scan.volume.plane(0)[5], 0.0);
    assert_eq!(scan.volume.plane(2)[5], -2.0);
    // Values below air become air.
    assert_eq!(scan.volume.plane(2)[6], -1024.0);
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
}

#[test]
fn unsigned_values_and_padding_are_read() {
    let mut slices = series(3);
    for s in &mut slices {
        s.signed = false;
        s.rescale = Some([1.0, -1024.0]);
        s.padding = Some(63536u16 as i16);
        s.values = vec![63536u16 as i16; 16];
        s.values[0] = 40000u16 as i16;
        s.values[1] = 1064;
    }
    let scan = read_slices(&slices, false).unwrap();
    // 40000 − 1024 is too high for CT and becomes the largest value.
    assert_eq!(scan.volume.plane(0)[..3], [32767.0, 40.0, -1024.0]);
}

#[test]
fn padding_in_tissue_and_missing_rescale_are_warned_of() {
    let mut slices = series(3);
    for s in &mut slices {
        s.rescale = None;
        s.padding = Some(0);
    }
    let scan = read_slices(&slices, false).unwrap();
    assert_eq!(planes(&scan), [-1024.0, 1.0, 2.0]);
    let all = scan.warnings.join("\n");
    assert!(all.contains("3 slices give no rescale"), "{all}");
    assert!(
        all.contains("16 voxels have the pixel padding value"),
        "{all}"
    );
}

#[test]
fn the_series_with_the_most_axial_ct_slices_is_taken() {
    let mut slices = series(4);
    let mut thick = series(3);
    let mut coronal = series(6);
    let mut scout = series(1);
    let mut mr = series(7);
    for (group, uid, number) in [
        (&mut thick, "1.2.4", 2),
        (&mut coronal, "1.2.5", 3),
        (&mut scout, "1.2.6", 0),
        (&mut mr, "1.2.7", 5),
    ] {
        for s in group.iter_mut() {
            s.series = uid;
            s.series_number = number;
        }
    }
    for (k, s) in coronal.iter_mut().enumerate() {
        s.orientation = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
        s.position = Some([0.0, k as f64, 0.0]);
    }
    scout[0].image_type = "ORIGINAL\\PRIMARY\\LOCALIZER";
    mr.iter_mut().for_each(|s| s.modality = "MR");
    slices.extend(thick.into_iter().chain(coronal).chain(scout).chain(mr));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &slices);

    let listing = list(folder.path()).unwrap();
    let shown: Vec<(usize, &str, bool, &str)> = listing
        .iter()
        .map(|s| (s.number, s.uid.as_str(), s.taken, s.reason.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "1.2.6", false, "a localizer (scout) image"),
            (
                2,
                "1.2.3",
                true,
                "the axial CT series with the most slices (4)"
            ),
            (3, "1.2.4", false, "axial CT, but fewer slices (3 < 4)"),
            (4, "1.2.5", false, "coronal, not axial"),
            (5, "1.2.7", false, "not CT (modality MR)"),
        ]
    );
    let scan = read(folder.path()).unwrap();
    assert_eq!(scan.series.uid, "1.2.3");
    assert_eq!(scan.listing, listing);

    for (asked, uid) in [("3", "1.2.4"), ("1.2.4", "1.2.4"), ("4", "1.2.5")] {
        let options = ReadOptions {
            series: Some(asked.to_owned()),
            ..ReadOptions::default()
        };
        let scan = multirnet_dicom::read(folder.path(), &options).unwrap();
        assert_eq!(scan.series.uid, uid);
        assert_eq!(scan.series.reason == "asked for", uid == "1.2.4");
        let warned = scan.warnings.iter().any(|w| w.contains("coronal"));
        assert_eq!(warned, uid == "1.2.5");
    }
}

#[test]
fn a_single_file_stands_for_its_series() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = series(3);
    let mut other = series(9);
    other.iter_mut().for_each(|s| s.series = "1.9");
    slices.extend(other);
    write(folder.path(), &slices);
    std::fs::write(folder.path().join("notes.txt"), "no DICOM").unwrap();
    let scan = read(&folder.path().join("01.dcm")).unwrap();
    assert_eq!(scan.series.uid, "1.2.3");
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0]);
    assert!(
        scan.notes[0].contains("01.dcm is one slice"),
        "{:?}",
        scan.notes
    );
}

#[test]
fn a_zip_is_read_like_a_folder_and_other_files_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let stored = zip::write::SimpleFileOptions::default();
    for (i, s) in series(4).iter().enumerate() {
        zip.start_file(format!("a/b/{}", 9 - i), stored).unwrap();
        zip.write_all(&s.bytes()).unwrap();
    }
    for name in ["readme.txt", "__MACOSX/a/b/._9.dcm"] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(b"something else").unwrap();
    }
    zip.finish().unwrap();
    assert!(is_dicom(&path));
    let scan = read(&path).unwrap();
    assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(scan.files[0], "a/b/9");
    assert_eq!(scan.notes, ["1 file that is not a DICOM image was skipped"]);
}

#[test]
fn files_without_preamble_magic_or_meta_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (i, s) in series(4).iter().enumerate() {
        let bytes = match i {
            0 => s.meta(),
            1 => s.meta()[4..].to_vec(),
            2 => Vec::new(),
            _ => [vec![0; 128], s.meta()].concat(),
        };
        let path = folder.path().join(i.to_string());
        std::fs::write(path, [bytes, s.dataset()].concat()).unwrap();
    }
    assert_eq!(planes(&read(folder.path()).unwrap()), [0.0, 1.0, 2.0, 3.0]);
    assert!(is_dicom(folder.path()));
}

#[test]
fn enhanced_multi_frame_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("enhanced.dcm");
    std::fs::write(&path, enhanced().bytes()).unwrap();
    let scan = read(&path).unwrap();
    assert_eq!(planes(&scan), [0.0, 21.0, 42.0]);
    assert_eq!(scan.volume.geometry().spacing_mm(), [3.0, 0.8, 0.6]);
    assert_eq!(scan.files[0], "enhanced.dcm frame 2");
    let frames = scan.reference.instances.iter().map(|i| i.frame);
    let named = |n: Option<u32>| format!("enhanced.dcm frame {}", n.unwrap());
    assert_eq!(frames.map(named).collect::<Vec<_>>(), scan.files);
}

#[test]
fn the_patient_is_a_pseudonym_only() {
    let scan = read_slices(&series(3), false).unwrap();
    assert_eq!(scan.patient_key.len(), 16);
    let name = |a: &multirnet_dicom::SourceAttribute| a.tag == (0x0010, 0x0010);
    assert!(
        scan.reference.attributes.iter().any(name),
        "results need it"
    );
    let shown = format!("{scan:?}");
    assert!(!shown.contains("PATIENT") && !shown.contains("NAME"));
    let mut others = series(3);
    others.iter_mut().for_each(|s| s.patient = "SOMEONE^ELSE");
    assert_ne!(
        read_slices(&others, false).unwrap().patient_key,
        scan.patient_key
    );
}
