//! Runs against earlier ones: made-up runs, in memory and through a file.

use regatta_types::comparability::ClassFact;
use regatta_types::event::{MissingReason, SkipReason};
use regatta_types::ids::{CellKey, HostId, RunId};
use regatta_types::reading::Reading;

use regatta_figures::history::{Baseline, BaselineError, Changes, Match, Terms, changes, trend};

use crate::testing::{RunBuilder, TestHost, WholeRun, files, lose, since};
use crate::{change_lines, change_page, trend_line};

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
    assert!(
        change_lines(&same)[0].starts_with("Decode speed: both hosts are equivalent within 3 %.")
    );
    let slower = compared(&before, &plain("after", [0.0, 0.0526]), &three_per_cent());
    assert!(slower.is_regression());
    insta::assert_snapshot!("one_of_two_hosts_is_slower_than_before", change_page(&slower));
    let faster = compared(&plain("after", [0.0, 0.0526]), &before, &three_per_cent());
    assert!(!faster.is_regression() && change_lines(&faster)[0].contains("gpu-02 is 5.3 % faster"));
}

#[test]
fn a_report_with_a_baseline_says_on_every_page_what_changed() {
    let before = baseline(&plain("before", [0.0, 0.0]));
    let run = plain("after", [0.0, 0.0526]);
    let (written, summary) = since(&run, &before);
    let text = |path: &str| String::from_utf8(written[path].clone()).unwrap();
    let page = text("report.md");
    let (answer, rest) = page.split_once("## 2. ").unwrap();
    let said = "Against run before, decode speed: gpu-02 is 5.0 % slower than before (95 % CI";
    assert!(answer.contains(said), "{answer}");
    let (_, section) = rest.split_once("## 9. Against a baseline").unwrap();
    let (section, _) = section.split_once("## 10. ").unwrap();
    insta::assert_snapshot!("a_section_against_a_baseline", section);
    assert!(summary.verdict_lines.iter().any(|line| line.starts_with(said)));
    for (host, said) in [
        ("gpu-01", "Against run before in decode speed: equivalent ("),
        (
            "gpu-02",
            "Against run before in decode speed: slower (-5.0 %, 95 % CI -5.3 to -4.7, 5 and 5 repetitions).",
        ),
    ] {
        let page = text(&format!("hosts/{host}.md"));
        assert!(page.contains(said), "{page}");
    }
    let json: serde_json::Value = serde_json::from_slice(&written["run.json"]).unwrap();
    assert_eq!(json["since"]["hosts"][1]["metrics"][0]["verdict"], "slower");

    let alone = files(&run);
    let page = String::from_utf8(alone["report.md"].clone()).unwrap();
    assert!(page.contains("No baseline was given."), "{page}");
    let json: serde_json::Value = serde_json::from_slice(&alone["run.json"]).unwrap();
    assert!(json["since"].is_null());
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
    assert!(!found.is_regression() && found.is_unsettled(), "{:?}", change_lines(&found));
    let lines = change_lines(&found).join("\n");
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
        change_lines(&found),
        [
            "Nothing could be compared.",
            "gpu-01, gpu-02: not comparable (C3: engine version 0.16.0, before 0.15.1).",
        ]
    );
    let allowed = Terms { allowed: vec![ClassFact::EngineVersion], ..three_per_cent() };
    let found = compared(&before, &after, &allowed);
    assert!(found.is_regression());
    let lines = change_lines(&found).join("\n");
    assert!(
        lines.contains("gpu-01, gpu-02: compared although the class is another: C3:"),
        "{lines}"
    );
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
    let lines = change_lines(&compared(&before, &after, &three_per_cent())).join("\n");
    let told = "gpu-01, gpu-02: not as before: GPU driver 590.10, before 580.126.09.";
    assert!(lines.contains(told), "{lines}");
}

