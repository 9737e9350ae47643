//! Wall times as text, always UTC, without a time zone database.

use jiff::Timestamp;
use regatta_types::time::UnixNs;

/// `2026-11-24 04:52:15 UTC`, cut to the second.
pub fn utc(at: UnixNs) -> String {
    // Every 64-bit number of nanoseconds lies between the years 1677 and 2262.
    Timestamp::from_nanosecond(i128::from(at.0))
        .map(|t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_else(|_| format!("{} ns after 1970-01-01 UTC", at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_to_the_second() {
        assert_eq!(utc(UnixNs(1_770_419_442_999_999_999)), "2026-02-06 23:10:42 UTC");
        assert_eq!(utc(UnixNs(0)), "1970-01-01 00:00:00 UTC");
    }
}
