//! One row per case: how fast, and what was generated.

use regatta_types::metric::Metric;
use regatta_types::suite::{Prompt, Slo};
use regatta_types::units::grouped_real;

use crate::markdown::format::{
    NONE, count, fixed, good, interval_ms, level, millis, percentile_ms, told, tps,
};
use crate::markdown::load::load;
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::{Inline, fenced};
use crate::report::Report;
use crate::words::numbers::level_range;
use crate::words::offered;
use regatta_figures::analysis::Endings;
use regatta_figures::compare::{ClassReport, Judged};
use regatta_figures::hosts::{CaseAnalysis, HostAnalysis};
use regatta_figures::metrics::{Requests, Tokens};

/// Section 4.
pub(super) fn cases(page: &mut Page, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section(&"4. Cases".into());
    match analysis.class_of(host.host) {
        Some(class) => figures(page, class, host),
        None => page.paragraph(&"Nothing usable was measured.".into()),
    }
    page.subsection(&"What was generated".into());
    page.table(generated(analysis, host));
    if host.cases.iter().any(CaseAnalysis::is_cut) {
        page.paragraph(&"**Bold** completion tokens: answers of natural length were cut (C7). The end-to-end times of such a case are compared only where its answers are equally long on all hosts.".into());
    }
    page.paragraph(&"Sums over the requests of all counted attempts, invalid ones included. Token counts, best first: `token_ids` and `continuous_usage` come with each chunk, `usage` with the last, all from the engine; `chunks` counts events, is approximate and not compared.".into());
    page.subsection(&"Prompts".into());
    page.table(prompts(host));
    previews(page, host);
}

/// What follows from usable attempts.
fn figures(page: &mut Page, class: &ClassReport, host: &HostAnalysis<'_>) {
    page.subsection(&"Speed".into());
    page.table(speeds(host, class));
    page.paragraph(&"Of usable attempts. Decode speed and end to end: geometric mean over the repetitions (of each the ratio of sums, or the median), with Student's t over their logarithms. The last row is what is compared over the cases (section 1). End-to-end speed: all completion tokens of a case / all its end-to-end seconds.".into());
    let limits = limits(host);
    if !limits.is_empty() {
        page.paragraph(&Inline::own(format!(
            "Good: requests that keep every limit of their case, of those offered; failed and unsent ones miss. Limits: {}.",
            limits.join("; ")
        )));
    }
    if !host.solo.is_empty() {
        page.paragraph(&"Cases that end in (solo) were measured on this host while the others rested. They are in no figure over several cases and are not compared between hosts; section 6 of the combined report has what the hosts take from each other.".into());
    }
    page.subsection(&"Latency".into());
    page.table(latencies(host));
    if !has_reasoning(host) {
        page.paragraph(
            &"No reasoning text came apart from the answer, so the first token is the first answer token."
                .into(),
        );
    }
    page.list(late_ends(host));
    let heading = |page: &mut Page| page.subsection(&"Load".into());
    load(page, std::slice::from_ref(host), heading);
    let lengths = lengths(host);
    if !lengths.is_empty() {
        page.subsection(&"Prompt lengths".into());
        page.table(lengths);
        page.paragraph(&"Counted by the engine, chat template and salt included. Prefill speed is uncached prompt tokens / TTFT; it contains whatever waiting there was.".into());
    }
}

/// The limits of the cases: once where all have the same, else case by case.
fn limits(host: &HostAnalysis<'_>) -> Vec<String> {
    let words = |slo: &Slo| {
        let limits = [("TTFT", slo.ttft), ("time per token", slo.tpot), ("end to end", slo.e2e)];
        let limits = limits.into_iter().filter_map(|(name, limit)| {
            let ms = limit?.as_secs_f64() * 1e3;
            Some(format!("{name} {} ms", grouped_real(ms, 0)))
        });
        limits.collect::<Vec<_>>().join(", ")
    };
    let cases = || host.cases.iter().map(|c| c.case);
    let first = cases().next().map(|case| &case.slo);
    if let Some(first) = first.filter(|first| first.is_set())
        && cases().all(|case| case.slo == *first)
    {
        return vec![words(first)];
    }
    let limited = cases().filter(|case| case.slo.is_set());
    limited.map(|case| format!("{} {}", Inline::text(&case.title), words(&case.slo))).collect()
}

