//! A TCP connection that knows when its bytes came and went, and the journal of its requests.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use regatta_types::time::MonoNs;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::log::{Entry, LogSink};

/// The connection's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    journal: SharedJournal,
}

/// The journal, reached from the socket (stamps), the handler and the reply body (what is sent).
///
/// All three live in the connection's one task, so the lock is never contended; it is there
/// because hyper owns two of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedJournal(Arc<Mutex<Journal>>);

/// What one connection is doing.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// When the last read with bytes returned.
    last_read: MonoNs,
    /// When the first write since the last flush began.
    write_began: Option<MonoNs>,
    /// Chunks with text handed over since the last flush.
    unflushed: usize,
    current: Option<Entry>,
    sink: Option<LogSink>,
}

impl SharedJournal {
    pub(crate) fn new(sink: Option<LogSink>) -> Self {
        Self(Arc::new(Mutex::new(Journal { sink, ..Journal::default() })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// When the last bytes came in.
    pub(crate) fn last_read(&self) -> MonoNs {
        self.last_read
    }

    /// A request was read and will get a line; kept only if there is a log.
    pub(crate) fn begin(&mut self, entry: Entry) {
        if self.sink.is_some() {
            self.current = Some(entry);
        }
    }

    /// Its turn has come.
    pub(crate) fn started(&mut self, at: MonoNs) {
        if let Some(entry) = &mut self.current {
            entry.started_ns = Some(at.0);
        }
    }

    /// A chunk with so many tokens goes out with the next write.
    pub(crate) fn chunk(&mut self, tokens: u32) {
        if let Some(entry) = &mut self.current {
            entry.chunk_tokens.push(tokens);
            entry.completion_tokens += tokens;
            self.unflushed += 1;
        }
    }

    /// The reply is complete once what was handed over is written.
    pub(crate) fn end(&mut self, end: &'static str) {
        if let Some(entry) = &mut self.current {
            entry.end = end;
        }
    }

    fn write_begins(&mut self) {
        if self.write_began.is_none() {
            self.write_began = Some(MonoNs::now());
        }
    }

    /// hyper flushes when its whole buffer has been written.
    fn flushed(&mut self) {
        let Some(began) = self.write_began.take() else { return };
        let Some(entry) = &mut self.current else { return };
        let ended = MonoNs::now().0;
        for _ in 0..std::mem::take(&mut self.unflushed) {
            entry.write_begin_ns.push(began.0);
            entry.write_end_ns.push(ended);
            entry.first_write_ns.get_or_insert(ended);
        }
        if !entry.end.is_empty() {
            self.close("");
        }
    }

    /// Writes the line; `end` for a request that has no end yet.
    fn close(&mut self, end: &'static str) {
        if let (Some(mut entry), Some(sink)) = (self.current.take(), &self.sink) {
            if entry.end.is_empty() {
                entry.end = end;
            }
            sink.put(entry);
        }
    }
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, journal: SharedJournal) -> Self {
        Self { tcp, journal }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.journal.lock().close("gone");
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.journal.lock().last_read = MonoNs::now();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.journal.lock().write_begins();
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.journal.lock().write_begins();
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        self.journal.lock().flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
