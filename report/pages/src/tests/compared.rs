//! What enters a comparison, which hosts may be compared, and what is said of it.

use std::time::Duration;

use regatta_types::comparability::ClassFact;
use regatta_types::event::MissingReason;
use regatta_types::facts::{EngineFacts, EngineSettings};
use regatta_types::metric::Metric;
use regatta_types::reading::Reading;
use regatta_types::time::ClockOffset;
use regatta_types::trace::{ChunkKind, Usage};
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::{attempts_of, page, three_hosts};
use crate::testing::{RunBuilder, TestHost, WholeRun, lose};
use crate::testing::{completeness, summary};
use regatta_figures::analysis::Analysis;
use regatta_figures::compare::{DriftRow, Unjudged, Verdict, drift};
use regatta_figures::completeness::Completeness;

fn engine<'a>(record: &'a mut WholeRun, host: &str) -> &'a mut EngineFacts {
    let host = record.hosts.iter_mut().find(|h| h.host.as_str() == host).unwrap();
    match &mut host.engine {
        Reading::Known(engine) => engine,
        Reading::NotAvailable { .. } => panic!("made with an engine"),
    }
}

pub(super) fn verdict(record: &WholeRun, metric: Metric, host: &str) -> Option<Verdict> {
    let analysis = Analysis::new(record).unwrap();
    let report = analysis.classes[0].metric(metric)?;
    let judged = report.outcome.hosts.iter().find(|j| j.host.as_str() == host);
    judged.map(|j| j.verdict)
}

#[test]
fn equal_hosts_share_a_place_and_the_one_far_from_them_is_an_outlier() {
    let names = ["gpu-01", "gpu-02", "gpu-03", "gpu-04"];
    let slow = TestHost::new("gpu-05").slower_by(0.25);
    let fleet = names
        .iter()
        .fold(RunBuilder::new(&["Backend system"], 5), |run, name| run.host(TestHost::new(name)));
    let record = fleet.host(slow).build();
    let report = page(&record, "report.md");
    let row = |host: &str| {
        let place = |line: &&str| line.starts_with(&format!("| {host} |")) && line.ends_with("|");
        let line = report.lines().find(place).expect("a row of the table of decode speed");
        line.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(names.map(row), ["1= (1–4)"; 4].map(str::to_owned));
    assert_eq!(row("gpu-05"), "5");
    assert!(report.contains("Outliers in decode speed, by robust z"), "{report}");
    let four = RunBuilder::new(&["Backend system"], 5);
    let four = names[1..].iter().fold(four, |run, name| run.host(TestHost::new(name)));
    let report = page(&four.host(TestHost::new("gpu-05").slower_by(0.25)).build(), "report.md");
    assert!(!report.contains("utlier"), "four hosts are too few for that word");
}

#[test]
fn a_margin_that_was_set_decides_and_is_named() {
    let build = |margins: &str| {
        let mut record = RunBuilder::new(&["Backend system"], 5)
            .host(TestHost::new("gpu-01"))
            .host(TestHost::new("gpu-02").slower_by(0.04))
            .build();
        record.header.margins = margins.parse().unwrap();
        record
    };
    let lines = |record: &WholeRun| summary(record).verdict_lines.join("\n");
    let narrow = lines(&build("3%"));
    assert!(narrow.contains("gpu-02 is 3."), "{narrow}");
    let wide = build("3%,decode=7.5%");
    assert!(lines(&wide).contains("are equivalent within 7.5 %"), "{}", lines(&wide));
    let report = page(&wide, "report.md");
    let method = "decode speed 7.5 %, time to first token 3 %, time to first answer token 3 %";
    assert!(report.contains(method), "{report}");
}

#[test]
fn the_first_answer_is_compared_only_where_reasoning_comes_before_it() {
    let mut record = three_hosts();
    assert_eq!(verdict(&record, Metric::FirstAnswer, "gpu-01"), None);
    for host in ["gpu-01", "gpu-02", "gpu-03"] {
        for attempt in attempts_of(&mut record, host) {
            for trace in &mut attempt.report.traces {
                trace.chunks.iter_mut().take(40).for_each(|c| c.kind = ChunkKind::Reasoning);
            }
        }
    }
    assert_eq!(verdict(&record, Metric::FirstAnswer, "gpu-01"), Some(Verdict::Equivalent));
    assert_eq!(verdict(&record, Metric::FirstAnswer, "gpu-03"), Some(Verdict::Slower));
    let lines = summary(&record).verdict_lines.join("\n");
    assert!(lines.contains("Time to first answer token: 2 of 3 hosts are equivalent"), "{lines}");
    assert!(page(&record, "report.md").contains("### Time to first answer token"));
}

#[test]
fn a_host_that_needs_more_energy_is_told_so_and_not_called_slow() {
    let run = RunBuilder::new(&["Backend system"], 5).requests(4).concurrency(1);
    let mut record = run.host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02")).build();
    for attempt in attempts_of(&mut record, "gpu-02") {
        // Fewer tokens for the same work at the plug.
        for trace in &mut attempt.report.traces {
            trace.usage = trace.usage.map(|usage| Usage { completion: 111, ..usage });
            trace.chunks.truncate(111);
        }
    }
    let lines = summary(&record).verdict_lines.join("\n");
    assert!(lines.contains("Energy per output token: gpu-02 uses"), "{lines}");
    let page = page(&record, "hosts/gpu-02.md");
    assert!(page.contains("in energy per output token: **more**"), "{page}");
}

#[test]
fn hosts_of_another_engine_version_are_not_compared() {
    let mut record = three_hosts();
    engine(&mut record, "gpu-03").version = Reading::Known("0.15.0".to_owned());
    let lines = summary(&record).verdict_lines;
    assert!(lines[0].contains("2 comparability classes"), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("Class B: gpu-03:")), "{lines:?}");
    let page = page(&record, "report.md");
    let row = "| C3   | engine version | B     | 0.15.0 |";
    assert!(page.contains(row), "{page}");
    let why = "not comparable (C3: engine version 0.15.0 vs 0.15.1 of class A)";
    assert!(lines.iter().any(|line| line.ends_with(&format!("It is {why}."))), "{lines:?}");
    assert!(page.contains(&format!("| {why} |")), "it stands in the cell of the verdict: {page}");
    assert_eq!(summary(&record).hosts[2].verdict, why);
    assert!(super::page(&record, "hosts/gpu-03.md").contains(why));
}

