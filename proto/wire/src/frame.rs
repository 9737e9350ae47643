//! The messages of both sides of a session, as checked values.
//!
//! Main types: [`AgentFrame`] (up) and [`CoordinatorFrame`] (down). A frame is made from its
//! generated counterpart by `TryFrom`, which checks every field, and converted back by `From`. The
//! order of frames and the timers belong to the two session modules, not here.

mod agent;
mod coordinator;

pub use agent::{
    AgentFrame, AgentPhase, ClockPong, Counters, GpuReading, Heartbeat, Hello, Ready, ReportChunk,
    ReportEnd, Resume,
};
pub use coordinator::{
    Ack, Acked, Cancel, ClockPing, CoordinatorFrame, LeaseDecision, LeaseFate, Welcome,
};
