//! What happened to a host while it measured, and its slowest requests.

use crate::words::reason::at_first;
use regatta_figures::hosts::{Happened, HostAnalysis};
use regatta_figures::metrics::Throttle;
use regatta_figures::utc::utc;

use crate::markdown::layout::{Inline, Page, Table, fixed, known, millis, seconds};
use crate::words::numbers::count_of;

/// From so many requests on the slowest of them are told: of fewer the attempts tell all.
const ENOUGH: u32 = 10;

/// Under "Stability".
pub(super) fn events(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.events.events.is_empty() {
        page.paragraph("No answer stood still for over 1 s, and no lost connection, restart of the engine or lost GPU was seen.");
    } else {
        Table::of(&host.events.events)
            .text("Time (UTC)", |event| Inline::own(utc(event.at)))
            .text("Event", |event| words(&event.what))
            .add_to(page);
        let more = match host.events.more_stalls {
            0 => String::new(),
            n => format!(" {} of over 1 s are left out.", count_of(n, "shorter stall")),
        };
        page.paragraph(Inline::own(format!(
            "Connections by the coordinator's clock, the rest by the host's.{more}"
        )));
    }
    slowest(page, host);
}

fn words(what: &Happened) -> Inline {
    Inline::text(match what {
        Happened::JoinedAgain => "the agent joined again".to_owned(),
        Happened::Disconnected(reason) => format!("the agent was disconnected ({reason})"),
        Happened::Lost(reason) => format!("the agent was lost ({reason})"),
        Happened::EngineChanged(changes) => format!("another engine: {}", at_first(changes)),
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
    let buffered = "its stream was buffered";
    Table::of(&host.slowest)
        .text("Slowest requests", |slow| Inline::text(short(&slow.request_id)))
        .text("Time (UTC)", |slow| Inline::own(utc(slow.at)))
        .number("End to end (s)", |slow| seconds(Some(slow.e2e_s)))
        .number("Of its case's median (times)", |slow| fixed(Some(slow.of_median), 2))
        .number_or("TTFT (ms)", buffered, |slow| millis(slow.ttft_s))
        .number_or("Longest gap (ms)", buffered, |slow| millis(slow.longest_gap_s))
        .text("GPU clocks held, nearest to it", |slow| known(slow.throttle.map(throttle)))
        .absent("not held in its attempt, or no such reading")
        .add_to(page);
}

fn throttle(throttle: Throttle) -> String {
    let when = if throttle.away_s < 0.0 {
        format!("{:.1} s before", -throttle.away_s)
    } else if throttle.away_s > 0.0 {
        format!("{:.1} s after", throttle.away_s)
    } else {
        "during it".to_owned()
    };
    format!("{}, {when}", throttle.reason)
}
