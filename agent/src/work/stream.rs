//! One stream: a connection over which one request after another is made, and the traces of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use regatta_types::attempt::AttemptOutcome;
use regatta_types::failure::Failure;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, Phase, RequestTrace};
use tokio::time::sleep;

use super::halt::Halt;
use super::progress::{Activity, Progress};
use crate::endpoint::{
    Built, ConversationTurn, Endpoint, Prepared, Sending, Stop, Stopper, StreamConnection, failed,
};

/// After a request that failed at once a stream of a closed loop waits, so that a dead endpoint does
/// not turn the loop into a busy one.
const PAUSE: Duration = Duration::from_millis(100);

/// What the streams of an attempt share.
#[derive(Debug)]
pub(super) struct StreamContext {
    endpoint: Endpoint,
    prepared: Prepared,
    pub(super) progress: Arc<Progress>,
    pub(super) halt: Halt,
    /// A request was cut off, or not begun that should have been.
    halted: Cell<bool>,
    /// The number of the next request of the attempt.
    next: Cell<u32>,
    /// What ends the streams; emptied by a halt.
    stoppers: RefCell<Vec<Stopper>>,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) trace: RequestTrace,
    built: Built,
}

impl Request {
    /// Number `seq` of the attempt; no stream has it yet.
    pub(super) fn new(seq: u32, phase: Phase, built: Built) -> Self {
        let max_tokens = Some(built.max_tokens);
        Self { trace: RequestTrace { max_tokens, ..RequestTrace::new(seq, 0, phase) }, built }
    }
}

impl StreamContext {
    pub(super) fn new(
        endpoint: Endpoint,
        prepared: Prepared,
        progress: Arc<Progress>,
        halt: Halt,
    ) -> Rc<Self> {
        let (halted, next, stoppers) = (Cell::new(false), Cell::new(0), RefCell::default());
        Rc::new(Self { endpoint, prepared, progress, halt, halted, next, stoppers })
    }

    /// A stream over its own connection, not opened yet.
    pub(super) fn stream(self: &Rc<Self>, number: u32) -> Stream {
        let (stopper, stop) = Stop::new();
        self.stoppers.borrow_mut().push(stopper);
        let connection = self.endpoint.connection();
        Stream { number, connection, stop, shared: Rc::clone(self), traces: Vec::new() }
    }

    /// Waits for the order to cut requests off, and does.
    pub(super) async fn obey(self: Rc<Self>) {
        self.halt.now.cancelled().await;
        self.stoppers.borrow_mut().clear();
    }

    /// Something is missing because it was stopped.
    pub(super) fn note_halt(&self) {
        self.halted.set(true);
    }

    /// How the attempt has ended: cancelled if anything is missing because it was stopped.
    pub(super) fn outcome(&self) -> AttemptOutcome {
        if self.halted.get() { AttemptOutcome::Cancelled } else { AttemptOutcome::Completed }
    }

    /// Whether the next request, which is due, may be begun: nobody has asked to stop.
    pub(super) fn may_begin(&self) -> bool {
        let halted = self.halt.is_requested();
        if halted {
            self.note_halt();
        }
        !halted
    }

    /// How many requests have been numbered.
    pub(super) fn begun(&self) -> u32 {
        self.next.get()
    }

    /// The number of the next request.
    pub(super) fn take_seq(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// Builds a request of the attempt.
    pub(super) fn request(&self, which: ConversationTurn<'_>, phase: Phase) -> Request {
        Request::new(which.seq, phase, self.prepared.build(which))
    }

    fn prime(&self) -> Option<Request> {
        let built = self.prepared.prime()?;
        Some(Request::new(self.take_seq(), Phase::Warmup, built))
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    number: u32,
    connection: StreamConnection,
    stop: Stop,
    pub(super) shared: Rc<StreamContext>,
    pub(super) traces: Vec<RequestTrace>,
}

/// The outcome of opening a connection; `None` if stopped meanwhile.
pub(super) type Connected = Option<Result<(), Failure>>;

impl Stream {
    /// Sends the beginning that all requests of the attempt share, if there is one.
    pub(super) async fn prime(&mut self) {
        if let Some(request) = self.shared.prime()
            && self.shared.may_begin()
        {
            self.shared.progress.enter(Activity::WarmingUp);
            self.request(request).await;
        }
    }

    /// Makes sure of a connection.
    pub(super) async fn connect(&mut self) -> Connected {
        tokio::select! {
            biased;
            () = self.stop.stopped() => None,
            connected = self.connection.ensure_connected(self.shared.prepared.connect_limit()) => {
                Some(connected)
            }
        }
    }

    /// Makes one request over a verified connection, and records its outcome.
    pub(super) async fn send(
        &mut self,
        request: Request,
        connected: Connected,
    ) -> &mut RequestTrace {
        let Request { mut trace, built } = request;
        trace.stream = self.number;
        let trace = match connected {
            None => RequestTrace { outcome: Outcome::Cancelled, ..trace },
            Some(Err(failure)) => failed(trace, failure),
            Some(Ok(())) => {
                let (stop, chunks) = (&mut self.stop, &self.shared.progress.chunks);
                self.connection.send(Sending { built, trace, stop, chunks }).await
            }
        };
        self.shared.progress.ended(&trace);
        if trace.outcome == Outcome::Cancelled {
            self.shared.note_halt();
        }
        self.traces.push_mut(trace)
    }

    /// Makes one request as soon as there is a connection. After one that failed at once it waits.
    pub(super) async fn request(&mut self, request: Request) -> &mut RequestTrace {
        let begun = MonoNs::now();
        let connected = self.connect().await;
        let outcome = &self.send(request, connected).await.outcome;
        let has_failed = matches!(outcome, Outcome::Failed(_));
        let took = MonoNs::now().since(begun);
        if has_failed && took < PAUSE {
            tokio::select! {
                biased;
                () = self.shared.halt.either() => {}
                () = sleep(PAUSE.saturating_sub(took)) => {}
            }
        }
        self.traces.last_mut().expect("one has just been added")
    }
}
