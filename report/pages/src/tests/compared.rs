//! Which hosts and attempts are compared, and how the report describes it.

use regatta_figures::compare::{DriftRow, drift};
use regatta_types::facts::EngineSettings;
use regatta_types::trace::ChunkKind;

use super::*;
use crate::words::reason::at_first;

pub(super) fn verdict(record: &WholeRun, metric: Metric, host: &str) -> Option<Judgement> {
    let hosts = found(record, metric, |report| report.outcome.hosts.clone())?;
    hosts.into_iter().find(|j| j.host.as_str() == host).map(|j| j.verdict)
}

/// The complete repetitions of each host in decode speed.
fn repetitions(record: &WholeRun) -> Vec<usize> {
    let of_hosts = |report: &MetricReport| {
        report.outcome.hosts.iter().map(|judged| judged.repetitions).collect()
    };
    found(record, Metric::DecodeTps, of_hosts).unwrap()
}

fn classes(record: &WholeRun) -> usize {
    Analysis::new(record).unwrap().classes.len()
}

#[test]
fn equal_hosts_share_a_rank_and_a_distant_host_is_an_outlier() {
    let fleet = |equal: u32| {
        let run = RunBuilder::new(&["Backend system"], 5).fleet(equal);
        page(&run.host(TestHost::new("gpu-05").slower_by(0.25)).build(), "report.md")
    };
    let report = fleet(4);
    let speeds = from(&report, "### Decode speed\n");
    let rank = |n| *row(speeds, &format!("| gpu-0{n} |")).last().unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(rank), ["1= (1–4)", "1= (1–4)", "1= (1–4)", "1= (1–4)", "5"]);
    has(&report, "Outliers in decode speed (robust z = 0.6745 x distance from the median");
    lacks(&fleet(3), "utlier");
}

#[test]
fn a_configured_margin_decides_the_verdict_and_is_shown() {
    let build = |margins: &str| {
        let slow = TestHost::new("gpu-02").slower_by(0.04);
        let mut record = RunBuilder::new(&["Backend system"], 5).fleet(1).host(slow).build();
        record.header.margins = margins.parse().unwrap();
        record
    };
    has(&answer(&build("3%")), "gpu-02 is 3.");
    let wide = build("3%,decode=7.5%");
    has(&answer(&wide), "are equivalent within 7.5 %");
    let method = "decode speed 7.5 %, time to first token 3 %, time to first answer token 3 %";
    has(&page(&wide, "report.md"), method);
}

#[test]
fn the_time_to_first_answer_is_compared_only_after_reasoning() {
    let mut record = three_hosts();
    assert_eq!(verdict(&record, Metric::FirstAnswer, "gpu-01"), None);
    for trace in counted(&mut record).flat_map(|a| &mut a.report.traces) {
        trace.chunks.iter_mut().take(40).for_each(|c| c.kind = ChunkKind::Reasoning);
    }
    assert_eq!(verdict(&record, Metric::FirstAnswer, "gpu-01"), EQUIVALENT);
    let slower = Some(Judgement::Verdict(Verdict::Slower));
    assert_eq!(verdict(&record, Metric::FirstAnswer, "gpu-03"), slower);
    let said = line(&record, "Time to first answer token: gpu-03 takes ");
    has(&said, "; 2 of 3 hosts are equivalent within 5 %");
    has(&page(&record, "report.md"), "### Time to first answer token");
}

#[test]
fn a_host_that_needs_more_energy_is_not_called_slow() {
    let mut record = RunBuilder::new(&["Backend system"], 5).requests(4).fleet(2).build();
    for trace in traces_of(&mut record, "gpu-02") {
        // Fewer tokens for the same work at the plug.
        trace.usage.as_mut().unwrap().completion = 111;
        trace.chunks.truncate(111);
    }
    line(&record, "Energy per output token: gpu-02 uses");
    let said = "- Compared with the other host, energy per output token: **more**";
    has(&page(&record, "hosts/gpu-02.md"), said);
}

