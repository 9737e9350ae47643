//! What is wrong with a suite file, and where.

use std::fmt;
use std::ops::Range;

use regatta_types::clean;

/// One thing to mend in a suite file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The setting, e.g. `case[2].max_tokens`, cases counted from 1. Empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COL: KEY: WHAT; HINT`, as editors and terminals make it a link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Every problem of one file, by position. Never empty.
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
            self.found.push(Problem {
                file: clean::line(self.file),
                line,
                column,
                key: clean::excerpt(key, 120),
                what: clean::excerpt(what, 300),
                hint,
            });
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

    /// All problems, by position.
    pub(super) fn into_result(mut self) -> Result<(), SuiteProblems> {
        self.found.sort_by_key(|p| (p.line, p.column));
        self.found.dedup();
        if self.found.is_empty() { Ok(()) } else { Err(SuiteProblems(self.found)) }
    }
}
