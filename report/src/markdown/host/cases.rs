//! One row per case: how fast, and what was generated.

use unicode_segmentation::UnicodeSegmentation;

use crate::analysis::{Analysis, CaseAnalysis, HostAnalysis, measured};
use crate::compare::{ClassReport, Metric};
use crate::markdown::format::{
    NONE, count, fixed, interval_ms, known_count, millis, percentile_ms, seconds, tps,
};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::{Inline, fenced};
use crate::metrics::{Requests, Tokens};

/// Longest preview of an answer, in grapheme clusters.
const PREVIEW_MAX: usize = 400;

/// Section 4.
pub(super) fn cases(page: &mut Page, analysis: &Analysis<'_>, host: &HostAnalysis<'_>) {
    page.section(&"4. Cases".into());
    if !host.has_usable() {
        page.paragraph(&"Nothing usable was measured.".into());
        return;
    }
    page.subsection(&"Speed".into());
    page.table(&speeds(host, analysis.class_of(host.host)));
    page.paragraph(&"Decode speed, end-to-end speed: ratio of sums over the requests. The interval is Student's t over the repetitions' logarithms. TTFT, first answer, end to end: medians of the requests.".into());
    page.subsection(&"Latency".into());
    page.table(&latencies(host));
    let output = output(host);
    if !output.is_empty() {
        page.subsection(&"Several streams at once".into());
        page.table(&output);
        page.paragraph(&"Output of all streams in the steady window: from the first send plus one mean service time to the last send. Ramp and drain are outside.".into());
    }
    page.subsection(&"What was generated".into());
    page.table(&generated(host));
    page.paragraph(&"Sums over the requests. Token counts: `per_chunk` and `usage` come from the engine; `chunks` counts events and is approximate.".into());
    page.subsection(&"Prompts".into());
    page.table(&prompts(host));
    previews(page, host);
}

fn title(case: &CaseAnalysis<'_>) -> Inline {
    Inline::text(&case.case.title)
}

fn speeds(host: &HostAnalysis<'_>, class: Option<&ClassReport>) -> Table {
    let mut table = Table::new([
        "Case",
        "Requests>",
        "TTFT (ms)>",
        "First answer (ms)>",
        "Decode (tok/s)>",
        "95 % CI (tok/s)>",
        "End to end (s)>",
        "End-to-end speed (tok/s)>",
    ]);
    let decode = class.and_then(|c| c.metric(Metric::DecodeTps));
    for case in &host.cases {
        let figures = &case.figures;
        let judged = decode
            .and_then(|d| d.by_case(&case.case.id))
            .and_then(|o| o.hosts.iter().find(|j| j.host == *host.host));
        let interval = judged.and_then(|j| j.level).map(|l| l.interval(0.95));
        table.row([
            title(case),
            count(figures.requests.ok),
            millis(figures.ttft_s.median()),
            millis(figures.ttfa_s.median()),
            tps(figures.decode.per_second()),
            Inline::own(interval.map_or(NONE.to_owned(), |(low, high)| {
                format!("{:.2}–{:.2}", low.exp(), high.exp())
            })),
            seconds(figures.e2e_s.median()),
            tps(figures.e2e.per_second()),
        ]);
    }
    let all = &host.figures;
    table.row([
        Inline::from("All cases").bold(),
        count(all.requests.ok),
        millis(all.ttft_s.median()),
        millis(all.ttfa_s.median()),
        tps(all.decode.per_second()),
        NONE.into(),
        seconds(all.e2e_s.median()),
        tps(all.e2e.per_second()),
    ]);
    table
}

