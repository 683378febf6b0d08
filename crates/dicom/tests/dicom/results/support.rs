//! A series with masks, and what is written for it.

use crate::support::{Slice, enhanced, read, read_slices, series};
use dicom_object::{FileDicomObject, InMemDicomObject, Tag};
use multirnet_dicom::Scan;
use multirnet_dicom::write::*;
use multirnet_volume::Volume;

pub type Object = FileDicomObject<InMemDicomObject>;

pub fn equipment() -> Equipment {
    Equipment {
        manufacturer: "multirnet".to_owned(),
        model_name: "multirnet phantom".to_owned(),
        software_version: "0.1.0".to_owned(),
        serial_number: "none".to_owned(),
    }
}

pub fn algorithm() -> Algorithm {
    Algorithm {
        name: "multirnet phantom".to_owned(),
        version: "0.1.0".to_owned(),
        source: "multirnet".to_owned(),
        parameters: vec![format!("model_sha256={}", "0".repeat(64))],
    }
}

/// A scan with what its results share.
pub struct Analysed {
    pub scan: Scan,
    equipment: Equipment,
    made_at: ContentTime,
    pub algorithm: Algorithm,
    pub replaces: Vec<EarlierResult>,
    pub lungs: Volume<u8>,
    pub lesions: Volume<u8>,
}

/// The lungs are the left and the right half of all slices but the first. Ground glass lies in one
/// voxel each of the second and third slice; there is no consolidation.
pub fn analysed(slices: &[Slice]) -> Analysed {
    from_scan(read_slices(slices, false).unwrap())
}

pub fn analysed_series() -> Analysed {
    analysed(&series(5))
}

pub fn analysed_enhanced() -> Analysed {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("enhanced.dcm");
    std::fs::write(&path, enhanced().bytes()).unwrap();
    from_scan(read(&path).unwrap())
}

pub fn from_scan(scan: Scan) -> Analysed {
    let grid = *scan.volume.geometry();
    let half = grid.shape()[2] / 2;
    Analysed {
        equipment: equipment(),
        made_at: ContentTime::new("20260102", "030405").unwrap(),
        algorithm: algorithm(),
        replaces: Vec::new(),
        lungs: Volume::from_fn(grid, |[z, _, x]| match (z, x < half) {
            (0, _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        }),
        lesions: Volume::from_fn(grid, |[z, y, x]| {
            u8::from((1..3).contains(&z) && y == z && x == 0)
        }),
        scan,
    }
}

impl Analysed {
    pub fn context(&self) -> ResultContext<'_> {
        ResultContext {
            source: &self.scan.reference,
            equipment: &self.equipment,
            key: "scan, model, options",
            made_at: &self.made_at,
            replaces: &self.replaces,
        }
    }

    pub fn segments(&self) -> Vec<Segment<'_>> {
        let segment = |label: &str, kind, side, mask, value: &'static [u8]| Segment {
            label: label.to_owned(),
            category: codes::ANATOMICAL_STRUCTURE,
            property_type: kind,
            laterality: side,
            region: None,
            colour: [120, 180, 220],
            tracking_id: label.to_lowercase(),
            mask: Mask {
                planes: mask,
                values: value,
            },
        };
        let lesion = |label, kind, value| Segment {
            category: codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
            region: Some(codes::LUNG),
            ..segment(label, kind, None, &self.lesions, value)
        };
        vec![
            segment(
                "Right lung",
                codes::LUNG,
                Some(codes::RIGHT),
                &self.lungs,
                &[1],
            ),
            segment(
                "Left lung",
                codes::LUNG,
                Some(codes::LEFT),
                &self.lungs,
                &[2],
            ),
            lesion("Ground glass", codes::GROUND_GLASS_OPACITY, &[1]),
            lesion("Consolidation", codes::LUNG_CONSOLIDATION, &[2]),
        ]
    }

    pub fn segmentation(&self, encoding: Encoding, all_frames: bool) -> ResultObject {
        self.try_segmentation(encoding, all_frames).unwrap()
    }

    pub fn try_segmentation(
        &self,
        encoding: Encoding,
        all_frames: bool,
    ) -> Result<ResultObject, multirnet_dicom::Error> {
        let input = Segmentation {
            segments: &self.segments(),
            algorithm: &self.algorithm,
            description: "Lungs and lesions",
            encoding,
            all_frames,
            edited_by: None,
        };
        write_segmentation(&self.context(), &input)
    }

    pub fn binary(&self) -> ResultObject {
        self.segmentation(Encoding::Binary, false)
    }

    pub fn groups(&self) -> Vec<MeasurementGroup> {
        let group = |id: &str, finding, site, side, segment| MeasurementGroup {
            tracking_id: id.to_owned(),
            finding,
            site: Some(site),
            laterality: side,
            volume_cm3: 1.25,
            mean_hu: Some(-700.5),
            share_percent: Some(Share {
                percent: 12.5,
                of: "lesions / lung".to_owned(),
            }),
            segment,
        };
        vec![
            group(
                "right lung",
                codes::LUNG,
                codes::LUNG,
                Some(codes::RIGHT),
                Some(1),
            ),
            group(
                "ground glass",
                codes::GROUND_GLASS_OPACITY,
                codes::LUNG,
                None,
                Some(3),
            ),
            group(
                "lesions in the right upper zone",
                codes::LESION,
                codes::UPPER_ZONE_OF_LUNG,
                Some(codes::RIGHT),
                None,
            ),
        ]
    }

    pub fn report(&self, form: ReportForm, segmentation: &ResultObject) -> ResultObject {
        let classes = Classification {
            probabilities: vec![
                (codes::NORMAL, 0.05),
                (codes::COMMUNITY_ACQUIRED_PNEUMONIA, 0.15),
                (codes::COVID_19, 0.8),
            ],
            statement: "Not validated on patients. Research use only.".to_owned(),
        };
        let report = Report {
            form,
            algorithm: &self.algorithm,
            groups: &self.groups(),
            classes: Some(&classes),
            segmentation: Some(segmentation),
        };
        write_report(&self.context(), &report).unwrap()
    }

    pub fn picture(&self) -> ResultObject {
        let picture = Picture {
            rows: 3,
            columns: 5,
            rgb: &[77; 45],
            description: "Overview of the findings",
        };
        write_picture(&self.context(), PictureRole::Overview, &picture).unwrap()
    }

    pub fn pdf(&self) -> ResultObject {
        write_pdf(&self.context(), "multirnet report", b"%PDF-1.7\n%%EOF").unwrap()
    }
}

pub fn parse(object: &ResultObject) -> Object {
    dicom_object::from_reader(&object.bytes[..]).unwrap()
}

pub fn bytes_of(object: &Object) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).unwrap();
    bytes
}

pub fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

pub fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.element(tag).unwrap().to_str().unwrap();
    value.trim_end_matches(['\0', ' ']).to_owned()
}
