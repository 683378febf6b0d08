//! The three classes that the project tells apart.

use serde::{Deserialize, Serialize};

/// A scan's class, in the order of the network's logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Diagnosis {
    /// No pneumonia.
    Normal,
    /// Community-acquired pneumonia.
    Cap,
    /// COVID-19 pneumonia.
    #[serde(alias = "covid-19", alias = "covid")]
    Covid19,
}

impl Diagnosis {
    /// All classes in logit order.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Cap, Self::Covid19];

    /// Position among the network's logits.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The class at a logit's position, or `None` past the last.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Machine name: `normal`, `cap`, `covid19`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Cap => "cap",
            Self::Covid19 => "covid19",
        }
    }

    /// Name for people: `normal`, `CAP`, `COVID-19`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Cap => "CAP",
            Self::Covid19 => "COVID-19",
        }
    }
}

impl std::fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl std::str::FromStr for Diagnosis {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "normal" | "healthy" => Ok(Self::Normal),
            "cap" => Ok(Self::Cap),
            "covid19" | "covid-19" | "covid" => Ok(Self::Covid19),
            other => Err(crate::Error::new(
                crate::ErrorKind::Malformed,
                format!("unknown class {other:?}"),
            )
            .hint("write normal, cap or covid19")),
        }
    }
}
