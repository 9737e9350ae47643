//! Suites of cases. Parses TOML files and the built-in suites into [`regatta_types::suite::Suite`]
//! and reports all problems of a file at once.
//!
//! The entry points are [`load`] and [`Overrides`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use regatta_types::suite::Suite;

pub mod duration;
mod fields;
mod overrides;
mod parse;
mod problem;
mod prompt;
mod settings;
mod shape;
pub mod size;
mod text;

pub use overrides::{Overrides, arrivals, length, slo};
pub use parse::{CASES_MAX, parse, parse_with};
pub use problem::{At, Problem, SuiteProblems};
pub use prompt::MESSAGES_MAX;
pub(crate) use text::{arrivals_of, length_of, load_of, prompt_of, stop_of, tokens_of};
pub use text::{check, list, show};

/// Ranges of the numbers of a case, in files and flags.
pub mod range {
    use std::ops::RangeInclusive;

    /// Completion tokens.
    pub const MAX_TOKENS: RangeInclusive<u32> = 1..=1_000_000;
    /// Tokens of a generated prompt.
    pub const PROMPT_TOKENS: RangeInclusive<u32> = 1..=1_000_000;
    /// Tokens of a shared prefix.
    pub const PREFIX_TOKENS: RangeInclusive<u32> = 0..=1_000_000;
    /// Sampling temperature.
    pub const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;
    /// Measured requests of an attempt: with the warm-up they fit in one report.
    pub const REQUESTS: RangeInclusive<u32> = 1..=200_000;
    /// Repetitions of a case on every host.
    pub const REPETITIONS: RangeInclusive<u32> = 1..=1_000;
    /// Unmeasured requests before the measured ones of an attempt.
    pub const WARMUP: RangeInclusive<u32> = 0..=1_000;
    /// Concurrent streams, or requests in flight.
    pub const CONCURRENCY: RangeInclusive<u32> = 1..=4_096;
    /// Requests per second.
    pub const RATE: RangeInclusive<f64> = 0.001..=10_000.0;
    /// Shape of gamma distributed arrivals.
    pub const SHAPE: RangeInclusive<f64> = 0.01..=1_000.0;
}

/// Largest suite file, bytes.
pub const FILE_MAX: u64 = 16 << 20;

/// A built-in suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its name on the command line.
    pub name: &'static str,
    /// The TOML file.
    pub source: &'static str,
}

impl Builtin {
    /// The suite itself.
    #[must_use]
    pub fn suite(&self) -> Suite {
        parse(self.source, self.name).expect("built-in suites have no problems: a test reads each")
    }
}

/// The built-in suites.
#[must_use]
pub fn builtin() -> &'static [Builtin] {
    &[
        Builtin { name: "complex", source: include_str!("../suites/complex.toml") },
        Builtin { name: "quick", source: include_str!("../suites/quick.toml") },
        Builtin { name: "load", source: include_str!("../suites/load.toml") },
        Builtin { name: "grid", source: include_str!("../suites/grid.toml") },
        Builtin { name: "text", source: include_str!("../suites/text.toml") },
    ]
}

/// Why a suite could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// Neither a built-in suite nor a file.
    #[error("no suite or file `{name}`. {hint}")]
    Unknown {
        /// The requested name, cleaned.
        name: String,
        /// A hint.
        hint: String,
    },
    /// The file could not be read.
    #[error("cannot read suite {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than [`FILE_MAX`].
    #[error("suite {} is larger than {} MiB", .path.display(), FILE_MAX >> 20)]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file has problems.
    #[error(transparent)]
    Problems(#[from] SuiteProblems),
}

/// Loads a suite by name or file, with overrides. A built-in name takes precedence over a file of
/// the same name; `./quick` is always a file.
///
/// # Errors
/// If the suite does not exist, cannot be read, or the suite or the flags have problems.
pub fn load(name_or_path: &str, flags: &Overrides) -> Result<Suite, SuiteError> {
    let source = source(name_or_path)?;
    Ok(parse_with(&source, name_or_path, flags)?)
}

/// The text of a suite.
fn source(name_or_path: &str) -> Result<String, SuiteError> {
    if let Some(builtin) = builtin().iter().find(|b| b.name == name_or_path) {
        return Ok(builtin.source.to_owned());
    }
    let path = Path::new(name_or_path);
    match read(path) {
        Err(SuiteError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let names: Vec<_> = builtin().iter().map(|b| b.name).collect();
            let hint = fields::did_you_mean(name_or_path, &names)
                .unwrap_or_else(|| format!("Built-in suites: {}", names.join(", ")));
            Err(SuiteError::Unknown {
                name: regatta_types::clean::excerpt(name_or_path, 200),
                hint,
            })
        }
        other => other,
    }
}

/// The text of a file, with Unix line ends and without a byte order mark: a suite checked out on
/// Windows is the same suite.
fn read(path: &Path) -> Result<String, SuiteError> {
    let failed = |source| SuiteError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    let length = file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= FILE_MAX) {
        Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
    } else {
        Err(SuiteError::TooLong { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests;
