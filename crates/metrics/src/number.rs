//! Values that may be undefined or infinite, as they are written and read.
//!
//! In memory such a value is an `Option<f64>`: `None` is undefined, infinity is infinite. JSON has
//! neither; they are written as the words `"undefined"`, `"infinite"` and `"-infinite"`; a `null`
//! is read as undefined. Use as `#[serde(with = "multirnet_metrics::number")]`.

use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes a finite number as it is, and any other value as its word. NaN counts as undefined.
///
/// # Errors
/// Errors of the serializer.
pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match *value {
        Some(v) if v.is_finite() => to.serialize_f64(v),
        other => to.serialize_str(word(other)),
    }
}

/// Reads what [`serialize`] writes, and `null` as undefined.
///
/// # Errors
/// Errors of the deserializer, and one for an unknown word.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Word(String),
    }
    match Option::<Written>::deserialize(from)? {
        None => Ok(None),
        Some(Written::Number(v)) => Ok(Some(v)),
        Some(Written::Word(word)) => match word.as_str() {
            "undefined" => Ok(None),
            "infinite" => Ok(Some(f64::INFINITY)),
            "-infinite" => Ok(Some(f64::NEG_INFINITY)),
            other => Err(de::Error::custom(format!(
                "{other:?} is neither a number nor one of undefined, infinite, -infinite"
            ))),
        },
    }
}

/// The value as text for people and tables: a number with `decimals` decimals, or the word for an
/// undefined or infinite value.
pub fn text(value: Option<f64>, decimals: usize) -> String {
    match value {
        Some(v) if v.is_finite() => format!("{v:.decimals$}"),
        other => word(other).to_owned(),
    }
}

fn word(value: Option<f64>) -> &'static str {
    match value {
        Some(v) if v == f64::INFINITY => "infinite",
        Some(v) if v == f64::NEG_INFINITY => "-infinite",
        _ => "undefined",
    }
}

/// The share in percent, as [`text`] without the unit.
pub fn percent(share: Option<f64>, decimals: usize) -> String {
    text(share.map(|v| 100.0 * v), decimals)
}
