//! Comparison of runs with earlier ones, in memory and through a baseline file.

use regatta_figures::history::{BaselineError, Match, trend};
use regatta_types::ids::RunId;

use super::*;
use crate::{change_page, trend_line};

/// Two hosts; the second takes longer per token by this share.
fn run(name: &str, slower: f64, change: impl Fn(TestHost) -> TestHost) -> WholeRun {
    let host = |n, host: TestHost| change(host.slower_by(if n == 2 { slower } else { 0.0 }));
    let mut record = two_cases(5).fleet_of(2, host).build();
    record.header.run = RunId::new(name).unwrap();
    record
}

/// The earlier run.
fn before() -> WholeRun {
    run("before", 0.0, |host| host)
}

/// A later run; its second host takes longer per token by this share.
fn after(slower: f64) -> WholeRun {
    run("after", slower, |host| host)
}

fn upgraded(host: TestHost) -> TestHost {
    TestHost { version: "0.16.0".to_owned(), ..host }
}

fn three_per_cent() -> Terms {
    Terms { margins: "3%".parse().unwrap(), ..Terms::default() }
}

fn compared(before: &WholeRun, after: &WholeRun) -> Changes {
    under(&three_per_cent(), before, after)
}

#[test]
fn an_unchanged_run_is_equivalent_and_a_slower_host_a_regression() {
    let before = before();
    let same = compared(&before, &before);
    assert!(!same.is_regression() && same.is_all_judged() && !same.is_inconclusive());
    assert!(change_text(&same).starts_with("Decode speed: both hosts are equivalent within 3 %."));
    let slower = compared(&before, &after(0.0526));
    assert!(slower.is_regression());
    insta::assert_snapshot!("one_of_two_hosts_is_slower_than_before", change_page(&slower));
    let faster = compared(&after(0.0526), &before);
    assert!(!faster.is_regression() && change_lines(&faster)[0].contains("gpu-02 is 5.3 % faster"));
}

#[test]
fn a_report_with_a_baseline_shows_the_changes_on_every_page() {
    let run = after(0.0526);
    let (written, of_run) = rendered(&run, Some(&baseline(&before())));
    let text = |path: &str| String::from_utf8(written[path].clone()).unwrap();
    let combined = text("report.md");
    let (answer, rest) = combined.split_once("\n## Side by side\n").unwrap();
    let said = "Since run before, decode speed: gpu-02 is 5.0 % slower than before (95 % CI";
    has(answer, said);
    let heading = "\n## Change since baseline\n";
    let (_, section) = rest.split_once(heading).unwrap();
    let (section, _) = section.split_once("\n## Per case\n").unwrap();
    insta::assert_snapshot!("a_section_against_a_baseline", section);
    assert!(of_run.verdict_lines.iter().any(|line| line.starts_with(said)));
    for (host, said) in [
        ("gpu-01", "equivalent ("),
        ("gpu-02", "slower (-5.0 %, 95 % CI -5.3 to -4.7, n = 5 and 5)."),
    ] {
        let said = format!("Since run before, decode speed: {said}");
        has(&text(&format!("hosts/{host}.md")), &said);
    }
    let json: serde_json::Value = serde_json::from_slice(&written["run.json"]).unwrap();
    assert_eq!(json["since"]["hosts"][1]["metrics"][0]["verdict"], "slower");

    lacks(&page(&run, "report.md"), heading);
    assert!(run_json(&run)["since"].is_null());
}

#[test]
fn a_significant_change_below_the_margin_is_not_a_regression() {
    let (before, after) = (before(), after(0.02));
    assert!(!compared(&before, &after).is_regression());
    let strict = Terms { margins: "1%".parse().unwrap(), ..Terms::default() };
    assert!(under(&strict, &before, &after).is_regression());
}

#[test]
fn noise_is_not_a_regression_and_shows_how_many_repetitions_are_needed() {
    let noisy = |host: TestHost| TestHost { noise: 0.2, ..host.slower_by(0.03) };
    let found = compared(&before(), &run("after", 0.0, noisy));
    assert!(!found.is_regression() && found.is_inconclusive(), "{}", change_text(&found));
    let lines = change_text(&found);
    has(&lines, "gpu-01: inconclusive (");
    assert!(lines.contains("needed") || lines.contains("would not decide it"), "{lines}");
}

