//! Segmentations: which frames there are, where they lie, and their bits.

use super::support::*;
use crate::support::{Slice, read_slices, series};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use multirnet_dicom::ErrorKind;
use multirnet_dicom::write::*;
use multirnet_volume::{Geometry, Volume};

/// Segment, referenced instance, its frame, and position of each frame.
fn frames(object: &InMemDicomObject) -> Vec<(u16, String, Option<String>, String)> {
    let frame = |group: &InMemDicomObject| {
        let derivation = &items(group, tags::DERIVATION_IMAGE_SEQUENCE)[0];
        let image = &items(derivation, tags::SOURCE_IMAGE_SEQUENCE)[0];
        let plane = &items(group, tags::PLANE_POSITION_SEQUENCE)[0];
        let segment = group.get(tags::SEGMENT_IDENTIFICATION_SEQUENCE).map(|s| {
            let number = &s.items().unwrap()[0];
            let number = number.element(tags::REFERENCED_SEGMENT_NUMBER).unwrap();
            number.to_int::<u16>().unwrap()
        });
        (
            segment.unwrap_or(0),
            text(image, tags::REFERENCED_SOP_INSTANCE_UID),
            image
                .get(tags::REFERENCED_FRAME_NUMBER)
                .map(|_| text(image, tags::REFERENCED_FRAME_NUMBER)),
            text(plane, tags::IMAGE_POSITION_PATIENT),
        )
    };
    let groups = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    groups.iter().map(frame).collect()
}

/// The voxels of segment `n`, found by the frames' references and bits alone.
fn voxels(object: &InMemDicomObject, scan: &Analysed, n: u16) -> Volume<u8> {
    let bytes = object
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap();
    let mut mask = Volume::filled(0, *scan.lungs.geometry());
    let size = scan.scan.reference.rows * scan.scan.reference.columns;
    for (i, (segment, instance, frame, _)) in frames(object).into_iter().enumerate() {
        let mut slices = scan.scan.reference.instances.iter();
        let z = slices
            .position(|s| s.instance_uid == instance && s.frame.map(|f| f.to_string()) == frame)
            .unwrap();
        if segment == n {
            for k in 0..size {
                let bit = i * size + k;
                mask.data_mut()[z * size + k] = bytes[bit / 8] >> (bit % 8) & 1;
            }
        }
    }
    mask
}

fn check_round_trip(scan: &Analysed, all_frames: bool) {
    let object = parse(&scan.segmentation(Encoding::Binary, all_frames));
    for (n, segment) in (1..).zip(scan.segments()) {
        let planes = segment.mask.planes;
        let [nz, ny, nx] = planes.geometry().shape();
        let mut expected = vec![0; nz * ny * nx];
        for (z, plane) in expected.chunks_exact_mut(ny * nx).enumerate() {
            planes.read_plane(z, plane);
        }
        for v in &mut expected {
            *v = u8::from(segment.mask.values.contains(v));
        }
        assert_eq!(voxels(&object, scan, n).data(), expected, "segment {n}");
    }
}

/// Slices from the feet upwards or downwards, in files of either order.
fn orders() -> Vec<Vec<Slice>> {
    let mut reversed = series(5);
    reversed.reverse();
    // The normal points to the feet, so the first slice of the volume is the topmost one.
    let mut downwards = series(5);
    for s in &mut downwards {
        s.orientation = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
    }
    let mut feet_first_prone = series(5);
    for s in &mut feet_first_prone {
        s.orientation = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
    }
    vec![series(5), reversed, downwards, feet_first_prone]
}

#[test]
fn masks_come_back_whatever_the_orientation_and_order() {
    for slices in orders() {
        let scan = analysed(&slices);
        check_round_trip(&scan, false);
        check_round_trip(&scan, true);
    }
    check_round_trip(&analysed_enhanced(), false);
}

#[test]
fn frames_lie_where_their_slices_lie() {
    for slices in orders() {
        let scan = analysed(&slices);
        for (_, instance, _, position) in frames(&parse(&scan.binary())) {
            let slice = slices.iter().find(|s| s.instance_uid == instance).unwrap();
            let [x, y, z] = slice.position.unwrap();
            assert_eq!(position, format!("{x}\\{y}\\{z}"));
        }
    }
}

