//! What the pages say is true of the run: one test for each statement that once was not.

use regatta_figures::metrics::GpuSum;

use super::*;

fn hosts(n: u32, repetitions: u32, noise: f64) -> WholeRun {
    two_cases(repetitions).fleet_of(n, |_, host| TestHost { noise, ..host }).build()
}

fn engine_warmup(record: &mut WholeRun) -> &mut AttemptRecord {
    record.attempts.iter_mut().find(|a| a.disposition == Disposition::EngineWarmup).unwrap()
}

#[test]
fn one_host_has_one_decode_speed_on_every_page_and_the_sum_is_that_of_the_column() {
    let record = hosts(2, 5, 0.2);
    let hosts = summary(&record).hosts;
    let speed = hosts[0].decode_tps.unwrap();
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, &format!("**Decode speed: {speed:.2} tok/s at one stream (95 % CI "));
    has(&own, "5 repetitions, geometric mean of 2 cases).**");
    let combined = page(&record, "report.md");
    has(&combined, &format!("| gpu-01 |           5 |         {speed:.2} |"));
    assert_eq!(own.matches("all decode tokens / all decode seconds").count(), 1);
    let sums = Analysis::new(&record).unwrap().hosts[0].figures.decode.per_second().unwrap();
    assert!((sums / speed - 1.0).abs() > 0.001, "the ratio of sums is another number: {sums}");
    let sum: f64 = hosts.iter().filter_map(|h| h.decode_tps).sum();
    let label = "decode speeds of section 3, one stream on each host (tok/s)";
    let row = combined.lines().find(|l| l.contains(label)).unwrap();
    has(row, &format!(" {sum:.2} |"));
}

#[test]
fn two_hosts_that_share_too_little_are_told_so() {
    let mut record = hosts(2, 5, 0.005);
    lose_of(&mut record, "gpu-01", 1..=2);
    lose_of(&mut record, "gpu-02", 3..=3);
    let lines = answer(&record);
    has(&lines, "Decode speed: no verdict, no two hosts share 3 complete repetitions.");
    lacks(&lines, "fewer than two hosts");
    let why =
        "No verdict on gpu-01, gpu-02 (C11: fewer than 3 complete repetitions that the others";
    has(&lines, why);
}

#[test]
fn without_token_counts_a_total_is_no_total_and_the_only_host_left_does_not_lack_repetitions() {
    let mut record = hosts(2, 5, 0.005);
    traces_of(&mut record, "gpu-02").for_each(|t| t.usage = None);
    has(&answer(&record), "Decode speed: no verdict, the other hosts had to stay out.");
    has(&page(&record, "report.md"), "| at least 960 (10 of 20 requests told) |");
    has(&page(&record, "hosts/gpu-02.md"), "Not shown: Cached, Reasoning, because the engine");
}

#[test]
fn of_two_hosts_the_difference_follows_from_the_values_beside_it() {
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
    has(&page, "In brackets: difference from the other host");
    for word in ["fleet", "Fleet", "median of the hosts"] {
        lacks(&page, word);
    }
}

