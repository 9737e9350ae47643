//! A cold engine: what the first request of a run cost more than the ones after it, a first attempt
//! that is warm-up, on an engine that was not warmed up before, and first requests that were slow on
//! one that was.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;
use regatta_types::attempt::AttemptReport;
use regatta_types::event::Disposition;
use regatta_types::ids::AttemptKey;
use regatta_types::record::AttemptRecord;
use regatta_types::suite::{Case, Prompt};
use regatta_types::trace::RequestTrace;
use regatta_types::validity::{FindingCode, Validity};
use serde::Serialize;

use super::findings::{AttemptFinding, FindingEvidence, Fit};
use super::{Distribution, is_streamed, least_squares, measured, real};

/// What is cold takes over this many times as long as expected.
const FACTOR: f64 = 3.0;
/// A cold first request takes this much longer, seconds; one that waits for the model this much.
const LONGER_S: f64 = 0.5;
const LOAD_S: f64 = 1.0;
/// Other requests, or attempts, that a first one is compared with.
const OTHERS: usize = 2;
/// A prompt with this share of the tokens of another is as long.
const SAME_LENGTH: f64 = 0.98;

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

/// The attempts of a host with a start of the engine, of its model or of a kernel in them.
pub fn cold_attempts<'r>(
    cases: &[Case],
    attempts: &'r [AttemptRecord],
) -> BTreeMap<&'r AttemptKey, AttemptFinding> {
    let of = |which| attempts.iter().filter(move |a| a.disposition == which).map(|a| &a.report);
    // Where a case shares a prefix, the prompts of the warm-up do, too.
    let warmup = of(Disposition::EngineWarmup).filter(|_| !cases.iter().any(is_shared));
    let warmup = warmup.flat_map(|report| &report.traces).filter(|trace| is_first_turn(trace));
    let warmup = warmup.collect_vec();
    let counted = of(Disposition::Counted).sorted_by_key(|report| report.began);
    let by_case = counted.into_group_map_by(|report| &report.key.cell.case);
    let firsts = |case: &Case| Some(cold_firsts(case, by_case.get(&case.id)?, &warmup));
    let firsts = cases.iter().filter_map(firsts).flatten();
    // Of two findings on one attempt the latter stays: it is the worse one.
    firsts.chain(cold_first_attempt(attempts)).collect()
}

fn is_shared(case: &Case) -> bool {
    matches!(case.prompt, Prompt::Text(text) if text.shared > 0)
}

fn is_first_turn(trace: &RequestTrace) -> bool {
    trace.turn.unwrap_or(0) == 0
}

/// The attempts of a case, in order, whose first requests took far longer to the first token than
/// further ones. On one stream that is all other requests; without those, for a model that is loaded
/// each time, the fastest prompt of the warm-up that is not shorter. Else it is the first attempt beside
/// the others: while all streams begin, each waits longer. Later turns of a conversation, a prefix that
/// is cached on purpose and rates are apart.
fn cold_firsts<'r>(
    case: &Case,
    attempts: &[&'r AttemptReport],
    warmup: &[&RequestTrace],
) -> Vec<(&'r AttemptKey, AttemptFinding)> {
    let Some(streams) = case.concurrency().filter(|_| !is_shared(case)) else { return Vec::new() };
    let ttft = |trace: &&RequestTrace| trace.ttft().filter(|_| is_streamed(trace));
    let (mut firsts, mut further) = (Vec::new(), Vec::new());
    for report in attempts {
        let mut begun = BTreeSet::new();
        let traces = measured(&report.traces).filter(|trace| is_first_turn(trace));
        let (first, later): (Vec<&RequestTrace>, Vec<_>) =
            traces.partition(|trace| begun.insert(trace.stream));
        let first = Distribution::new(first.iter().filter_map(ttft)).median();
        firsts.extend(first.map(|ttft_s| (&report.key, ttft_s)));
        further.extend(later.iter().filter_map(ttft));
    }
    if streams == 1 && further.len() >= OTHERS {
        return cold(&firsts, further).0;
    }
    if streams == 1 {
        let prompt = |trace: &RequestTrace| trace.usage.map(|usage| usage.prompt as f64);
        let own = attempts.iter().flat_map(|report| measured(&report.traces)).find_map(prompt);
        let is_as_long = |n: f64| own.is_some_and(|own| n >= SAME_LENGTH * own);
        let as_long = warmup.iter().filter(|trace| prompt(trace).is_some_and(is_as_long));
        let fastest = as_long.filter_map(ttft).min_by(f64::total_cmp);
        let (found, reloads) = cold(&firsts, fastest.into_iter().collect());
        if reloads {
            return found;
        }
    }
    let others = firsts.split_off(1.min(firsts.len()));
    let enough = others.len() >= OTHERS;
    let others = others.into_iter().map(|(_, ttft_s)| ttft_s).collect();
    if enough { cold(&firsts, others).0 } else { Vec::new() }
}

