//! Sweeps, rates, prompt lengths and what the client adds.

use std::time::Duration;

use regatta_types::event::{Disposition, SkipReason};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::ids::{CaseId, Repetition};
use regatta_types::record::AttemptRecord;
use regatta_types::suite::{Prompt, TextPrompt};
use regatta_types::time::MonoNs;
use regatta_types::trace::Outcome;
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::page;
use crate::testing::{RunBuilder, TestHost, WholeRun};
use crate::testing::{completeness, files, summary};
use regatta_figures::analysis::Analysis;
use regatta_figures::capacity::HostUsers;
use regatta_figures::completeness::Completeness;

/// One host that gives no more from two streams on, over one, two, four and eight.
fn sweep() -> WholeRun {
    let mut host = TestHost::new("gpu-01");
    host.saturates_at = 2;
    RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4, 8]).requests(80).host(host).build()
}

/// The same, ended as a coordinator ends it.
fn ended_sweep() -> WholeRun {
    let mut record = sweep();
    let is_last = |a: &AttemptRecord| a.report.key.cell.case.as_str() == "load.c8";
    let last: Vec<_> = record.attempts.extract_if(.., |a| is_last(a)).collect();
    let at = CaseId::new("load.c4").unwrap();
    let reason = SkipReason::Saturated { at, evidence: "82.1 tok/s at 4 streams".to_owned() };
    record.skipped = last.into_iter().map(|a| (a.report.key.cell, reason.clone())).collect();
    record
}

fn cell<'a>(page: &'a str, row: &str, column: &str) -> &'a str {
    let lines: Vec<&str> = page.lines().collect();
    let line = lines.iter().position(|line| line.starts_with(&format!("| {row} "))).unwrap();
    let header = lines[..line].iter().rposition(|line| line.starts_with("| -")).unwrap() - 1;
    let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let index = cells(lines[header]).iter().position(|name| *name == column).unwrap();
    cells(lines[line])[index]
}

/// A page from the first table on that has a column.
fn with_column<'a>(page: &'a str, column: &str) -> &'a str {
    let at = page.find(&format!("| {column} |")).expect("the page has the column");
    &page[page[..at].rfind('\n').map_or(0, |end| end + 1)..]
}

/// A page from its table of loads on.
fn loads(page: &str) -> &str {
    &page[page.find("### Load").unwrap()..]
}

#[test]
fn a_sweep_is_a_table_of_levels_that_names_where_it_is_saturated() {
    let page = page(&sweep(), "hosts/gpu-01.md");
    insta::assert_snapshot!("sweep_loads", loads(&page).split("### What").next().unwrap());
}

#[test]
fn skipped_levels_are_not_missing() {
    let record = ended_sweep();
    assert_eq!(completeness(&record), Completeness::Complete);
    let summary = summary(&record);
    assert_eq!((summary.cells.planned, summary.cells.skipped), (12, 3));
    let lines = summary.verdict_lines.join("\n");
    let said =
        "gpu-01: load saturated at 4 streams: 82.1 tok/s at 4 streams; the level above is skipped.";
    assert!(lines.contains(said), "{lines}");
    assert!(lines.contains("3 of 12 cells are skipped, as their sweep was saturated."), "{lines}");
    assert!(!lines.contains("missing"), "{lines}");
    let combined = page(&record, "report.md");
    assert!(combined.contains("| skipped: saturated |"), "{combined}");
    // Nine measured cells and three that were skipped read "3 missing" and "partial".
    assert_eq!(cell(with_column(&combined, "Cells counted"), "gpu-01", "Cells counted"), "9 of 9");
    let host = page(&record, "hosts/gpu-01.md");
    let result = host.lines().find(|line| line.contains("**Result: ")).unwrap();
    assert!(result.contains("9 of 9 cells counted") && !result.contains("partial"), "{result}");
    assert!(result.ends_with("3 more skipped, as a sweep was saturated before."), "{result}");
    let json: serde_json::Value = serde_json::from_str(&page(&record, "run.json")).unwrap();
    assert_eq!(json["cells"]["skipped"], 3);
    let host = &json["hosts"][0];
    assert_eq!(host["cases"][3]["cells"][0]["state"], "skipped");
    assert_eq!(host["cases"][3]["cells"][0]["skipped"]["code"], "saturated");
    assert_eq!(host["sweeps"][0]["saturated"]["at"], "load.c4");
}

