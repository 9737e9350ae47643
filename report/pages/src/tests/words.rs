//! The answer in sentences that a reader of any fleet can take in.

use regatta_types::event::MissingReason;
use regatta_types::validity::{Finding, Validity};

use super::{attempts_of, page, three_hosts};
use crate::testing::{RunBuilder, TestHost, WholeRun, lose, summary};

fn fleet(hosts: u32, repetitions: u32, host: impl Fn(u32, TestHost) -> TestHost) -> WholeRun {
    let run = RunBuilder::new(&["Backend system", "Debug task"], repetitions);
    let named = |n: u32| host(n, TestHost::new(&format!("gpu-{n:02}")));
    (1..=hosts).fold(run, |run, n| run.host(named(n))).build()
}

fn lines(record: &WholeRun) -> Vec<String> {
    summary(record).verdict_lines
}

fn line(record: &WholeRun, begin: &str) -> String {
    let lines = lines(record);
    let found = lines.iter().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("{begin} is missing in {lines:#?}")).clone()
}

#[test]
fn all_judged_hosts_are_not_called_all_hosts_where_some_could_not_be_judged() {
    let mut record = fleet(5, 5, |_, host| host);
    assert!(line(&record, "Decode speed").starts_with("Decode speed: all 5 hosts are"));
    lose(&mut record, &MissingReason::Cancelled, |cell| {
        cell.host.as_str() == "gpu-05" && cell.repetition.0 > 2
    });
    record.absent = 1;
    let told = line(&record, "Decode speed");
    assert!(told.starts_with("Decode speed: all 4 judged hosts (of 6) are equivalent"), "{told}");
}

#[test]
fn a_host_that_never_joined_is_named_for_its_missing_cells() {
    let mut record = three_hosts();
    lose(&mut record, &MissingReason::Cancelled, |cell| {
        cell.host.as_str() == "gpu-02" && cell.repetition.0 > 2
    });
    record.absent = 1;
    let told = "16 of 40 cells are missing: 10 of host #4, 6 of gpu-02 (section Completeness).";
    assert_eq!(line(&record, "16 of 40"), told);
}

#[test]
fn a_verdict_of_few_repetitions_says_so_in_the_one_bracket_it_has() {
    let lines = lines(&fleet(4, 3, |n, host| host.slower_by(if n == 4 { 0.25 } else { 0.0 })));
    assert!(lines[0].contains(", 3 repetitions, indicative); gpu-04 is"), "{lines:?}");
    assert!(lines[0].ends_with(", 3 repetitions, indicative)."), "{lines:?}");
    assert!(!lines.join(" ").contains(") ("), "{lines:?}");
}

#[test]
fn a_host_that_needs_less_time_takes_less_time() {
    let mut record = fleet(4, 5, |n, mut host| {
        host.ttft_ms = if n == 4 { 90.0 } else { 180.0 };
        host
    });
    record.header.margins = "1%".parse().unwrap();
    let told = line(&record, "Time to first token");
    assert!(told.contains("gpu-04 takes 50.0 % less time (95 % CI"), "{told}");
}

/// Each host that scattered stood in the sentence with its estimate.
#[test]
fn a_large_fleet_has_a_short_answer() {
    let record = fleet(40, 5, |n, mut host| {
        host.noise = if n > 20 { 0.2 } else { 0.005 };
        host.slower_by(if n <= 8 { 0.3 } else { 0.0 })
    });
    let lines = lines(&record);
    let longest = lines.iter().map(String::len).max();
    assert!(longest < Some(800), "{longest:?}: {lines:#?}");
    assert!(lines[0].contains("not settled: gpu-"), "{}", lines[0]);
    assert!(lines[0].contains(" more (section 3)"), "{}", lines[0]);
    assert!(lines[0].contains("3 more hosts differ (section 3)"), "{}", lines[0]);
    let named = lines.iter().filter(|l| l.starts_with("Nothing that was recorded differs on"));
    assert_eq!(named.count(), 1, "{lines:#?}");
}

