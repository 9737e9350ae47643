//! The machine: its CPU's clock and its disk.

use regatta_types::check::{Check, CheckOutcome};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

/// The governor that lets a clock rise at once.
const FAST: &str = "performance";
/// With less space than this no attempt can be kept: its marker and its report are files.
const NO_ROOM: Bytes = Bytes(16 << 20);
/// A night's results take less than this; a report is at most a quarter of it.
const ROOM: Bytes = Bytes(1 << 30);

pub(super) fn governor(governor: &Reading<String>) -> CheckOutcome {
    match governor {
        Reading::Known(name) if name == FAST => Check::Governor.ok(format!("it is {FAST}")),
        Reading::Known(name) => Check::Governor.warning(format!(
            "it is {name}, which may hold back engine and agent; set {FAST} (cpupower frequency-set -g \
             {FAST})"
        )),
        Reading::NotAvailable { not_available } => Check::Governor.unknown(not_available.clone()),
    }
}

pub(super) fn disk(free: Option<&Reading<Bytes>>) -> CheckOutcome {
    match free {
        None => Check::Disk.ok("results are kept in memory"),
        Some(Reading::Known(free)) if *free < NO_ROOM => Check::Disk.failed(format!(
            "only {free} are free for the agent's state folder, so no result can be kept; make \
             room, or name another folder with --state"
        )),
        Some(Reading::Known(free)) if *free < ROOM => Check::Disk.warning(format!(
            "only {free} are free for the agent's state folder; make room, or name another folder \
             with --state"
        )),
        Some(Reading::Known(free)) => Check::Disk.ok(format!("{free} are free for results")),
        Some(Reading::NotAvailable { not_available }) => Check::Disk.unknown(not_available.clone()),
    }
}
