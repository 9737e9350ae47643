//! Engine checks, from all requests so far.

use std::time::Duration;

use regatta_types::attempt::AttemptOutcome;
use regatta_types::check::{Check, CheckOutcome};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::reading::Reading;
use regatta_types::trace::{ChunkKind, Outcome, RequestTrace, TokenSource};
use regatta_types::units::{grouped, quantity};
use regatta_types::validity::FindingCode;

use super::{PreflightEngine, PreflightInput};
use crate::endpoint::DiscoverError;

/// Shorter answers can arrive in one piece even without a buffering proxy.
const LONG: f64 = 32.0;
/// Text that arrives over a longer time than this is a stream.
const SPREAD: Duration = Duration::from_millis(5);

pub(super) fn checks(seen: &PreflightInput<'_>) -> Vec<CheckOutcome> {
    match &seen.engine {
        Ok(engine) => vec![
            endpoint(engine),
            model(engine),
            streaming(engine),
            usage(engine, seen),
            reasoning(engine),
            fixed_length(engine),
            context(engine, seen),
            load(engine),
        ],
        Err(error) => absent(error),
    }
}

/// The checks without an engine.
fn absent(error: &DiscoverError) -> Vec<CheckOutcome> {
    let (endpoint, model, why) = if error.is_about_the_model() {
        let model = Check::Model.failed(error.to_string());
        (Check::Endpoint.ok("answers"), model, "not checked: no model")
    } else {
        let why = "not checked: no engine";
        (Check::Endpoint.failed(error.to_string()), Check::Model.unknown(why), why)
    };
    let others = [
        Check::Streaming,
        Check::Usage,
        Check::Reasoning,
        Check::FixedLength,
        Check::Context,
        Check::EngineLoad,
    ];
    let mut checks = vec![endpoint, model];
    checks.extend(others.map(|check| check.unknown(why)));
    checks
}

impl PreflightEngine<'_> {
    fn successes(&self) -> impl Iterator<Item = &RequestTrace> {
        self.warmup.traces.iter().filter(|trace| trace.is_ok())
    }

    fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.warmup.traces.iter().filter_map(|trace| match &trace.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => None,
        })
    }

    /// Why the warm-up failed, with the last failure.
    fn broken(&self) -> Option<(&str, Option<&Failure>)> {
        match &self.warmup.outcome {
            AttemptOutcome::Failed(reason) => Some((reason, self.failures().last())),
            AttemptOutcome::Completed | AttemptOutcome::Cancelled | AttemptOutcome::Interrupted => {
                None
            }
        }
    }

    /// The last failure, if the answers came from a different model.
    fn other_model(&self) -> Option<&Failure> {
        self.broken()?.1.filter(|failure| failure.kind == FailureKind::WrongModel)
    }
}

fn endpoint(engine: &PreflightEngine<'_>) -> CheckOutcome {
    let name = match &engine.facts.engine {
        Reading::Known(name) => name.as_str(),
        Reading::NotAvailable { .. } => "unidentified engine",
    };
    Check::Endpoint.ok(format!("{name} answers ({})", engine.facts.location))
}

fn model(engine: &PreflightEngine<'_>) -> CheckOutcome {
    let asked = &engine.facts.model;
    match engine.other_model() {
        Some(failure) => Check::Model.failed(format!(
            "requested `{asked}`, but another model answered: {}. Set --model, or check for a \
             gateway in front of the engine",
            failure.message
        )),
        None => Check::Model.ok(format!("serves `{asked}`")),
    }
}

fn streaming(engine: &PreflightEngine<'_>) -> CheckOutcome {
    let check = Check::Streaming;
    if engine.other_model().is_some() {
        return check.unknown("not checked: another model answers");
    }
    if let Some((reason, _)) = engine.broken() {
        return check.failed(format!("engine warm-up failed: {reason}. Check the engine's log"));
    }
    let answers = engine.successes().count();
    // If other requests succeed, a refusal is not a fault: the engine does not support a field, or
    // the prompt exceeds its context.
    let is_fault = |failure: &&Failure| answers == 0 || !is_refusal(failure);
    let faults = engine.failures().filter(is_fault).count();
    if let Some(last) = engine.failures().filter(is_fault).last() {
        return check.warning(format!(
            "{faults} of {} requests failed (last error: {last}). Check the engine's log",
            faults + answers
        ));
    }
    let long: Vec<&RequestTrace> = engine
        .successes()
        .filter(|trace| trace.completion_tokens().is_some_and(|tokens| tokens >= LONG))
        .collect();
    let buffered = long.iter().filter(|trace| trace.is_buffered()).count();
    if buffered > 0 {
        let text = format!(
            "{buffered} of {} answers arrived in one burst instead of a stream. Disable response \
             buffering in the proxy in front of the engine (nginx: proxy_buffering off)",
            long.len()
        );
        // A run would measure the behavior of the majority.
        return if 2 * buffered > long.len() { check.failed(text) } else { check.warning(text) };
    }
    let streamed = engine.successes().filter(|trace| is_spread(trace)).count();
    if streamed > 0 {
        return check.ok(format!("{streamed} of {answers} answers streamed incrementally"));
    }
    check.unknown("no answer was long enough to distinguish a stream from a burst")
}

fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.http_status, Some(400 | 413 | 422))
}

