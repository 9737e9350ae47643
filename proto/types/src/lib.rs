//! The vocabulary both sides of Regatta share: ids, suites, traces, facts, failures, events.
//!
//! Everything here is a plain value. The crate opens no socket, file or thread and knows nothing
//! of gRPC; the one clock it can read ([`time::MonoNs::now`]) is behind the feature `clock`, which
//! the report does not enable. Per-request formulas are methods of [`trace::RequestTrace`];
//! anything over several requests belongs to `regatta-report`.

pub mod assignment;
pub mod attempt;
pub mod check;
pub mod clean;
pub mod comparability;
pub mod engine;
pub mod event;
pub mod exit;
pub mod facts;
pub mod failure;
pub mod gpu;
pub mod ids;
pub mod margin;
pub mod metric;
pub mod reading;
pub mod record;
pub mod saturation;
pub mod suite;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod trace;
pub mod units;
pub mod validity;
