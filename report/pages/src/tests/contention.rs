//! What hosts take from each other, and how the start modes are told.

use regatta_types::event::{MissingReason, SkipReason};
use regatta_types::ids::{CellKey, RunId};
use regatta_types::metric::Metric;
use regatta_types::suite::StartMode;

use super::page;
use crate::change_lines;
use crate::testing::{RunBuilder, TestHost, WholeRun, lose, summary};
use regatta_figures::analysis::Analysis;
use regatta_figures::capacity::Capacity;
use regatta_figures::compare::{Contention, Verdict};
use regatta_figures::history::{Baseline, Changes, Terms, changes};

const CASES: [&str; 2] = ["Backend system", "Debug task"];

/// Three hosts; the second generates 5 % more slowly when all run at once.
fn three(mode: StartMode) -> WholeRun {
    RunBuilder::new(&CASES, 5)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02").contended_by(1.0 / 19.0))
        .host(TestHost::new("gpu-03"))
        .start(mode)
        .build()
}

/// The part of a page from a heading to the next section.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let from = page.find(heading).expect("the page has the section");
    let rest = &page[from..];
    rest[3..].find("\n## ").map_or(rest, |to| &rest[..to + 3])
}

fn verdicts(found: &Contention) -> Vec<Verdict> {
    found.hosts.iter().map(|host| host.verdict).collect()
}

#[test]
fn five_per_cent_that_one_host_loses_together_are_found_and_nothing_else() {
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
    let lines = summary(&run).verdict_lines;
    let told: Vec<&String> = lines.iter().filter(|line| line.contains("at once")).collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(told[0].starts_with("gpu-02 (4."), "{told:?}");
    insta::assert_snapshot!(section(&page(&run, "report.md"), "## 6. Start and clocks"));
}

#[test]
fn hosts_that_share_nothing_short_are_told_so() {
    let fleet = RunBuilder::new(&CASES, 5).host(TestHost::new("gpu-01"));
    let run = fleet.host(TestHost::new("gpu-02")).start(StartMode::Both).build();
    let lines = summary(&run).verdict_lines;
    let told = "Contention: both hosts decode as fast together as alone, within 2 %.";
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
}

#[test]
fn a_host_that_is_by_itself_shares_nothing() {
    let one = RunBuilder::new(&CASES, 5).host(TestHost::new("gpu-01").contended_by(0.05));
    let run = one.start(StartMode::Both).build();
    assert!(Analysis::new(&run).unwrap().contention.is_empty());
    assert!(!page(&run, "report.md").contains("### Contention"));
}

#[test]
fn what_is_measured_solo_enters_no_comparison_of_hosts() {
    let both = RunBuilder::new(&CASES, 5).levels(&[1, 2, 4]).requests(16);
    let both = both.host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02"));
    let both = both.start(StartMode::Both).build();
    let mut together = both.clone();
    together.header.start = StartMode::Together;
    together.header.suite.cases.retain(|case| case.solo_of.is_none());
    together.attempts.retain(|attempt| !attempt.report.key.cell.case.as_str().ends_with(".solo"));
    assert!(together.attempts.len() < both.attempts.len());
    let (all, only) = (Analysis::new(&both).unwrap(), Analysis::new(&together).unwrap());
    let json = |analysis: &Analysis<'_>| {
        let hosts = analysis.hosts.iter();
        let figures: Vec<_> = hosts.map(|h| (&h.figures, &h.requests, &h.sweeps)).collect();
        let figures = serde_json::to_string(&figures).unwrap();
        (format!("{:?}", analysis.classes), figures, Capacity::of(analysis))
    };
    assert_eq!(json(&all), json(&only));
    assert_eq!(
        all.cells.planned,
        2 * only.cells.planned,
        "but they are planned, and may be missing"
    );
    assert_eq!(all.contention.len(), 3, "decode speed, TTFT and the output of the loads");
    let host = page(&both, "hosts/gpu-01.md");
    assert!(host.contains("| Load, 2 streams (solo) |"), "{host}");
}

