//! Frames from coordinator to agent.

use std::time::Duration;

use regatta_types::assignment::{Assignment, ContextNeed, EngineWarmup, Lease, Preparation, Wants};
use regatta_types::ids::{AttemptNo, RunId};
use regatta_types::time::MonoNs;

use crate::error::{At, ConvertError, Problem};
use crate::field::{Checked, Numbered, cut, encoded, list, numbered, required, slug, text, within};
use crate::limits::{CASES_MAX, HELD_MAX, NAME_MAX, SHAPES_MAX, TEXT_MAX};
use crate::v1;

/// What a coordinator says.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorFrame {
    /// The answer to hello; always the first frame.
    Welcome(Welcome),
    /// One ping of a burst.
    ClockPing(ClockPing),
    /// Get ready for a run; answered by ready.
    Prepare(Preparation),
    /// This run begins.
    Go(RunId),
    /// A cell to measure.
    Assign(Box<Assignment>),
    /// Stop an attempt and report what there is.
    Cancel(Cancel),
    /// What the coordinator has.
    Ack(Ack),
    /// Nothing more will be assigned in this session, with the reason: finish, upload, say goodbye.
    Drain(String),
}

/// The answer to hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The version both sides speak from here on.
    pub protocol: u32,
    /// Build version, for logs; never compared.
    pub version: String,
    /// Time between heartbeats: whole milliseconds, at least one.
    pub heartbeat_interval: Duration,
    /// The run that is open.
    pub run: Option<RunId>,
    /// One decision per held lease of the hello.
    pub held: Vec<LeaseDecision>,
}

/// What to do with a running attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseDecision {
    /// The attempt.
    pub lease: Lease,
    /// Its fate.
    pub fate: LeaseFate,
}

/// Whether a running attempt continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseFate {
    /// Continue.
    Keep,
    /// Stop and report what there is: the lease is no longer valid.
    Abort,
}

numbered!(LeaseFate = v1::LeaseFate { Keep, Abort });

/// One ping of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockPing {
    /// Which ping; echoed.
    pub id: u32,
    /// The coordinator's clock at sending; echoed.
    pub t0: MonoNs,
}

/// Stop an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The attempt.
    pub lease: Lease,
    /// For people.
    pub reason: String,
}

/// What the coordinator has of an attempt report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The attempt.
    pub lease: Lease,
    /// How much of it.
    pub what: Acked,
}

/// How much of a report has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// The slice of this index is in memory: the next may be sent.
    Chunk(u32),
    /// The whole report is on disk: the agent may delete its copy.
    Stored,
}

impl TryFrom<v1::CoordinatorFrame> for CoordinatorFrame {
    type Error = ConvertError;
    fn try_from(m: v1::CoordinatorFrame) -> Checked<Self> {
        use v1::coordinator_frame::Frame;
        match m.frame.ok_or_else(|| ConvertError::new("frame", Problem::Missing))? {
            Frame::Welcome(m) => welcome(m).at("welcome").map(Self::Welcome),
            Frame::ClockPing(m) => Ok(Self::ClockPing(ClockPing { id: m.id, t0: MonoNs(m.t0_ns) })),
            Frame::Prepare(m) => Preparation::try_from(m).at("prepare").map(Self::Prepare),
            Frame::Go(m) => slug("run", m.run).at("go").map(Self::Go),
            Frame::Assign(m) => assign(m).at("assign").map(Self::Assign),
            Frame::Cancel(m) => cancel(m).at("cancel").map(Self::Cancel),
            Frame::Ack(m) => ack(m).at("ack").map(Self::Ack),
            Frame::Drain(m) => text("reason", m.reason, TEXT_MAX).at("drain").map(Self::Drain),
        }
    }
}

