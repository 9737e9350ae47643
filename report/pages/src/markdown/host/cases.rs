//! Per case: speeds, latencies, tokens, prompts and engine metrics.

use itertools::Itertools as _;
use regatta_figures::analysis::Endings;
use regatta_figures::compare::ClassReport;
use regatta_figures::hosts::{CaseAnalysis, HostAnalysis};
use regatta_types::metric::Metric;
use regatta_types::suite::{Prompt, Slo};
use regatta_types::units::grouped_real;

use crate::markdown::layout::{
    Inline, Page, Table, count, fenced, fixed, good, interval, interval_ms, known, known_count,
    mean, millis, percentile_ms, share, token_sum, tps,
};
use crate::markdown::sections::load;
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::quantity;
use crate::words::offered;

/// The section on cases.
pub(super) fn cases(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section("Per case");
    match report.class_of(host.host) {
        Some(class) => figures(page, class, host),
        None => page.paragraph("No usable results."),
    }
    page.subsection("Tokens and finish reasons");
    generated(page, report, host);
    if host.cases.iter().any(CaseAnalysis::is_cut) {
        page.paragraph("**Bold** completion tokens: answers of natural length were truncated (C7). End-to-end times of such a case are compared only if its answers are equally long on all hosts.");
    }
    page.paragraph("Sums over the requests of all counted attempts, including invalid ones. Token counts, best first: `token_ids` and `continuous_usage` (in each chunk) and `usage` (in the last chunk) come from the engine; `chunks` counts events, is approximate and not compared.");
    page.subsection("Prompts");
    prompts(page, host);
    previews(page, host);
}

/// Speeds, latencies and loads of usable attempts.
fn figures(page: &mut Page, class: &ClassReport, host: &HostAnalysis<'_>) {
    page.subsection("Speed");
    speeds(page, host, class);
    page.paragraph("Usable attempts only. Decode speed and end to end: geometric mean over the repetitions (speed: ratio of sums, time: median), CI by Student's t over their logarithms. The last row is the compared figure (see Summary). End-to-end speed: all completion tokens / all end-to-end seconds of a case.");
    let limits = limits(host);
    if !limits.is_empty() {
        page.paragraph(Inline::own(format!(
            "SLO met: share of the offered requests that meet the SLO of their case; failed and dropped requests do not. SLO: {limits}."
        )));
    }
    if !host.solo.is_empty() {
        page.paragraph("Cases that end in (solo) ran on this host while the others were idle. They are excluded from all other figures; see Contention in the combined report.");
    }
    page.subsection("Latency");
    latencies(page, host);
    if !has_reasoning(host) {
        page.paragraph("No separate reasoning text, so the first token is the first answer token.");
    }
    page.list(late_ends(host));
    load(page, std::slice::from_ref(host));
    let lengths = lengths(host);
    if !lengths.is_empty() {
        page.subsection("Prompt lengths");
        lengths.add_to(page);
        page.paragraph("Counted by the engine, including chat template and salt. Prefill speed: uncached prompt tokens / TTFT, including any queueing.");
    }
}

/// The SLO of the cases: once if all have the same, else by case.
fn limits(host: &HostAnalysis<'_>) -> String {
    let words = |slo: &Slo| {
        let limits = [("TTFT", slo.ttft), ("TPOT", slo.tpot), ("end to end", slo.e2e)];
        let mut limits = limits.into_iter().filter_map(|(name, limit)| {
            let ms = limit?.as_secs_f64() * 1e3;
            Some(format!("{name} {} ms", grouped_real(ms, 0)))
        });
        limits.join(", ")
    };
    let with_limits = host.cases.iter().filter(|case| case.case.slo.is_set());
    match host.cases.iter().map(|case| &case.case.slo).all_equal_value() {
        Ok(all) if all.is_set() => words(all),
        _ => with_limits.map(|c| format!("{} {}", title(c), words(&c.case.slo))).join("; "),
    }
}

fn title(case: &CaseAnalysis<'_>) -> Inline {
    Inline::text(&case.case.title)
}

