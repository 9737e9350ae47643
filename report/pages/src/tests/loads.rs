//! Sweeps, rates, prompt lengths and what the client adds.

use regatta_figures::capacity::HostUsers;
use regatta_types::suite::{Prompt, TextPrompt};
use regatta_types::time::MonoNs;

use super::*;
use crate::words::capacity;

/// One host that gives no more from two streams on, over one, two, four and eight.
fn sweep() -> WholeRun {
    let host = TestHost { saturates_at: 2, ..TestHost::new("gpu-01") };
    RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4, 8]).requests(80).host(host).build()
}

/// The cell of the first row that begins so, from the first table on that has the column.
fn cell<'a>(page: &'a str, row: &str, column: &str) -> &'a str {
    let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut rows = page.lines().map(cells).skip_while(|cells| !cells.contains(&column));
    let header = rows.next().expect("a table has the column");
    let index = header.iter().position(|name| *name == column).unwrap();
    rows.find(|cells| cells.get(1) == Some(&row)).expect("the table has the row")[index]
}

/// The part of a page that has its loads.
fn loads(page: &str) -> &str {
    from(page, "### Load").split("### What").next().unwrap()
}

#[test]
fn a_sweep_is_a_table_of_levels_that_names_where_it_is_saturated() {
    let page = page(&sweep(), "hosts/gpu-01.md");
    insta::assert_snapshot!("sweep_loads", loads(&page));
}

#[test]
fn skipped_levels_are_not_missing() {
    let mut record = sweep();
    skip(&mut record, "load.c4", |cell| cell.case.as_str() == "load.c8");
    assert_eq!(completeness(&record), Completeness::Complete);
    let summary = summary(&record);
    assert_eq!((summary.cells.planned, summary.cells.skipped), (12, 3));
    let lines = summary.verdict_lines.join("\n");
    has(
        &lines,
        "gpu-01: load saturated at 4 streams: 82.1 tok/s at 4 streams; the level above is skipped.",
    );
    has(&lines, "3 of 12 cells are skipped, as their sweep was saturated.");
    lacks(&lines, "missing");
    let combined = page(&record, "report.md");
    has(&combined, "| skipped: saturated |");
    // Nine measured cells and three that were skipped read "3 missing" and "partial".
    assert_eq!(cell(&combined, "gpu-01", "Cells counted"), "9 of 9");
    let host = page(&record, "hosts/gpu-01.md");
    let result = host.lines().find(|line| line.contains("**Result: ")).unwrap();
    has(result, "9 of 9 cells counted");
    lacks(result, "partial");
    assert!(result.ends_with("3 more skipped, as a sweep was saturated before."), "{result}");
    let json = run_json(&record);
    assert_eq!(json["cells"]["skipped"], 3);
    let host = &json["hosts"][0];
    assert_eq!(host["cases"][3]["cells"][0]["state"], "skipped");
    assert_eq!(host["cases"][3]["cells"][0]["skipped"]["code"], "saturated");
    assert_eq!(host["sweeps"][0]["saturated"]["at"], "load.c4");
}

#[test]
fn a_level_that_some_host_skipped_is_compared_on_none() {
    let mut record = RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4]).requests(40).fleet(2).build();
    skip(&mut record, "load.c2", |cell| {
        (cell.host.as_str(), cell.case.as_str()) == ("gpu-02", "load.c4")
    });
    let lines = answer(&record);
    has(&lines, "gpu-01 and gpu-02 are equivalent within 2 %");
    has(&lines, "(skipped on some hosts, their sweep was saturated before): load.c4");
}

/// 400 requests at ten a second on one host.
fn at_a_rate() -> WholeRun {
    let run = RunBuilder::new(&["Rate"], 3).rate(10.0, Duration::from_millis(300));
    run.requests(400).fleet(1).build()
}

#[test]
fn a_rate_has_times_from_the_schedule_lateness_and_goodput() {
    let mut record = at_a_rate();
    for attempt in counted(&mut record) {
        // Every fourth answer comes too late.
        for trace in attempt.report.traces.iter_mut().step_by(4) {
            let later = |at: MonoNs| at.after(Duration::from_millis(200));
            trace.chunks.iter_mut().for_each(|chunk| chunk.at = later(chunk.at));
            trace.done = trace.done.map(later);
        }
    }
    let text = page(&record, "hosts/gpu-01.md");
    insta::assert_snapshot!("rate_loads", loads(&text));
    has(&text.to_lowercase(), "decode speed");
    has(&text, ", 10 requests/s (95 % CI");
    let line = page(&record, "requests.jsonl");
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((&line["case"], &line["send_lateness_s"]), (&"rate".into(), &0.001.into()));
}