#[test]
fn hosts_with_different_engine_versions_are_not_compared() {
    let mut record = three_hosts();
    engine(&mut record, "gpu-03").version = Reading::Known("0.15.0".to_owned());
    has(&lines(&record)[0], "The hosts are in 2 comparability classes.");
    let why = "not comparable: differs from class A in engine version 0.15.0 vs 0.15.1 (C3)";
    let other = line(&record, "Class B: gpu-03:");
    assert!(other.ends_with(&format!("This host is {why}.")), "{other}");
    let report = page(&record, "report.md");
    has(&report, "| C3   | engine version | B     | 0.15.0 |");
    has(&report, &format!("| {why} |"));
    assert_eq!(summary(&record).hosts[2].verdict, why);
    has(&page(&record, "hosts/gpu-03.md"), why);
}

#[test]
fn an_unknown_fact_separates_hosts_unless_assumed_equal_or_unknown_on_all() {
    let mut record = three_hosts();
    engine(&mut record, "gpu-03").version = Reading::missing("no endpoint for it");
    assert_eq!(classes(&record), 2);
    let mut assumed = record.clone();
    assumed.header.assume_equal = vec![ClassFact::EngineVersion];
    let analysis = Analysis::new(&assumed).unwrap();
    assert_eq!(analysis.classes.len(), 1);
    assert_eq!(analysis.classes[0].class.assumed, ["engine version"]);
    has(&page(&assumed, "report.md"), "assumed equal: engine version");
    engine(&mut assumed, "gpu-01").version = Reading::Known("0.15.0".to_owned());
    assert_eq!(classes(&assumed), 3, "it could have either of the two");
    for host in ["gpu-01", "gpu-02"] {
        engine(&mut record, host).version = Reading::missing("no endpoint for it");
    }
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!(analysis.classes.len(), 1);
    assert_eq!(analysis.classes[0].class.unverified(), ["quantization", "engine version"]);
}

#[test]
fn a_power_cap_keeps_the_class_and_is_a_possible_cause() {
    let mut record = three_hosts();
    lacks(&page(&record, "report.md"), "GPU power limit differs (C5)");
    cap_power(&mut record);
    let cause = "Possible causes on gpu-03 (worse in decode speed, end-to-end time), not seen on most \
                 others: GPU power limit 450 W (most others 600 W). Evidence, not proof.";
    assert_eq!(line(&record, "Possible causes on gpu-03"), cause);
    let page = page(&record, "report.md");
    has(&page, "| C5   | GPU power limit | 600 W      | 450 W: gpu-03 |");
    has(&page, "| unverified: quantization unknown; GPU power limit differs (C5) |");
}

#[test]
fn differing_facts_come_first_and_causes_are_ordered_by_strength() {
    let mut record = three_hosts();
    cap_power(&mut record);
    gpus(&mut record, "gpu-03").driver = Reading::Known("570.86".to_owned());
    let facts = host(&mut record, "gpu-02").facts.as_mut().unwrap();
    facts.details.governor = Reading::missing("no cpufreq");
    for attempt in attempts_of(&mut record, "gpu-03") {
        let samples = known(&mut attempt.report.engine.metrics.samples);
        let before = samples[0].queued.unwrap();
        samples[0].preemptions = Some(before);
        samples[1].preemptions = Some(before + 2.0);
    }
    let rows = drift(&Analysis::new(&record).unwrap().hosts);
    let differing: Vec<&str> = rows.iter().filter(|r| r.differs()).map(|r| r.name).collect();
    assert_eq!(differing, ["GPU power limit", "GPU driver", "CPU clock governor"]);
    assert!(rows[..3].iter().all(DriftRow::differs), "they come first");
    assert_eq!(rows[2].majority.as_deref(), Some("performance"));
    let others: Vec<_> = rows[2].others().into_iter().collect();
    assert_eq!((others.len(), others[0].0), (1, None), "only the unknown one");
    let cause = "Possible causes on gpu-03 (worse in decode speed, end-to-end time), not seen on most \
                 others: GPU power limit 450 W (most others 600 W); preemptions 20 (median of the \
                 others 0); GPU driver 570.86 (most others 580.126.09). Evidence, not proof.";
    assert_eq!(line(&record, "Possible causes on gpu-03"), cause);
    assert_eq!(classes(&record), 1);
    let own = "Differences from the other hosts of its class: GPU power limit 450 W";
    has(&page(&record, "hosts/gpu-03.md"), own);
}

