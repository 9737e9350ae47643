//! Starting agents on hosts over the user's own `ssh`, and ending them.
//!
//! [`Launch`] is what to start, `Launched` what runs. Each host has a `HostLaunch` of its own: it looks at the host,
//! copies the agent unless it is there, starts it with a forwarded Unix socket as its only way to us, and
//! keeps its standard input open: when that closes, whatever the reason, the agent ends. What becomes of
//! a host is told to the run; nothing here decides about it, and nothing waits for a host for ever.

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

/// Hosts that are connected to, copied to and started at once: an sshd, also one that the others are
/// reached through, drops further ones from ten on that have not yet logged in.
const PARALLEL: usize = 8;
/// Longest time for all launches to end after the run.
const ENDING: Duration = Duration::from_secs(45);

/// What to start.
#[derive(Debug)]
pub struct Launch {
    targets: Vec<Target>,
    /// The ssh to use.
    program: OsString,
    binaries: Vec<Binary>,
    /// Time without contact after which an agent ends by itself.
    alone: Duration,
}

impl Launch {
    /// Agents on `targets`, by the ssh called `program`, that end after `alone` without contact.
    /// `binaries`: programs for further architectures.
    ///
    /// # Errors
    /// Every problem with the programs to copy, each a sentence.
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

    /// Starts them all. Their sessions are served by `hub`, each only for its own host; what becomes
    /// of the starts goes to `messages`.
    ///
    /// # Errors
    /// When there is no place for the sockets.
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

/// Listens at a socket for the agent of one host.
fn listen(
    hub: Hub,
    socket: &Path,
    leave: &CancellationToken,
) -> io::Result<impl Future<Output = ()> + use<>> {
    let incoming = UnixListenerStream::new(UnixListener::bind(socket)?);
    let leave = leave.clone();
    Ok(async move {
        if let Err(error) = serve(hub, incoming, leave).await {
            warn!(%error, "the server for a forwarded socket failed");
        }
    })
}

/// Hosts on their way, and agents that run. Dropping it ends the ssh processes, and the agents notice.
#[derive(Debug)]
pub(crate) struct Launched {
    launches: JoinSet<()>,
    servers: JoinSet<()>,
    leave: CancellationToken,
    _sockets: SocketDir,
}

impl Launched {
    /// Ends everything in order: agents that were told to go have gone, the others are asked to.
    pub(crate) async fn end(mut self) {
        self.leave.cancel();
        let ended = tokio::time::timeout(ENDING, async {
            while let Some(ended) = self.launches.join_next().await {
                if let Err(error) = ended {
                    warn!(%error, "starting a host failed");
                }
            }
        });
        if ended.await.is_err() {
            warn!("not every ssh has ended; the rest is cut off");
        }
        self.launches.shutdown().await;
        self.servers.shutdown().await;
    }
}