#[test]
fn the_codes_of_degraded_and_invalid_attempts_stand_in_the_box_and_once_for_the_run() {
    let mut record = three_hosts();
    let finding = |code: &str, validity| Finding {
        code: code.into(),
        validity,
        evidence: "over a limit".to_owned(),
        advice: String::new(),
    };
    for host in ["gpu-01", "gpu-02"] {
        for attempt in attempts_of(&mut record, host).take(2) {
            attempt.report.findings.push(finding("client_cpu", Validity::Degraded));
        }
    }
    let shared = finding("gpu_shared", Validity::Invalid);
    attempts_of(&mut record, "gpu-02").last().unwrap().report.findings.push(shared);
    let told = "Run: invalid: gpu_shared 1 attempt; degraded: client_cpu 4 attempts.";
    assert_eq!(line(&record, "Run: "), told);
    let own = page(&record, "hosts/gpu-02.md");
    let result = "- **Result: partly invalid.** 10 of 10 cells counted, 2 degraded, 1 invalid \
                  (invalid: gpu_shared 1 attempt; degraded: client_cpu 2 attempts).";
    assert!(own.contains(result), "{own}");
    assert!(!lines(&three_hosts()).iter().any(|line| line.starts_with("Run: ")));
}

#[test]
fn the_box_has_the_median_and_the_tail_of_the_times_to_first_token() {
    let few = page(&three_hosts(), "hosts/gpu-01.md");
    let told = "- TTFT of 10 requests of all cases together: p50 179.8 ms, p95 not available (10 of \
                the 72 requests it needs), largest 180.8 ms.";
    assert!(few.contains(told), "{few}");
    let many = RunBuilder::new(&["x"], 5).requests(20).host(TestHost::new("gpu-01")).build();
    let many = page(&many, "hosts/gpu-01.md");
    assert!(
        many.contains("- TTFT of 100 requests of all cases together: p50 180.2 ms, p95 180.8 ms"),
        "{many}"
    );
}

#[test]
fn hosts_that_saturate_at_one_level_share_a_sentence_behind_the_causes() {
    let run = RunBuilder::new(&["x"], 3).requests(40).levels(&[1, 2, 4]);
    let host = |n: u32| {
        let mut host = TestHost::new(&format!("gpu-{n:02}"));
        host.saturates_at = if n == 7 { 1 } else { 2 };
        host
    };
    let record = (1..=7).fold(run, |run, n| run.host(host(n))).build();
    let told = "load saturated at 2 streams on gpu-07; at 4 streams on gpu-01, gpu-02, gpu-03, \
                gpu-04, gpu-05 and 1 more (section 4).";
    let lines = lines(&record);
    let at = |begin: &str| lines.iter().position(|line| line.starts_with(begin));
    assert_eq!(at(told).map(|at| lines[at].as_str()), Some(told), "{lines:#?}");
    assert!(at("On gpu").or(at("Nothing that was recorded")) < at(told), "{lines:#?}");
}

#[test]
fn what_could_not_be_judged_names_hosts_with_one_reason_together() {
    let mut record = fleet(9, 5, |_, host| host);
    let lost = MissingReason::Cancelled;
    lose(&mut record, &lost, |cell| cell.host.as_str() > "gpu-02");
    let told = "gpu-03, gpu-04, gpu-05, gpu-06, gpu-07 and 2 more could not be judged: ";
    assert!(line(&record, "gpu-03").starts_with(told), "{}", line(&record, "gpu-03"));
}

#[test]
fn thousands_are_apart_in_prose_and_tables_and_a_figure_has_its_digits_once() {
    let record = three_hosts();
    let report = page(&record, "report.md");
    for row in [
        "| context length       | 32,768 tokens",
        "| GPU memory clock, highest | 14,001 MHz",
        "| quantisation         | not available: the engine does not tell",
        "| GPU memory ECC            | not available: not supported by this board",
    ] {
        assert!(report.contains(row), "{row} is missing in {report}");
    }
    let host = page(&record, "hosts/gpu-03.md");
    assert!(host.contains("32,768 tokens"), "{host}");
    let cold = "had its first token after 2.580 s, median of the later warm-up requests 0.180 s. In \
                all it took 2.400 s longer";
    assert!(host.contains(cold), "one unit in one line: {host}");
    let gaps = host.lines().find(|l| l.starts_with("| Debug task") && l.contains("30.13"));
    assert!(
        gaps.is_some_and(|row| row.ends_with("|              30.15 |            30.15 |")),
        "{gaps:?}"
    );
}
