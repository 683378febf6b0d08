//! Values of a source, made such that results may hold them (PS3.5, 6.2).
//!
//! Results copy attributes of the patient and the study. A scanner's or a stranger's file may have
//! values that are too long, or hold control characters. A result with such a value would be refused by
//! archives, or harm what shows it.

use crate::identity::is_uid;
use dicom_core::VR;

/// Most bytes of an attribute of several values. The length field of most types has 16 bits.
const MOST_BYTES: usize = 60_000;

/// `text` as a value, or several with backslashes between them, of the type `vr`. Control characters are
/// left out. A text that is too long is cut. What is not of a type's form, for example a date, is empty.
pub(crate) fn legal(vr: VR, text: &str) -> String {
    let one = |most: usize| cut(&plain(text, false), most);
    let long = |most: usize| cut(&plain(text, true), most);
    let value = match vr {
        // These hold one value, in which a backslash is a character.
        VR::ST => return long(1024),
        VR::LT => return long(10_240),
        VR::UT => return long(MOST_BYTES / 4),
        VR::UR => return one(MOST_BYTES / 4),
        _ => {
            let values: Vec<String> = text
                .split('\\')
                .map(|value| legal_value(vr, value))
                .collect();
            values.join("\\")
        }
    };
    if value.len() <= MOST_BYTES {
        return value;
    }
    let first = value.split('\\').next().unwrap_or_default();
    if first.len() <= MOST_BYTES {
        first.to_owned()
    } else {
        String::new()
    }
}

fn legal_value(vr: VR, value: &str) -> String {
    let value = plain(value, false);
    let formed = |most: usize, allowed: &[u8]| {
        let is_legal = value.len() <= most
            && value
                .bytes()
                .all(|b| b.is_ascii_digit() || allowed.contains(&b));
        if is_legal {
            value.clone()
        } else {
            String::new()
        }
    };
    match vr {
        VR::PN => {
            let groups: Vec<String> = value.split('=').take(3).map(|g| cut(g, 64)).collect();
            groups.join("=")
        }
        VR::LO => cut(&value, 64),
        VR::SH => cut(&value, 16),
        VR::AE => cut(&value, 16),
        VR::UC => cut(&value, MOST_BYTES / 4),
        VR::CS => {
            let is_legal = value.len() <= 16
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_'));
            if is_legal { value } else { String::new() }
        }
        VR::DA => formed(10, b".-"),
        VR::TM => formed(16, b".:-"),
        VR::DT => formed(26, b".+-"),
        VR::AS => formed(4, b"DWMY"),
        VR::IS => formed(12, b"+-"),
        VR::DS => formed(16, b"+-.eE"),
        VR::UI if !is_uid(&value) => String::new(),
        _ => value,
    }
}

/// A text without control characters; those between lines stay in texts of several lines.
fn plain(text: &str, has_lines: bool) -> String {
    let is_kept =
        |c: &char| !c.is_control() || has_lines && matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    text.chars()
        .filter(is_kept)
        .collect::<String>()
        .trim_matches(' ')
        .to_owned()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text[..end].trim_end_matches(' ').to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_values_stay_as_they_are() {
        for (vr, text) in [
            (VR::PN, "Müller^Anna^^Dr.=山田^太郎=やまだ^たろう"),
            (VR::LO, "P-1\\P-2"),
            (VR::DA, "20240131"),
            (VR::DA, "2024.01.31"),
            (VR::TM, "235959.999999"),
            (VR::DS, "-1.5e-3"),
            (VR::CS, "M"),
            (VR::CS, "ORIGINAL\\PRIMARY"),
            (VR::AS, "063Y"),
            (VR::UI, "1.2.840.113619.2.55"),
            (VR::LT, "one\r\ntwo\\three"),
            (VR::LO, "<b> & \"quoted\" 'text'"),
            (VR::PN, ""),
        ] {
            assert_eq!(legal(vr, text), text);
        }
    }

    #[test]
    fn what_a_type_does_not_allow_is_cut_or_left_out() {
        assert_eq!(legal(VR::PN, "A\u{1b}[2J^B\u{0}\n\u{9b}C"), "A[2J^BC");
        assert_eq!(legal(VR::LO, &"é".repeat(40_000)), "é".repeat(64));
        assert_eq!(legal(VR::PN, &"é=".repeat(40_000)), "é=é=é");
        assert_eq!(legal(VR::SH, &"x\\".repeat(5)), "x\\x\\x\\x\\x\\");
        assert_eq!(legal(VR::SH, &"é\\".repeat(40_000)), "é");
        assert_eq!(legal(VR::CS, "<script>"), "");
        assert_eq!(legal(VR::DA, "20240131<"), "");
        assert_eq!(legal(VR::UI, "../../x"), "");
        assert_eq!(legal(VR::IS, "1234567890123"), "");
        assert_eq!(legal(VR::ST, &"a\\".repeat(40_000)).len(), 1024);
        assert!(legal(VR::UT, &"肺".repeat(100_000)).len() < 65_536);
    }
}