#[test]
fn a_level_that_some_host_skipped_is_compared_on_none() {
    let build = || RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4]).requests(40);
    let mut record = build().host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02")).build();
    let is_gone = |a: &AttemptRecord| {
        let cell = &a.report.key.cell;
        cell.case.as_str() == "load.c4" && cell.host.as_str() == "gpu-02"
    };
    let gone: Vec<_> = record.attempts.extract_if(.., |a| is_gone(a)).collect();
    let at = CaseId::new("load.c2").unwrap();
    let reason = SkipReason::Saturated { at, evidence: "as before".to_owned() };
    record.skipped = gone.into_iter().map(|a| (a.report.key.cell, reason.clone())).collect();
    let lines = summary(&record).verdict_lines.join("\n");
    assert!(lines.contains("gpu-01 and gpu-02 are equivalent within 2 %"), "{lines}");
    assert!(
        lines.contains("(skipped on some hosts, their sweep was saturated before): load.c4"),
        "{lines}"
    );
}

/// 400 requests at ten a second on one host.
fn at_a_rate() -> WholeRun {
    RunBuilder::new(&["Rate"], 3)
        .rate(10.0, Duration::from_millis(300))
        .requests(400)
        .host(TestHost::new("gpu-01"))
        .build()
}

#[test]
fn a_rate_has_times_from_the_schedule_lateness_and_goodput() {
    let mut record = at_a_rate();
    for attempt in &mut record.attempts {
        // Every fourth answer comes too late.
        for trace in attempt.report.traces.iter_mut().filter(|t| t.scheduled.is_some()).step_by(4) {
            let later = |at: regatta_types::time::MonoNs| at.after(Duration::from_millis(200));
            trace.chunks.iter_mut().for_each(|chunk| chunk.at = later(chunk.at));
            trace.done = trace.done.map(later);
        }
    }
    let text = page(&record, "hosts/gpu-01.md");
    insta::assert_snapshot!("rate_loads", loads(&text).split("### What").next().unwrap());
    assert!(text.contains("decode speed") || text.contains("Decode speed: "), "{text}");
    assert!(text.contains(", 10 requests/s (95 % CI"), "no streams at a rate: {text}");
    let line = page(&record, "requests.jsonl");
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((&line["case"], &line["send_lateness_s"]), (&"rate".into(), &0.001.into()));
}

#[test]
fn a_freeze_at_a_rate_is_in_the_times_of_the_host_and_of_its_attempts() {
    // Sent late because everything before stood still: from its send each request was quick.
    let mut record = at_a_rate();
    for trace in record.attempts.iter_mut().flat_map(|a| &mut a.report.traces) {
        trace.scheduled = trace.scheduled.map(|at| MonoNs(at.0 - 2_000_000_000));
    }
    let ms = |text: &str| text.replace(',', "").parse::<f64>().unwrap();
    let combined = page(&record, "report.md");
    for column in ["TTFT p50 (ms)", "TTFT p95 (ms)", "TTFT max (ms)"] {
        let shown = ms(cell(with_column(&combined, column), "gpu-01", column));
        assert!(shown > 2_150.0, "{column}: {shown}");
    }
    let host = page(&record, "hosts/gpu-01.md");
    let attempts = &host[host.find("## 6. Attempts").unwrap()..];
    assert!(ms(cell(attempts, "rate", "TTFT (ms)")) > 2_150.0, "{attempts}");
}