#[test]
fn unknown_against_known_is_another_class_and_unknown_on_all_is_unverified() {
    let mut record = three_hosts();
    engine(&mut record, "gpu-03").version = Reading::missing("no endpoint for it");
    assert_eq!(Analysis::new(&record).unwrap().classes.len(), 2);
    for host in ["gpu-01", "gpu-02"] {
        engine(&mut record, host).version = Reading::missing("no endpoint for it");
    }
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!(analysis.classes.len(), 1);
    assert_eq!(analysis.classes[0].class.unverified(), ["quantisation", "engine version"]);
}

#[test]
fn a_power_cap_stays_in_the_class_and_stands_beside_the_verdict() {
    let mut record = three_hosts();
    if let Reading::Known(inventory) = &mut record.hosts[2].gpus {
        inventory.gpus[0].power_limit_w = Reading::Known(450.0);
    }
    let lines = summary(&record).verdict_lines;
    let cause = "On gpu-03 (worse in decode speed, end-to-end time) and not on most others: GPU power \
                 limit 450 W (most others 600 W). Evidence, not proof.";
    assert!(lines.iter().any(|l| l == cause), "{lines:?}");
    let page = page(&record, "report.md");
    assert!(page.contains("| C5   | GPU power limit | 600 W      | 450 W: gpu-03 |"), "{page}");
}