fn title(case: &CaseAnalysis<'_>) -> Inline {
    Inline::text(&case.case.title)
}

fn speeds(host: &HostAnalysis<'_>, class: &ClassReport) -> Table {
    let mut table = Table::new([
        "Case",
        "Requests>",
        "Repetitions>",
        "Decode (tok/s)>",
        "95 % CI (tok/s)>",
        "End to end (s)>",
        "95 % CI (s)>",
        "End-to-end speed (tok/s)>",
    ]);
    let has_limits = host.goodput().is_some();
    if has_limits {
        table.column("Good (%)".into(), Align::Right);
    }
    for case in host.all_cases() {
        let of = |metric| class.of_case(metric, host.host, case);
        let both = [of(Metric::DecodeTps), of(Metric::E2e)];
        let name = [title(case), count(case.figures.requests.ok)];
        let levels = levels(both.each_ref().map(Some));
        let speed = tps(case.figures.e2e.per_second());
        let within = has_limits.then(|| good(case.goodput));
        table.row(name.into_iter().chain(levels).chain([speed]).chain(within));
    }
    let of = |metric| {
        let report = class.metric(metric).filter(|m| !m.series.cases.is_empty())?;
        report.judged(host.host)
    };
    let name = [Inline::from("All compared cases, geometric mean").bold(), NONE.into()];
    let levels = levels([of(Metric::DecodeTps), of(Metric::E2e)]);
    let within = has_limits.then(|| good(host.goodput()));
    table.row(name.into_iter().chain(levels).chain([NONE.into()]).chain(within));
    table.dash(&["Good (%)"], "the case has no limits, or no usable attempt".into());
    table.dash(
        &["Decode (tok/s)"],
        "no usable attempt, answers of fewer than 17 tokens, or no repetition with all cases"
            .into(),
    );
    table.dash(
        &["Repetitions", "End to end (s)"],
        "no usable attempt, or no repetition with all cases".into(),
    );
    table.dash(&["95 % CI (tok/s)", "95 % CI (s)"], "fewer than two repetitions".into());
    table.dash(
        &["Requests", "End-to-end speed (tok/s)"],
        "the last row is of whole repetitions, not of requests".into(),
    );
    table
}

/// Repetitions, decode speed and end-to-end time with their intervals.
fn levels([decode, e2e]: [Option<&Judged>; 2]) -> [Inline; 5] {
    let value = |metric, judged: Option<&Judged>| level(metric, judged.and_then(|j| j.mean));
    let interval = |metric, judged: Option<&Judged>| {
        let spread = judged.and_then(|j| j.level);
        Inline::own(spread.map_or(NONE.to_owned(), |s| level_range(metric, s)))
    };
    let mut repetitions: Vec<usize> =
        [decode, e2e].into_iter().flatten().map(|j| j.repetitions).filter(|&n| n > 0).collect();
    repetitions.dedup();
    let repetitions: Vec<String> = repetitions.iter().map(usize::to_string).collect();
    [
        Inline::own(if repetitions.is_empty() { NONE.to_owned() } else { repetitions.join("; ") }),
        value(Metric::DecodeTps, decode),
        interval(Metric::DecodeTps, decode),
        value(Metric::E2e, e2e),
        interval(Metric::E2e, e2e),
    ]
}

/// Whether any first answer token came after a reasoning token.
fn has_reasoning(host: &HostAnalysis<'_>) -> bool {
    host.figures.ttfa_s != host.figures.ttft_s
}

