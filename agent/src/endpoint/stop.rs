//! Stopping a request from outside at no cost per chunk: a cancellation token takes a lock each
//! time it is polled, this is one atomic load.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Held by the task that may stop a stream. Dropping it stops the stream.
#[derive(Debug)]
pub struct Stopper {
    _sender: oneshot::Sender<Infallible>,
}

/// Held by the stream.
#[derive(Debug)]
pub struct Stop {
    /// `None` once stopped.
    receiver: Option<oneshot::Receiver<Infallible>>,
}

impl Stop {
    /// A stream's end of a new pair.
    #[must_use]
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = oneshot::channel();
        (Stopper { _sender: sender }, Self { receiver: Some(receiver) })
    }

    /// Ready once stopped, and from then on.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(receiver) = &mut self.receiver {
            if Pin::new(receiver).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.receiver = None;
        }
        Poll::Ready(())
    }

    /// Waits until stopped.
    pub async fn stopped(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    /// Whether it has been stopped.
    #[must_use]
    pub fn is_stopped(&mut self) -> bool {
        self.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }
}
