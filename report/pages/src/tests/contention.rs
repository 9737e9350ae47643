//! Contention between hosts, and how the report describes start modes.

use regatta_figures::compare::Contention;
use regatta_types::suite::StartMode;

use super::*;

/// Three hosts; the second is 5 % slower when all run at the same time.
fn three(mode: StartMode) -> WholeRun {
    let contended = |n, host: TestHost| host.contended_by(if n == 2 { 1.0 / 19.0 } else { 0.0 });
    two_cases(5).fleet_of(3, contended).start(mode).build()
}

/// The part of a page from a heading to the next section.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let rest = from(page, heading);
    rest[3..].find("\n## ").map_or(rest, |to| &rest[..to + 3])
}

fn verdicts(found: &Contention) -> Vec<Judgement> {
    found.hosts.iter().map(|host| host.verdict.clone()).collect()
}

#[test]
fn a_contention_loss_of_five_percent_is_found_on_one_host_only() {
    let run = three(StartMode::Both);
    let analysis = Analysis::new(&run).unwrap();
    let metrics: Vec<Metric> = analysis.contention.iter().map(|found| found.metric).collect();
    assert_eq!(metrics, [Metric::DecodeTps, Metric::Ttft]);
    let decode = &analysis.contention[0];
    let same = Verdict::Equivalent;
    assert_eq!(verdicts(decode), [same, Verdict::Slower, same]);
    assert_eq!(verdicts(&analysis.contention[1]), [same; 3]);
    let lost = -decode.hosts[1].effect.unwrap().mean.exp_m1();
    assert!((lost - 0.05).abs() < 0.003, "{lost}");
    let is_said = |line: &String| line.contains("when all hosts run at the same time.");
    let said: Vec<String> = lines(&run).into_iter().filter(is_said).collect();
    assert!(said.len() == 1 && said[0].starts_with("gpu-02 (4."), "{said:?}");
    insta::assert_snapshot!(section(&page(&run, "report.md"), "## Start synchronization"));
}

#[test]
fn hosts_without_contention_are_as_fast_together_as_solo() {
    let run = two_cases(5).fleet(2).start(StartMode::Both).build();
    let said = "Contention: both hosts decode as fast together as solo, within 2 %.";
    assert_eq!(line(&run, "Contention"), said);
}

#[test]
fn a_single_host_has_no_contention_section() {
    let one = TestHost::new("gpu-01").contended_by(0.05);
    let run = two_cases(5).host(one).start(StartMode::Both).build();
    assert!(Analysis::new(&run).unwrap().contention.is_empty());
    lacks(&page(&run, "report.md"), "### Contention");
}

#[test]
fn solo_attempts_are_excluded_from_the_comparison_of_hosts() {
    let run = two_cases(5).levels(&[1, 2, 4]).requests(16).fleet(2);
    let both = run.start(StartMode::Both).build();
    let mut together = both.clone();
    together.header.start = StartMode::Together;
    together.header.suite.cases.retain(|case| case.solo_of.is_none());
    together.attempts.retain(|attempt| !attempt.report.key.cell.case.as_str().ends_with(".solo"));
    assert!(together.attempts.len() < both.attempts.len());
    let (all, only) = (Analysis::new(&both).unwrap(), Analysis::new(&together).unwrap());
    let json = |analysis: &Analysis<'_>| {
        let hosts = analysis.hosts.iter();
        let figures: Vec<_> = hosts.map(|h| (&h.figures, &h.requests, &h.sweeps)).collect();
        let classes = format!("{:?}", analysis.classes);
        let figures = serde_json::to_string(&figures).unwrap();
        (classes, figures, Capacity::of(analysis))
    };
    assert_eq!(json(&all), json(&only));
    let planned = all.cells.planned;
    assert_eq!(planned, 2 * only.cells.planned, "but they are planned, and may be missing");
    assert_eq!(all.contention.len(), 3, "decode speed, TTFT and the output of the loads");
    has(&page(&both, "hosts/gpu-01.md"), "| Load, 2 streams (solo) |");
}

#[test]
fn a_run_with_one_start_mode_describes_the_plan_and_that_contention_was_not_measured() {
    for (mode, planned, measured) in [
        (StartMode::Together, "**synchronized**", "every case ran only together."),
        (StartMode::Staggered, "hosts start 1 s apart", "every case ran only staggered."),
        (StartMode::Solo, "one host measures at a time", "every case ran only solo."),
    ] {
        let report = page(&three(mode), "report.md");
        let start = section(&report, "## Start synchronization");
        assert!(start.contains(planned) && start.contains(measured), "{mode}: {start}");
        has(start, "With `--start both` each case runs solo and together");
        assert_eq!(start.contains("synchronized"), mode == StartMode::Together, "{start}");
    }
}

#[test]
fn runs_are_compared_in_the_start_modes_that_both_have() {
    let compared = |before, after| under(&Terms::default(), &three(before), &three(after));
    let speeds = |changes: &Changes| -> Vec<String> {
        let lines = change_lines(changes).into_iter();
        lines.filter(|line| line.starts_with("Decode speed")).collect()
    };
    let all = "all 3 hosts are equivalent within 2 %.";
    let together = compared(StartMode::Together, StartMode::Both);
    assert_eq!(speeds(&together), [format!("Decode speed: {all}")]);
    let solo = compared(StartMode::Both, StartMode::Solo);
    assert_eq!(speeds(&solo), [format!("Decode speed (solo): {all}")]);
    let both = compared(StartMode::Both, StartMode::Both);
    let expected = [format!("Decode speed: {all}"), format!("Decode speed (solo): {all}")];
    assert_eq!(speeds(&both), expected);
    for changes in [together, solo, both] {
        assert!(changes.is_all_judged() && !changes.is_regression(), "{:?}", speeds(&changes));
    }
    let other = compared(StartMode::Solo, StartMode::Together);
    has(&change_text(&other), "not comparable: start mode together, before: solo (C12).");
}

/// With two repetitions there is no verdict; the page used to say that no host had usable attempts.
#[test]
fn every_host_with_too_few_repetitions_both_ways_is_listed_without_a_verdict() {
    let run = two_cases(2).fleet(2).start(StartMode::Both).build();
    let page = page(&run, "report.md");
    let said = section(&page, "### Contention");
    let verdicts = said.matches("no verdict: too few repetitions measured both ways");
    assert_eq!(verdicts.count(), 4, "{said}");
    let why = "gpu-01, gpu-02: decode speed excludes backend-system, debug-task: fewer than 3 repetitions measured both ways.";
    has(said, why);
}

/// A check of two such runs returned 9 for the level that the sweep had skipped when solo.
#[test]
fn a_skipped_level_of_a_solo_counterpart_is_not_a_gap() {
    let sweep = RunBuilder::new(&["Load"], 5).requests(24).levels(&[1, 2, 4]);
    let before = sweep.fleet(1).start(StartMode::Both).build();
    let mut after = before.clone();
    skip(&mut after, "load.c2", |cell| cell.case.as_str().starts_with("load.c4"));
    let found = under(&Terms::default(), &before, &after);
    let said = change_text(&found);
    assert!(found.is_all_judged(), "{said}");
    let skipped = "no value in the later run, skipped after saturation.";
    has(&said, &format!("(solo) not compared in case load.c4: {skipped}"));
}

#[test]
fn a_baseline_with_solo_cases_is_read_as_written() {
    let text = baseline(&three(StartMode::Both)).to_toml();
    has(&text, "\"backend-system.solo\" = \"backend-system\"");
    assert_eq!(Baseline::parse(&text).unwrap().to_toml(), text);
}
