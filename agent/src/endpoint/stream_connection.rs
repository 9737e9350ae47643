//! One stream's connection to the endpoint, alive before each send instant.
//!
//! [`StreamConnection::ensure_connected`] opens it, or opens it again when the server has closed it
//! or it has been idle too long; [`StreamConnection::send`](super::exchange) then uses it once. A
//! request that has failed is never sent again, and never over another connection.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::time::MonoNs;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::arrival;
#[cfg(test)]
use super::arrival::Arrivals;
use super::socket::{StampedSocket, Stamps};

/// A connection that has been idle for longer is opened again: servers close theirs after 5 s.
const MAX_IDLE: Duration = Duration::from_secs(2);
/// How long the first streams over an endpoint wait to see whether it closes the connection.
const CLOSE_GRACE: Duration = Duration::from_millis(20);
/// Connections of one endpoint that are opened at a time. Some servers let only five wait to be
/// accepted; one more is answered a second later, when the kernel tries again.
const OPENING: usize = 4;
/// Longest response head.
const MAX_HEAD: usize = 64 << 10;

/// Where connections go.
pub(super) struct Target {
    pub(super) address: Address,
    /// What the host's name stands for; tried in this order.
    pub(super) resolved: Vec<SocketAddr>,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Marked sensitive.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) keep_alive: KeepAlive,
    opening: Semaphore,
}

