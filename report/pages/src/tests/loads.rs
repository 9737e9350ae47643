//! Sweeps, open loops, prompt lengths and client overhead.

use regatta_figures::capacity::HostUsers;
use regatta_figures::sweep::Unjudged;
use regatta_types::suite::{Prompt, TextPrompt};
use regatta_types::time::MonoNs;
use regatta_types::validity::FindingCode;

use super::*;
use crate::words::capacity;

/// One host at one, two, four and eight streams, saturated at two.
fn sweep() -> WholeRun {
    let host = TestHost { saturates_at: 2, ..TestHost::new("gpu-01") };
    RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4, 8]).requests(80).host(host).build()
}

/// The cell of the first row with this beginning, in the first table with this column.
fn cell<'a>(page: &'a str, row: &str, column: &str) -> &'a str {
    let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut rows = page.lines().map(cells).skip_while(|cells| !cells.contains(&column));
    let header = rows.next().expect("a table has the column");
    let index = header.iter().position(|name| *name == column).unwrap();
    rows.find(|cells| cells.get(1) == Some(&row)).expect("the table has the row")[index]
}

/// The subsection of a page with its loads.
fn loads(page: &str) -> &str {
    from(page, "### Load").split("### Tokens").next().unwrap()
}

#[test]
fn a_sweep_is_a_table_of_levels_with_the_saturated_one() {
    let page = page(&sweep(), "hosts/gpu-01.md");
    insta::assert_snapshot!("sweep_loads", loads(&page));
}

#[test]
fn the_slots_of_the_engine_are_named_where_a_level_exceeds_them() {
    let mut record = sweep();
    let said = |record: &WholeRun| line(record, "gpu-01: load saturated at 4 streams: ");
    lacks(&said(&record), "at once");
    engine(&mut record, "gpu-01").settings.slots = Reading::Known(2);
    let end = "tok/s at 2 (in the steady windows); the engine works on at most 2 requests at once.";
    assert!(said(&record).ends_with(end), "{}", said(&record));
}

/// A sweep whose only telling level was invalid was once "not saturated at any measured level".
#[test]
fn levels_that_cannot_be_judged_are_named_with_the_reason() {
    let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4]).requests(80);
    let mut record = run.fleet(1).build();
    for attempt in counted(&mut record) {
        if attempt.report.key.cell.case.as_str() != "load.c2" {
            continue;
        }
        let (evidence, advice) = (String::new(), String::new());
        let (code, validity) = (FindingCode::ClientStall, Validity::Invalid);
        attempt.report.findings.push(Finding { code, validity, evidence, advice });
    }
    let analysis = Analysis::new(&record).unwrap();
    let sweep = &analysis.hosts[0].sweeps[0];
    let unjudged: Vec<_> = sweep.unjudged.iter().map(|u| (u.at.id.as_str(), u.why)).collect();
    assert_eq!((unjudged, sweep.served), (vec![("load.c2", Unjudged::Invalid)], 1));
    line(&record, "gpu-01: load: saturation not judged at 2 streams (invalid).");
    has(&page(&record, "report.md"), "load: not saturated at any level that could be judged.");
    lose(&mut record, &MissingReason::Cancelled, |cell| cell.case.as_str() == "load.c4");
    let found = "load: saturation not judged at 2 streams (invalid); 4 streams (no attempt).";
    has(&page(&record, "hosts/gpu-01.md"), found);
    lacks(&page(&record, "hosts/gpu-01.md"), "not saturated");
    let json = run_json(&record);
    assert_eq!(json["hosts"][0]["sweeps"][0]["unjudged"][1]["why"], "missing");
}

#[test]
fn skipped_levels_are_not_missing() {
    let mut record = sweep();
    skip(&mut record, "load.c4", |cell| cell.case.as_str() == "load.c8");
    assert_eq!(completeness(&record), Completeness::Complete);
    let summary = summary(&record);
    assert_eq!((summary.cells.planned, summary.cells.skipped), (12, 3));
    let lines = summary.verdict_lines.join("\n");
    let said =
        "gpu-01: load saturated at 4 streams: 82.1 tok/s at 4 streams; 1 more level skipped.";
    has(&lines, said);
    has(&lines, "3 of 12 cells skipped after saturation of their sweep.");
    lacks(&lines, "missing");
    let combined = page(&record, "report.md");
    has(&combined, "| skipped (saturated) |");
    // Nine measured cells and three skipped ones used to be "3 missing" and "partial".
    assert_eq!(cell(&combined, "gpu-01", "Cells counted"), "9 of 9");
    let host = page(&record, "hosts/gpu-01.md");
    let result = host.lines().find(|line| line.contains("**Result: ")).unwrap();
    has(result, "9 of 9 cells counted");
    lacks(result, "partial");
    assert!(result.ends_with(" 3 more skipped after saturation."), "{result}");
    let json = run_json(&record);
    assert_eq!(json["cells"]["skipped"], 3);
    let host = &json["hosts"][0];
    assert_eq!(host["cases"][3]["cells"][0]["state"], "skipped");
    assert_eq!(host["cases"][3]["cells"][0]["skipped"]["code"], "saturated");
    assert_eq!(host["sweeps"][0]["saturated"]["at"], "load.c4");
}

