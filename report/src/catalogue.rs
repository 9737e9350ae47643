//! The catalogue of metrics: what each is called, how it is computed and when there is none. The
//! page docs/metrics.md is written from it: [`document`].

use std::fmt::Write as _;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// As in `run.json` and `requests.jsonl`.
    pub name: &'static str,
    /// Of the value.
    pub unit: &'static str,
    /// Where a good value lies.
    pub better: Better,
    /// Over the stamps and counts of docs/metrics.md.
    pub formula: &'static str,
    /// When there is no value, and what it must not be taken for.
    pub edge_cases: &'static str,
}

/// Where a good value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Small is good.
    Lower,
    /// Large is good.
    Higher,
    /// Neither: it explains.
    Neither,
}

impl Better {
    fn word(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::Neither => "-",
        }
    }
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    better: Better,
    formula: &'static str,
    edge_cases: &'static str,
) -> Definition {
    Definition { name, unit, better, formula, edge_cases }
}

/// Metrics of one request.
pub const OF_REQUESTS: &[Definition] = &[
    metric(
        "ttft",
        "s",
        Better::Lower,
        "t_1 - t_send",
        "Role, empty and usage events are no token; reasoning is. None without a token",
    ),
    metric(
        "ttft_sched",
        "s",
        Better::Lower,
        "t_1 - t_sched",
        "Open loops only; what their percentiles and limits count from",
    ),
    metric(
        "ttfa",
        "s",
        Better::Lower,
        "t_ans - t_send",
        "None if only reasoning came. Equal to ttft without reasoning",
    ),
    metric(
        "prefill_tps",
        "tok/s",
        Better::Higher,
        "(p - c) / ttft",
        "Contains queueing, so only with one stream. None with fewer than 256 uncached prompt tokens",
    ),
    metric(
        "decode_tps",
        "tok/s",
        Better::Higher,
        "(n - k_1) / (t_last - t_1)",
        "None with fewer than two chunks, or fewer than 16 tokens after the first chunk. Not (n - 1): the first chunk may hold several tokens",
    ),
    metric(
        "tpot",
        "s",
        Better::Lower,
        "1 / decode_tps",
        "As decode_tps. Its median is shown, not its mean",
    ),
    metric(
        "itl",
        "s",
        Better::Lower,
        "(t_i - t_(i-1)) / k_i, weighted by k_i",
        "Chunks of one read count as one. One without tokens hands its gap to the next. Never 0 because several tokens came together",
    ),
    metric(
        "chunk_gap",
        "s",
        Better::Lower,
        "t_i - t_(i-1)",
        "The raw gaps between chunks with text: the stutter that a reader sees. None between chunks of one read. `chunk_gap_s` in run.json",
    ),
    metric(
        "e2e",
        "s",
        Better::Lower,
        "t_last - t_send",
        "The end of the response (t_done) is told apart where it comes over 50 ms later",
    ),
    metric("e2e_sched", "s", Better::Lower, "t_last - t_sched", "Open loops only"),
    metric(
        "e2e_tps",
        "tok/s",
        Better::Higher,
        "n / e2e",
        "Contains prefill and queueing; never called generation speed",
    ),
    metric(
        "send_lateness",
        "s",
        Better::Lower,
        "t_send - t_sched",
        "Open loops only. Of the client, not of the engine",
    ),
];

