//! One stream of a closed loop: sends its next request when the one before has ended.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, Phase, RequestTrace};
use tokio::time::sleep;

use super::halt::Halt;
use super::progress::Progress;
use crate::endpoint::{Lane, Prepared, Sending, Stop, Which, failed};

/// After a request that failed at once the stream waits, so that a dead endpoint does not turn the
/// closed loop into a busy one.
const PAUSE: Duration = Duration::from_millis(100);

/// What the streams of an attempt share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) progress: Arc<Progress>,
    halt: Halt,
    /// A request was cut off, or not begun that should have been.
    halted: Cell<bool>,
    /// The number of the next request of the attempt.
    next: Cell<u32>,
}

impl Shared {
    pub(super) fn new(progress: Arc<Progress>, halt: Halt) -> Rc<Self> {
        Rc::new(Self { progress, halt, halted: Cell::new(false), next: Cell::new(0) })
    }

    /// Whether anything is missing because it was stopped.
    pub(super) fn was_halted(&self) -> bool {
        self.halted.get()
    }

    /// How many requests have been begun.
    pub(super) fn begun(&self) -> u32 {
        self.next.get()
    }

    fn take_seq(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    number: u32,
    lane: Lane,
    stop: Stop,
    shared: Rc<Shared>,
    pub(super) traces: Vec<RequestTrace>,
}

impl Stream {
    pub(super) fn new(number: u32, lane: Lane, stop: Stop, shared: Rc<Shared>) -> Self {
        Self { number, lane, stop, shared, traces: Vec::new() }
    }

    /// How many requests of the attempt have been begun, over all streams.
    pub(super) fn begun(&self) -> u32 {
        self.shared.begun()
    }

    /// Whether the next request, which is due, may be begun: nobody has asked to stop.
    pub(super) fn may_begin(&self) -> bool {
        let halted = self.shared.halt.is_requested();
        if halted {
            self.shared.halted.set(true);
        }
        !halted
    }

    /// Opens the connection ahead of the start. If it cannot be had, the first request will say so.
    pub(super) async fn connect(&mut self, prepared: &Prepared) {
        tokio::select! {
            biased;
            () = self.stop.stopped() => {}
            _ = self.lane.ensure_connected(prepared.connect_limit()) => {}
        }
    }

    /// Makes one request and notes what became of it.
    pub(super) async fn request(&mut self, prepared: &Prepared, phase: Phase) -> &RequestTrace {
        let seq = self.shared.take_seq();
        let trace = RequestTrace::new(seq, self.number, phase);
        let built = prepared.build(Which::first(seq));
        let begun = MonoNs::now();
        let connected = tokio::select! {
            biased;
            () = self.stop.stopped() => None,
            connected = self.lane.ensure_connected(prepared.connect_limit()) => Some(connected),
        };
        let trace = match connected {
            None => RequestTrace { outcome: Outcome::Cancelled, ..trace },
            Some(Err(failure)) => failed(trace, failure),
            Some(Ok(())) => {
                let sending = Sending {
                    built,
                    trace,
                    stop: &mut self.stop,
                    chunks: &self.shared.progress.chunks,
                };
                self.lane.send(sending).await
            }
        };
        let has_failed = matches!(trace.outcome, Outcome::Failed(_));
        self.shared.progress.ended(&trace);
        if trace.outcome == Outcome::Cancelled {
            self.shared.halted.set(true);
        }
        let took = MonoNs::now().since(begun);
        if has_failed && took < PAUSE {
            tokio::select! {
                biased;
                () = self.shared.halt.either() => {}
                () = sleep(PAUSE.saturating_sub(took)) => {}
            }
        }
        let at = self.traces.len();
        self.traces.push(trace);
        &self.traces[at]
    }
}
