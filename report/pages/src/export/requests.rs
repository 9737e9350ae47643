//! `requests.jsonl`: one line per request, nothing rounded, absent is `null`.
//!
//! The names and their order are fixed: fields may be added, never renamed.

use std::io::Write;

use regatta_types::attempt::AttemptReport;
use regatta_types::event::Disposition;
use regatta_types::failure::Failure;
use regatta_types::ids::{AttemptKey, AttemptNo, CaseId, HostId, Repetition, RunId};
use regatta_types::suite::Case;
use regatta_types::time::{MonoNs, UnixNs};
use regatta_types::trace::{Chunk, Connection, Outcome, Phase, RequestTrace, TokenSource};
use serde::Serialize;

use regatta_figures::metrics::completion_tokens;
use regatta_figures::source::{Cause, Error, Run, attempts_of, each_host};

/// What is told of a request.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    run: &'a RunId,
    host: &'a HostId,
    case: &'a CaseId,
    repetition: Repetition,
    attempt: AttemptNo,
    counted: bool,
    concurrency: Option<u32>,
    request: u32,
    request_id: String,
    phase: &'static str,
    status: &'static str,
    failure: Option<&'a Failure>,
    scheduled_unix_ns: Option<UnixNs>,
    sent_unix_ns: Option<UnixNs>,
    first_byte_unix_ns: Option<UnixNs>,
    first_token_unix_ns: Option<UnixNs>,
    first_answer_unix_ns: Option<UnixNs>,
    last_token_unix_ns: Option<UnixNs>,
    done_unix_ns: Option<UnixNs>,
    connect_s: Option<f64>,
    ttft_s: Option<f64>,
    ttfa_s: Option<f64>,
    e2e_s: Option<f64>,
    tpot_s: Option<f64>,
    decode_tps: Option<f64>,
    prompt_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    token_source: Option<TokenSource>,
    chunks: usize,
    chunk_gaps_us: Vec<Option<f64>>,
    chunk_tokens: Vec<f64>,
    finish_reason: Option<&'a str>,
    connection: Option<Connection>,
    server_prompt_ms: Option<f64>,
    server_predicted_ms: Option<f64>,
    turn: Option<u32>,
    max_tokens: Option<u32>,
    ttft_sched_s: Option<f64>,
    e2e_sched_s: Option<f64>,
    send_lateness_s: Option<f64>,
    chunk_read_late_us: Vec<Option<u32>>,
    send_uncertainty_s: Option<f64>,
    answer_sha256: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(report: &'a AttemptReport, trace: &'a RequestTrace, of: Of) -> Self {
        let key = &report.key;
        let unix = |at: Option<MonoNs>| at.map(|at| report.anchor.to_unix(at));
        Self {
            run: &key.run,
            host: &key.cell.host,
            case: &key.cell.case,
            repetition: key.cell.repetition,
            attempt: key.attempt,
            counted: of.counted,
            concurrency: of.concurrency,
            request: trace.seq,
            request_id: key.request_id(trace.seq),
            phase: phase(key, trace),
            status: trace.outcome.status(),
            failure: match &trace.outcome {
                Outcome::Failed(failure) => Some(failure),
                Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => None,
            },
            scheduled_unix_ns: unix(trace.scheduled),
            sent_unix_ns: unix(trace.t_send()),
            first_byte_unix_ns: unix(trace.first_byte),
            first_token_unix_ns: unix(trace.t_first()),
            first_answer_unix_ns: unix(trace.t_answer()),
            last_token_unix_ns: unix(trace.t_last()),
            done_unix_ns: unix(trace.done),
            connect_s: trace.connect.map(|d| d.as_secs_f64()),
            ttft_s: trace.ttft(),
            ttfa_s: trace.ttfa(),
            e2e_s: trace.e2e(),
            tpot_s: trace.tpot(),
            decode_tps: trace.decode_tps(),
            prompt_tokens: trace.usage.map(|u| u.prompt),
            cached_tokens: trace.usage.and_then(|u| u.cached),
            completion_tokens: completion_tokens(trace),
            reasoning_tokens: trace.usage.and_then(|u| u.reasoning),
            token_source: trace.token_source(),
            chunks: trace.chunks.len(),
            chunk_gaps_us: gaps_us(trace),
            chunk_tokens: trace.chunk_tokens().collect(),
            finish_reason: trace.finish_reason.as_ref().map(|f| f.name()),
            connection: trace.connection,
            server_prompt_ms: trace.server_timings.map(|t| t.prompt_ms),
            server_predicted_ms: trace.server_timings.map(|t| t.predicted_ms),
            turn: trace.turn,
            max_tokens: trace.max_tokens,
            ttft_sched_s: trace.ttft_sched(),
            e2e_sched_s: trace.e2e_sched(),
            send_lateness_s: trace.send_lateness(),
            chunk_read_late_us: late_us(trace),
            send_uncertainty_s: trace.send_uncertainty(),
            answer_sha256: Some(trace.answer.sha256.as_str()).filter(|hash| !hash.is_empty()),
        }
    }
}