#[test]
fn a_different_engine_version_is_compared_only_if_allowed() {
    let (before, after) = (before(), run("after", 0.0526, upgraded));
    let found = compared(&before, &after);
    assert!(!found.is_judged());
    assert_eq!(
        change_lines(&found),
        [
            "No host can be compared.",
            "gpu-01, gpu-02: not comparable: engine version 0.16.0, before: 0.15.1 (C3).",
        ]
    );
    let allowed = Terms { allowed: vec![ClassFact::EngineVersion], ..three_per_cent() };
    let found = under(&allowed, &before, &after);
    assert!(found.is_regression());
    let said = "gpu-01, gpu-02: compared despite a different class (--allow-different): engine version 0.16.0, before: 0.15.1 (C3).";
    has(&change_text(&found), said);
}

#[test]
fn a_new_driver_is_listed_with_the_change() {
    let (before, mut after) = (before(), after(0.0526));
    for host in ["gpu-01", "gpu-02"] {
        gpus(&mut after, host).driver = Reading::Known("590.10".to_owned());
    }
    let said = "gpu-01, gpu-02: changed facts: GPU driver 590.10, before: 580.126.09.";
    has(&change_text(&compared(&before, &after)), said);
}

#[test]
fn a_new_host_is_compared_with_hosts_of_the_same_gpu_and_a_missing_host_is_listed() {
    let before = before();
    let new = two_cases(5).fleet(1).host(TestHost::new("gpu-09").slower_by(0.0526)).build();
    let found = compared(&before, &new);
    assert!(found.is_regression() && found.is_all_judged() && !found.absent.is_empty());
    let said = "gpu-09: compared with gpu-01, gpu-02, which had the same GPU, model and engine.";
    has(&change_text(&found), said);
    let said = "Only in the earlier run, so not compared: gpu-02.";
    assert!(change_lines(&found).iter().any(|line| line == said), "{}", change_text(&found));
    let by_gpu = under(&Terms { by: Match::Gpu, ..three_per_cent() }, &before, &new);
    has(&change_text(&by_gpu), "compared with gpu-01, gpu-02");
    assert!(by_gpu.absent.is_empty(), "by GPU host names do not matter");
}

#[test]
fn a_case_with_different_work_is_excluded_and_few_repetitions_give_no_verdict() {
    let (before, mut after) = (before(), after(0.0));
    after.header.suite.cases[0].temperature = 0.7;
    let found = compared(&before, &after);
    let lines = change_text(&found);
    has(&lines, "not compared in case backend-system: different work in the two runs.");
    assert_eq!(lines.matches("backend-system").count(), 1, "one line for all: {lines}");
    assert!(found.is_all_judged());
    let of = |repetitions, slow| {
        two_cases(repetitions).host(TestHost::new("gpu-01").slower_by(slow)).build()
    };
    let slower = change_text(&compared(&of(3, 0.0), &of(3, 0.0526)));
    has(&slower, ", n = 3 and 3, indicative).");
    lacks(&slower, ") (");
    assert!(!compared(&before, &of(2, 0.0)).is_judged());
}

#[test]
fn a_baseline_file_gives_the_same_verdicts() {
    let before = before();
    let text = baseline(&before).to_toml();
    insta::assert_snapshot!("a_baseline_of_two_hosts", text);
    let read = Baseline::parse(&text).unwrap();
    assert_eq!(read.to_toml(), text, "reading and writing again changes nothing");
    let after = baseline(&after(0.0526));
    let lines = |before: &Baseline| change_lines(&changes(before, &after, &three_per_cent()));
    assert_eq!(lines(&read), lines(&baseline(&before)));
}

#[test]
fn an_invalid_baseline_file_is_rejected_with_the_reason() {
    let good = baseline(&before()).to_toml();
    let error = |text: &str| Baseline::parse(text).unwrap_err().to_string();
    assert!(error("{}").starts_with("not a baseline: line 1: "), "{}", error("{}"));
    assert!(error("baseline = 1\n").contains("metrics_schema"));
    let other = good.replace("metrics_schema = 1", "metrics_schema = 7");
    assert!(matches!(Baseline::parse(&other), Err(BaselineError::OtherVersion { schema: 7, .. })));
    let unknown = good.replace("tokens_from", "tokens_form");
    assert!(error(&unknown).contains("tokens_form"), "{}", error(&unknown));
    let mut bad = baseline(&before());
    for host in &mut bad.hosts {
        host.values.values_mut().flat_map(|m| m.values_mut()).for_each(|v| v[0] = -1.0);
    }
    let problems = error(&bad.to_toml());
    assert!(problems.contains("gpu-01, decode speed") && problems.contains("gpu-02"), "{problems}");
}

