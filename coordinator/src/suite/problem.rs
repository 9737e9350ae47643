//! Problems of a suite file or of the flags that override it, with their position.

use std::fmt;
use std::ops::Range;

use regatta_types::clean;

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Its position.
    pub at: At,
    /// Description.
    pub what: String,
    /// Hint.
    pub hint: Option<String>,
}

/// Position of a problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// A flag, without its dashes.
    Flag(&'static str),
    /// A suite file.
    File {
        /// The path as given by the user.
        file: String,
        /// 1-based.
        line: usize,
        /// 1-based, in characters.
        column: usize,
        /// The key, e.g. `case[2].max_tokens` (1-based). Empty for the entire file.
        key: String,
    },
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COL: KEY: WHAT. HINT`, which editors and terminals turn into a link, or
    /// `--FLAG: WHAT. HINT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Flag(flag) => write!(f, "--{flag}: ")?,
            At::File { file, line, column, key } => {
                write!(f, "{file}:{line}:{column}: ")?;
                if !key.is_empty() {
                    write!(f, "{key}: ")?;
                }
            }
        }
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, ". {hint}"))
    }
}

/// All problems of the flags and of one file, by position. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SuiteProblems(pub Vec<Problem>);

impl fmt::Display for SuiteProblems {
    /// One line per problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

/// Source of a value, in order of precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A flag.
    Flag(&'static str),
    /// A `[[case]]`: byte range and full key.
    Case(Range<usize>, String),
    /// `[defaults]`.
    Defaults(Range<usize>, String),
}

/// A value and its source.
#[derive(Debug, Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) by: Origin,
}

impl<T> Sourced<T> {
    pub(super) fn is_flag(&self) -> bool {
        match self.by {
            Origin::Flag(_) => true,
            Origin::Case(..) | Origin::Defaults(..) => false,
        }
    }

    /// Whether it is set for this case, not by the defaults.
    pub(super) fn is_meant(&self) -> bool {
        match self.by {
            Origin::Flag(_) | Origin::Case(..) => true,
            Origin::Defaults(..) => false,
        }
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    file: &'a str,
    source: &'a str,
    found: Vec<Problem>,
    /// Lines with TOML errors: other problems there are consequences.
    broken: Vec<usize>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, found: Vec::new(), broken: Vec::new() }
    }

    /// Adds a TOML syntax error.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().unwrap_or(0..0);
        self.add(&at, "", &format!("invalid TOML: {}", error.message()), None);
        self.broken.push(self.position(at.start).0);
    }

    /// Adds a problem at the bytes `at`.
    pub(super) fn add(&mut self, at: &Range<usize>, key: &str, what: &str, hint: Option<String>) {
        let (line, column) = self.position(at.start);
        if !self.broken.contains(&line) {
            let file = clean::line(self.file);
            let at = At::File { file, line, column, key: clean::excerpt(key, 120) };
            self.found.push(Problem { at, what: clean::excerpt(what, 300), hint });
        }
    }

    /// Adds a problem of a flag.
    pub(super) fn flag(&mut self, flag: &'static str, what: String, hint: Option<String>) {
        self.found.push(Problem { at: At::Flag(flag), what, hint });
    }

    /// Adds a problem of a setting, from any source.
    pub(super) fn wrong<T>(&mut self, said: &Sourced<T>, what: &str, hint: Option<String>) {
        match &said.by {
            Origin::Flag(flag) => self.flag(flag, what.to_owned(), hint),
            Origin::Case(span, key) | Origin::Defaults(span, key) => {
                self.add(span, key, what, hint)
            }
        }
    }

    /// Adds a missing key; ignored if syntax errors hide parts of the file.
    pub(super) fn missing(&mut self, at: &Range<usize>, key: &str, hint: &str) {
        if self.broken.is_empty() {
            self.add(at, key, "missing", Some(hint.to_owned()));
        }
    }

    /// Number of problems so far.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// 1-based line and column of a byte.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.source.floor_char_boundary(offset);
        let before = &self.source[..offset];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// All problems: flags first, then the file by position.
    pub(super) fn into_result(mut self) -> Result<(), SuiteProblems> {
        // Stable: problems at the same position keep their order.
        self.found.sort_by_key(place);
        let mut seen = std::collections::HashSet::new();
        self.found.retain(|p| seen.insert(p.to_string()));
        if self.found.is_empty() { Ok(()) } else { Err(SuiteProblems(self.found)) }
    }
}

fn place(problem: &Problem) -> (usize, usize) {
    match &problem.at {
        At::Flag(_) => (0, 0),
        At::File { line, column, .. } => (*line, *column),
    }
}
