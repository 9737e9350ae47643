//! Exclusions from the comparison, by code, and how the report describes them.

use regatta_types::trace::ChunkCounts;

use super::compared::verdict;
use super::*;

/// Every case is excluded, so no host has enough repetitions.
const NONE: Option<Judgement> = Some(Judgement::NotJudged(Reason::TooFewRepetitions));

#[test]
fn hosts_with_another_token_source_are_excluded_from_speeds_only() {
    let mut record = three_hosts();
    for trace in traces_of(&mut record, "gpu-02") {
        trace.chunk_counts = Some(ChunkCounts::TokenIds);
        trace.chunks.iter_mut().for_each(|chunk| chunk.tokens = Some(1));
    }
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), None);
    assert_eq!(verdict(&record, Metric::Ttft, "gpu-02"), EQUIVALENT);
    has(&answer(&record), "C9");
    let why = "| not comparable: token counts from &#96;token_ids&#96;, most hosts: &#96;usage&#96; (C9) |";
    let page = page(&record, "report.md");
    let cells = page.matches(why).count();
    assert_eq!(cells, 3, "of the host, and of each of the two cases: {page}");
}

#[test]
fn answers_of_different_length_are_compared_in_speed_but_not_end_to_end() {
    let mut record = three_hosts();
    traces_of(&mut record, "gpu-02").for_each(|t| t.finish_reason = Some(FinishReason::Stop));
    let why = "not comparable: answers differ in length or in how they end (C6)";
    assert_eq!(line(&record, "End-to-end time"), format!("End-to-end time is {why}."));
    let page = page(&record, "report.md");
    let rows = page.matches(&format!("| {why} |")).count();
    assert_eq!(rows, 3 + 2 * 2, "of each host, and of each case: {page}");
    let excluded = "Excluded from the comparison of end-to-end time: 2 cases (backend-system, debug-task). Reason: answers differ in length or in how they end (C6).";
    line(&record, excluded);
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), EQUIVALENT);
}

/// One answer of forty is one token shorter on one host: too little for C6, but the natural lengths
/// of the others are unknown.
#[test]
fn truncated_answers_of_natural_length_are_compared_end_to_end_only_if_equally_long() {
    let mut record = RunBuilder::new(&["Debug task"], 5).requests(40).fleet(2).build();
    record.header.suite.cases[0].length = Length::Natural;
    let why = "End-to-end time is not comparable: answers of natural length were truncated and differ \
               in length (C7).";
    lacks(&answer(&record), why);
    has(&page(&record, "hosts/gpu-01.md"), "**24,000**");
    for attempt in attempts_of(&mut record, "gpu-02") {
        let trace = &mut attempt.report.traces[0];
        trace.finish_reason = Some(FinishReason::Stop);
        trace.usage.as_mut().unwrap().completion = 119;
        trace.chunks.truncate(119);
    }
    has(&answer(&record), why);
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), EQUIVALENT);
    record.header.suite.cases[0].length = Length::Fixed;
    lacks(&answer(&record), why);
}

#[test]
fn a_verdict_from_incomplete_repetitions_has_a_badge() {
    let mut record = three_hosts();
    lose_of(&mut record, "gpu-02", 5..);
    let badge = "equivalent (indicative; 4 of 5 repetitions, C11)";
    assert_eq!(summary(&record).hosts[1].verdict, badge);
    let report = page(&record, "report.md");
    has(&report, "| gpu-02 |      4 of 5 |");
    has(&report, "| gpu-01 |           5 |");
}

#[test]
fn two_hosts_are_checked_by_their_difference_from_each_other() {
    // The mean of 100 and 118 tokens is 8 % from both, so the pair used to pass a limit of 10 %.
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
    let why = "cached prompt tokens differ by more than 1 % of the prompt (C8).";
    has(&answer(&record), &format!("Time to first token is not comparable: {why}"));
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-01"), EQUIVALENT);
}