fn speeds(page: &mut Page, host: &HostAnalysis<'_>, class: &ClassReport) {
    let of_case = |case| {
        let of = |metric| class.of_case(metric, host.host, case);
        (Some(case), Some(of(Metric::DecodeTps)), Some(of(Metric::E2e)))
    };
    let of_all = |metric| {
        let report = class.metric(metric).filter(|m| !m.series.cases.is_empty())?;
        report.judged(host.host).cloned()
    };
    let all = (None, of_all(Metric::DecodeTps), of_all(Metric::E2e));
    let of_requests = "the last row is over whole repetitions, not requests";
    let no_repetition = "no usable attempt, or no repetition with all cases";
    let no_interval = "fewer than two repetitions";
    Table::of(host.all_cases().map(of_case).chain([all]))
        .text("Case", |(case, ..)| match case {
            Some(case) => title(case),
            None => Inline::from("All compared cases, geometric mean").bold(),
        })
        .number("Requests", |(case, ..)| known_count(case.map(|c| c.figures.requests.ok)))
        .absent(of_requests)
        .number_or("Repetitions", no_repetition, |(_, decode, e2e)| {
            let judged = [decode, e2e].into_iter().flatten();
            let shown = judged.map(|j| j.repetitions).filter(|&n| n > 0).dedup().join("; ");
            known((!shown.is_empty()).then_some(shown))
        })
        .number("Decode (tok/s)", |(_, decode, _)| mean(Metric::DecodeTps, decode.as_ref()))
        .absent(
            "no usable attempt, answers of fewer than 17 tokens, or no repetition with all cases",
        )
        .number("95 % CI (tok/s)", |(_, decode, _)| interval(Metric::DecodeTps, decode.as_ref()))
        .absent(no_interval)
        .number_or("End to end (s)", no_repetition, |(.., e2e)| mean(Metric::E2e, e2e.as_ref()))
        .number_or("95 % CI (s)", no_interval, |(.., e2e)| interval(Metric::E2e, e2e.as_ref()))
        .number_or("End-to-end speed (tok/s)", of_requests, |(case, ..)| {
            tps(case.and_then(|c| c.figures.e2e.per_second()))
        })
        .number("SLO met (%)", |(case, ..)| {
            good(case.map_or_else(|| host.goodput(), |case| case.goodput))
        })
        .absent("the case has no SLO, or no usable attempt")
        .only_if(host.goodput().is_some())
        .add_to(page);
}

/// Whether any first answer token came after a reasoning token.
fn has_reasoning(host: &HostAnalysis<'_>) -> bool {
    host.figures.ttfa_s != host.figures.ttft_s
}

fn latencies(page: &mut Page, host: &HostAnalysis<'_>) {
    let with_ttft = host.all_cases().map(|c| (c, c.figures.first_token(&c.case.load)));
    let most = host.cases.iter().map(|c| c.figures.first_token(&c.case.load).n()).max();
    let most = most.unwrap_or(0);
    let few = |needed: &str| Inline::own(format!("{needed}, the largest case has {most}"));
    let few_for_tail = few("a p90 needs 36 requests, a p95 72, a p99 368");
    let ms = |seconds: Option<f64>| fixed(seconds.map(|s| s * 1e3), 2);
    let unusable = "no usable attempt";
    let no_gap = "no usable attempt, or no second chunk";
    Table::of(with_ttft)
        .text("Case", |(case, _)| title(case))
        .number_or("TTFT p50 (ms)", unusable, |(_, ttft)| millis(ttft.median()))
        .number("95 % interval (ms)", |(_, ttft)| interval_ms(ttft.percentile(0.50)))
        .absent(few("a p50 interval needs 6 requests"))
        .number("TTFT p90 (ms)", |(_, ttft)| percentile_ms(ttft.percentile(0.90)))
        .absent(few_for_tail.clone())
        .number("TTFT p95 (ms)", |(_, ttft)| percentile_ms(ttft.percentile(0.95)))
        .absent(few_for_tail.clone())
        .number_or("TTFT p99 (ms)", few_for_tail, |(_, ttft)| percentile_ms(ttft.percentile(0.99)))
        .number_or("TTFT min (ms)", unusable, |(_, ttft)| millis(ttft.min()))
        .number_or("TTFT max (ms)", unusable, |(_, ttft)| millis(ttft.max()))
        .number("First answer p50 (ms)", |(case, _)| {
            // It counts from the send; in an open loop the other columns do not.
            let closed = case.case.concurrency().is_some();
            millis(case.figures.ttfa_s.median().filter(|_| closed))
        })
        .absent("no answer text, or an open loop")
        .only_if(has_reasoning(host))
        .number_or("ITL p50 (ms)", no_gap, |(case, _)| ms(case.figures.inter_token_s.p50))
        .number_or("ITL p99 (ms)", no_gap, |(case, _)| ms(case.figures.inter_token_s.p99))
        .number_or("Chunk gap p99 (ms)", no_gap, |(case, _)| ms(case.figures.chunk_gap_s.p99))
        .number_or("Longest gap (ms)", no_gap, |(case, _)| ms(case.figures.chunk_gap_s.max))
        .add_to(page);
}