fn latencies(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "TTFT p50 (ms)>",
        "95 % interval (ms)>",
        "TTFT p90 (ms)>",
        "TTFT p95 (ms)>",
        "TTFT p99 (ms)>",
        "TTFT min (ms)>",
        "TTFT max (ms)>",
    ]);
    let reasoning = has_reasoning(host);
    if reasoning {
        table.column("First answer p50 (ms)".into(), Align::Right);
    }
    for name in ["ITL p50 (ms)", "ITL p99 (ms)", "Chunk gap p99 (ms)", "Longest gap (ms)"] {
        table.column(name.into(), Align::Right);
    }
    let of_case = |c: &CaseAnalysis<'_>| c.figures.first_token(&c.case.load).n();
    let most = host.cases.iter().map(of_case).max().unwrap_or(0);
    for case in host.all_cases() {
        let figures = &case.figures;
        let ttft = figures.first_token(&case.case.load);
        let first = [
            title(case),
            millis(ttft.median()),
            interval_ms(ttft.percentile(0.50)),
            percentile_ms(ttft.percentile(0.90)),
            percentile_ms(ttft.percentile(0.95)),
            percentile_ms(ttft.percentile(0.99)),
            millis(ttft.min()),
            millis(ttft.max()),
        ];
        // It would count from the send, and the other columns at a rate do not.
        let closed = case.case.concurrency().is_some();
        let answer = reasoning.then(|| millis(figures.ttfa_s.median().filter(|_| closed)));
        let gaps = [
            fixed(figures.inter_token_s.p50.map(|s| s * 1e3), 2),
            fixed(figures.inter_token_s.p99.map(|s| s * 1e3), 2),
            fixed(figures.chunk_gap_s.p99.map(|s| s * 1e3), 2),
            fixed(figures.chunk_gap_s.max.map(|s| s * 1e3), 2),
        ];
        table.row(first.into_iter().chain(answer).chain(gaps));
    }
    let few = |needed: &str| Inline::own(format!("{needed}; the most a case has here is {most}"));
    table.dash(&["95 % interval (ms)"], few("a p50 needs 6 requests for an interval"));
    table.dash(
        &["TTFT p90 (ms)", "TTFT p95 (ms)", "TTFT p99 (ms)"],
        few("a p90 needs 36 requests, a p95 72, a p99 368"),
    );
    table
        .dash(&["First answer p50 (ms)"], "no answer text came, or the case runs at a rate".into());
    let none = "no usable attempt, or no second chunk";
    table.dash(
        &["ITL p50 (ms)", "ITL p99 (ms)", "Chunk gap p99 (ms)", "Longest gap (ms)"],
        none.into(),
    );
    table.dash(&["TTFT p50 (ms)", "TTFT min (ms)", "TTFT max (ms)"], "no usable attempt".into());
    table
}

/// Cases whose responses ended late, and what open loops count from.
fn late_ends(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let ends = host.cases.iter().filter_map(|case| {
        let ends = &case.figures.e2e_done_s;
        Some(Inline::own(format!(
            "{}: {} of {} responses ended over 50 ms after their last token, at {:.3} s in the median.",
            title(case),
            ends.n(),
            case.figures.requests.ok,
            ends.median()?
        )))
    });
    let is_open = host.cases.iter().any(|case| case.case.concurrency().is_none());
    let open = "At a rate, times count from the instant a request was scheduled for.";
    is_open.then(|| open.into()).into_iter().chain(ends).collect()
}

