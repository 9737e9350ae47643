//! Each host of a run on its own: its cases, cells, attempts, engine warm-up, events and sweeps.
//!
//! The main type is [`HostAnalysis`]. Traces and GPU readings are released host by host; only what a
//! report shows is kept.

mod answers;
mod attempt;
mod case;
mod engine_warmup;
mod events;
mod host;
mod machine;
mod sweeps;
mod telemetry;

pub use answers::{Agreement, Answers, is_repeatable, same_answers};
pub use attempt::{Attempt, FailureGroup};
pub use case::{CaseAnalysis, Cell, CellState, Counted, Warmup, is_load};
pub use engine_warmup::{EngineWarmup, EngineWarmupRequest};
pub use events::{Happened, HostEvent, HostEvents, RestartSign};
pub use host::HostAnalysis;
pub use machine::{SharedMachine, find_shared_machines};
pub use sweeps::{SaturatedLevel, SweepEnd, UnjudgedLevel};
pub use telemetry::Telemetry;
