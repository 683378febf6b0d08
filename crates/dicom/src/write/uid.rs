//! Deterministic unique identifiers.

use multirnet_base::digest::sha256_of_parts;

/// A UID under `2.25.` (PS3.5 B.2): the decimal value of a UUID made of SHA-256 over `parts`, each
/// preceded by its length. The same parts give the same UID.
///
/// The UUID has version 8 (RFC 9562: defined by the application), so 122 of the digest's bits count.
///
/// ```
/// use multirnet_dicom::write::uid::derive;
///
/// assert_eq!(derive(&["series", "1"]), derive(&["series", "1"]));
/// assert_ne!(derive(&["series", "1"]), derive(&["serie", "s1"]));
/// assert!(derive(&[]).starts_with("2.25.") && derive(&[]).len() <= 44);
/// ```
pub fn derive(parts: &[&str]) -> String {
    let digest = sha256_of_parts(parts.iter().map(|p| p.as_bytes()));
    let bits = digest.bytes().take(32).fold(0u128, |bits, digit| {
        bits << 4 | u128::from((digit as char).to_digit(16).unwrap_or(0))
    });
    let version = bits & !(0xF << 76) | 8 << 76;
    let variant = version & !(0b11 << 62) | 0b10 << 62;
    format!("2.25.{variant}")
}

/// Whether `uid` is a valid UID (PS3.5 9.1): at most 64 digits and dots, without empty components
/// and without leading zeros.
pub fn is_valid(uid: &str) -> bool {
    let component = |c: &str| {
        !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit()) && (c == "0" || !c.starts_with('0'))
    };
    uid.len() <= 64 && uid.contains('.') && uid.split('.').all(component)
}

/// Whether archives accept `uid`. Some devices write components with leading zeros, and results must
/// refer to their series by these very UIDs.
pub(crate) fn is_accepted(uid: &str) -> bool {
    let component = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit());
    uid.len() <= 64 && uid.split('.').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_a_uuid_of_version_8() {
        let decimal = derive(&["a", "b"]);
        let bits: u128 = decimal["2.25.".len()..].parse().unwrap();
        let hex = format!("{bits:032x}");
        assert_eq!(&hex[12..13], "8");
        assert!("89ab".contains(&hex[16..17]));
        assert!(is_valid(&decimal));
    }

    #[test]
    fn uids_with_empty_components_leading_zeros_or_letters_are_not_valid() {
        for wrong in ["", "1", "1..2", "1.02", "1.a", ".1", "1.", " 1.2"] {
            assert!(!is_valid(wrong), "{wrong}");
        }
        assert!(!is_valid(&format!("1.{}", "2".repeat(63))));
        assert!(is_valid("1.0.2"));
    }
}
