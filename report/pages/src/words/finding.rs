//! Findings in words: evidence and advice.

use itertools::Itertools as _;
use regatta_figures::metrics::{AttemptFinding, Drift, FindingEvidence, Fit, Share};
use regatta_types::units::{grouped, grouped_real, quantity};
use regatta_types::validity::Finding;

use super::names::some_names;
use super::reason::{at_first, shared_by};

/// With its evidence and advice.
pub(crate) fn finding(found: &AttemptFinding) -> Finding {
    Finding {
        code: found.code.clone(),
        validity: found.validity,
        evidence: evidence(&found.evidence),
        advice: advice(&found.evidence).to_owned(),
    }
}

/// The figures behind it.
pub(crate) fn evidence(found: &FindingEvidence) -> String {
    match found {
        FindingEvidence::Told { evidence, .. } => evidence.clone(),
        FindingEvidence::NoOkRequest { requests } => format!("0 of {requests} requests succeeded"),
        FindingEvidence::ErrorRate { failed, ok } => {
            let kinds = failed.iter().map(|(kind, n)| format!("{} {kind}", grouped((*n).into())));
            let failures: u32 = failed.values().sum();
            let of = failures + ok;
            format!(
                "{} of {} requests failed ({:.1} %, limit 1 %): {}",
                grouped(failures.into()),
                grouped(of.into()),
                f64::from(failures) / f64::from(of) * 100.0,
                kinds.format(", ")
            )
        }
        FindingEvidence::TooFewSamples { ok, seconds } => {
            format!("{ok} requests in {seconds:.1} s")
        }
        FindingEvidence::Drifting { drift, .. } => drifting(drift),
        FindingEvidence::BufferedStream(Share { n, of }) => {
            format!("{n} of {of} answers arrived in one burst instead of a stream")
        }
        FindingEvidence::CoalescedStream(Share { n, of }) => {
            format!("{n} of {of} answers arrived with several chunks in one read")
        }
        FindingEvidence::LowOverlap { most, streams, slots } => {
            let slots = slots.map(|n| format!("; the engine has {}", quantity(n, "slot")));
            let slots = slots.unwrap_or_default();
            format!("at most {most} of {streams} streams were in decode at once{slots}")
        }
        FindingEvidence::MixedEngines { slow, fast } => format!(
            "decode speed alternates between {:.1} tok/s ({} requests) and {:.1} tok/s ({})",
            slow.1, slow.0, fast.1, fast.0
        ),
        FindingEvidence::EmptyAnswers(Share { n, of }) => {
            format!("{n} of {of} answers had no text, which counts as a failure")
        }
        FindingEvidence::Truncated { cut: Share { n, of }, max_tokens } => {
            format!(
                "{n} of {of} answers were truncated by max_tokens ({max_tokens}) or the context length"
            )
        }
        FindingEvidence::LengthNotFixed(Share { n, of }) => {
            format!("{n} of {of} answers are shorter than requested")
        }
        FindingEvidence::TokenMismatch(Share { n, of }) => format!(
            "in {n} of {of} requests the token counts of the chunks and the final usage differ by more than 1 %"
        ),
        FindingEvidence::MoreChunksThanTokens(Share { n, of }) => {
            format!("more chunks than tokens in {n} of {of} requests")
        }
        FindingEvidence::CacheHits { cached, prompt } => format!(
            "{} of {} prompt tokens ({:.1} %) came from a cache, although no two prompts share a prefix",
            grouped(*cached),
            grouped(*prompt),
            *cached as f64 / *prompt as f64 * 100.0
        ),
        FindingEvidence::UsageBeyondLimit(Share { n, of }) => {
            format!("in {n} of {of} requests the usage exceeds max_tokens and the number of chunks")
        }
        FindingEvidence::HiddenTokens(Share { n, of }) => {
            format!("in {n} of {of} requests the usage counts tokens that did not arrive as text")
        }
        FindingEvidence::InlineReasoning(Share { n, of }) => {
            format!("the text of {n} of {of} answers contains reasoning")
        }
        FindingEvidence::PromptTokensOff { reported, plausible: (least, most) } => format!(
            "{} prompt tokens reported, {} to {} are plausible for the text",
            grouped_real(*reported, 0),
            grouped_real(*least, 0),
            grouped_real(*most, 0)
        ),
        FindingEvidence::ApproximateTokens(Share { n, of }) => {
            format!(
                "in {n} of {of} requests chunks were counted, for lack of plausible token counts"
            )
        }
        FindingEvidence::GpuLost { uuid, reason, after_s } => {
            let when = after_s.map_or_else(
                || "before the attempt".to_owned(),
                |seconds| format!("{seconds:.1} s after the first request"),
            );
            format!("{uuid}: {reason} {when}")
        }
        FindingEvidence::GpuShared { pid, name, memory, taken } => {
            let (has, when) =
                if *taken { ("allocated", " during the attempt") } else { ("uses", "") };
            format!(
                "process {pid} ({name}), not part of the engine, {has} {memory} on its GPU{when}"
            )
        }
        FindingEvidence::EngineChanged(changes) => at_first(changes),
        FindingEvidence::EngineBusy { beyond, samples: Share { n, of } } => format!(
            "the engine had {} more requests than this agent (median) in {n} of {of} samples of its metrics",
            grouped_real(*beyond, 0)
        ),
        FindingEvidence::SameMachine { others, by } => {
            format!("same machine as {} ({})", some_names(others), shared_by(*by))
        }
        FindingEvidence::ColdFirstAttempt { seconds, due, fit } => format!(
            "the requests of the cold first attempt took {} s, {:.1} times the {} s {}",
            grouped_real(*seconds, 2),
            seconds / due,
            grouped_real(*due, 2),
            due_by(*fit)
        ),
        FindingEvidence::ColdFirst { ttft_s, due_s, others, .. } => format!(
            "TTFT of the first request {ttft_s:.2} s, median of {} {due_s:.2} s",
            quantity(*others, "other request")
        ),
    }
}

