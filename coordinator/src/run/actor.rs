//! The owner of a run's state: takes messages one at a time, carries out what the state wants.
//!
//! All IO of a run passes here: frames to the sessions, rows to the store, events to the readers.
//! What can wait for the disk is awaited beside the loop, never inside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use regatta_types::event::{EventKind, RunEvent};
use regatta_types::ids::RunId;
use regatta_types::time::{MonoNs, WallClock};
use regatta_wire::frame::{Ack, Acked, Cancel, CoordinatorFrame};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::warn;

use super::{
    Effect, Input, Message, Now, RunState, RunView, SessionCommand, SessionId, StoredAttempt,
};
use crate::store::{AttemptRow, StoreError, StoreHandle, Stored, Write};
use crate::timer::sleep_until;

/// The actor and its ends.
#[derive(Debug)]
pub struct Actor {
    state: RunState,
    run: RunId,
    store: StoreHandle,
    wall: Arc<dyn WallClock>,
    sessions: HashMap<SessionId, mpsc::Sender<SessionCommand>>,
    messages: mpsc::Receiver<Message>,
    events: mpsc::Sender<RunEvent>,
    view: watch::Sender<RunView>,
    /// Rows of the round at hand, and what is said once they are on disk.
    batch: Batch,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
    began: Instant,
    seq: u64,
}

/// The rows one input led to: they are committed together, in order.
#[derive(Debug, Default)]
struct Batch {
    rows: Vec<Write>,
    /// Reports among the rows, by their place there.
    reports: Vec<(usize, SessionId, StoredAttempt)>,
}

type Written = Result<Vec<Input>, StoreError>;

/// What the actor is built from.
#[derive(Debug)]
pub struct Parts {
    /// The run.
    pub run: RunId,
    /// Its state and what it wanted first.
    pub state: (RunState, Vec<Effect>),
    /// Where results are kept.
    pub store: StoreHandle,
    /// Wall time for events.
    pub wall: Arc<dyn WallClock>,
    /// From the sessions and the command line.
    pub messages: mpsc::Receiver<Message>,
    /// To the readers of events.
    pub events: mpsc::Sender<RunEvent>,
    /// To the display.
    pub view: watch::Sender<RunView>,
}

/// Time between two pictures for the display: with a thousand hosts one costs a while.
const VIEW: Duration = Duration::from_millis(100);

/// One thing to act on.
enum Next {
    Message(Option<Message>),
    Written(Written),
    Due,
}