/// Sets the engine version of a host, starting with this repetition.
fn serve_from(record: &mut WholeRun, host: &str, repetition: u32, version: &str) {
    let mut seen = engine(record, host).clone();
    for attempt in attempts_of(record, host) {
        seen.version = Reading::Known("0.15.1".to_owned());
        if attempt.report.key.cell.repetition.0 >= repetition {
            seen.version = Reading::Known(version.to_owned());
        }
        attempt.report.engine.before = Reading::Known(seen.clone());
        attempt.report.engine.after = Reading::Known(seen.clone());
    }
}

#[test]
fn cells_after_an_engine_upgrade_belong_to_another_class() {
    let mut record = three_hosts();
    serve_from(&mut record, "gpu-02", 4, "0.16.0");
    // The host also reported it when it rejoined.
    engine(&mut record, "gpu-02").version = Reading::Known("0.16.0".to_owned());
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!(analysis.classes.len(), 1, "the first engine of each host decides");
    let [later] = analysis.later.as_slice() else { panic!("{:?}", analysis.later) };
    let cases = u32::try_from(record.header.suite.cases.len()).unwrap();
    assert_eq!((later.host.as_str(), later.label.as_str()), ("gpu-02", "B"));
    assert_eq!((later.from.repetition.0, later.cells), (4, 2 * cases));
    let change = "engine version 0.16.0, at first: 0.15.1 (C3)";
    assert_eq!(at_first(&later.change), change);
    assert_eq!(repetitions(&record), [5, 3, 5]);
    let report = page(&record, "report.md");
    has(&report, "Class B (");
    has(&report, change);
    let host = page(&record, "hosts/gpu-02.md");
    let event = format!("the engine changed: {change}");
    assert_eq!(unlinked(&host).matches(&event).count(), 1, "one event: {host}");
}

#[test]
fn an_engine_that_does_not_answer_is_not_a_changed_engine() {
    let mut record = three_hosts();
    serve_from(&mut record, "gpu-02", 9, "0.16.0");
    for attempt in attempts_of(&mut record, "gpu-02") {
        attempt.report.engine.after = Reading::missing("no answer within 6s");
        known(&mut attempt.report.engine.before).settings = EngineSettings::default();
    }
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!((analysis.classes.len(), analysis.later.len()), (1, 0));
}

#[test]
fn different_answers_are_listed_by_case_and_do_not_affect_verdicts() {
    let mut record = three_hosts();
    has(&page(&record, "report.md"), "| Debug task     |                      3 of 3 |");
    for (host, case, text) in [
        ("gpu-02", "debug-task", "f"),
        ("gpu-02", "backend-system", "e"),
        ("gpu-01", "backend-system", "d"),
    ] {
        let first =
            attempts_of(&mut record, host).find(|a| a.report.key.cell.case.as_str() == case);
        first.unwrap().report.traces[0].answer.sha256 = text.repeat(64);
    }
    let differs = page(&record, "report.md");
    has(&differs, "| Debug task     |                      2 of 3 |");
    has(&differs, "| Backend system |                   none of 3 |");
    assert_eq!(completeness(&record), Completeness::Complete);
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), EQUIVALENT);
    record.header.suite.cases[0].seed = None;
    record.header.suite.cases[0].temperature = 0.7;
    has(&page(&record, "report.md"), "| not compared: sampled without a seed |");
}

#[test]
fn an_invalid_attempt_is_stored_but_not_compared() {
    let mut record = three_hosts();
    let stalled = attempts_of(&mut record, "gpu-02").next().unwrap();
    stalled.report.findings.push(finding("client_stall", Validity::Invalid));
    assert_eq!(repetitions(&record), [5, 4, 5]);
    assert_eq!(completeness(&record), Completeness::SomeInvalid);
    let said = "1 of 30 counted cells invalid: stored, but excluded from all figures (C10).";
    assert_eq!(line(&record, "1 of 30"), said);
    let own = page(&record, "hosts/gpu-02.md");
    has(&own, "over a limit");
    has(&own, "leave a core to the agent");
}

#[test]
fn two_groups_have_no_ranks_and_few_repetitions_no_order() {
    for (repetitions, title) in
        [(3, "### Decode speed: order not established (3 repetitions)"), (5, "### Decode speed\n")]
    {
        let half_slow = |n, host: TestHost| host.slower_by(if n > 2 { 0.25 } else { 0.0 });
        let record = RunBuilder::new(&["Debug task"], repetitions).fleet_of(4, half_slow).build();
        let has_groups =
            |report: &MetricReport| report.outcome.two_groups && report.ranks.is_empty();
        assert_eq!(found(&record, Metric::DecodeTps, has_groups), Some(true), "{repetitions}");
        has(&page(&record, "report.md"), title);
    }
}