/// `measured` are the engine's measured requests and no others.
fn phase(key: &AttemptKey, trace: &RequestTrace) -> &'static str {
    match trace.phase {
        _ if key.cell.case.is_client_overhead() => "client_overhead",
        Phase::Warmup => "warmup",
        Phase::Measured => "measured",
    }
}

/// Before each chunk but the first; `None` between chunks of one read.
fn gaps_us(trace: &RequestTrace) -> Vec<Option<f64>> {
    let gap = |pair: &[Chunk]| {
        (pair[0].at != pair[1].at).then(|| pair[1].at.since(pair[0].at).as_nanos() as f64 / 1e3)
    };
    trace.chunks.windows(2).map(gap).collect()
}

/// Of each chunk; empty if the kernel has stamped none.
fn late_us(trace: &RequestTrace) -> Vec<Option<u32>> {
    if trace.chunks.iter().all(|chunk| chunk.late_us.is_none()) {
        return Vec::new();
    }
    trace.chunks.iter().map(|chunk| chunk.late_us).collect()
}

/// What a line says of its attempt.
#[derive(Clone, Copy)]
struct Of {
    counted: bool,
    /// `None` for settling, which is no case.
    concurrency: Option<u32>,
}

/// Writes the whole file, by host, case, repetition, attempt and request.
pub(crate) fn requests_jsonl(run: &impl Run, out: &mut dyn Write) -> Result<(), Cause> {
    let of_host = |host: &&HostId| {
        let mut lines = Vec::new();
        each(run, host, |line| {
            // String keys and plain numbers only: writing them to memory cannot fail.
            let _ = serde_json::to_writer(&mut lines, line);
            lines.push(b'\n');
        })?;
        Ok(lines)
    };
    each_host(&run.hosts(), of_host, |lines| Ok(out.write_all(&lines)?))
}

/// Every line of a host, in the order of the file.
pub(super) fn each(
    run: &impl Run,
    host: &HostId,
    mut take: impl FnMut(&Line<'_>),
) -> Result<(), Error> {
    for attempt in attempts_of(run, host)? {
        let case = run.record().header.suite.case(&attempt.report.key.cell.case);
        let of = Of {
            counted: attempt.disposition == Disposition::Counted,
            concurrency: case.and_then(Case::concurrency),
        };
        for trace in &attempt.report.traces {
            take(&Line::new(&attempt.report, trace, of));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use regatta_types::ids::{CaseId, Repetition};
    use serde_json::Value;

    use super::*;
    use crate::testing::{RunBuilder, TestHost};

    /// Rows of the client overhead once said `measured`, and got into sums over the engine's requests.
    #[test]
    fn measured_are_the_requests_of_cases_and_not_those_that_an_agent_sent_to_itself() {
        let mut run = RunBuilder::new(&["Tiny"], 2).host(TestHost::new("gpu-01")).build();
        let mut own = run.attempts[1].clone();
        own.disposition = Disposition::ClientOverhead;
        own.report.key.cell.case = CaseId::client_overhead();
        own.report.key.cell.repetition = Repetition(0);
        let mut warmup = own.report.traces[0].clone();
        warmup.phase = Phase::Warmup;
        own.report.traces.insert(0, warmup);
        run.attempts.push(own);
        let mut lines = Vec::new();
        requests_jsonl(&run, &mut lines).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        let rows = lines.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            [&row["case"], &row["phase"]].map(|text| text.as_str().unwrap().to_owned())
        });
        let rows: Vec<[String; 2]> = rows.collect();
        assert_eq!(
            rows,
            [
                ["client-floor", "client_overhead"],
                ["client-floor", "client_overhead"],
                ["settling", "warmup"],
                ["settling", "warmup"],
                ["settling", "warmup"],
                ["tiny", "measured"],
                ["tiny", "measured"],
            ]
        );
    }
}
