//! The page docs/metrics.md, from the catalogue of metrics.

use regatta_figures::catalogue::{Definition, OF_REQUESTS, OF_SETS};
use regatta_types::metric::Better;

/// The page docs/metrics.md.
#[must_use]
pub fn document() -> String {
    let (of_requests, of_sets) = (rows(OF_REQUESTS), rows(OF_SETS));
    format!(
        "\
# Metrics (metrics_schema 1)

Written from the catalogue in report/figures/src/catalogue.rs: `cargo run -p regatta-report --example metrics > docs/metrics.md`.

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

## Of one request

| name | unit | better | formula | edge cases |
| --- | --- | --- | --- | --- |
{of_requests}
## Of several requests

| name | unit | better | formula | edge cases |
| --- | --- | --- | --- | --- |
{of_sets}
## Percentiles

Exact, from the raw values, interpolated linearly (type 7 of Hyndman and Fan), each with a distribution-free 95 % interval
of order statistics. It exists from so many values on: p50 6, p90 36, p95 72, p99 368. Below that there is no percentile:
\"n too small\", with the maximum. Percentiles are never averaged. Token-weighted inter-token latency and chunk gaps are
quantiles of all values of a set; the gaps of one answer depend on each other, so they have no interval.

## What other tools call it

The same word means different things. Example: 2 s to the first token, 200 tokens, 20 ms each; TPOT is 20.0 ms here, in
vLLM, aiperf (as ITL) and MLPerf, and 29.9 ms in guidellm.

| here | vLLM bench serve | aiperf | guidellm | SGLang bench_serving | MLPerf LoadGen |
| --- | --- | --- | --- | --- | --- |
| start of ttft | before connecting; the wait for a slot apart | request send | wall clock before the request | a new connection each request, connecting inside | the scheduled time |
| ttft | TTFT: first chunk with `choices`, even without text | TTFT: first content that is not empty | TTFT: first content, reasoning or tool call | TTFT: first content or reasoning | TTFT: first-token callback - scheduled time |
| ttfa | - | TTFO | first output token | - | - |
| prefill_tps | - | input tokens / TTFT, queueing included | - | - | - |
| tpot | TPOT: (latency - TTFT) / (n - 1) | called ITL: (latency - TTFT) / (n - 1) | called ITL: (last - first) / (n - 1). Its TPOT is (last - start) / n and holds the first token | TPOT: (latency - TTFT) / (n - 1) | TPOT: (latency - TTFT) / (n - 1); n must exceed 1 |
| chunk_gap | called ITL, per chunk | ICL | - | called ITL, per chunk (divided by the mean accept length if known) | - |
| end of e2e | last content; the usage event is no content | last content | end of the stream | end of the stream | completion callback |
| output_tps | all output tokens / whole duration, drain included | all tokens / first send to last response | tokens spread between first and last event, in a window without warm-up and cool-down | all output tokens / whole duration, drain included | tokens/s, valid runs only |
| goodput | good / s over completed requests; a missing TPOT counts as 0 | good / s, errors in the denominator | errors miss, cancelled left out | - | pass or fail at a percentile |
| token counts | usage, else re-tokenised text, else 1 | client tokenizer; usage beside it | usage or tokenizer | usage and re-tokenised text | the system under test; lengths checked by TEST06 |
"
    )
}

fn rows(metrics: &[Definition]) -> String {
    let row = |m: &Definition| {
        let (better, edge_cases) = (word(m.better), m.edge_cases);
        format!("| `{}` | {} | {better} | `{}` | {edge_cases} |\n", m.name, m.unit, m.formula)
    };
    metrics.iter().map(row).collect()
}

fn word(better: Better) -> &'static str {
    match better {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::Neither => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_catalogue() {
        let page = include_str!("../../../docs/metrics.md");
        assert!(
            page == document(),
            "write it again: cargo run -p regatta-report --example metrics > docs/metrics.md"
        );
    }
}