fn latencies(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "TTFT median (ms)>",
        "95 % interval (ms)>",
        "TTFT p95 (ms)>",
        "TTFT min (ms)>",
        "TTFT max (ms)>",
        "ITL p50 (ms)>",
        "ITL p99 (ms)>",
        "Longest gap (ms)>",
    ]);
    for case in &host.cases {
        let figures = &case.figures;
        table.row([
            title(case),
            millis(figures.ttft_s.median()),
            interval_ms(figures.ttft_s.percentile(0.50)),
            percentile_ms(figures.ttft_s.percentile(0.95)),
            millis(figures.ttft_s.min()),
            millis(figures.ttft_s.max()),
            fixed(figures.inter_token_s.quantile(0.50).map(|s| s * 1e3), 2),
            fixed(figures.inter_token_s.quantile(0.99).map(|s| s * 1e3), 2),
            millis(figures.longest_gap_s),
        ]);
    }
    table
}

fn output(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "Streams>",
        "Output (tok/s)>",
        "Decode per request (tok/s)>",
        "TTFT median (ms)>",
        "TTFT p95 (ms)>",
        "Steady windows (s)>",
    ]);
    for case in host.cases.iter().filter(|c| c.case.concurrency > 1) {
        let rate = case.output.known();
        let why = case.output.reason().map_or(NONE.into(), Inline::text);
        table.row([
            title(case),
            count(case.case.concurrency),
            rate.map_or(why, |r| tps(r.per_second())),
            tps(case.figures.decode_tps.median()),
            millis(case.figures.ttft_s.median()),
            percentile_ms(case.figures.ttft_s.percentile(0.95)),
            fixed(rate.map(|r| r.seconds), 1),
        ]);
    }
    table
}

fn generated(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "Prompt tokens>",
        "Cached>",
        "Completion tokens>",
        "Reasoning>",
        "Stopped>",
        "Truncated>",
        "Other finish>",
        "Failed>",
        "Token counts from",
    ]);
    let mut row = |name: Inline, requests: &Requests, tokens: &Tokens| {
        let truncated = count(requests.truncated);
        let sources: Vec<&str> = tokens.sources.keys().map(|s| s.name()).collect();
        table.row([
            name,
            known_count(tokens.prompt),
            known_count(tokens.cached),
            known_count(tokens.completion),
            known_count(tokens.reasoning),
            count(requests.stopped),
            if requests.truncated > 0 { truncated.bold() } else { truncated },
            count(requests.other_finish),
            count(requests.failures()),
            Inline::own(sources.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ")),
        ]);
    };
    for case in &host.cases {
        row(title(case), &case.requests, &case.figures.tokens);
    }
    row(Inline::from("All cases").bold(), &host.requests, &host.figures.tokens);
    table
}

fn prompts(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "Id",
        "Turns>",
        "max_tokens>",
        "Temperature>",
        "Seed>",
        "Streams>",
        "Prompt hash (SHA-256, first 16)",
    ]);
    for case in host.cases.iter().map(|c| c.case) {
        table.row([
            Inline::text(&case.title),
            Inline::text(case.id.as_str()),
            Inline::own(case.messages.len().to_string()),
            count(case.max_tokens),
            fixed(Some(case.temperature), 2),
            Inline::own(case.seed.map_or("not sent".to_owned(), |s| s.to_string())),
            count(case.concurrency),
            Inline::own(case.prompt_hash().chars().take(16).collect::<String>()),
        ]);
    }
    table
}

/// The first measured answer of each case, if its text was kept.
fn previews(page: &mut Page, host: &HostAnalysis<'_>) {
    let first = |case: &CaseAnalysis<'_>| {
        let usable = case.cells.iter().filter_map(|cell| cell.usable());
        usable.flat_map(|c| measured(c.report)).find_map(|t| t.answer.text.clone())
    };
    let texts: Vec<(Inline, String)> =
        host.cases.iter().filter_map(|case| Some((title(case), first(case)?))).collect();
    if texts.is_empty() {
        return;
    }
    page.subsection(&"Answers, previews".into());
    for (title, text) in texts {
        let mut preview: String = text.graphemes(true).take(PREVIEW_MAX).collect();
        if preview.len() < text.len() {
            preview.push('…');
        }
        page.paragraph(&Inline::own(format!("{title}:")));
        page.block(&fenced(&preview));
    }
}
