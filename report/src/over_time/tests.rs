//! Runs against earlier ones: made-up runs, in memory and through a file.

use regatta_types::comparability::ClassFact;
use regatta_types::ids::{HostId, RunId};
use regatta_types::reading::Reading;

use super::{Baseline, BaselineError, Changes, Match, Terms, changes, trend};
use crate::testing::{RunBuilder, TestHost, WholeRun};

const CASES: [&str; 2] = ["Backend system", "Debug task"];

fn baseline(run: &WholeRun) -> Baseline {
    Baseline::of(run).unwrap()
}

/// Two hosts whose time a token is longer by these shares.
fn run(name: &str, slower: [f64; 2], change: impl Fn(TestHost) -> TestHost) -> WholeRun {
    let hosts = ["gpu-01", "gpu-02"].into_iter().zip(slower);
    let made = hosts.fold(RunBuilder::new(&CASES, 5), |run, (host, slower)| {
        run.host(change(TestHost::new(host).slower_by(slower)))
    });
    let mut record = made.build();
    record.header.run = RunId::new(name).unwrap();
    record
}

fn plain(name: &str, slower: [f64; 2]) -> WholeRun {
    run(name, slower, |host| host)
}

fn three_per_cent() -> Terms {
    Terms { margins: "3%".parse().unwrap(), ..Terms::default() }
}

fn compared(before: &WholeRun, after: &WholeRun, terms: &Terms) -> Changes {
    changes(&baseline(before), &baseline(after), terms)
}

#[test]
fn an_unchanged_run_is_equivalent_and_a_slower_host_a_regression() {
    let before = plain("before", [0.0, 0.0]);
    let same = compared(&before, &before, &three_per_cent());
    assert!(!same.is_regression() && same.is_all_judged() && !same.is_unsettled());
    assert!(same.lines()[0].starts_with("Decode speed: both hosts are equivalent within 3 %."));
    let slower = compared(&before, &plain("after", [0.0, 0.0526]), &three_per_cent());
    assert!(slower.is_regression());
    insta::assert_snapshot!("one_of_two_hosts_is_slower_than_before", slower.to_markdown());
    let faster = compared(&plain("after", [0.0, 0.0526]), &before, &three_per_cent());
    assert!(!faster.is_regression() && faster.lines()[0].contains("gpu-02 is 5.3 % faster"));
}

#[test]
fn a_settled_change_below_the_margin_is_no_regression() {
    let before = plain("before", [0.0, 0.0]);
    let after = plain("after", [0.0, 0.02]);
    assert!(!compared(&before, &after, &three_per_cent()).is_regression());
    let strict = Terms { margins: "1%".parse().unwrap(), ..Terms::default() };
    assert!(compared(&before, &after, &strict).is_regression());
}

#[test]
fn noise_is_no_regression_and_says_how_much_more_is_needed() {
    let noisy = |mut host: TestHost| {
        host.noise = 0.2;
        host
    };
    let found = compared(
        &plain("before", [0.0, 0.0]),
        &run("after", [0.03, 0.03], noisy),
        &three_per_cent(),
    );
    assert!(!found.is_regression() && found.is_unsettled(), "{:?}", found.lines());
    let lines = found.lines().join("\n");
    assert!(lines.contains("not settled ("), "{lines}");
    assert!(lines.contains("needed") || lines.contains("would not settle it"), "{lines}");
}

#[test]
fn another_engine_version_is_not_compared_unless_it_is_allowed() {
    let upgraded = |mut host: TestHost| {
        host.version = "0.16.0".to_owned();
        host
    };
    let before = plain("before", [0.0, 0.0]);
    let after = run("after", [0.0, 0.0526], upgraded);
    let found = compared(&before, &after, &three_per_cent());
    assert!(!found.is_judged());
    assert_eq!(
        found.lines(),
        [
            "Nothing could be compared.",
            "gpu-01: not comparable (C3: engine version 0.16.0, before 0.15.1).",
            "gpu-02: not comparable (C3: engine version 0.16.0, before 0.15.1).",
        ]
    );
    let allowed = Terms { allowed: vec![ClassFact::EngineVersion], ..three_per_cent() };
    let found = compared(&before, &after, &allowed);
    assert!(found.is_regression());
    let lines = found.lines().join("\n");
    assert!(lines.contains("gpu-02 is compared although it is another class: C3:"), "{lines}");
}

#[test]
fn a_driver_that_is_new_is_named_beside_the_change() {
    let before = plain("before", [0.0, 0.0]);
    let mut after = plain("after", [0.0, 0.0526]);
    for host in &mut after.hosts {
        if let Reading::Known(inventory) = &mut host.gpus {
            inventory.driver = Reading::Known("590.10".to_owned());
        }
    }
    let lines = compared(&before, &after, &three_per_cent()).lines().join("\n");
    let told = "gpu-02 differs now in: GPU driver 590.10, before 580.126.09.";
    assert!(lines.contains(told), "{lines}");
}

