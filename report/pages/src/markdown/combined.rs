//! `report.md`: the hosts side by side.

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
use super::sections::{limits, load, reproduce};
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words;
use crate::words::numbers::count_of;

/// The combined report.
pub(crate) fn combined(report: &Report<'_>, plots: &Plots) -> String {
    let mut page = Page::default();
    let header = &report.record.header;
    page.title(Inline::own(format!("Regatta report: {}", Inline::text(&header.run))));
    notices(&mut page, report);
    page.paragraph(headline(report));
    summary(&mut page, report);
    facts::classes(&mut page, report);
    side_by_side::side_by_side(&mut page, report, plots);
    by_case(&mut page, report);
    loads(&mut page, report, plots);
    facts::differing(&mut page, report);
    facts::answers(&mut page, report);
    start::start(&mut page, report);
    contention::contention(&mut page, report);
    completeness::completeness(&mut page, report);
    totals::totals(&mut page, report);
    baseline(&mut page, report);
    method::method(&mut page, report);
    reproduce(&mut page, 11, report.record);
    page.finish()
}

/// What must not be overlooked.
fn notices(page: &mut Page, report: &Report<'_>) {
    let simulated = report.hosts.iter().filter(|h| h.record.is_some_and(|r| r.simulated));
    let simulated: Vec<Inline> = simulated.map(|h| Inline::text(h.host)).collect();
    if !simulated.is_empty() {
        let (all, several) = (simulated.len() == report.hosts.len(), simulated.len() > 1);
        let who = if all { "All hosts".into() } else { Inline::join(simulated, ", ") };
        page.notice(Inline::own(format!(
            "**Simulated.** {who} in this run {} simulated: no machine, no GPU and no model was measured. The figures show how a report looks, nothing else.",
            if all || several { "are" } else { "is" }
        )));
    }
    if report.record.redacted {
        page.notice("**Redacted.** Hosts, GPUs, addresses, URLs and home folders have made-up names here, one name for one thing on all pages; of the command line flags and numbers are left.");
    }
    if report.record.sealed.is_none() {
        page.notice(
            "**Not finished.** The run was still open when this was written, or was abandoned.",
        );
    }
    if report.record.header.insecure {
        page.notice(
            "**Plain text.** Agents were allowed to connect over the network without encryption.",
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
        count_of(cases, "case"),
        count_of(hosts, "host"),
        header.start,
        utc(header.created),
    ))
}

fn summary(page: &mut Page, report: &Report<'_>) {
    page.section("1. Answer first");
    page.sentences(words::answer(report));
    limits(page, words::not_judged(report));
}

/// The load levels of all hosts, under "Host by case".
fn loads(page: &mut Page, report: &Report<'_>, plots: &Plots) {
    load(page, &report.hosts);
    for class in &report.classes {
        page.picture(plots.find(PlotKind::Load(&class.class)), "");
    }
}

fn by_case(page: &mut Page, report: &Report<'_>) {
    page.section("4. Host by case");
    for class in &report.classes {
        for compared in &class.metrics {
            let unit = compared.metric.info().title;
            page.subsection(Inline::own(format!("{unit}{}", facts::class_name(report, class))));
            page.paragraph(Inline::own(format!(
                "Geometric mean over the repetitions. {}{}",
                Reference::of(compared).words(),
                if compared.metric == Metric::Energy {
                    " Power limits, idle power and prompt tokens per output token: section 3."
                } else {
                    ""
                }
            )));
            metric_grid(page, report, class, compared);
        }
    }
    if report.classes.is_empty() {
        page.paragraph("Nothing usable was measured.");
    }
}

/// Section 9: what changed since an earlier run.
fn baseline(page: &mut Page, report: &Report<'_>) {
    page.section("9. Against a baseline");
    let Some(since) = &report.since else {
        page.paragraph("No baseline was given. `regatta report RUN --baseline RUN|FILE` compares each host with itself in an earlier run.");
        return;
    };
    let before = Inline::text(&since.before);
    page.paragraph(Inline::own(format!("Each host against itself in run `{before}`.")));
    changes::found(since, page, Page::subsection);
    changes::method(since, page);
}
