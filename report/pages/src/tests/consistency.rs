//! Statements of the report match the run: one test for each statement that was wrong once.

use regatta_figures::metrics::GpuSum;

use super::*;

fn hosts(n: u32, repetitions: u32, noise: f64) -> WholeRun {
    two_cases(repetitions).fleet_of(n, |_, host| TestHost { noise, ..host }).build()
}

fn engine_warmup(record: &mut WholeRun) -> &mut AttemptRecord {
    record.attempts.iter_mut().find(|a| a.disposition == Disposition::EngineWarmup).unwrap()
}

#[test]
fn a_host_has_the_same_decode_speed_on_every_page_and_the_total_is_their_sum() {
    let record = hosts(2, 5, 0.2);
    let hosts = summary(&record).hosts;
    let speed = hosts[0].decode_tps.unwrap();
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, &format!("**Decode speed: {speed:.2} tok/s single-stream (95 % CI "));
    has(&own, "n = 5, geometric mean of 2 cases).**");
    let combined = page(&record, "report.md");
    has(&combined, &format!("| gpu-01 |           5 |         {speed:.2} |"));
    assert_eq!(own.matches("all decode tokens / all decode seconds").count(), 1);
    let sums = Analysis::new(&record).unwrap().hosts[0].figures.decode.per_second().unwrap();
    assert!((sums / speed - 1.0).abs() > 0.001, "the ratio of sums differs: {sums}");
    let sum: f64 = hosts.iter().filter_map(|h| h.decode_tps).sum();
    let label = "sum of the decode speeds, one stream per host (tok/s)";
    let row = combined.lines().find(|l| l.contains(label)).unwrap();
    has(row, &format!(" {sum:.2} |"));
}

#[test]
fn two_hosts_with_too_few_shared_repetitions_have_no_verdict() {
    let mut record = hosts(2, 5, 0.005);
    lose_of(&mut record, "gpu-01", 1..=2);
    lose_of(&mut record, "gpu-02", 3..=3);
    let lines = answer(&record);
    has(&lines, "Decode speed: no verdict: no two hosts share 3 complete repetitions.");
    lacks(&lines, "fewer than two hosts");
    let why = "fewer than 3 complete repetitions shared with other hosts (C11).";
    has(&lines, &format!("No verdict on gpu-01, gpu-02: {why}"));
}

#[test]
fn without_token_counts_a_total_is_a_lower_bound_and_the_other_host_has_no_verdict() {
    let mut record = hosts(2, 5, 0.005);
    traces_of(&mut record, "gpu-02").for_each(|t| t.usage = None);
    has(&answer(&record), "Decode speed: no verdict: all other hosts are excluded.");
    has(&page(&record, "report.md"), "| at least 960 (reported by 10 of 20 requests) |");
    let own = page(&record, "hosts/gpu-02.md");
    has(&own, "Cached, Reasoning omitted: not reported by the engine.");
}

#[test]
fn with_two_hosts_the_difference_matches_the_shown_values() {
    let mut record = hosts(2, 5, 0.1);
    lose_of(&mut record, "gpu-01", 2..=2);
    let analysis = Analysis::new(&record).unwrap();
    let report = analysis.classes[0].metric(Metric::DecodeTps).unwrap();
    let outcomes = report.by_case.iter().map(|c| &c.outcome).chain([&report.outcome]);
    for outcome in outcomes {
        let [first, second] = outcome.hosts.as_slice() else { panic!("two hosts") };
        let difference = second.mean.unwrap() - first.mean.unwrap();
        assert!((second.effect.unwrap().mean - difference).abs() < 1e-12, "{outcome:?}");
        assert_eq!((first.repetitions, second.repetitions), (4, 4));
    }
    let page = page(&record, "report.md");
    has(&page, "In parentheses: difference from the other host");
    for word in ["fleet", "Fleet", "median of the hosts"] {
        lacks(&page, word);
    }
}

