//! The table of codes against the extract of pydicom's dictionary.

use multirnet_dicom::write::codes::TABLE;
use std::collections::BTreeMap;

#[test]
fn every_code_has_the_meaning_of_the_dictionary() {
    let extract = include_str!("../../golden/codes.csv");
    let mut known = BTreeMap::new();
    for line in extract.lines().skip(1) {
        let mut fields = line.splitn(3, ',');
        let (scheme, value) = (fields.next().unwrap(), fields.next().unwrap());
        let rest = fields.next().unwrap();
        // A meaning or a source with a comma is quoted.
        let (meaning, source) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").unwrap(),
            None => rest.split_once(',').unwrap(),
        };
        assert!(!source.is_empty(), "{line}");
        known.insert((scheme, value), meaning);
    }
    for code in TABLE {
        let meaning = known.remove(&(code.scheme, code.value));
        assert_eq!(meaning, Some(code.meaning), "{code:?}");
    }
    assert!(known.is_empty(), "not in the table: {known:?}");
}
