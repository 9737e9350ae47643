//! Reads the fields of a TOML table one by one, to collect all problems instead of only the first.
//!
//! The main type is [`Fields`]. It handles types, ranges and misspelled keys, independent of
//! suites.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use regatta_types::units::{Bytes, grouped};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problems, Sourced};

/// The key of the defaults table.
pub(super) const DEFAULTS: &str = "defaults";

/// The values of a setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Levels<T> {
    /// One value for the case.
    One(T),
    /// One case per value.
    Many(Vec<T>),
}

impl<T: Copy> Levels<T> {
    /// The values, each with `ending` if there can be several.
    pub(super) fn each(&self, ending: impl Fn(T) -> String) -> Vec<(T, String)> {
        match self {
            Self::One(value) => vec![(*value, String::new())],
            Self::Many(values) => values.iter().map(|&value| (value, ending(value))).collect(),
        }
    }
}

/// The fields of one table.
pub(super) struct Fields<'d> {
    table: &'d DeTable<'d>,
    /// Start of the table.
    pub(super) span: Range<usize>,
    path: String,
    known: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    /// `path` is the prefix of keys in problems; empty at the top level.
    pub(super) fn new(table: &'d DeTable<'d>, span: Range<usize>, path: &str) -> Self {
        Self { table, span, path: path.to_owned(), known: Vec::new() }
    }

    /// The full name of a key.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the table has `key`, regardless of its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key`, if it is a table.
    pub(super) fn table_at(&self, key: &str) -> Option<Spanned<&'d DeTable<'d>>> {
        let value = self.table.get(key)?;
        Some(Spanned::new(value.span(), value.get_ref().as_table()?))
    }

    /// The value of `key`, if present and accepted by `read`.
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

    /// Like [`Self::take`], with the source of the value.
    pub(super) fn said<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, String>,
    ) -> Option<Sourced<T>> {
        let spanned = self.take(problems, key, read)?;
        let (span, key) = (spanned.span(), self.key(key));
        let by = if self.path == DEFAULTS {
            Origin::Defaults(span, key)
        } else {
            Origin::Case(span, key)
        };
        Some(Sourced { value: spanned.into_inner(), by })
    }

    /// `4`, or an array of distinct values, e.g. `[1, 4, 16]`.
    pub(super) fn levels<T: PartialEq + Display>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Sourced<Levels<T>>> {
        let Some(list) = self.table.get(key).and_then(|value| value.get_ref().as_array()) else {
            return self.said(problems, key, |value| read(value).map(Levels::One));
        };
        let mut levels = Vec::with_capacity(list.len());
        for item in list.iter() {
            let wrong = match read(item.get_ref()) {
                Ok(level) if levels.contains(&level) => format!("level {level} is listed twice"),
                Ok(level) => {
                    levels.push(level);
                    continue;
                }
                Err(what) => what,
            };
            problems.add(&item.span(), &self.key(key), &wrong, None);
        }
        self.said(problems, key, |_| {
            if list.is_empty() { Err("empty list".to_owned()) } else { Ok(Levels::Many(levels)) }
        })
    }

    /// Like [`Self::take`], for a required key.
    pub(super) fn require<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        if !self.has(key) {
            problems.missing(&self.span, &self.key(key), &format!("Add {example}"));
        }
        self.take(problems, key, read)
    }

    /// Reports all unknown keys. `instead` gives the hint for known mistakes other than typos.
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
            let hint = hint.unwrap_or_else(|| format!("Known keys: {}", self.known.join(", ")));
            problems.add(&key.span(), &self.key(name), "unknown key", Some(hint));
        }
    }
}

/// The closest of `known`, if it is close enough.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), k), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)?;
    Some(format!("Did you mean `{}`?", near.1))
}

fn wrong_type<T>(wanted: &str, got: &DeValue<'_>) -> Result<T, String> {
    let got = match got.type_str() {
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "array" => "an array",
        "table" => "a table",
        "string" => "a string",
        other => other,
    };
    Err(format!("must be {wanted}, not {got}"))
}

/// A string.
pub(super) fn text<'d>(value: &'d DeValue<'d>) -> Result<&'d str, String> {
    value.as_str().map_or_else(|| wrong_type("a string", value), Ok)
}

/// An array.
pub(super) fn list<'d>(value: &'d DeValue<'d>) -> Result<&'d [Spanned<DeValue<'d>>], String> {
    value.as_array().map_or_else(|| wrong_type("an array", value), |array| Ok(&array[..]))
}

/// A table.
pub(super) fn table<'d>(value: &'d DeValue<'d>) -> Result<&'d DeTable<'d>, String> {
    value.as_table().map_or_else(|| wrong_type("a table", value), Ok)
}

/// A boolean.
pub(super) fn truth(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().map_or_else(|| wrong_type("a boolean", value), Ok)
}

/// One of several keywords.
pub(super) fn word<T: Copy>(
    what: &'static str,
    words: &[(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    let words = words.to_vec();
    move |value| {
        let said = text(value)?;
        words.iter().find(|(word, _)| *word == said).map(|(_, meant)| *meant).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let hint = did_you_mean(said, &known)
                .unwrap_or_else(|| format!("Known values: {}", known.join(", ")));
            format!("unknown {what} `{said}`. {hint}")
        })
    }
}

/// A 64-bit integer.
pub(super) fn integer(value: &DeValue<'_>) -> Result<i64, String> {
    let Some(digits) = value.as_integer() else { return wrong_type("an integer", value) };
    i64::from_str_radix(digits.as_str(), digits.radix())
        .map_err(|_| format!("{digits} does not fit in 64 bits"))
}

/// An integer in `range`.
pub(super) fn whole(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let number = integer(value)?;
        match u32::try_from(number) {
            Ok(good) if range.contains(&good) => Ok(good),
            Ok(_) | Err(_) => Err(not_among(&range, number)),
        }
    }
}

/// A number in `range`; accepts `1` for `1.0`.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&DeValue<'_>) -> Result<f64, String> {
    move |value| {
        let digits = match (value.as_float(), value.as_integer()) {
            (Some(float), _) => float.as_str(),
            (None, Some(integer)) if integer.radix() == 10 => integer.as_str(),
            (None, _) => return wrong_type("a number", value),
        };
        match digits.parse::<f64>() {
            Ok(good) if range.contains(&good) => Ok(good),
            Ok(_) | Err(_) => Err(not_within(&range, digits)),
        }
    }
}

/// The message for a number outside of `range`.
pub(super) fn not_within(range: &RangeInclusive<f64>, number: impl Display) -> String {
    format!("must be from {} to {}, not {number}", range.start(), range.end())
}

/// The message for an integer outside of `range`.
pub(super) fn not_among(range: &RangeInclusive<u32>, number: impl Display) -> String {
    let (start, end) = (grouped((*range.start()).into()), grouped((*range.end()).into()));
    format!("must be from {start} to {end}, not {number}")
}

/// A size such as `"3GB"`.
pub(super) fn bytes(value: &DeValue<'_>) -> Result<Bytes, String> {
    let Some(text) = value.as_str() else {
        return wrong_type("a size string, e.g. \"3GB\"", value);
    };
    super::size::parse(text).map_err(|e| e.to_string())
}

/// A duration such as `"30s"`.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let Some(text) = value.as_str() else {
        return wrong_type("a duration string, e.g. \"30s\"", value);
    };
    super::duration::parse(text).map_err(|e| e.to_string())
}