#[test]
fn what_differs_stands_first_with_what_most_have_and_the_causes_in_their_order() {
    let mut record = three_hosts();
    if let Reading::Known(inventory) = &mut record.hosts[2].gpus {
        inventory.gpus[0].power_limit_w = Reading::Known(450.0);
        inventory.driver = Reading::Known("570.86".to_owned());
    }
    record.hosts[1].facts.as_mut().unwrap().details.governor = Reading::missing("no cpufreq");
    for attempt in attempts_of(&mut record, "gpu-03") {
        if let Reading::Known(samples) = &mut attempt.report.engine.metrics.samples {
            samples[1].preemptions = Some(2.0);
        }
    }
    let rows = drift(&Analysis::new(&record).unwrap().hosts);
    let differing: Vec<&str> = rows.iter().filter(|r| r.differs()).map(|r| r.name).collect();
    assert_eq!(differing, ["GPU power limit", "GPU driver", "CPU clock governor"]);
    assert!(rows[..3].iter().all(DriftRow::differs), "they stand first");
    assert_eq!(rows[2].majority.as_deref(), Some("performance"));
    let others: Vec<_> = rows[2].others().into_iter().collect();
    assert_eq!((others.len(), others[0].0), (1, None), "only the one that is not known");
    let lines = summary(&record).verdict_lines;
    let cause = "On gpu-03 (worse in decode speed, end-to-end time) and not on most others: GPU power \
                 limit 450 W (most others 600 W); preemptions 20 (median of the others 0); GPU driver \
                 570.86 (most others 580.126.09). Evidence, not proof.";
    assert!(lines.iter().any(|l| l == cause), "{lines:?}");
    assert_eq!(Analysis::new(&record).unwrap().classes.len(), 1);
    let host = page(&record, "hosts/gpu-03.md");
    assert!(
        host.contains("What differs on it from the others of its class: GPU power limit 450 W")
    );
}

#[test]
fn an_unknown_fact_is_taken_as_equal_only_when_told_and_when_the_others_agree() {
    let mut record = three_hosts();
    engine(&mut record, "gpu-03").version = Reading::missing("no endpoint for it");
    assert_eq!(Analysis::new(&record).unwrap().classes.len(), 2);
    record.header.assume_equal = vec![ClassFact::EngineVersion];
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!(analysis.classes.len(), 1);
    assert_eq!(analysis.classes[0].class.assumed, ["engine version"]);
    assert!(page(&record, "report.md").contains("assumed equal: engine version"));
    engine(&mut record, "gpu-01").version = Reading::Known("0.15.0".to_owned());
    assert_eq!(
        Analysis::new(&record).unwrap().classes.len(),
        3,
        "nobody says which of the two it has"
    );
}

/// Every attempt of a host from this repetition on was served by this version.
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
fn cells_of_a_restarted_engine_with_another_version_are_of_another_class() {
    let mut record = three_hosts();
    serve_from(&mut record, "gpu-02", 4, "0.16.0");
    // The host said so, too, when it came back.
    engine(&mut record, "gpu-02").version = Reading::Known("0.16.0".to_owned());
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!(analysis.classes.len(), 1, "the hosts are compared by what was measured first");
    let [later] = analysis.later.as_slice() else { panic!("{:?}", analysis.later) };
    let cases = u32::try_from(record.header.suite.cases.len()).unwrap();
    assert_eq!((later.host.as_str(), later.label.as_str()), ("gpu-02", "B"));
    assert_eq!((later.from.repetition.0, later.cells), (4, 2 * cases));
    assert_eq!(later.change, "C3: engine version 0.16.0, at first 0.15.1");
    let decode = analysis.classes[0].metric(Metric::DecodeTps).unwrap();
    let repetitions: Vec<usize> = decode.outcome.hosts.iter().map(|j| j.repetitions).collect();
    assert_eq!(repetitions, [5, 3, 5]);
    let page = page(&record, "report.md");
    assert!(page.contains("Class B ("), "{page}");
    assert!(page.contains("C3: engine version 0.16.0, at first 0.15.1"), "{page}");
    let host = super::page(&record, "hosts/gpu-02.md");
    let event = "another engine: C3: engine version 0.16.0, at first 0.15.1";
    assert_eq!(host.matches(event).count(), 1, "an event when it was first seen: {host}");
}

#[test]
fn an_engine_that_does_not_answer_is_not_another_one() {
    let mut record = three_hosts();
    serve_from(&mut record, "gpu-02", 9, "0.16.0");
    for attempt in attempts_of(&mut record, "gpu-02") {
        attempt.report.engine.after = Reading::missing("no answer within 6s");
        if let Reading::Known(seen) = &mut attempt.report.engine.before {
            seen.settings = EngineSettings::default();
        }
    }
    let analysis = Analysis::new(&record).unwrap();
    assert_eq!((analysis.classes.len(), analysis.later.len()), (1, 0));
}

