//! One measured request over a live connection, from its send instant to its end.
//!
//! The connection is driven by the task that reads the body, in turn with it: body, connection,
//! body. hyper decodes at most one piece of a body ahead of its reader and reads the socket only
//! when it has nothing left to decode, so whenever a piece comes out, the socket's last read is the
//! one that completed it. A connection in its own task could read again in between, and the
//! piece would be given the later stamp.

use std::borrow::Cow;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use hyper::body::{Body, Incoming};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::suite::Timeouts;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Connection, Outcome, RequestTrace};
use tokio::time::{Instant, Sleep, timeout};

use super::event::{body_text, error_text};
use super::recorder::{Ending, Recorder, Wanted};
use super::request::Built;
use super::stop::Stop;
use super::stream_connection::{Live, StreamConnection};
use super::timers::sleep_until;

/// Longest error body that is read.
const ERROR_BODY: usize = 64 << 10;
/// Rounds in which hyper's parts look after what they have for each other, before others get a
/// turn.
const NUDGES: usize = 8;
/// Pieces of a body taken in a row; then it is the turn of the other streams, and of the limits.
const IN_A_ROW: u32 = 128;
/// How long the end of a body may lag behind `[DONE]` before the connection is dropped.
const TAIL: Duration = Duration::from_millis(100);

/// What to send and where to note it.
#[derive(Debug)]
pub struct Sending<'a> {
    /// The request.
    pub built: Built,
    /// Its trace, not sent yet.
    pub trace: RequestTrace,
    /// Ends it early.
    pub stop: &'a mut Stop,
    /// Counts chunks with text as they come.
    pub chunks: &'a AtomicU64,
}

impl StreamConnection {
    /// Sends one request over the connection that [`StreamConnection::ensure_connected`] has made
    /// sure of, and reads its response to the end. Whatever happens is in the trace.
    pub async fn send(&mut self, sending: Sending<'_>) -> RequestTrace {
        let Sending { built, mut trace, stop, chunks } = sending;
        let Some(mut live) = self.live.take() else {
            let failure = Failure::new(FailureKind::Harness, "no connection for the stream");
            return failed(trace, failure);
        };
        trace.connection = Some(if live.used { Connection::Reused } else { Connection::New });
        trace.connect = live.opening.take();
        let deadlines = Deadlines::new(built.timeouts);
        let nudged = Waker::from(Arc::clone(&live.wake_flag));
        let mut exchange = Exchange { live: &mut live, nudged, stop, deadlines, in_a_row: 0 };
        let (trace, rested) = exchange.run(built, trace, chunks).await;
        let was_reused = live.used;
        if rested {
            live.rest();
            self.live = Some(live);
        } else if was_reused && trace.http_status.is_none() && live.stamps.is_cut() {
            // It was closed under us: the next requests had better not rely on it.
            self.target().keep_alive.set_closes();
        }
        trace
    }
}

/// Gives an unfinished trace its failure.
pub fn failed(mut trace: RequestTrace, failure: Failure) -> RequestTrace {
    trace.outcome = Outcome::Failed(match trace.http_status {
        Some(status) => failure.with_status(status),
        None => failure,
    });
    trace
}

struct Exchange<'a> {
    live: &'a mut Live,
    /// Sets the connection's `WakeFlag`.
    nudged: Waker,
    stop: &'a mut Stop,
    deadlines: Deadlines,
    /// Pieces taken since the server last let up.
    in_a_row: u32,
}

/// What came first.
enum First<T> {
    Got(T),
    Stopped,
    TimedOut(Failure),
}

