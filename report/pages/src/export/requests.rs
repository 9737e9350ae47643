//! `requests.jsonl`: one line per request, nothing rounded, absent is `null`.
//!
//! The names and their order are fixed: fields may be added, never renamed.

use std::borrow::Cow;
use std::io::Write;

use regatta_figures::metrics::completion_tokens;
use regatta_figures::source::{Cause, Error, Run, attempts_of, each_host};
use regatta_types::attempt::AttemptReport;
use regatta_types::event::Disposition;
use regatta_types::failure::Failure;
use regatta_types::ids::HostId;
use regatta_types::record::AttemptRecord;
use regatta_types::suite::Case;
use regatta_types::time::{MonoNs, UnixNs};
use regatta_types::trace::{Chunk, Connection, Outcome, Phase, RequestTrace};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// A request, and what its row says of its attempt.
pub(super) struct Request<'a> {
    report: &'a AttemptReport,
    trace: &'a RequestTrace,
    counted: bool,
    /// `None` for the engine warm-up, which is no case.
    concurrency: Option<u32>,
}

/// The kind of a field, and where its value comes from.
pub(super) enum Field {
    Text(for<'a> fn(&'a Request<'a>) -> Option<Cow<'a, str>>),
    Flag(fn(&Request<'_>) -> bool),
    Small(fn(&Request<'_>) -> Option<u32>),
    Count(fn(&Request<'_>) -> Option<u64>),
    Instant(fn(&Request<'_>) -> Option<UnixNs>),
    Real(fn(&Request<'_>) -> Option<f64>),
    Reals(fn(&Request<'_>) -> Vec<Option<f64>>),
    Smalls(fn(&Request<'_>) -> Vec<Option<u32>>),
    Failure(for<'a> fn(&'a Request<'a>) -> Option<&'a Failure>),
}

use Field::{Count, Flag, Instant, Real, Reals, Small, Smalls, Text};

/// How many of the first fields always have a value.
#[cfg(feature = "parquet")]
pub(super) const ALWAYS: usize = 6;

/// The fields of every file of requests, in their order.
pub(super) const FIELDS: [(&str, Field); 45] = [
    ("run", Text(|r| Some(r.report.key.run.as_str().into()))),
    ("host", Text(|r| Some(r.report.key.cell.host.as_str().into()))),
    ("case", Text(|r| Some(r.report.key.cell.case.as_str().into()))),
    ("repetition", Small(|r| Some(r.report.key.cell.repetition.0))),
    ("attempt", Small(|r| Some(r.report.key.attempt.0))),
    ("counted", Flag(|r| r.counted)),
    ("concurrency", Small(|r| r.concurrency)),
    ("request", Small(|r| Some(r.trace.seq))),
    ("request_id", Text(|r| Some(r.report.key.request_id(r.trace.seq).into()))),
    ("phase", Text(|r| Some(r.phase().into()))),
    ("status", Text(|r| Some(r.trace.outcome.status().into()))),
    ("failure", Field::Failure(|r| r.failure())),
    ("scheduled_unix_ns", Instant(|r| r.unix(r.trace.scheduled))),
    ("sent_unix_ns", Instant(|r| r.unix(r.trace.t_send()))),
    ("first_byte_unix_ns", Instant(|r| r.unix(r.trace.first_byte))),
    ("first_token_unix_ns", Instant(|r| r.unix(r.trace.t_first()))),
    ("first_answer_unix_ns", Instant(|r| r.unix(r.trace.t_answer()))),
    ("last_token_unix_ns", Instant(|r| r.unix(r.trace.t_last()))),
    ("done_unix_ns", Instant(|r| r.unix(r.trace.done))),
    ("connect_s", Real(|r| r.trace.connect.map(|d| d.as_secs_f64()))),
    ("ttft_s", Real(|r| r.trace.ttft())),
    ("ttfa_s", Real(|r| r.trace.ttfa())),
    ("e2e_s", Real(|r| r.trace.e2e())),
    ("tpot_s", Real(|r| r.trace.tpot())),
    ("decode_tps", Real(|r| r.trace.decode_tps())),
    ("prompt_tokens", Count(|r| r.trace.usage.map(|u| u.prompt))),
    ("cached_tokens", Count(|r| r.trace.usage.and_then(|u| u.cached))),
    ("completion_tokens", Count(|r| completion_tokens(r.trace))),
    ("reasoning_tokens", Count(|r| r.trace.usage.and_then(|u| u.reasoning))),
    ("token_source", Text(|r| r.trace.token_source().map(|source| source.name().into()))),
    ("chunks", Count(|r| u64::try_from(r.trace.chunks.len()).ok())),
    ("chunk_gaps_us", Reals(|r| r.gaps_us())),
    ("chunk_tokens", Reals(|r| r.trace.chunk_tokens().map(Some).collect())),
    ("finish_reason", Text(|r| r.trace.finish_reason.as_ref().map(|f| f.name().into()))),
    ("connection", Text(|r| r.connection().map(Cow::from))),
    ("server_prompt_ms", Real(|r| r.trace.server_timings.map(|t| t.prompt_ms))),
    ("server_predicted_ms", Real(|r| r.trace.server_timings.map(|t| t.predicted_ms))),
    ("turn", Small(|r| r.trace.turn)),
    ("max_tokens", Small(|r| r.trace.max_tokens)),
    ("ttft_sched_s", Real(|r| r.trace.ttft_sched())),
    ("e2e_sched_s", Real(|r| r.trace.e2e_sched())),
    ("send_lateness_s", Real(|r| r.trace.send_lateness())),
    ("chunk_read_late_us", Smalls(|r| r.late_us())),
    ("send_uncertainty_s", Real(|r| r.trace.send_uncertainty())),
    ("answer_sha256", Text(|r| r.answer_hash().map(Cow::from))),
];

impl Request<'_> {
    fn unix(&self, at: Option<MonoNs>) -> Option<UnixNs> {
        at.map(|at| self.report.anchor.to_unix(at))
    }

    /// `measured` are the engine's measured requests and no others.
    fn phase(&self) -> &'static str {
        match self.trace.phase {
            _ if self.report.key.cell.case.is_client_overhead() => "client_overhead",
            Phase::Warmup => "warmup",
            Phase::Measured => "measured",
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.trace.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => None,
        }
    }

    fn connection(&self) -> Option<&'static str> {
        self.trace.connection.map(|connection| match connection {
            Connection::New => "new",
            Connection::Reused => "reused",
        })
    }

    fn answer_hash(&self) -> Option<&str> {
        Some(self.trace.answer.sha256.as_str()).filter(|hash| !hash.is_empty())
    }

    /// Before each chunk but the first; `None` between chunks of one read.
    fn gaps_us(&self) -> Vec<Option<f64>> {
        let gap = |pair: &[Chunk]| {
            (pair[0].at != pair[1].at).then(|| pair[1].at.since(pair[0].at).as_nanos() as f64 / 1e3)
        };
        self.trace.chunks.windows(2).map(gap).collect()
    }

    /// Of each chunk; empty if the kernel has stamped none.
    fn late_us(&self) -> Vec<Option<u32>> {
        let late = self.trace.chunks.iter().map(|chunk| chunk.late_us);
        if late.clone().all(|late| late.is_none()) { Vec::new() } else { late.collect() }
    }
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(FIELDS.len()))?;
        for (name, field) in &FIELDS {
            match field {
                Text(of) => row.serialize_entry(name, &of(self)),
                Flag(of) => row.serialize_entry(name, &of(self)),
                Small(of) => row.serialize_entry(name, &of(self)),
                Count(of) => row.serialize_entry(name, &of(self)),
                Instant(of) => row.serialize_entry(name, &of(self)),
                Real(of) => row.serialize_entry(name, &of(self)),
                Reals(of) => row.serialize_entry(name, &of(self)),
                Smalls(of) => row.serialize_entry(name, &of(self)),
                Field::Failure(of) => row.serialize_entry(name, &of(self)),
            }?;
        }
        row.end()
    }
}

/// Writes the whole file, by host, case, repetition, attempt and request.
pub(crate) fn requests_jsonl(run: &impl Run, out: &mut dyn Write) -> Result<(), Cause> {
    let of_host = |host: &&HostId| {
        let mut lines = Vec::new();
        each(run, host, |request| {
            // String keys and plain numbers only: writing them to memory cannot fail.
            let _ = serde_json::to_writer(&mut lines, request);
            lines.push(b'\n');
        })?;
        Ok(lines)
    };
    each_host(&run.hosts(), of_host, |lines| Ok(out.write_all(&lines)?))
}

/// Every request of a host, in the order of the file.
pub(super) fn each(
    run: &impl Run,
    host: &HostId,
    mut take: impl FnMut(&Request<'_>),
) -> Result<(), Error> {
    for AttemptRecord { disposition, report } in &attempts_of(run, host)? {
        let case = run.record().header.suite.case(&report.key.cell.case);
        let (counted, concurrency) =
            (*disposition == Disposition::Counted, case.and_then(Case::concurrency));
        for trace in &report.traces {
            take(&Request { report, trace, counted, concurrency });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tests::{client_overhead, page};
    use regatta_types::testing::RunBuilder;

    /// Requests of the client overhead used to be `measured` and part of sums over requests.
    #[test]
    fn requests_of_the_client_overhead_are_not_measured() {
        let mut run = RunBuilder::new(&["Tiny"], 2).fleet(1).build();
        let mut own = client_overhead(&run, 1);
        let mut warmup = own.report.traces[0].clone();
        warmup.phase = Phase::Warmup;
        own.report.traces.insert(0, warmup);
        run.attempts.push(own);
        let lines = page(&run, "requests.jsonl");
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
