//! What sessions and the run's actor say to each other.

use regatta_types::assignment::Lease;
use regatta_wire::frame::CoordinatorFrame;
use tokio::sync::mpsc;

use super::{Input, Joining, Refusal, SessionId};

/// What sessions tell the run's actor.
#[derive(Debug)]
pub enum Message {
    /// An agent introduced itself; the actor answers over `commands`.
    Join {
        /// Its connection.
        session: SessionId,
        /// Who it is.
        joining: Box<Joining>,
        /// The way back.
        commands: mpsc::Sender<SessionCommand>,
    },
    /// Anything else.
    Input(Input),
}

/// What the actor tells a session.
#[derive(Debug)]
pub enum SessionCommand {
    /// Send the welcome.
    Accept {
        /// Leases of the agent to go on with; any other is aborted.
        keep: Vec<Lease>,
    },
    /// End the session with this sentence.
    Refuse(Refusal),
    /// Send a frame.
    Send(Box<CoordinatorFrame>),
    /// Ping the agent's clock and report the estimate.
    MeasureClock,
}
