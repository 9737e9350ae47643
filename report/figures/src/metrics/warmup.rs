//! What the first request of a run cost more than the ones after it.

use regatta_types::trace::RequestTrace;
use serde::Serialize;

use super::Distribution;

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

#[cfg(test)]
mod tests {
    use regatta_types::time::MonoNs;
    use regatta_types::trace::Phase;

    use super::*;
    use crate::testing::{Pace, trace};

    fn request(ttft_ms: f64, token_ms: f64, tokens: u32) -> RequestTrace {
        trace(0, Phase::Warmup, MonoNs(1_000_000_000), Pace { ttft_ms, token_ms, tokens })
    }

    #[test]
    fn the_cold_start_is_what_the_first_request_took_longer_than_one_of_its_length() {
        // The shape of a single-host report: 120.6 s where 0.1 s and 800 tokens of 38.6 ms are due.
        let cold = request(89_700.0, 38.6, 800);
        let found = ColdStart::of(&[cold, request(100.0, 38.6, 500), request(100.0, 38.6, 700)]);
        let found = found.unwrap();
        assert!((found.cost_s.unwrap() - 89.6).abs() < 1e-6, "{found:?}");
        assert!((found.later_ttft_s.unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn without_another_request_there_is_no_cost() {
        let found = ColdStart::of(&[request(900.0, 20.0, 50)]).unwrap();
        assert_eq!((found.later_ttft_s, found.cost_s), (None, None));
        assert_eq!(ColdStart::of(&[]), None);
    }
}