/// Cases whose responses ended late, and the start instant of open loops.
fn late_ends(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let ends = host.cases.iter().filter_map(|case| {
        let ends = &case.figures.e2e_done_s;
        Some(Inline::own(format!(
            "{}: {} of {} responses ended more than 50 ms after their last token, at {:.3} s (median).",
            title(case),
            ends.n(),
            case.figures.requests.ok,
            ends.median()?
        )))
    });
    let is_open = host.cases.iter().any(|case| case.case.concurrency().is_none());
    let open = "Open loop: times count from the scheduled instant.";
    is_open.then(|| open.into()).into_iter().chain(ends).collect()
}

/// Requested and counted prompt tokens, for texts of a set length.
fn lengths(host: &HostAnalysis<'_>) -> Table<impl Sized> {
    let rows = host.cases.iter().filter_map(|case| {
        let Prompt::Text(text) = &case.case.prompt else { return None };
        let prompt = case.tokens.prompt;
        let counted = prompt.known().filter(|_| prompt.of > 0);
        Some((case, text, counted.map(|sum| sum as f64 / f64::from(prompt.of))))
    });
    let uncounted = "not reported by the engine";
    let short = "no usable attempt, or a short answer";
    Table::of(rows)
        .text("Case", |(case, ..)| title(case))
        .number("Requested (tokens)", |(_, text, _)| count(text.tokens))
        .number_or("Counted (tokens)", uncounted, |&(.., counted)| fixed(counted, 1))
        .number_or("Difference (%)", uncounted, |(_, text, counted)| {
            let asked = f64::from(text.tokens);
            known(counted.map(|n| format!("{:+.2}", (n / asked - 1.0) * 100.0)))
        })
        .number("Shared (tokens)", |(_, text, _)| count(text.shared))
        .number("Cached (%)", |(case, ..)| share(case.tokens.cached_share(), 1))
        .absent("not reported by the engine")
        .number_or("TTFT p50 (ms)", short, |(case, ..)| {
            millis(case.figures.first_token(&case.case.load).median())
        })
        .number("Prefill (tok/s)", |(case, ..)| {
            fixed(case.prefill_tps.as_ref().ok().and_then(|speeds| speeds.median()), 1)
        })
        .absent("concurrent requests, or fewer than 256 uncached prompt tokens")
        .number_or("Decode p50 (tok/s)", short, |(case, ..)| tps(case.figures.decode_tps.median()))
}

fn generated(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    let all = if host.solo.is_empty() { "All cases" } else { "All cases except solo" };
    let all = (Inline::from(all).bold(), &host.requests, &host.tokens, false);
    let cases = host.all_cases().map(|c| (title(c), &c.requests, &c.tokens, c.is_cut()));
    let is_mixed = matches!(report.endings(), Endings::SomeCut { .. });
    let untold = "not reported by the engine";
    let none = "no request succeeded, or not reported by the engine";
    Table::of(cases.chain([all]))
        .text("Case", |(name, ..)| name.clone())
        .number_or("Prompt tokens", none, |(_, _, tokens, _)| token_sum(tokens.prompt))
        .number_or("Cached", untold, |(_, _, tokens, _)| token_sum(tokens.cached))
        .number("Completion tokens", |(_, _, tokens, cut)| {
            token_sum(tokens.completion).bold_if(*cut)
        })
        .absent(none)
        .number_or("Reasoning", untold, |(_, _, tokens, _)| token_sum(tokens.reasoning))
        .number("Stopped", |(_, requests, ..)| count(requests.stopped))
        .number("Truncated", |(_, requests, ..)| {
            count(requests.truncated).bold_if(is_mixed && requests.truncated > 0)
        })
        .number("Other finish", |(_, requests, ..)| count(requests.other_finish))
        .number("Failed", |(_, requests, ..)| count(requests.failures()))
        .text("Token counts from", |(_, _, tokens, _)| {
            let sources = tokens.sources.keys().map(|s| format!("`{}`", s.name())).join(", ");
            known((!sources.is_empty()).then_some(sources))
        })
        .absent(none)
        .add_to(page);
}