/// Metrics of a set of requests: an attempt, a case, a host.
pub const OF_SETS: &[Definition] = &[
    metric(
        "decode",
        "tok/s",
        Better::Higher,
        "sum of (n - k_1) / sum of (t_last - t_1)",
        "Over the requests that have a decode_tps. What hosts are compared by",
    ),
    metric(
        "output_tps",
        "tok/s",
        Better::Higher,
        "tokens that arrive in the steady window / its length",
        "The window is from the first send plus one mean service time to the last send (open loop: the last scheduled send). None with fewer than 3 requests, or if that part is shorter than half a mean service time",
    ),
    metric(
        "request_rate",
        "1/s",
        Better::Higher,
        "successes that end in the steady window / its length",
        "As output_tps",
    ),
    metric(
        "error_rate",
        "share",
        Better::Lower,
        "failed / (ok + failed)",
        "Cancelled and unsent requests apart. Failed requests enter no latency and no speed",
    ),
    metric(
        "goodput",
        "1/s and share",
        Better::Higher,
        "requests that keep every limit of the case / s; and of those offered",
        "Failed and unsent requests miss. A limit on a metric that a request cannot have is no limit to it. None without limits",
    ),
    metric("cached_share", "share", Better::Neither, "c / p", "None if the engine does not tell c"),
    metric(
        "cold_start",
        "s",
        Better::Lower,
        "e2e of the first settling request - what an answer of its length takes later",
        "In no other figure",
    ),
    metric(
        "drift",
        "share; per minute",
        Better::Neither,
        "last against first quarter of decode_tps; Theil-Sen slope over time",
        "99 % intervals. `drifting` if the change is over 2 % and both intervals exclude 0",
    ),
    metric(
        "mem_peak",
        "bytes",
        Better::Neither,
        "largest NVML sample of memory in use in an attempt",
        "Sampled at 10 Hz. An engine's reserve dominates it",
    ),
    metric(
        "cpu_share",
        "share of a core",
        Better::Lower,
        "CPU time of the measuring thread / duration of the attempt",
        "Of the client. Over 80 % is `client_cpu`",
    ),
    metric(
        "read_late",
        "s",
        Better::Lower,
        "read of a chunk - its arrival by the kernel",
        "Of the client, one for each read. In no other figure, because the stamps are the kernel's",
    ),
    metric(
        "client_floor",
        "s; s per 1,000 tokens",
        Better::Lower,
        "ttft, gap error and CPU at an endpoint in the agent's own process",
        "Subtracted from nothing",
    ),
    metric(
        "kv_peak",
        "share",
        Better::Neither,
        "largest sample of the engine's KV cache gauge",
        "From /metrics, one sample a second: peaks between two are not seen. Of several engines the highest",
    ),
    metric(
        "running_max, waiting_max",
        "requests",
        Better::Neither,
        "largest sample of the engine's gauge",
        "From /metrics. Requests of others are in it",
    ),
    metric(
        "queue_mean_s",
        "s",
        Better::Lower,
        "growth of the engine's queue time / growth of its count",
        "From /metrics. Explains ttft and never replaces it",
    ),
    metric(
        "prefix_hit_share",
        "share",
        Better::Neither,
        "growth of prompt tokens found in the prefix cache / of those looked up",
        "From /metrics. None if none was looked up, or the counters ran backwards (restart)",
    ),
    metric(
        "preemptions",
        "requests",
        Better::Lower,
        "growth of the engine's counter",
        "From /metrics. Requests that were put back to make room in the KV cache",
    ),
    metric(
        "acceptance",
        "share",
        Better::Higher,
        "growth of drafted tokens that were accepted / of those drafted",
        "From /metrics. None without speculative decoding",
    ),
    metric(
        "energy",
        "J",
        Better::Lower,
        "NVML's energy counter at the end - at the begin of an attempt",
        "The endpoint's GPU boards, attempts of at least 5 s. Withheld where the power samples make over 10 % more or less of it, or the counter ran backwards. `joules` in run.json",
    ),
    metric(
        "j_per_out_tok",
        "J/tok",
        Better::Lower,
        "energy / n",
        "None where energy is withheld or some requests do not tell their tokens. Above idle beside it, never instead of it",
    ),
    metric(
        "tok_per_s_per_w",
        "tok/s/W",
        Better::Higher,
        "output_tps / mean power of the endpoint's GPUs",
        "Loads only. Power is the mean of the samples over the whole attempts, output that of the steady window. None without either",
    ),
    metric(
        "mbu",
        "share",
        Better::Higher,
        "decode_tps at one stream x active_weights / theoretical memory bandwidth",
        "decode_tps: all decode tokens / all decode seconds of cases at one stream; bandwidth: bus width x highest memory clock x 2, of the endpoint's GPUs together. A sanity light: the KV cache is not in it, and accepted drafts raise it. Below 20 % the report says what that usually means. `bandwidth` in run.json",
    ),
];

/// What other tools call it: name here, then vLLM bench serve, aiperf, guidellm, SGLang
/// bench_serving, MLPerf.
const ELSEWHERE: &[[&str; 6]] = &[
    [
        "start of ttft",
        "before connecting; the wait for a slot apart",
        "request send",
        "wall clock before the request",
        "a new connection each request, connecting inside",
        "the scheduled time",
    ],
    [
        "ttft",
        "TTFT: first chunk with `choices`, even without text",
        "TTFT: first content that is not empty",
        "TTFT: first content, reasoning or tool call",
        "TTFT: first content or reasoning",
        "TTFT: first-token callback - scheduled time",
    ],
    ["ttfa", "-", "TTFO", "first output token", "-", "-"],
    ["prefill_tps", "-", "input tokens / TTFT, queueing included", "-", "-", "-"],
    [
        "tpot",
        "TPOT: (latency - TTFT) / (n - 1)",
        "called ITL: (latency - TTFT) / (n - 1)",
        "called ITL: (last - first) / (n - 1). Its TPOT is (last - start) / n and holds the first token",
        "TPOT: (latency - TTFT) / (n - 1)",
        "TPOT: (latency - TTFT) / (n - 1); n must exceed 1",
    ],
    [
        "chunk_gap",
        "called ITL, per chunk",
        "ICL",
        "-",
        "called ITL, per chunk (divided by the mean accept length if known)",
        "-",
    ],
    [
        "end of e2e",
        "last content; the usage event is no content",
        "last content",
        "end of the stream",
        "end of the stream",
        "completion callback",
    ],
    [
        "output_tps",
        "all output tokens / whole duration, drain included",
        "all tokens / first send to last response",
        "tokens spread between first and last event, in a window without warm-up and cool-down",
        "all output tokens / whole duration, drain included",
        "tokens/s, valid runs only",
    ],
    [
        "goodput",
        "good / s over completed requests; a missing TPOT counts as 0",
        "good / s, errors in the denominator",
        "errors miss, cancelled left out",
        "-",
        "pass or fail at a percentile",
    ],
    [
        "token counts",
        "usage, else re-tokenised text, else 1",
        "client tokenizer; usage beside it",
        "usage or tokenizer",
        "usage and re-tokenised text",
        "the system under test; lengths checked by TEST06",
    ],
];

