//! A run of one host with only send, end and token counts: what the report may state.

use regatta_types::trace::Usage;

use super::*;

/// Title, seconds, prompt tokens, completion tokens (equal to max_tokens).
const ROWS: [(&str, f64, u64, u32); 10] = [
    ("Full Backend System", 120.56, 88, 800),
    ("Microservices Architecture", 23.43, 95, 600),
    ("Complex Algorithms", 26.92, 53, 700),
    ("Debug Task", 19.36, 148, 500),
    ("Data Analysis Report", 23.11, 107, 600),
    ("System Design Interview", 23.27, 86, 600),
    ("Multi-turn Conversation", 31.35, 135, 800),
    ("Technical Documentation", 27.34, 84, 700),
    ("Database Optimization", 19.46, 125, 500),
    ("ML Project", 30.64, 133, 800),
];

fn replay() -> WholeRun {
    let titles = ROWS.map(|(title, ..)| title);
    let mut record = RunBuilder::new(&titles, 1).host(TestHost::new("localhost")).build();
    record.attempts.retain(|a| a.disposition == Disposition::Counted);
    record.attempts.sort_by_key(|a| a.report.began);
    let suite = &mut record.record.header.suite;
    for (case, (.., tokens)) in suite.cases.iter_mut().zip(ROWS) {
        (case.max_tokens, case.min_max_tokens, case.length) = (tokens, tokens, Length::Natural);
    }
    let mut at = record.attempts[0].report.began;
    for (attempt, (title, seconds, prompt, completion)) in record.attempts.iter_mut().zip(ROWS) {
        let report = &mut attempt.report;
        assert_eq!(suite.case(&report.key.cell.case).unwrap().title, title);
        let trace = &mut report.traces[0];
        let mut sent = trace.sent.unwrap();
        (sent.before, sent.after) = (at, at);
        (trace.sent, trace.header, trace.first_byte) = (Some(sent), None, None);
        trace.chunks.clear();
        let end = at.after(Duration::from_secs_f64(seconds));
        trace.done = Some(end);
        let completion = u64::from(completion);
        trace.usage = Some(Usage { prompt, completion, cached: None, reasoning: None });
        (report.began, report.finished) = (at, end);
        at = end;
    }
    record
}

#[test]
fn answers_without_token_timestamps_have_no_invented_figures() {
    let record = replay();
    insta::assert_snapshot!("the_reference_report_in_a_few_lines", answer(&record));
    let host = page(&record, "hosts/localhost.md");
    insta::assert_snapshot!("the_reference_report_of_the_host", host);
    // A tenth of the time is not a TTFT.
    for invented in ["12.056", "2.343", "12056", "2343"] {
        lacks(&host, invented);
    }
}

#[test]
fn a_first_attempt_like_the_others_is_not_cold() {
    let mut record = replay();
    let trace = &mut record.attempts[0].report.traces[0];
    trace.done = trace.sent.map(|sent| sent.before.after(Duration::from_secs(31)));
    lacks(&answer(&record), "cold first attempt");
}

#[test]
fn a_cold_first_attempt_is_found_by_other_attempts_of_its_case() {
    let mut record = RunBuilder::new(&["Long prompt", "Short"], 3).host(TestHost::new("a")).build();
    record.attempts.retain(|a| a.disposition == Disposition::Counted);
    let slow = |repetitions: u32| {
        let mut record = record.clone();
        for attempt in counted(&mut record) {
            let cell = &attempt.report.key.cell;
            if cell.case.as_str() == "long-prompt" && cell.repetition.0 <= repetitions {
                let chunks = &mut attempt.report.traces[0].chunks;
                chunks.iter_mut().for_each(|c| c.at = c.at.after(Duration::from_secs(40)));
            }
        }
        answer(&record)
    };
    lacks(&slow(3), "cold first attempt");
    has(&slow(1), "a: the requests of the cold first attempt took 43");
    has(&slow(1), " s of the other attempts of its case.");
}
