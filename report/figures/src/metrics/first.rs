//! A first attempt that is warm-up, on an engine that was not warmed up before.

use regatta_types::event::Disposition;
use regatta_types::ids::AttemptKey;
use regatta_types::record::AttemptRecord;
use regatta_types::trace::RequestTrace;
use regatta_types::units::grouped_real;
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::{Distribution, least_squares, measured, real};

/// By so many times a first attempt is longer than what is due.
const FACTOR: f64 = 3.0;

/// What an attempt took, by the medians of its successes.
struct Taken<'a> {
    report: &'a AttemptRecord,
    tokens: f64,
    seconds: f64,
}

impl<'a> Taken<'a> {
    /// `None` where requests overlapped: then their times say how many there were.
    fn of(report: &'a AttemptRecord) -> Option<Self> {
        let measured = || measured(&report.report.traces);
        if measured().any(|trace| trace.stream > 0 || trace.scheduled.is_some()) {
            return None;
        }
        let of = |trace: &RequestTrace| {
            // To the end of the response, where no chunk was stamped.
            let seconds = trace.e2e().or_else(|| trace.e2e_done())?;
            Some((trace.usage?.completion as f64, seconds))
        };
        let (tokens, seconds): (Vec<f64>, Vec<f64>) =
            measured().filter(|trace| trace.is_ok()).filter_map(of).unzip();
        let median = |values: Vec<f64>| Distribution::new(values).median();
        Some(Self { report, tokens: median(tokens)?, seconds: median(seconds)? })
    }
}

/// The first counted attempt of a host, if it is warm-up: over three times as long as other attempts
/// of its case, or, where there are none, as a line through all others (seconds by tokens) gives for
/// its tokens. Only without an engine warm-up: in one, the first request came before.
pub fn cold_first_attempt(attempts: &[AttemptRecord]) -> Option<(&AttemptKey, Finding)> {
    let is_warmup = |a: &&AttemptRecord| a.disposition == Disposition::EngineWarmup;
    if attempts.iter().filter(is_warmup).any(|a| a.report.traces.iter().any(|t| t.is_ok())) {
        return None;
    }
    let mut counted: Vec<&AttemptRecord> =
        attempts.iter().filter(|a| a.disposition == Disposition::Counted).collect();
    counted.sort_by_key(|a| a.report.began);
    let (first, rest) = counted.split_first()?;
    let first = Taken::of(first)?;
    let rest: Vec<Taken<'_>> = rest.iter().filter_map(|a| Taken::of(a)).collect();
    let key = &first.report.report.key;
    let same = rest.iter().filter(|t| t.report.report.key.cell.case == key.cell.case);
    let (due, from) = match Distribution::new(same.map(|t| t.seconds)).median() {
        Some(due) => (due, "that the other attempts of its case take".to_owned()),
        None => line(&rest, first.tokens)?,
    };
    (due > 0.0 && first.seconds > FACTOR * due).then(|| {
        let evidence = format!(
            "first attempt is warm-up: its requests took {} s, {:.1} times the {} s {from}",
            grouped_real(first.seconds, 2),
            first.seconds / due,
            grouped_real(due, 2)
        );
        let advice =
            "settle the engine before it is measured (leave out `--warmup 0`), and measure again";
        let (code, advice) = (FindingCode::ColdFirstAttempt, advice.to_owned());
        (key, Finding { code, validity: Validity::Invalid, evidence, advice })
    })
}

/// What a line through the attempts gives for so many tokens, with the line in words.
fn line(others: &[Taken<'_>], tokens: f64) -> Option<(f64, String)> {
    let points: Vec<(f64, f64)> = others.iter().map(|t| (t.tokens, t.seconds)).collect();
    let slope = least_squares(&points, 0.95)?.value;
    let mean = |of: fn(&Taken<'_>) -> f64| others.iter().map(of).sum::<f64>() / real(others.len());
    let at_zero = mean(|t| t.seconds) - slope * mean(|t| t.tokens);
    let words = format!(
        "that a fit of the other {} attempts gives ({at_zero:.2} s and {:.1} ms for each token)",
        others.len(),
        slope * 1e3
    );
    Some((at_zero + slope * tokens, words))
}
