//! Results as DICOM objects, in the study of the scan.
//!
//! | object | content |
//! |---|---|
//! | segmentation | right lung, left lung, lesion, and its kinds where the model knows them |
//! | structured report (TID 1500) | volumes, attenuation, shares, by lung, kind and zone; the classes |
//! | secondary capture | the overview picture |
//! | encapsulated PDF | the report on one page |
//!
//! A scan that is refused gets a picture and a report that say why.

mod corrected;
mod measurements;
mod picture;
mod refusal;
mod segments;
mod stored;
mod study;

pub use corrected::{CorrectedMap, corrected_segmentation};
pub use multirnet_dicom::write::{ContentTime, EarlierResult, Encoding, ReportForm, ResultObject};
pub use refusal::dicom_refusal;
pub use stored::read_results;
pub use study::{StudyAnalysis, StudyResult, analyse_study, refuse_study};

use crate::{Error, ErrorKind, Result};
use multirnet_base::StagedFolder;
use multirnet_base::digest::sha256_of_parts;
use multirnet_cohort::{Scan, SeriesReference};
use multirnet_dicom::write::{
    Algorithm, Equipment, PictureRole, Report, ResultContext, Segment, Segmentation, write_pdf,
    write_report, write_segmentation,
};
use multirnet_finding::{LesionKind, NOTICE, Prediction, Provenance};
use multirnet_report::{Overview, PdfFacts, ReportDate, finding_pdf, overview_png, planes_png};
use std::path::{Path, PathBuf};

/// The folder in a folder of results that holds the DICOM objects.
pub const DICOM_FOLDER: &str = "dicom";

/// How results are written as DICOM.
#[derive(Debug, Clone)]
pub struct DicomOptions {
    /// How the segmentation stores voxels.
    pub encoding: Encoding,
    /// Whether the segmentation has frames without voxels too.
    pub all_frames: bool,
    /// SOP class of the report.
    pub report: ReportForm,
    /// Name of this installation, which stands for a serial number: 1 to 64 characters.
    pub station: String,
    /// The day that the PDF names, and date and time of the objects.
    pub made_on: ReportDate,
    /// Date and time of the objects' content.
    pub made_at: ContentTime,
    /// Results of the study before objects were added to it, which the new ones name as replaced.
    pub replaces: Vec<EarlierResult>,
}

impl DicomOptions {
    /// The usual options, for content that was made at this date and time.
    ///
    /// # Errors
    /// `Options` if `year` is not from 1 to 9999 or the others are not a day or a time.
    pub fn new([year, month, day]: [u16; 3], [hour, minute, second]: [u16; 3]) -> Result<Self> {
        let (date, time) = (
            format!("{year:04}{month:02}{day:02}"),
            format!("{hour:02}{minute:02}{second:02}"),
        );
        let made_at = ContentTime::new(&date, &time)?;
        let parts = u8::try_from(month).ok().zip(u8::try_from(day).ok());
        let made_on = parts.and_then(|(month, day)| ReportDate::new(year, month, day));
        Ok(Self {
            encoding: Encoding::default(),
            all_frames: false,
            report: ReportForm::default(),
            station: "none".to_owned(),
            made_on: made_on
                .ok_or_else(|| Error::new(ErrorKind::Options, format!("{date} is not a date")))?,
            made_at,
            replaces: Vec::new(),
        })
    }
}

/// The results of `scan` as DICOM objects: segmentation, report of measurements, picture, PDF.
///
/// UIDs follow from the scan, the model and the options, so a repeat replaces the earlier objects.
/// `name` is the scan's name on the PDF.
///
/// # Errors
/// `Scan` if the scan does not come from a DICOM series, if its series was resampled, or if the
/// series lacks what results must repeat; `Draw` if a picture cannot be drawn.
pub fn dicom_results(
    scan: &Scan,
    prediction: &Prediction,
    name: &str,
    options: &DicomOptions,
) -> Result<Vec<ResultObject>> {
    let series = series(scan)?;
    let at = |e: Error| e.at(Path::new(&scan.path));
    results(scan, series, prediction, name, options).map_err(at)
}

fn results(
    scan: &Scan,
    series: &SeriesReference,
    prediction: &Prediction,
    name: &str,
    options: &DicomOptions,
) -> Result<Vec<ResultObject>> {
    let finding = &prediction.finding;
    let provenance = &finding.provenance;
    let key = sha256_of_parts(
        [
            &finding.source.content_sha256,
            finding
                .source
                .lungs_sha256
                .as_ref()
                .unwrap_or(&String::new()),
            &provenance.model_sha256,
            &provenance.config_sha256,
            &provenance.version,
        ]
        .map(|part| part.as_bytes()),
    );
    let equipment = equipment(provenance, options);
    let context = ResultContext {
        source: series,
        equipment: &equipment,
        key: &key,
        made_at: &options.made_at,
        replaces: &options.replaces,
    };
    let kinds: Vec<LesionKind> = finding.lesion_kinds.iter().map(|k| k.kind).collect();
    let maps = &prediction.maps;
    let segments = segments::segments(&maps.lungs, &maps.lesions, &kinds);
    // The segmentation is packed beside the drawing of the pictures.
    let (measured, drawn) = rayon::join(
        || measured(&context, scan, prediction, &segments, options),
        || drawn(&context, scan, prediction, name, options),
    );
    let ([segmentation, report], [capture, document]) = (measured?, drawn?);
    Ok(vec![segmentation, report, capture, document])
}

