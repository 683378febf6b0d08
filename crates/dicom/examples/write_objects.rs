//! Writes every kind of result for CT series, with the masks beside them:
//! `write_objects OUT [DICOM]`.
//!
//! Without a series, it makes three synthetic ones: slices head first, slices feet first in reverse
//! order, and one multi-frame file. The masks are thresholds, not findings. `.ci/peers/dicom_objects.py`
//! gives the results to other programs.

#[allow(dead_code)]
#[path = "../tests/dicom/support.rs"]
mod support;

use multirnet_dicom::write::*;
use multirnet_dicom::{ReadOptions, Scan, read};
use multirnet_volume::Volume;
use multirnet_volume::io::write_nifti;
use std::error::Error;
use std::path::{Path, PathBuf};

type Done = Result<(), Box<dyn Error>>;

/// The smallest PDF with a page.
const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\n\
trailer<</Root 1 0 R>>\n%%EOF";

fn main() -> Done {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(out) = arguments.next() else {
        eprintln!("usage: write_objects OUT [DICOM]");
        std::process::exit(2);
    };
    match arguments.next() {
        Some(path) => write_all(&out.join("given"), &path),
        None => write_synthetic(&out),
    }
}

fn write_synthetic(out: &Path) -> Done {
    let plain = ball();
    let mut feet_first = ball();
    feet_first.reverse();
    for slice in &mut feet_first {
        slice.orientation = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
    }
    let mut downwards = ball();
    for slice in &mut downwards {
        slice.orientation = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
    }
    for (name, slices) in [
        ("head-first", plain),
        ("feet-first", feet_first),
        ("downwards", downwards),
        ("multi-frame", vec![spotted()]),
    ] {
        let source = out.join(name).join("source");
        std::fs::create_dir_all(&source)?;
        support::write(&source, &slices);
        match slices.len() {
            1 => write_all(&out.join(name), &source.join("00.dcm"))?,
            _ => write_all(&out.join(name), &source)?,
        }
    }
    Ok(())
}

/// A multi-frame file whose frames have air and denser spots at different places.
fn spotted() -> support::Slice {
    let mut slice = support::enhanced();
    let value = |i: i16| match i {
        3 | 20 | 21 | 40 => -200,
        i if i % 16 < 9 => -400,
        _ => 20,
    };
    slice.values = (0..48).map(value).collect();
    slice
}

/// Air in a box of tissue, with a denser ball in it. The sides differ, so that a flip shows.
fn ball() -> Vec<support::Slice> {
    let mut slices = support::series(11);
    for (z, slice) in slices.iter_mut().enumerate() {
        (slice.rows, slice.columns) = (21, 33);
        let value = |i: usize| {
            let (y, x) = (i / 33, i % 33);
            let square = |a: usize, b: usize| a.abs_diff(b).pow(2);
            match square(z, 4) + square(y, 8) + square(x, 10) {
                0..=9 => -400,
                _ if (2..10).contains(&z) && (3..19).contains(&y) && (4..30).contains(&x) => -850,
                _ => 40,
            }
        };
        slice.values = (0..21 * 33).map(value).collect();
    }
    slices
}

/// Results that others replace, one of each SOP class.
fn earlier() -> Vec<EarlierResult> {
    let roles = Role::ALL.iter().enumerate();
    let result = |(i, role): (usize, &Role)| EarlierResult {
        series_uid: format!("2.25.10{i}"),
        sop_class_uid: role.sop_class_uid().to_owned(),
        instance_uid: format!("2.25.20{i}"),
    };
    roles.map(result).collect()
}

