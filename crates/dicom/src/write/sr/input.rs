//! What a report of measurements is made of.

use crate::write::codes::Code;
use crate::write::context::{Algorithm, check_long_text, check_text};
use crate::write::object::ResultObject;
use crate::{Error, ErrorKind, Result};

/// The SOP class of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReportForm {
    /// Comprehensive 3D SR, which IHE AI Results (AIR) asks for.
    #[default]
    Comprehensive3D,
    /// Enhanced SR, for archives that do not know the other.
    Enhanced,
}

/// Measurements of one finding.
///
/// A group with a segment becomes a TID 1411 group (Volumetric ROI Measurements); one without, such as
/// that of a zone, a TID 1501 group (Measurement and Qualitative Evaluation Group).
#[derive(Debug, Clone, PartialEq)]
pub struct MeasurementGroup {
    /// Tracking identifier: that of the segment, if there is one.
    pub tracking_id: String,
    /// What was found, for example [`LESION`](crate::write::codes::LESION).
    pub finding: Code,
    /// Where it lies: the lung or a zone of it.
    pub site: Option<Code>,
    /// Side of the site.
    pub laterality: Option<Code>,
    /// Volume in cubic centimetres.
    pub volume_cm3: f64,
    /// Mean attenuation in Hounsfield units.
    pub mean_hu: Option<f64>,
    /// Share of the site's volume in percent.
    pub share_percent: Option<Share>,
    /// Number of the segment in the segmentation.
    pub segment: Option<u16>,
}

/// A share of a volume. The code for it (Volume Ratio) does not say of what, so the text does.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Value in percent.
    pub percent: f64,
    /// Numerator and denominator in words, for example `lesions / right lung`.
    pub of: String,
}

/// The class that a model gives to a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// Each class with its probability from 0 to 1.
    pub probabilities: Vec<(Code, f64)>,
    /// On what the model's classes were validated, and what they may be used for.
    pub statement: String,
}

/// A report of measurements.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// SOP class.
    pub form: ReportForm,
    /// The algorithm that measured.
    pub algorithm: &'a Algorithm,
    /// The groups, in the order in which they are shown.
    pub groups: &'a [MeasurementGroup],
    /// The classes, if the model has them.
    pub classes: Option<&'a Classification>,
    /// The segmentation that the groups refer to.
    pub segmentation: Option<&'a ResultObject>,
}

impl Report<'_> {
    /// Checks texts and numbers.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub(crate) fn check(&self) -> Result<()> {
        self.algorithm.check()?;
        for group in self.groups {
            group.check(self.segmentation.is_some())?;
        }
        if let Some(classes) = self.classes {
            check_long_text("the classes' statement", &classes.statement, 10240)?;
            if classes.probabilities.is_empty() {
                return Err(invalid("the classification has no classes", "leave it out"));
            }
            for (class, p) in &classes.probabilities {
                if !(0.0..=1.0).contains(p) {
                    let reason = format!("the probability of {} is {p}", class.meaning);
                    return Err(invalid(&reason, "give a number from 0 to 1"));
                }
            }
        }
        if self.groups.is_empty() && self.classes.is_none() {
            return Err(invalid(
                "the report is empty",
                "give measurements or classes",
            ));
        }
        Ok(())
    }
}

impl MeasurementGroup {
    fn check(&self, has_segmentation: bool) -> Result<()> {
        let id = &self.tracking_id;
        check_text("a tracking identifier", id, 1024)?;
        let percent = self.share_percent.as_ref().map(|s| s.percent);
        let numbers = [Some(self.volume_cm3), self.mean_hu, percent];
        if numbers.into_iter().flatten().any(|v| !v.is_finite()) {
            let reason = format!("a measurement of {id} is not finite: {numbers:?}");
            return Err(invalid(&reason, "leave out what was not measured"));
        }
        if let Some(share) = &self.share_percent {
            check_text("what a share is of", &share.of, 1024)?;
        }
        if self.segment == Some(0) || self.segment.is_some() && !has_segmentation {
            let reason = format!(
                "{id} refers to segment {:?} of no segmentation",
                self.segment
            );
            return Err(invalid(&reason, "give the segmentation, or no segment"));
        }
        Ok(())
    }
}

fn invalid(reason: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Invalid, reason).hint(hint)
}
