//! How it was measured and judged, and how to do it again.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::margin::percent;
use regatta_types::metric::Metric;
use regatta_types::record::RunRecord;
use regatta_types::suite::Suite;

use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use regatta_figures::compare::{FULL_REPETITIONS, MIN_REPETITIONS};
use regatta_figures::metrics::METRICS_SCHEMA;

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
pub(super) fn method(page: &mut Page, analysis: &Report<'_>) {
    let header = &analysis.record.header;
    page.section(&"10. Method".into());
    let percent = |metric: Metric| format!("{} %", percent(metric.margin(&header.margins)));
    let margins = Metric::ALL.map(|metric| format!("{} {}", metric.label(), percent(metric)));
    page.list([
        Inline::own(format!(
            "Every case is planned on every host, {}; the order of the cases changes from repetition to repetition and is the same on all hosts (seed {}).",
            repetitions(&header.suite),
            header.seed
        )),
        Inline::own("The unit is one number for each host, case and repetition, as a logarithm: speeds as a ratio of sums over the requests that succeeded, times as their median. A host's value in a repetition is the mean over the cases, only if all of them are there."),
        Inline::own(format!(
            "Intervals are Student's t over repetitions, 95 %. Holm's correction over the hosts decides. *Slower* and *faster*: corrected p below 0.05 and the estimate at or beyond the margin. *Equivalent*: the 90 % interval lies inside the margin. Margins: {}, on the logarithm. Anything else is *not settled*, which is not \"equal\".",
            margins.join(", ")
        )),
    ]
    .into_iter()
    .chain(rules(analysis))
    .chain([
        Inline::own(format!(
            "Fewer than {MIN_REPETITIONS} complete repetitions give no verdict; fewer than {FULL_REPETITIONS} give one that is marked *indicative* and establish no order. In the tables by case the level is 0.05 divided by the number of cases."
        )),
        Inline::own("Percentiles need as many values as their distribution-free 95 % interval: 6 for p50, 72 for p95, 368 for p99."),
    ]));
    page.table(definitions());
    page.paragraph(&Inline::own(format!(
        "Definitions: metrics schema {METRICS_SCHEMA}. All times are differences of one host's monotonic clock."
    )));
}

/// The rules that were used in this run.
fn rules(analysis: &Report<'_>) -> impl Iterator<Item = Inline> + use<> {
    let metrics = analysis.classes.iter().flat_map(|class| &class.metrics);
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
    if let [only] = cases.keys().collect::<Vec<_>>().as_slice() {
        return times(**only);
    }
    let parts = cases.iter().rev().map(|(&n, ids)| format!("{}: {}", times(n), ids.join(", ")));
    parts.collect::<Vec<_>>().join("; ")
}

/// The short definitions, for both kinds of page.
pub(in crate::markdown) fn definitions() -> Table {
    let mut table = Table::new(["Figure", "Definition"]);
    let of = |metric: Metric| metric.info().definition;
    let others = [
        ("At a rate", "TTFT and end to end count from the instant the request was scheduled for"),
        (
            "End-to-end speed",
            "all completion tokens / end-to-end time; contains prefill and queueing",
        ),
        ("ITL", "gap before a chunk divided by its tokens, weighted by tokens"),
    ];
    let truncated =
        ("Truncated", "success with finish reason `length`: cut by `max_tokens` or the context");
    let first = [Metric::Ttft, Metric::FirstAnswer, Metric::DecodeTps, Metric::E2e];
    let rows = first.into_iter().filter_map(of).chain(others);
    for (name, definition) in rows.chain(of(Metric::OutputTps)).chain([truncated]) {
        table.row([name.into(), definition.into()]);
    }
    table
}

/// The last section of a page.
pub(in crate::markdown) fn reproduce(page: &mut Page, number: u32, record: &RunRecord) {
    let header = &record.header;
    page.section(&Inline::own(format!("{number}. Reproduce")));
    page.block(&crate::markdown::text::fenced(&header.command));
    let mut table = Table::new(["What", "Value"]);
    table.row(["Suite".into(), Inline::text(header.suite.name.as_str())]);
    table.row(["Suite hash (SHA-256)".into(), Inline::own(header.suite.hash())]);
    table.row(["Seed".into(), Inline::own(header.seed.to_string())]);
    table.row(["Coordinator".into(), Inline::text(&header.coordinator_version)]);
    page.table(table);
}
