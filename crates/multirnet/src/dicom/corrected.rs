//! A lesion map that a reader corrected, as a DICOM segmentation.

use super::segments::segments;
use super::{DicomOptions, algorithm, equipment, series};
use crate::{Error, Result};
use multirnet_base::digest::sha256_of_parts;
use multirnet_cohort::Scan;
use multirnet_dicom::write::{ResultContext, ResultObject, Segmentation, write_segmentation};
use multirnet_finding::{Finding, LesionKind};
use multirnet_volume::Volume;
use std::path::Path;

/// A lesion map that a reader corrected, on the scan's grid.
#[derive(Clone, Copy)]
pub struct CorrectedMap<'a> {
    /// 1 right lung, 2 left lung.
    pub lungs: &'a Volume<u8>,
    /// Lesions, labelled as the model labels them.
    pub lesions: &'a Volume<u8>,
    /// Who corrected it.
    pub reviewer: &'a str,
    /// Number of the version, from 1.
    pub version: u32,
}

/// The corrected map of `scan` as a segmentation object. It is a series of its own, which is marked as
/// semiautomatic and names the reader; the model's segmentation stays as it is.
///
/// `finding` is the model's finding that was corrected. UIDs follow from the scan, the map and the
/// version.
///
/// # Errors
/// As [`super::dicom_results`].
pub fn corrected_segmentation(
    scan: &Scan,
    finding: &Finding,
    map: &CorrectedMap<'_>,
    options: &DicomOptions,
) -> Result<ResultObject> {
    let at = |e: Error| e.at(Path::new(&scan.path));
    let source = series(scan)?;
    let equipment = equipment(&finding.provenance, options);
    let version = map.version.to_string();
    let key = sha256_of_parts(
        [
            "correction",
            &version,
            map.reviewer,
            &finding.source.content_sha256,
            &finding.provenance.model_sha256,
            &sha256_of_parts([map.lesions.data()]),
        ]
        .map(str::as_bytes),
    );
    let context = ResultContext {
        source,
        equipment: &equipment,
        key: &key,
        made_at: &options.made_at,
        replaces: &[],
    };
    let kinds: Vec<LesionKind> = finding.lesion_kinds.iter().map(|k| k.kind).collect();
    let written = write_segmentation(
        &context,
        &Segmentation {
            segments: &segments(map.lungs, map.lesions, &kinds),
            algorithm: &algorithm(&finding.provenance),
            description: "Corrected by a reader, for research use only",
            encoding: options.encoding,
            all_frames: options.all_frames,
            edited_by: Some(map.reviewer),
        },
    );
    written.map_err(|e| at(e.into()))
}
