//! Findings in words: the evidence behind each, and what to do about it.

use itertools::Itertools as _;
use regatta_figures::metrics::{AttemptFinding, Drift, FindingEvidence, Fit, Share};
use regatta_types::units::{grouped, grouped_real};
use regatta_types::validity::Finding;

use super::reason::at_first;

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
                "{} of {} requests failed ({:.1} %, bound 1 %): {}",
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
            format!("{n} of {of} answers came in one burst instead of a stream")
        }
        FindingEvidence::EmptyAnswers(Share { n, of }) => {
            format!("{n} of {of} answers had no text, which is a failure")
        }
        FindingEvidence::Truncated { cut: Share { n, of }, max_tokens } => {
            format!("{n} of {of} answers were cut by max_tokens ({max_tokens}) or the context")
        }
        FindingEvidence::LengthNotFixed(Share { n, of }) => {
            format!("{n} of {of} answers are shorter than asked")
        }
        FindingEvidence::TokenMismatch(Share { n, of }) => format!(
            "in {n} of {of} requests the tokens of the chunks and the final usage differ by more than 1 %"
        ),
        FindingEvidence::MoreChunksThanTokens(Share { n, of }) => {
            format!("in {n} of {of} requests")
        }
        FindingEvidence::CacheHits { cached, prompt } => format!(
            "{} of {} prompt tokens ({:.1} %) came from a cache, though no prompt begins like another",
            grouped(*cached),
            grouped(*prompt),
            *cached as f64 / *prompt as f64 * 100.0
        ),
        FindingEvidence::ApproximateTokens(Share { n, of }) => {
            format!("in {n} of {of} requests chunks were counted, the engine gives no token counts")
        }
        FindingEvidence::GpuLost { uuid, reason, after_s } => {
            let when = after_s.map_or_else(
                || "before the attempt".to_owned(),
                |seconds| format!("{seconds:.1} s after the first request"),
            );
            format!("{uuid}: {reason} {when}")
        }
        FindingEvidence::GpuShared { pid, name, memory, taken } => {
            let (has, when) = if *taken { ("took", " during the attempt") } else { ("has", "") };
            format!(
                "process {pid} ({name}), which is not the engine's, {has} {memory} on its GPU{when}"
            )
        }
        FindingEvidence::EngineChanged(changes) => at_first(changes),
        FindingEvidence::ColdFirstAttempt { seconds, due, fit } => format!(
            "first attempt is warm-up: its requests took {} s, {:.1} times the {} s {}",
            grouped_real(*seconds, 2),
            seconds / due,
            grouped_real(*due, 2),
            due_by(*fit)
        ),
    }
}

fn drifting(drift: &Drift) -> String {
    format!(
        "decode speed changed by {:+.1} % from the first to the last quarter (99 % CI {:+.1} to {:+.1}), {:+.2} % a minute over {} requests",
        drift.change * 100.0,
        drift.change_ci99.0 * 100.0,
        drift.change_ci99.1 * 100.0,
        drift.slope_per_minute * 100.0,
        drift.requests
    )
}

/// What a first attempt is measured by.
fn due_by(fit: Option<Fit>) -> String {
    let Some(Fit { attempts, at_zero_s, s_per_token }) = fit else {
        return "that the other attempts of its case take".to_owned();
    };
    format!(
        "that a fit of the other {attempts} attempts gives ({at_zero_s:.2} s and {:.1} ms for each token)",
        s_per_token * 1e3
    )
}

