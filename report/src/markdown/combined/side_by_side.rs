//! One row per host.

use crate::analysis::{Analysis, CellState, HostAnalysis};
use crate::compare::{ClassReport, Judged, Metric};
use crate::markdown::format::{NONE, count, fixed, level, mib, signed_interval, signed_percent};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::Distribution;
use crate::summary::verdict_words;
use regatta_types::ids::HostId;
use regatta_types::units::Bytes;
use regatta_types::validity::Validity;

/// Section 3.
pub(super) fn side_by_side(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"3. Side by side".into());
    for class in &analysis.classes {
        if analysis.classes.len() > 1 {
            page.subsection(&Inline::own(format!("Class {}", class.class.label)));
        }
        let members: Vec<&HostAnalysis<'_>> =
            analysis.hosts.iter().filter(|h| class.class.hosts.contains(h.host)).collect();
        page.table(&speeds(class, &members));
        page.table(&machine(&members));
        pairs(page, class);
        set_aside(page, class);
    }
    if analysis.classes.is_empty() {
        page.paragraph(&"Nothing usable was measured.".into());
        return;
    }
    let links: Vec<Inline> = analysis.hosts.iter().map(|h| link(h.host)).collect();
    page.paragraph(&Inline::own(format!("Each host by itself: {}.", super::join(&links))));
    page.paragraph(&"Speeds and times are geometric means over the cases, equally weighted, of repetitions that are complete. \"vs. others\" is the difference from the mean of the other hosts without those set aside, paired repetition by repetition; it decides the verdict.".into());
}

/// A host's name, linked to its page.
fn link(host: &HostId) -> Inline {
    Inline::own(format!("[{}](hosts/{host}.md)", Inline::text(host.as_str())))
}

