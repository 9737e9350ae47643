//! The figures of a report: values in, values out, no sentence and no digits of a number.
//!
//! A run ([`source::Run`]) becomes an [`analysis::Analysis`] once, host by host and without its traces. To be compared with later
//! runs it becomes a [`history::Baseline`]. The crate sees only `regatta-types`: no clock, no environment, no network, no store.

pub mod absent;
pub mod analysis;
pub mod bandwidth;
#[cfg(any(test, feature = "calibration"))]
pub mod calibration;
pub mod capacity;
pub mod compare;
pub mod completeness;
pub mod facts;
pub mod history;
pub mod hosts;
pub mod metrics;
pub mod source;
pub mod start;
pub mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod utc;
