//! When bytes came, by the kernel.
//!
//! A thread that is starved of CPU reads late, and a clock read then books its own lateness as the
//! engine's. A TCP socket with `SO_TIMESTAMPNS` tells, with each `recvmsg`, when the last segment
//! came of those it hands over. What came while nobody read is one segment to the kernel by then
//! (it joins what waits in a queue), with the last one's time.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt, socket,
    sockopt,
};
use regatta_types::time::MonoNs;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Longest read.
const READ: usize = 16 << 10;
/// Room for the kernel's stamp, a `timespec`, and its header.
const CONTROL: usize = 32;

/// When bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// By the kernel; else when the read of them returned.
    pub at: MonoNs,
    /// How much later the read returned, microseconds, rounded: the store and
    /// the exports have it for every token. `None` if the kernel did not say.
    pub late_us: Option<u32>,
}

impl From<MonoNs> for Arrival {
    /// Bytes of which only the read is known.
    fn from(at: MonoNs) -> Self {
        Self { at, late_us: None }
    }
}

/// A byte stream that may know when its bytes came.
pub(super) trait Arrivals: AsyncRead + AsyncWrite + Unpin {
    /// As `poll_read`; with the kernel's stamp of the last segment, nanoseconds of the wall clock.
    fn poll_receive(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<i64>>> {
        self.poll_read(cx, buf).map_ok(|()| None)
    }
}

#[cfg(test)]
impl Arrivals for tokio::io::DuplexStream {}

/// Has the kernel stamp what this socket receives. Where it cannot, the clock is read with the bytes.
pub(super) fn stamp(tcp: &TcpStream) {
    /// The kernel begins to stamp some time after the first socket in the system wants it, and ends
    /// with the last one; this one makes that the life of the process.
    static KEPT: LazyLock<Option<OwnedFd>> = LazyLock::new(|| {
        let kept = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
        kept.ok().filter(|kept| setsockopt(kept, sockopt::ReceiveTimestampns, &true).is_ok())
    });
    LazyLock::force(&KEPT);
    let _ = setsockopt(tcp, sockopt::ReceiveTimestampns, &true);
}

/// What a thread reads with. The room for the stamp must be aligned as its header.
#[repr(align(8))]
struct Scratch {
    control: [u8; CONTROL],
    bytes: [u8; READ],
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { control: [0; CONTROL], bytes: [0; READ] }) };
    static CLOCKS: Cell<Option<Clocks>> = const { Cell::new(None) };
}