/// Asked against counted prompt tokens, for texts of an asked length.
fn lengths(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "Asked (tokens)>",
        "Counted (tokens)>",
        "Difference (%)>",
        "Shared (tokens)>",
        "Cached (%)>",
        "TTFT p50 (ms)>",
        "Prefill (tok/s)>",
        "Decode p50 (tok/s)>",
    ]);
    for case in &host.cases {
        let Prompt::Text(text) = &case.case.prompt else { continue };
        let prompt = case.tokens.prompt;
        let ok = f64::from(prompt.of);
        let counted = prompt.known().filter(|_| prompt.of > 0).map(|sum| sum as f64 / ok);
        let asked = f64::from(text.tokens);
        let prefill = case.prefill_tps.as_ref().ok().and_then(|speeds| speeds.median());
        table.row([
            title(case),
            count(text.tokens),
            fixed(counted, 1),
            counted
                .map_or(NONE.into(), |n| Inline::own(format!("{:+.2}", (n / asked - 1.0) * 100.0))),
            count(text.shared),
            fixed(case.tokens.cached_share().map(|share| share * 100.0), 1),
            millis(case.figures.first_token(&case.case.load).median()),
            fixed(prefill, 1),
            tps(case.figures.decode_tps.median()),
        ]);
    }
    table.dash(&["Counted (tokens)", "Difference (%)"], "the engine does not count".into());
    table.dash(&["Cached (%)"], "the engine does not tell".into());
    table.dash(
        &["Prefill (tok/s)"],
        "several requests at once, or fewer than 256 uncached prompt tokens".into(),
    );
    table.dash(
        &["TTFT p50 (ms)", "Decode p50 (tok/s)"],
        "no usable attempt, or a short answer".into(),
    );
    table
}

fn generated(analysis: &Report<'_>, host: &HostAnalysis<'_>) -> Table {
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
    let is_mixed = matches!(analysis.endings(), Endings::SomeCut { .. });
    let mut row = |name: Inline, requests: &Requests, tokens: &Tokens, is_cut: bool| {
        let truncated = count(requests.truncated);
        let length = told(tokens.completion);
        let sources: Vec<String> =
            tokens.sources.keys().map(|s| format!("`{}`", s.name())).collect();
        table.row([
            name,
            told(tokens.prompt),
            told(tokens.cached),
            if is_cut { length.bold() } else { length },
            told(tokens.reasoning),
            count(requests.stopped),
            if is_mixed && requests.truncated > 0 { truncated.bold() } else { truncated },
            count(requests.other_finish),
            count(requests.failures()),
            Inline::own(if sources.is_empty() { NONE.to_owned() } else { sources.join(", ") }),
        ]);
    };
    for case in host.all_cases() {
        row(title(case), &case.requests, &case.tokens, case.is_cut());
    }
    let all = if host.solo.is_empty() { "All cases" } else { "All cases, those solo apart" };
    row(Inline::from(all).bold(), &host.requests, &host.tokens, false);
    table.dash(&["Cached", "Reasoning"], "the engine does not tell".into());
    table.dash(
        &["Prompt tokens", "Completion tokens", "Token counts from"],
        "no request succeeded, or the engine does not tell".into(),
    );
    table
}

/// Messages that are sent with the last request of a prompt, answers carried forward left out.
fn turns(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Messages(messages) => messages.len(),
        Prompt::Text(text) => 1 + usize::from(text.shared > 0),
        Prompt::Conversation { opening, turns } => opening.len() + turns.len(),
    }
}

fn prompts(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "Id",
        "Turns>",
        "max_tokens>",
        "Temperature>",
        "Seed>",
        "Load",
        "Prompt hash (SHA-256, first 16)",
    ]);
    for case in host.all_cases().map(|c| c.case) {
        table.row([
            Inline::text(&case.title),
            Inline::text(case.id.as_str()),
            Inline::own(turns(&case.prompt).to_string()),
            count(case.max_tokens),
            fixed(Some(case.temperature), 2),
            Inline::own(case.seed.map_or("not sent".to_owned(), |s| s.to_string())),
            Inline::own(offered(case)),
            Inline::own(case.prompt_hash().chars().take(16).collect::<String>()),
        ]);
    }
    table
}

/// The first measured answer of each case, if its text was kept.
fn previews(page: &mut Page, host: &HostAnalysis<'_>) {
    let texts: Vec<(Inline, &str)> = host
        .cases
        .iter()
        .filter_map(|case| Some((title(case), case.preview.as_deref()?)))
        .collect();
    if texts.is_empty() {
        return;
    }
    page.subsection(&"Answers, previews".into());
    for (title, text) in texts {
        page.paragraph(&Inline::own(format!("{title}:")));
        page.block(&fenced(text));
    }
}
