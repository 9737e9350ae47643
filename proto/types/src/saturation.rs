//! What shows that an endpoint is saturated: the figures that end a sweep.

use std::fmt;

use crate::units::grouped_real;

/// Why a level of a sweep is the last one. Its text is the evidence of
/// [`SkipReason::Saturated`](crate::event::SkipReason).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Saturation {
    /// A closed loop gave little more output than the level before.
    Output {
        /// Its streams, and those of the level before.
        streams: [usize; 2],
        /// Its output and that of the level before, tokens per second.
        tps: [f64; 2],
        /// Whether the outputs are those of the steady windows, else of the time in which all
        /// streams were busy.
        steady: bool,
    },
    /// Clearly fewer requests of an open loop were completed than offered.
    Backlog {
        /// Over how long, seconds.
        seconds: f64,
        /// Requests that were offered, and completed, per second.
        per_second: [f64; 2],
        /// Requests in flight at the beginning and at the end of that time.
        in_flight: [usize; 2],
    },
    /// Requests of an open loop came faster than they were answered.
    Overload {
        /// How long it was watched, seconds.
        seconds: f64,
        /// Mean requests in flight in the first and in the last tenth of that time.
        in_flight: [f64; 2],
        /// Mean time to first token from the scheduled instant in the same tenths, seconds.
        ttft_s: [f64; 2],
    },
}

impl fmt::Display for Saturation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Output { streams: [more, fewer], tps: [tps, before], steady } => {
                let gain = (tps / before - 1.0) * 100.0;
                let (gain, word) = (gain.abs(), if gain < 0.0 { "below" } else { "above" });
                let over =
                    if steady { "in the steady windows" } else { "while all streams were busy" };
                let (tps, before) = (grouped_real(tps, 1), grouped_real(before, 1));
                write!(
                    f,
                    "{tps} tok/s at {more} streams, {gain:.1} % {word} the {before} tok/s at {fewer} ({over})"
                )
            }
            Self::Backlog { seconds, per_second, in_flight: [few, many] } => {
                let [offered, completed] = per_second.map(|rate| grouped_real(rate, 1));
                write!(
                    f,
                    "over the last {seconds:.0} s, {offered} requests/s were offered and \
                     {completed} completed, with {few} requests in flight before and {many} after"
                )
            }
            Self::Overload { seconds, in_flight: [few, many], ttft_s } => {
                let [short, long] = ttft_s.map(|seconds| grouped_real(seconds * 1e3, 0));
                write!(
                    f,
                    "over the last {seconds:.0} s, requests in flight rose from {few:.1} to \
                     {many:.1} and time to first token from {short} to {long} ms (means of the \
                     first and last tenth)"
                )
            }
        }
    }
}
