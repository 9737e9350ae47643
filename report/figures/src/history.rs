//! History: what a baseline keeps of a run, and what has changed since.
//!
//! The main types are [`Baseline`] and [`Changes`]. Two runs are compared host by host, each with
//! itself, in the cases that are the same work in both and with the four verdicts of a report. A
//! stored run becomes a [`Baseline`] first, so that a file and a run are compared by the same code.

mod baseline;
mod changes;
mod file;
mod pair;
mod trend;
mod views;

pub use baseline::{Baseline, HostBaseline};
pub use changes::{Changes, Estimated, HostChanges, Match, MetricChange, Terms, changes};
pub use file::BaselineError;
pub use trend::{TrendChange, TrendRow, trend};