#[test]
fn a_host_without_a_past_is_compared_with_those_of_its_gpu() {
    let before = plain("before", [0.0, 0.0]);
    let new = RunBuilder::new(&CASES, 5).host(TestHost::new("gpu-09").slower_by(0.0526)).build();
    let found = compared(&before, &new, &three_per_cent());
    assert!(found.is_regression());
    let lines = found.lines().join("\n");
    assert!(lines.contains("gpu-09 is compared with gpu-01, gpu-02, of equal GPU"), "{lines}");
    let by_gpu = Terms { by: Match::Gpu, ..three_per_cent() };
    let found = compared(&before, &plain("after", [0.0, 0.0526]), &by_gpu);
    assert!(found.lines().join("\n").contains("gpu-02 is compared with gpu-01, gpu-02"));
}

#[test]
fn a_case_that_is_other_work_stays_out_and_too_few_repetitions_give_no_verdict() {
    let before = plain("before", [0.0, 0.0]);
    let mut after = plain("after", [0.0, 0.0]);
    after.header.suite.cases[0].temperature = 0.7;
    let found = compared(&before, &after, &three_per_cent());
    let lines = found.lines().join("\n");
    let told = "not compared in case backend-system (not the same work";
    assert!(lines.contains(told), "{lines}");
    assert_eq!(lines.matches("backend-system").count(), 1, "one line for all: {lines}");
    assert!(found.is_all_judged());
    let three =
        |slow| RunBuilder::new(&CASES, 3).host(TestHost::new("gpu-01").slower_by(slow)).build();
    let slower = compared(&three(0.0), &three(0.0526), &three_per_cent()).lines().join("\n");
    assert!(slower.contains(", 3 and 3 repetitions, indicative)."), "one bracket: {slower}");
    assert!(!slower.contains(") ("), "{slower}");
    let few = RunBuilder::new(&CASES, 2).host(TestHost::new("gpu-01")).build();
    assert!(!compared(&before, &few, &three_per_cent()).is_judged());
}

#[test]
fn a_baseline_is_a_small_file_that_gives_the_same_verdicts() {
    let before = plain("before", [0.0, 0.0]);
    let text = baseline(&before).to_toml();
    insta::assert_snapshot!("a_baseline_of_two_hosts", text);
    let read = Baseline::parse(&text).unwrap();
    assert_eq!(read.to_toml(), text, "reading and writing again changes nothing");
    let after = baseline(&plain("after", [0.0, 0.0526]));
    let (from_file, from_run) = (
        changes(&read, &after, &three_per_cent()),
        changes(&baseline(&before), &after, &three_per_cent()),
    );
    assert_eq!(from_file.lines(), from_run.lines());
}

#[test]
fn a_file_that_is_no_baseline_says_what_is_wrong() {
    let good = baseline(&plain("before", [0.0, 0.0])).to_toml();
    let error = |text: &str| Baseline::parse(text).unwrap_err().to_string();
    assert!(error("{}").starts_with("not a baseline: line 1: "), "{}", error("{}"));
    assert!(error("baseline = 1\n").contains("metrics_schema"));
    let other = good.replace("metrics_schema = 1", "metrics_schema = 7");
    assert!(matches!(Baseline::parse(&other), Err(BaselineError::OtherVersion { schema: 7, .. })));
    let unknown = good.replace("tokens_from", "tokens_form");
    assert!(error(&unknown).contains("tokens_form"), "{}", error(&unknown));
    let mut bad = baseline(&plain("before", [0.0, 0.0]));
    for host in &mut bad.hosts {
        host.values.values_mut().flat_map(|m| m.values_mut()).for_each(|v| v[0] = -1.0);
    }
    let problems = error(&bad.to_toml());
    assert!(problems.contains("gpu-01, decode speed") && problems.contains("gpu-02"), "{problems}");
}

#[test]
fn a_host_is_followed_from_run_to_run_past_one_of_another_engine() {
    let upgraded = |mut host: TestHost| {
        host.version = "0.16.0".to_owned();
        host
    };
    let records = [
        plain("first", [0.0, 0.0]),
        run("upgraded", [0.0, 0.0], upgraded),
        plain("slower", [0.0, 0.0526]),
    ];
    let runs = records.each_ref().map(baseline);
    let rows = trend(&HostId::new("gpu-02").unwrap(), &runs);
    let lines: Vec<String> = rows.iter().map(super::TrendRow::line).collect();
    insta::assert_snapshot!("one_host_over_three_runs", lines.join("\n"));
    assert!(trend(&HostId::new("gpu-03").unwrap(), &runs).is_empty());
}
