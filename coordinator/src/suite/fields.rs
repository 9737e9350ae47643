//! Reads the fields of one TOML table by hand, so that nothing stops at the first problem.
//!
//! Its main type is [`Fields`]. It knows types, ranges and misspelt keys; it does not know what a
//! suite is.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use regatta_types::units::{Bytes, grouped};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problems, Sourced};

/// The path of the table of defaults.
pub(super) const DEFAULTS: &str = "defaults";

/// What one setting makes of a case.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Levels<T> {
    /// The case itself.
    One(T),
    /// A case for each.
    Many(Vec<T>),
}

impl<T: Copy> Levels<T> {
    /// The values, each with `ending` if there may be several.
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

    /// The table that `key` is, if it is one.
    pub(super) fn table_at(&self, key: &str) -> Option<Spanned<&'d DeTable<'d>>> {
        let value = self.table.get(key)?;
        Some(Spanned::new(value.span(), value.get_ref().as_table()?))
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

    /// As [`Self::take`], remembering who says it.
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

    /// `4`, or a list of different ones such as `[1, 4, 16]`.
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
            if list.is_empty() { Err("no levels".to_owned()) } else { Ok(Levels::Many(levels)) }
        })
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

/// `true` or `false`.
pub(super) fn truth(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().map_or_else(|| wrong_type("true or false", value), Ok)
}

/// One of a few words.
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
                .unwrap_or_else(|| format!("known: {}", known.join(", ")));
            format!("unknown {what} `{said}`; {hint}")
        })
    }
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
            Ok(_) | Err(_) => Err(not_among(&range, number)),
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
            Ok(_) | Err(_) => Err(not_within(&range, digits)),
        }
    }
}

/// What is said of a number outside of `range`.
pub(super) fn not_within(range: &RangeInclusive<f64>, number: impl Display) -> String {
    format!("must be from {} to {}, not {number}", range.start(), range.end())
}

/// What is said of a whole number outside of `range`.
pub(super) fn not_among(range: &RangeInclusive<u32>, number: impl Display) -> String {
    let (start, end) = (grouped((*range.start()).into()), grouped((*range.end()).into()));
    format!("must be from {start} to {end}, not {number}")
}

/// A size such as `"3GB"`.
pub(super) fn bytes(value: &DeValue<'_>) -> Result<Bytes, String> {
    let Some(text) = value.as_str() else {
        return wrong_type("a size in quotes such as \"3GB\"", value);
    };
    super::size::parse(text).map_err(|e| e.to_string())
}

/// A duration such as `"30s"`.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let Some(text) = value.as_str() else {
        return wrong_type("a duration in quotes such as \"30s\"", value);
    };
    super::duration::parse(text).map_err(|e| e.to_string())
}