#[test]
fn with_two_comparable_hosts_of_three_the_cases_show_the_pair() {
    let mut record = three_hosts();
    keep(&mut record, "gpu-02", 2);
    let report = page(&record, "report.md");
    let grid = from(&report, "## Per case");
    let said = "In parentheses: difference from the other host that has enough repetitions";
    has(grid.lines().nth(4).unwrap(), said);
    let [_, first, second, third, ..] = row(grid, "| Debug task")[..] else { panic!("{grid}") };
    assert!(first.ends_with(" %**)") && third.contains("(**-20"), "{grid}");
    assert!(!second.contains('('), "gpu-02 has a value and no difference: {grid}");
    keep(&mut record, "gpu-01", 2);
    let few = "Fewer than two hosts have three repetitions of a case, so no difference.";
    has(&page(&record, "report.md"), few);
}

#[test]
fn two_repetitions_give_figures_but_no_verdict() {
    let slow = TestHost::new("gpu-02").slower_by(0.5);
    let record = RunBuilder::new(&["Debug task"], 2).fleet(1).host(slow).build();
    let few = Some(Judgement::NotJudged(Reason::TooFewRepetitions));
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), few);
    has(&page(&record, "report.md"), "no verdict: too few repetitions, 2 of at least 3 (C11)");
}

#[test]
fn a_late_start_or_an_inaccurate_clock_is_not_synchronized() {
    let synchronized = |record: &WholeRun| Analysis::new(record).unwrap().start.is_synchronised();
    let mut record = three_hosts();
    assert_eq!(synchronized(&record), Some(true));
    let report = &mut attempts_of(&mut record, "gpu-02").next().unwrap().report;
    report.began = report.began.after(Duration::from_millis(150));
    assert_eq!(synchronized(&record), Some(false));
    let mut loose = three_hosts();
    loose.hosts[0].clocks[0].bound_ns = 120_000_000;
    assert_eq!(synchronized(&loose), Some(false));
}

#[test]
fn a_host_with_a_later_planned_start_widens_the_spread() {
    let mut record = three_hosts();
    let report = &mut attempts_of(&mut record, "gpu-02").next().unwrap().report;
    let later = Duration::from_secs(8);
    report.began = report.began.after(later);
    report.planned_start = report.planned_start.map(|at| at.after(later));
    let analysis = Analysis::new(&record).unwrap();
    assert!(analysis.start.hosts[1].lateness_ms.max() < Some(1.0), "it started as planned");
    assert!(analysis.start.spread_ms.max() > Some(7_900.0));
}

#[test]
fn simulated_hosts_are_named_at_the_top_of_every_page() {
    let mut record = three_hosts();
    record.hosts.iter_mut().for_each(|host| host.simulated = true);
    for path in ["report.md", "hosts/gpu-01.md"] {
        assert!(page(&record, path).lines().nth(2).unwrap().starts_with("> **Simulated"), "{path}");
    }
}

#[test]
fn the_slow_host_of_forty_is_excluded_from_the_reference() {
    let slow = |n, host: TestHost| host.slower_by(if n == 17 { 0.06 } else { 0.0 });
    let record = RunBuilder::new(&["One", "Two"], 5).fleet_of(40, slow).build();
    let speeds = line(&record, "Decode speed: gpu-17 is 5.");
    has(&speeds, "; 39 of 40 hosts are equivalent");
    let said = "Excluded from the reference of the other hosts in decode speed: gpu-17.";
    has(&page(&record, "report.md"), said);
}

#[test]
fn of_two_findings_with_the_same_code_the_worse_is_kept() {
    let mut record = three_hosts();
    let report = &mut attempts_of(&mut record, "gpu-01").next().unwrap().report;
    for validity in [Validity::Degraded, Validity::Invalid] {
        report.findings.push(finding("client_stall", validity));
    }
    let analysis = Analysis::new(&record).unwrap();
    let counted = analysis.hosts[0].cells().find_map(|(_, cell)| cell.counted()).unwrap();
    assert_eq!((counted.findings.len(), counted.validity()), (1, Validity::Invalid));
}