#[test]
fn a_host_without_a_past_is_compared_with_those_of_its_gpu() {
    let before = plain("before", [0.0, 0.0]);
    let new = RunBuilder::new(&CASES, 5).host(TestHost::new("gpu-09").slower_by(0.0526)).build();
    let found = compared(&before, &new, &three_per_cent());
    assert!(found.is_regression());
    let lines = change_lines(&found).join("\n");
    assert!(lines.contains("gpu-09: compared with gpu-01, gpu-02, of equal GPU"), "{lines}");
    let by_gpu = Terms { by: Match::Gpu, ..three_per_cent() };
    let found = compared(&before, &plain("after", [0.0, 0.0526]), &by_gpu);
    assert!(change_lines(&found).join("\n").contains("compared with gpu-01, gpu-02"));
}

#[test]
fn a_case_that_is_other_work_stays_out_and_too_few_repetitions_give_no_verdict() {
    let before = plain("before", [0.0, 0.0]);
    let mut after = plain("after", [0.0, 0.0]);
    after.header.suite.cases[0].temperature = 0.7;
    let found = compared(&before, &after, &three_per_cent());
    let lines = change_lines(&found).join("\n");
    let told = "not compared in case backend-system (not the same work";
    assert!(lines.contains(told), "{lines}");
    assert_eq!(lines.matches("backend-system").count(), 1, "one line for all: {lines}");
    assert!(found.is_all_judged());
    let three =
        |slow| RunBuilder::new(&CASES, 3).host(TestHost::new("gpu-01").slower_by(slow)).build();
    let slower = change_lines(&compared(&three(0.0), &three(0.0526), &three_per_cent())).join("\n");
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
    assert_eq!(change_lines(&from_file), change_lines(&from_run));
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
    let lines: Vec<String> = rows.iter().map(trend_line).collect();
    insta::assert_snapshot!("one_host_over_three_runs", lines.join("\n"));
    assert!(trend(&HostId::new("gpu-03").unwrap(), &runs).is_empty());
}

/// The reason of a cell that a test takes away.
fn lost() -> MissingReason {
    MissingReason::AttemptFailed { why: "it ran out of time".to_owned() }
}

#[test]
fn a_case_that_lost_its_values_is_said_and_is_not_judged() {
    // A check of a run in which a case had only two values left returned 0 and did not name it.
    let before = plain("before", [0.0, 0.0]);
    let mut after = plain("after", [0.0, 0.0]);
    let gone = |cell: &CellKey| {
        cell.host.as_str() == "gpu-02"
            && cell.case.as_str() == "debug-task"
            && cell.repetition.0 > 2
    };
    lose(&mut after, &lost(), gone);
    let found = compared(&before, &after, &three_per_cent());
    assert!(found.is_judged() && !found.is_all_judged() && !found.is_regression());
    let lines = change_lines(&found).join("\n");
    let said = "not compared in case debug-task (no value in the later run: only 2 of 5 repetitions have one, a verdict needs 3).";
    assert!(lines.contains(said), "{lines}");
    assert!(!lines.contains("gpu-01: "), "the other host has everything: {lines}");
    let back = compared(&after, &before, &three_per_cent());
    assert!(back.is_all_judged(), "what the earlier run lacks is no gap of the later one");
    assert!(change_lines(&back).join("\n").contains("(no value in the earlier run)"));
}

#[test]
fn a_metric_that_vanished_or_counts_otherwise_is_a_gap_beside_others_that_are_judged() {
    let long = || {
        let run = RunBuilder::new(&CASES, 5).requests(3);
        run.host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02")).build()
    };
    let before = long();
    let mut without_energy = long();
    for attempt in &mut without_energy.attempts {
        let Reading::Known(gpus) = &mut attempt.report.gpu.series else { unreachable!() };
        gpus.iter_mut().for_each(|gpu| gpu.energy.clear());
    }
    let mut by_chunks = long();
    for attempt in &mut by_chunks.attempts {
        attempt.report.traces.iter_mut().for_each(|trace| trace.usage = None);
    }
    for (after, said) in [
        (
            &without_energy,
            "energy per output token: not compared (no case can be compared: no value in the later run: no usable attempt has one)",
        ),
        (&by_chunks, "decode speed: not compared (C9: "),
    ] {
        let found = compared(&before, after, &three_per_cent());
        assert!(found.is_judged() && !found.is_all_judged(), "{:?}", change_lines(&found));
        let lines = change_lines(&found).join("\n");
        assert!(lines.contains(said) && lines.contains("End-to-end time: both"), "{lines}");
    }
}

