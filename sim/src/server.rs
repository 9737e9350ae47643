//! The endpoint: accepts connections, routes requests, answers chat requests on schedule.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use regatta_types::time::MonoNs;
use secrecy::ExposeSecret;
use serde_json::json;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alarm::Alarm;
use crate::chat::{self, Accepted};
use crate::events::Events;
use crate::log::{self, Entry, LogSink};
use crate::options::{OptionsError, SimOptions};
use crate::reply::{Next, Reply, TokenStream};
use crate::schedule::Schedule;
use crate::socket::{SharedJournal, Socket};

/// Longest request body, bytes.
const BODY_LIMIT: usize = 16 << 20;
/// Pause after a failed accept: out of descriptors is the only common cause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

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
        let slots = options.parallel.map(|n| Arc::new(Semaphore::new(n as usize)));
        let shared = Shared { options, slots, answered: AtomicU64::new(0) };
        Ok(Self { listener, address, host: Host { shared: Arc::new(shared), sink }, log_writer })
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
                Ok((tcp, _)) => {
                    connections.spawn(connection(tcp, self.host.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "simulator cannot accept");
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

/// What every connection shares, and its way to the log.
#[derive(Debug, Clone)]
struct Host {
    shared: Arc<Shared>,
    sink: Option<LogSink>,
}

#[derive(Debug)]
struct Shared {
    options: SimOptions,
    slots: Option<Arc<Semaphore>>,
    answered: AtomicU64,
}

/// One connection, until either side ends it. There are no limits on connections, idle time or a
/// slow request: the clients are Regatta's own, and a limit would show up in their figures.
async fn connection(tcp: TcpStream, host: Host, stop: CancellationToken) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "connection ended before it began");
        return;
    }
    let journal = SharedJournal::new(host.sink.clone());
    let socket = TokioIo::new(Socket::new(tcp, journal.clone()));
    let service = service_fn(|request| {
        let (shared, journal) = (Arc::clone(&host.shared), journal.clone());
        async move { shared.answer(request, journal).await }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(socket, service);
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = served => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

impl Shared {
    async fn answer(
        &self,
        request: Request<Incoming>,
        journal: SharedJournal,
    ) -> io::Result<Response<Reply>> {
        let path = request.uri().path();
        if path.starts_with("/v1/") && !self.is_authorized(&request) {
            return Ok(json_reply(StatusCode::UNAUTHORIZED, &json!({"error": "Unauthorized"})));
        }
        let expected = match path {
            "/v1/chat/completions" => Method::POST,
            "/v1/models" | "/health" | "/version" => Method::GET,
            _ => return Ok(json_reply(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))),
        };
        if *request.method() != expected {
            let detail = json!({"detail": "Method Not Allowed"});
            return Ok(json_reply(StatusCode::METHOD_NOT_ALLOWED, &detail));
        }
        match path {
            "/health" => Ok(reply(StatusCode::OK, JSON, Reply::Whole(None))),
            "/version" => {
                let version = json!({"version": env!("CARGO_PKG_VERSION")});
                Ok(json_reply(StatusCode::OK, &version))
            }
            "/v1/models" => Ok(json_reply(StatusCode::OK, &self.models())),
            _ => self.chat(request, journal).await,
        }
    }

    fn is_authorized(&self, request: &Request<Incoming>) -> bool {
        let Some(key) = &self.options.api_key else { return true };
        let given = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        given.and_then(|v| v.strip_prefix("Bearer ")) == Some(key.expose_secret())
    }

    fn models(&self) -> serde_json::Value {
        let SimOptions { model, context_length, .. } = &self.options;
        json!({"object": "list", "data": [{
            "id": model,
            "object": "model",
            "created": 0,
            "owned_by": "regatta-sim",
            "root": model,
            "parent": null,
            "max_model_len": context_length,
        }]})
    }

    async fn chat(
        &self,
        request: Request<Incoming>,
        journal: SharedJournal,
    ) -> io::Result<Response<Reply>> {
        let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok());
        let id = id.map(str::to_owned);
        let Ok(body) = Limited::new(request.into_body(), BODY_LIMIT).collect().await else {
            let error = json!({"error": "the body is too long or incomplete"});
            return Ok(json_reply(StatusCode::PAYLOAD_TOO_LARGE, &error));
        };
        let received = journal.lock().last_read();
        let entry = Entry { id: id.clone(), received_ns: received.0, ..Entry::default() };
        match chat::parse(&body.to_bytes(), &self.options) {
            Err(refusal) => {
                let mut journal = journal.lock();
                journal.begin(Entry { http_status: refusal.status.as_u16(), ..entry });
                journal.end("refused");
                Ok(json_reply(refusal.status, &refusal.body()))
            }
            Ok(accepted) => self.generate(accepted, id, entry, journal).await,
        }
    }

    /// Answers a request that is in order.
    async fn generate(
        &self,
        accepted: Accepted,
        id: Option<String>,
        entry: Entry,
        journal: SharedJournal,
    ) -> io::Result<Response<Reply>> {
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let mut arrival = MonoNs(entry.received_ns);
        let prompt_tokens = Some(accepted.prompt_tokens);
        journal.lock().begin(Entry {
            number: Some(number),
            prompt_tokens,
            http_status: 200,
            ..entry
        });
        let permit = match &self.slots {
            None => None,
            Some(slots) => {
                // Waiting is the point of the limit; the client's own deadline ends it.
                let free = Arc::clone(slots).try_acquire_owned();
                Some(match free {
                    Ok(permit) => permit,
                    Err(_) => {
                        let turn = Arc::clone(slots).acquire_owned().await;
                        arrival = MonoNs::now();
                        turn.map_err(io::Error::other)?
                    }
                })
            }
        };
        journal.lock().started(arrival);
        let schedule = Schedule::new(&self.options, number, accepted.completion_tokens);
        let id = id.unwrap_or_else(|| number.to_string());
        let SimOptions { model, seed, .. } = &self.options;
        let id = format!("chatcmpl-{id}");
        let events = Events::new(&id, model, *seed, accepted, schedule.reasoning());
        let mut alarm = Alarm::new()?;
        if accepted.stream {
            let next = Next::Unknown;
            let stream = TokenStream { arrival, schedule, events, alarm, journal, permit, next };
            return Ok(reply(StatusCode::OK, EVENT_STREAM, Reply::Stream(Box::new(stream))));
        }
        let tokens = schedule.total();
        let due = schedule.last().map_or(arrival, |piece| arrival.after(piece.due));
        std::future::poll_fn(|cx| alarm.poll_until(due, cx)).await?;
        let mut journal = journal.lock();
        journal.chunk(tokens);
        journal.end("ok");
        Ok(reply(StatusCode::OK, JSON, Reply::Whole(Some(events.whole()))))
    }
}

fn json_reply(status: StatusCode, body: &serde_json::Value) -> Response<Reply> {
    reply(status, JSON, Reply::Whole(Some(Bytes::from(body.to_string()))))
}

fn reply(status: StatusCode, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(SERVER, HeaderValue::from_static("regatta-sim"));
    response
}