fn is_spread(trace: &RequestTrace) -> bool {
    match (trace.t_first(), trace.t_last()) {
        (Some(first), Some(last)) => last.since(first) > SPREAD,
        (None, _) | (_, None) => false,
    }
}

fn usage(engine: &PreflightEngine<'_>, seen: &PreflightInput<'_>) -> CheckOutcome {
    let check = Check::Usage;
    let all = engine.successes().count();
    let counted = engine.successes().filter(|trace| trace.usage.is_some()).count();
    if all == 0 {
        return check.unknown("no request succeeded");
    }
    if counted == all {
        // Counts of events that do not add up are not used.
        let is_counted = |trace: &RequestTrace| {
            let source = trace.token_source();
            matches!(source, Some(TokenSource::TokenIds | TokenSource::ContinuousUsage))
        };
        let events = engine.successes().any(is_counted);
        let of = if events { "answers and stream events" } else { "answers" };
        return check.ok(format!("token counts for {of}"));
    }
    if engine.has_tokenizer {
        return check
            .ok("tokens counted with the tokenizer file where the engine does not report \
            them");
    }
    let texts = if seen.wants.texts.is_empty() {
        ""
    } else {
        " and cases with a fixed prompt length cannot run"
    };
    check.warning(format!(
        "{} of {all} answers have no token counts, so speeds are approximate{texts}. Enable usage \
         in the engine (stream_options.include_usage) or pass the model's tokenizer.json with \
         --tokenizer",
        all - counted
    ))
}

fn reasoning(engine: &PreflightEngine<'_>) -> CheckOutcome {
    let check = Check::Reasoning;
    let answers = engine.successes().count();
    let is_inline = |trace: &&RequestTrace| trace.inline_reasoning;
    let is_reasoning =
        |trace: &RequestTrace| trace.chunks.iter().any(|chunk| chunk.kind == ChunkKind::Reasoning);
    let inline = engine.successes().filter(is_inline).count();
    if inline > 0 {
        check.warning(format!(
            "reasoning is part of the text of {inline} of {answers} answers (<think> tags), so \
             the time to first answer token is unknown for answers without the closing tag. Start \
             the engine with the model's reasoning parser"
        ))
    } else if engine.successes().any(is_reasoning) {
        check.ok("reasoning has a separate field")
    } else if answers == 0 {
        check.unknown("no request succeeded")
    } else {
        check.ok(format!("no reasoning in {}", quantity(answers, "short answer")))
    }
}

fn fixed_length(engine: &PreflightEngine<'_>) -> CheckOutcome {
    let check = Check::FixedLength;
    let remark = engine
        .abilities
        .findings
        .iter()
        .find(|finding| finding.code == FindingCode::LengthNotFixed);
    match (engine.abilities.fixed_length, remark) {
        (None, _) => check.ok("not required by any case"),
        (Some(true), _) => check.ok("answers end at the requested length"),
        (Some(false), Some(finding)) => {
            check.warning(format!("{}. {}", finding.evidence, finding.advice))
        }
        (Some(false), None) => check.unknown("no request succeeded"),
    }
}

fn context(engine: &PreflightEngine<'_>, seen: &PreflightInput<'_>) -> CheckOutcome {
    let check = Check::Context;
    let counts = engine.successes().any(|trace| trace.usage.is_some());
    let unfitted = engine.abilities.texts.values().filter_map(|text| text.as_ref().err());
    // Without token counts no prompt can be generated, regardless of the context.
    let unfitted = unfitted.filter(|_| counts).min();
    let advice = "Start the engine with a longer context or remove these cases";
    let tokens = |n: u32| grouped(u64::from(n));
    match (&engine.facts.context_length, seen.wants.context) {
        (Reading::Known(has), Some(need)) if *has < need.least => check.failed(format!(
            "context of {} tokens is too short: every case needs at least {}. Start the engine \
             with a longer context or choose another suite",
            tokens(*has),
            tokens(need.least)
        )),
        (Reading::Known(has), Some(need)) if *has < need.most => check.warning(format!(
            "context of {} tokens is too short for some cases, which need up to {}. {advice}",
            tokens(*has),
            tokens(need.most)
        )),
        (_, _) if unfitted.is_some() => {
            check.warning(format!("{}. {advice}", unfitted.map_or("", String::as_str)))
        }
        (Reading::Known(has), Some(need)) => check.ok(format!(
            "{} tokens, the longest case needs {}",
            tokens(*has),
            tokens(need.most)
        )),
        (Reading::Known(has), None) => check.ok(format!("{} tokens", tokens(*has))),
        (Reading::NotAvailable { not_available }, _) => check.unknown(not_available.clone()),
    }
}

/// Requests of other clients: this agent had none in flight yet.
fn load(engine: &PreflightEngine<'_>) -> CheckOutcome {
    let check = Check::EngineLoad;
    let sample = match engine.metrics {
        Reading::Known(sample) => sample,
        Reading::NotAvailable { not_available } => return check.unknown(not_available.clone()),
    };
    let Some(running) = sample.running else {
        return check.unknown("not reported by the engine");
    };
    let waiting = sample.waiting.unwrap_or(0.0);
    if running + waiting > 0.0 {
        check.warning(format!(
            "the engine already works for other clients: {running} requests running, {waiting} \
             waiting before the run. Stop these clients"
        ))
    } else {
        check.ok("no requests of other clients")
    }
}
