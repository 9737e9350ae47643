//! What stays out of a comparison, by its code, and what is said of it.

use regatta_types::trace::ChunkCounts;

use super::compared::verdict;
use super::*;

/// Nothing is left to compare: each host is without the repetitions that it needs.
const NONE: Option<Judgement> = Some(Judgement::NotJudged(Reason::TooFewRepetitions));

#[test]
fn hosts_whose_tokens_are_counted_otherwise_are_left_out_of_speeds_only() {
    let mut record = three_hosts();
    for trace in traces_of(&mut record, "gpu-02") {
        trace.chunk_counts = Some(ChunkCounts::TokenIds);
        trace.chunks.iter_mut().for_each(|chunk| chunk.tokens = Some(1));
    }
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), None);
    assert_eq!(
        verdict(&record, Metric::Ttft, "gpu-02"),
        Some(Judgement::Verdict(Verdict::Equivalent))
    );
    has(&answer(&record), "C9");
    let why = "| not comparable (C9: token counts from &#96;token_ids&#96;, on most hosts from &#96;usage&#96;)";
    let page = page(&record, "report.md");
    let cells = page.matches(why).count();
    assert_eq!(cells, 3, "beside its name, and in each of the two cases: {page}");
}

#[test]
fn answers_of_different_length_are_compared_in_speed_and_not_end_to_end() {
    let mut record = three_hosts();
    traces_of(&mut record, "gpu-02").for_each(|t| t.finish_reason = Some(FinishReason::Stop));
    let why = "not comparable (C6: the answers differ in length or in how they end)";
    assert_eq!(line(&record, "End-to-end time"), format!("End-to-end time: {why}."));
    let page = page(&record, "report.md");
    let rows = page.matches(&format!("| {why} |")).count();
    assert_eq!(rows, 3 + 2 * 2, "one row for each host, and one for each case: {page}");
    line(&record, "Left out of the comparison of end-to-end time, 2 cases (C6:");
    assert_eq!(
        verdict(&record, Metric::DecodeTps, "gpu-02"),
        Some(Judgement::Verdict(Verdict::Equivalent))
    );
}

/// One answer of forty ended a token early on one host: nothing to C6, but nobody knows how long the
/// others would have been.
#[test]
fn cut_answers_of_natural_length_are_compared_end_to_end_only_where_equally_long() {
    let mut record = RunBuilder::new(&["Debug task"], 5).requests(40).fleet(2).build();
    record.header.suite.cases[0].length = Length::Natural;
    let why = "End-to-end time: not comparable (C7: answers of natural length were cut, and not all \
               are equally long).";
    lacks(&answer(&record), why);
    has(&page(&record, "hosts/gpu-01.md"), "**24,000**");
    for attempt in attempts_of(&mut record, "gpu-02") {
        let trace = &mut attempt.report.traces[0];
        trace.finish_reason = Some(FinishReason::Stop);
        trace.usage.as_mut().unwrap().completion = 119;
        trace.chunks.truncate(119);
    }
    has(&answer(&record), why);
    assert_eq!(
        verdict(&record, Metric::DecodeTps, "gpu-02"),
        Some(Judgement::Verdict(Verdict::Equivalent))
    );
    record.header.suite.cases[0].length = Length::Fixed;
    lacks(&answer(&record), why);
}

#[test]
fn a_verdict_from_some_of_the_repetitions_has_a_badge() {
    let mut record = three_hosts();
    lose_of(&mut record, "gpu-02", 5..);
    let badge = "equivalent (indicative; C11: 4 of 5 repetitions)";
    assert_eq!(summary(&record).hosts[1].verdict, badge);
    let report = page(&record, "report.md");
    has(&report, "| gpu-02 |      4 of 5 |");
    has(&report, "| gpu-01 |           5 |");
}

#[test]
fn two_hosts_are_held_to_the_bands_by_their_distance_from_each_other() {
    // The middle of 100 and 118 tokens is 8 % away from both, so the pair passed a band of 10 %.
    let compared = |tokens: u64, cached: u64| {
        let mut record = RunBuilder::new(&["Debug task"], 5).tokens(100).fleet(2).build();
        for trace in traces_of(&mut record, "gpu-02") {
            let usage = trace.usage.as_mut().unwrap();
            usage.completion = tokens;
            (usage.prompt, usage.cached) = (1_000, Some(cached));
        }
        [Metric::E2e, Metric::Ttft].map(|metric| verdict(&record, metric, "gpu-02") != NONE)
    };
    assert_eq!(compared(109, 9), [true, true]);
    assert_eq!(compared(118, 9), [false, true], "C6");
    assert_eq!(compared(109, 18), [true, false], "C8");
}

#[test]
fn cached_prompts_are_not_compared_in_the_time_to_first_token() {
    let mut record = three_hosts();
    traces_of(&mut record, "gpu-02").for_each(|t| t.usage.as_mut().unwrap().cached = Some(64));
    assert_eq!(verdict(&record, Metric::Ttft, "gpu-01"), NONE);
    has(&answer(&record), "(C8:");
    assert_eq!(
        verdict(&record, Metric::DecodeTps, "gpu-01"),
        Some(Judgement::Verdict(Verdict::Equivalent))
    );
}
