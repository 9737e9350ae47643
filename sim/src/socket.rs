//! A TCP connection that knows when its last bytes came.
//!
//! hyper reads requests from it and writes short replies; what is timed is written to it directly
//! by [`answer`](crate::answer), one write after the other.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use regatta_types::time::MonoNs;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The connection's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    last_read: LastRead,
}

/// When the last bytes that were read had come, by the kernel's stamp; told to the request's handler, which hyper keeps away
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
        // Without, the clock is read when the bytes are.
        let _ = setsockopt(&tcp, sockopt::ReceiveTimestampns, &true);
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
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_io(Interest::READABLE, || receive(&self.tcp, buf)) {
                Ok(None) => return Poll::Ready(Ok(())),
                Ok(Some(at)) => {
                    self.last_read.0.store(at.0, Ordering::Relaxed);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Reads what there is into `buf`; with when it had come, or `None` at the end of the stream.
fn receive(tcp: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<Option<MonoNs>> {
    let mut space = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(buf.initialize_unfilled())];
    let got = recvmsg::<()>(tcp.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let stamp = got.cmsgs()?.find_map(|message| {
        let ControlMessageOwned::ScmTimestampns(stamp) = message else { return None };
        Some(stamp)
    });
    let length = got.bytes;
    buf.advance(length);
    if length == 0 {
        return Ok(None);
    }
    let now = MonoNs::now();
    let age = stamp.map_or(0, |stamp| {
        // The kernel stamps with the wall clock, which is read again to tell how long ago that was.
        let wall = clock_gettime(ClockId::Realtime);
        (wall.tv_sec - stamp.tv_sec()) * 1_000_000_000 + (wall.tv_nsec - stamp.tv_nsec())
    });
    Ok(Some(now.offset_by(-age.max(0))))
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