#[test]
fn limits_show_their_good_requests_beside_every_case() {
    let mut record =
        RunBuilder::new(&["Chat", "Code"], 3).requests(10).host(TestHost::new("gpu-01")).build();
    record.header.suite.cases[0].slo.ttft = Some(Duration::from_millis(100));
    record.header.suite.cases[1].slo.tpot = Some(Duration::from_millis(30));
    let failed = record.attempts.iter_mut().find(|a| a.report.key.cell.case.as_str() == "code");
    let trace = failed.unwrap().report.traces.last_mut().unwrap();
    trace.outcome = Outcome::Failed(Failure::new(FailureKind::Reset, "gone"));
    let host = page(&record, "hosts/gpu-01.md");
    let speeds = &host[host.find("### Speed").unwrap()..];
    assert_eq!(cell(speeds, "Chat", "Good (%)"), "0.0", "none has its first token in 100 ms");
    assert_eq!(cell(speeds, "Code", "Good (%)"), "96.7", "29 of 30: the failed one misses");
    let limits = "Limits: Chat TTFT 100 ms; Code time per token 30 ms.";
    assert!(speeds.contains(limits), "{speeds}");
    let combined = page(&record, "report.md");
    assert_eq!(cell(with_column(&combined, "Good (%)"), "gpu-01", "Good (%)"), "48.3");
    let plain = page(&at_a_rate_without_limits(), "hosts/gpu-01.md");
    assert!(!plain.contains("Good (%)"), "{plain}");
}

fn at_a_rate_without_limits() -> WholeRun {
    let mut record = at_a_rate();
    record.header.suite.cases[0].slo.ttft = None;
    record
}

#[test]
fn users_within_the_limits_need_every_case_of_their_streams_and_all_fewer_streams() {
    // Two sweeps on one host; by the limits below one is kept everywhere.
    let users = |limits: [[u64; 3]; 2]| {
        let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2, 4]).requests(40);
        let mut record = run.host(TestHost::new("gpu-01")).build();
        let second: Vec<_> = record
            .header
            .suite
            .cases
            .iter()
            .map(|case| {
                let mut case = case.clone();
                case.id = CaseId::new(format!("other.{}", case.id)).unwrap();
                case
            })
            .collect();
        let attempts: Vec<_> = record
            .attempts
            .iter()
            .filter(|a| a.disposition == Disposition::Counted)
            .map(|attempt| {
                let mut attempt = attempt.clone();
                let case = &mut attempt.report.key.cell.case;
                *case = CaseId::new(format!("other.{case}")).unwrap();
                attempt
            })
            .collect();
        record.header.suite.cases.extend(second);
        record.attempts.extend(attempts);
        for (case, ms) in record.header.suite.cases.iter_mut().zip(limits.concat()) {
            case.slo.ttft = Some(Duration::from_millis(ms));
        }
        let analysis = Analysis::new(&record).unwrap();
        let users = HostUsers::of(&analysis.hosts[0]).unwrap();
        let page = page(&record, "hosts/gpu-01.md");
        assert!(
            page.contains(&format!(
                "Within the limits: {}.",
                crate::words::capacity::users(&users)
            )),
            "{page}"
        );
        crate::words::capacity::users(&users)
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
    let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2]).requests(40);
    let record = run.host(TestHost::new("gpu-01")).build();
    let host = page(&record, "hosts/gpu-01.md");
    let table = with_column(&host, "Output per watt (tok/s/W)");
    let number = |column| cell(table, "Load, 2 streams", column).parse::<f64>().unwrap();
    let (output, watts) = (number("Output (tok/s)"), number("GPU power, mean (W)"));
    assert!((number("Output per watt (tok/s/W)") - output / watts).abs() < 0.001, "{table}");
    let json: serde_json::Value = serde_json::from_str(&page(&record, "run.json")).unwrap();
    let written = json["hosts"][0]["cases"][1]["tok_per_s_per_w"].as_f64().unwrap();
    assert!((written - output / watts).abs() < 0.001, "{written}");
}

#[test]
fn a_load_is_drawn_at_a_p95_only_where_every_level_has_one() {
    let picture = |requests: u32| {
        let run = RunBuilder::new(&["Load"], 3).levels(&[1, 2]).requests(requests);
        let mut files = files(&run.host(TestHost::new("gpu-01")).build());
        String::from_utf8(files.remove("plots/load-a.svg").unwrap()).unwrap()
    };
    let (many, few) = (picture(24), picture(23));
    assert!(many.contains("time to first token, p95, ms"), "3 x 24 requests are 72: {many}");
    assert!(few.contains("time to first token, p50, ms") && !few.contains("p95"), "{few}");
}

