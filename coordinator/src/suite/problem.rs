//! What is wrong with a suite file or with the flags above it, and where.

use std::fmt;
use std::ops::Range;

use regatta_types::clean;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// In a flag, named without its dashes.
    Flag(&'static str),
    /// In a suite file.
    File {
        /// The file, as the user named it.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The setting, e.g. `case[2].max_tokens`, cases counted from 1. Empty for the file as a
        /// whole.
        key: String,
    },
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COL: KEY: WHAT; HINT`, as editors and terminals make it a link; or
    /// `--FLAG: WHAT; HINT`.
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
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Every problem of the flags and of one file, by position. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SuiteProblems(pub Vec<Problem>);

impl fmt::Display for SuiteProblems {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

/// Who says something: what is said further up in this list stands above the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A flag.
    Flag(&'static str),
    /// A `[[case]]`, at these bytes, by this full key.
    Case(Range<usize>, String),
    /// `[defaults]`.
    Defaults(Range<usize>, String),
}

/// A value, and who says it.
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

    /// Whether it is said for this case, and not for all that do not say otherwise.
    pub(super) fn is_meant(&self) -> bool {
        match self.by {
            Origin::Flag(_) | Origin::Case(..) => true,
            Origin::Defaults(..) => false,
        }
    }
}

/// Collects the problems of one file while it is read.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    file: &'a str,
    source: &'a str,
    found: Vec<Problem>,
    /// Lines that are not TOML: what else is odd there is a consequence.
    broken: Vec<usize>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, found: Vec::new(), broken: Vec::new() }
    }

    /// A place where the file is not TOML.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().unwrap_or(0..0);
        self.add(&at, "", &format!("not TOML: {}", error.message()), None);
        self.broken.push(self.position(at.start).0);
    }

    /// Something wrong at the bytes `at`.
    pub(super) fn add(&mut self, at: &Range<usize>, key: &str, what: &str, hint: Option<String>) {
        let (line, column) = self.position(at.start);
        if !self.broken.contains(&line) {
            let file = clean::line(self.file);
            let at = At::File { file, line, column, key: clean::excerpt(key, 120) };
            self.found.push(Problem { at, what: clean::excerpt(what, 300), hint });
        }
    }

    /// Something wrong with a flag.
    pub(super) fn flag(&mut self, flag: &'static str, what: String, hint: Option<String>) {
        self.found.push(Problem { at: At::Flag(flag), what, hint });
    }

    /// Something wrong with a setting, whoever says it.
    pub(super) fn wrong<T>(&mut self, said: &Sourced<T>, what: &str, hint: Option<String>) {
        match &said.by {
            Origin::Flag(flag) => self.flag(flag, what.to_owned(), hint),
            Origin::Case(span, key) | Origin::Defaults(span, key) => {
                self.add(span, key, what, hint)
            }
        }
    }

    /// Something that is not there; not said of a file whose syntax hides parts of it.
    pub(super) fn missing(&mut self, at: &Range<usize>, key: &str, hint: &str) {
        if self.broken.is_empty() {
            self.add(at, key, "is missing", Some(hint.to_owned()));
        }
    }

    /// How many were found so far.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Line and column of a byte, from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.source.floor_char_boundary(offset);
        let before = &self.source[..offset];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// All problems: those of the flags, then those of the file by position.
    pub(super) fn into_result(mut self) -> Result<(), SuiteProblems> {
        // Stable: of two problems at one place the one found first comes first.
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
