//! Tables of host by case, turned so that they stay narrow.

use regatta_types::ids::HostId;
use regatta_types::suite::Case;

use super::format::{NONE, level, signed_percent};
use super::table::{Align, Table};
use super::text::Inline;
use crate::analysis::Analysis;
use crate::compare::{ClassReport, Metric, MetricReport};
use crate::metrics::Distribution;

/// Up to so many hosts stand side by side, with a row for each case.
const HOSTS_ABREAST: usize = 8;

/// Builds a table with one cell per host and case.
pub(crate) fn grid(
    hosts: &[&HostId],
    cases: &[&Case],
    align: Align,
    cell: impl Fn(&HostId, &Case) -> Inline,
) -> Table {
    let name = |host: &HostId| Inline::text(host.as_str());
    if hosts.len() <= HOSTS_ABREAST {
        let mut table = Table::new(["Case"]);
        hosts.iter().for_each(|host| table.column(name(host), align));
        for case in cases {
            let row = hosts.iter().map(|host| cell(host, case));
            table.row(std::iter::once(Inline::text(&case.title)).chain(row));
        }
        table
    } else {
        let mut table = Table::new(["Host"]);
        cases.iter().for_each(|case| table.column(Inline::text(case.id.as_str()), align));
        for host in hosts {
            let row = cases.iter().map(|case| cell(host, case));
            table.row(std::iter::once(name(host)).chain(row));
        }
        table
    }
}

/// One metric by host and case: the value and its distance, bold where it is settled.
pub(crate) fn metric_grid(
    analysis: &Analysis<'_>,
    class: &ClassReport,
    report: &MetricReport,
) -> Table {
    let hosts: Vec<&HostId> = class.class.hosts.iter().collect();
    let cases: Vec<&Case> =
        report.series.cases.iter().filter_map(|id| analysis.record.header.suite.case(id)).collect();
    grid(&hosts, &cases, Align::Right, |host, case| metric_cell(report, host, case))
}

fn metric_cell(report: &MetricReport, host: &HostId, case: &Case) -> Inline {
    let hosts = report.by_case(&case.id).map_or(&[][..], |outcome| &outcome.hosts);
    let Some(judged) = hosts.iter().find(|j| j.host == *host) else { return NONE.into() };
    let Some(own) = judged.mean else { return NONE.into() };
    let value = level(report.metric, Some(own));
    let difference = match hosts.iter().filter(|j| j.effect.is_some()).count() {
        2 => judged.effect.map(|e| e.mean),
        _ if hosts.len() < 2 => None,
        _ => Distribution::new(hosts.iter().filter_map(|j| j.mean)).median().map(|m| own - m),
    };
    let Some(difference) = difference else { return value };
    let difference = Inline::own(format!("{} %", signed_percent(difference)));
    let settled = judged.verdict.is_settled_difference();
    let difference = if settled { difference.bold() } else { difference };
    Inline::own(format!("{value} ({difference})"))
}

/// What the difference in the cells of [`metric_grid`] is from.
pub(crate) fn reference_of(report: &MetricReport) -> &'static str {
    let hosts = &report.outcome.hosts;
    match hosts.iter().filter(|j| j.effect.is_some()).count() {
        _ if hosts.len() < 2 => "one host, so no difference",
        2 => "in brackets: difference from the other host",
        _ => "in brackets: difference from the fleet median",
    }
}

/// Whether a metric is shown by host and case in the combined report.
pub(crate) fn is_shown_by_case(metric: Metric) -> bool {
    match metric {
        Metric::DecodeTps | Metric::Ttft | Metric::OutputTps => true,
        Metric::E2e => false,
    }
}
