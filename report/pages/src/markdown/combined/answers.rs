//! Whether the hosts gave the same answers to the same requests.

use regatta_figures::hosts::{is_repeatable, same_answers};

use super::facts::class_name;
use crate::markdown::layout::{Inline, Page, Table, known_count};
use crate::report::Report;
use crate::words::numbers::NONE;

/// Under "Facts that differ"; nothing without two hosts of one class.
pub(super) fn answers(page: &mut Page, report: &Report<'_>) {
    for class in report.classes.iter().filter(|c| c.class.hosts.len() > 1) {
        let compared = report.record.header.suite.compared_cases().map(|case| {
            let hosts = report.hosts.iter().filter(|h| class.class.hosts.contains(h.host));
            let own = hosts.filter_map(|h| h.cases.iter().find(|c| c.case.id == case.id));
            let answers: Vec<_> = own.map(|case| &case.answers).collect();
            (case, same_answers(&answers).filter(|_| is_repeatable(case)))
        });
        let none = "no request that two hosts or more answered at the first attempt";
        page.subsection(Inline::own(format!("Same answers{}", class_name(report, class))));
        Table::of(compared)
            .text("Case", |(case, _)| Inline::text(&case.title))
            .number_or("Hosts with the same answers", none, |(case, found)| match found {
                Some(same) if same.hosts == 1 => Inline::own(format!("none of {}", same.of)),
                Some(same) => Inline::own(format!("{} of {}", same.hosts, same.of)),
                None if is_repeatable(case) => NONE.into(),
                None => "not compared: text is drawn, and without a seed".into(),
            })
            .number_or("Requests compared", none, |(_, found)| {
                known_count(found.as_ref().map(|same| same.requests))
            })
            .add_to(page);
        page.paragraph("By the SHA-256 of each answer, reasoning included, in the first repetition. Answers that differ are information and no error: also at temperature 0 the arithmetic follows how requests are batched.");
    }
}