#[test]
fn a_freeze_at_a_rate_is_in_the_times_of_the_host_and_of_its_attempts() {
    // Sent late because everything before stood still: from its send each request was quick.
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
    let attempts = from(&host, "## 6. Attempts");
    assert!(ms(cell(attempts, "rate", "TTFT (ms)")) > 2_150.0, "{attempts}");
}

#[test]
fn limits_show_their_good_requests_beside_every_case() {
    let mut record = RunBuilder::new(&["Chat", "Code"], 3).requests(10).fleet(1).build();
    record.header.suite.cases[0].slo.ttft = Some(Duration::from_millis(100));
    record.header.suite.cases[1].slo.tpot = Some(Duration::from_millis(30));
    let failed = counted(&mut record).find(|a| a.report.key.cell.case.as_str() == "code");
    let trace = failed.unwrap().report.traces.last_mut().unwrap();
    trace.outcome = Outcome::Failed(Failure::new(FailureKind::Reset, "gone"));
    let host = page(&record, "hosts/gpu-01.md");
    let speeds = from(&host, "### Speed");
    assert_eq!(cell(speeds, "Chat", "Good (%)"), "0.0", "none has its first token in 100 ms");
    assert_eq!(cell(speeds, "Code", "Good (%)"), "96.7", "29 of 30: the failed one misses");
    has(speeds, "Limits: Chat TTFT 100 ms; Code time per token 30 ms.");
    let combined = page(&record, "report.md");
    assert_eq!(cell(&combined, "gpu-01", "Good (%)"), "48.3");
    let mut plain = at_a_rate();
    plain.header.suite.cases[0].slo.ttft = None;
    lacks(&page(&plain, "hosts/gpu-01.md"), "Good (%)");
}

#[test]
fn users_within_the_limits_need_every_case_of_their_streams_and_all_fewer_streams() {
    // Two sweeps on one host; by the limits below one is kept everywhere.
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
        has(&page(&record, "hosts/gpu-01.md"), &format!("Within the limits: {users}."));
        users
    };
    let (kept, missed) = (500, 100);
    assert_eq!(users([[kept; 3]; 2]), "at least 4 streams (100.0 % of 240 requests good)");
    assert_eq!(
        users([[kept; 3], [kept, kept, missed]]),
        "2 streams (100.0 % of 240 requests good); not at 4 (0.0 % of 120 requests good)"
    );
    assert_eq!(
        users([[kept, missed, kept], [kept, missed, kept]]),
        "1 stream (100.0 % of 240 requests good); not at 2 (0.0 % of 120 requests good)"
    );
    assert_eq!(users([[missed; 3], [kept; 3]]), "none; not at 1 (0.0 % of 120 requests good)");
}

#[test]
fn a_load_has_its_output_for_a_watt() {
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
fn a_load_is_drawn_at_a_p95_only_where_every_level_has_one() {
    let picture = |requests: u32| {
        let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2]).requests(requests);
        page(&run.fleet(1).build(), "plots/load-a.svg")
    };
    let (many, few) = (picture(24), picture(23));
    // 3 x 24 requests are 72.
    has(&many, "time to first token, p95, ms");
    has(&few, "time to first token, p50, ms");
    lacks(&few, "p95");
}

#[test]
fn asked_and_counted_prompt_lengths_stand_side_by_side() {
    let mut record = RunBuilder::new(&["Long"], 3).fleet(1).build();
    record.header.suite.cases[0].prompt = Prompt::Text(TextPrompt { tokens: 1_000, shared: 0 });
    traces_of(&mut record, "gpu-01").for_each(|t| t.usage.as_mut().unwrap().prompt = 1_012);
    let page = page(&record, "hosts/gpu-01.md");
    let of = |column| cell(from(&page, "### Prompt lengths"), "Long", column);
    let lengths = ["Asked (tokens)", "Counted (tokens)", "Difference (%)"].map(of);
    assert_eq!(lengths, ["1,000", "1,012.0", "+1.20"]);
    let prefill: f64 = of("Prefill (tok/s)").replace(',', "").parse().unwrap();
    assert!((prefill / (1_012.0 / 0.18) - 1.0).abs() < 0.01, "{prefill}");
}

#[test]
fn what_the_client_adds_is_shown_and_remarked_where_it_weighs() {
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
    let adds = |column| cell(from(&text, "### What the client adds"), "1", column);
    let columns = ["TTFT p50 (ms)", "Gap error p99 (ms)", "CPU per 1,000 tokens (ms)"];
    assert_eq!(columns.map(adds), ["0.400", "0.030", "62.500"]);
    lacks(&answer(&light), "the client itself");
    let heavy = with_overhead(4_000);
    let said = "gpu-01: the client itself may add 4.00 ms to the time to first token of 179.37 ms";
    has(&answer(&heavy), said);
    assert_eq!(completeness(&heavy), Completeness::Complete, "it belongs to no cell");
}
