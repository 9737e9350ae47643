//! What all streams together may get: each one's share is the smaller, the more there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A stream's part in the limit on all; given back when dropped.
#[derive(Debug)]
pub(crate) struct Capacity {
    tokens_per_second: u32,
    streams: Arc<AtomicU32>,
    joined: bool,
}

impl Capacity {
    /// Of a stream that has not begun; `streams` counts those that have.
    pub(crate) fn new(tokens_per_second: u32, streams: Arc<AtomicU32>) -> Self {
        Self { tokens_per_second, streams, joined: false }
    }

    /// The stream has its first token and wants more from now on.
    pub(crate) fn join(&mut self) {
        if !std::mem::replace(&mut self.joined, true) {
            self.streams.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By how much the others delay its next token beyond `inter_token`; none before it has joined.
    pub(crate) fn delay(&self, inter_token: Duration) -> Duration {
        if !self.joined {
            return Duration::ZERO;
        }
        let streams = f64::from(self.streams.load(Ordering::Relaxed));
        let share = Duration::from_secs_f64(streams / f64::from(self.tokens_per_second));
        share.saturating_sub(inter_token)
    }
}

impl Drop for Capacity {
    fn drop(&mut self) {
        if self.joined {
            self.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_share_the_capacity_once_it_does_not_suffice() {
        let streams = Arc::new(AtomicU32::new(0));
        let inter_token = Duration::from_millis(10);
        let mut all: Vec<_> = (0..8).map(|_| Capacity::new(400, Arc::clone(&streams))).collect();
        assert_eq!(all[0].delay(inter_token), Duration::ZERO);
        all[..4].iter_mut().for_each(Capacity::join);
        assert_eq!(all[0].delay(inter_token), Duration::ZERO, "4 streams of 100 a second");
        all.iter_mut().for_each(Capacity::join);
        assert_eq!(all[0].delay(inter_token), Duration::from_millis(10), "half of it for each");
        all.truncate(2);
        assert_eq!(all[0].delay(inter_token), Duration::ZERO, "the others have left");
    }
}
