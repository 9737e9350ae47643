//! A first attempt that is warm-up, on an engine that was not warmed up before.

use regatta_types::event::Disposition;
use regatta_types::ids::AttemptKey;
use regatta_types::record::AttemptRecord;
use regatta_types::trace::RequestTrace;
use regatta_types::validity::{FindingCode, Validity};

use super::findings::{AttemptFinding, FindingEvidence, Fit};
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
pub fn cold_first_attempt(attempts: &[AttemptRecord]) -> Option<(&AttemptKey, AttemptFinding)> {
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
    let (due, fit) = match Distribution::new(same.map(|t| t.seconds)).median() {
        Some(due) => (due, None),
        None => {
            let fit = line(&rest)?;
            (fit.at_zero_s + fit.s_per_token * first.tokens, Some(fit))
        }
    };
    let evidence = FindingEvidence::ColdFirstAttempt { seconds: first.seconds, due, fit };
    let finding = AttemptFinding::new(FindingCode::ColdFirstAttempt, Validity::Invalid, evidence);
    (due > 0.0 && first.seconds > FACTOR * due).then_some((key, finding))
}

/// The line through the attempts.
fn line(others: &[Taken<'_>]) -> Option<Fit> {
    let points: Vec<(f64, f64)> = others.iter().map(|t| (t.tokens, t.seconds)).collect();
    let s_per_token = least_squares(&points, 0.95)?.value;
    let mean = |of: fn(&Taken<'_>) -> f64| others.iter().map(of).sum::<f64>() / real(others.len());
    let at_zero_s = mean(|t| t.seconds) - s_per_token * mean(|t| t.tokens);
    Some(Fit { attempts: others.len(), at_zero_s, s_per_token })
}
