//! What `regatta suite list|show|check` print.

use std::fmt::Write as _;

use regatta_types::suite::{StopRule, Suite};

use super::{SuiteError, builtin, load, source};

/// The built-in suites, one line each.
#[must_use]
pub fn list() -> String {
    let mut out = String::new();
    for builtin in builtin() {
        let suite = builtin.suite();
        let _ = writeln!(
            out,
            "{:<10} {:>3} cases  {}",
            builtin.name,
            suite.cases.len(),
            suite.description
        );
    }
    out
}

/// The TOML of a suite, to read or to start your own from.
///
/// # Errors
/// When there is no such suite or it cannot be read.
pub fn show(name_or_path: &str) -> Result<String, SuiteError> {
    source(name_or_path)
}

/// What a suite that was read without problems measures: a line for each case and the sum.
///
/// # Errors
/// When there is no such suite, it cannot be read, or something in it is wrong.
pub fn check(name_or_path: &str) -> Result<String, SuiteError> {
    Ok(summary(&load(name_or_path)?))
}

fn summary(suite: &Suite) -> String {
    let width = suite.cases.iter().map(|c| c.id.as_str().len()).max().unwrap_or(0).max(4);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{:<width$}  {:>11}  {:>7}  {:>6}  {:>10}  stop",
        "case", "repetitions", "streams", "warmup", "max_tokens"
    );
    for case in &suite.cases {
        let _ = writeln!(
            out,
            "{:<width$}  {:>11}  {:>7}  {:>6}  {:>10}  {}",
            case.id,
            case.repetitions,
            case.in_flight_max(),
            case.warmup,
            case.max_tokens,
            stop(&case.stop)
        );
    }
    let cells: u64 = suite.cases.iter().map(|c| u64::from(c.repetitions)).sum();
    let _ = writeln!(out, "{}: no problems; {cells} cells per host", suite.name);
    out
}

fn stop(rule: &StopRule) -> String {
    let requests = rule.requests.map(|n| format!("{n} request{}", if n == 1 { "" } else { "s" }));
    let duration = rule.duration.map(|d| format!("{d:?}"));
    [requests, duration].into_iter().flatten().collect::<Vec<_>>().join(" or ")
}
