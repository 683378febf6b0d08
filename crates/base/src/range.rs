//! Range checks of a configuration's values.

use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;

/// A configuration's value that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfRange {
    field: String,
    value: String,
    allowed: String,
}

impl OutOfRange {
    /// The field's name, after its table's name if it lies in one: `run.batch`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The reason for a message: `threshold = 2 is out of range`.
    pub fn reason(&self) -> String {
        format!("{} = {} is out of range", self.field, self.value)
    }

    /// The remedy for a message: `allowed: 0 to 1`.
    pub fn hint(&self) -> String {
        format!("allowed: {}", self.allowed)
    }
}

/// Checks field after field and keeps the first that is out of its range.
#[derive(Debug, Default)]
pub struct Ranges {
    prefix: String,
    first: Option<OutOfRange>,
}

impl Ranges {
    /// Starts the checks of fields that do not lie in a table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the checks of fields of the table `name`. Messages name a field `name.field`.
    pub fn of_table(name: &str) -> Self {
        Self {
            prefix: format!("{name}."),
            first: None,
        }
    }

    /// Refuses `field` with its `value` unless `holds` is true. `allowed` describes the allowed
    /// values.
    #[must_use]
    pub fn require(mut self, holds: bool, field: &str, value: impl Debug, allowed: &str) -> Self {
        if !holds && self.first.is_none() {
            let value = format!("{value:?}");
            // An optional field is an `Option` in Rust, but its user writes a plain value.
            let inner = value
                .strip_prefix("Some(")
                .and_then(|v| v.strip_suffix(')'));
            self.first = Some(OutOfRange {
                field: format!("{}{field}", self.prefix),
                value: inner.unwrap_or(&value).to_owned(),
                allowed: allowed.to_owned(),
            });
        }
        self
    }

    /// Requires `value` to lie within `range`. NaN does not lie within any range.
    #[must_use]
    pub fn within<T>(self, field: &str, value: T, range: RangeInclusive<T>) -> Self
    where
        T: PartialOrd + Display,
    {
        let allowed = format!("{} to {}", range.start(), range.end());
        let shown = format_args!("{value}").to_string();
        self.require(range.contains(&value), field, Plain(shown), &allowed)
    }

    /// Requires each of `values` to lie within `range`.
    #[must_use]
    pub fn each_within<T>(self, field: &str, values: &[T], range: RangeInclusive<T>) -> Self
    where
        T: PartialOrd + Display + Debug,
    {
        let allowed = format!("{} to {} each", range.start(), range.end());
        let holds = values.iter().all(|v| range.contains(v));
        self.require(holds, field, values, &allowed)
    }

    /// Requires both values of `pair` to lie within `range`, and the first not to exceed the second.
    #[must_use]
    pub fn ordered_within(self, field: &str, pair: [f64; 2], range: RangeInclusive<f64>) -> Self {
        let (low, high) = (range.start(), range.end());
        let allowed = format!("two values from {low} to {high}, the lower one first");
        let holds = pair.iter().all(|v| range.contains(v)) && pair[0] <= pair[1];
        self.require(holds, field, pair, &allowed)
    }

    /// Ends the checks.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(self) -> Result<(), OutOfRange> {
        self.first.map_or(Ok(()), Err)
    }
}

/// A text that `Debug` shows without quotes.
struct Plain(String);

impl Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_field_is_named_with_its_value_and_range() {
        let bad = Ranges::of_table("run")
            .within("a", 1, 0..=1)
            .each_within("b", &[0.5, f64::NAN], 0.0..=1.0)
            .within("c", 9, 0..=1)
            .check()
            .unwrap_err();
        assert_eq!(bad.reason(), "run.b = [0.5, NaN] is out of range");
        assert_eq!(bad.hint(), "allowed: 0 to 1 each");
        let bad = Ranges::new().require(false, "o", Some(0.5), "above 1");
        assert_eq!(bad.check().unwrap_err().reason(), "o = 0.5 is out of range");
        let bad = Ranges::new().ordered_within("d", [2.0, 1.0], 0.0..=3.0);
        assert!(bad.check().unwrap_err().hint().ends_with("lower one first"));
        assert_eq!(Ranges::new().within("e", 0.5, 0.0..=1.0).check(), Ok(()));
    }
}