#[test]
fn a_level_skipped_on_one_host_is_not_compared() {
    let mut record = RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4]).requests(40).fleet(2).build();
    skip(&mut record, "load.c2", |cell| {
        (cell.host.as_str(), cell.case.as_str()) == ("gpu-02", "load.c4")
    });
    let lines = answer(&record);
    has(&lines, "gpu-01 and gpu-02 are equivalent within 2 %");
    has(&lines, ": 1 case (load.c4). Reason: skipped on some hosts after saturation.");
}

/// 400 requests at ten a second on one host.
fn at_a_rate() -> WholeRun {
    let run = RunBuilder::new(&["Rate"], 3).rate(10.0, Duration::from_millis(300));
    run.requests(400).fleet(1).build()
}

#[test]
fn an_open_loop_has_times_from_the_schedule_lateness_and_goodput() {
    let mut record = at_a_rate();
    for attempt in counted(&mut record) {
        // Every fourth answer is too late.
        for trace in attempt.report.traces.iter_mut().step_by(4) {
            let later = |at: MonoNs| at.after(Duration::from_millis(200));
            trace.chunks.iter_mut().for_each(|chunk| chunk.at = later(chunk.at));
            trace.done = trace.done.map(later);
        }
    }
    let text = page(&record, "hosts/gpu-01.md");
    insta::assert_snapshot!("rate_loads", loads(&text));
    has(&text.to_lowercase(), "decode speed");
    has(&text, " at 10 requests/s (95 % CI");
    let line = page(&record, "requests.jsonl");
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((&line["case"], &line["send_lateness_s"]), (&"rate".into(), &0.001.into()));
}

#[test]
fn a_stall_in_an_open_loop_is_in_the_times_of_the_host_and_its_attempts() {
    // All requests are sent 2 s late; counted from the send they are fast.
    let mut record = at_a_rate();
    for trace in traces_of(&mut record, "gpu-01") {
        trace.scheduled = trace.scheduled.map(|at| MonoNs(at.0 - 2_000_000_000));
    }
    let ms = |text: &str| text.replace(',', "").parse::<f64>().unwrap();
    let combined = page(&record, "report.md");
    for column in ["TTFT p50 (ms)", "TTFT p95 (ms)", "TTFT max (ms)"] {
        let shown = ms(cell(&combined, "gpu-01", column));
        assert!(shown > 2_150.0, "{column}: {shown}");
    }
    let host = page(&record, "hosts/gpu-01.md");
    let attempts = from(&host, "## Attempts");
    assert!(ms(cell(attempts, "rate", "TTFT (ms)")) > 2_150.0, "{attempts}");
}

#[test]
fn every_case_with_an_slo_has_its_share_of_requests_that_meet_it() {
    let mut record = RunBuilder::new(&["Chat", "Code"], 3).requests(10).fleet(1).build();
    record.header.suite.cases[0].slo.ttft = Some(Duration::from_millis(100));
    record.header.suite.cases[1].slo.tpot = Some(Duration::from_millis(30));
    let failed = counted(&mut record).find(|a| a.report.key.cell.case.as_str() == "code");
    let trace = failed.unwrap().report.traces.last_mut().unwrap();
    trace.outcome = Outcome::Failed(Failure::new(FailureKind::Reset, "gone"));
    let host = page(&record, "hosts/gpu-01.md");
    let speeds = from(&host, "### Speed");
    assert_eq!(cell(speeds, "Chat", "SLO met (%)"), "0.0", "none has its first token in 100 ms");
    assert_eq!(cell(speeds, "Code", "SLO met (%)"), "96.7", "29 of 30: one failed");
    has(speeds, "SLO: Chat TTFT 100 ms; Code TPOT 30 ms.");
    let combined = page(&record, "report.md");
    assert_eq!(cell(&combined, "gpu-01", "SLO met (%)"), "48.3");
    let mut plain = at_a_rate();
    plain.header.suite.cases[0].slo.ttft = None;
    lacks(&page(&plain, "hosts/gpu-01.md"), "SLO met (%)");
}