/// Messages sent with the last request of a prompt, without carried-forward answers.
fn turns(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Messages(messages) => messages.len(),
        Prompt::Text(text) => 1 + usize::from(text.shared > 0),
        Prompt::Conversation { opening, turns } => opening.len() + turns.len(),
    }
}

fn prompts(page: &mut Page, host: &HostAnalysis<'_>) {
    Table::of(host.all_cases().map(|c| c.case))
        .text("Case", |case| Inline::text(&case.title))
        .text("Id", |case| Inline::text(&case.id))
        .number("Turns", |case| known(Some(turns(&case.prompt))))
        .number("max_tokens", |case| count(case.max_tokens))
        .number("Temperature", |case| fixed(Some(case.temperature), 2))
        .number("Seed", |case| {
            Inline::own(case.seed.map_or("not sent".to_owned(), |seed| seed.to_string()))
        })
        .text("Load", |case| Inline::own(offered(case)))
        .text("Prompt hash (SHA-256, first 16)", |case| {
            Inline::own(case.prompt_hash().chars().take(16).collect::<String>())
        })
        .add_to(page);
}

/// The first measured answer of each case, if its text was kept.
fn previews(page: &mut Page, host: &HostAnalysis<'_>) {
    let texts = host.cases.iter().filter_map(|case| Some((case, case.preview.as_deref()?)));
    for (index, (case, text)) in texts.enumerate() {
        if index == 0 {
            page.subsection("Answer previews");
        }
        page.paragraph(Inline::own(format!("{}:", title(case))));
        page.block(&fenced(text));
    }
}

/// Engine metrics (queue, KV cache, prefix cache, preemptions, draft tokens) by case, or why there
/// are none.
pub(super) fn engine(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection("Engine metrics");
    let known = || host.cases.iter().filter_map(|case| Some((case, case.engine.as_ref().ok()?)));
    if known().next().is_none() {
        let absent = host.cases.iter().filter_map(|c| c.engine.as_ref().err());
        let why = absent.map(why).sorted().dedup().map(Inline::text).format("; ");
        page.paragraph(Inline::own(format!("Not available: {why}.")));
        return;
    }
    Table::of(known())
        .text("Case", |(case, _)| title(case))
        .number("Running, max", |(_, engine)| fixed(engine.running_max, 0))
        .number("Waiting, max", |(_, engine)| fixed(engine.waiting_max, 0))
        .number("Queue time, mean (ms)", |(_, engine)| millis(engine.queue_mean_s))
        .number("KV cache usage, max (%)", |(_, engine)| share(engine.kv_peak, 1))
        .number("Prefix cache hits (%)", |(_, engine)| share(engine.prefix_hit_share, 1))
        .number("Preemptions", |(_, engine)| fixed(engine.preemptions, 0))
        .number("Draft tokens accepted (%)", |(_, engine)| share(engine.acceptance, 1))
        .number("Samples", |(_, engine)| count(engine.samples))
        .number("Failed scrapes", |(_, engine)| count(engine.failed))
        .all_absent("not reported by the engine, or no such event")
        .add_to(page);
    let restarts: u32 = known().map(|(_, engine)| engine.restarts).sum();
    if restarts > 0 {
        page.paragraph(Inline::own(format!(
            "Counters went backwards in {}, as after an engine restart; excluded from counter figures.",
            quantity(restarts, "attempt")
        )));
    }
    page.paragraph("From the engine's /metrics, scraped before, every second during and after each usable attempt over a separate connection. Peaks between samples are missed. Requests of other clients are included.");
}
