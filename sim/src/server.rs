//! The endpoint: binds, accepts connections, and joins everything at its end.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::host::Host;
use crate::log;
use crate::options::{OptionsError, SimOptions};

/// Pause after a failed accept: out of descriptors is the only common cause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A simulated host's endpoint, bound and ready to serve.
#[derive(Debug)]
pub struct SimServer {
    listener: TcpListener,
    address: SocketAddr,
    host: Host,
    log_writer: Option<JoinHandle<()>>,
}

/// Why a simulated host could not start.
#[derive(Debug, Error)]
pub enum SimError {
    /// An option outside its range.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The log file could not be opened.
    #[error("cannot open the log {}", path.display())]
    Log {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl SimServer {
    /// Binds `address` (port 0: any free one) and opens the log.
    ///
    /// The log has one JSON line a chat request: `id` (its `X-Request-Id`), `number`,
    /// `received_ns`, `started_ns`, `first_write_ns`, the lists `write_begin_ns`, `write_end_ns`
    /// and `chunk_tokens` with one item a chunk of text, `prompt_tokens`, `completion_tokens`,
    /// `http_status` and `end` (`ok`, `refused`, or `gone`: the client left). Stamps are
    /// nanoseconds of `CLOCK_MONOTONIC`, the clock of an agent on the same machine.
    ///
    /// # Errors
    /// An option outside its range, an address that cannot be bound, a log that cannot be opened.
    pub async fn bind(address: SocketAddr, options: SimOptions) -> Result<Self, SimError> {
        options.check()?;
        let bind = |source| SimError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (sink, log_writer) = match &options.log {
            None => (None, None),
            Some(path) => {
                let (sink, writer) = log::open(path)
                    .map_err(|source| SimError::Log { path: path.clone(), source })?;
                (Some(sink), Some(writer))
            }
        };
        Ok(Self { listener, address, host: Host::new(options, sink), log_writer })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; then every connection is closed, in mid-stream too, and everything
    /// it started is joined.
    pub async fn serve(self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok(_) if self.host.closes_at_accept() => {}
                Ok((tcp, _)) => {
                    connections.spawn(connection::serve(tcp, self.host.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "simulator cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
        drop(self.host);
        if let Some(writer) = self.log_writer {
            // Every sink is gone, so the writer ends after the lines it has.
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("simulator log writer panicked");
            }
        }
    }
}
