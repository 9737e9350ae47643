//! What happened to a host while it measured, and its slowest requests.

use crate::markdown::format::{NONE, count_of, fixed, millis, seconds};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use regatta_figures::hosts::{Happened, HostAnalysis};
use regatta_figures::metrics::Throttle;
use regatta_figures::utc::utc;

/// From so many requests on the slowest of them are told: of fewer the attempts tell all.
const ENOUGH: u32 = 10;

/// Under "Stability".
pub(super) fn events(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new(["Time (UTC)", "Event"]);
    for event in &host.events.events {
        table.row([Inline::own(utc(event.at)), words(&event.what)]);
    }
    if table.is_empty() {
        page.paragraph(
            &"No answer stood still for over 1 s, and no lost connection, restart of the engine or lost GPU was seen."
                .into(),
        );
    } else {
        page.table(table);
        let more = match host.events.more_stalls {
            0 => String::new(),
            n => {
                let n = count_of(n, "shorter stall");
                format!(" {n} of over 1 s are left out.")
            }
        };
        page.paragraph(&Inline::own(format!(
            "Connections by the coordinator's clock, the rest by the host's.{more}"
        )));
    }
    slowest(page, host);
}

fn words(what: &Happened) -> Inline {
    Inline::text(&match what {
        Happened::JoinedAgain => "the agent joined again".to_owned(),
        Happened::Disconnected(reason) => format!("the agent was disconnected ({reason})"),
        Happened::Lost(reason) => format!("the agent was lost ({reason})"),
        Happened::EngineChanged(change) => format!("another engine: {change}"),
        Happened::EngineRestarted => {
            "the engine was restarted: one of its counters ran backwards".to_owned()
        }
        Happened::GpuEnded(reason) => format!("the readings of a GPU ended ({reason})"),
        Happened::Stall { seconds, request_id } => {
            format!("a token came after {seconds:.2} s without one ({})", short(request_id))
        }
    })
}

/// A request's id without run and host, which are those of the page.
fn short(request_id: &str) -> &str {
    request_id.splitn(3, '/').nth(2).unwrap_or(request_id)
}

fn slowest(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.figures.requests.ok < ENOUGH {
        return;
    }
    let mut table = Table::new([
        "Slowest requests",
        "Time (UTC)",
        "End to end (s)>",
        "Of its case's median (times)>",
        "TTFT (ms)>",
        "Longest gap (ms)>",
        "GPU clocks held, nearest to it",
    ]);
    for slow in &host.slowest {
        table.row([
            Inline::text(short(&slow.request_id)),
            Inline::own(utc(slow.at)),
            seconds(Some(slow.e2e_s)),
            fixed(Some(slow.of_median), 2),
            millis(slow.ttft_s),
            millis(slow.longest_gap_s),
            slow.throttle.map_or(NONE.into(), throttle),
        ]);
    }
    table.dash(&["TTFT (ms)", "Longest gap (ms)"], "its stream was buffered".into());
    table.dash(
        &["GPU clocks held, nearest to it"],
        "not held in its attempt, or no such reading".into(),
    );
    page.table(table);
}

fn throttle(throttle: Throttle) -> Inline {
    let when = if throttle.away_s < 0.0 {
        format!("{:.1} s before", -throttle.away_s)
    } else if throttle.away_s > 0.0 {
        format!("{:.1} s after", throttle.away_s)
    } else {
        "during it".to_owned()
    };
    Inline::own(format!("{}, {when}", throttle.reason))
}
