//! Whether a system's probabilities say how often something is the case.

use super::CaseScore;
use super::intervals::scoring;
use crate::{Error, ErrorKind, Result};
use multirnet_infer::PredictOptions;
use multirnet_metrics::calibration::{TEMPERATURES, tempered};
use multirnet_metrics::{Reliability, Temperature};
use serde::Serialize;

/// Lesion probabilities below this are left out of [`LesionCalibration::error_above`]. Most of the lung has a
/// probability near 0, and so many easy voxels hide the others.
pub const LEAST: f64 = 0.05;

/// Calibration of a set of scans.
#[derive(Debug, Clone, Serialize)]
pub struct Calibration {
    /// Of the lesion probability; `None` if no scan's lesions are known and its probability is kept.
    pub lesions: Option<LesionCalibration>,
    /// Of the most probable class; `None` if no scan's class is known and predicted.
    pub classes: Option<ClassCalibration>,
}

/// Calibration of the lesion probability over the lungs' voxels of all scans together.
#[derive(Debug, Clone, Serialize)]
pub struct LesionCalibration {
    /// Number of scans.
    pub scans: usize,
    /// Expected calibration error, 0..=1.
    pub error: Option<f64>,
    /// The same over voxels whose probability is at least [`LEAST`].
    pub error_above: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
    /// The temperature that fits these scans.
    pub temperature: Option<Temperature>,
    /// The counts.
    pub reliability: Reliability,
}

/// Calibration of the most probable class: the event is that it is the true one.
#[derive(Debug, Clone, Serialize)]
pub struct ClassCalibration {
    /// Number of scans.
    pub scans: usize,
    /// Expected calibration error, 0..=1.
    pub error: Option<f64>,
    /// The temperature of all three probabilities that fits these scans.
    pub temperature: Option<Temperature>,
    /// The counts.
    pub reliability: Reliability,
}

impl Calibration {
    /// The calibration over `scores`.
    ///
    /// # Errors
    /// `Scoring` if a score holds a value that is not a probability.
    pub fn from_cases(scores: &[&CaseScore]) -> Result<Self> {
        Ok(Self {
            lesions: LesionCalibration::from_cases(scores)?,
            classes: ClassCalibration::from_cases(scores)?,
        })
    }

    /// Options (TOML) with the temperatures that fit the scans, which were analysed with `options`. The threshold moves with
    /// the temperature, so that the lesions stay the same, but for the interpolation at their border.
    ///
    /// # Errors
    /// `Scoring` if neither temperature can be fitted.
    pub fn fitted(&self, options: &PredictOptions) -> Result<String> {
        let [least, most] = TEMPERATURES;
        let lesions = self.lesions.as_ref().and_then(|l| l.temperature);
        let classes = self.classes.as_ref().and_then(|c| c.temperature);
        let mut lines = Vec::new();
        if let (Some(t), Some(of)) = (lesions, &self.lesions) {
            let value = (options.lesion_temperature * t.value).clamp(least, most);
            let moved = value / options.lesion_temperature;
            lines.push(format!("# Fitted to the lungs of {} scans.", of.scans));
            lines.push(format!("lesion_temperature = {value:.4}"));
            let threshold = tempered(f64::from(options.threshold), moved);
            lines.push(format!("threshold = {threshold:.4}"));
        }
        if let (Some(t), Some(of)) = (classes, &self.classes) {
            let value = (options.class_temperature * t.value).clamp(least, most);
            lines.push(format!("# Fitted to the classes of {} scans.", of.scans));
            lines.push(format!("class_temperature = {value:.4}"));
        }
        if lines.is_empty() {
            return Err(Error::new(
                ErrorKind::Scoring,
                "no temperature can be fitted to these scans",
            )
            .hint("give scans whose lesions or classes are known"));
        }
        Ok(lines.join("\n") + "\n")
    }
}

impl LesionCalibration {
    fn from_cases(scores: &[&CaseScore]) -> Result<Option<Self>> {
        let known = scores.iter().filter_map(|s| s.reliability.as_ref());
        let (mut all, mut scans) = (Reliability::default(), 0);
        for one in known {
            all.merge(one).map_err(scoring)?;
            scans += 1;
        }
        Ok((scans > 0).then(|| Self {
            scans,
            error: all.expected_error(),
            error_above: all.at_least(LEAST).expected_error(),
            brier: all.brier(),
            temperature: all.temperature(),
            reliability: all,
        }))
    }
}

impl ClassCalibration {
    fn from_cases(scores: &[&CaseScore]) -> Result<Option<Self>> {
        let (mut said, mut truth) = (Vec::new(), Vec::new());
        let mut all = Reliability::default();
        for (class, p) in scores.iter().filter_map(|s| s.class.zip(s.probabilities)) {
            let top = p.top();
            // Rounding may make a probability a little larger than 1.
            all.add(p.of_class(top).min(1.0), top == class)
                .map_err(scoring)?;
            said.push(p.to_array().map(|p| p.min(1.0)));
            truth.push(class.index());
        }
        let temperature = Temperature::of_classes(&said, &truth).map_err(scoring)?;
        Ok((!truth.is_empty()).then(|| Self {
            scans: truth.len(),
            error: all.expected_error(),
            temperature,
            reliability: all,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_temperature_is_on_top_of_the_one_that_was_used() {
        let of = |value| {
            Some(Temperature {
                value,
                loss_before: 1.0,
                loss_after: 0.5,
            })
        };
        let all = Calibration {
            lesions: Some(LesionCalibration {
                scans: 3,
                error: None,
                error_above: None,
                brier: None,
                temperature: of(2.0),
                reliability: Reliability::default(),
            }),
            classes: Some(ClassCalibration {
                scans: 4,
                error: None,
                temperature: of(0.5),
                reliability: Reliability::default(),
            }),
        };
        let options = PredictOptions {
            threshold: 0.8,
            lesion_temperature: 1.5,
            class_temperature: 3.0,
            ..PredictOptions::default()
        };
        let text = all.fitted(&options).unwrap();
        let fitted = crate::overlay_toml(&options, &text).unwrap();
        assert_eq!(
            (fitted.lesion_temperature, fitted.class_temperature),
            (3.0, 1.5)
        );
        // The odds 4 become 2.
        assert!((fitted.threshold - 2.0 / 3.0).abs() < 1e-4);
        let none = Calibration::from_cases(&[]).unwrap();
        assert!(
            none.fitted(&options)
                .unwrap_err()
                .to_string()
                .contains("known")
        );
    }
}
