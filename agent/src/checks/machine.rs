//! Machine checks: CPU frequency governor and disk space.

use regatta_types::check::{Check, CheckOutcome};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

/// The governor without frequency scaling delays.
const FAST: &str = "performance";
/// With less free space than this no attempt can be stored.
const NO_ROOM: Bytes = Bytes(16 << 20);
/// Enough for the results of a long run; a report is at most a quarter of this.
const ROOM: Bytes = Bytes(1 << 30);

pub(super) fn governor(governor: &Reading<String>) -> CheckOutcome {
    match governor {
        Reading::Known(name) if name == FAST => Check::Governor.ok(FAST),
        Reading::Known(name) => Check::Governor.warning(format!(
            "{name}, which may slow down the engine and the agent. Set {FAST} (cpupower \
             frequency-set -g {FAST})"
        )),
        Reading::NotAvailable { not_available } => Check::Governor.unknown(not_available.clone()),
    }
}

pub(super) fn disk(free: Option<&Reading<Bytes>>) -> CheckOutcome {
    match free {
        None => Check::Disk.ok("results are kept in memory"),
        Some(Reading::Known(free)) if *free < NO_ROOM => Check::Disk.failed(format!(
            "only {free} free in the agent's state directory, so results cannot be stored. Free \
             disk space or set a different --state"
        )),
        Some(Reading::Known(free)) if *free < ROOM => Check::Disk.warning(format!(
            "only {free} free in the agent's state directory. Free disk space or set a different \
             --state"
        )),
        Some(Reading::Known(free)) => Check::Disk.ok(format!("{free} free")),
        Some(Reading::NotAvailable { not_available }) => Check::Disk.unknown(not_available.clone()),
    }
}