#[test]
fn a_trend_continues_after_a_run_with_a_different_engine() {
    let records = [("first", 0.0), ("upgraded", 0.0), ("slower", 0.0526)].map(|(name, slower)| {
        run(name, slower, if name == "upgraded" { upgraded } else { |host| host })
    });
    let runs = records.each_ref().map(baseline);
    let rows = trend(&HostId::new("gpu-02").unwrap(), &runs);
    let lines: Vec<String> = rows.iter().map(trend_line).collect();
    insta::assert_snapshot!("one_host_over_three_runs", lines.join("\n"));
    assert!(trend(&HostId::new("gpu-03").unwrap(), &runs).is_empty());
}

/// Removes cells, with failed attempts as the reason.
fn fail(record: &mut WholeRun, is_lost: impl Fn(&CellKey) -> bool) {
    let why = "it ran out of time".to_owned();
    lose(record, &MissingReason::AttemptFailed { why }, is_lost);
}

#[test]
fn a_case_without_enough_values_is_listed_and_not_judged() {
    // A check of a run with only two values of a case used to return 0 and not list it.
    let (before, mut after) = (before(), after(0.0));
    fail(&mut after, |cell| {
        (cell.host.as_str(), cell.case.as_str()) == ("gpu-02", "debug-task")
            && cell.repetition.0 > 2
    });
    let found = compared(&before, &after);
    assert!(found.is_judged() && !found.is_all_judged() && !found.is_regression());
    let said = "not compared in case debug-task: no value in the later run, 2 of 5 repetitions have a value, at least 3 needed.";
    has(&change_text(&found), said);
    lacks(&change_text(&found), "gpu-01: ");
    let back = compared(&after, &before);
    assert!(back.is_all_judged(), "values missing in the earlier run are not a gap");
    has(&change_text(&back), "not compared in case debug-task: no value in the earlier run.");
}

#[test]
fn a_missing_or_differently_counted_metric_is_a_gap_and_others_are_judged() {
    let before = two_cases(5).requests(3).fleet(2).build();
    let (mut without_energy, mut by_chunks) = (before.clone(), before.clone());
    let gpus = counted(&mut without_energy).flat_map(series);
    gpus.for_each(|gpu| gpu.energy.clear());
    let traces = counted(&mut by_chunks).flat_map(|attempt| &mut attempt.report.traces);
    traces.for_each(|trace| trace.usage = None);
    for (after, said) in [
        (
            &without_energy,
            "energy per output token: not compared: no comparable case, no value in the later run, no usable attempt has a value.",
        ),
        (
            &by_chunks,
            "decode speed: not compared: token counts from `chunks`, before: `usage` (C9).",
        ),
    ] {
        let found = compared(&before, after);
        assert!(found.is_judged() && !found.is_all_judged(), "{}", change_text(&found));
        has(&change_text(&found), said);
        has(&change_text(&found), "End-to-end time: both");
    }
}

#[test]
fn a_case_in_only_one_suite_is_listed_and_not_a_gap() {
    let (before, mut after) = (before(), after(0.0));
    let removed = after.header.suite.cases.remove(1).id;
    after.attempts.retain(|attempt| attempt.report.key.cell.case != removed);
    let found = compared(&before, &after);
    assert!(found.is_all_judged());
    for (found, which) in [(found, "later"), (compared(&after, &before), "earlier")] {
        let said = format!("not compared in case debug-task: not in the suite of the {which} run.");
        has(&change_text(&found), &said);
    }
}

#[test]
fn skipped_levels_are_listed_and_not_a_gap() {
    let run = RunBuilder::new(&["Load"], 5).requests(24).levels(&[1, 2, 4]);
    let before = run.fleet(1).build();
    let mut after = before.clone();
    skip(&mut after, "load.c2", |cell| cell.case.as_str() == "load.c4");
    let found = compared(&before, &after);
    assert!(found.is_all_judged(), "{}", change_text(&found));
    let said = "not compared in case load.c4: no value in the later run, skipped after saturation.";
    has(&change_text(&found), said);
}

#[test]
fn a_host_without_usable_results_is_listed_with_the_reason() {
    let (before, mut after) = (before(), after(0.0));
    fail(&mut after, |cell| cell.host.as_str() == "gpu-02");
    let found = compared(&before, &after);
    assert!(found.is_judged() && !found.is_all_judged() && found.absent.is_empty());
    let said = "gpu-02: not comparable: no usable results, the attempt did not complete: it ran out of time.";
    assert!(change_lines(&found).iter().any(|line| line == said), "{}", change_text(&found));
}