/// Segmentation and report.
fn measured(
    context: &ResultContext<'_>,
    scan: &Scan,
    prediction: &Prediction,
    segments: &[Segment<'_>],
    options: &DicomOptions,
) -> Result<[ResultObject; 2]> {
    let finding = &prediction.finding;
    let algorithm = algorithm(&finding.provenance);
    let segmentation = write_segmentation(
        context,
        &Segmentation {
            segments,
            algorithm: &algorithm,
            description: "Lungs and lesions, for research use only",
            encoding: options.encoding,
            all_frames: options.all_frames,
            edited_by: None,
        },
    )?;
    let report = write_report(
        context,
        &Report {
            form: options.report,
            algorithm: &algorithm,
            groups: &measurements::groups(&scan.volume, prediction, segments)?,
            classes: Some(&measurements::classes(finding)),
            segmentation: Some(&segmentation),
        },
    )?;
    Ok([segmentation, report])
}

/// Picture and PDF.
fn drawn(
    context: &ResultContext<'_>,
    scan: &Scan,
    prediction: &Prediction,
    name: &str,
    options: &DicomOptions,
) -> Result<[ResultObject; 2]> {
    // The files' place says nothing to readers of an archive, and it may name people.
    let mut finding = prediction.finding.clone();
    name.clone_into(&mut finding.source.path);
    let overview = Overview {
        scan: &scan.volume,
        finding: &finding,
        maps: &prediction.maps,
    };
    let version = &finding.provenance.version;
    let description = format!("Overview by multirnet {version}. {NOTICE}");
    let capture = picture::write(
        context,
        PictureRole::Overview,
        &overview_png(&overview)?,
        &description,
    )?;
    let taken = scan
        .listing
        .iter()
        .find(|s| s.uid == context.source.series_uid);
    let facts = PdfFacts {
        date: options.made_on,
        series_description: taken
            .map(|s| s.description.clone())
            .filter(|text| !text.is_empty()),
        replaces: context.replaced_document(),
    };
    let pdf = finding_pdf(name, &finding, &planes_png(&overview)?, &facts)?;
    let title = format!("multirnet report. {NOTICE}");
    let document = write_pdf(context, &title, &pdf)?;
    Ok([capture, document])
}

/// Writes `objects` into `out/dicom`, all or none, and returns their paths.
///
/// # Errors
/// `Write` if a file cannot be written.
pub fn write_dicom(objects: &[ResultObject], out: &Path) -> Result<Vec<PathBuf>> {
    let folder = out.join(DICOM_FOLDER);
    let staged = StagedFolder::new(&folder)?;
    let mut paths = Vec::new();
    for object in objects {
        let name = format!("{}.dcm", object.role.name());
        staged.write(&name, &object.bytes)?;
        paths.push(folder.join(name));
    }
    staged.publish()?;
    Ok(paths)
}

/// The series that results of the scan belong to.
///
/// # Errors
/// `Scan` if the scan does not come from a DICOM series.
pub fn series(scan: &Scan) -> Result<&SeriesReference> {
    scan.series.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Scan,
            format!("the scan is {}, not a DICOM series", scan.format),
        )
        .hint("DICOM results need the series that they belong to: give its folder, file or zip")
        .at(Path::new(&scan.path))
    })
}

/// The device that the objects name.
fn equipment(provenance: &Provenance, options: &DicomOptions) -> Equipment {
    Equipment {
        manufacturer: "multirnet".to_owned(),
        model_name: short(&provenance.model),
        software_version: short(&provenance.version),
        serial_number: options.station.clone(),
    }
}

/// The algorithm that the objects name.
fn algorithm(provenance: &Provenance) -> Algorithm {
    Algorithm {
        name: short(&format!("multirnet {}", provenance.model)),
        version: short(&provenance.version),
        source: "multirnet".to_owned(),
        parameters: vec![
            format!("model_sha256={}", provenance.model_sha256),
            format!("options_sha256={}", provenance.config_sha256),
        ],
    }
}

/// A text for an attribute of at most 64 characters (LO), which may not hold backslashes or control
/// characters.
fn short(text: &str) -> String {
    let clean = text.chars().filter(|c| *c != '\\' && !c.is_control());
    let text: String = clean.take(64).collect();
    match text.trim() {
        "" => "unnamed".to_owned(),
        _ => text,
    }
}
