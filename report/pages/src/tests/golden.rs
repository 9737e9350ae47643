//! Whole pages, reviewed like code.

use regatta_types::trace::Phase;

use super::*;

#[test]
fn a_slow_host_among_three_is_named_with_its_difference() {
    let record = three_hosts();
    insta::assert_snapshot!(page(&record, "report.md"));
    assert_eq!(completeness(&record), Completeness::Complete);
    let summary = summary(&record);
    has(&summary.verdict_lines[0], "gpu-03 is 20.2 % slower");
    assert_eq!(summary.hosts[2].verdict, "slower");
}

#[test]
fn the_report_of_a_slow_host_among_three() {
    insta::assert_snapshot!(page(&three_hosts(), "hosts/gpu-03.md"));
}

#[test]
fn one_host_with_several_streams_has_figures_but_no_verdict() {
    let run = RunBuilder::new(&["Chat at eight streams"], 3).requests(80).concurrency(8);
    let record = run.fleet(1).build();
    insta::assert_snapshot!("one_host_combined", page(&record, "report.md"));
    insta::assert_snapshot!("one_host", page(&record, "hosts/gpu-01.md"));
}

#[test]
fn a_partial_run_lists_missing_cells_with_reasons() {
    let mut record = three_hosts();
    let lost = MissingReason::AgentLost { progress: "7 of 10 requests".to_owned() };
    lose(&mut record, &lost, |cell| cell.host.as_str() == "gpu-02" && cell.repetition.0 > 2);
    record.absent = 1;
    let (host, reason) = (record.hosts[1].host.clone(), "silent for 120 s".to_owned());
    record.events.push(RunEvent {
        seq: 7,
        at: UnixNs(0),
        elapsed: Duration::from_millis(61_250),
        kind: EventKind::AgentLost { host, reason },
    });
    let failure = Failure::new(FailureKind::HttpStatus, "503 overloaded").with_status(503);
    let trace = &mut attempts_of(&mut record, "gpu-03").nth(1).unwrap().report.traces[0];
    trace.chunks.clear();
    trace.usage = None;
    trace.outcome = Outcome::Failed(failure);
    insta::assert_snapshot!("partial_combined", page(&record, "report.md"));
    insta::assert_snapshot!("partial_host", page(&record, "hosts/gpu-02.md"));
    assert_eq!(completeness(&record), Completeness::Partial);
}

#[test]
fn a_request_line_has_every_field_in_order() {
    let mut record = RunBuilder::new(&["Tiny"], 1).fleet(1).build();
    let warmup = &mut record.attempts[0].report;
    warmup.traces[0].chunks.truncate(3);
    warmup.traces[1] = RequestTrace::new(1, 0, Phase::Warmup);
    let lines = page(&record, "requests.jsonl");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 4, "three engine warm-up requests and one measured");
    let first_two = lines[..2].join("\n");
    insta::assert_snapshot!(first_two.replace(",\"", ",\n\""));
    has(lines[3], "\"counted\":true,\"concurrency\":1,");
}

#[test]
fn answers_appear_only_if_their_text_was_kept() {
    let mut run = RunBuilder::new(&["Tiny"], 3).fleet(1);
    lacks(&page(&run.build(), "hosts/gpu-01.md"), "previews");
    run.keep_text = true;
    let preview = "````text\n# Tiny\n\n```rust\nfn main() {}\n```\n````\n";
    has(&page(&run.build(), "hosts/gpu-01.md"), preview);
}