impl Arrivals for TcpStream {
    fn poll_receive(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<i64>>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            let mut received = None;
            let read = self.try_io(Interest::READABLE, || {
                let wanted = buf.remaining().min(READ);
                let (length, stamp) = receive(&self, buf)?;
                received = Some(stamp);
                // The reactor is told of every change: after a short read there is nothing more to
                // be had until then, and asking would be a system call for each token.
                if 0 < length && length < wanted {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            match (received, read) {
                (Some(stamp), _) => return Poll::Ready(Ok(stamp)),
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                (None, _) => {}
            }
        }
    }
}

fn receive(tcp: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<(usize, Option<i64>)> {
    SCRATCH.with_borrow_mut(|Scratch { control, bytes }| {
        let wanted = buf.remaining().min(READ);
        let mut parts = [IoSliceMut::new(&mut bytes[..wanted])];
        let got = recvmsg::<()>(tcp.as_raw_fd(), &mut parts, Some(control), MsgFlags::empty())?;
        let stamp = got.cmsgs()?.find_map(|message| {
            let ControlMessageOwned::ScmTimestampns(at) = message else { return None };
            Some(at.tv_sec() * 1_000_000_000 + at.tv_nsec())
        });
        let length = got.bytes;
        buf.put_slice(&bytes[..length]);
        Ok((length, stamp))
    })
}

/// How far the wall clock was ahead of the monotonic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clocks {
    ahead: i64,
    /// When both were read.
    at: MonoNs,
}

/// So long the two keep step: a wall clock that is slewed runs apart by at most 0.5 us in 1 ms.
const FRESH: Duration = Duration::from_millis(10);
/// Both clocks were read at the same moment if that took no longer; tried a few times.
const SAME_MOMENT: Duration = Duration::from_micros(2);
const TRIES: usize = 4;
/// The wall clock was set if it has moved by more against the monotonic one.
const STEP: i64 = 1_000_000;

impl Clocks {
    /// The closest pair of a few.
    fn read() -> Self {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..TRIES {
            let before = MonoNs::now();
            let wall = clock_gettime(ClockId::Realtime);
            let took = MonoNs::now().since(before);
            let at = before.after(took / 2);
            let wall = wall.tv_sec * 1_000_000_000 + wall.tv_nsec;
            let ahead = wall.wrapping_sub_unsigned(at.0);
            if best.is_none_or(|(width, _)| took < width) {
                best = Some((took, Self { ahead, at }));
            }
            if took <= SAME_MOMENT {
                break;
            }
        }
        best.map_or(Self { ahead: 0, at: MonoNs::default() }, |(_, clocks)| clocks)
    }

    /// The monotonic time of a stamp of bytes that were read at `read`; `None` if that cannot be.
    fn monotonic(self, stamp: i64, read: MonoNs) -> Option<MonoNs> {
        let at = MonoNs(u64::try_from(stamp.checked_sub(self.ahead)?).ok()?);
        (at <= read).then_some(at)
    }
}

/// When bytes came that have been read at `read` and have this stamp, if it can be told.
fn arrived(stamp: i64, read: MonoNs) -> Option<MonoNs> {
    let known = CLOCKS.get();
    let clocks = match known {
        Some(clocks) if read.since(clocks.at) <= FRESH => clocks,
        _ => {
            let clocks = Clocks::read();
            CLOCKS.set(Some(clocks));
            if known.is_some_and(|known| (clocks.ahead - known.ahead).abs() > STEP) {
                // Set since; the stamp may be from before that.
                return None;
            }
            clocks
        }
    };
    clocks.monotonic(stamp, read)
}

impl Arrival {
    /// Of bytes that have been read at `read` and have this stamp, after others.
    pub(super) fn of(stamp: Option<i64>, read: MonoNs, others: MonoNs) -> Self {
        let Some(at) = stamp.and_then(|stamp| arrived(stamp, read)) else { return read.into() };
        // Never before what was read before it, whatever the clocks do.
        let at = at.max(others);
        let late = (read.since(at).as_nanos() + 500) / 1_000;
        Self { at, late_us: Some(u32::try_from(late).unwrap_or(u32::MAX)) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    fn now() -> i64 {
        let wall = clock_gettime(ClockId::Realtime);
        wall.tv_sec * 1_000_000_000 + wall.tv_nsec
    }

    #[tokio::test]
    async fn bytes_that_were_read_late_came_when_they_came() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stamp(&tcp);
        let (mut peer, _) = listener.accept().unwrap();
        let mut stamped = None;
        // The kernel may need a moment to begin.
        for _ in 0..1000 {
            peer.write_all(b"sea").unwrap();
            let written = MonoNs::now();
            while MonoNs::now().since(written) < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            let mut bytes = [0; 16];
            let mut buf = ReadBuf::new(&mut bytes);
            let stamp = std::future::poll_fn(|cx| Pin::new(&mut tcp).poll_receive(cx, &mut buf));
            let stamp = stamp.await.unwrap();
            assert_eq!(buf.filled(), b"sea");
            let read = MonoNs::now();
            if let Some(at) = stamp.and_then(|stamp| arrived(stamp, read)) {
                stamped = Some((written, at, read));
                break;
            }
        }
        let (written, at, read) = stamped.expect("the kernel stamps");
        assert!(read.since(at) >= Duration::from_millis(4), "{at:?} of {read:?}");
        assert!(at.since(written) < Duration::from_millis(4), "{at:?} after {written:?}");
        drop(peer);
        let mut buf = [0; 4];
        let mut buf = ReadBuf::new(&mut buf);
        std::future::poll_fn(|cx| Pin::new(&mut tcp).poll_receive(cx, &mut buf)).await.unwrap();
        assert!(buf.filled().is_empty(), "the end");
    }

    #[test]
    fn stamps_that_cannot_be_are_not_believed() {
        let read = MonoNs::now();
        assert_eq!(arrived(now() + 1_000_000_000, read), None, "it has not come yet");
        assert_eq!(arrived(i64::MIN, read), None);
        let at = arrived(now() - 3_000_000, MonoNs::now()).unwrap();
        let age = MonoNs::now().since(at);
        assert!(age >= Duration::from_millis(3), "{age:?}");
        // The wall clock was an hour behind when the pair was read last.
        CLOCKS.set(Some(Clocks { ahead: Clocks::read().ahead - 3_600_000_000_000, at: MonoNs(0) }));
        let read = MonoNs::now();
        assert_eq!(arrived(now() - 3_000_000, read), None, "it was set in between");
        assert!(arrived(now() - 3_000_000, read).unwrap() < read, "and is right again");
    }

    #[test]
    fn arrivals_never_go_back() {
        let read = MonoNs::now();
        assert_eq!(Arrival::of(None, read, MonoNs(1)), read.into());
        let before = MonoNs(read.0 - 1_000);
        let late = Arrival::of(Some(now() - 3_000_000), read, before);
        assert_eq!(late, Arrival { at: before, late_us: Some(1) });
    }
}
