//! The method of a run.

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
            "Two compared hosts: the difference between them, paired by repetition, decides the verdict.",
        ),
        3 => Some(
            "Three compared hosts: every pair is tested. A host is slower (or faster) only if it is so against both others, and equivalent if it is equivalent to each other host that is not itself slower or faster. \"vs. others\" is the difference from the mean of the others that are neither; the pairs decide the verdict.",
        ),
        _ => Some(
            "Four or more compared hosts: first each host is tested against the median of the others; hosts that are significantly slower or faster are excluded from the reference. Then each host is compared with the mean of the remaining others, paired by repetition: this is \"vs. others\", and it decides the verdict.",
        ),
    }
}

/// The section on the method.
pub(super) fn method(page: &mut Page, report: &Report<'_>) {
    let header = &report.record.header;
    page.section("Method");
    page.list([
        Inline::own(format!(
            "Every case runs on every host, {}. The order of the cases changes from repetition to repetition and is the same on all hosts (seed {}).",
            repetitions(&header.suite),
            header.seed
        )),
        Inline::own("The sample is one logarithm per host, case and repetition: speeds are ratios of sums over the successful requests, times are medians. A host's value in a repetition is the mean over the cases, if all of them are complete."),
        Inline::own(format!(
            "Confidence intervals (CI): Student's t over repetitions, 95 %. *Slower* and *faster*: p < 0.05 after Holm's correction over the hosts, and an estimate at or beyond the margin. *Equivalent*: the 90 % interval lies inside the margin. Anything else is *inconclusive*, which does not mean equal. Margins, on the logarithm: {}.",
            margins(&header.margins)
        )),
    ]
    .into_iter()
    .chain(rules(report))
    .chain([
        Inline::own(format!(
            "Fewer than {MIN_REPETITIONS} complete repetitions give no verdict. Fewer than {FULL_REPETITIONS} give an *indicative* verdict and no ranks. In the tables per case the level is 0.05 divided by the number of cases."
        )),
        Inline::own("A percentile needs enough requests for a distribution-free 95 % interval: 6 for p50, 72 for p95, 368 for p99."),
    ]));
    definitions(page);
    page.paragraph(Inline::own(format!(
        "Metrics schema {METRICS_SCHEMA}. All times are differences on one host's monotonic clock."
    )));
}

/// The rules that apply to this run.
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
