//! Tables of host by case, transposed to stay narrow.

use regatta_figures::compare::{ClassReport, Judged, MetricReport};
use regatta_types::ids::HostId;
use regatta_types::suite::Case;

use super::layout::{Align, Inline, Page, Table, level};
use crate::report::Report;
use crate::words::not_comparable;
use crate::words::numbers::{NONE, signed_percent};

/// Up to this many hosts have a column each, with a row for each case.
const HOSTS_ABREAST: usize = 8;

/// A table with one cell per host and case, by the number of its row.
pub(crate) fn grid(
    hosts: &[&HostId],
    cases: &[&Case],
    align: Align,
    cell: impl Fn(&HostId, &Case) -> Inline,
) -> Table<usize> {
    if hosts.len() <= HOSTS_ABREAST {
        let by_case =
            Table::of(0..cases.len()).text("Case", |&row| Inline::text(&cases[row].title));
        hosts.iter().fold(by_case, |table, host| {
            table.column(Inline::text(host), align, |&row| cell(host, cases[row]))
        })
    } else {
        let by_host = Table::of(0..hosts.len()).text("Host", |&row| Inline::text(hosts[row]));
        cases.iter().fold(by_host, |table, case| {
            table.column(Inline::text(&case.id), align, |&row| cell(hosts[row], case))
        })
    }
}

/// The reference of the differences in a table by case, the same for the whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    /// There is one host.
    Nothing,
    /// Of several hosts fewer than two have enough repetitions.
    TooFew,
    /// Two hosts that can be compared: the other one, in the repetitions that both have.
    OtherHost,
    /// More: the middle of the hosts.
    Median,
}

impl Reference {
    /// By the cases' own comparisons: a host that has too few repetitions is in none of them.
    pub(crate) fn of(report: &MetricReport) -> Self {
        let compared = report.by_case.iter().map(|case| case.outcome.compared());
        match compared.max().unwrap_or(0) {
            _ if report.outcome.hosts.len() < 2 => Self::Nothing,
            0 | 1 => Self::TooFew,
            2 => Self::OtherHost,
            _ => Self::Median,
        }
    }

    /// The sentence above the table.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "Only one host, so no difference.",
            Self::TooFew => {
                "Fewer than two hosts have three repetitions of a case, so no difference."
            }
            Self::OtherHost => {
                "In parentheses: difference from the other host that has enough repetitions. Values and difference are over the repetitions that both have. **Bold**: significant."
            }
            Self::Median => {
                "In parentheses: difference from the median of the hosts, paired by repetition. **Bold**: significant."
            }
        }
    }

    fn difference(self, judged: &Judged) -> Option<f64> {
        match self {
            Self::Nothing | Self::TooFew => None,
            Self::OtherHost => judged.effect.map(|e| e.mean),
            Self::Median => judged.from_median,
        }
    }
}

/// One metric by host and case: the value and its difference, bold if significant.
pub(crate) fn metric_grid(
    page: &mut Page,
    analysis: &Report<'_>,
    class: &ClassReport,
    report: &MetricReport,
) {
    let hosts: Vec<&HostId> = class.class.hosts.iter().collect();
    let series = &report.series;
    let concerns = |case: &&Case| {
        series.cases.contains(&case.id)
            || series.cases_left_out.iter().any(|(id, _)| *id == case.id)
    };
    let cases: Vec<&Case> = analysis.record.header.suite.cases.iter().filter(concerns).collect();
    let reference = Reference::of(report);
    let cell = |host: &HostId, case: &Case| metric_cell(report, reference, host, case);
    grid(&hosts, &cases, Align::Right, cell).all_absent("no usable figure").add_to(page);
}

fn metric_cell(report: &MetricReport, reference: Reference, host: &HostId, case: &Case) -> Inline {
    let left_out = report.series.cases_left_out.iter().find(|(id, _)| *id == case.id);
    let left_out = left_out.map(|(_, reason)| reason.clone());
    if let Some(reason) = left_out.or_else(|| report.why_left_out(host)) {
        return Inline::sentence(&not_comparable(&reason));
    }
    let judged = report.by_case(&case.id).and_then(|o| o.hosts.iter().find(|j| j.host == *host));
    let Some((judged, own)) = judged.and_then(|judged| Some((judged, judged.mean?))) else {
        return NONE.into();
    };
    let value = level(report.metric, Some(own));
    let Some(difference) = reference.difference(judged) else { return value };
    let difference = Inline::own(format!("{} %", signed_percent(difference)));
    let difference = difference.bold_if(judged.verdict.is_difference());
    Inline::own(format!("{value} ({difference})"))
}