fn write_all(out: &Path, path: &Path) -> Done {
    let scan = read(path, &ReadOptions::default())?;
    let earlier = earlier();
    // One of the series was analysed before, so its results replace others.
    let is_repeat = out.ends_with("feet-first");
    let (lungs, lesions) = masks(&scan);
    std::fs::create_dir_all(out)?;
    write_nifti(&out.join("lungs.nii.gz"), &lungs)?;
    write_nifti(&out.join("lesions.nii.gz"), &lesions)?;
    let equipment = Equipment {
        manufacturer: "multirnet".to_owned(),
        model_name: "multirnet example".to_owned(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        serial_number: "none".to_owned(),
    };
    let context = ResultContext {
        source: &scan.reference,
        equipment: &equipment,
        key: "example",
        made_at: &ContentTime::new("20260102", "030405")?,
        replaces: if is_repeat { &earlier } else { &[] },
    };
    let algorithm = Algorithm {
        name: "multirnet example".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: "multirnet".to_owned(),
        parameters: vec![format!("model_sha256={}", "0".repeat(64))],
    };
    let segments = segments(&lungs, &lesions);
    let segmentation = |key, encoding, all_frames| {
        let input = Segmentation {
            segments: &segments,
            algorithm: &algorithm,
            description: "Lungs and lesions",
            encoding,
            all_frames,
            edited_by: None,
        };
        write_segmentation(&ResultContext { key, ..context }, &input)
    };
    let save = |name: &str, object: &ResultObject| object.save(&out.join(format!("{name}.dcm")));
    let binary = segmentation("example", Encoding::Binary, false)?;
    save(binary.role.name(), &binary)?;
    let all_frames = segmentation("all frames", Encoding::Binary, true)?;
    save("segmentation-all-frames", &all_frames)?;
    let map = segmentation("example", Encoding::LabelMap, false)?;
    save(map.role.name(), &map)?;

    let groups = groups(&scan, &lungs, &lesions);
    let classes = Classification {
        probabilities: vec![
            (codes::NORMAL, 0.125),
            (codes::COMMUNITY_ACQUIRED_PNEUMONIA, 0.25),
            (codes::COVID_19, 0.625),
        ],
        statement: "Not validated on patients. Research use only.".to_owned(),
    };
    for form in [ReportForm::Comprehensive3D, ReportForm::Enhanced] {
        let report = Report {
            form,
            algorithm: &algorithm,
            groups: &groups,
            classes: Some(&classes),
            segmentation: Some(&binary),
        };
        let object = write_report(&context, &report)?;
        save(object.role.name(), &object)?;
        let reason = "The scan was not analysed, because it is not a chest CT.";
        let object = write_refusal_report(&context, form, reason)?;
        save(object.role.name(), &object)?;
    }
    for purpose in [PictureRole::Overview, PictureRole::Refusal] {
        let picture = Picture {
            rows: 63,
            columns: 101,
            rgb: &[[200, 40, 40]; 63 * 101].concat(),
            description: "Example picture of one colour",
        };
        let object = write_picture(&context, purpose, &picture)?;
        save(object.role.name(), &object)?;
    }
    let object = write_pdf(&context, "multirnet report (research use only)", PDF)?;
    Ok(save(object.role.name(), &object)?)
}

/// Lungs (1 in the first half of the columns, 2 in the other) and ground glass (1) by thresholds.
fn masks(scan: &Scan) -> (Volume<u8>, Volume<u8>) {
    let volume = &scan.volume;
    let [_, rows, columns] = volume.shape();
    let inside = |[_, y, x]: [usize; 3]| {
        (rows / 8..rows - rows / 8).contains(&y)
            && (columns / 8..columns - columns / 8).contains(&x)
    };
    let lungs = Volume::from_fn(*volume.geometry(), |index| {
        let is_lung = inside(index) && (-1000.0..-300.0).contains(&volume.at(index));
        match (is_lung, index[2] < columns / 2) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        }
    });
    let lesions = Volume::from_fn(*volume.geometry(), |index| {
        u8::from(inside(index) && (-600.0..-300.0).contains(&volume.at(index)))
    });
    (lungs, lesions)
}

fn segments<'a>(lungs: &'a Volume<u8>, lesions: &'a Volume<u8>) -> Vec<Segment<'a>> {
    let lung = |label: &str, side, values, colour| Segment {
        label: label.to_owned(),
        category: codes::ANATOMICAL_STRUCTURE,
        property_type: codes::LUNG,
        laterality: Some(side),
        region: None,
        colour,
        tracking_id: label.to_lowercase(),
        mask: Mask {
            planes: lungs,
            values,
        },
    };
    let lesion = |label: &str, kind, values, colour| Segment {
        label: label.to_owned(),
        category: codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        property_type: kind,
        laterality: None,
        region: Some(codes::LUNG),
        colour,
        tracking_id: label.to_lowercase(),
        mask: Mask {
            planes: lesions,
            values,
        },
    };
    vec![
        lung("Right lung", codes::RIGHT, &[1], [120, 180, 220]),
        lung("Left lung", codes::LEFT, &[2], [120, 220, 180]),
        lesion("Lesion", codes::LESION, &[1, 2], [220, 60, 60]),
        lesion(
            "Ground glass",
            codes::GROUND_GLASS_OPACITY,
            &[1],
            [230, 160, 60],
        ),
        lesion(
            "Consolidation",
            codes::LUNG_CONSOLIDATION,
            &[2],
            [160, 60, 160],
        ),
    ]
}

/// The right lung, the left lung, the lesion, and the lesion in the upper zones of the right lung.
fn groups(scan: &Scan, lungs: &Volume<u8>, lesions: &Volume<u8>) -> Vec<MeasurementGroup> {
    let measure = |is_in: &dyn Fn(usize) -> bool| {
        let (mut count, mut sum) = (0usize, 0.0);
        for (i, &hu) in scan
            .volume
            .data()
            .iter()
            .enumerate()
            .filter(|(i, _)| is_in(*i))
        {
            debug_assert!(i < lungs.data().len());
            count += 1;
            sum += f64::from(hu);
        }
        let volume = count as f64 * lungs.geometry().voxel_mm3() / 1000.0;
        (volume, (count > 0).then(|| sum / count as f64))
    };
    let group = |id: &str, finding, site, laterality, segment, is_in: &dyn Fn(usize) -> bool| {
        let (volume_cm3, mean_hu) = measure(is_in);
        MeasurementGroup {
            tracking_id: id.to_owned(),
            finding,
            site: Some(site),
            laterality,
            volume_cm3,
            mean_hu,
            share_percent: Some(Share {
                percent: 12.5,
                of: "lesions / lung".to_owned(),
            }),
            segment,
        }
    };
    let lung = |n| move |i: usize| lungs.data()[i] == n;
    let lesion = |i: usize| lesions.data()[i] != 0;
    let (right, left) = (Some(codes::RIGHT), Some(codes::LEFT));
    vec![
        group(
            "right lung",
            codes::LUNG,
            codes::LUNG,
            right,
            Some(1),
            &lung(1),
        ),
        group(
            "left lung",
            codes::LUNG,
            codes::LUNG,
            left,
            Some(2),
            &lung(2),
        ),
        group("lesion", codes::LESION, codes::LUNG, None, Some(3), &lesion),
        group(
            "lesion in the right upper zone",
            codes::LESION,
            codes::UPPER_ZONE_OF_LUNG,
            right,
            None,
            &lesion,
        ),
    ]
}