#[test]
fn what_the_later_suite_leaves_out_is_listed_and_no_gap() {
    let before = plain("before", [0.0, 0.0]);
    let mut after = plain("after", [0.0, 0.0]);
    let removed = after.header.suite.cases.remove(1).id;
    after.attempts.retain(|attempt| attempt.report.key.cell.case != removed);
    let found = compared(&before, &after, &three_per_cent());
    assert!(found.is_all_judged());
    let lines = change_lines(&found).join("\n");
    assert!(
        lines.contains("not compared in case debug-task (not in the suite of the later run)"),
        "{lines}"
    );
    let back = change_lines(&compared(&after, &before, &three_per_cent())).join("\n");
    assert!(
        back.contains("not compared in case debug-task (not in the suite of the earlier run)"),
        "{back}"
    );
}

#[test]
fn levels_that_a_sweep_skipped_are_listed_and_no_gap() {
    let sweep = |name: &str| {
        let run = RunBuilder::new(&["Load"], 5).requests(24).levels(&[1, 2, 4]);
        let mut run = run.host(TestHost::new("gpu-01")).build();
        run.header.run = RunId::new(name).unwrap();
        run
    };
    let (before, mut after) = (sweep("before"), sweep("after"));
    let is_last = |cell: &CellKey| cell.case.as_str() == "load.c4";
    lose(&mut after, &lost(), is_last);
    let at = after.header.suite.cases[1].id.clone();
    let skipped = std::mem::take(&mut after.missing).into_iter().map(|(cell, _)| {
        (cell, SkipReason::Saturated { at: at.clone(), evidence: "little more".to_owned() })
    });
    after.skipped = skipped.collect();
    let found = compared(&before, &after, &three_per_cent());
    let lines = change_lines(&found).join("\n");
    assert!(found.is_all_judged(), "{lines}");
    let said = "not compared in case load.c4 (no value in the later run: skipped, its sweep was saturated before)";
    assert!(lines.contains(said), "{lines}");
}

#[test]
fn a_host_with_nothing_usable_is_not_judged_and_says_why() {
    let before = plain("before", [0.0, 0.0]);
    let mut after = plain("after", [0.0, 0.0]);
    lose(&mut after, &lost(), |cell| cell.host.as_str() == "gpu-02");
    let found = compared(&before, &after, &three_per_cent());
    assert!(found.is_judged() && !found.is_all_judged() && !found.is_any_absent());
    let said = "gpu-02: not comparable (nothing usable was measured: the attempt did not complete: it ran out of time).";
    assert!(change_lines(&found).contains(&said.to_owned()), "{:?}", change_lines(&found));
}

#[test]
fn a_host_of_the_baseline_that_is_not_in_the_run_is_said_also_where_another_is_compared_with_it() {
    let before = plain("before", [0.0, 0.0]);
    let new = RunBuilder::new(&CASES, 5)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-09"))
        .build();
    let found = compared(&before, &new, &three_per_cent());
    assert!(found.is_all_judged() && found.is_any_absent());
    let said = "Only in the earlier run, so not judged: gpu-02.";
    assert!(change_lines(&found).contains(&said.to_owned()), "{:?}", change_lines(&found));
    let by_gpu = Terms { by: Match::Gpu, ..three_per_cent() };
    assert!(!compared(&before, &new, &by_gpu).is_any_absent(), "by GPU no host has a name");
}
