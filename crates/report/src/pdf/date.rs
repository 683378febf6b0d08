//! The day that a report gives as its own.

use crate::{Error, ErrorKind};
use std::fmt;
use std::str::FromStr;

/// A day of the Gregorian calendar. It is shown as `2026-11-28`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportDate {
    year: u16,
    month: u8,
    day: u8,
}

impl ReportDate {
    /// A day from its year (1 to 9999), month (1 to 12) and day (1 to 31); `None` if there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let last = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            1..=12 => 31,
            _ => return None,
        };
        let is_day = (1..=9999).contains(&year) && (1..=last).contains(&day);
        is_day.then_some(Self { year, month, day })
    }

    /// Year, month and day.
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }
}

impl fmt::Display for ReportDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for ReportDate {
    type Err = Error;

    /// Reads `2026-11-28`, or `20261128` as DICOM writes it.
    ///
    /// # Errors
    /// `Malformed` if the text is neither, or if there is no such day.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = match text.as_bytes() {
            [.., b'-', _, _, b'-', _, _] if text.len() == 10 => text.replace('-', ""),
            _ => text.to_owned(),
        };
        let is_date = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
        let parsed = is_date.then(|| {
            let part = |range| digits.get(range).and_then(|d: &str| d.parse::<u16>().ok());
            let narrow = |range| part(range).and_then(|v| u8::try_from(v).ok());
            Self::new(part(0..4)?, narrow(4..6)?, narrow(6..8)?)
        });
        parsed.flatten().ok_or_else(|| {
            let reason = format!("\"{}\" is not a day", text.escape_debug());
            Error::new(ErrorKind::Malformed, reason).hint("write a date like 2026-11-28")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_both_forms_and_only_if_they_exist() {
        for text in ["2026-11-28", "20261128"] {
            assert_eq!(
                text.parse::<ReportDate>().unwrap().to_string(),
                "2026-11-28"
            );
        }
        assert!(ReportDate::new(2024, 2, 29).is_some() && ReportDate::new(1900, 2, 29).is_none());
        for text in [
            "",
            "2026-13-01",
            "2026-02-30",
            "28.11.2026",
            "0000-01-01",
            "+2026-1-01",
            "２０２６1128",
        ] {
            let error = text.parse::<ReportDate>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{text}");
        }
    }
}