impl Exchange<'_> {
    /// Waits for `source`, a part of hyper, driving the connection between two polls of it.
    ///
    /// Only the socket, the stop and the timer wake the task. Hyper's parts wake each other through
    /// a `WakeFlag` that is checked right here: if they woke the task for each piece that they pass
    /// on, the task would run twice for every read. The timer keeps its registration of the task, so
    /// it is polled only when it may have expired.
    async fn first<T>(&mut self, mut source: impl FnMut(&mut Context<'_>) -> Poll<T>) -> First<T> {
        let mut was_woken = false;
        // Whether the source was polled and has not woken us since.
        let mut is_quiet = false;
        poll_fn(|cx| {
            if self.in_a_row == IN_A_ROW {
                self.in_a_row = 0;
                cx.waker().wake_by_ref();
                return self.ended(cx);
            }
            self.in_a_row += 1;
            let is_new = self.live.stamps.wait(cx.waker());
            let mut within = Context::from_waker(&self.nudged);
            if !std::mem::take(&mut is_quiet)
                && let Poll::Ready(got) = source(&mut within)
            {
                return Poll::Ready(First::Got(got));
            }
            for _ in 0..NUDGES {
                self.live.wake_flag.take();
                self.live.poll_connection(&mut within);
                self.deadlines.sent = self.live.stamps.sent().map(|sent| sent.before);
                is_quiet = !self.live.wake_flag.is_set();
                if is_quiet {
                    break;
                }
                if let Poll::Ready(got) = source(&mut within) {
                    return Poll::Ready(First::Got(got));
                }
            }
            self.in_a_row = 0;
            if !is_quiet {
                // There is more to do than belongs into one turn.
                cx.waker().wake_by_ref();
            }
            // Woken for bytes, the clock has just been read; woken for nothing, it may be the
            // timer.
            let for_nothing = std::mem::replace(&mut was_woken, true);
            let read = self.live.stamps.last_read();
            if is_new || for_nothing || self.deadlines.may_have_passed(read) {
                return self.ended(cx);
            }
            // A stop that came together with bytes wakes the task only once.
            if self.stop.poll(cx).is_ready() {
                return Poll::Ready(First::Stopped);
            }
            Poll::Pending
        })
        .await
    }

    /// Whether something other than the server ends the exchange.
    fn ended<T>(&mut self, cx: &mut Context<'_>) -> Poll<First<T>> {
        if self.stop.poll(cx).is_ready() {
            return Poll::Ready(First::Stopped);
        }
        self.deadlines.poll(cx).map(First::TimedOut)
    }

    /// The whole exchange; with whether the connection may be used again.
    async fn run(
        &mut self,
        built: Built,
        mut trace: RequestTrace,
        chunks: &AtomicU64,
    ) -> (RequestTrace, bool) {
        self.live.stamps.arm();
        let mut response = pin!(self.live.sender.send_request(built.request));
        let head = self.first(|cx| response.as_mut().poll(cx)).await;
        trace.sent = self.live.stamps.sent();
        let head = match head {
            First::Got(Ok(head)) => head,
            First::Got(Err(error)) => return (failed(trace, self.no_head(&error)), false),
            First::Stopped => {
                trace.outcome = Outcome::Cancelled;
                return (trace, false);
            }
            First::TimedOut(failure) => return (failed(trace, failure), false),
        };
        trace.header = Some(self.live.stamps.arrived().at);
        trace.http_status = Some(head.status().as_u16());
        let (parts, mut body) = head.into_parts();
        if parts.status != StatusCode::OK {
            let said = body_text(&self.error_body(&mut body, &mut trace).await);
            let said = if said.trim().is_empty() { parts.status.to_string() } else { said };
            let message = match header(&parts.headers, RETRY_AFTER) {
                Some(after) => format!("retry after {after}: {said}"),
                None => said,
            };
            return (failed(trace, Failure::new(FailureKind::HttpStatus, &message)), false);
        }
        if let Some(strange) = strange_content(&parts.headers) {
            let said = self.error_body(&mut body, &mut trace).await;
            return (failed(trace, no_stream(&strange, &said)), false);
        }
        let mut recorder = Recorder::new(trace, built.expected);
        let (ending, rested) = self.body(&mut body, &mut recorder, chunks).await;
        (recorder.conclude(ending, MonoNs::now()), rested)
    }

    async fn body(
        &mut self,
        body: &mut Incoming,
        recorder: &mut Recorder,
        chunks: &AtomicU64,
    ) -> (Ending, bool) {
        loop {
            let frame = match self.first(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
                First::Got(Some(Ok(frame))) => frame,
                First::Got(Some(Err(error))) => return (self.broken_body(&error), false),
                First::Got(None) => return (Ending::Complete, true),
                First::Stopped => return (Ending::Cancelled, false),
                First::TimedOut(failure) => return (Ending::Failed(failure), false),
            };
            // Trailers say nothing of interest.
            let Ok(data) = frame.into_data() else { continue };
            let before = recorder.chunks();
            let wanted = recorder.feed(&data, self.live.stamps.arrived());
            let new = recorder.chunks() - before;
            if new > 0 {
                chunks.fetch_add(new as u64, Ordering::Relaxed);
            }
            self.deadlines.progress(recorder);
            match wanted {
                Wanted::More => {}
                Wanted::End => return (Ending::Complete, self.tail(body).await),
                Wanted::Nothing => return (Ending::Complete, false),
            }
        }
    }

    /// After `[DONE]`: whether the body ends soon, so that the connection can be used again.
    async fn tail(&mut self, body: &mut Incoming) -> bool {
        let end = async {
            loop {
                match self.first(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
                    First::Got(Some(Ok(_))) => {}
                    First::Got(None) => return true,
                    First::Got(Some(Err(_))) | First::Stopped | First::TimedOut(_) => return false,
                }
            }
        };
        timeout(TAIL, end).await.unwrap_or(false)
    }

    /// A body that is no stream, as far as it comes and is not too long.
    async fn error_body(&mut self, body: &mut Incoming, trace: &mut RequestTrace) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let First::Got(Some(Ok(frame))) =
            self.first(|cx| Pin::new(&mut *body).poll_frame(cx)).await
        {
            if let Ok(data) = frame.into_data() {
                trace.first_byte.get_or_insert(self.live.stamps.arrived().at);
                bytes.extend_from_slice(&data[..data.len().min(ERROR_BODY - bytes.len())]);
            }
            if bytes.len() == ERROR_BODY {
                break;
            }
        }
        trace.done = Some(MonoNs::now());
        bytes
    }

    fn no_head(&self, error: &hyper::Error) -> Failure {
        if error.is_parse_too_large() {
            Failure::new(FailureKind::LimitExceeded, "the response head is too long")
        } else if error.is_parse() {
            Failure::new(FailureKind::BadStream, &format!("the response is not HTTP/1.1: {error}"))
        } else if self.live.stamps.is_cut() {
            let message = format!("{} before the response began", self.live.stamps.cut());
            Failure::new(FailureKind::Reset, &message)
        } else {
            Failure::new(FailureKind::Reset, &error.to_string())
        }
    }

    fn broken_body(&self, error: &hyper::Error) -> Ending {
        if self.live.stamps.is_cut() {
            return Ending::Cut(format!("{} in the middle of the stream", self.live.stamps.cut()));
        }
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let message = format!("the response is not HTTP/1.1: {cause}");
        Ending::Failed(Failure::new(FailureKind::BadStream, &message))
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<Cow<'_, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// What a 200 says of its content, if that is not a stream of events.
fn strange_content(headers: &HeaderMap) -> Option<String> {
    if let Some(encoding) = header(headers, CONTENT_ENCODING).filter(|e| e != "identity") {
        return Some(format!("unsupported content encoding {encoding}"));
    }
    // An absent type is let pass: the events speak for themselves.
    let kind = header(headers, CONTENT_TYPE)?;
    (!kind.to_ascii_lowercase().starts_with("text/event-stream")).then(|| kind.into_owned())
}

fn no_stream(content: &str, body: &[u8]) -> Failure {
    let json = serde_json::from_slice::<serde_json::Value>(body).ok();
    match json.as_ref().and_then(|value| value.get("error")).filter(|error| !error.is_null()) {
        Some(error) => Failure::new(FailureKind::ErrorEvent, &error_text(error)),
        None => {
            let said = String::from_utf8_lossy(body);
            let message = format!("the response is {content}, not an event stream: {said}");
            Failure::new(FailureKind::BadStream, &message)
        }
    }
}

/// The limits on waiting. One timer serves them all and is set again only when it has run out, so
/// that a chunk costs no timer.
struct Deadlines {
    timeouts: Timeouts,
    begun: MonoNs,
    sent: Option<MonoNs>,
    first_token: bool,
    last_event: Option<MonoNs>,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set for; `None` when it is to be set.
    set_for: Option<MonoNs>,
}

/// Which of the limits.
#[derive(Debug, Clone, Copy)]
enum Limit {
    FirstToken,
    Chunk,
    Request,
}

impl Deadlines {
    fn new(timeouts: Timeouts) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        let begun = MonoNs::now();
        Self {
            timeouts,
            begun,
            sent: None,
            first_token: false,
            last_event: None,
            timer,
            set_for: None,
        }
    }

    /// The recorder has taken bytes: what that means for the limits.
    fn progress(&mut self, recorder: &Recorder) {
        self.last_event = recorder.last_event();
        if recorder.chunks() > 0 && !std::mem::replace(&mut self.first_token, true) {
            // The limits from here on may be reached before the one on the first token.
            self.set_for = None;
        }
    }

    /// Whether to poll the timer: it may have expired by `now`, or it is not set yet.
    fn may_have_passed(&self, now: MonoNs) -> bool {
        self.set_for.is_none_or(|at| at <= now)
    }

    /// The limit that is reached next, and when.
    fn next(&self) -> (MonoNs, Limit) {
        let Timeouts { connect: _, first_token, chunk, request } = self.timeouts;
        let sent = self.sent.unwrap_or(self.begun);
        let whole = sent.after(request);
        let (step, limit) = if self.first_token {
            (self.last_event.unwrap_or(sent).after(chunk), Limit::Chunk)
        } else {
            (sent.after(first_token), Limit::FirstToken)
        };
        if whole < step { (whole, Limit::Request) } else { (step, limit) }
    }

    fn failure(&self, limit: Limit) -> Failure {
        let Timeouts { connect: _, first_token, chunk, request } = self.timeouts;
        let (kind, message) = match limit {
            Limit::FirstToken => {
                (FailureKind::FirstTokenTimeout, format!("no token within {first_token:?}"))
            }
            Limit::Chunk => (FailureKind::ChunkTimeout, format!("no event within {chunk:?}")),
            Limit::Request => {
                (FailureKind::RequestTimeout, format!("not finished within {request:?}"))
            }
        };
        Failure::new(kind, &message)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            if self.set_for.is_some() {
                ready!(self.timer.as_mut().poll(cx));
            }
            let (at, limit) = self.next();
            let now = MonoNs::now();
            if now >= at {
                return Poll::Ready(self.failure(limit));
            }
            self.timer.as_mut().reset(Instant::now() + at.since(now));
            self.set_for = Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
