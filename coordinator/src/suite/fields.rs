//! Reads the fields of one TOML table by hand, so that nothing stops at the first problem.
//!
//! Its main type is [`Fields`]. It knows types, ranges and misspelt keys; it does not know what a
//! suite is.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use regatta_types::units::grouped;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;

/// The fields of one table.
pub(super) struct Fields<'d> {
    table: &'d DeTable<'d>,
    /// Where the table begins.
    pub(super) span: Range<usize>,
    path: String,
    known: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    /// `path` is put before the keys in problems; empty for the top of the file.
    pub(super) fn new(table: &'d DeTable<'d>, span: Range<usize>, path: &str) -> Self {
        Self { table, span, path: path.to_owned(), known: Vec::new() }
    }

    /// The full name of a key.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the table has `key`, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key` if it is there and `read` accepts it.
    pub(super) fn take<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        match read(value.get_ref()) {
            Ok(good) => Some(Spanned::new(value.span(), good)),
            Err(what) => {
                problems.add(&value.span(), &self.key(key), &what, None);
                None
            }
        }
    }

    /// As [`Self::take`], for a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        if !self.has(key) {
            problems.missing(&self.span, &self.key(key), &format!("write {example}"));
        }
        self.take(problems, key, read)
    }

    /// Reports every key that nobody asked for. `instead` knows what people may have meant beyond
    /// a slip of the finger.
    pub(super) fn finish(
        self,
        problems: &mut Problems<'_>,
        instead: impl Fn(&str) -> Option<&'static str>,
    ) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = instead(name).map(str::to_owned).or_else(|| did_you_mean(name, &self.known));
            let hint = hint.unwrap_or_else(|| format!("known here: {}", self.known.join(", ")));
            problems.add(&key.span(), &self.key(name), "unknown key", Some(hint));
        }
    }
}

/// The nearest of `known`, if one is near enough to be meant.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), k), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)?;
    Some(format!("did you mean `{}`?", near.1))
}

fn wrong_type<T>(wanted: &str, got: &DeValue<'_>) -> Result<T, String> {
    let got = match got.type_str() {
        "integer" => "a whole number",
        "float" => "a decimal number",
        "boolean" => "true or false",
        "array" => "a list",
        "table" => "a table",
        "string" => "text",
        other => other,
    };
    Err(format!("must be {wanted}, not {got}"))
}

/// Any text.
pub(super) fn text<'d>(value: &'d DeValue<'d>) -> Result<&'d str, String> {
    value.as_str().map_or_else(|| wrong_type("text in quotes", value), Ok)
}

/// A list.
pub(super) fn list<'d>(value: &'d DeValue<'d>) -> Result<&'d [Spanned<DeValue<'d>>], String> {
    value.as_array().map_or_else(|| wrong_type("a list", value), |array| Ok(&array[..]))
}

/// A table.
pub(super) fn table<'d>(value: &'d DeValue<'d>) -> Result<&'d DeTable<'d>, String> {
    value.as_table().map_or_else(|| wrong_type("a table", value), Ok)
}

/// Any whole number of 64 bits.
pub(super) fn integer(value: &DeValue<'_>) -> Result<i64, String> {
    let Some(digits) = value.as_integer() else { return wrong_type("a whole number", value) };
    i64::from_str_radix(digits.as_str(), digits.radix())
        .map_err(|_| format!("{digits} does not fit into 64 bits"))
}

/// A whole number within `range`.
pub(super) fn whole(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let number = integer(value)?;
        match u32::try_from(number) {
            Ok(good) if range.contains(&good) => Ok(good),
            Ok(_) | Err(_) => Err(format!(
                "must be from {} to {}, not {number}",
                grouped((*range.start()).into()),
                grouped((*range.end()).into()),
            )),
        }
    }
}

/// A number within `range`; `1` is as good as `1.0`.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&DeValue<'_>) -> Result<f64, String> {
    move |value| {
        let digits = match (value.as_float(), value.as_integer()) {
            (Some(float), _) => float.as_str(),
            (None, Some(integer)) if integer.radix() == 10 => integer.as_str(),
            (None, _) => return wrong_type("a number", value),
        };
        match digits.parse::<f64>() {
            Ok(good) if range.contains(&good) => Ok(good),
            Ok(_) | Err(_) => {
                Err(format!("must be from {} to {}, not {digits}", range.start(), range.end()))
            }
        }
    }
}

/// A duration such as `"30s"`.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let Some(text) = value.as_str() else {
        return wrong_type("a duration in quotes such as \"30s\"", value);
    };
    super::duration::parse(text).map_err(|e| e.to_string())
}
