//! Whether the hosts gave the same answers to the same requests.

use crate::markdown::format::{NONE, count};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use regatta_figures::hosts::{CaseAnalysis, is_repeatable, same_answers};

/// Under "Facts that differ"; nothing without two hosts of one class.
pub(super) fn answers(page: &mut Page, analysis: &Report<'_>) {
    for class in analysis.classes.iter().filter(|c| c.class.hosts.len() > 1) {
        let mut table = Table::new(["Case", "Hosts with the same answers>", "Requests compared>"]);
        for case in analysis.record.header.suite.compared_cases() {
            let hosts = analysis.hosts.iter().filter(|h| class.class.hosts.contains(h.host));
            let own = hosts.filter_map(|h| h.cases.iter().find(|c| c.case.id == case.id));
            let own: Vec<&CaseAnalysis<'_>> = own.collect();
            let answers: Vec<_> = own.iter().map(|case| &case.answers).collect();
            let found = same_answers(&answers).filter(|_| is_repeatable(case));
            let (hosts, requests) = match found {
                Some(same) => (
                    Inline::own(match same.hosts {
                        1 => format!("none of {}", same.of),
                        hosts => format!("{hosts} of {}", same.of),
                    }),
                    count(same.requests),
                ),
                None if !is_repeatable(case) => {
                    ("not compared: text is drawn, and without a seed".into(), NONE.into())
                }
                None => (NONE.into(), NONE.into()),
            };
            table.row([Inline::text(&case.title), hosts, requests]);
        }
        table.dash(
            &["Hosts with the same answers", "Requests compared"],
            "no request that two hosts or more answered at the first attempt".into(),
        );
        let several = analysis.classes.len() > 1;
        let name = if several { format!(", class {}", class.class.label) } else { String::new() };
        page.subsection(&Inline::own(format!("Same answers{name}")));
        page.table(table);
        page.paragraph(&"By the SHA-256 of each answer, reasoning included, in the first repetition. Answers that differ are information and no error: also at temperature 0 the arithmetic follows how requests are batched.".into());
    }
}
