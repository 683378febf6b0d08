//! Measurements and classes of a report.

use super::segments::{LEFT_LUNG, LESION, RIGHT_LUNG};
use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::{ZONE_NAMES, zones};
use multirnet_dicom::write::codes::{self, Code};
use multirnet_dicom::write::{Classification, MeasurementGroup, Segment, Share};
use multirnet_finding::{
    Finding, KindInvolvement, LesionKind, NOTICE, Prediction, ZoneInvolvement,
};
use multirnet_volume::{Diagnosis, Volume};
use rayon::prelude::*;

/// Groups of each lung, the lesion, each kind of lesion, and each zone.
///
/// Volumes and shares are those of the finding. Attenuations are means over the masks.
///
/// # Errors
/// `Scan` if scan and maps lie on different grids.
pub(super) fn groups(
    scan: &Volume<f32>,
    prediction: &Prediction,
    segments: &[Segment<'_>],
) -> Result<Vec<MeasurementGroup>> {
    let (finding, maps) = (&prediction.finding, &prediction.maps);
    for mask in [&maps.lungs, &maps.lesions] {
        scan.check_same_grid(mask)?;
    }
    let number = |id: &str| {
        let place = segments.iter().position(|s| s.tracking_id == id);
        place.and_then(|i| u16::try_from(i + 1).ok())
    };
    let lungs = means(scan, &maps.lungs);
    let lesions = means(scan, &maps.lesions);
    let all = &finding.involvement;
    let mut groups = vec![
        lung(
            RIGHT_LUNG,
            codes::RIGHT,
            &all.right,
            lungs[1],
            number(RIGHT_LUNG),
        ),
        lung(
            LEFT_LUNG,
            codes::LEFT,
            &all.left,
            lungs[2],
            number(LEFT_LUNG),
        ),
        MeasurementGroup {
            mean_hu: join(lesions[1], lesions[2]).mean(),
            segment: number(LESION),
            ..lesion(LESION, codes::LESION, all.both.lesion_ml, all.both.fraction)
        },
    ];
    for kind in &finding.lesion_kinds {
        groups.push(MeasurementGroup {
            segment: number(kind.kind.label()),
            ..of_kind(kind, &lesions)
        });
    }
    let by_zone = means(scan, &zones(&maps.lungs));
    for (i, zone) in all.zones.iter().enumerate() {
        groups.push(of_zone(i, zone, by_zone[i + 1])?);
    }
    Ok(groups)
}

/// The classes with the state of their validation.
pub(super) fn classes(finding: &Finding) -> Classification {
    let notice = finding.validated_on.notice();
    let state = notice.unwrap_or("The model's classes were validated on patients.");
    let p = finding.probabilities;
    Classification {
        probabilities: vec![
            (code_of(Diagnosis::Normal), p.normal),
            (code_of(Diagnosis::Cap), p.cap),
            (code_of(Diagnosis::Covid19), p.covid19),
        ],
        statement: format!("{NOTICE} {state}"),
    }
}

fn code_of(class: Diagnosis) -> Code {
    match class {
        Diagnosis::Normal => codes::NORMAL,
        Diagnosis::Cap => codes::COMMUNITY_ACQUIRED_PNEUMONIA,
        Diagnosis::Covid19 => codes::COVID_19,
    }
}

fn lung(
    id: &str,
    side: Code,
    involved: &ZoneInvolvement,
    hu: Sum,
    segment: Option<u16>,
) -> MeasurementGroup {
    MeasurementGroup {
        tracking_id: id.to_owned(),
        finding: codes::LUNG,
        site: Some(codes::LUNG),
        laterality: Some(side),
        volume_cm3: involved.lung_ml,
        mean_hu: hu.mean(),
        share_percent: Some(Share {
            percent: 100.0 * involved.fraction,
            of: format!("lesion / {id}"),
        }),
        segment,
    }
}

fn lesion(id: &str, code: Code, ml: f64, fraction: f64) -> MeasurementGroup {
    MeasurementGroup {
        tracking_id: id.to_owned(),
        finding: code,
        site: Some(codes::LUNG),
        laterality: None,
        volume_cm3: ml,
        mean_hu: None,
        share_percent: Some(Share {
            percent: 100.0 * fraction,
            of: format!("{id} / both lungs"),
        }),
        segment: None,
    }
}

fn of_kind(kind: &KindInvolvement, lesions: &[Sum; 8]) -> MeasurementGroup {
    let (code, value) = match kind.kind {
        LesionKind::GroundGlass => (codes::GROUND_GLASS_OPACITY, 1),
        LesionKind::Consolidation => (codes::LUNG_CONSOLIDATION, 2),
    };
    let label = kind.kind.label();
    MeasurementGroup {
        mean_hu: lesions[value].mean(),
        ..lesion(label, code, kind.lesion_ml, kind.fraction)
    }
}

fn of_zone(i: usize, zone: &ZoneInvolvement, hu: Sum) -> Result<MeasurementGroup> {
    // The zones' order is that of ZONE_NAMES: the right lung's from above, then the left lung's.
    let height = [
        codes::UPPER_ZONE_OF_LUNG,
        codes::MIDDLE_ZONE_OF_LUNG,
        codes::LOWER_ZONE_OF_LUNG,
    ][i % 3];
    if zone.name != ZONE_NAMES[i] {
        return Err(Error::new(
            ErrorKind::Scan,
            format!("the finding's zone {} is {:?}", i + 1, zone.name),
        )
        .hint("analyse the scan again with this version"));
    }
    let id = format!("{} zone", zone.name);
    let side = if i < 3 { codes::RIGHT } else { codes::LEFT };
    Ok(MeasurementGroup {
        site: Some(height),
        ..lung(&id, side, zone, hu, None)
    })
}

/// Sum and number of values.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: f64,
    count: u64,
}

impl Sum {
    fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.total / self.count as f64)
    }
}

fn join(a: Sum, b: Sum) -> Sum {
    Sum {
        total: a.total + b.total,
        count: a.count + b.count,
    }
}

/// The values of `scan` by the labels of `mask` from 1 to 7; others are not counted.
fn means(scan: &Volume<f32>, mask: &Volume<u8>) -> [Sum; 8] {
    let [_, rows, columns] = mask.shape();
    let planes = scan.data().par_chunks(rows * columns);
    let labels = mask.data().par_chunks(rows * columns);
    let of_plane = |(values, labels): (&[f32], &[u8])| {
        let mut sums = [Sum::default(); 8];
        for (&hu, &label) in values.iter().zip(labels).filter(|(_, label)| **label > 0) {
            if let Some(sum) = sums.get_mut(usize::from(label)) {
                sum.total += f64::from(hu);
                sum.count += 1;
            }
        }
        sums
    };
    // The planes are added in order, so the sums do not depend on the threads.
    let by_plane: Vec<[Sum; 8]> = planes.zip(labels).map(of_plane).collect();
    by_plane.into_iter().fold(Default::default(), |all, plane| {
        std::array::from_fn(|i| join(all[i], plane[i]))
    })
}