#[test]
fn empty_frames_are_left_out_unless_asked_for() {
    let scan = analysed_series();
    let segments = |all| -> Vec<u16> {
        let object = parse(&scan.segmentation(Encoding::Binary, all));
        frames(&object).into_iter().map(|f| f.0).collect()
    };
    // Lungs in four of five slices, ground glass in two, no consolidation.
    assert_eq!(segments(false), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
    assert_eq!(segments(true).len(), 4 * 5);
    // If nothing is found, all frames are written.
    let mut empty = analysed_series();
    empty.lungs.data_mut().fill(0);
    empty.lesions.data_mut().fill(0);
    assert_eq!(frames(&parse(&empty.binary())).len(), 4 * 5);
    assert_eq!(
        frames(&parse(&empty.segmentation(Encoding::LabelMap, false))).len(),
        5
    );
}

#[test]
fn dimension_indices_count_the_positions_that_have_frames() {
    let scan = analysed_series();
    let object = parse(&scan.binary());
    let indices: Vec<Vec<u32>> = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .iter()
        .map(|g| {
            let content = &items(g, tags::FRAME_CONTENT_SEQUENCE)[0];
            let values = content.element(tags::DIMENSION_INDEX_VALUES).unwrap();
            values.to_multi_int().unwrap()
        })
        .collect();
    let expected: Vec<Vec<u32>> = [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
        (2, 2),
        (2, 3),
        (2, 4),
    ]
    .into_iter()
    .chain([(3, 1), (3, 2)])
    .map(|(s, p)| vec![s, p])
    .collect();
    assert_eq!(indices, expected);
}

/// The example of pydicom and highdicom: three frames of 5 × 5.
#[test]
fn bits_are_packed_across_frames() {
    let mut slices = series(3);
    for s in &mut slices {
        (s.rows, s.columns) = (5, 5);
    }
    let scan = read_slices(&slices, false).unwrap();
    let mut scan = from_scan(scan);
    scan.lungs = Volume::from_fn(*scan.lungs.geometry(), |[z, y, x]| {
        let on = match z {
            0 => y == 0,
            1 => (y, x) == (2, 2),
            _ => (y, x) == (0, 0) || (y, x) == (4, 4),
        };
        u8::from(on)
    });
    let segments = &scan.segments()[..1];
    let input = Segmentation {
        segments,
        algorithm: &scan.algorithm,
        description: "Example",
        encoding: Encoding::Binary,
        all_frames: false,
        edited_by: None,
    };
    let object = write_segmentation(&scan.context(), &input).unwrap();
    let expected = [0x1f, 0, 0, 0, 0x20, 0, 0x04, 0, 0, 0x04];
    assert!(object.bytes.ends_with(&expected));
    let length = [b'O', b'B', 0, 0, 10, 0, 0, 0];
    assert_eq!(object.bytes[object.bytes.len() - 18..][..8], length);
}

#[test]
fn a_label_map_gives_overlaps_to_the_later_segment() {
    let scan = analysed_series();
    let object = parse(&scan.segmentation(Encoding::LabelMap, false));
    let pixels = object
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap();
    assert_eq!(pixels.len(), 4 * 16);
    // Slice 1: ground glass at (1, 0), else right lung, right half left lung.
    assert_eq!(pixels[..8], [1, 1, 2, 2, 3, 1, 2, 2]);
    let numbers: Vec<u16> = items(&object, tags::SEGMENT_SEQUENCE)
        .iter()
        .map(|s| s.element(tags::SEGMENT_NUMBER).unwrap().to_int().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[test]
fn frames_of_a_multi_frame_source_name_its_frames() {
    let scan = analysed_enhanced();
    let object = parse(&scan.binary());
    let found: Vec<_> = frames(&object)
        .into_iter()
        .map(|f| (f.2.unwrap(), f.3))
        .collect();
    // Slices from bottom to top are the frames 2, 3 and 1; the lungs lie in the upper two.
    assert_eq!(found[0], ("3".to_owned(), "0\\0\\3".to_owned()));
    assert_eq!(found[1], ("1".to_owned(), "0\\0\\6".to_owned()));
    let series = &items(&object, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(items(series, tags::REFERENCED_INSTANCE_SEQUENCE).len(), 1);
}

#[test]
fn masks_on_another_grid_are_refused() {
    let mut slices = series(8);
    slices.drain(3..5);
    let scan = read_slices(&slices, true).unwrap();
    assert!(scan.reference.grid.is_none());
    let resampled = from_scan(scan);
    let error = resampled
        .try_segmentation(Encoding::Binary, false)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OtherGrid);
    assert!(error.to_string().contains("was resampled"), "{error}");

    let mut other = analysed_series();
    let grid = Geometry::axial([5, 4, 4], [2.0, 0.8, 0.6]).unwrap();
    other.lungs = Volume::filled(1, grid);
    let error = other.try_segmentation(Encoding::Binary, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OtherGrid);
    assert!(error.to_string().contains("Right lung"), "{error}");
}

#[test]
fn sources_and_texts_that_dicom_cannot_hold_are_refused() {
    let mut slices = series(4);
    for s in &mut slices {
        s.frame_of_reference = "";
    }
    let error = analysed(&slices)
        .try_segmentation(Encoding::Binary, false)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IncompleteSource);
    assert!(error.to_string().contains("frame of reference"), "{error}");

    let scan = analysed_series();
    let change: [fn(&mut Segment); 3] = [
        |s| s.label = "x".repeat(65),
        |s| s.label = "a\\b".to_owned(),
        |s| s.tracking_id = "left lung".to_owned(),
    ];
    for change in change {
        let mut segments = scan.segments();
        change(&mut segments[0]);
        let input = Segmentation {
            segments: &segments,
            algorithm: &scan.algorithm,
            description: "Lungs",
            encoding: Encoding::Binary,
            all_frames: false,
            edited_by: None,
        };
        let error = write_segmentation(&scan.context(), &input).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}