fn speeds(class: &ClassReport, members: &[&HostAnalysis<'_>]) -> Table {
    let mut table = Table::new([
        "Host",
        "Decode (tok/s)>",
        "95 % CI (tok/s)>",
        "vs. median (%)>",
        "vs. others (%)>",
        "95 % CI (%)>",
        "Verdict",
        "TTFT (ms)>",
        "TTFT vs. others (%)>",
        "End to end (s)>",
    ]);
    let decode = |host: &HostAnalysis<'_>| class.metric(Metric::DecodeTps)?.judged(host.host);
    let median = Distribution::new(members.iter().filter_map(|h| decode(h)?.mean)).median();
    for host in members {
        let judged = decode(host);
        let effect = judged.and_then(|j| j.effect);
        let other = |metric| class.metric(metric).and_then(|m| m.judged(host.host));
        let ttft = other(Metric::Ttft);
        let versus = |j: Option<&Judged>| {
            let effect = j.and_then(|j| j.effect);
            Inline::own(effect.map_or(NONE.to_owned(), |e| signed_percent(e.mean)))
        };
        let interval = judged.and_then(|j| j.level).map(|l| l.interval(0.95));
        let from_median = judged.and_then(|j| j.mean).zip(median).map(|(own, m)| own - m);
        let verdict = judged.map_or_else(|| "not compared".to_owned(), verdict_words);
        let verdict = Inline::own(verdict);
        let is_settled = judged.is_some_and(|j| j.verdict.is_settled_difference());
        table.row([
            Inline::text(host.host.as_str()),
            level(Metric::DecodeTps, judged.and_then(|j| j.mean)),
            Inline::own(interval.map_or(NONE.to_owned(), |(low, high)| {
                format!("{:.2}–{:.2}", low.exp(), high.exp())
            })),
            Inline::own(from_median.map_or(NONE.to_owned(), signed_percent)),
            versus(judged),
            Inline::own(effect.map_or(NONE.to_owned(), signed_interval)),
            if is_settled { verdict.bold() } else { verdict },
            level(Metric::Ttft, ttft.and_then(|j| j.mean)),
            versus(ttft),
            level(Metric::E2e, other(Metric::E2e).and_then(|j| j.mean)),
        ]);
    }
    table
}

fn machine(members: &[&HostAnalysis<'_>]) -> Table {
    let mut table = Table::new([
        "Host",
        "GPU memory in use, peak (MiB)>",
        "GPU power, mean (W)>",
        "GPU temperature, max (°C)>",
        "Requests ok>",
        "Failed>",
        "Truncated>",
        "Cells counted",
        "Notes",
    ]);
    for host in members {
        let gpus = host.gpus.known().map_or(&[][..], Vec::as_slice);
        let memory: Option<u64> = gpus.iter().map(|g| g.memory_peak.map(|b| b.0)).sum();
        let power: Option<f64> = gpus.iter().map(|g| g.power_mean_w).sum();
        let temperature = gpus.iter().filter_map(|g| g.temperature_max_c).max();
        let requests = &host.requests;
        let truncated = count(requests.truncated);
        let counted = host.cells().filter(|(_, c)| c.counted().is_some()).count();
        table.row([
            Inline::text(host.host.as_str()),
            mib(memory.filter(|_| !gpus.is_empty()).map(Bytes)),
            fixed(power.filter(|_| !gpus.is_empty()), 1),
            temperature.map_or(NONE.into(), count),
            count(requests.ok),
            count(requests.failures()),
            if requests.truncated > 0 { truncated.bold() } else { truncated },
            Inline::own(format!("{counted} of {}", host.cells().count())),
            notes(host),
        ]);
    }
    table
}

/// In a few words what a reader of the row has to know.
fn notes(host: &HostAnalysis<'_>) -> Inline {
    let mut notes: Vec<String> = Vec::new();
    if host.record.is_some_and(|r| r.simulated) {
        notes.push("simulated".to_owned());
    }
    let of = |validity| {
        host.cells()
            .filter_map(|(_, cell)| cell.counted())
            .filter(|counted| counted.validity() == validity)
            .count()
    };
    for (validity, n) in [Validity::Invalid, Validity::Degraded].map(|v| (v, of(v))) {
        if n > 0 {
            notes.push(format!("{n} {validity}"));
        }
    }
    let missing = |cell: &CellState<'_>| !matches!(cell, CellState::Counted(_));
    let lost = host.cells().filter(|(_, cell)| missing(&cell.state)).count();
    if lost > 0 {
        notes.push(format!("{lost} missing"));
    }
    if let Some(reason) = host.gpus.reason() {
        notes.push(format!("GPU not available: {}", Inline::text(reason)));
    }
    Inline::own(notes.join("; "))
}

/// With three hosts no mean of others decides, but every pair.
fn pairs(page: &mut Page, class: &ClassReport) {
    let Some(report) = class.metric(Metric::DecodeTps) else { return };
    if report.outcome.pairs.is_empty() {
        return;
    }
    let mut table = Table::new(["Pair", "Decode speed, difference (%)>", "95 % CI (%)>"]);
    for pair in &report.outcome.pairs {
        table.row([
            Inline::own(format!(
                "{} against {}",
                Inline::text(pair.first.as_str()),
                Inline::text(pair.second.as_str())
            )),
            Inline::own(signed_percent(pair.effect.mean)),
            Inline::own(signed_interval(pair.effect)),
        ]);
    }
    page.paragraph(&"With three hosts every pair counts: a host is slower only if it is slower than both others.".into());
    page.table(&table);
}

fn set_aside(page: &mut Page, class: &ClassReport) {
    for report in &class.metrics {
        let aside = &report.outcome.set_aside;
        if !aside.is_empty() && report.outcome.pairs.is_empty() {
            let names: Vec<Inline> = aside.iter().map(|h| Inline::text(h.as_str())).collect();
            page.paragraph(&Inline::own(format!(
                "Set aside in {}, so that they do not shift the reference of the others: {}.",
                report.metric.label(),
                super::join(&names)
            )));
        }
    }
}
