//! Waits for an instant of `CLOCK_MONOTONIC` to within scheduling delay.
//!
//! Tokio's own timer rounds up to whole milliseconds, which would be the whole error that the
//! endpoint is used to detect in others. A timerfd is a high-resolution timer of the kernel (no
//! timer slack, no spinning), and its readiness wakes the same epoll that drives the sockets.

use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use regatta_types::time::MonoNs;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One timer, used for one instant after another.
#[derive(Debug)]
pub struct Alarm {
    fd: AsyncFd<OwnedFd>,
    armed: Option<MonoNs>,
}

impl Alarm {
    /// A timer on the current runtime.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        #[expect(
            unsafe_code,
            reason = "tokio's only way to watch a descriptor that it does not make"
        )]
        // SAFETY: an OwnedFd names one open descriptor for its whole life, and AsyncFd owns it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { fd, armed: None })
    }

    /// Waits until the clock has reached `due`.
    ///
    /// # Errors
    /// When the kernel refuses to arm the timer.
    pub async fn until(&mut self, due: MonoNs) -> std::io::Result<()> {
        std::future::poll_fn(|cx| self.poll_until(due, cx)).await
    }

    /// Ready once the clock has reached `due`.
    ///
    /// # Errors
    /// When the kernel refuses to arm the timer.
    pub fn poll_until(&mut self, due: MonoNs, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            if MonoNs::now() >= due {
                return Poll::Ready(Ok(()));
            }
            if self.armed != Some(due) {
                timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &once_at(due))?;
                self.armed = Some(due);
            }
            // Unread on purpose: epoll tells every expiry, arming again forgets the last one, and
            // the clock decides. So a token costs one system call here.
            ready!(self.fd.poll_read_ready(cx))?.clear_ready();
        }
    }
}

fn once_at(due: MonoNs) -> Itimerspec {
    // u64 nanoseconds are at most 1.9e10 seconds.
    let seconds = i64::try_from(due.0 / 1_000_000_000).unwrap_or(i64::MAX);
    let nanos = (due.0 % 1_000_000_000) as _;
    Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec { tv_sec: seconds, tv_nsec: nanos },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn instants_are_met_early_never_and_late_by_less_than_a_tokio_tick() {
        let mut alarm = Alarm::new().unwrap();
        let start = MonoNs::now();
        let mut late = Vec::new();
        for i in 1..=50 {
            let due = start.after(Duration::from_micros(2_300) * i);
            alarm.until(due).await.unwrap();
            let now = MonoNs::now();
            assert!(now >= due);
            late.push(now.since(due));
        }
        late.sort();
        // The best quarter: on a busy machine the others may be late by any amount.
        assert!(late[12] < Duration::from_micros(900), "{late:?}");
    }

    #[tokio::test]
    async fn an_instant_in_the_past_is_ready_at_once() {
        let mut alarm = Alarm::new().unwrap();
        alarm.until(MonoNs(1)).await.unwrap();
        assert_eq!(alarm.armed, None);
    }
}
