//! What a simulated host knows and does: routes requests, refuses what an engine would refuse, and
//! makes the answers to the others.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Method, Request, Response, StatusCode};
use regatta_types::time::MonoNs;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::alarm::Alarm;
use crate::answer::{Answer, Content};
use crate::capacity::Capacity;
use crate::chat::{self, Accepted, UsageEvents};
use crate::events::Events;
use crate::fault::{Fault, FaultRate};
use crate::flood::Floods;
use crate::freeze::Standstill;
use crate::log::{Entry, Line, LogSink};
use crate::metrics::Metrics;
use crate::options::SimOptions;
use crate::prefix::PrefixCache;
use crate::schedule::Schedule;
use crate::socket::LastRead;
use crate::stream::Stream;

/// Longest request body, bytes.
const BODY_LIMIT: usize = 16 << 20;

/// The model that a wrong answer names; listed beside the right one where there may be such.
const OTHER_MODEL: &str = "regatta-sim-other";

/// What every connection shares, and its way to the log.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    shared: Arc<Shared>,
    sink: Option<LogSink>,
}

#[derive(Debug)]
struct Shared {
    options: SimOptions,
    slots: Option<Arc<Semaphore>>,
    answered: AtomicU64,
    floods: Floods,
    prefixes: PrefixCache,
    metrics: Arc<Metrics>,
    /// Streams with a first token; for the capacity that they share.
    decoding: Arc<AtomicU32>,
    /// Connections to close as soon as they are accepted.
    to_close: AtomicU32,
    /// When the first chat request arrived; a freeze counts from there.
    first_arrival: OnceLock<MonoNs>,
}

/// A reply that hyper writes.
type Reply = Response<Full<Bytes>>;

