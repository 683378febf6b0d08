//! Changes of single options of a model.

use crate::{Error, ErrorKind, Result};
use multirnet_base::toml_text;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `base` with the values that the TOML text `over` names; everything else stays as it is.
///
/// # Errors
/// `Options`, with the line of the text, if a key is unknown or a value has the wrong type.
pub fn overlay_toml<T: Serialize + DeserializeOwned>(base: &T, over: &str) -> Result<T> {
    // `overlay` works on tables without line numbers. The errors of this first parse name the line.
    toml_text::parse::<T>(over)?;
    overlay(base, &toml_text::parse(over)?)
}

/// `base` with the values of the table `over`.
///
/// # Errors
/// `Options` if a key is unknown or a value has the wrong type.
pub fn overlay<T: Serialize + DeserializeOwned>(base: &T, over: &toml::Table) -> Result<T> {
    let bad = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Options, e.to_string());
    let mut table = toml::Table::try_from(base).map_err(|e| bad(&e))?;
    merge(&mut table, over);
    table.try_into().map_err(|e| bad(&e))
}

/// Puts the values of `over` into `table`, tables key by key. A table `model` with a `system`
/// replaces the old one as a whole, because the fields of one net mean nothing to another.
pub fn merge(table: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new))
                if !(key == "model" && new.contains_key("system")) =>
            {
                merge(old, new);
            }
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_infer::PredictOptions;

    #[test]
    fn an_options_text_changes_what_it_names_and_nothing_else() {
        let mut own = PredictOptions {
            threshold: 0.35,
            ..PredictOptions::default()
        };
        own.prepare.spacing_mm = [4.0, 3.0, 3.0];
        own.prepare.global_shape = [32, 64, 64];
        let text = "batch = 2\n[prepare]\nglobal_shape = [16, 48, 48]\n";
        let found = overlay_toml(&own, text).unwrap();
        let mut expected = own.clone();
        expected.batch = 2;
        expected.prepare.global_shape = [16, 48, 48];
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert_eq!(
            format!("{:?}", overlay_toml(&own, "").unwrap()),
            format!("{own:?}")
        );
        let error = overlay_toml(&own, "\nbatches = 2\n").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 2") && text.contains("batches"),
            "{text}"
        );
    }
}
