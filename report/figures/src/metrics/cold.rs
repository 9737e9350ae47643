//! A cold engine: what the first request of a run cost more than the ones after it, and a first attempt
//! that is warm-up, on an engine that was not warmed up before.

use itertools::Itertools as _;
use regatta_types::event::Disposition;
use regatta_types::ids::AttemptKey;
use regatta_types::record::AttemptRecord;
use regatta_types::trace::RequestTrace;
use regatta_types::validity::{FindingCode, Validity};
use serde::Serialize;

use super::findings::{AttemptFinding, FindingEvidence, Fit};
use super::{Distribution, least_squares, measured, real};

/// A cold first attempt takes this many times as long as expected.
const FACTOR: f64 = 3.0;

/// The cold first request: compilation, graph capture, pages read for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ColdStart {
    /// Its time to first token, seconds.
    pub ttft_s: f64,
    /// Its end-to-end time, seconds.
    pub e2e_s: f64,
    /// Median time to first token of the warm-up requests after it, seconds.
    pub later_ttft_s: Option<f64>,
    /// What it took longer than an answer of its length does later, seconds: the later requests'
    /// median time to first token, and for each further token their median time per token. `None`
    /// where none of them has one.
    pub cost_s: Option<f64>,
}

impl ColdStart {
    /// From the warm-up requests before a run, in order; `None` if the first of them failed.
    pub fn of(traces: &[RequestTrace]) -> Option<Self> {
        let (first, later) = traces.split_first()?;
        let median = |of: fn(&RequestTrace) -> Option<f64>| {
            // Those that only counted a prompt, or asked for a few tokens, are no measure.
            let answers = later.iter().filter(|t| t.is_ok() && t.decode_tps().is_some());
            Distribution::new(answers.filter_map(of)).median()
        };
        let first = Some(first).filter(|trace| trace.is_ok())?;
        let (ttft_s, e2e_s) = (first.ttft()?, first.e2e()?);
        let later_ttft_s = median(RequestTrace::ttft);
        let further = first.completion_tokens()? - first.chunk_tokens().next()?;
        let due = later_ttft_s.zip(median(RequestTrace::tpot)).map(|(t, tpot)| t + further * tpot);
        Some(Self { ttft_s, e2e_s, later_ttft_s, cost_s: due.map(|due| e2e_s - due) })
    }
}

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
    let counted = attempts.iter().filter(|a| a.disposition == Disposition::Counted);
    let mut counted = counted.sorted_by_key(|a| a.report.began);
    let first = Taken::of(counted.next()?)?;
    let rest: Vec<Taken<'_>> = counted.filter_map(Taken::of).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use regatta_types::testing::request;

    #[test]
    fn the_cold_start_is_what_the_first_request_took_longer_than_one_of_its_length() {
        // The shape of a single-host report: 120.6 s where 0.1 s and 800 tokens of 38.6 ms are due.
        let cold = request(1_000, 89_700.0, 38.6, 800);
        let found = ColdStart::of(&[
            cold,
            request(1_000, 100.0, 38.6, 500),
            request(1_000, 100.0, 38.6, 700),
        ]);
        let found = found.unwrap();
        assert!((found.cost_s.unwrap() - 89.6).abs() < 1e-6, "{found:?}");
        assert!((found.later_ttft_s.unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn without_another_request_there_is_no_cost() {
        let found = ColdStart::of(&[request(1_000, 900.0, 20.0, 50)]).unwrap();
        assert_eq!((found.later_ttft_s, found.cost_s), (None, None));
        assert_eq!(ColdStart::of(&[]), None);
    }
}