impl From<CoordinatorFrame> for v1::CoordinatorFrame {
    fn from(frame: CoordinatorFrame) -> Self {
        use v1::coordinator_frame::Frame;
        let frame = match frame {
            CoordinatorFrame::Welcome(welcome) => Frame::Welcome(welcome.into()),
            CoordinatorFrame::ClockPing(ping) => {
                Frame::ClockPing(v1::ClockPing { id: ping.id, t0_ns: ping.t0.0 })
            }
            CoordinatorFrame::Prepare(preparation) => Frame::Prepare((&preparation).into()),
            CoordinatorFrame::Go(run) => Frame::Go(v1::Go { run: run.into() }),
            CoordinatorFrame::Assign(assignment) => {
                let work = v1::assign::Work::CaseAssignment((&*assignment).into());
                Frame::Assign(v1::Assign { work: Some(work) })
            }
            CoordinatorFrame::Cancel(cancel) => Frame::Cancel(v1::Cancel {
                lease: Some((&cancel.lease).into()),
                reason: cut(&cancel.reason, TEXT_MAX),
            }),
            CoordinatorFrame::Ack(ack) => Frame::Ack(ack.into()),
            CoordinatorFrame::Drain(reason) => {
                Frame::Drain(v1::Drain { reason: cut(&reason, TEXT_MAX) })
            }
        };
        Self { frame: Some(frame) }
    }
}

fn welcome(m: v1::Welcome) -> Checked<Welcome> {
    let interval = within("heartbeat_interval_ms", m.heartbeat_interval_ms, 1.., "at least 1")?;
    Ok(Welcome {
        protocol: within("protocol", m.protocol, 1.., "at least 1")?,
        version: text("version", m.version, NAME_MAX)?,
        heartbeat_interval: Duration::from_millis(interval.into()),
        run: m.run.map(|run| slug("run", run)).transpose()?,
        held: list("held", m.held, HELD_MAX)?,
    })
}

impl From<Welcome> for v1::Welcome {
    fn from(welcome: Welcome) -> Self {
        let interval = u32::try_from(welcome.heartbeat_interval.as_millis()).unwrap_or(u32::MAX);
        Self {
            protocol: welcome.protocol,
            version: cut(&welcome.version, NAME_MAX),
            heartbeat_interval_ms: interval.max(1),
            run: welcome.run.map(String::from),
            held: encoded(&welcome.held),
        }
    }
}

impl TryFrom<v1::LeaseDecision> for LeaseDecision {
    type Error = ConvertError;
    fn try_from(m: v1::LeaseDecision) -> Checked<Self> {
        Ok(Self { lease: required("lease", m.lease)?, fate: LeaseFate::read("fate", m.fate)? })
    }
}

impl From<&LeaseDecision> for v1::LeaseDecision {
    fn from(decision: &LeaseDecision) -> Self {
        Self { lease: Some((&decision.lease).into()), fate: decision.fate.number() }
    }
}

impl TryFrom<v1::Prepare> for Preparation {
    type Error = ConvertError;
    fn try_from(m: v1::Prepare) -> Checked<Self> {
        use v1::prepare::EngineWarmup as Sent;
        let engine_warmup = match m.engine_warmup {
            Some(Sent::UntilSteady(_)) => EngineWarmup::UntilSteady,
            Some(Sent::Requests(n)) => EngineWarmup::Requests(n),
            None => return Err(ConvertError::new("engine_warmup", Problem::Missing)),
        };
        Ok(Self {
            run: slug("run", m.run)?,
            suite_hash: text("suite_hash", m.suite_hash, NAME_MAX)?,
            model: m.model.map(|model| text("model", model, NAME_MAX)).transpose()?,
            engine_warmup,
            timeouts: required("timeouts", m.timeouts)?,
            wants: Wants {
                texts: list("texts", m.texts, CASES_MAX)?,
                shapes: list("shapes", m.shapes, SHAPES_MAX)?,
                fixed_length: m.fixed_length,
                overhead_streams: m.overhead_streams,
                context: context(m.context_least, m.context_most)?,
            },
            attempt: AttemptNo(within("attempt", m.attempt, 1.., "at least 1")?),
            check_only: m.check_only,
        })
    }
}

