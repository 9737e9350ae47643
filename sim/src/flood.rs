//! Answers without any wait, as cheap for the server as writing can be: made once, kept, and
//! written again and again. What a client can take is to be measured, not what makes it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regatta_types::time::MonoNs;
use tokio::io::AsyncWriteExt;

use crate::alarm::Alarm;
use crate::chat::Accepted;
use crate::events::Events;
use crate::http::{LAST_CHUNK, chunk};
use crate::log::Line;
use crate::options::SimOptions;
use crate::schedule::Schedule;
use crate::socket::Socket;
use crate::stream::until;

/// Answers kept. A load asks for few lengths; the oldest one makes room.
const KEPT: usize = 8;

/// One answer as it goes over the socket.
#[derive(Debug)]
pub(crate) struct Flood {
    bytes: Vec<u8>,
    writes: Vec<Batch>,
}

/// The events of one write.
#[derive(Debug, Default)]
struct Batch {
    /// Where its bytes end.
    end: usize,
    /// The tokens of each event.
    tokens: Vec<u32>,
}

impl Flood {
    /// The answer to a request, `batch` events a write, each its own chunk.
    fn new(request: Accepted, options: &SimOptions, batch: usize) -> Self {
        // Of all answers of this shape: neither id nor random chunk sizes differ.
        let schedule = Schedule::new(options, 0, &request);
        let SimOptions { model, seed, .. } = options;
        let events = Events::new("chatcmpl-flood", model, *seed, request, schedule.reasoning());
        let (mut bytes, mut writes) = (Vec::new(), Vec::<Batch>::new());
        for piece in schedule {
            if writes.last().is_none_or(|last| last.tokens.len() == batch) {
                writes.push(Batch::default());
            }
            bytes.extend_from_slice(&chunk(&events.piece(&piece)));
            if let Some(last) = writes.last_mut() {
                last.end = bytes.len();
                last.tokens.push(piece.tokens.end - piece.tokens.start);
            }
        }
        bytes.extend_from_slice(&chunk(events.tail().as_bytes()));
        bytes.extend_from_slice(LAST_CHUNK);
        writes.push(Batch { end: bytes.len(), tokens: Vec::new() });
        Self { bytes, writes }
    }

    /// Writes it, with a pause after each write, so that a client that keeps up reads each apart.
    pub(crate) async fn write(
        &self,
        pause: Duration,
        socket: &mut Socket,
        line: &mut Line,
    ) -> io::Result<()> {
        let mut alarm = if pause.is_zero() { None } else { Some(Alarm::new()?) };
        let mut start = 0;
        for Batch { end, tokens } in &self.writes {
            let begun = MonoNs::now();
            socket.write_all(&self.bytes[start..*end]).await?;
            line.wrote(begun, tokens);
            start = *end;
            if start == self.bytes.len() {
                // The client's next request may be on its way already.
                break;
            }
            match &mut alarm {
                // From now, not from when it was due: lost time must not join two writes.
                Some(alarm) => until(alarm, MonoNs::now().after(pause), socket).await?,
                None => tokio::task::yield_now().await,
            }
        }
        Ok(())
    }
}

/// The answers made so far. A mutex, as the connections are many tasks; held while one is looked
/// up or made, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Floods(Mutex<Vec<(Accepted, Arc<Flood>)>>);

impl Floods {
    /// The answer to a request, `batch` events a write.
    pub(crate) fn answer(
        &self,
        request: Accepted,
        options: &SimOptions,
        batch: usize,
    ) -> Arc<Flood> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, flood)) = made.iter().find(|(of, _)| *of == request) {
            return Arc::clone(flood);
        }
        if made.len() == KEPT {
            made.remove(0);
        }
        let flood = Arc::new(Flood::new(request, options, batch));
        made.push((request, Arc::clone(&flood)));
        flood
    }
}
