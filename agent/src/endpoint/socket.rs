//! The socket under a measured request: stamps what passes through it.
//!
//! [`StampedSocket`] lies below TLS and below hyper, so that a stamp is the moment the kernel was
//! asked, not the moment a library got round to it. It also knows which task waits for it: hyper's
//! two ends live in one task, and would otherwise wake it for every piece that one hands the other.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use regatta_types::time::MonoNs;
use regatta_types::trace::SendStamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::arrival::{Arrival, Arrivals};

/// What the socket has seen; shared between it and the request that runs over it. Both live in one
/// task.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    read: Cell<MonoNs>,
    arrived: Cell<Arrival>,
    armed: Cell<bool>,
    sent: Cell<Option<SendStamp>>,
    closed: Cell<bool>,
    error: Cell<Option<io::ErrorKind>>,
    /// The task to wake when the socket is ready; if `None`, the task that polls it.
    task: RefCell<Option<Waker>>,
}

impl Stamps {
    /// Stamp the next write: the first bytes of a request.
    pub(super) fn arm(&self) {
        self.armed.set(true);
        self.sent.set(None);
    }

    /// From now on the socket wakes this task, regardless of which task polls it. Returns whether
    /// it is a different task than before.
    pub(super) fn wait(&self, waker: &Waker) -> bool {
        let mut task = self.task.borrow_mut();
        let is_new = !task.as_ref().is_some_and(|task| task.will_wake(waker));
        if is_new {
            *task = Some(waker.clone());
        }
        is_new
    }

    /// When the last read that returned bytes returned.
    pub(super) fn last_read(&self) -> MonoNs {
        self.read.get()
    }

    /// When the bytes of that read came: the last of them, if they did not come together.
    pub(super) fn arrived(&self) -> Arrival {
        self.arrived.get()
    }

    fn after_read(&self, stamp: Option<i64>) {
        let now = MonoNs::now();
        self.read.set(now);
        self.arrived.set(Arrival::of(stamp, now, self.arrived.get().at));
    }

    /// The first write since [`Stamps::arm`].
    pub(super) fn sent(&self) -> Option<SendStamp> {
        self.sent.get()
    }

    /// Whether the peer has closed or reset the connection, as far as reads and writes tell.
    pub(super) fn is_cut(&self) -> bool {
        self.closed.get() || self.error.get().is_some()
    }

    /// How the connection was cut, for people.
    pub(super) fn cut(&self) -> String {
        match self.error.get() {
            Some(kind) => format!("the connection failed ({kind})"),
            None => "the endpoint closed the connection".to_owned(),
        }
    }

    fn after_write<T>(&self, before: MonoNs, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &result {
            Poll::Ready(Ok(_)) => {
                if self.armed.replace(false) {
                    self.sent.set(Some(SendStamp { before, after: MonoNs::now() }));
                }
            }
            Poll::Ready(Err(error)) => self.error.set(Some(error.kind())),
            Poll::Pending => {}
        }
        result
    }
}

/// A stream that stamps its reads and the first write of each request.
#[derive(Debug)]
pub(super) struct StampedSocket<S> {
    inner: S,
    stamps: Rc<Stamps>,
}

impl<S> StampedSocket<S> {
    pub(super) fn new(inner: S, stamps: Rc<Stamps>) -> Self {
        Self { inner, stamps }
    }

    /// Does something with the stream below for the task that waits for it.
    fn with<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> T,
    ) -> T
    where
        S: Unpin,
    {
        let inner = Pin::new(&mut self.inner);
        match &*self.stamps.task.borrow() {
            Some(task) => act(inner, &mut Context::from_waker(task)),
            None => act(inner, cx),
        }
    }

    fn before_write(&self) -> MonoNs {
        if self.stamps.armed.get() { MonoNs::now() } else { MonoNs::default() }
    }
}

impl<S: Arrivals> AsyncRead for StampedSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let wanted = buf.remaining() > 0;
        let result = this.with(cx, |inner, cx| inner.poll_receive(cx, buf));
        match &result {
            Poll::Ready(Ok(stamp)) if buf.filled().len() > before => this.stamps.after_read(*stamp),
            Poll::Ready(Ok(_)) => {
                if wanted {
                    this.stamps.closed.set(true);
                }
            }
            Poll::Ready(Err(error)) => this.stamps.error.set(Some(error.kind())),
            Poll::Pending => {}
        }
        result.map_ok(|_| ())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StampedSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let before = this.before_write();
        let result = this.with(cx, |inner, cx| inner.poll_write(cx, buf));
        this.stamps.after_write(before, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let before = this.before_write();
        let result = this.with(cx, |inner, cx| inner.poll_write_vectored(cx, bufs));
        this.stamps.after_write(before, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().with(cx, |inner, cx| inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().with(cx, |inner, cx| inner.poll_shutdown(cx))
    }
}