#[test]
fn the_difference_from_the_median_is_paired_and_needs_four_hosts() {
    lacks(&page(&hosts(3, 5, 0.005), "report.md"), "vs. median");
    // All hosts are 10 % faster in the repetition that one of them lacks.
    let mut record = hosts(4, 4, 0.0);
    for attempt in counted(&mut record).filter(|a| a.report.key.cell.repetition.0 == 4) {
        stretch(attempt, 10.0 / 11.0);
    }
    lose_of(&mut record, "gpu-02", 4..=4);
    has(&page(&record, "report.md"), "vs. median (%)");
    let hosts = found(&record, Metric::DecodeTps, |report| report.outcome.hosts.clone()).unwrap();
    let [full, gap, ..] = hosts.as_slice() else { panic!("four hosts") };
    assert!(gap.mean.unwrap() < full.mean.unwrap() - 0.02, "the means alone would differ");
    assert!(gap.from_median.unwrap().abs() < 1e-6, "{gap:?}");
}

#[test]
fn only_the_rule_that_applies_is_described() {
    let starts = ["Two compared hosts:", "Three compared hosts:", "Four or more compared hosts:"];
    for (n, own) in [(2, 0), (3, 1), (4, 2)] {
        let page = page(&hosts(n, 5, 0.005), "report.md");
        for (index, start) in starts.iter().enumerate() {
            let times = if index == own { 2 } else { 0 };
            assert_eq!(page.matches(start).count(), times, "{n} hosts, {start}");
        }
        let columns =
            "Decode speed (%, 95 % CI) | Time to first token (%, 95 % CI) | End-to-end time";
        assert!(n != 3 || page.contains(columns), "{page}");
    }
}

#[test]
fn a_case_without_a_usable_attempt_is_excluded_for_that_reason() {
    let mut record = three_hosts();
    let is_lost = |a: &&mut AttemptRecord| a.report.key.cell.case.as_str() == "debug-task";
    for attempt in counted(&mut record).filter(is_lost) {
        let failed = Failure::new(FailureKind::Reset, "gone");
        attempt.report.traces[0].outcome = Outcome::Failed(failed);
    }
    let lines = answer(&record);
    has(&lines, ": 1 case (debug-task). Reason: no usable attempt: no_ok_request.");
    lacks(&lines, "too short");
    let mut short = three_hosts();
    for attempt in counted(&mut short) {
        attempt.report.traces[0].chunks.truncate(10);
        attempt.report.traces[0].usage.as_mut().unwrap().completion = 10;
    }
    let cases = "2 cases (backend-system, debug-task)";
    has(
        &answer(&short),
        &format!("decode speed: {cases}. Reason: answers too short for a decode speed."),
    );
}

#[test]
fn an_engine_warm_up_that_did_not_stabilize_is_reported_on_every_page() {
    let mut record = three_hosts();
    engine_warmup(&mut record).report.findings.push(Finding {
        evidence: "after 60 s the last 3 speeds differed by 8.1 %".to_owned(),
        advice: "see whether something else uses the machine".to_owned(),
        ..finding("not_settled", Validity::Degraded)
    });
    let combined = page(&record, "report.md");
    let said = "after 60 s the last 3 speeds differed by 8.1 %";
    has(&combined, &format!("- gpu-01: engine warm-up: {said} (not_settled)."));
    has(&combined, &format!("| degraded: not_settled ({said}) | engine warm-up |"));
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, "**Result: degraded.**");
    let said = format!("Engine warm-up: {said} (**not_settled**).");
    assert_eq!(own.matches(&said).count(), 2, "in the summary and with the warm-up");
    has(&own, "see whether something else uses the machine");
    assert_eq!(run_json(&record)["hosts"][0]["settling"][0]["findings"][0]["code"], "not_settled");
}

#[test]
fn hosts_that_report_cached_tokens_differently_are_excluded_from_ttft() {
    let silence = |record: &mut WholeRun, host: &str| {
        traces_of(record, host).for_each(|t| t.usage.as_mut().unwrap().cached = None);
    };
    let excluded = |record: &WholeRun| {
        lines(record).into_iter().find(|l| l.contains("C8")).unwrap_or_default()
    };
    let mut record = three_hosts();
    silence(&mut record, "gpu-02");
    let unreported = "cached prompt tokens are not reported, unlike on other hosts (C8).";
    has(&excluded(&record), &format!("time to first token: gpu-02. Reason: {unreported}"));
    silence(&mut record, "gpu-03");
    let reported = "cached prompt tokens are reported, unlike on most hosts (C8).";
    has(&excluded(&record), &format!("time to first token: gpu-01. Reason: {reported}"));
    silence(&mut record, "gpu-01");
    assert_eq!(excluded(&record), "", "no host reports them, so all are alike");
    let mut partly = three_hosts();
    let first = traces_of(&mut partly, "gpu-02").next().unwrap();
    first.usage.as_mut().unwrap().cached = None;
    let partial = "cached prompt tokens are reported for only some requests (C8).";
    has(&excluded(&partly), &format!(": 1 case (backend-system). Reason: {partial}"));
}

