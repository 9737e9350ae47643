//! The first frame of a session: a hello within its deadline, in a version both sides speak.

use std::time::Duration;

use regatta_wire::frame::{AgentFrame, Hello};
use regatta_wire::v1;
use regatta_wire::{Versions, negotiate};
use tonic::{Status, Streaming};

use crate::run::Joining;

/// Time for a hello, and for the answer to it.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Reads the hello. The second value is the protocol version to speak.
pub(super) async fn hello(
    frames: &mut Streaming<v1::AgentFrame>,
) -> Result<(Joining, u32), Status> {
    let first = tokio::time::timeout(DEADLINE, frames.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello within 10 s"))??
        .ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))?;
    match AgentFrame::try_from(first).map_err(|e| Status::invalid_argument(e.to_string()))? {
        AgentFrame::Hello(hello) => {
            let protocol = negotiate(hello.versions, Versions::OURS)
                .map_err(|e| Status::failed_precondition(e.to_string()))?;
            Ok((joining(*hello), protocol))
        }
        AgentFrame::Heartbeat(_)
        | AgentFrame::Ready(_)
        | AgentFrame::ClockPong(_)
        | AgentFrame::AttemptStarted(_)
        | AgentFrame::ReportChunk(_)
        | AgentFrame::ReportEnd(_)
        | AgentFrame::Goodbye { .. } => {
            Err(Status::invalid_argument("the first frame must be a hello"))
        }
    }
}

fn joining(hello: Hello) -> Joining {
    Joining {
        host: hello.host,
        instance: hello.instance,
        boot: hello.boot,
        facts: hello.facts,
        gpus: hello.gpus,
        engine: hello.engine,
        simulated: hello.simulated,
        held: hello.resume.held,
        pending: hello.resume.unacknowledged,
    }
}
