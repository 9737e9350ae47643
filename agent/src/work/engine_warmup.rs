//! Engine warm-up, once per host and run: unmeasured requests until the speed is steady.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use regatta_types::assignment::{EngineWarmup, Preparation};
use regatta_types::attempt::AttemptOutcome;
use regatta_types::ids::AttemptKey;
use regatta_types::suite::{Message, Role};
use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, Phase, RequestTrace};
use regatta_types::validity::{Finding, FindingCode, Validity};
use tokio::task::JoinSet;

use super::AttemptResult;
use super::explore::explore;
use super::halt::Halt;
use super::progress::{Activity, Progress};
use super::shapes;
use super::stream::StreamContext;
use super::window::Window;
use crate::endpoint::{Abilities, Ask, ConversationTurn, Endpoint, Fields, PrepareError, Prepared};

/// Number of consecutive speeds that must agree.
const STEADY_REQUESTS: usize = 3;
/// Maximum spread, relative to the slowest.
const STEADY_WITHIN: f64 = 0.03;
/// Maximum time after the first request (which may be a cold start of minutes), once there are
/// enough requests for a spread.
const LONGEST: Duration = Duration::from_secs(60);
/// Maximum consecutive failures.
const MAX_FAILURES: usize = 3;
const MAX_TOKENS: u32 = 64;

/// Explores the engine and sends each shape of the suite's prompts once, then requests one by one
/// until the rule of `preparation` is met.
pub(super) async fn run(
    endpoint: Endpoint,
    key: AttemptKey,
    preparation: Preparation,
    progress: Arc<Progress>,
    halt: Halt,
) -> Result<(AttemptResult, Abilities), PrepareError> {
    progress.enter(Activity::EngineWarmup);
    let ask = Ask {
        messages: &[prompt()],
        max_tokens: MAX_TOKENS,
        temperature: 0.0,
        seed: None,
        timeouts: preparation.timeouts,
        keep_text: false,
    };
    let prepared = Prepared::of_ask(&endpoint, &key, &ask, Fields::default())?;
    let shared = StreamContext::new(endpoint.clone(), prepared, progress, halt);
    let mut obeying = JoinSet::new();
    obeying.spawn_local(Rc::clone(&shared).obey());
    let mut stream = shared.stream(0);
    let window = Window::open();
    let abilities = explore(&endpoint, &key, &preparation, &mut stream).await?;
    shapes::send(&endpoint, &key, &preparation, &abilities, &mut stream).await;
    let explored = stream.traces.len();
    let mut warm: Option<MonoNs> = None;
    let mut findings = abilities.findings.clone();
    let mut failed = None;
    loop {
        let warm_for = warm.map_or(Duration::ZERO, |since| MonoNs::now().since(since));
        match next(&preparation.engine_warmup, &stream.traces[explored..], warm_for) {
            Next::Request => {}
            Next::Enough => break,
            Next::NotSteady(evidence) => {
                findings.push(not_steady(evidence));
                break;
            }
            Next::Failed(reason) => {
                failed = Some(reason);
                break;
            }
        }
        if !shared.may_begin() {
            break;
        }
        let which = ConversationTurn::first(shared.take_seq());
        stream.request(shared.request(which, Phase::Warmup)).await;
        warm.get_or_insert_with(MonoNs::now);
    }
    obeying.shutdown().await;
    let outcome = match failed {
        Some(reason) => AttemptOutcome::Failed(reason),
        None => shared.outcome(),
    };
    Ok((window.close().made(outcome, stream.traces, findings), abilities))
}

/// A prompt outside of any suite.
fn prompt() -> Message {
    Message {
        role: Role::User,
        content: "Describe a harbour on a windy morning, the boats that leave it and the people \
                  who stay behind, in as much detail as you can."
            .to_owned(),
    }
}

#[derive(Debug, PartialEq)]
enum Next {
    Request,
    Enough,
    NotSteady(String),
    Failed(String),
}

/// The next step after `traces`, `warm_for` after the end of the first request.
fn next(wanted: &EngineWarmup, traces: &[RequestTrace], warm_for: Duration) -> Next {
    let failures = traces.iter().rev().map_while(|trace| match &trace.outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => None,
    });
    if let Some(failure) = failures.clone().next()
        && failures.count() >= MAX_FAILURES
    {
        return Next::Failed(format!(
            "{MAX_FAILURES} requests in a row failed (last error: {failure})"
        ));
    }
    match *wanted {
        EngineWarmup::Requests(number) => {
            let wanted = usize::try_from(number).unwrap_or(usize::MAX);
            if traces.len() >= wanted { Next::Enough } else { Next::Request }
        }
        EngineWarmup::UntilSteady => {
            let spread = spread(traces);
            if spread.is_some_and(|spread| spread <= STEADY_WITHIN) {
                Next::Enough
            } else if warm_for < LONGEST || traces.len() < STEADY_REQUESTS {
                Next::Request
            } else {
                let limit = LONGEST.as_secs();
                Next::NotSteady(match spread {
                    Some(spread) => format!(
                        "{limit} s after the first request, the last {STEADY_REQUESTS} speeds \
                         still differed by {:.1} %",
                        spread * 100.0
                    ),
                    None => format!(
                        "{limit} s after the first request, fewer than {STEADY_REQUESTS} of {} \
                         requests had a measurable speed",
                        traces.len()
                    ),
                })
            }
        }
    }
}

/// Spread of the last speeds: decode speeds, or end-to-end speeds for very short answers.
fn spread(traces: &[RequestTrace]) -> Option<f64> {
    let ok: Vec<&RequestTrace> = traces.iter().filter(|trace| trace.is_ok()).collect();
    let last = ok.last_chunk::<STEADY_REQUESTS>()?;
    let all = |speed: fn(&RequestTrace) -> Option<f64>| -> Option<Vec<f64>> {
        last.iter().map(|trace| speed(trace)).collect()
    };
    let speeds = all(RequestTrace::decode_tps).or_else(|| all(RequestTrace::e2e_tps))?;
    let slowest = speeds.iter().copied().fold(f64::INFINITY, f64::min);
    let fastest = speeds.iter().copied().fold(0.0, f64::max);
    (slowest > 0.0).then(|| fastest / slowest - 1.0)
}

fn not_steady(evidence: String) -> Finding {
    Finding {
        code: FindingCode::NotSettled,
        validity: Validity::Degraded,
        evidence,
        advice: "Check for other load on the machine, or set a fixed number of warm-up requests \
            with `--warmup N`"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
