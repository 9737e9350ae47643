//! Output of `regatta suite list|show|check`, and short descriptions of a case.

use std::fmt::Write as _;

use regatta_types::suite::{Arrivals, Case, Length, Load, Prompt, Ramp, StopRule, Suite};
use regatta_types::units::{grouped, quantity};

use super::{Overrides, SuiteError, builtin, load, source};

/// The built-in suites, one line each.
#[must_use]
pub fn list() -> String {
    let mut out = String::new();
    for builtin in builtin() {
        let suite = builtin.suite();
        let cases = quantity(suite.cases.len(), "case");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<8} {cases:>8}  {}", builtin.name, suite.description);
    }
    out
}

/// The TOML of a suite.
///
/// # Errors
/// If the suite does not exist or cannot be read.
pub fn show(name_or_path: &str) -> Result<String, SuiteError> {
    source(name_or_path)
}

/// Summary of a valid suite: one line per case and the total.
///
/// # Errors
/// If the suite does not exist, cannot be read or has problems.
pub fn check(name_or_path: &str) -> Result<String, SuiteError> {
    Ok(summary(&load(name_or_path, &Overrides::default())?))
}

fn summary(suite: &Suite) -> String {
    let head = ["case", "repetitions", "load", "prompt", "max_tokens", "length", "warmup", "stop"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(suite.cases.iter().map(|case| {
        [
            case.id.to_string(),
            case.repetitions.to_string(),
            load_of(case),
            prompt_of(case),
            tokens_of(case),
            length_of(case).to_owned(),
            case.warmup.to_string(),
            stop_of(&case.stop),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let cells: u64 = suite.cases.iter().map(|c| u64::from(c.repetitions)).sum();
    let _ = writeln!(out, "{}: no problems, {} per host", suite.name, quantity(cells, "cell"));
    out
}

/// The load: `4 streams`, `2.5/s poisson`.
pub(crate) fn load_of(case: &Case) -> String {
    match case.load {
        Load::Closed { streams, ramp } => {
            let ramp = match ramp {
                Ramp::None => "",
                Ramp::Service => ", ramped",
            };
            format!("{}{ramp}", quantity(streams, "stream"))
        }
        Load::Open { rate, arrivals, max_in_flight } => {
            format!("{rate}/s {}, at most {max_in_flight}", arrivals_of(arrivals))
        }
    }
}

/// The distribution of arrivals, in the notation of `--arrivals`.
pub(crate) fn arrivals_of(arrivals: Arrivals) -> String {
    match arrivals {
        Arrivals::Constant => "constant".to_owned(),
        Arrivals::Poisson => "poisson".to_owned(),
        Arrivals::Gamma { shape } => format!("gamma:{shape}"),
    }
}

/// The prompt: `2 messages`, `512 tokens`, `3 turns`.
pub(crate) fn prompt_of(case: &Case) -> String {
    match &case.prompt {
        Prompt::Messages(messages) => quantity(messages.len(), "message"),
        Prompt::Text(text) if text.shared > 0 => {
            format!("{}, {} shared", quantity(text.tokens, "token"), grouped(text.shared.into()))
        }
        Prompt::Text(text) => quantity(text.tokens, "token"),
        Prompt::Conversation { turns, .. } => quantity(turns.len(), "turn"),
    }
}

/// Maximum output tokens: `128`, `96-160`.
pub(crate) fn tokens_of(case: &Case) -> String {
    if case.min_max_tokens == case.max_tokens {
        case.max_tokens.to_string()
    } else {
        format!("{}-{}", case.min_max_tokens, case.max_tokens)
    }
}

/// The output length, in the notation of suites.
pub(crate) fn length_of(case: &Case) -> &'static str {
    match case.length {
        Length::Natural => "natural",
        Length::Fixed => "fixed",
    }
}

/// The stop rule: `20 requests or 30s`.
pub(crate) fn stop_of(rule: &StopRule) -> String {
    let requests = rule.requests.map(|n| quantity(n, "request"));
    let duration = rule.duration.map(|d| format!("{d:?}"));
    [requests, duration].into_iter().flatten().collect::<Vec<_>>().join(" or ")
}