#[test]
fn a_row_counts_the_same_attempts_in_every_column() {
    let mut record = hosts(2, 5, 0.005);
    lacks(&page(&record, "report.md"), "Invalid cells");
    let stall = finding("client_stall", Validity::Invalid);
    counted(&mut record).next().unwrap().report.findings.push(stall);
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, "- 10 counted attempts (");
    has(&own, ": 10 measured requests OK, 0 failed, 10 truncated; 960 prompt tokens, 1,400 comp");
    has(&own, " tokens. 1 attempt invalid, excluded from all figures (C10).");
    let combined = page(&record, "report.md");
    let succeeded = combined.lines().find(|l| l.contains("requests that succeeded")).unwrap();
    assert!(succeeded.contains(" 20 |") && succeeded.ends_with(" 19 |"), "{succeeded}");
    has(&combined, "Invalid cells | OK requests in invalid cells |");
}

#[test]
fn equal_lengths_are_reported_once_and_mixed_truncation_is_marked() {
    let mut record = three_hosts();
    let said = "All answers ran to max_tokens, so their lengths are equal.";
    assert_eq!(page(&record, "report.md").matches(said).count(), 1);
    lacks(&page(&record, "hosts/gpu-01.md"), "**5**");
    traces_of(&mut record, "gpu-02").for_each(|t| t.finish_reason = Some(FinishReason::Stop));
    let combined = page(&record, "report.md");
    has(&combined, "20 of 30 answers were truncated by max_tokens or the context length");
    has(&combined, "**10**");
    let mut cut = three_hosts();
    traces_of(&mut cut, "gpu-02").next().unwrap().usage.as_mut().unwrap().completion -= 1;
    lacks(&page(&cut, "report.md"), said);
}

#[test]
fn repetitions_that_differ_by_case_are_listed_by_case() {
    let mut record = three_hosts();
    record.header.suite.cases[1].repetitions = 3;
    let said = "on every host, 5 times: backend-system; 3 times: debug-task. The order";
    has(&page(&record, "report.md"), said);
}

#[test]
fn sums_over_several_gpus_are_marked() {
    let mut record = three_hosts();
    for attempt in &mut record.attempts {
        let series = series(attempt);
        series.push(GpuSeries { uuid: "GPU-second".to_owned(), ..series[0].clone() });
        attempt.report.gpu.attribution = None;
    }
    let combined = page(&record, "report.md");
    has(&combined, "sums over all GPUs of the host, unattributed: it is not known");
    let label = "mean GPU board powers in usable attempts, all GPUs of a host, unattributed (W)";
    has(&combined, &format!("sum of the {label}"));
    has(&combined, "| 2 GPUs |");
    has(&page(&record, "hosts/gpu-01.md"), "All GPUs of the host, unattributed");
    let gpus = Analysis::new(&record).unwrap().hosts[0].gpus.clone().unwrap();
    assert_eq!(GpuSum::of(&gpus).memory_peak, Some(Bytes((2 * 88_431) << 20)));
}

#[test]
fn a_long_engine_warm_up_shows_its_beginning_and_its_end() {
    let mut record = three_hosts();
    let report = &mut engine_warmup(&mut record).report;
    let one = report.traces[1].clone();
    report.traces = (0..71).map(|seq| RequestTrace { seq, ..one.clone() }).collect();
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, "71 requests before the run");
    has(&own, "63 between the first 5 and the last 3 omitted");
    assert_eq!(own.lines().filter(|l| l.contains("| ok     |")).count(), 8);
}
