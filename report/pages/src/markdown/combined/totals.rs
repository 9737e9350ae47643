//! Sums over the hosts, as far as a sum means something; never a mean of percentiles.

use crate::markdown::format::{NONE, count, fixed, good, told};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::capacity::{lacking, whose, why_none, without};
use regatta_figures::capacity::{Capacity, HostUsers, NoCapacity};
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{Requests, TokenSum, Tokens};

/// Section 8.
pub(super) fn totals(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"8. Totals of all hosts".into());
    page.table(counts(&analysis.hosts));
    match &analysis.capacity {
        Ok(together) => {
            page.table(capacity(together));
            if let Some(who) = without(together) {
                page.paragraph(&Inline::sentence(&format!("Not among them: {who}.")));
            }
            let not = together.not_available.iter().map(lacking);
            page.list(not.map(|what| Inline::sentence(&format!("Not available: {what}."))));
        }
        Err(NoCapacity::OneHost) => {}
        Err(why) => page.paragraph(&Inline::own(format!(
            "What the hosts give together is not available: {}.",
            why_none(*why)
        ))),
    }
    page.table(users(&analysis.hosts));
}

/// How many streams each host serves within the limits.
fn users(hosts: &[HostAnalysis<'_>]) -> Table {
    let mut table = Table::new([
        "Host",
        "Streams within the limits>",
        "Requests there>",
        "Good there (%)>",
        "Fails at (streams)>",
        "Good there, worst case (%)>",
    ]);
    for users in hosts.iter().filter_map(HostUsers::of) {
        let least = if users.at_least { "at least " } else { "" };
        let fails = users.fails_at;
        table.row([
            Inline::text(users.host.as_str()),
            Inline::own(format!("{least}{}", users.streams)),
            count(users.level.offered),
            good(Some(users.level)),
            fails.map_or(NONE.into(), |(streams, _)| count(streams)),
            good(fails.map(|(_, worst)| worst)),
        ]);
    }
    table.dash(
        &["Fails at (streams)", "Good there, worst case (%)"],
        "no level that was measured fails".into(),
    );
    table
}

/// What was done, over one population: the counted attempts.
fn counts(hosts: &[HostAnalysis<'_>]) -> Table {
    let solo = hosts.iter().any(|host| !host.solo.is_empty());
    let what =
        if solo { "In all counted attempts, those solo apart" } else { "In all counted attempts" };
    let mut table = Table::new([what, "Sum>"]);
    let some_invalid = hosts.iter().any(|h| h.requests != h.figures.requests);
    if some_invalid {
        table.column("Of which in usable attempts".into(), Align::Right);
    }
    let mut row = |name: &'static str, all: Inline, usable: Inline| {
        let cells = [name.into(), all, usable];
        table.row(cells.into_iter().take(if some_invalid { 3 } else { 2 }));
    };
    let requests = |f: fn(&Requests) -> u32| {
        let sum = |of: fn(&HostAnalysis<'_>) -> Requests| {
            count(hosts.iter().map(|h| u64::from(f(&of(h)))).sum::<u64>())
        };
        (sum(|h| h.requests.clone()), sum(|h| h.figures.requests.clone()))
    };
    let tokens = |f: fn(&Tokens) -> TokenSum| {
        let sum = |of: fn(&HostAnalysis<'_>) -> Tokens| {
            told(hosts.iter().map(|h| f(&of(h))).fold(TokenSum::default(), TokenSum::and))
        };
        (sum(|h| h.tokens.clone()), sum(|h| h.figures.tokens.clone()))
    };
    for (name, (all, usable)) in [
        ("Measured requests that succeeded", requests(|r| r.ok)),
        ("Measured requests that failed", requests(Requests::failures)),
        ("Prompt tokens of the successes", tokens(|t| t.prompt)),
        ("Completion tokens of the successes", tokens(|t| t.completion)),
    ] {
        row(name, all, usable);
    }
    table.dash(&[], "the engines give no such count".into());
    table
}

/// What the hosts give or take together.
fn capacity(capacity: &Capacity) -> Table {
    let mut table = Table::new([]);
    let whose = match capacity.left_out.len() {
        0 => "All hosts together".to_owned(),
        _ => format!("{} together", whose(capacity)),
    };
    table.column(Inline::own(whose), Align::Left);
    table.column("Value".into(), Align::Right);
    let mut row = |name: String, value: Option<f64>, digits| {
        if value.is_some() {
            table.row([Inline::own(name), fixed(value, digits)]);
        }
    };
    let decode = capacity.decode.as_ref();
    row(
        "sum of the decode speeds of section 3, one stream on each host (tok/s)".to_owned(),
        decode.map(|d| d.sum),
        2,
    );
    if let Some(decode) = decode {
        let slowest = Inline::text(decode.slowest.as_str());
        row(format!("the slowest of them, {slowest} (tok/s)"), Some(decode.slowest_tps), 2);
        row("how much more the fastest has (%)".to_owned(), Some(decode.spread * 100.0), 1);
    }
    row(
        "sum of the highest system outputs, each host in its own best case (tok/s)".to_owned(),
        capacity.peak_output_tps,
        2,
    );
    if let Some(users) = &capacity.users {
        let least = if users.at_least { ", at least" } else { "" };
        row(
            format!("streams at once of which 99 % of the requests keep every limit{least}"),
            Some(f64::from(users.streams)),
            0,
        );
    }
    let whose = if capacity.power_unattributed { ", all GPUs of a host, unattributed" } else { "" };
    row(
        format!("sum of the mean GPU board powers in usable attempts{whose} (W)"),
        capacity.power_w,
        1,
    );
    row(
        "electricity of the GPU boards per million output tokens, in the tariff's currency"
            .to_owned(),
        capacity.price_per_million,
        3,
    );
    table
}
