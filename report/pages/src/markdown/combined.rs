//! `report.md`: the hosts side by side.

mod answers;
mod completeness;
mod contention;
mod energy;
mod facts;
mod machines;
mod method;
mod side_by_side;
mod since;
mod start;
mod totals;

pub(super) use self::method::{definitions, reproduce};

use super::format::count_of;
use super::grid::{Reference, metric_grid};
use super::page::Page;
use super::text::Inline;
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words::{self, not_judged};
use regatta_figures::compare::Metric;
use regatta_figures::utc::utc;

/// The combined report.
pub(crate) fn combined(analysis: &Report<'_>, plots: &Plots) -> String {
    let mut page = Page::default();
    let header = &analysis.record.header;
    page.title(&Inline::own(format!("Regatta report: {}", Inline::text(header.run.as_str()))));
    notices(&mut page, analysis);
    page.paragraph(&headline(analysis));
    answer(&mut page, analysis);
    facts::classes(&mut page, analysis);
    side_by_side::side_by_side(&mut page, analysis, plots);
    by_case(&mut page, analysis);
    loads(&mut page, analysis, plots);
    facts::differing(&mut page, analysis);
    answers::answers(&mut page, analysis);
    start::start(&mut page, analysis);
    contention::contention(&mut page, analysis);
    completeness::completeness(&mut page, analysis);
    totals::totals(&mut page, analysis);
    since::since(&mut page, analysis);
    method::method(&mut page, analysis);
    method::reproduce(&mut page, 11, analysis.record);
    page.finish()
}

/// What must not be overlooked.
fn notices(page: &mut Page, analysis: &Report<'_>) {
    let simulated: Vec<Inline> = analysis
        .hosts
        .iter()
        .filter(|h| h.record.is_some_and(|r| r.simulated))
        .map(|h| Inline::text(h.host.as_str()))
        .collect();
    if !simulated.is_empty() {
        let all = simulated.len() == analysis.hosts.len();
        let who = if all { "All hosts".to_owned() } else { join(&simulated) };
        page.notice(&Inline::own(format!(
            "**Simulated.** {who} in this run {} simulated: no machine, no GPU and no model was measured. The figures show how a report looks, nothing else.",
            if all || simulated.len() > 1 { "are" } else { "is" }
        )));
    }
    if analysis.record.redacted {
        page.notice(
            &"**Redacted.** Hosts, GPUs, addresses, URLs and home folders have made-up names here, one name for one thing on all pages; of the command line flags and numbers are left."
                .into(),
        );
    }
    if analysis.record.sealed.is_none() {
        page.notice(
            &"**Not finished.** The run was still open when this was written, or was abandoned."
                .into(),
        );
    }
    if analysis.record.header.insecure {
        page.notice(
            &"**Plain text.** Agents were allowed to connect over the network without encryption."
                .into(),
        );
    }
}

pub(super) fn join(items: &[Inline]) -> String {
    items.iter().map(Inline::as_str).collect::<Vec<_>>().join(", ")
}

fn headline(analysis: &Report<'_>) -> Inline {
    let header = &analysis.record.header;
    let hosts = analysis.hosts.len() + usize::try_from(analysis.record.absent).unwrap_or(0);
    let cases = header.suite.compared_cases().count();
    let end = analysis.record.sealed.map_or_else(String::new, |at| format!(" to {}", utc(at)));
    Inline::own(format!(
        "Suite `{}` ({}), {}, start mode `{}`, {}{end}.",
        header.suite.name,
        count_of(cases, "case"),
        count_of(hosts, "host"),
        header.start,
        utc(header.created),
    ))
}

fn answer(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"1. Answer first".into());
    let line = |text: String| Inline::sentence(&text);
    page.list(words::answer(analysis).into_iter().map(line));
    let limits = not_judged(analysis);
    if !limits.is_empty() {
        page.paragraph(&"What could not be judged, and what to keep in mind:".into());
        page.list(limits.into_iter().map(line));
    }
}

/// The load levels of all hosts, under "Host by case".
fn loads(page: &mut Page, analysis: &Report<'_>, plots: &Plots) {
    super::load::load(page, &analysis.hosts, |page: &mut Page| {
        page.subsection(&"Load".into());
    });
    for class in &analysis.classes {
        page.picture(plots.find(PlotKind::Load(&class.class)), "");
    }
}

fn by_case(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"4. Host by case".into());
    let several = analysis.classes.len() > 1;
    for class in &analysis.classes {
        for report in &class.metrics {
            let unit = match report.metric {
                Metric::DecodeTps => "Decode speed, tok/s",
                Metric::Ttft => "Time to first token, ms",
                Metric::FirstAnswer => "Time to first answer token, ms",
                Metric::E2e => "End-to-end time, s",
                Metric::OutputTps => "System output of all streams, tok/s",
                Metric::Energy => "Energy per output token, J",
            };
            let class_name =
                if several { format!(", class {}", class.class.label) } else { String::new() };
            page.subsection(&Inline::own(format!("{unit}{class_name}")));
            page.paragraph(&Inline::own(format!(
                "Geometric mean over the repetitions. {}{}",
                Reference::of(report).words(),
                if report.metric == Metric::Energy {
                    " Power limits, idle power and prompt tokens per output token: section 3."
                } else {
                    ""
                }
            )));
            page.table(metric_grid(analysis, class, report));
        }
    }
    if analysis.classes.is_empty() {
        page.paragraph(&"Nothing usable was measured.".into());
    }
}