#[test]
fn the_distance_from_the_median_is_paired_and_shown_from_four_hosts_on() {
    lacks(&page(&hosts(3, 5, 0.005), "report.md"), "vs. median");
    // All hosts are ten per cent faster in the repetition that one of them lacks.
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
fn the_rule_that_was_used_is_the_one_that_is_told() {
    let starts = ["Two compared hosts:", "Three compared hosts:", "Four and more compared hosts:"];
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
fn a_case_without_a_usable_attempt_is_left_out_for_that() {
    let mut record = three_hosts();
    let is_lost = |a: &&mut AttemptRecord| a.report.key.cell.case.as_str() == "debug-task";
    for attempt in counted(&mut record).filter(is_lost) {
        let failed = Failure::new(FailureKind::Reset, "gone");
        attempt.report.traces[0].outcome = Outcome::Failed(failed);
    }
    let lines = answer(&record);
    has(&lines, "1 case (no usable attempt: no_ok_request): debug-task.");
    lacks(&lines, "too short");
    let mut short = three_hosts();
    for attempt in counted(&mut short) {
        attempt.report.traces[0].chunks.truncate(10);
        attempt.report.traces[0].usage.as_mut().unwrap().completion = 10;
    }
    has(&answer(&short), "decode speed, 2 cases (answers too short for a decode speed):");
}

#[test]
fn a_host_whose_engine_kept_changing_speed_in_its_warm_up_is_named_wherever_one_would_look() {
    let mut record = three_hosts();
    engine_warmup(&mut record).report.findings.push(Finding {
        evidence: "after 60 s the last 3 speeds differed by 8.1 %".to_owned(),
        advice: "see whether something else uses the machine".to_owned(),
        ..finding("not_settled", Validity::Degraded)
    });
    let combined = page(&record, "report.md");
    has(&combined, "- gpu-01: not_settled before the run: after 60 s the last 3 speeds differed");
    has(&combined, "| degraded: not_settled (after 60 s");
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, "**Result: degraded.**");
    assert_eq!(own.matches("**not_settled** before the run").count(), 2, "verdict and warm-up");
    has(&own, "see whether something else uses the machine");
    assert_eq!(run_json(&record)["hosts"][0]["settling"][0]["findings"][0]["code"], "not_settled");
}

#[test]
fn a_host_that_does_not_tell_cached_tokens_is_left_out_of_the_time_to_first_token() {
    let silence = |record: &mut WholeRun, host: &str| {
        traces_of(record, host).for_each(|t| t.usage.as_mut().unwrap().cached = None);
    };
    let left_out = |record: &WholeRun| {
        lines(record).into_iter().find(|l| l.contains("C8")).unwrap_or_default()
    };
    let mut record = three_hosts();
    silence(&mut record, "gpu-02");
    has(&left_out(&record), "time to first token: gpu-02 (C8: no cached prompt tokens told");
    silence(&mut record, "gpu-03");
    has(&left_out(&record), "time to first token: gpu-01 (C8: cached prompt tokens told, on most");
    silence(&mut record, "gpu-01");
    assert_eq!(left_out(&record), "", "nobody tells: nothing to hold against one of them");
    let mut partly = three_hosts();
    let first = traces_of(&mut partly, "gpu-02").next().unwrap();
    first.usage.as_mut().unwrap().cached = None;
    has(&left_out(&partly), "1 case (C8: cached prompt tokens are told for some requests");
}

#[test]
fn a_row_is_of_one_population() {
    let mut record = hosts(2, 5, 0.005);
    lacks(&page(&record, "report.md"), "Invalid cells");
    let stall = finding("client_stall", Validity::Invalid);
    counted(&mut record).next().unwrap().report.findings.push(stall);
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, "In 10 counted attempts (");
    has(&own, ": 10 measured requests ok, 0 failed, 10 answers truncated; 960 prompt and 1,400");
    has(&own, "One of these attempts is invalid and in no figure.");
    let combined = page(&record, "report.md");
    let succeeded = combined.lines().find(|l| l.contains("requests that succeeded")).unwrap();
    assert!(succeeded.contains(" 20 |") && succeeded.ends_with(" 19 |"), "{succeeded}");
    has(&combined, "Invalid cells | Requests ok in them |");
}

#[test]
fn equal_lengths_are_said_once_and_a_mix_of_ends_is_marked() {
    let mut record = three_hosts();
    let said = "Every answer ran to max_tokens, so the lengths are equal.";
    assert_eq!(page(&record, "report.md").matches(said).count(), 1);
    lacks(&page(&record, "hosts/gpu-01.md"), "**5**");
    traces_of(&mut record, "gpu-02").for_each(|t| t.finish_reason = Some(FinishReason::Stop));
    let combined = page(&record, "report.md");
    has(&combined, "20 of 30 answers were cut by max_tokens or the context");
    has(&combined, "**10**");
    let mut cut = three_hosts();
    traces_of(&mut cut, "gpu-02").next().unwrap().usage.as_mut().unwrap().completion -= 1;
    lacks(&page(&cut, "report.md"), said);
}

#[test]
fn repetitions_that_differ_by_case_are_told_by_case() {
    let mut record = three_hosts();
    record.header.suite.cases[1].repetitions = 3;
    let told = "on every host, 5 times: backend-system; 3 times: debug-task; the order";
    has(&page(&record, "report.md"), told);
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
    has(&combined, "sums over all GPUs of the host, unattributed");
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
    has(&own, "71 settling requests before the run");
    has(&own, "63 between the first 5 and the last 3 are not shown");
    assert_eq!(own.lines().filter(|l| l.contains("| ok     |")).count(), 8);
}
