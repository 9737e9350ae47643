//! How it was measured and judged, and how to do it again.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;
use regatta_figures::compare::{FULL_REPETITIONS, MIN_REPETITIONS};
use regatta_figures::metrics::METRICS_SCHEMA;
use regatta_types::suite::Suite;

use crate::markdown::layout::{Inline, Page};
use crate::markdown::sections::definitions;
use crate::report::Report;
use crate::words::numbers::margins;

/// The rule for so many compared hosts, as a sentence; `None` for one or none.
pub(super) fn rule(compared: usize) -> Option<&'static str> {
    match compared {
        0 | 1 => None,
        2 => Some(
            "Two compared hosts: their difference, paired repetition by repetition in the repetitions that both have, decides the verdict.",
        ),
        3 => Some(
            "Three compared hosts: every pair counts. A host is slower (faster) only if it is so against both others, and equivalent if it is so to each other host that is not itself slower or faster. \"vs. others\" is the difference from the mean of the others that are not settled so; the pairs decide.",
        ),
        _ => Some(
            "Four and more compared hosts: first each host against the middle of the others; who is settled slower or faster there is set aside. Then each host against the mean of the others that were not set aside, paired repetition by repetition: this is \"vs. others\", and it decides the verdict.",
        ),
    }
}

/// Section 10.
pub(super) fn method(page: &mut Page, report: &Report<'_>) {
    let header = &report.record.header;
    page.section("10. Method");
    page.list([
        Inline::own(format!(
            "Every case is planned on every host, {}; the order of the cases changes from repetition to repetition and is the same on all hosts (seed {}).",
            repetitions(&header.suite),
            header.seed
        )),
        Inline::own("The unit is one number for each host, case and repetition, as a logarithm: speeds as a ratio of sums over the requests that succeeded, times as their median. A host's value in a repetition is the mean over the cases, only if all of them are there."),
        Inline::own(format!(
            "Intervals are Student's t over repetitions, 95 %. Holm's correction over the hosts decides. *Slower* and *faster*: corrected p below 0.05 and the estimate at or beyond the margin. *Equivalent*: the 90 % interval lies inside the margin. Margins: {}, on the logarithm. Anything else is *not settled*, which is not \"equal\".",
            margins(&header.margins)
        )),
    ]
    .into_iter()
    .chain(rules(report))
    .chain([
        Inline::own(format!(
            "Fewer than {MIN_REPETITIONS} complete repetitions give no verdict; fewer than {FULL_REPETITIONS} give one that is marked *indicative* and establish no order. In the tables by case the level is 0.05 divided by the number of cases."
        )),
        Inline::own("Percentiles need as many values as their distribution-free 95 % interval: 6 for p50, 72 for p95, 368 for p99."),
    ]));
    definitions(page);
    page.paragraph(Inline::own(format!(
        "Definitions: metrics schema {METRICS_SCHEMA}. All times are differences of one host's monotonic clock."
    )));
}

/// The rules that were used in this run.
fn rules(report: &Report<'_>) -> impl Iterator<Item = Inline> + use<> {
    let metrics = report.classes.iter().flat_map(|class| &class.metrics);
    let compared: BTreeSet<Option<&str>> = metrics.map(|m| rule(m.outcome.compared())).collect();
    compared.into_iter().flatten().map(Inline::own)
}

/// `5 times`, or how many times which cases.
fn repetitions(suite: &Suite) -> String {
    let mut cases: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for case in &suite.cases {
        cases.entry(case.repetitions).or_default().push(case.id.as_str());
    }
    let times = |n: u32| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    if let Ok(only) = cases.keys().exactly_one() {
        return times(*only);
    }
    cases.iter().rev().map(|(&n, ids)| format!("{}: {}", times(n), ids.join(", "))).join("; ")
}
