//! The coordinator's end of the sessions: gRPC in, [`run::Input`](crate::run::Input) out.
//!
//! [`Hub`] is the tonic service, [`serve`] puts it on a listener or an in-memory pipe. Everything
//! else in the program is unaware of gRPC. A session checks what a peer says and answers pings; it
//! decides nothing.

mod handshake;
mod pings;
mod serve;
mod task;
#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one variant among many")]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use regatta_types::ids::{HostId, RunId};
use regatta_types::time::WallClock;
use regatta_wire::v1;
use regatta_wire::v1::fleet_server::Fleet;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::run::{Message, SessionId};

pub use serve::serve;

/// Frames a session may have waiting in either direction.
const QUEUE: usize = 64;

/// What every session of a run needs to know.
#[derive(Debug, Clone)]
pub struct Context {
    /// The run that is open.
    pub run: RunId,
    /// Its suite's hash; an agent with a different one is refused.
    pub suite_hash: String,
    /// Time between heartbeats.
    pub beat: std::time::Duration,
    /// Wall time, for display.
    pub wall: Arc<dyn WallClock>,
    /// The one host that may speak; `None`: any that the run lets in.
    pub only: Option<HostId>,
}

/// The gRPC service: one task per connected agent.
#[derive(Debug, Clone)]
pub struct Hub {
    context: Context,
    messages: mpsc::Sender<Message>,
    next: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hub {
    /// A service whose sessions report to `messages` and end when `stop` is cancelled.
    #[must_use]
    pub fn new(context: Context, messages: mpsc::Sender<Message>, stop: CancellationToken) -> Self {
        Self { context, messages, next: Arc::default(), tasks: TaskTracker::new(), stop }
    }

    /// The same service for an entry that belongs to one host: its agent cannot act for another host.
    #[must_use]
    pub fn for_host(&self, host: HostId) -> Self {
        let mut own = self.clone();
        own.context.only = Some(host);
        own
    }

    /// Waits until every session has ended.
    pub async fn joined(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[tonic::async_trait]
impl Fleet for Hub {
    type SessionStream = ReceiverStream<Result<v1::CoordinatorFrame, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (down, frames) = mpsc::channel(QUEUE);
        let session = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        let peer = request.remote_addr().map_or_else(|| "embedded".to_owned(), |a| a.to_string());
        let task = task::Session::new(session, self.context.clone(), self.messages.clone(), down);
        // The stream goes back at once; the handshake happens in the task, under a deadline.
        self.tasks.spawn(task.run(request.into_inner(), peer, self.stop.child_token()));
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}
