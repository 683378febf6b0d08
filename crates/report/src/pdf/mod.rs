//! A finding as a report on one page (PDF/A-2a, PDF/UA-1).

mod compose;
mod date;
mod facts;
mod paint;
mod sheet;
#[cfg(test)]
mod tests;

pub use date::ReportDate;
pub use facts::PdfFacts;

use crate::Result;
use crate::font::legible;
use multirnet_finding::{Finding, NOTICE};

/// A report of one A4 page about a finding: notices, scan, measurements, table by lung and zone,
/// class probabilities with their state of validation, warnings, a picture and how it was made.
///
/// `picture_png` is fitted into the room that the texts leave; [`crate::planes_png`] draws one that
/// does not repeat the numbers. Texts that are too long are cut with an ellipsis, and the number of
/// warnings that are left out is given. Characters that the embedded font lacks become U+FFFD, and
/// scripts that run from right to left are not shaped.
///
/// Text can be selected and is tagged. Equal arguments give equal bytes.
///
/// # Errors
/// `Draw` if `picture_png` is not a PNG of grey or colour, or the document cannot be encoded.
pub fn finding_pdf(
    name: &str,
    finding: &Finding,
    picture_png: &[u8],
    facts: &PdfFacts,
) -> Result<Vec<u8>> {
    let picture = paint::picture(picture_png)?;
    let (width, height) = picture.size();
    let name = legible(name);
    let sheet = compose::compose(&name, finding, facts, [width, height].map(f64::from));
    let about = paint::About {
        title: crate::page::heading(&name),
        notice: NOTICE.to_owned(),
        creator: format!("multirnet {}", legible(&finding.provenance.version)),
        date: facts.date,
    };
    paint::paint(&sheet, &about, picture)
}