impl Actor {
    /// An actor that has not run yet, and the effects it begins with.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, Vec<Effect>) {
        let Parts { run, state: (state, first), store, wall, messages, events, view } = parts;
        let actor = Self {
            state,
            run,
            store,
            wall,
            sessions: HashMap::new(),
            messages,
            events,
            view,
            batch: Batch::default(),
            writes: FuturesUnordered::new(),
            began: Instant::now(),
            seq: 0,
        };
        (actor, first)
    }

    /// Runs until the run is over and everything is on disk.
    ///
    /// # Errors
    /// When the store fails: nothing may be acknowledged after that.
    pub async fn run(mut self, first: Vec<Effect>) -> Result<(), StoreError> {
        let mut viewed = Instant::now();
        self.perform(first).await?;
        while !self.state.is_finished() {
            let due = self.state.next_deadline();
            let next = tokio::select! {
                message = self.messages.recv() => Next::Message(message),
                Some(written) = self.writes.next() => Next::Written(written),
                () = sleep_until(due) => Next::Due,
            };
            for input in self.inputs(next)? {
                let now = Now { instant: Instant::now(), mono: MonoNs::now() };
                let effects = self.state.apply(now, input);
                self.perform(effects).await?;
            }
            if viewed.elapsed() >= VIEW || self.state.is_finished() {
                self.view.send_replace(self.state.view());
                viewed = Instant::now();
            }
        }
        while let Some(written) = self.writes.next().await {
            written?;
        }
        let seal = Write::Seal(self.run.clone(), self.wall.now());
        self.store.write(vec![seal]).await.map(|_| ())
    }

    fn inputs(&mut self, next: Next) -> Written {
        Ok(match next {
            Next::Message(Some(Message::Join { session, joining, commands })) => {
                self.sessions.insert(session, commands);
                vec![Input::Joined { session, joining }]
            }
            Next::Message(Some(Message::Input(input))) => {
                if let Input::Left { session, .. } = &input {
                    self.sessions.remove(session);
                }
                vec![input]
            }
            // Every sender is gone: no host is left to measure.
            Next::Message(None) => vec![Input::Cancel],
            Next::Written(result) => result?,
            Next::Due => vec![Input::Tick],
        })
    }

    /// Carries out all effects of one input. Its rows go to the store as one commit; what they
    /// are followed by waits for it beside the loop.
    async fn perform(&mut self, effects: Vec<Effect>) -> Result<(), StoreError> {
        for effect in effects {
            self.perform_one(effect);
        }
        let Batch { rows, reports } = std::mem::take(&mut self.batch);
        if !rows.is_empty() {
            let written = self.store.submit(rows).await?;
            self.writes.push(Box::pin(async move {
                let results = written.await.map_err(|_| StoreError::Closed)??;
                let told = reports.into_iter().map(|(place, session, mut stored)| {
                    stored.stored = results.get(place).copied().unwrap_or(Stored::New);
                    Input::Stored { session, stored }
                });
                Ok(told.collect())
            }));
        }
        Ok(())
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Accept { session, keep } => {
                self.order(session, SessionCommand::Accept { keep })
            }
            Effect::Refuse { session, refusal } => {
                warn!(?refusal, "agent refused");
                self.order(session, SessionCommand::Refuse(refusal));
                self.sessions.remove(&session);
            }
            Effect::Prepare { session, preparation } => {
                self.send(session, CoordinatorFrame::Prepare(preparation));
            }
            Effect::Go { session } => {
                self.send(session, CoordinatorFrame::Go(self.run.clone()));
            }
            Effect::Assign { session, assignment } => {
                self.send(session, CoordinatorFrame::Assign(assignment));
            }
            Effect::CancelAttempt { session, lease } => {
                let reason = "the run is being stopped".to_owned();
                self.send(session, CoordinatorFrame::Cancel(Cancel { lease, reason }));
            }
            Effect::Acknowledge { session, lease } => {
                self.send(session, CoordinatorFrame::Ack(Ack { lease, what: Acked::Stored }));
            }
            Effect::MeasureClock { session } => self.order(session, SessionCommand::MeasureClock),
            Effect::Drain { session, reason } => {
                self.send(session, CoordinatorFrame::Drain(reason))
            }
            Effect::StoreHost(record) => {
                self.batch.rows.push(Write::Host(self.run.clone(), record))
            }
            Effect::StoreMissing(cell, reason) => {
                self.batch.rows.push(Write::Missing(self.run.clone(), cell, reason));
            }
            Effect::StoreAttempt { session, stored, bytes } => {
                self.batch.rows.push(Write::Attempt(AttemptRow {
                    key: stored.lease.key.clone(),
                    epoch: stored.lease.epoch,
                    disposition: stored.disposition,
                    report: bytes.into(),
                }));
                self.batch.reports.push((self.batch.rows.len() - 1, session, stored));
            }
            Effect::Event(kind) => self.event(kind),
        }
    }

    fn event(&mut self, kind: EventKind) {
        let event =
            RunEvent { seq: self.seq, at: self.wall.now(), elapsed: self.began.elapsed(), kind };
        self.seq += 1;
        // A reader that has fallen a whole queue behind misses events; the store has them all.
        let _ = self.events.try_send(event.clone());
        self.batch.rows.push(Write::Event(self.run.clone(), Box::new(event)));
    }

    fn send(&mut self, session: SessionId, frame: CoordinatorFrame) {
        self.order(session, SessionCommand::Send(Box::new(frame)));
    }

    /// A session that has gone, or is a whole queue behind, loses its channel; it then ends and
    /// the agent comes back.
    fn order(&mut self, session: SessionId, command: SessionCommand) {
        if let Some(commands) = self.sessions.get(&session)
            && commands.try_send(command).is_err()
        {
            self.sessions.remove(&session);
        }
    }
}
