//! The summary stays readable for any number of hosts.

use super::*;

#[test]
fn compared_hosts_are_not_called_all_hosts_if_some_have_no_verdict() {
    let mut record = two_cases(5).fleet(5).build();
    line(&record, "Decode speed: all 5 hosts are");
    keep(&mut record, "gpu-05", 2);
    record.absent = 1;
    line(&record, "Decode speed: all 4 compared hosts (of 6) are equivalent");
}

#[test]
fn a_host_that_never_joined_is_listed_with_its_missing_cells() {
    let mut record = three_hosts();
    keep(&mut record, "gpu-02", 2);
    record.absent = 1;
    let said = "16 of 40 cells missing: 10 on host #4, 6 on gpu-02 (see Completeness).";
    assert_eq!(line(&record, "16 of 40"), said);
}

#[test]
fn an_indicative_verdict_has_one_pair_of_parentheses() {
    let slow = |n, host: TestHost| host.slower_by(if n == 4 { 0.25 } else { 0.0 });
    let lines = lines(&two_cases(3).fleet_of(4, slow).build());
    assert!(lines[0].contains(", n = 3, indicative); 3 of 4 hosts are"), "{lines:?}");
    assert!(lines[0].ends_with(", n = 3, indicative)."), "{lines:?}");
    assert!(!lines.join(" ").contains(") ("), "{lines:?}");
}

#[test]
fn a_host_with_shorter_times_takes_less_time() {
    let quick = TestHost { ttft_ms: 90.0, ..TestHost::new("gpu-04") };
    let mut record = two_cases(5).fleet(3).host(quick).build();
    record.header.margins = "1%".parse().unwrap();
    has(&line(&record, "Time to first token"), "gpu-04 takes 50.0 % less time (95 % CI");
}

/// The sentence used to list every inconclusive host with its estimate.
#[test]
fn a_large_fleet_has_a_short_summary() {
    let host = |n, host: TestHost| TestHost {
        noise: if n > 20 { 0.2 } else { 0.005 },
        ..host.slower_by(if n <= 8 { 0.3 } else { 0.0 })
    };
    let lines = lines(&two_cases(5).fleet_of(40, host).build());
    let longest = lines.iter().map(String::len).max();
    assert!(longest < Some(800), "{longest:?}: {lines:#?}");
    has(&lines[0], "inconclusive: gpu-");
    has(&lines[0], " more (see Side by side)");
    has(&lines[0], "; 3 more hosts different (see Side by side)");
    let named = lines.iter().filter(|l| l.starts_with("No recorded fact explains why gpu-"));
    assert_eq!(named.count(), 1, "{lines:#?}");
}

#[test]
fn findings_are_counted_for_each_host_and_once_for_the_run() {
    let mut record = three_hosts();
    for host in ["gpu-01", "gpu-02"] {
        for attempt in attempts_of(&mut record, host).take(2) {
            attempt.report.findings.push(finding("client_cpu", Validity::Degraded));
        }
    }
    let shared = finding("gpu_shared", Validity::Invalid);
    attempts_of(&mut record, "gpu-02").last().unwrap().report.findings.push(shared);
    let said = "Findings: invalid: gpu_shared 1 attempt; degraded: client_cpu 4 attempts.";
    assert_eq!(line(&record, "Findings: "), said);
    let result = "- **Result: partly invalid.** 10 of 10 cells counted, 2 degraded, 1 invalid \
                  (invalid: gpu_shared 1 attempt; degraded: client_cpu 2 attempts).";
    has(&page(&record, "hosts/gpu-02.md"), result);
    assert!(!lines(&three_hosts()).iter().any(|line| line.starts_with("Findings: ")));
}

#[test]
fn the_summary_of_a_host_has_the_median_and_the_tail_of_ttft() {
    let said = "- TTFT over 10 requests of all cases: p50 179.8 ms, p95 not available (10 of 72 \
                required requests), max 180.8 ms.";
    has(&page(&three_hosts(), "hosts/gpu-01.md"), said);
    let many = RunBuilder::new(&["x"], 5).requests(20).fleet(1).build();
    let said = "- TTFT over 100 requests of all cases: p50 180.2 ms, p95 180.8 ms";
    has(&page(&many, "hosts/gpu-01.md"), said);
}

#[test]
fn hosts_that_saturate_at_one_level_share_a_sentence_after_the_causes() {
    let host = |n, host| TestHost { saturates_at: if n == 7 { 1 } else { 2 }, ..host };
    let run = RunBuilder::new(&["x"], 3).requests(40).levels(&[1, 2, 4]);
    let record = run.fleet_of(7, host).build();
    let said = "load saturated at 2 streams on gpu-07; at 4 streams on gpu-01, gpu-02, gpu-03, \
                gpu-04, gpu-05 and 1 more (see Per case).";
    let lines = lines(&record);
    let at = |begin: &str| lines.iter().position(|line| line.starts_with(begin));
    assert_eq!(at(said).map(|at| lines[at].as_str()), Some(said), "{lines:#?}");
    assert!(at("Possible causes on").or(at("No recorded fact")) < at(said), "{lines:#?}");
}

#[test]
fn hosts_without_a_verdict_are_grouped_by_reason() {
    let mut record = two_cases(5).fleet(9).build();
    lose(&mut record, &MissingReason::Cancelled, |cell| cell.host.as_str() > "gpu-02");
    line(&record, "No verdict on gpu-03, gpu-04, gpu-05, gpu-06, gpu-07 and 2 more: ");
}