#[test]
fn what_an_agent_says_against_itself_spoils_the_attempt() {
    let mut record = at_a_rate();
    let counted = |a: &&mut AttemptRecord| a.disposition == Disposition::Counted;
    let report = &mut record.attempts.iter_mut().find(counted).unwrap().report;
    report.findings.push(Finding {
        code: FindingCode::ClientLimited,
        validity: Validity::Invalid,
        evidence: "1 of 400 requests were not sent".to_owned(),
        advice: "ask for a lower rate".to_owned(),
    });
    let lines = summary(&record).verdict_lines.join("\n");
    assert!(lines.contains("Invalid, kept and not compared: 1 of 3 counted cells."), "{lines}");
    let page = page(&record, "hosts/gpu-01.md");
    assert!(page.contains("1 of 400 requests were not sent"), "{page}");
}

#[test]
fn asked_and_counted_prompt_lengths_stand_side_by_side() {
    let mut record = RunBuilder::new(&["Long"], 3).host(TestHost::new("gpu-01")).build();
    record.header.suite.cases[0].prompt = Prompt::Text(TextPrompt { tokens: 1_000, shared: 0 });
    for trace in record.attempts.iter_mut().flat_map(|a| &mut a.report.traces) {
        trace.usage.as_mut().unwrap().prompt = 1_012;
    }
    let page = page(&record, "hosts/gpu-01.md");
    let lengths = &page[page.find("### Prompt lengths").unwrap()..];
    assert_eq!(cell(lengths, "Long", "Asked (tokens)"), "1,000");
    assert_eq!(cell(lengths, "Long", "Counted (tokens)"), "1,012.0");
    assert_eq!(cell(lengths, "Long", "Difference (%)"), "+1.20");
    let prefill: f64 = cell(lengths, "Long", "Prefill (tok/s)").replace(",", "").parse().unwrap();
    assert!((prefill / (1_012.0 / 0.18) - 1.0).abs() < 0.01, "{prefill}");
}

#[test]
fn what_the_client_adds_is_shown_and_remarked_where_it_weighs() {
    let mut record = RunBuilder::new(&["Tiny"], 3).host(TestHost::new("gpu-01")).build();
    let with_floor = |record: &mut WholeRun, ttft_us: u64| {
        let mut floor = record.attempts[0].clone();
        floor.disposition = Disposition::ClientOverhead;
        floor.report.key.cell.case = CaseId::client_overhead();
        floor.report.key.cell.repetition = Repetition(0);
        floor.report.client_cpu = Some(Duration::from_millis(12));
        for trace in &mut floor.report.traces {
            let first = trace.t_send().unwrap().after(Duration::from_micros(ttft_us));
            for (chunk, index) in trace.chunks.iter_mut().zip(0_u32..) {
                chunk.at = first.after(Duration::from_micros(20_030) * index);
            }
        }
        record.attempts.push(floor);
    };
    let mut light = record.clone();
    with_floor(&mut light, 400);
    let text = page(&light, "hosts/gpu-01.md");
    let adds = &text[text.find("### What the client adds").unwrap()..];
    assert_eq!(cell(adds, "      1", "TTFT p50 (ms)"), "0.400");
    assert_eq!(cell(adds, "      1", "Gap error p99 (ms)"), "0.030");
    assert_eq!(cell(adds, "      1", "CPU per 1,000 tokens (ms)"), "62.500");
    let lines = |record: &WholeRun| summary(record).verdict_lines.join("\n");
    assert!(!lines(&light).contains("the client itself"), "{}", lines(&light));
    with_floor(&mut record, 4_000);
    let said = "gpu-01: the client itself may add 4.00 ms to the time to first token of 179.37 ms";
    assert!(lines(&record).contains(said), "{}", lines(&record));
    assert_eq!(completeness(&record), Completeness::Complete, "a floor belongs to no cell");
    assert!(!files(&record).is_empty());
}
