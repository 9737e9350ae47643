//! The answer in sentences that a reader of any fleet can take in.

use super::*;

#[test]
fn all_judged_hosts_are_not_called_all_hosts_where_some_could_not_be_judged() {
    let mut record = two_cases(5).fleet(5).build();
    line(&record, "Decode speed: all 5 hosts are");
    keep(&mut record, "gpu-05", 2);
    record.absent = 1;
    line(&record, "Decode speed: all 4 judged hosts (of 6) are equivalent");
}

#[test]
fn a_host_that_never_joined_is_named_for_its_missing_cells() {
    let mut record = three_hosts();
    keep(&mut record, "gpu-02", 2);
    record.absent = 1;
    let told = "16 of 40 cells are missing: 10 of host #4, 6 of gpu-02 (section Completeness).";
    assert_eq!(line(&record, "16 of 40"), told);
}

#[test]
fn a_verdict_of_few_repetitions_says_so_in_the_one_bracket_it_has() {
    let slow = |n, host: TestHost| host.slower_by(if n == 4 { 0.25 } else { 0.0 });
    let lines = lines(&two_cases(3).fleet_of(4, slow).build());
    assert!(lines[0].contains(", 3 repetitions, indicative); gpu-04 is"), "{lines:?}");
    assert!(lines[0].ends_with(", 3 repetitions, indicative)."), "{lines:?}");
    assert!(!lines.join(" ").contains(") ("), "{lines:?}");
}

#[test]
fn a_host_that_needs_less_time_takes_less_time() {
    let quick = TestHost { ttft_ms: 90.0, ..TestHost::new("gpu-04") };
    let mut record = two_cases(5).fleet(3).host(quick).build();
    record.header.margins = "1%".parse().unwrap();
    has(&line(&record, "Time to first token"), "gpu-04 takes 50.0 % less time (95 % CI");
}

/// Each host that scattered stood in the sentence with its estimate.
#[test]
fn a_large_fleet_has_a_short_answer() {
    let host = |n, host: TestHost| TestHost {
        noise: if n > 20 { 0.2 } else { 0.005 },
        ..host.slower_by(if n <= 8 { 0.3 } else { 0.0 })
    };
    let lines = lines(&two_cases(5).fleet_of(40, host).build());
    let longest = lines.iter().map(String::len).max();
    assert!(longest < Some(800), "{longest:?}: {lines:#?}");
    for said in ["not settled: gpu-", " more (section 3)", "3 more hosts differ (section 3)"] {
        has(&lines[0], said);
    }
    let named = lines.iter().filter(|l| l.starts_with("Nothing that was recorded differs on"));
    assert_eq!(named.count(), 1, "{lines:#?}");
}

#[test]
fn the_codes_of_degraded_and_invalid_attempts_stand_in_the_box_and_once_for_the_run() {
    let mut record = three_hosts();
    for host in ["gpu-01", "gpu-02"] {
        for attempt in attempts_of(&mut record, host).take(2) {
            attempt.report.findings.push(finding("client_cpu", Validity::Degraded));
        }
    }
    let shared = finding("gpu_shared", Validity::Invalid);
    attempts_of(&mut record, "gpu-02").last().unwrap().report.findings.push(shared);
    let told = "Run: invalid: gpu_shared 1 attempt; degraded: client_cpu 4 attempts.";
    assert_eq!(line(&record, "Run: "), told);
    let result = "- **Result: partly invalid.** 10 of 10 cells counted, 2 degraded, 1 invalid \
                  (invalid: gpu_shared 1 attempt; degraded: client_cpu 2 attempts).";
    has(&page(&record, "hosts/gpu-02.md"), result);
    assert!(!lines(&three_hosts()).iter().any(|line| line.starts_with("Run: ")));
}

#[test]
fn the_box_has_the_median_and_the_tail_of_the_times_to_first_token() {
    let told = "- TTFT of 10 requests of all cases together: p50 179.8 ms, p95 not available (10 of \
                the 72 requests it needs), largest 180.8 ms.";
    has(&page(&three_hosts(), "hosts/gpu-01.md"), told);
    let many = RunBuilder::new(&["x"], 5).requests(20).fleet(1).build();
    let told = "- TTFT of 100 requests of all cases together: p50 180.2 ms, p95 180.8 ms";
    has(&page(&many, "hosts/gpu-01.md"), told);
}

#[test]
fn hosts_that_saturate_at_one_level_share_a_sentence_behind_the_causes() {
    let host = |n, host| TestHost { saturates_at: if n == 7 { 1 } else { 2 }, ..host };
    let run = RunBuilder::new(&["x"], 3).requests(40).levels(&[1, 2, 4]);
    let record = run.fleet_of(7, host).build();
    let told = "load saturated at 2 streams on gpu-07; at 4 streams on gpu-01, gpu-02, gpu-03, \
                gpu-04, gpu-05 and 1 more (section 4).";
    let lines = lines(&record);
    let at = |begin: &str| lines.iter().position(|line| line.starts_with(begin));
    assert_eq!(at(told).map(|at| lines[at].as_str()), Some(told), "{lines:#?}");
    assert!(at("On gpu").or(at("Nothing that was recorded")) < at(told), "{lines:#?}");
}

#[test]
fn what_could_not_be_judged_names_hosts_with_one_reason_together() {
    let mut record = two_cases(5).fleet(9).build();
    lose(&mut record, &MissingReason::Cancelled, |cell| cell.host.as_str() > "gpu-02");
    line(&record, "gpu-03, gpu-04, gpu-05, gpu-06, gpu-07 and 2 more could not be judged: ");
}
