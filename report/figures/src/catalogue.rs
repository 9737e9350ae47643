//! The catalogue of metrics: what each is called, how it is computed and when there is none. The
//! page docs/metrics.md is written from it.

use regatta_types::metric::{Better, Metric};

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

type Text = &'static str;

const fn lower(name: Text, unit: Text, formula: Text, edge_cases: Text) -> Definition {
    Definition { name, unit, better: Better::Lower, formula, edge_cases }
}

const fn higher(name: Text, unit: Text, formula: Text, edge_cases: Text) -> Definition {
    Definition { name, unit, better: Better::Higher, formula, edge_cases }
}

const fn neither(name: Text, unit: Text, formula: Text, edge_cases: Text) -> Definition {
    Definition { name, unit, better: Better::Neither, formula, edge_cases }
}

/// One that hosts are compared in, in its base unit.
const fn compared(of: Metric, unit: &'static str, edge_cases: &'static str) -> Definition {
    let info = of.info();
    Definition { name: info.name, unit, better: info.better, formula: info.formula, edge_cases }
}

/// Metrics of one request.
pub const OF_REQUESTS: &[Definition] = &[
    compared(
        Metric::Ttft,
        "s",
        "Role, empty and usage events are no token; reasoning is. None without a token",
    ),
    lower(
        "ttft_sched",
        "s",
        "t_1 - t_sched",
        "Open loops only; what their percentiles and limits count from",
    ),
    compared(
        Metric::FirstAnswer,
        "s",
        "None if only reasoning came. Equal to ttft without reasoning",
    ),
    higher(
        "prefill_tps",
        "tok/s",
        "(p - c) / ttft",
        "Contains queueing, so only with one stream. None with fewer than 256 uncached prompt tokens",
    ),
    higher(
        "decode_tps",
        "tok/s",
        "(n - k_1) / (t_last - t_1)",
        "None with fewer than two chunks, or fewer than 16 tokens after the first chunk. Not (n - 1): the first chunk may hold several tokens",
    ),
    lower("tpot", "s", "1 / decode_tps", "As decode_tps. Its median is shown, not its mean"),
    lower(
        "itl",
        "s",
        "(t_i - t_(i-1)) / k_i, weighted by k_i",
        "Chunks of one read count as one. One without tokens hands its gap to the next. Never 0 because several tokens came together",
    ),
    lower(
        "chunk_gap",
        "s",
        "t_i - t_(i-1)",
        "The raw gaps between chunks with text: the stutter that a reader sees. None between chunks of one read. `chunk_gap_s` in run.json",
    ),
    compared(
        Metric::E2e,
        "s",
        "The end of the response (t_done) is told apart where it comes over 50 ms later",
    ),
    lower("e2e_sched", "s", "t_last - t_sched", "Open loops only"),
    higher(
        "e2e_tps",
        "tok/s",
        "n / e2e",
        "Contains prefill and queueing; never called generation speed",
    ),
    lower(
        "send_lateness",
        "s",
        "t_send - t_sched",
        "Open loops only. Of the client, not of the engine",
    ),
];

/// Metrics of a set of requests: an attempt, a case, a host.
pub const OF_SETS: &[Definition] = &[
    compared(
        Metric::DecodeTps,
        "tok/s",
        "Over the requests that have a decode_tps. What hosts are compared by",
    ),
    compared(
        Metric::OutputTps,
        "tok/s",
        "The window is from the first send plus one mean service time to the last send (open loop: the last scheduled send). None with fewer than 3 requests, or if that part is shorter than half a mean service time",
    ),
    higher(
        "request_rate",
        "1/s",
        "successes that end in the steady window / its length",
        "As output_tps",
    ),
    lower(
        "error_rate",
        "share",
        "failed / (ok + failed)",
        "Cancelled and unsent requests apart. Failed requests enter no latency and no speed",
    ),
    higher(
        "goodput",
        "1/s and share",
        "requests that keep every limit of the case / s; and of those offered",
        "Failed and unsent requests miss. A limit on a metric that a request cannot have is no limit to it. None without limits",
    ),
    neither("cached_share", "share", "c / p", "None if the engine does not tell c"),
    lower(
        "cold_start",
        "s",
        "e2e of the first settling request - what an answer of its length takes later",
        "In no other figure",
    ),
    neither(
        "drift",
        "share; per minute",
        "last against first quarter of decode_tps; Theil-Sen slope over time",
        "99 % intervals. `drifting` if the change is over 2 % and both intervals exclude 0",
    ),
    neither(
        "mem_peak",
        "bytes",
        "largest NVML sample of memory in use in an attempt",
        "Sampled at 10 Hz. An engine's reserve dominates it",
    ),
    lower(
        "cpu_share",
        "share of a core",
        "CPU time of the measuring thread / duration of the attempt",
        "Of the client. Over 80 % is `client_cpu`",
    ),
    lower(
        "read_late",
        "s",
        "read of a chunk - its arrival by the kernel",
        "Of the client, one for each read. In no other figure, because the stamps are the kernel's",
    ),
    lower(
        "client_floor",
        "s; s per 1,000 tokens",
        "ttft, gap error and CPU at an endpoint in the agent's own process",
        "Subtracted from nothing",
    ),
    neither(
        "kv_peak",
        "share",
        "largest sample of the engine's KV cache gauge",
        "From /metrics, one sample a second: peaks between two are not seen. Of several engines the highest",
    ),
    neither(
        "running_max, waiting_max",
        "requests",
        "largest sample of the engine's gauge",
        "From /metrics. Requests of others are in it",
    ),
    lower(
        "queue_mean_s",
        "s",
        "growth of the engine's queue time / growth of its count",
        "From /metrics. Explains ttft and never replaces it",
    ),
    neither(
        "prefix_hit_share",
        "share",
        "growth of prompt tokens found in the prefix cache / of those looked up",
        "From /metrics. None if none was looked up, or the counters ran backwards (restart)",
    ),
    lower(
        "preemptions",
        "requests",
        "growth of the engine's counter",
        "From /metrics. Requests that were put back to make room in the KV cache",
    ),
    higher(
        "acceptance",
        "share",
        "growth of drafted tokens that were accepted / of those drafted",
        "From /metrics. None without speculative decoding",
    ),
    lower(
        "energy",
        "J",
        "NVML's energy counter at the end - at the begin of an attempt",
        "The endpoint's GPU boards, attempts of at least 5 s. Withheld where the power samples make over 10 % more or less of it, or the counter ran backwards. `joules` in run.json",
    ),
    compared(
        Metric::Energy,
        "J/tok",
        "None where energy is withheld or some requests do not tell their tokens. Above idle beside it, never instead of it",
    ),
    higher(
        "tok_per_s_per_w",
        "tok/s/W",
        "output_tps / mean power of the endpoint's GPUs",
        "Loads only. Power is the mean of the samples over the whole attempts, output that of the steady window. None without either",
    ),
    higher(
        "mbu",
        "share",
        "decode_tps at one stream x active_weights / theoretical memory bandwidth",
        "decode_tps: all decode tokens / all decode seconds of cases at one stream; bandwidth: bus width x highest memory clock x 2, of the endpoint's GPUs together. A sanity light: the KV cache is not in it, and accepted drafts raise it. Below 20 % the report says what that usually means. `bandwidth` in run.json",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = [OF_REQUESTS, OF_SETS].concat().iter().map(|m| m.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
