//! Objects that say why a scan was not analysed.

use super::{DicomOptions, picture, short};
use crate::{Error, Result};
use multirnet_base::digest::sha256_of_parts;
use multirnet_base::text::one_line;
use multirnet_cohort::SeriesReference;
use multirnet_dicom::write::{
    Equipment, PictureRole, ResultContext, ResultObject, write_refusal_report,
};
use multirnet_finding::NOTICE;
use multirnet_report::refusal_picture;

/// Most characters of a reason in an object. A text of a report has room for 10 240.
const MOST_CHARACTERS: usize = 4000;

/// A picture and a report that say why the scan of `series` was not analysed.
///
/// `name` is the scan's name on the picture. UIDs follow from the series and the reason.
///
/// # Errors
/// `Scan` if the series lacks what results must repeat; `Draw` if the picture cannot be drawn.
pub fn dicom_refusal(
    series: &SeriesReference,
    name: &str,
    error: &Error,
    options: &DicomOptions,
) -> Result<Vec<ResultObject>> {
    let version = env!("CARGO_PKG_VERSION");
    let equipment = Equipment {
        manufacturer: "multirnet".to_owned(),
        model_name: "multirnet".to_owned(),
        software_version: short(version),
        serial_number: options.station.clone(),
    };
    // The reason may name files of strangers, and very many of them.
    let reason: String = one_line(error.reason())
        .chars()
        .take(MOST_CHARACTERS)
        .collect();
    let (reason, advice) = (reason.as_str(), error.advice());
    let key = sha256_of_parts(["refusal", version, reason].map(str::as_bytes));
    let context = ResultContext {
        source: series,
        equipment: &equipment,
        key: &key,
        made_at: &options.made_at,
        replaces: &options.replaces,
    };
    let png = refusal_picture(name, reason, advice)?;
    let description = format!("Reason why the scan was not analysed. {NOTICE}");
    let advice = advice.map_or_else(String::new, |a| format!(" ({a})"));
    let text = format!("Could not be analysed: {reason}{advice}. {NOTICE}");
    Ok(vec![
        picture::write(&context, PictureRole::Refusal, &png, &description)?,
        write_refusal_report(&context, options.report, &text)?,
    ])
}
