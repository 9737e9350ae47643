//! Totals over the hosts, where a sum is meaningful; never a mean of percentiles.

use regatta_figures::capacity::{Capacity, HostUsers, NoCapacity};
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{Requests, Tokens};

use crate::markdown::layout::{Inline, Page, Table, count, fixed, good, known_count, token_sum};
use crate::report::Report;
use crate::words::capacity::{lacking, whose, why_none, without};

/// The totals, at the end of the section on completeness.
pub(super) fn totals(page: &mut Page, report: &Report<'_>) {
    page.subsection("Totals");
    counts(page, &report.hosts);
    match &report.capacity {
        Ok(together) => {
            capacity(page, together);
            if let Some(who) = without(together) {
                page.paragraph(Inline::sentence(&format!("Excluded: {who}.")));
            }
            let not = together.not_available.iter().map(lacking);
            page.sentences(not.map(|what| format!("Not available: {what}.")));
        }
        Err(NoCapacity::OneHost) => {}
        Err(why) => page.paragraph(Inline::own(format!(
            "Total capacity is not available: {}.",
            why_none(*why)
        ))),
    }
    users(page, &report.hosts);
}

/// How many streams each host serves within the SLO.
fn users(page: &mut Page, hosts: &[HostAnalysis<'_>]) {
    let none = "no measured level fails";
    Table::of(hosts.iter().filter_map(HostUsers::of))
        .text("Host", |users| Inline::text(&users.host))
        .number("Streams within the SLO", |users| {
            let least = if users.at_least { "at least " } else { "" };
            Inline::own(format!("{least}{}", users.streams))
        })
        .number("Requests", |users| count(users.level.offered))
        .number("SLO met (%)", |users| good(Some(users.level)))
        .number_or("Fails at (streams)", none, |users| known_count(users.fails_at.map(|at| at.0)))
        .number_or("SLO met there, worst case (%)", none, |users| {
            good(users.fails_at.map(|at| at.1))
        })
        .add_to(page);
}

/// Requests and tokens of all counted attempts.
fn counts(page: &mut Page, hosts: &[HostAnalysis<'_>]) {
    let solo = hosts.iter().any(|host| !host.solo.is_empty());
    let what = if solo { "In all counted attempts except solo" } else { "In all counted attempts" };
    let requests = [
        Requests::sum(hosts.iter().map(|host| &host.requests)),
        Requests::sum(hosts.iter().map(|host| &host.figures.requests)),
    ];
    let tokens = [
        Tokens::sum(hosts.iter().map(|host| &host.tokens)),
        Tokens::sum(hosts.iter().map(|host| &host.figures.tokens)),
    ];
    let rows = [
        ("Measured requests that succeeded", requests.each_ref().map(|r| count(r.ok))),
        ("Measured requests that failed", requests.each_ref().map(|r| count(r.failures()))),
        ("Prompt tokens of the successes", tokens.each_ref().map(|t| token_sum(t.prompt))),
        ("Completion tokens of the successes", tokens.each_ref().map(|t| token_sum(t.completion))),
    ];
    Table::of(rows)
        .text(what, |(name, _)| (*name).into())
        .number("Sum", |(_, [all, _])| all.clone())
        .number("In usable attempts", |(_, [_, usable])| usable.clone())
        .only_if(hosts.iter().any(|h| h.requests != h.figures.requests))
        .all_absent("not reported by the engines")
        .add_to(page);
}

/// Sums over the hosts.
fn capacity(page: &mut Page, capacity: &Capacity) {
    let mut rows: Vec<(String, Option<f64>, usize)> = Vec::new();
    let mut row = |name: &str, value, digits| rows.push((name.to_owned(), value, digits));
    let decode = capacity.decode.as_ref();
    row("sum of the decode speeds, one stream per host (tok/s)", decode.map(|d| d.sum), 2);
    if let Some(decode) = decode {
        let slowest = format!("slowest of them: {} (tok/s)", Inline::text(&decode.slowest));
        row(&slowest, Some(decode.slowest_tps), 2);
        row("fastest compared with the slowest (%)", Some(decode.spread * 100.0), 1);
    }
    row(
        "sum of the highest system outputs, each host in its best case (tok/s)",
        capacity.peak_output_tps,
        2,
    );
    if let Some(users) = &capacity.users {
        let least = if users.at_least { ", at least" } else { "" };
        let streams = format!("concurrent streams with 99 % of the requests within the SLO{least}");
        row(&streams, Some(f64::from(users.streams)), 0);
    }
    let of = if capacity.power_unattributed { ", all GPUs of a host, unattributed" } else { "" };
    let power = format!("sum of the mean GPU board powers in usable attempts{of} (W)");
    row(&power, capacity.power_w, 1);
    row(
        "electricity of the GPU boards per million output tokens (tariff currency)",
        capacity.price_per_million,
        3,
    );
    let whose = match capacity.left_out.len() {
        0 => "All hosts".to_owned(),
        _ => whose(capacity),
    };
    Table::of(rows.into_iter().filter(|(_, value, _)| value.is_some()))
        .text(Inline::own(whose), |(name, ..)| Inline::own(name))
        .number("Value", |&(_, value, digits)| fixed(value, digits))
        .add_to(page);
}
