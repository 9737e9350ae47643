//! The body of every response: all at once, or chunk by chunk when each is due.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use regatta_types::time::MonoNs;
use tokio::sync::OwnedSemaphorePermit;

use crate::alarm::Alarm;
use crate::events::Events;
use crate::schedule::Schedule;
use crate::socket::SharedJournal;

/// A response body.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Complete; `None` once taken.
    Whole(Option<Bytes>),
    /// An answer in the making.
    Stream(Box<TokenStream>),
}

/// A streamed answer.
#[derive(Debug)]
pub(crate) struct TokenStream {
    /// The first token is due at this instant plus TTFT.
    pub(crate) arrival: MonoNs,
    /// What is due when.
    pub(crate) schedule: Schedule,
    /// How it reads on the wire.
    pub(crate) events: Events,
    /// Its clock.
    pub(crate) alarm: Alarm,
    /// Told of every chunk.
    pub(crate) journal: SharedJournal,
    /// Its place among the requests worked on at once.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// What is sent next.
    pub(crate) next: Next,
}

/// What a stream sends next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Not yet taken from the schedule.
    Unknown,
    /// Text, at its instant.
    Chunk { due: MonoNs, bytes: Bytes, tokens: u32 },
    /// The end is sent.
    Nothing,
}

impl TokenStream {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match &self.next {
                Next::Nothing => return Poll::Ready(None),
                Next::Unknown => {
                    let Some(piece) = self.schedule.next() else {
                        self.next = Next::Nothing;
                        self.permit = None;
                        self.journal.lock().end("ok");
                        return Poll::Ready(Some(Ok(self.events.tail())));
                    };
                    // Written before it is due, so that the instant only has to send it.
                    self.next = Next::Chunk {
                        due: self.arrival.after(piece.due),
                        bytes: self.events.piece(&piece),
                        tokens: piece.tokens.end - piece.tokens.start,
                    };
                }
                Next::Chunk { due, bytes, tokens } => {
                    ready!(self.alarm.poll_until(*due, cx))?;
                    self.journal.lock().chunk(*tokens);
                    let bytes = bytes.clone();
                    self.next = Next::Unknown;
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = match &mut *self {
            Self::Whole(bytes) => bytes.take().map(Ok),
            Self::Stream(stream) => ready!(stream.poll_chunk(cx)),
        };
        Poll::Ready(chunk.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(stream) => matches!(stream.next, Next::Nothing),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
