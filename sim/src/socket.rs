//! A TCP connection that knows when its last bytes came.
//!
//! hyper reads requests from it and writes short replies; what is timed is written to it directly
//! by [`answer`](crate::answer), one write after the other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use regatta_types::time::MonoNs;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The connection's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    last_read: LastRead,
}

/// When the last read with bytes returned; told to the request's handler, which hyper keeps away
/// from the socket. Both live in the connection's one task.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRead(Arc<AtomicU64>);

impl LastRead {
    pub(crate) fn at(&self) -> MonoNs {
        MonoNs(self.0.load(Ordering::Relaxed))
    }
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, last_read: LastRead) -> Self {
        Self { tcp, last_read }
    }

    /// Ends when the client has left, or sends what no client may send before it has its answer.
    pub(crate) async fn client_left(&mut self) {
        let _ = self.tcp.read(&mut [0]).await;
    }

    /// Makes the kernel reset the connection when the socket is dropped, instead of closing it.
    pub(crate) fn reset_when_dropped(&self) -> io::Result<()> {
        self.tcp.set_zero_linger()
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
            self.last_read.0.store(MonoNs::now().0, Ordering::Relaxed);
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
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