#[test]
fn answers_that_differ_are_told_as_information_case_by_case() {
    let mut record = three_hosts();
    let report = page(&record, "report.md");
    assert!(report.contains("| Debug task     |                      3 of 3 |"), "{report}");
    for attempt in attempts_of(&mut record, "gpu-02") {
        let key = &attempt.report.key.cell;
        if key.case.as_str() == "debug-task" && key.repetition.0 == 1 {
            attempt.report.traces[0].answer.sha256 = "f".repeat(64);
        }
        if key.case.as_str() == "backend-system" && key.repetition.0 == 1 {
            attempt.report.traces[0].answer.sha256 = "e".repeat(64);
        }
    }
    let first = attempts_of(&mut record, "gpu-01").next().unwrap();
    first.report.traces[0].answer.sha256 = "d".repeat(64);
    let differs = page(&record, "report.md");
    assert!(differs.contains("| Debug task     |                      2 of 3 |"), "{differs}");
    assert!(differs.contains("| Backend system |                   none of 3 |"), "{differs}");
    assert_eq!(completeness(&record), Completeness::Complete);
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), Some(Verdict::Equivalent));
    record.header.suite.cases[0].seed = None;
    record.header.suite.cases[0].temperature = 0.7;
    assert!(page(&record, "report.md").contains("text is drawn, and without a seed"));
}

#[test]
fn an_invalid_attempt_is_kept_and_not_compared() {
    let mut record = three_hosts();
    let stalled = attempts_of(&mut record, "gpu-02").next().unwrap();
    stalled.report.findings.push(Finding {
        code: FindingCode::ClientStall,
        validity: Validity::Invalid,
        evidence: "stall of 1,200 ms".to_owned(),
        advice: "leave a core to the agent".to_owned(),
    });
    let analysis = Analysis::new(&record).unwrap();
    let decode = analysis.classes[0].metric(Metric::DecodeTps).unwrap();
    let repetitions: Vec<usize> = decode.outcome.hosts.iter().map(|j| j.repetitions).collect();
    assert_eq!(repetitions, [5, 4, 5]);
    assert_eq!(completeness(&record), Completeness::SomeInvalid);
    assert!(page(&record, "hosts/gpu-02.md").contains("leave a core to the agent"));
}

/// One answer of forty ended a token early on one host: nothing to C6, but nobody knows how long the
/// others would have been.
#[test]
fn two_groups_have_no_places_and_no_order_from_few_repetitions() {
    let split = |repetitions: u32| {
        let run = RunBuilder::new(&["Debug task"], repetitions);
        let hosts = [("gpu-01", 0.0), ("gpu-02", 0.0), ("gpu-03", 0.25), ("gpu-04", 0.25)];
        let add = |run: RunBuilder, (name, slower): (&str, f64)| {
            run.host(TestHost::new(name).slower_by(slower))
        };
        hosts.into_iter().fold(run, add).build()
    };
    for (repetitions, title) in
        [(3, "### Decode speed: order not established (3 repetitions)"), (5, "### Decode speed\n")]
    {
        let record = split(repetitions);
        let analysis = Analysis::new(&record).unwrap();
        let report = analysis.classes[0].metric(Metric::DecodeTps).unwrap();
        assert!(report.outcome.two_groups && report.ranks.is_empty(), "{repetitions}");
        assert!(page(&record, "report.md").contains(title), "{repetitions}");
    }
}