#[test]
fn streams_within_the_slo_need_every_case_at_that_and_all_lower_levels() {
    // Two sweeps on one host.
    let users = |limits: [[u64; 3]; 2]| {
        let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4]).requests(40);
        let mut record = run.fleet(1).build();
        let other = |id: &CaseId| CaseId::new(format!("other.{id}")).unwrap();
        let mut attempts = record.attempts.clone();
        attempts.retain(|a| a.disposition == Disposition::Counted);
        for attempt in &mut attempts {
            attempt.report.key.cell.case = other(&attempt.report.key.cell.case);
        }
        record.attempts.extend(attempts);
        let mut cases = record.header.suite.cases.clone();
        cases.iter_mut().for_each(|case| case.id = other(&case.id));
        record.header.suite.cases.extend(cases);
        for (case, ms) in record.header.suite.cases.iter_mut().zip(limits.concat()) {
            case.slo.ttft = Some(Duration::from_millis(ms));
        }
        let analysis = Analysis::new(&record).unwrap();
        let users = capacity::users(&HostUsers::of(&analysis.hosts[0]).unwrap());
        has(&page(&record, "hosts/gpu-01.md"), &format!("Within the SLO: {users}."));
        users
    };
    let (met, missed) = (500, 100);
    assert_eq!(users([[met; 3]; 2]), "at least 4 streams (100.0 % of 240 requests)");
    let two = "2 streams (100.0 % of 240 requests); not at 4 (0.0 % of 120 requests)";
    assert_eq!(users([[met; 3], [met, met, missed]]), two);
    let one = "1 stream (100.0 % of 240 requests); not at 2 (0.0 % of 120 requests)";
    assert_eq!(users([[met, missed, met], [met, missed, met]]), one);
    assert_eq!(users([[missed; 3], [met; 3]]), "none; not at 1 (0.0 % of 120 requests)");
}

#[test]
fn a_load_has_its_output_per_watt() {
    let record = RunBuilder::new(&["Load"], 3).levels(&[1, 2]).requests(40).fleet(1).build();
    let host = page(&record, "hosts/gpu-01.md");
    let table = from(&host, "| Load  ");
    let number = |column| cell(table, "Load, 2 streams", column).parse::<f64>().unwrap();
    let (output, watts) = (number("Output (tok/s)"), number("GPU power, mean (W)"));
    assert!((number("Output per watt (tok/s/W)") - output / watts).abs() < 0.001, "{table}");
    let written = run_json(&record)["hosts"][0]["cases"][1]["tok_per_s_per_w"].as_f64().unwrap();
    assert!((written - output / watts).abs() < 0.001, "{written}");
}

#[test]
fn a_load_is_drawn_at_the_p95_only_if_every_level_has_one() {
    let picture = |requests: u32| {
        let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2]).requests(requests);
        page(&run.fleet(1).build(), "plots/load-a.svg")
    };
    let (many, few) = (picture(24), picture(23));
    // 3 x 24 = 72 requests.
    has(&many, "time to first token, p95 (ms, log scale)");
    has(&few, "time to first token, p50 (ms, log scale)");
    lacks(&few, "p95");
}

#[test]
fn requested_and_counted_prompt_lengths_are_compared() {
    let mut record = RunBuilder::new(&["Long"], 3).fleet(1).build();
    record.header.suite.cases[0].prompt = Prompt::Text(TextPrompt { tokens: 1_000, shared: 0 });
    traces_of(&mut record, "gpu-01").for_each(|t| t.usage.as_mut().unwrap().prompt = 1_012);
    let page = page(&record, "hosts/gpu-01.md");
    let of = |column| cell(from(&page, "### Prompt lengths"), "Long", column);
    let lengths = ["Requested (tokens)", "Counted (tokens)", "Difference (%)"].map(of);
    assert_eq!(lengths, ["1,000", "1,012.0", "+1.20"]);
    let prefill: f64 = of("Prefill (tok/s)").replace(',', "").parse().unwrap();
    assert!((prefill / (1_012.0 / 0.18) - 1.0).abs() < 0.01, "{prefill}");
}

#[test]
fn client_overhead_is_shown_and_is_a_caveat_above_one_percent() {
    let record = RunBuilder::new(&["Tiny"], 3).fleet(1).build();
    let with_overhead = |ttft_us: u64| {
        let mut record = record.clone();
        let mut overhead = client_overhead(&record, 0);
        overhead.report.client_cpu = Some(Duration::from_millis(12));
        for trace in &mut overhead.report.traces {
            let first = trace.t_send().unwrap().after(Duration::from_micros(ttft_us));
            for (chunk, index) in trace.chunks.iter_mut().zip(0_u32..) {
                chunk.at = first.after(Duration::from_micros(20_030) * index);
            }
        }
        record.attempts.push(overhead);
        record
    };
    let light = with_overhead(400);
    let text = page(&light, "hosts/gpu-01.md");
    let of = |column| cell(from(&text, "### Client overhead"), "1", column);
    let columns = ["TTFT p50 (ms)", "Gap error p99 (ms)", "CPU per 1,000 tokens (ms)"];
    assert_eq!(columns.map(of), ["0.400", "0.030", "62.500"]);
    lacks(&answer(&light), "client overhead");
    let heavy = with_overhead(4_000);
    let said = "gpu-01: the client overhead of 4.00 ms is over 1 % of the time to first token of 179.37 ms.";
    assert_eq!(line(&heavy, "gpu-01: the client overhead"), said);
    assert_eq!(completeness(&heavy), Completeness::Complete, "it is not a cell");
}
