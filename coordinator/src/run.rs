//! A run: the pure state machine ([`RunState`]), and the actor that feeds it and carries out what
//! it wants ([`Actor`]). Nothing here knows of gRPC or SQL.

mod actor;
mod attempts;
mod comparing;
mod host;
mod input;
mod launches;
mod link;
mod mailbox;
mod phases;
mod schedule;
mod state;
mod sweeps;
#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one variant among many")]
mod tests;
mod view;
mod wants;

pub use actor::{Actor, Parts};
pub use input::{
    Disconnect, Effect, Input, Joining, LatePolicy, LaunchStep, Now, Progress, Refusal, RunPolicy,
    SessionId, StoredAttempt,
};
pub use mailbox::{Message, SessionCommand};
pub use state::{Orders, RunState};
pub use view::{HostView, RunView, Stage};
