//! Probabilities of the three classes.

use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};

/// Probability of each class; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// No pneumonia.
    pub normal: f64,
    /// Community-acquired pneumonia.
    pub cap: f64,
    /// COVID-19.
    pub covid19: f64,
}

impl Probabilities {
    /// Probabilities from values in logit order.
    pub fn from_array([normal, cap, covid19]: [f64; 3]) -> Self {
        Self {
            normal,
            cap,
            covid19,
        }
    }

    /// The values in logit order.
    pub fn to_array(self) -> [f64; 3] {
        [self.normal, self.cap, self.covid19]
    }

    /// The probability of one class.
    pub fn of_class(self, class: Diagnosis) -> f64 {
        self.to_array()[class.index()]
    }

    /// The most probable class. A tie goes to the first class.
    pub fn top(self) -> Diagnosis {
        let p = self.to_array();
        Diagnosis::ALL
            .into_iter()
            .rev()
            .max_by(|a, b| p[a.index()].total_cmp(&p[b.index()]))
            .unwrap_or(Diagnosis::Normal)
    }
}
