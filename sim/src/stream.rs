//! A streamed answer, and the writer of its parts, each when it is due.

use std::future::poll_fn;
use std::io;
use std::iter::Peekable;
use std::time::Duration;

use regatta_types::time::MonoNs;
use tokio::io::AsyncWriteExt;

use crate::alarm::Alarm;
use crate::capacity::Capacity;
use crate::events::Events;
use crate::freeze::Standstill;
use crate::http::{LAST_CHUNK, chunk, stream_head};
use crate::log::Line;
use crate::schedule::Schedule;
use crate::socket::Socket;

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
    /// Whether the host freezes at any time.
    pub(crate) standstill: Option<Standstill>,
}

/// Writes a stream.
#[derive(Debug)]
pub(crate) struct StreamWriter<'a> {
    pub(crate) events: Events,
    pub(crate) socket: &'a mut Socket,
    line: &'a mut Line,
    arrival: MonoNs,
    schedule: Peekable<Schedule>,
    inter_token: Duration,
    /// By how much the schedule is late, because other streams wanted their share.
    delay: Duration,
    capacity: Option<Capacity>,
    standstill: Option<Standstill>,
    alarm: Alarm,
}

impl<'a> StreamWriter<'a> {
    pub(crate) fn new(
        stream: Stream,
        socket: &'a mut Socket,
        line: &'a mut Line,
    ) -> io::Result<Self> {
        let Stream { arrival, schedule, events, capacity, standstill } = stream;
        Ok(Self {
            events,
            socket,
            line,
            arrival,
            inter_token: schedule.inter_token(),
            schedule: schedule.peekable(),
            delay: Duration::ZERO,
            capacity,
            standstill,
            alarm: Alarm::new()?,
        })
    }

    /// The whole answer as it should be.
    pub(crate) async fn whole(&mut self, close: bool) -> io::Result<()> {
        self.head(&stream_head(close)).await?;
        self.text(u32::MAX, chunk).await?;
        let mut tail = chunk(self.events.tail().as_bytes());
        tail.extend_from_slice(LAST_CHUNK);
        self.now(&tail).await
    }

    /// The head, as soon as the request is taken up.
    pub(crate) async fn head(&mut self, head: &[u8]) -> io::Result<()> {
        self.until(self.arrival).await?;
        self.now(head).await
    }

    /// The events up to that with the `last` token, each when it is due and in this form.
    pub(crate) async fn text(
        &mut self,
        last: u32,
        form: impl Fn(&[u8]) -> Vec<u8>,
    ) -> io::Result<()> {
        while let Some(piece) = self.schedule.next_if(|piece| piece.tokens.start < last) {
            // Put together before it is due, so that the instant only has to send it.
            let bytes = form(&self.events.piece(&piece));
            let tokens = piece.tokens.end - piece.tokens.start;
            if let Some(capacity) = &self.capacity {
                self.delay += capacity.delay(self.inter_token) * tokens;
            }
            self.until(self.arrival.after(piece.due + self.delay)).await?;
            let begun = MonoNs::now();
            self.socket.write_all(&bytes).await?;
            self.line.wrote(begun, &[tokens]);
            self.capacity.iter_mut().for_each(Capacity::join);
        }
        Ok(())
    }

    /// Some bytes, at once.
    pub(crate) async fn now(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Nothing for some time.
    pub(crate) async fn pause(&mut self, length: Duration) -> io::Result<()> {
        until(&mut self.alarm, MonoNs::now().after(length), self.socket).await
    }

    async fn until(&mut self, due: MonoNs) -> io::Result<()> {
        let due = self.standstill.map_or(due, |s| s.shift(self.arrival, due));
        until(&mut self.alarm, due, self.socket).await
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
