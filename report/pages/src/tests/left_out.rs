//! What stays out of a comparison, by its code, and what is said of it.

use regatta_types::event::MissingReason;
use regatta_types::metric::Metric;
use regatta_types::reading::Reading;
use regatta_types::suite::Length;
use regatta_types::trace::{ChunkCounts, FinishReason, Usage};

use super::compared::verdict;
use super::{attempts_of, page, three_hosts};
use crate::testing::{RunBuilder, TestHost, WholeRun, lose, summary};
use regatta_figures::compare::{Unjudged, Verdict};

#[test]
fn hosts_whose_tokens_are_counted_otherwise_are_left_out_of_speeds_only() {
    let mut record = three_hosts();
    for attempt in attempts_of(&mut record, "gpu-02") {
        let trace = &mut attempt.report.traces[0];
        trace.chunk_counts = Some(ChunkCounts::TokenIds);
        for chunk in &mut trace.chunks {
            chunk.tokens = Some(1);
        }
    }
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), None);
    assert_eq!(verdict(&record, Metric::Ttft, "gpu-02"), Some(Verdict::Equivalent));
    assert!(summary(&record).verdict_lines.iter().any(|l| l.contains("C9")));
    let why = "| not comparable (C9: token counts from &#96;token_ids&#96;, on most hosts from &#96;usage&#96;)";
    let page = page(&record, "report.md");
    let cells = page.matches(why).count();
    assert_eq!(cells, 3, "beside its name, and in each of the two cases: {page}");
}

#[test]
fn answers_of_different_length_are_compared_in_speed_and_not_end_to_end() {
    let mut record = three_hosts();
    for attempt in attempts_of(&mut record, "gpu-02") {
        attempt.report.traces[0].finish_reason = Some(FinishReason::Stop);
    }
    let lines = summary(&record).verdict_lines;
    let why = "not comparable (C6: the answers differ in length or in how they end)";
    assert!(lines.iter().any(|l| *l == format!("End-to-end time: {why}.")), "{lines:?}");
    let page = page(&record, "report.md");
    let rows = page.matches(&format!("| {why} |")).count();
    assert_eq!(rows, 3 + 2 * 2, "one row for each host, and one for each case: {page}");
    let left_out = "Left out of the comparison of end-to-end time, 2 cases (C6:";
    assert!(lines.iter().any(|l| l.starts_with(left_out)), "{lines:?}");
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), Some(Verdict::Equivalent));
}

#[test]
fn cut_answers_of_natural_length_are_compared_end_to_end_only_where_equally_long() {
    let mut record = RunBuilder::new(&["Debug task"], 5)
        .requests(40)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02"))
        .build();
    record.header.suite.cases[0].length = Length::Natural;
    let said = |record: &WholeRun| summary(record).verdict_lines.join("\n");
    let why = "End-to-end time: not comparable (C7: answers of natural length were cut, and not all \
               are equally long).";
    assert!(!said(&record).contains(why), "all ran to the limit: {}", said(&record));
    let bold = "**24,000**";
    assert!(page(&record, "hosts/gpu-01.md").contains(bold), "the lengths are marked");
    for attempt in attempts_of(&mut record, "gpu-02") {
        let trace = &mut attempt.report.traces[0];
        trace.finish_reason = Some(FinishReason::Stop);
        trace.usage = trace.usage.map(|usage| Usage { completion: 119, ..usage });
        trace.chunks.truncate(119);
    }
    assert!(said(&record).contains(why), "{}", said(&record));
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), Some(Verdict::Equivalent));
    record.header.suite.cases[0].length = Length::Fixed;
    assert!(!said(&record).contains(why), "{}", said(&record));
}

#[test]
fn a_class_whose_hosts_differ_in_a_limit_has_a_badge() {
    let mut record = three_hosts();
    assert!(!page(&record, "report.md").contains("C5: GPU power limit"));
    if let Reading::Known(inventory) = &mut record.hosts[2].gpus {
        inventory.gpus[0].power_limit_w = Reading::Known(450.0);
    }
    let badge = "| unverified: quantisation unknown; C5: GPU power limit differs |";
    assert!(page(&record, "report.md").contains(badge), "{}", page(&record, "report.md"));
}

#[test]
fn a_verdict_from_some_of_the_repetitions_has_a_badge() {
    let mut record = three_hosts();
    lose(&mut record, &MissingReason::Cancelled, |cell| {
        cell.host.as_str() == "gpu-02" && cell.repetition.0 == 5
    });
    let badge = "equivalent (indicative; C11: 4 of 5 repetitions)";
    assert_eq!(summary(&record).hosts[1].verdict, badge);
    let report = page(&record, "report.md");
    assert!(report.contains("| gpu-02 |      4 of 5 |"), "{report}");
    assert!(report.contains("| gpu-01 |           5 |"), "{report}");
}

#[test]
fn two_hosts_are_held_to_the_bands_by_their_distance_from_each_other() {
    // The middle of 100 and 118 tokens is 8 % away from both, so the pair passed a band of 10 %.
    let compared = |tokens: u64, cached: u64| {
        let run = RunBuilder::new(&["Debug task"], 5).tokens(100);
        let mut record = run.host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02")).build();
        for attempt in attempts_of(&mut record, "gpu-02") {
            let usage = attempt.report.traces[0].usage.as_mut().unwrap();
            usage.completion = tokens;
            (usage.prompt, usage.cached) = (1_000, Some(cached));
        }
        [Metric::E2e, Metric::Ttft].map(|metric| {
            let few = Verdict::NotJudged(Unjudged::TooFewRepetitions);
            verdict(&record, metric, "gpu-02") != Some(few)
        })
    };
    assert_eq!(compared(109, 9), [true, true]);
    assert_eq!(compared(118, 9), [false, true], "C6");
    assert_eq!(compared(109, 18), [true, false], "C8");
}

#[test]
fn cached_prompts_are_not_compared_in_the_time_to_first_token() {
    let mut record = three_hosts();
    for attempt in attempts_of(&mut record, "gpu-02") {
        if let Some(usage) = &mut attempt.report.traces[0].usage {
            usage.cached = Some(64);
        }
    }
    let few = Some(Verdict::NotJudged(Unjudged::TooFewRepetitions));
    assert_eq!(verdict(&record, Metric::Ttft, "gpu-01"), few);
    assert!(summary(&record).verdict_lines.iter().any(|l| l.contains("(C8:")));
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-01"), Some(Verdict::Equivalent));
}
