//! The kind of a source's scans, which its name tells.

use multirnet_finding::ScoredOn;

/// The kind of a source's scans, by its name. Names of phantoms begin with `phantom`, names of scans
/// with implanted lesions with `implant`, and all others are patients. `None` without a name.
pub fn kind_of(source: &str) -> Option<ScoredOn> {
    if source.is_empty() {
        None
    } else if source.starts_with("phantom") {
        Some(ScoredOn::Phantoms)
    } else if source.starts_with("implant") {
        Some(ScoredOn::ImplantedLesions)
    } else {
        Some(ScoredOn::Patients)
    }
}

/// The kind of all sources together; `None` if they differ or one is not known.
pub fn common_kind<'a>(sources: impl IntoIterator<Item = &'a str>) -> Option<ScoredOn> {
    let mut kinds = sources.into_iter().map(kind_of);
    let first = kinds.next()??;
    kinds.all(|k| k == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_sources_names() {
        assert_eq!(kind_of("phantoms"), Some(ScoredOn::Phantoms));
        assert_eq!(kind_of("implanted"), Some(ScoredOn::ImplantedLesions));
        assert_eq!(kind_of("coronacases-hu"), Some(ScoredOn::Patients));
        assert_eq!(kind_of(""), None);
        assert_eq!(common_kind(["a", "b"]), Some(ScoredOn::Patients));
        assert_eq!(common_kind(["a", "phantoms"]), None);
        assert_eq!(common_kind([]), None);
    }
}