/// Which of `firsts` took far longer than the median of `others`, and whether the model was loaded for
/// most of them.
fn cold<'r>(
    firsts: &[(&'r AttemptKey, f64)],
    others: Vec<f64>,
) -> (Vec<(&'r AttemptKey, AttemptFinding)>, bool) {
    let n = others.len();
    let Some(due_s) = Distribution::new(others).median() else { return (Vec::new(), false) };
    let is_cold = |ttft_s: f64, least_s| ttft_s > FACTOR * due_s && ttft_s > due_s + least_s;
    let loads = firsts.iter().filter(|(_, ttft_s)| is_cold(*ttft_s, LOAD_S)).count();
    let reloads = loads > 1 && 2 * loads > firsts.len();
    let finding = |&(key, ttft_s): &(&'r AttemptKey, f64)| {
        let evidence = FindingEvidence::ColdFirst { ttft_s, due_s, others: n, reloads };
        let found = AttemptFinding::new(FindingCode::ColdFirst, Validity::Degraded, evidence);
        is_cold(ttft_s, LONGER_S).then_some((key, found))
    };
    (firsts.iter().filter_map(finding).collect(), reloads)
}

/// The first counted attempt of a host, if it is warm-up: over three times as long as other attempts
/// of its case, or, where there are none, as a line through all others (seconds by tokens) gives for
/// its tokens. Only without an engine warm-up: in one, the first request came before.
fn cold_first_attempt(attempts: &[AttemptRecord]) -> Option<(&AttemptKey, AttemptFinding)> {
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
    use regatta_types::testing::{RunBuilder, request};

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

    /// Attempts of a case of one stream, with these times to first token in milliseconds, after a
    /// warm-up with others. What is found in each: its time, the due one, others, and reloads.
    fn found<const N: usize>(
        ttft_ms: [&[f64]; N],
        warmup_ms: &[f64],
    ) -> [Option<(f64, f64, usize, bool)>; N] {
        let repetitions = u32::try_from(N).unwrap();
        let mut run = RunBuilder::new(&["Case"], repetitions).fleet(1).build();
        let traces = |ttft_ms: &[f64]| {
            ttft_ms.iter().map(|&ttft_ms| request(0, ttft_ms, 10.0, 40)).collect()
        };
        let mut own = ttft_ms.into_iter();
        for attempt in &mut run.attempts {
            let is_counted = attempt.disposition == Disposition::Counted;
            attempt.report.traces =
                traces(if is_counted { own.next().unwrap() } else { warmup_ms });
        }
        let cold = cold_attempts(&run.record.header.suite.cases, &run.attempts);
        let counted = run.attempts.iter().filter(|a| a.disposition == Disposition::Counted);
        let found = counted.map(|a| {
            let FindingEvidence::ColdFirst { ttft_s, due_s, others, reloads } =
                cold.get(&a.report.key)?.evidence
            else {
                return None;
            };
            Some(((ttft_s * 1e3).round(), (due_s * 1e3).round(), others, reloads))
        });
        found.collect_vec().try_into().unwrap()
    }

    #[test]
    fn a_slow_first_request_or_repetition_is_found_beside_the_others_of_its_case() {
        let warm: &[f64] = &[100.0; 3];
        let cold: &[f64] = &[3_100.0, 110.0, 120.0];
        let is_cold = |due_ms, others| Some((3_100.0, due_ms, others, false));
        assert_eq!(found([warm, warm], &[]), [None; 2]);
        assert_eq!(found([cold, warm, warm], &[]), [is_cold(100.0, 6), None, None]);
        assert_eq!(found([&[590.0, 100.0, 100.0], warm], &[]), [None; 2], "half a second");
        assert_eq!(found([&[2_900.0, 1_000.0, 1_000.0]], &[]), [None], "three times");
        assert_eq!(found([&[3_100.0, 100.0]], &[100.0; 3]), [None], "one other is no scale");
        let (cold, warm): (&[f64], &[f64]) = (&[3_100.0], &[110.0]);
        assert_eq!(found([cold, warm, &[100.0]], warm), [is_cold(105.0, 2), None, None]);
        assert_eq!(found([warm, cold, warm], warm), [None; 3], "not the first");
        assert_eq!(found([cold, warm], warm), [None; 2]);
    }

    #[test]
    fn a_model_that_is_loaded_again_for_every_repetition_is_told_apart() {
        let cold: &[f64] = &[2_100.0, 100.0, 100.0];
        let reloaded = |others| Some((2_100.0, 100.0, others, true));
        assert_eq!(found([cold; 3], &[]), [reloaded(6); 3]);
        let slow: &[f64] = &[900.0, 100.0, 100.0];
        assert_eq!(found([slow; 3], &[]), [Some((900.0, 100.0, 6, false)); 3]);
        let alone = &cold[..1];
        let warmup = &[2_000.0, 100.0];
        assert_eq!(found([alone, &[110.0], alone], warmup), [reloaded(1), None, reloaded(1)]);
        assert_eq!(found([alone; 3], &[2_200.0]), [None; 3], "so is its warm-up");
        assert_eq!(found([alone; 3], &[]), [None; 3]);
    }

    #[test]
    fn without_another_request_there_is_no_cost() {
        let found = ColdStart::of(&[request(1_000, 900.0, 20.0, 50)]).unwrap();
        assert_eq!((found.later_ttft_s, found.cost_s), (None, None));
        assert_eq!(ColdStart::of(&[]), None);
    }
}