#[test]
fn of_three_hosts_with_two_that_can_be_compared_the_cases_show_the_pair() {
    let mut record = three_hosts();
    let lost = MissingReason::Cancelled;
    lose(&mut record, &lost, |cell| cell.host.as_str() == "gpu-02" && cell.repetition.0 > 2);
    let page = page(&record, "report.md");
    let grid = &page[page.find("## 4. Host by case").unwrap()..];
    let said = "In brackets: difference from the other host that has enough repetitions";
    assert!(grid.lines().nth(4).unwrap().contains(said), "{grid}");
    let row = grid.lines().find(|line| line.starts_with("| Debug task")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    assert!(cells[2].ends_with(" %**)") && cells[4].contains("(**-20"), "{row}");
    assert!(!cells[3].contains('('), "gpu-02 has a value and no difference: {row}");
    lose(&mut record, &lost, |cell| cell.host.as_str() == "gpu-01" && cell.repetition.0 > 2);
    let few = "Fewer than two hosts have three repetitions of a case, so no difference.";
    assert!(super::page(&record, "report.md").contains(few));
}

#[test]
fn two_repetitions_give_figures_and_no_verdict() {
    let record = RunBuilder::new(&["Debug task"], 2)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02").slower_by(0.5))
        .build();
    let few = Some(Verdict::NotJudged(Unjudged::TooFewRepetitions));
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), few);
    assert!(page(&record, "report.md").contains("no verdict (C11: 2 of 3 complete repetitions)"));
}

#[test]
fn a_late_start_or_a_loose_clock_withholds_the_badge() {
    let synchronised = |record: &WholeRun| Analysis::new(record).unwrap().start.is_synchronised();
    let mut record = three_hosts();
    assert_eq!(synchronised(&record), Some(true));
    let report = &mut attempts_of(&mut record, "gpu-02").next().unwrap().report;
    report.began = report.began.after(Duration::from_millis(150));
    assert_eq!(synchronised(&record), Some(false));
    let mut loose = three_hosts();
    let clock = &mut loose.hosts[0].clocks[0];
    *clock = ClockOffset { bound_ns: 120_000_000, ..*clock };
    assert_eq!(synchronised(&loose), Some(false));
}

#[test]
fn a_host_whose_block_was_planned_for_later_widens_the_spread() {
    let mut record = three_hosts();
    let report = &mut attempts_of(&mut record, "gpu-02").next().unwrap().report;
    let later = Duration::from_secs(8);
    report.began = report.began.after(later);
    report.planned_start = report.planned_start.map(|at| at.after(later));
    let analysis = Analysis::new(&record).unwrap();
    assert!(analysis.start.hosts[1].lateness_ms.max() < Some(1.0), "it kept to its own plan");
    assert!(analysis.start.spread_ms.max() > Some(7_900.0));
}

#[test]
fn simulated_hosts_are_named_at_the_top_of_every_page() {
    let mut record = three_hosts();
    for host in &mut record.hosts {
        host.simulated = true;
    }
    for path in ["report.md", "hosts/gpu-01.md"] {
        let page = page(&record, path);
        let head: Vec<&str> = page.lines().take(3).collect();
        assert!(head[2].starts_with("> **Simulated"), "{head:?}");
    }
}

#[test]
fn a_fleet_of_forty_is_laid_out_with_a_row_for_each_host() {
    let titles = ["One", "Two"];
    let fleet = (1..=40).fold(RunBuilder::new(&titles, 5), |run, n| {
        let host = TestHost::new(&format!("gpu-{n:02}"));
        run.host(if n == 17 { host.slower_by(0.06) } else { host })
    });
    let record = fleet.build();
    let lines = summary(&record).verdict_lines;
    assert!(lines[0].starts_with("Decode speed: 39 of 40 hosts are equivalent"), "{lines:?}");
    assert!(lines[0].contains("gpu-17 is 5."), "{lines:?}");
    assert!(page(&record, "report.md").contains("Set aside in decode speed"));
}

#[test]
fn of_two_remarks_with_one_code_the_worse_stays() {
    let mut record = three_hosts();
    let report = &mut attempts_of(&mut record, "gpu-01").next().unwrap().report;
    for (validity, evidence) in [(Validity::Degraded, "a"), (Validity::Invalid, "b")] {
        report.findings.push(Finding {
            code: FindingCode::ClientStall,
            validity,
            evidence: evidence.to_owned(),
            advice: String::new(),
        });
    }
    let analysis = Analysis::new(&record).unwrap();
    let counted = analysis.hosts[0].cells().find_map(|(_, cell)| cell.counted()).unwrap();
    assert_eq!((counted.findings.len(), counted.validity()), (1, Validity::Invalid));
}
