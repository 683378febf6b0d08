//! A study that came over the network: its results, or the reason why there are none, as DICOM objects.

use super::{DicomOptions, dicom_refusal, dicom_results, write_dicom};
use crate::{Error, ErrorKind, Result, analyse, to_json};
use multirnet_base::{StopToken, files};
use multirnet_cohort::{ReadOptions, Scan, SeriesReference, open_scan};
use multirnet_finding::Finding;
use multirnet_infer::{MemoryPlan, Model, PredictOptions};
use std::path::{Path, PathBuf};

/// Accession number and patient ID, which name a study on pictures and pages.
const NAMES: [(u16, u16); 2] = [(0x0008, 0x0050), (0x0010, 0x0020)];

/// How a study is analysed.
#[derive(Clone, Copy)]
pub struct StudyAnalysis<'a> {
    /// The model.
    pub model: &'a Model,
    /// Options of the analysis.
    pub options: &'a PredictOptions,
    /// How the results are written.
    pub dicom: &'a DicomOptions,
}

/// Bytes that reading takes for a voxel: its value, its stored value and a resampled copy.
const READING_BYTES: u64 = 12;
/// Voxels that may be read whatever the limit is, 768 MiB. The plan of an ordinary scan is then compared
/// with the limit, which gives the better message.
const ALWAYS_READ: u64 = 1 << 26;

/// What became of a study.
#[derive(Debug)]
pub struct StudyResult {
    /// The objects, in the order in which they are to be sent.
    pub files: Vec<PathBuf>,
    /// The finding; `None` if the study was refused.
    pub finding: Option<Finding>,
    /// Why the study was refused.
    pub refusal: Option<Error>,
    /// The planned memory, if the scan could be read.
    pub plan: Option<MemoryPlan>,
}

/// Analyses the study in `folder` and writes DICOM objects and `finding.json` into `out`.
///
/// Of several series, the reader takes one by its rules. A study that cannot be analysed, because of its
/// series, the scan, or the planned memory, gets objects that say so.
///
/// # Errors
/// `Interrupted` if `stop` was raised; `Write`; `Model`, `Options`, `Device` and `Draw` for faults that
/// are not the study's; `Scan` if there is no CT series to which an answer could belong.
pub fn analyse_study(
    folder: &Path,
    out: &Path,
    analysis: &StudyAnalysis<'_>,
    stop: &StopToken,
) -> Result<StudyResult> {
    let mut plan = None;
    let mut reading = ReadOptions::default();
    if let Some(mib) = analysis.options.memory_limit_mib {
        // A small study can claim a volume of many GiB. If reading does not fit, no analysis does.
        let most = (mib.saturating_mul(1 << 20) / READING_BYTES).max(ALWAYS_READ);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        reading.max_voxels = reading.max_voxels.min(most);
    }
    let (scan, error) = match open_scan(folder, &reading) {
        Ok(scan) => match results_of(&scan, out, analysis, stop, &mut plan) {
            Ok((files, finding)) => {
                return Ok(StudyResult {
                    files,
                    finding: Some(finding),
                    refusal: None,
                    plan,
                });
            }
            Err(error) => (Some(scan), error),
        },
        Err(error) => (None, error.into()),
    };
    if !matches!(error.kind(), ErrorKind::Scan | ErrorKind::Memory) {
        return Err(error);
    }
    let files = match scan.as_ref().and_then(|scan| scan.series.as_ref()) {
        Some(series) => write_refusal(series, out, &error, analysis.dicom),
        None => refuse_study(folder, out, &error, analysis.dicom),
    }?;
    Ok(StudyResult {
        files,
        finding: None,
        refusal: Some(error),
        plan,
    })
}

fn results_of(
    scan: &Scan,
    out: &Path,
    analysis: &StudyAnalysis<'_>,
    stop: &StopToken,
    plan: &mut Option<MemoryPlan>,
) -> Result<(Vec<PathBuf>, Finding)> {
    let StudyAnalysis { model, options, .. } = analysis;
    *plan = Some(model.plan(scan.volume.geometry(), false, options));
    let prediction = analyse(model, scan, None, options, stop, &mut |_| {})?;
    let name = study_name(super::series(scan)?);
    let objects = dicom_results(scan, &prediction, &name, analysis.dicom)?;
    let finding = prediction.finding;
    files::write(&out.join("finding.json"), to_json(&finding)?.as_bytes())?;
    Ok((write_dicom(&objects, out)?, finding))
}

/// Writes objects into `out` which say that the study in `folder` was not analysed, because `error`.
///
/// # Errors
/// `Scan` if there is no CT series to which they could belong; `Write`.
pub fn refuse_study(
    folder: &Path,
    out: &Path,
    error: &Error,
    options: &DicomOptions,
) -> Result<Vec<PathBuf>> {
    let series = multirnet_dicom::refused_series(folder, None)?;
    write_refusal(&series, out, error, options)
}

fn write_refusal(
    series: &SeriesReference,
    out: &Path,
    error: &Error,
    options: &DicomOptions,
) -> Result<Vec<PathBuf>> {
    let objects = dicom_refusal(series, &study_name(series), error, options)?;
    write_dicom(&objects, out)
}

/// How pictures and pages name the study, so that a reader can tell whose they are: by accession number
/// and patient ID, which they show to nobody who does not see them in the archive anyway.
fn study_name(series: &SeriesReference) -> String {
    let value = |tag: &(u16, u16)| {
        let found = series.attributes.iter().find(|a| a.tag == *tag);
        found.map(|a| a.value.trim()).filter(|v| !v.is_empty())
    };
    let mut names: Vec<&str> = NAMES.iter().filter_map(value).collect();
    names.dedup();
    match names.as_slice() {
        [] => series.study_uid.clone(),
        names => names.join(", "),
    }
}