fn drifting(drift: &Drift) -> String {
    format!(
        "decode speed changed by {:+.1} % from the first to the last quarter (99 % CI {:+.1} to {:+.1}), {:+.2} % per minute over {} requests",
        drift.change * 100.0,
        drift.change_ci99.0 * 100.0,
        drift.change_ci99.1 * 100.0,
        drift.slope_per_minute * 100.0,
        drift.requests
    )
}

/// The reference for a first attempt.
fn due_by(fit: Option<Fit>) -> String {
    let Some(Fit { attempts, at_zero_s, s_per_token }) = fit else {
        return "of the other attempts of its case".to_owned();
    };
    format!(
        "expected from the other {attempts} attempts ({at_zero_s:.2} s and {:.1} ms per token)",
        s_per_token * 1e3
    )
}

/// The next step.
fn advice(found: &FindingEvidence) -> &str {
    match found {
        FindingEvidence::Told { advice, .. } => advice,
        FindingEvidence::NoOkRequest { .. } => "See the failures of this attempt.",
        FindingEvidence::ErrorRate { .. } => "See the failures. Try a lower load.",
        FindingEvidence::TooFewSamples { .. } => {
            "Use at least 20 requests or 30 s per load level (--requests, --duration)."
        }
        FindingEvidence::Drifting { in_step: true, .. } => {
            "Streams that start together with equal answer lengths run in lockstep: stagger their starts (--ramp) or vary the lengths."
        }
        FindingEvidence::Drifting { in_step: false, .. } => {
            "Check temperature, power limit and other processes on the host; use a longer warm-up."
        }
        FindingEvidence::BufferedStream(_) => "Turn off response buffering in front of the engine.",
        FindingEvidence::CoalescedStream(_) => {
            "Look for a proxy or buffer between agent and engine. Speculative decoding has the same effect."
        }
        FindingEvidence::LowOverlap { .. } => {
            "Give the engine more slots (--parallel, --max-num-seqs), or request fewer streams."
        }
        FindingEvidence::MixedEngines { .. } => {
            "Measure each engine behind the endpoint by its own address."
        }
        FindingEvidence::EmptyAnswers(_) => "Check the engine's log, chat template and context.",
        FindingEvidence::Truncated { .. } => "Raise max_tokens, or use answers of fixed length.",
        FindingEvidence::LengthNotFixed(_) => "Compare decode speed only.",
        FindingEvidence::TokenMismatch(_) => "Check the engine's tool-call and reasoning parsers.",
        FindingEvidence::MoreChunksThanTokens(_) => {
            "Tokens were distributed evenly over the chunks."
        }
        FindingEvidence::CacheHits { .. } => {
            "TTFT is too low: turn off prefix caching, or check what the chat template puts first."
        }
        FindingEvidence::HiddenTokens(_) => {
            "Decode speed covers only the visible tokens. Let the engine stream its reasoning."
        }
        FindingEvidence::InlineReasoning(_) => {
            "The answer begins after the closing tag. Start the engine with a reasoning parser."
        }
        FindingEvidence::UsageBeyondLimit(_) | FindingEvidence::PromptTokensOff { .. } => {
            "Check the engine's or proxy's usage counts."
        }
        FindingEvidence::ApproximateTokens(_) => {
            "Let the engine send usage (stream_options.include_usage), or pass the model's tokenizer.json with `--tokenizer`."
        }
        FindingEvidence::GpuLost { .. } => "Check the kernel log for Xid messages, then reboot.",
        FindingEvidence::GpuShared { .. } => "Stop the other process, or set --gpu.",
        FindingEvidence::EngineChanged(_) => "Repeat the run with one engine.",
        FindingEvidence::EngineBusy { .. } => {
            "Stop the other clients of the engine and repeat the run."
        }
        FindingEvidence::SameMachine { .. } => {
            "Remove all but one of its names from the run, or give each its own endpoint and GPUs."
        }
        FindingEvidence::ColdFirst { reloads: true, .. } => {
            "The engine seems to unload the model when idle: raise its keep-alive."
        }
        FindingEvidence::ColdFirst { .. } => {
            "Repeat the run, and do not use `--warmup 0`: the engine starts cold then."
        }
        FindingEvidence::ColdFirstAttempt { .. } => "Repeat the run without `--warmup 0`.",
    }
}