impl Target {
    /// A plain target without a key.
    pub(super) fn new(address: Address, resolved: Vec<SocketAddr>) -> Self {
        Self {
            address,
            resolved,
            tls: None,
            authorization: None,
            keep_alive: KeepAlive::default(),
            opening: Semaphore::new(OPENING),
        }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Whether the server keeps a connection open after a stream. Some announce it and close all the
/// same; a request sent meanwhile would be lost, so this is found out once and remembered.
#[derive(Debug, Default)]
pub(super) struct KeepAlive(AtomicU8);

impl KeepAlive {
    const KEEPS: u8 = 1;
    const CLOSES: u8 = 2;

    fn is_unknown(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn closes(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::CLOSES
    }

    fn keeps(&self) {
        // Once seen to close, it is never relied upon again.
        let _ = self.0.compare_exchange(0, Self::KEEPS, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn set_closes(&self) {
        self.0.store(Self::CLOSES, Ordering::Relaxed);
    }
}

/// Any byte stream HTTP can run over.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + std::fmt::Debug> ByteStream for T {}

type Io = TokioIo<Box<dyn ByteStream>>;

/// One stream's connection.
#[derive(Debug)]
pub struct StreamConnection {
    target: Arc<Target>,
    pub(super) live: Option<Live>,
}

impl StreamConnection {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, live: None }
    }

    /// Makes sure of a live connection, within `limit`.
    ///
    /// # Errors
    /// When none can be had: the failure of the request that was to use it.
    pub async fn ensure_connected(&mut self, limit: Duration) -> Result<(), Failure> {
        if let Some(mut live) = self.live.take()
            && live.is_usable(&self.target.keep_alive).await
        {
            self.live = Some(live);
            return Ok(());
        }
        let opened = timeout(limit, open(&self.target)).await.unwrap_or_else(|_| {
            let address = self.target.address.authority();
            let message = format!("no connection to {address} within {limit:?}");
            Err(Failure::new(FailureKind::ConnectTimeout, &message))
        });
        self.live = Some(opened?);
        Ok(())
    }

    /// A connection over a stream that is already there.
    #[cfg(test)]
    pub(super) async fn over(
        target: Arc<Target>,
        stream: impl Arrivals + std::fmt::Debug + 'static,
    ) -> Self {
        let stamps = Rc::new(Stamps::default());
        let socket = StampedSocket::new(stream, Rc::clone(&stamps));
        let live = Live::start(Box::new(socket), stamps).await.unwrap();
        Self { target, live: Some(live) }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

/// Says that a part of hyper has something for another one; see [`Exchange`](super::exchange).
#[derive(Debug, Default)]
pub(super) struct WakeFlag(AtomicBool);

impl WakeFlag {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether it was set; it no longer is.
    pub(super) fn take(&self) -> bool {
        // All of it happens on one thread.
        let was = self.is_set();
        self.0.store(false, Ordering::Relaxed);
        was
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An open connection and both ends of hyper's client on it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<http1::Connection<Io, Full<Bytes>>>,
    pub(super) stamps: Rc<Stamps>,
    pub(super) wake_flag: Arc<WakeFlag>,
    /// How long opening it took; taken by the first request over it.
    pub(super) opening: Option<Duration>,
    /// Since when it has been idle.
    idle_since: MonoNs,
    /// Whether a request has been made over it.
    pub(super) used: bool,
}

impl Live {
    async fn start(stream: Box<dyn ByteStream>, stamps: Rc<Stamps>) -> hyper::Result<Self> {
        let (sender, connection) =
            http1::Builder::new().max_header_size(MAX_HEAD).handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            connection: Some(connection),
            stamps,
            wake_flag: Arc::default(),
            opening: None,
            idle_since: MonoNs::now(),
            used: false,
        })
    }

    /// Lets the connection read and write. The socket wakes the task that [`Stamps::wait`]s,
    /// whoever polls here; its errors reach the request that runs over it.
    pub(super) fn poll_connection(&mut self, cx: &mut Context<'_>) {
        use std::future::Future;
        if let Some(connection) = &mut self.connection
            && std::pin::Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// A response has been read to its end.
    pub(super) fn rest(&mut self) {
        self.used = true;
        self.idle_since = MonoNs::now();
    }

    async fn is_usable(&mut self, keep_alive: &KeepAlive) -> bool {
        if MonoNs::now().since(self.idle_since) > MAX_IDLE || (self.used && keep_alive.closes()) {
            return false;
        }
        // Gives the reactor a turn, so that a close which has arrived is seen.
        tokio::task::yield_now().await;
        let learning = self.used && keep_alive.is_unknown();
        let grace = if learning { CLOSE_GRACE } else { Duration::ZERO };
        let closed = timeout(grace, std::future::poll_fn(|cx| self.poll_closed(cx))).await.is_ok();
        if closed && self.used {
            keep_alive.set_closes();
        } else if learning {
            keep_alive.keeps();
        }
        // Not ready: the last response is not behind us.
        !closed && self.sender.is_ready()
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stamps.wait(cx.waker());
        self.poll_connection(cx);
        if self.connection.is_none() || self.sender.is_closed() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

async fn open(target: &Target) -> Result<Live, Failure> {
    // Never closed; waiting for others' turns is no part of the time that opening takes.
    let _turn = target.opening.acquire().await;
    let begun = MonoNs::now();
    let mut refused = None;
    for address in &target.resolved {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let mut live = over(target, stream).await?;
                live.opening = Some(MonoNs::now().since(begun));
                return Ok(live);
            }
            Err(error) => refused = Some((address, error)),
        }
    }
    Err(match refused {
        Some((address, error)) => {
            Failure::new(connect_kind(&error), &format!("cannot connect to {address}: {error}"))
        }
        None => Failure::new(FailureKind::Harness, "the endpoint has no address"),
    })
}

async fn over(target: &Target, stream: TcpStream) -> Result<Live, Failure> {
    let broken = |what: &str, error: &dyn std::fmt::Display| {
        let message = format!("{what} with {} failed: {error}", target.address.authority());
        Failure::new(FailureKind::Unreachable, &message)
    };
    stream.set_nodelay(true).map_err(|e| broken("TCP setup", &e))?;
    arrival::stamp(&stream);
    let stamps = Rc::new(Stamps::default());
    let socket = StampedSocket::new(stream, Rc::clone(&stamps));
    let stream: Box<dyn ByteStream> = match &target.tls {
        None => Box::new(socket),
        Some((connector, name)) => {
            let secured = connector.connect(name.clone(), socket).await;
            Box::new(secured.map_err(|e| broken("TLS handshake", &e))?)
        }
    };
    Live::start(stream, stamps).await.map_err(|e| broken("HTTP setup", &e))
}

/// Whose fault a failed connect is: running out of ports or files is ours.
fn connect_kind(error: &io::Error) -> FailureKind {
    let out_of_files = matches!(
        error.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    );
    if out_of_files || error.kind() == io::ErrorKind::AddrNotAvailable {
        FailureKind::Harness
    } else if error.kind() == io::ErrorKind::TimedOut {
        FailureKind::ConnectTimeout
    } else {
        FailureKind::Unreachable
    }
}
