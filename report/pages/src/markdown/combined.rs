//! `report.md`: the combined report.

mod completeness;
mod contention;
mod facts;
mod machines;
mod method;
mod side_by_side;
mod start;
mod totals;
mod verdicts;

use regatta_figures::utc::utc;
use regatta_types::metric::Metric;

use super::changes;
use super::grid::{Reference, metric_grid};
use super::layout::{Inline, Page};
use super::sections::{load, reproduce};
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words;
use crate::words::numbers::quantity;

/// The combined report.
pub(crate) fn combined(report: &Report<'_>, plots: &Plots) -> String {
    let mut page = Page::default();
    let header = &report.record.header;
    page.title(Inline::own(format!("Regatta report: {}", Inline::text(&header.run))));
    notices(&mut page, report);
    page.paragraph(headline(report));
    summary(&mut page, report);
    side_by_side::side_by_side(&mut page, report, plots);
    baseline(&mut page, report);
    by_case(&mut page, report);
    loads(&mut page, report, plots);
    facts::configuration(&mut page, report);
    machines::machines(&mut page, report);
    start::start(&mut page, report);
    contention::contention(&mut page, report);
    completeness::completeness(&mut page, report);
    totals::totals(&mut page, report);
    method::method(&mut page, report);
    page.codes();
    reproduce(&mut page, report.record);
    page.finish()
}

/// Warnings at the top of the page.
fn notices(page: &mut Page, report: &Report<'_>) {
    let simulated = report.hosts.iter().filter(|h| h.record.is_some_and(|r| r.simulated));
    let simulated: Vec<Inline> = simulated.map(|h| Inline::text(h.host)).collect();
    if !simulated.is_empty() {
        let (all, several) = (simulated.len() == report.hosts.len(), simulated.len() > 1);
        let who = if all { "All hosts".into() } else { Inline::join(simulated, ", ") };
        page.notice(Inline::own(format!(
            "**Simulated.** {who} in this run {} simulated: no machine, GPU or model was measured. The figures only show what a report looks like.",
            if all || several { "are" } else { "is" }
        )));
    }
    if report.record.redacted {
        page.notice("**Redacted.** Names of hosts and GPUs, addresses, URLs and home directories are replaced, consistently on all pages. The command line keeps only flags and numbers.");
    }
    if report.record.sealed.is_none() {
        page.notice(
            "**Not finished.** The run was still in progress when this report was written, or was abandoned.",
        );
    }
    if report.record.header.insecure {
        page.notice(
            "**Unencrypted.** Agents were allowed to connect over the network without encryption.",
        );
    }
}

fn headline(report: &Report<'_>) -> Inline {
    let header = &report.record.header;
    let hosts = report.hosts.len() + usize::try_from(report.record.absent).unwrap_or(0);
    let cases = header.suite.compared_cases().count();
    let end = report.record.sealed.map_or_else(String::new, |at| format!(" to {}", utc(at)));
    Inline::own(format!(
        "Suite `{}` ({}), {}, start mode `{}`, {}{end}.",
        header.suite.name,
        quantity(cases, "case"),
        quantity(hosts, "host"),
        header.start,
        utc(header.created),
    ))
}

fn summary(page: &mut Page, report: &Report<'_>) {
    page.section("Summary");
    page.sentences(words::answer(report));
    let caveats = words::caveats(report);
    if !caveats.is_empty() {
        page.section("Caveats");
        page.sentences(caveats);
    }
}

/// The load levels of all hosts, in "Per case".
fn loads(page: &mut Page, report: &Report<'_>, plots: &Plots) {
    load(page, &report.hosts);
    for class in &report.classes {
        page.picture(plots.find(PlotKind::Load(&class.class)), "");
    }
}

fn by_case(page: &mut Page, report: &Report<'_>) {
    page.section("Per case");
    for class in &report.classes {
        for compared in &class.metrics {
            let unit = compared.metric.info().title;
            page.subsection(Inline::own(format!("{unit}{}", facts::class_name(report, class))));
            page.paragraph(Inline::own(format!(
                "Geometric mean over the repetitions. {}{}",
                Reference::of(compared).words(),
                if compared.metric == Metric::Energy {
                    " Power limits, idle power and prompt tokens per output token: see Side by side."
                } else {
                    ""
                }
            )));
            metric_grid(page, report, class, compared);
        }
    }
    if report.classes.is_empty() {
        page.paragraph("No usable results.");
    }
}

/// Changes since an earlier run, if one was given.
fn baseline(page: &mut Page, report: &Report<'_>) {
    let Some(since) = &report.since else { return };
    page.section("Change since baseline");
    let before = Inline::text(&since.before);
    page.paragraph(Inline::own(format!("Each host compared with itself in run `{before}`.")));
    changes::found(since, page, Page::subsection);
    changes::method(since, page);
}