#[cfg(test)]
mod tests {
    use regatta_figures::metrics::SharedBy;
    use regatta_types::failure::FailureKind;
    use regatta_types::ids::HostId;
    use regatta_types::units::Bytes;

    use super::*;

    #[test]
    fn every_evidence_has_its_values_and_an_advice() {
        let drift = Drift {
            requests: 96,
            blocks: 12,
            change: -0.031,
            change_ci99: (-0.04, -0.02),
            slope_per_minute: -0.0052,
            slope_ci99: (-0.007, -0.003),
        };
        let (pid, name, memory) = (412, "python3".to_owned(), Bytes(300 << 20));
        let fit = Fit { attempts: 9, at_zero_s: 0.2, s_per_token: 0.024 };
        let shared = |taken| FindingEvidence::GpuShared { pid, name: name.clone(), memory, taken };
        let lost = |after_s| {
            let (uuid, reason) = ("GPU-a".to_owned(), "GPU is lost".to_owned());
            FindingEvidence::GpuLost { uuid, reason, after_s }
        };
        let others: Vec<HostId> = ["a", "b"].map(|name| HostId::new(name).unwrap()).into();
        let same = |by| FindingEvidence::SameMachine { others: others.clone(), by };
        let first = |fit| FindingEvidence::ColdFirstAttempt { seconds: 12.0, due: 3.0, fit };
        let all = [
            FindingEvidence::NoOkRequest { requests: 4 },
            FindingEvidence::ErrorRate { failed: [(FailureKind::Reset, 2)].into(), ok: 99 },
            FindingEvidence::TooFewSamples { ok: 3, seconds: 1.25 },
            FindingEvidence::Drifting { drift, in_step: false },
            FindingEvidence::BufferedStream(Share { n: 2, of: 3 }),
            FindingEvidence::CoalescedStream(Share { n: 2, of: 3 }),
            FindingEvidence::LowOverlap { most: 1, streams: 4, slots: Some(1) },
            FindingEvidence::MixedEngines { slow: (4, 40.0), fast: (6, 50.25) },
            FindingEvidence::EmptyAnswers(Share { n: 1, of: 3 }),
            FindingEvidence::Truncated { cut: Share { n: 1, of: 2 }, max_tokens: 40 },
            FindingEvidence::LengthNotFixed(Share { n: 1, of: 2 }),
            FindingEvidence::TokenMismatch(Share { n: 1, of: 2 }),
            FindingEvidence::MoreChunksThanTokens(Share { n: 1, of: 2 }),
            FindingEvidence::CacheHits { cached: 1_200, prompt: 4_800 },
            FindingEvidence::UsageBeyondLimit(Share { n: 1, of: 2 }),
            FindingEvidence::HiddenTokens(Share { n: 1, of: 2 }),
            FindingEvidence::InlineReasoning(Share { n: 1, of: 2 }),
            FindingEvidence::PromptTokensOff { reported: 12.0, plausible: (200.0, 20_192.0) },
            FindingEvidence::ApproximateTokens(Share { n: 1, of: 2 }),
            lost(Some(2.25)),
            lost(None),
            shared(true),
            shared(false),
            same(SharedBy::Gpus),
            same(SharedBy::Endpoint),
            first(None),
            first(Some(fit)),
            FindingEvidence::EngineBusy { beyond: 3.0, samples: Share { n: 5, of: 6 } },
            FindingEvidence::ColdFirst { ttft_s: 3.1, due_s: 0.1, others: 5, reloads: false },
        ];
        assert!(all.iter().all(|evidence| !advice(evidence).is_empty()));
        assert_eq!(
            all.iter().map(evidence).join("\n"),
            "\
0 of 4 requests succeeded
2 of 101 requests failed (2.0 %, limit 1 %): 2 reset
3 requests in 1.2 s
decode speed changed by -3.1 % from the first to the last quarter (99 % CI -4.0 to -2.0), -0.52 % per minute over 96 requests
2 of 3 answers arrived in one burst instead of a stream
2 of 3 answers arrived with several chunks in one read
at most 1 of 4 streams were in decode at once; the engine has 1 slot
decode speed alternates between 40.0 tok/s (4 requests) and 50.2 tok/s (6)
1 of 3 answers had no text, which counts as a failure
1 of 2 answers were truncated by max_tokens (40) or the context length
1 of 2 answers are shorter than requested
in 1 of 2 requests the token counts of the chunks and the final usage differ by more than 1 %
more chunks than tokens in 1 of 2 requests
1,200 of 4,800 prompt tokens (25.0 %) came from a cache, although no two prompts share a prefix
in 1 of 2 requests the usage exceeds max_tokens and the number of chunks
in 1 of 2 requests the usage counts tokens that did not arrive as text
the text of 1 of 2 answers contains reasoning
12 prompt tokens reported, 200 to 20,192 are plausible for the text
in 1 of 2 requests chunks were counted, for lack of plausible token counts
GPU-a: GPU is lost 2.2 s after the first request
GPU-a: GPU is lost before the attempt
process 412 (python3), not part of the engine, allocated 300 MiB on its GPU during the attempt
process 412 (python3), not part of the engine, uses 300 MiB on its GPU
same machine as a, b (equal GPU UUIDs)
same machine as a, b (one endpoint)
the requests of the cold first attempt took 12.00 s, 4.0 times the 3.00 s of the other attempts of its case
the requests of the cold first attempt took 12.00 s, 4.0 times the 3.00 s expected from the other 9 attempts (0.20 s and 24.0 ms per token)
the engine had 3 more requests than this agent (median) in 5 of 6 samples of its metrics
TTFT of the first request 3.10 s, median of 5 other requests 0.10 s"
        );
    }
}