/// What to do next.
fn advice(found: &FindingEvidence) -> &str {
    match found {
        FindingEvidence::Told { advice, .. } => advice,
        FindingEvidence::NoOkRequest { .. } => "see the failures of this attempt",
        FindingEvidence::ErrorRate { .. } => "see the failures; with less load they may go away",
        FindingEvidence::TooFewSamples { .. } => {
            "give a load level at least 20 requests or 30 s (--requests, --duration)"
        }
        FindingEvidence::Drifting { in_step: true, .. } => {
            "streams that begin together and ask for equal lengths fall out of step: begin them one after another (--ramp), or let lengths vary"
        }
        FindingEvidence::Drifting { in_step: false, .. } => {
            "look for heat, a power limit or other work on the host; warm up longer"
        }
        FindingEvidence::BufferedStream(_) => {
            "turn off response buffering in the proxy before the engine"
        }
        FindingEvidence::EmptyAnswers(_) => {
            "look at the engine's log and chat template; the prompt may exceed its context"
        }
        FindingEvidence::Truncated { .. } => "raise max_tokens, or ask for answers of fixed length",
        FindingEvidence::LengthNotFixed(_) => {
            "the engine does not keep ignore_eos and min_tokens: compare decode speed only"
        }
        FindingEvidence::TokenMismatch(_) => {
            "check the engine's parser for tool calls or reasoning"
        }
        FindingEvidence::MoreChunksThanTokens(_) => "tokens were shared out evenly over the chunks",
        FindingEvidence::CacheHits { .. } => {
            "times to first token are too good: turn off prefix caching, or look at what the chat template puts first"
        }
        FindingEvidence::ApproximateTokens(_) => {
            "have the engine send usage (stream_options.include_usage), or give the model's tokenizer.json with `--tokenizer`"
        }
        FindingEvidence::GpuLost { .. } => {
            "look for Xid messages in the kernel's log; only a reboot brings the GPU back"
        }
        FindingEvidence::GpuShared { .. } => {
            "end the other process, or name the endpoint's GPUs with --gpu"
        }
        FindingEvidence::EngineChanged(_) => {
            "it belongs to another comparability class: run again with one engine throughout"
        }
        FindingEvidence::ColdFirstAttempt { .. } => {
            "settle the engine before it is measured (leave out `--warmup 0`), and measure again"
        }
    }
}

#[cfg(test)]
mod tests {
    use regatta_types::failure::FailureKind;
    use regatta_types::units::Bytes;

    use super::*;

    #[test]
    fn every_evidence_is_told_with_its_values_and_an_advice() {
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
        let first = |fit| FindingEvidence::ColdFirstAttempt { seconds: 12.0, due: 3.0, fit };
        let all = [
            FindingEvidence::NoOkRequest { requests: 4 },
            FindingEvidence::ErrorRate { failed: [(FailureKind::Reset, 2)].into(), ok: 99 },
            FindingEvidence::TooFewSamples { ok: 3, seconds: 1.25 },
            FindingEvidence::Drifting { drift, in_step: false },
            FindingEvidence::BufferedStream(Share { n: 2, of: 3 }),
            FindingEvidence::EmptyAnswers(Share { n: 1, of: 3 }),
            FindingEvidence::Truncated { cut: Share { n: 1, of: 2 }, max_tokens: 40 },
            FindingEvidence::LengthNotFixed(Share { n: 1, of: 2 }),
            FindingEvidence::TokenMismatch(Share { n: 1, of: 2 }),
            FindingEvidence::MoreChunksThanTokens(Share { n: 1, of: 2 }),
            FindingEvidence::CacheHits { cached: 1_200, prompt: 4_800 },
            FindingEvidence::ApproximateTokens(Share { n: 1, of: 2 }),
            lost(Some(2.25)),
            lost(None),
            shared(true),
            shared(false),
            first(None),
            first(Some(fit)),
        ];
        assert!(all.iter().all(|evidence| !advice(evidence).is_empty()));
        assert_eq!(
            all.iter().map(evidence).join("\n"),
            "\
0 of 4 requests succeeded
2 of 101 requests failed (2.0 %, bound 1 %): 2 reset
3 requests in 1.2 s
decode speed changed by -3.1 % from the first to the last quarter (99 % CI -4.0 to -2.0), -0.52 % a minute over 96 requests
2 of 3 answers came in one burst instead of a stream
1 of 3 answers had no text, which is a failure
1 of 2 answers were cut by max_tokens (40) or the context
1 of 2 answers are shorter than asked
in 1 of 2 requests the tokens of the chunks and the final usage differ by more than 1 %
in 1 of 2 requests
1,200 of 4,800 prompt tokens (25.0 %) came from a cache, though no prompt begins like another
in 1 of 2 requests chunks were counted, the engine gives no token counts
GPU-a: GPU is lost 2.2 s after the first request
GPU-a: GPU is lost before the attempt
process 412 (python3), which is not the engine's, took 300 MiB on its GPU during the attempt
process 412 (python3), which is not the engine's, has 300 MiB on its GPU
first attempt is warm-up: its requests took 12.00 s, 4.0 times the 3.00 s that the other attempts of its case take
first attempt is warm-up: its requests took 12.00 s, 4.0 times the 3.00 s that a fit of the other 9 attempts gives (0.20 s and 24.0 ms for each token)"
        );
    }
}
