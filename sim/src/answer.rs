//! Answers whose timing is set: written to the socket itself, each event in one write of its own.
//!
//! [`Answer::write`] is the only place that waits for instants. hyper has read the request and is
//! out of the way until the next one.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use regatta_types::time::MonoNs;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

use crate::alarm::Alarm;
use crate::capacity::Capacity;
use crate::events::Events;
use crate::flood::Flood;
use crate::freeze::Standstill;
use crate::log::Line;
use crate::schedule::Schedule;
use crate::socket::Socket;

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// An accepted request's answer, to be written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What is sent, and when.
    pub(crate) content: Content,
    /// Told of every write; its line is complete when the answer is.
    pub(crate) line: Line,
    /// Its place among the requests worked on at once.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// The client wants the connection closed afterwards.
    pub(crate) close: bool,
}

/// What is sent, and when.
#[derive(Debug)]
pub(crate) enum Content {
    /// Events, each at its instant.
    Stream(Box<Stream>),
    /// Everything at `due`: a JSON object for an answer that is not streamed.
    Whole { due: MonoNs, tokens: u32, body: Bytes },
    /// Events as fast as the client reads, or with a pause after each write.
    Flood { flood: Arc<Flood>, pause: Duration },
}

/// A streamed answer in the making.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The schedule begins here.
    pub(crate) arrival: MonoNs,
    /// What is due when.
    pub(crate) schedule: Schedule,
    /// How it reads on the wire.
    pub(crate) events: Events,
    /// What the other streams leave.
    pub(crate) capacity: Option<Capacity>,
    /// Whether the host stands still at some time.
    pub(crate) standstill: Option<Standstill>,
}

impl Answer {
    /// Writes all of it; whether another request may follow on the connection.
    ///
    /// # Errors
    /// The client has left.
    pub(crate) async fn write(mut self, socket: &mut Socket) -> io::Result<bool> {
        match self.content {
            Content::Stream(stream) => {
                stream.write(self.close, socket, &mut self.line).await?;
            }
            Content::Whole { due, tokens, body } => {
                until(&mut Alarm::new()?, due, socket).await?;
                let begun = MonoNs::now();
                socket.write_all(&whole(&body, self.close)).await?;
                self.line.wrote(begun, &[tokens]);
            }
            Content::Flood { flood, pause } => {
                socket.write_all(&stream_head(self.close)).await?;
                flood.write(pause, socket, &mut self.line).await?;
            }
        }
        self.line.end("ok");
        drop(self.permit);
        Ok(!self.close)
    }
}

impl Stream {
    async fn write(self, close: bool, socket: &mut Socket, line: &mut Line) -> io::Result<()> {
        let Self { arrival, schedule, events, mut capacity, standstill } = self;
        let mut alarm = Alarm::new()?;
        let due = |due| standstill.map_or(due, |s| s.shift(arrival, due));
        until(&mut alarm, due(arrival), socket).await?;
        socket.write_all(&stream_head(close)).await?;
        let inter_token = schedule.inter_token();
        let mut delay = Duration::ZERO;
        for piece in schedule {
            // Put together before it is due, so that the instant only has to send it.
            let bytes = chunk(&events.piece(&piece));
            let tokens = piece.tokens.end - piece.tokens.start;
            if let Some(capacity) = &mut capacity {
                delay += capacity.delay(inter_token) * tokens;
            }
            until(&mut alarm, due(arrival.after(piece.due + delay)), socket).await?;
            let begun = MonoNs::now();
            socket.write_all(&bytes).await?;
            line.wrote(begun, &[tokens]);
            capacity.iter_mut().for_each(Capacity::join);
        }
        let mut tail = chunk(&events.tail());
        tail.extend_from_slice(LAST_CHUNK);
        socket.write_all(&tail).await
    }
}

/// Waits for an instant, unless the client leaves before.
pub(crate) async fn until(alarm: &mut Alarm, due: MonoNs, socket: &mut Socket) -> io::Result<()> {
    tokio::select! {
        biased;
        reached = poll_fn(|cx| alarm.poll_until(due, cx)) => reached,
        () = socket.client_left() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// The head of a streamed answer.
pub(crate) fn stream_head(close: bool) -> Vec<u8> {
    let mut head = head("text/event-stream; charset=utf-8", close);
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    head.into_bytes()
}

fn whole(body: &[u8], close: bool) -> Vec<u8> {
    let mut out = head("application/json", close);
    write!(out, "content-length: {}\r\n\r\n", body.len()).expect("writing to a String cannot fail");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// The lines that every head begins with.
fn head(content_type: &str, close: bool) -> String {
    let close = if close { "connection: close\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\nserver: regatta-sim\r\ncontent-type: {content_type}\r\n{close}")
}

/// One chunk of a chunked body.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.reserve(data.len() + 2 + LAST_CHUNK.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out
}