impl Host {
    pub(crate) fn new(options: SimOptions, sink: Option<LogSink>) -> Self {
        let slots = options.parallel.map(|n| Arc::new(Semaphore::new(n as usize)));
        let shared = Shared {
            options,
            slots,
            answered: AtomicU64::new(0),
            floods: Floods::default(),
            prefixes: PrefixCache::default(),
            metrics: Arc::default(),
            decoding: Arc::default(),
            to_close: AtomicU32::new(0),
            first_arrival: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), sink }
    }

    /// Whether the connection that has just been accepted is to be closed at once.
    pub(crate) fn closes_at_accept(&self) -> bool {
        let to_close = &self.shared.to_close;
        let taken =
            to_close.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if taken.is_ok() {
            Line::new(Entry::default(), self.sink.clone()).hit_by(Fault::CloseAtAccept);
        }
        taken.is_ok()
    }

    /// The reply to a request; none ever to an accepted chat request, whose answer goes to
    /// `hand_over`.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        last_read: &LastRead,
        hand_over: &Sender<Answer>,
    ) -> io::Result<Reply> {
        let reply = match self.route(request, last_read).await? {
            Routed::Chat(answer) => {
                // The connection takes the socket with it, and this future ends there.
                hand_over.send(*answer).await.map_err(io::Error::other)?;
                std::future::pending().await
            }
            Routed::Reply(reply) => reply,
        };
        if let Some(standstill) = self.standstill() {
            let (now, mut alarm) = (MonoNs::now(), Alarm::new()?);
            poll_fn(|cx| alarm.poll_until(standstill.shift(now, now), cx)).await?;
        }
        Ok(reply)
    }

    async fn route(&self, request: Request<Incoming>, last_read: &LastRead) -> io::Result<Routed> {
        let path = request.uri().path();
        if path.starts_with("/v1/") && !self.is_authorized(&request) {
            return Ok(json_reply(StatusCode::UNAUTHORIZED, &json!({"error": "Unauthorized"})));
        }
        let expected = match path {
            "/v1/chat/completions" => Method::POST,
            "/v1/models" | "/health" | "/version" | "/metrics" => Method::GET,
            _ => return Ok(json_reply(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))),
        };
        if *request.method() != expected {
            let detail = json!({"detail": "Method Not Allowed"});
            return Ok(json_reply(StatusCode::METHOD_NOT_ALLOWED, &detail));
        }
        match path {
            "/health" => Ok(reply(StatusCode::OK, Bytes::new())),
            "/version" => {
                let version = json!({"version": self.shared.options.version});
                Ok(json_reply(StatusCode::OK, &version))
            }
            "/metrics" => {
                let SimOptions { model, prefix_cache, .. } = &self.shared.options;
                let page = self.shared.metrics.page(model, *prefix_cache);
                Ok(reply_of(StatusCode::OK, "text/plain; version=0.0.4", Bytes::from(page)))
            }
            "/v1/models" => Ok(json_reply(StatusCode::OK, &self.models())),
            _ => self.chat(request, last_read).await,
        }
    }

    fn standstill(&self) -> Option<Standstill> {
        let freeze = self.shared.options.freeze?;
        self.shared.first_arrival.get().map(|origin| Standstill { freeze, origin: *origin })
    }

    fn is_authorized(&self, request: &Request<Incoming>) -> bool {
        let Some(key) = &self.shared.options.api_key else { return true };
        let given = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        given.and_then(|v| v.strip_prefix("Bearer ")) == Some(key.expose_secret())
    }

    fn models(&self) -> Value {
        let SimOptions { model, context_length, faults, .. } = &self.shared.options;
        let entry = |id: &str| {
            json!({
                "id": id,
                "object": "model",
                "created": 0,
                "owned_by": "regatta-sim",
                "root": id,
                "parent": null,
                "max_model_len": context_length,
            })
        };
        let mut data = vec![entry(model)];
        if faults.iter().any(|rate| rate.fault == Fault::WrongModel) {
            data.push(entry(OTHER_MODEL));
        }
        json!({"object": "list", "data": data})
    }

    async fn chat(&self, request: Request<Incoming>, last_read: &LastRead) -> io::Result<Routed> {
        let text = |name| request.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let id = text("x-request-id").map(str::to_owned);
        let close = text(CONNECTION.as_str()).is_some_and(|c| c.eq_ignore_ascii_case("close"));
        let Ok(body) = Limited::new(request.into_body(), BODY_LIMIT).collect().await else {
            let error = json!({"error": "the body is too long or incomplete"});
            return Ok(json_reply(StatusCode::PAYLOAD_TOO_LARGE, &error));
        };
        let entry = Entry { id, received_ns: last_read.at().0, ..Entry::default() };
        // Requests that came at once are all read before one is worked on: a stamp then tells when a
        // request came, not how many others were before it.
        tokio::task::yield_now().await;
        match chat::parse(&body.to_bytes(), &self.shared.options, &self.shared.prefixes) {
            Err(refusal) => {
                let entry = Entry { http_status: refusal.status.as_u16(), ..entry };
                Line::new(entry, self.sink.clone()).end("refused");
                Ok(json_reply(refusal.status, &refusal.body()))
            }
            Ok(accepted) => {
                if let Some(cached) = accepted.cached_tokens {
                    self.shared.metrics.looked_up(accepted.prompt_tokens, cached);
                }
                let answer = self.make_answer(accepted, entry, close).await?;
                Ok(Routed::Chat(Box::new(answer)))
            }
        }
    }

    /// Answers a request that is in order, once its turn has come.
    async fn make_answer(
        &self,
        accepted: Accepted,
        entry: Entry,
        close: bool,
    ) -> io::Result<Answer> {
        let Shared { options, answered, floods, first_arrival, .. } = &*self.shared;
        let number = answered.fetch_add(1, Ordering::Relaxed);
        let arrival = MonoNs(entry.received_ns);
        first_arrival.get_or_init(|| arrival);
        let id = format!("chatcmpl-{}", entry.id.clone().unwrap_or_else(|| number.to_string()));
        let prompt_tokens = Some(accepted.prompt_tokens);
        let entry = Entry { number: Some(number), prompt_tokens, http_status: 200, ..entry };
        let mut line = Line::new(entry, self.sink.clone());
        let waiting = self.shared.metrics.waits();
        let (permit, begun) = self.turn(arrival).await?;
        let tokens = accepted.prompt_tokens.saturating_add(accepted.completion_tokens);
        let working = waiting.works(tokens, begun.since(arrival));
        let arrival = begun;
        line.started(arrival);
        let content = match options.flood {
            Some(batch) if accepted.stream => {
                let flood = floods.answer(accepted, options, batch as usize);
                Content::Flood { flood, pause: options.inter_token }
            }
            Some(_) | None => self.content(accepted, number, &id, arrival),
        };
        Ok(Answer { content, line, permit, working, close })
    }

    /// The answer to the `number`-th request, which begins at `arrival`.
    fn content(&self, accepted: Accepted, number: u64, id: &str, arrival: MonoNs) -> Content {
        let Shared { options, decoding, to_close, .. } = &*self.shared;
        let fault = FaultRate::hit(&options.faults, number);
        let usage = match fault {
            Some(Fault::NoUsage) => UsageEvents::Never,
            Some(_) | None => accepted.usage,
        };
        let model = if fault == Some(Fault::WrongModel) { OTHER_MODEL } else { &options.model };
        let accepted = Accepted { usage, ..accepted };
        let schedule = Schedule::new(options, number, &accepted);
        let events = Events::new(id, model, options.seed, accepted, schedule.reasoning());
        let standstill = self.standstill();
        if fault.is_none() && !accepted.stream {
            let due = schedule.last().map_or(arrival, |last| arrival.after(last.due));
            let due = standstill.map_or(due, |s| s.shift(arrival, due));
            return Content::Whole { due, tokens: events.total(), body: events.whole() };
        }
        let share = |tps| Capacity::new(tps, Arc::clone(decoding));
        let capacity = options.decode_capacity.map(share);
        let stream = Box::new(Stream { arrival, schedule, events, capacity, standstill });
        match fault {
            None => Content::Stream(stream),
            Some(fault) => {
                if fault == Fault::CloseAtAccept {
                    to_close.fetch_add(1, Ordering::Relaxed);
                }
                Content::Faulty(fault, stream)
            }
        }
    }

    /// Waits for a place among those worked on at once; with the instant it was had.
    async fn turn(&self, arrival: MonoNs) -> io::Result<(Option<OwnedSemaphorePermit>, MonoNs)> {
        let Some(slots) = &self.shared.slots else { return Ok((None, arrival)) };
        if let Ok(permit) = Arc::clone(slots).try_acquire_owned() {
            return Ok((Some(permit), arrival));
        }
        // Waiting is the point of the limit; the client's own deadline ends it.
        let permit = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
        Ok((Some(permit), MonoNs::now()))
    }
}

/// The outcome of a request.
enum Routed {
    /// Answered by hyper.
    Reply(Reply),
    /// An accepted chat request.
    Chat(Box<Answer>),
}

fn json_reply(status: StatusCode, body: &Value) -> Routed {
    reply(status, Bytes::from(body.to_string()))
}

fn reply(status: StatusCode, body: Bytes) -> Routed {
    reply_of(status, "application/json", body)
}

fn reply_of(status: StatusCode, kind: &'static str, body: Bytes) -> Routed {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(SERVER, HeaderValue::from_static("regatta-sim"));
    Routed::Reply(response)
}
