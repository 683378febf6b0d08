//! What a report says beyond its finding.

use super::date::ReportDate;

/// What a report says beyond its finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdfFacts {
    /// The day that the report gives as its own. Nothing here reads the clock, so the caller
    /// chooses it.
    pub date: ReportDate,
    /// The description of the scan's series, where it is known.
    pub series_description: Option<String>,
    /// What the report replaces, in words, if it replaces an earlier one.
    pub replaces: Option<String>,
}
