//! What a model was validated on, and the notice that its results carry.

use crate::ScoredOn;
use serde::{Deserialize, Serialize};

/// The held-out scans on which a model was scored. It was neither trained nor chosen on them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidatedOn {
    /// Scans on which its lesion maps were scored.
    pub lesions: Vec<ScoredOn>,
    /// Scans on which its classes were scored.
    pub classes: Vec<ScoredOn>,
}

impl ValidatedOn {
    /// Whether the lesion maps were validated on patients.
    pub fn lesions_on_patients(&self) -> bool {
        self.lesions.contains(&ScoredOn::Patients)
    }

    /// Whether the classes were validated on patients. Only then may a result lead with a class.
    pub fn classes_on_patients(&self) -> bool {
        self.classes.contains(&ScoredOn::Patients)
    }

    /// The notice at the head of every result of such a model; `None` if all of the model was
    /// validated on patients.
    pub fn notice(&self) -> Option<&'static str> {
        match (self.lesions_on_patients(), self.classes_on_patients()) {
            (true, true) => None,
            (true, false) => {
                Some("Demonstration model: its classes are not validated on patients.")
            }
            (false, true) => {
                Some("Demonstration model: its lesions are not validated on patients.")
            }
            (false, false) => Some("Demonstration model: not validated on patients."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_names_what_was_not_validated_on_patients() {
        let on = |lesions: &[ScoredOn], classes: &[ScoredOn]| ValidatedOn {
            lesions: lesions.to_vec(),
            classes: classes.to_vec(),
        };
        let patients = [ScoredOn::Phantoms, ScoredOn::Patients];
        assert_eq!(on(&patients, &patients).notice(), None);
        let drawn = [ScoredOn::Phantoms, ScoredOn::ImplantedLesions];
        let notice = on(&patients, &drawn).notice().unwrap();
        assert!(notice.contains("classes are not validated on patients"));
        let notice = ValidatedOn::default().notice().unwrap();
        assert!(notice.contains("model: not validated on patients"));
    }
}