impl From<&Preparation> for v1::Prepare {
    fn from(preparation: &Preparation) -> Self {
        use v1::prepare::EngineWarmup as Sent;
        Self {
            run: preparation.run.to_string(),
            suite_hash: preparation.suite_hash.clone(),
            model: preparation.model.clone(),
            timeouts: Some((&preparation.timeouts).into()),
            texts: encoded(&preparation.wants.texts),
            shapes: encoded(&preparation.wants.shapes),
            fixed_length: preparation.wants.fixed_length,
            overhead_streams: preparation.wants.overhead_streams,
            attempt: preparation.attempt.0,
            check_only: preparation.check_only,
            context_least: preparation.wants.context.map_or(0, |need| need.least),
            context_most: preparation.wants.context.map_or(0, |need| need.most),
            engine_warmup: Some(match preparation.engine_warmup {
                EngineWarmup::UntilSteady => Sent::UntilSteady(v1::UntilSteady {}),
                EngineWarmup::Requests(n) => Sent::Requests(n),
            }),
        }
    }
}

fn context(least: u32, most: u32) -> Checked<Option<ContextNeed>> {
    if (least, most) == (0, 0) {
        return Ok(None);
    }
    let most = within("context_most", most, least.max(1).., "at least context_least")?;
    let least = within("context_least", least, 1.., "at least 1")?;
    Ok(Some(ContextNeed { least, most }))
}

fn assign(m: v1::Assign) -> Checked<Box<Assignment>> {
    match m.work.ok_or_else(|| ConvertError::new("work", Problem::Missing))? {
        v1::assign::Work::CaseAssignment(m) => {
            Assignment::try_from(m).at("case_assignment").map(Box::new)
        }
    }
}

impl TryFrom<v1::CaseAssignment> for Assignment {
    type Error = ConvertError;
    fn try_from(m: v1::CaseAssignment) -> Checked<Self> {
        let Lease { key, epoch } = required("lease", m.lease)?;
        let case: regatta_types::suite::Case = required("case_spec", m.case_spec)?;
        if case.id != key.cell.case {
            let problem = Problem::OutOfRange("the case of the lease");
            return Err(ConvertError::new("case_spec.id", problem));
        }
        let (start, keep_text) = (MonoNs(m.start_ns), m.keep_text);
        Ok(Self { key, epoch, case, start, keep_text, seed: m.seed })
    }
}

impl From<&Assignment> for v1::CaseAssignment {
    fn from(assignment: &Assignment) -> Self {
        let lease = Lease { key: assignment.key.clone(), epoch: assignment.epoch };
        Self {
            lease: Some((&lease).into()),
            case_spec: Some((&assignment.case).into()),
            start_ns: assignment.start.0,
            keep_text: assignment.keep_text,
            seed: assignment.seed,
        }
    }
}

fn cancel(m: v1::Cancel) -> Checked<Cancel> {
    Ok(Cancel { lease: required("lease", m.lease)?, reason: text("reason", m.reason, TEXT_MAX)? })
}

fn ack(m: v1::Ack) -> Checked<Ack> {
    use v1::ack::What;
    let what = match m.what {
        Some(What::Chunk(index)) => Acked::Chunk(index),
        Some(What::Stored(_)) => Acked::Stored,
        None => return Err(ConvertError::new("what", Problem::Missing)),
    };
    Ok(Ack { lease: required("lease", m.lease)?, what })
}

impl From<Ack> for v1::Ack {
    fn from(ack: Ack) -> Self {
        use v1::ack::What;
        let what = match ack.what {
            Acked::Chunk(index) => What::Chunk(index),
            Acked::Stored => What::Stored(v1::Stored {}),
        };
        Self { lease: Some((&ack.lease).into()), what: Some(what) }
    }
}
