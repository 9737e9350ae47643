//! Connection to the coordinator: TCP, Unix socket, or in-memory pipe for the embedded agent.

use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use regatta_wire::frame::{AgentFrame, CoordinatorFrame, Hello, Welcome};
use regatta_wire::limits::MAX_MESSAGE;
use regatta_wire::v1;
use regatta_wire::v1::fleet_client::FleetClient;
use tokio::io::DuplexStream;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// Timeouts for the connection and for the answer to the hello.
const CONNECT: Duration = Duration::from_secs(10);
/// Keepalive interval and timeout.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));
/// Bytes an in-memory pipe holds.
const PIPE: usize = 1 << 20;
/// Queue length of outgoing messages.
const QUEUE: usize = 64;

/// Address of the coordinator.
#[derive(Debug, Clone)]
pub enum Connector {
    /// `host:port`, unencrypted.
    Tcp(String),
    /// A Unix socket, as ssh forwards it.
    Unix(PathBuf),
    /// In this process: the coordinator's server gets the other ends of the pipes.
    Memory(mpsc::Sender<DuplexStream>),
}

/// Why a session failed or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Temporary: reconnect.
    #[error("{0}")]
    Lost(String),
    /// Not part of this run; the next run may accept the agent.
    #[error("{0}")]
    NotInRun(String),
    /// Permanent: do not reconnect.
    #[error("{0}")]
    Refused(String),
}

impl From<Status> for SessionError {
    fn from(status: Status) -> Self {
        let text = regatta_types::clean::excerpt(status.message(), 300);
        match status.code() {
            Code::FailedPrecondition
            | Code::Unauthenticated
            | Code::InvalidArgument
            | Code::AlreadyExists => Self::Refused(text),
            Code::PermissionDenied => Self::NotInRun(text),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Lost(text),
        }
    }
}

/// Both halves of a session.
pub(super) struct Link {
    pub(super) up: mpsc::Sender<v1::AgentFrame>,
    pub(super) down: Streaming<v1::CoordinatorFrame>,
    pub(super) welcome: Welcome,
}

/// Opens a session and waits for the welcome.
pub(super) async fn open(connector: &Connector, hello: Hello) -> Result<Link, SessionError> {
    let channel = connector.channel().await?;
    let (up, frames) = mpsc::channel(QUEUE);
    // The hello is queued before the call: the call does not return before the response's head.
    let first = AgentFrame::Hello(Box::new(hello)).into();
    up.try_send(first).map_err(|_| SessionError::Lost("queue closed".to_owned()))?;
    let mut client = FleetClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let answer = async {
        let mut down = client.session(ReceiverStream::new(frames)).await?.into_inner();
        let first = down.message().await?;
        Ok::<_, SessionError>((down, first))
    };
    let (down, first) = tokio::time::timeout(CONNECT, answer).await.map_err(|_| {
        SessionError::Lost("the coordinator did not answer within 10 s".to_owned())
    })??;
    let first =
        first.ok_or_else(|| SessionError::Lost("the coordinator closed the stream".to_owned()))?;
    match CoordinatorFrame::try_from(first) {
        Ok(CoordinatorFrame::Welcome(welcome)) => Ok(Link { up, down, welcome }),
        Ok(_) => Err(SessionError::Refused(
            "the coordinator's first message is not a welcome".to_owned(),
        )),
        Err(error) => Err(SessionError::Refused(format!(
            "invalid welcome from the coordinator: \
            {error}"
        ))),
    }
}

impl Connector {
    async fn channel(&self) -> Result<Channel, SessionError> {
        match self {
            Self::Tcp(address) => {
                let uri = format!("http://{address}");
                let endpoint = Endpoint::from_shared(uri)
                    .map_err(|e| SessionError::Refused(format!("--coordinator {address}: {e}")))?;
                probed(endpoint.tcp_nodelay(true)).connect().await.map_err(|e| {
                    SessionError::Lost(format!("no connection to {address}: {}", innermost(&e)))
                })
            }
            Self::Unix(path) => {
                let socket = path.clone();
                // The address is unused: the socket is the connection.
                let endpoint = probed(Endpoint::from_static("http://coordinator"));
                let dial = tower::service_fn(move |_| {
                    let socket = socket.clone();
                    async move {
                        Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?))
                    }
                });
                endpoint.connect_with_connector(dial).await.map_err(|e| {
                    let why = innermost(&e);
                    SessionError::Lost(format!("no connection to unix:{}: {why}", path.display()))
                })
            }
            Self::Memory(server) => {
                let server = server.clone();
                // The address is unused: the pipe is the connection.
                let endpoint = Endpoint::from_static("http://embedded");
                let pipe = tower::service_fn(move |_| {
                    let server = server.clone();
                    async move {
                        let (ours, theirs) = tokio::io::duplex(PIPE);
                        let closed =
                            |_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                        server.send(theirs).await.map_err(closed)?;
                        Ok::<_, std::io::Error>(TokioIo::new(ours))
                    }
                });
                endpoint
                    .connect_with_connector(pipe)
                    .await
                    .map_err(|e| SessionError::Lost(innermost(&e)))
            }
        }
    }
}

/// With a connect timeout and keepalive probes.
fn probed(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true)
}

/// The innermost cause; the outer errors only say "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
