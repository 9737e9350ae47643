//! What either side of a session says, over checked values.
//!
//! Main types: [`AgentFrame`] (up) and [`CoordinatorFrame`] (down). A frame is made from its
//! generated twin by `TryFrom`, which checks every field, and becomes one by `From`. The order of
//! frames and the timers belong to the two session modules, not here.

mod agent;
mod coordinator;

use regatta_types::ids::{AttemptKey, Epoch};

pub use agent::{
    AgentFrame, AgentPhase, ClockPong, Counters, GpuReading, Heartbeat, Hello, Ready, ReportChunk,
    ReportEnd, Resume,
};
pub use coordinator::{
    Ack, Acked, Cancel, ClockPing, CoordinatorFrame, LeaseDecision, LeaseFate, Welcome,
};

/// An attempt and the epoch it was leased under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// The attempt.
    pub key: AttemptKey,
    /// The fencing token.
    pub epoch: Epoch,
}
