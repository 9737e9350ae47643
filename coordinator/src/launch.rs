//! Starts agents on hosts with the user's `ssh`, and stops them.
//!
//! [`Launch`] is the plan, `Launched` the running agents. A `HostLaunch` per host inspects the
//! host, copies the agent unless it is cached, and starts it with a forwarded Unix socket as its
//! only connection. It keeps the agent's stdin open. The agent exits when stdin closes, for any
//! reason. The run is notified of the state of each host and makes all decisions. No wait is
//! unbounded.

mod binary;
mod call;
mod host;
mod remote;
mod socket_dir;
mod target;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use regatta_types::ids::HostId;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::run::Message;
use crate::session::{Hub, serve};
use binary::Binary;
use host::HostLaunch;
use socket_dir::SocketDir;

pub use binary::BinaryFlag;
pub use target::{Target, of_file, of_list};

/// Maximum concurrent launches. By default, sshd (also on a jump host) drops connections beyond ten
/// that have not authenticated yet.
const PARALLEL: usize = 8;
/// Maximum time for all launches to end after the run.
const ENDING: Duration = Duration::from_secs(45);

/// What to start.
#[derive(Debug)]
pub struct Launch {
    targets: Vec<Target>,
    /// The ssh program.
    program: OsString,
    binaries: Vec<Binary>,
    /// An agent exits after this time without contact.
    alone: Duration,
}

impl Launch {
    /// Agents on `targets`, started with ssh program `program`, that exit after `alone` without
    /// contact. `binaries`: agent binaries for other architectures.
    ///
    /// # Errors
    /// Every problem with the agent binaries, one message each.
    pub fn new(
        targets: Vec<Target>,
        program: OsString,
        binaries: &[BinaryFlag],
        alone: Duration,
    ) -> Result<Self, Vec<String>> {
        Ok(Self { targets, program, binaries: binary::find(binaries)?, alone })
    }

    /// The hosts' names, sorted.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostId> {
        let mut hosts: Vec<HostId> =
            self.targets.iter().map(|target| target.host.clone()).collect();
        hosts.sort();
        hosts
    }

    /// Starts all agents. `hub` serves their sessions, each socket only for its own host. Progress
    /// and failures go to `messages`.
    ///
    /// # Errors
    /// If the socket directory cannot be created.
    pub(crate) fn start(self, hub: &Hub, messages: &mpsc::Sender<Message>) -> io::Result<Launched> {
        let sockets = SocketDir::new()?;
        let leave = CancellationToken::new();
        let permits = Arc::new(Semaphore::new(PARALLEL));
        let (mut launches, mut servers) = (JoinSet::new(), JoinSet::new());
        let launch = Arc::new(self);
        for (n, target) in launch.targets.iter().enumerate() {
            let socket = sockets.socket(n);
            servers.spawn(listen(hub.for_host(target.host.clone()), &socket, &leave)?);
            let host = HostLaunch {
                launch: Arc::clone(&launch),
                target: target.clone(),
                socket,
                permits: Arc::clone(&permits),
                messages: messages.clone(),
                leave: leave.clone(),
            };
            launches.spawn(host.run());
        }
        Ok(Launched { launches, servers, leave, _sockets: sockets })
    }
}

/// Listens on the socket for the agent of one host.
fn listen(
    hub: Hub,
    socket: &Path,
    leave: &CancellationToken,
) -> io::Result<impl Future<Output = ()> + use<>> {
    let incoming = UnixListenerStream::new(UnixListener::bind(socket)?);
    let leave = leave.clone();
    Ok(async move {
        if let Err(error) = serve(hub, incoming, leave).await {
            warn!(%error, "server for a forwarded socket failed");
        }
    })
}

/// Launches in progress and running agents. Dropping it ends the ssh processes, which stops the
/// agents.
#[derive(Debug)]
pub(crate) struct Launched {
    launches: JoinSet<()>,
    servers: JoinSet<()>,
    leave: CancellationToken,
    _sockets: SocketDir,
}

impl Launched {
    /// Stops all agents: waits for the released ones and asks the others to exit.
    pub(crate) async fn end(mut self) {
        self.leave.cancel();
        let ended = tokio::time::timeout(ENDING, async {
            while let Some(ended) = self.launches.join_next().await {
                if let Err(error) = ended {
                    warn!(%error, "cannot start the agent on a host");
                }
            }
        });
        if ended.await.is_err() {
            warn!("terminating the ssh processes that are still running");
        }
        self.launches.shutdown().await;
        self.servers.shutdown().await;
    }
}
