//! The machine's wall clock, for display only.

use std::time::UNIX_EPOCH;

use regatta_types::time::{UnixNs, WallClock};

/// The real clock; given to everything by the two `main.rs`.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> UnixNs {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNs(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}