#[test]
fn a_run_of_one_mode_says_what_was_planned_and_that_contention_was_not_measured() {
    for (mode, planned, measured) in [
        (StartMode::Together, "**synchronised**", "only together"),
        (StartMode::Staggered, "every host begins 1 s after the one before it", "only staggered"),
        (StartMode::Solo, "one host measures at a time", "only solo"),
    ] {
        let report = page(&three(mode), "report.md");
        let start = section(&report, "## 6. Start and clocks");
        assert!(start.contains(planned) && start.contains(measured), "{mode}: {start}");
        assert!(start.contains("`--start both`"), "{start}");
        assert_eq!(start.contains("synchronised"), mode == StartMode::Together, "{start}");
    }
}

#[test]
fn runs_are_compared_by_what_was_measured_in_one_way_in_both() {
    let compared = |before, after| -> Changes {
        let baseline = |mode| Baseline::of(&three(mode)).unwrap();
        changes(&baseline(before), &baseline(after), &Terms::default())
    };
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
        assert!(
            changes.is_all_judged() && !changes.is_regression(),
            "{:?}",
            change_lines(&changes)
        );
    }
    let other = change_lines(&compared(StartMode::Solo, StartMode::Together)).join("\n");
    assert!(other.contains("C12: start mode together, before solo"), "{other}");
}

/// With two repetitions nothing is judged; the page said that no host had usable attempts.
#[test]
fn too_few_repetitions_both_ways_say_so_of_every_host() {
    let fleet = RunBuilder::new(&CASES, 2).host(TestHost::new("gpu-01"));
    let run = fleet.host(TestHost::new("gpu-02")).start(StartMode::Both).build();
    let page = page(&run, "report.md");
    let told = section(&page, "### Contention");
    assert_eq!(told.matches("no verdict: too few repetitions both ways").count(), 4, "{told}");
    let why = "gpu-01, gpu-02: decode speed without backend-system, debug-task (fewer than 3 repetitions have it both ways).";
    assert!(told.contains(why), "{told}");
}

/// A check of two such runs returned 9 for the level that the sweep had skipped in its solo twin.
#[test]
fn a_skipped_level_of_a_solo_twin_is_no_gap() {
    let sweep = |name: &str| {
        let run = RunBuilder::new(&["Load"], 5).requests(24).levels(&[1, 2, 4]);
        let mut run = run.host(TestHost::new("gpu-01")).start(StartMode::Both).build();
        run.header.run = RunId::new(name).unwrap();
        run
    };
    let (before, mut after) = (sweep("before"), sweep("after"));
    let is_last = |cell: &CellKey| cell.case.as_str().starts_with("load.c4");
    lose(&mut after, &MissingReason::Cancelled, is_last);
    let at = after.header.suite.cases[1].id.clone();
    let skipped = std::mem::take(&mut after.missing).into_iter().map(|(cell, _)| {
        (cell, SkipReason::Saturated { at: at.clone(), evidence: "little more".to_owned() })
    });
    after.skipped = skipped.collect();
    let baseline = |run: &WholeRun| Baseline::of(run).unwrap();
    let found = changes(&baseline(&before), &baseline(&after), &Terms::default());
    let lines = change_lines(&found).join("\n");
    assert!(found.is_all_judged(), "{lines}");
    assert!(
        lines.contains("(solo) not compared in case load.c4 (no value in the later run: skipped"),
        "{lines}"
    );
}

#[test]
fn a_baseline_of_both_ways_is_read_as_it_is_written() {
    let baseline = Baseline::of(&three(StartMode::Both)).unwrap();
    let text = baseline.to_toml();
    assert!(text.contains("\"backend-system.solo\" = \"backend-system\""), "{text}");
    assert_eq!(Baseline::parse(&text).unwrap().to_toml(), text);
}