/// The page docs/metrics.md.
#[must_use]
pub fn document() -> String {
    let mut out = String::from(HEAD);
    table(&mut out, "Of one request", OF_REQUESTS);
    table(&mut out, "Of several requests", OF_SETS);
    out.push_str(STATISTICS);
    out.push_str("\n## What other tools call it\n\n");
    out.push_str(MAPPING);
    out.push_str("\n| here | vLLM bench serve | aiperf | guidellm | SGLang bench_serving | MLPerf LoadGen |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for row in ELSEWHERE {
        row_of(&mut out, row);
    }
    out
}

fn table(out: &mut String, heading: &str, metrics: &[Definition]) {
    write!(out, "\n## {heading}\n\n| name | unit | better | formula | edge cases |\n").ok();
    out.push_str("| --- | --- | --- | --- | --- |\n");
    for m in metrics {
        let (name, formula) = (format!("`{}`", m.name), format!("`{}`", m.formula));
        row_of(out, &[&name, m.unit, m.better.word(), &formula, m.edge_cases]);
    }
}

fn row_of(out: &mut String, cells: &[&str]) {
    writeln!(out, "| {} |", cells.join(" | ")).ok();
}

const HEAD: &str = "\
# Metrics (metrics_schema 1)

Written from the catalogue in report/src/catalogue.rs: `cargo run -p regatta-report --example metrics > docs/metrics.md`.

A figure is computed once, from raw stamps, after the run. Per-request formulas are methods of `RequestTrace`
(proto/types/src/trace.rs); everything over several requests is in `report`. What has no value is absent, with its reason,
and never 0.

Stamps of a request, all of the agent's monotonic clock, in nanoseconds: `t_sched` the instant it was to be sent (open
loops), `t_send` just before the write of its first byte on a connection that is already there, `t_1` the first chunk with
generated text of any kind, `t_ans` the first one with answer text, `t_i` each later chunk with text, `t_last` the last of
them, `t_done` `[DONE]` or the end of the response. Counts: `n` completion tokens, `k_i` those of a chunk, `p` prompt tokens,
`c` cached prompt tokens.

A chunk's stamp is when its last bytes came, by the kernel (`SO_TIMESTAMPNS`, by the wall clock, moved to the monotonic one
by a pair of both that is at most 10 ms old), so that a client that is short of CPU and reads late does not book that as the
engine's time. How late each read was is kept beside it. Where there is no such stamp, or the wall clock was set, it is when
the read returned. What comes while nobody reads is one segment to the kernel by the time it is read, with the last one's
stamp: chunks of one read share a stamp, and when the others of them came is unknown. Over https a chunk has the stamp of
the segment that completed its record.

Token counts come from the best source there is, and its name stands with them: `token_ids` (the engine names the tokens
of each event), `continuous_usage` (it repeats its usage with each event), `usage` (with the last event: one token for each
of the `m` chunks and the surplus `n - m` shared in proportion to the length of text; with more chunks than tokens `n / m`
each, which is remarked), `tokenizer` (the answer counted by the `--tokenizer` file after the attempt, shared out alike),
`chunks` (approximate, and barred from comparison). Where counts of chunks and final usage differ by over 1 % the attempt
is remarked.
";

const STATISTICS: &str = "
## Percentiles

Exact, from the raw values, interpolated linearly (type 7 of Hyndman and Fan), each with a distribution-free 95 % interval
of order statistics. It exists from so many values on: p50 6, p90 36, p95 72, p99 368. Below that there is no percentile:
\"n too small\", with the maximum. Percentiles are never averaged. Token-weighted inter-token latency and chunk gaps are
quantiles of all values of a set; the gaps of one answer depend on each other, so they have no interval.
";

const MAPPING: &str = "\
The same word means different things. Example: 2 s to the first token, 200 tokens, 20 ms each; TPOT is 20.0 ms here, in
vLLM, aiperf (as ITL) and MLPerf, and 29.9 ms in guidellm.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_catalogue() {
        let page = include_str!("../../docs/metrics.md");
        assert!(
            page == document(),
            "write it again: cargo run -p regatta-report --example metrics > docs/metrics.md"
        );
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = [OF_REQUESTS, OF_SETS].concat().iter().map(|m| m.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
