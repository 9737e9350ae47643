//! Frames from agent to coordinator.

use bytes::Bytes;
use regatta_types::check::CheckOutcome;
use regatta_types::facts::{EngineFacts, HostFacts};
use regatta_types::gpu::{GpuInventory, GpuSample};
use regatta_types::ids::{BootId, HostId, InstanceId, RunId};
use regatta_types::reading::Reading;
use regatta_types::time::{MonoNs, UnixNs};

use crate::convert::checks;
use crate::error::{At, ConvertError, Problem};
use crate::field::{
    Checked, Numbered, cut, encoded, finite, instance, list, numbered, required, slug, text, within,
};
use crate::limits::{
    CHUNK_MAX, GPUS_MAX, HELD_MAX, NAME_MAX, REPORT_MAX, TEXT_MAX, UNACKNOWLEDGED_MAX,
};
use crate::v1;
use crate::version::Versions;
use regatta_types::assignment::Lease;

/// What an agent says. Any frame counts as a sign of life.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentFrame {
    /// Who is calling; always the first frame.
    Hello(Box<Hello>),
    /// Alive, and how far.
    Heartbeat(Heartbeat),
    /// Prepared, or unable to take part.
    Ready(Box<Ready>),
    /// The answer to a ping.
    ClockPong(ClockPong),
    /// The started marker is on disk; the first request is about to be sent.
    AttemptStarted(Lease),
    /// A slice of an attempt report.
    ReportChunk(ReportChunk),
    /// All slices have been sent.
    ReportEnd(ReportEnd),
    /// A polite leave, with its reason.
    Goodbye(String),
}

/// Who is calling, and what is left from before.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// The protocol versions it speaks.
    pub versions: Versions,
    /// The host's name.
    pub host: HostId,
    /// This start of the agent process.
    pub instance: InstanceId,
    /// This boot of the host.
    pub boot: BootId,
    /// Build version, for the report; never compared.
    pub version: String,
    /// The machine.
    pub facts: HostFacts,
    /// Its GPUs.
    pub gpus: Reading<GpuInventory>,
    /// Its engine; not available as long as none has been found.
    pub engine: Reading<EngineFacts>,
    /// A simulated host.
    pub simulated: bool,
    /// What is left from an earlier session.
    pub resume: Resume,
}

/// What an agent still has from an earlier session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The run it took part in.
    pub run: Option<RunId>,
    /// Attempts that are running now.
    pub held: Vec<Lease>,
    /// Reports in its outbox, oldest first; only the first [`UNACKNOWLEDGED_MAX`] are sent.
    pub unacknowledged: Vec<Lease>,
}

/// Alive, and how far.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Progress of the attempt in hand; all zero without one.
    pub counters: Counters,
    /// What the agent is doing.
    pub phase: AgentPhase,
    /// The last sample of every GPU, for display only.
    pub gpus: Vec<GpuReading>,
}

/// Progress of an attempt, for display and for the progress timer; never stored as a result.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counters {
    /// Requests that succeeded.
    pub done: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Output speed over the last few seconds, finite; `None`: nothing to tell.
    pub tokens_per_second: Option<f64>,
}

/// What an agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AgentPhase {
    /// Nothing.
    #[default]
    Idle,
    /// Warming up the engine for a run.
    EngineWarmup,
    /// It holds an assignment whose start instant has not come.
    Waiting,
    /// Sending requests.
    Measuring,
    /// Sending reports.
    Uploading,
}

numbered!(AgentPhase = v1::AgentPhase { Idle, EngineWarmup, Waiting, Measuring, Uploading });

/// One GPU's newest sample.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuReading {
    /// The GPU.
    pub uuid: String,
    /// The sample.
    pub sample: GpuSample,
}

/// The host is prepared, or cannot take part.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// The run.
    pub run: RunId,
    /// As the preparation gave it.
    pub suite_hash: String,
    /// The engine as seen now.
    pub engine: Reading<EngineFacts>,
    /// The GPUs as seen now.
    pub gpus: Reading<GpuInventory>,
    /// Why the host cannot take part; `None`: it is ready.
    pub refused: Option<String>,
    /// Preflight checks, each at most once; empty from an agent of an earlier version.
    pub checks: Vec<CheckOutcome>,
}

/// The answer to a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockPong {
    /// As the ping gave it.
    pub id: u32,
    /// As the ping gave it: the coordinator's clock.
    pub t0: MonoNs,
    /// When the ping was read, agent's clock.
    pub t1: MonoNs,
    /// When the pong was written, agent's clock.
    pub t2: MonoNs,
    /// The agent's wall clock at `t2`.
    pub unix: UnixNs,
}

/// A slice of an encoded attempt report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportChunk {
    /// The attempt.
    pub lease: Lease,
    /// From 0, without gaps.
    pub index: u32,
    /// 1 byte to [`CHUNK_MAX`].
    pub data: Bytes,
}

/// All slices have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportEnd {
    /// The attempt.
    pub lease: Lease,
    /// Number of slices.
    pub chunks: u32,
    /// Bytes in all, at most [`REPORT_MAX`].
    pub total_bytes: u64,
    /// SHA-256 of all bytes.
    pub sha256: [u8; 32],
}

impl TryFrom<v1::AgentFrame> for AgentFrame {
    type Error = ConvertError;
    fn try_from(m: v1::AgentFrame) -> Checked<Self> {
        use v1::agent_frame::Frame;
        match m.frame.ok_or_else(|| ConvertError::new("frame", Problem::Missing))? {
            Frame::Hello(m) => Hello::try_from(m).at("hello").map(Box::new).map(Self::Hello),
            Frame::Heartbeat(m) => Heartbeat::try_from(m).at("heartbeat").map(Self::Heartbeat),
            Frame::Ready(m) => Ready::try_from(m).at("ready").map(Box::new).map(Self::Ready),
            Frame::ClockPong(m) => Ok(Self::ClockPong(m.into())),
            Frame::AttemptStarted(m) => {
                required("lease", m.lease).at("attempt_started").map(Self::AttemptStarted)
            }
            Frame::ReportChunk(m) => report_chunk(m).at("report_chunk").map(Self::ReportChunk),
            Frame::ReportEnd(m) => report_end(m).at("report_end").map(Self::ReportEnd),
            Frame::Goodbye(m) => {
                text("reason", m.reason, TEXT_MAX).at("goodbye").map(Self::Goodbye)
            }
        }
    }
}

impl From<AgentFrame> for v1::AgentFrame {
    fn from(frame: AgentFrame) -> Self {
        use v1::agent_frame::Frame;
        let frame = match frame {
            AgentFrame::Hello(hello) => Frame::Hello((*hello).into()),
            AgentFrame::Heartbeat(heartbeat) => Frame::Heartbeat(heartbeat.into()),
            AgentFrame::Ready(ready) => Frame::Ready((*ready).into()),
            AgentFrame::ClockPong(pong) => Frame::ClockPong(pong.into()),
            AgentFrame::AttemptStarted(lease) => {
                Frame::AttemptStarted(v1::AttemptStarted { lease: Some((&lease).into()) })
            }
            AgentFrame::ReportChunk(chunk) => Frame::ReportChunk(v1::ReportChunk {
                lease: Some((&chunk.lease).into()),
                index: chunk.index,
                data: chunk.data,
            }),
            AgentFrame::ReportEnd(end) => Frame::ReportEnd(v1::ReportEnd {
                lease: Some((&end.lease).into()),
                chunks: end.chunks,
                total_bytes: end.total_bytes,
                sha256: end.sha256.to_vec(),
            }),
            AgentFrame::Goodbye(reason) => {
                Frame::Goodbye(v1::Goodbye { reason: cut(&reason, TEXT_MAX) })
            }
        };
        Self { frame: Some(frame) }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = ConvertError;
    fn try_from(m: v1::Hello) -> Checked<Self> {
        let min = within("protocol_min", m.protocol_min, 1.., "at least 1")?;
        let max = within("protocol_max", m.protocol_max, min.., "at least protocol_min")?;
        Ok(Self {
            versions: Versions { min, max },
            host: slug("host", m.host)?,
            instance: instance("instance", &m.instance)?,
            boot: BootId(text("boot", m.boot, NAME_MAX)?),
            version: text("version", m.version, NAME_MAX)?,
            facts: required("facts", m.facts)?,
            gpus: required("gpus", m.gpus)?,
            engine: required("engine", m.engine)?,
            simulated: m.simulated,
            resume: m.resume.map(resume).transpose().at("resume")?.unwrap_or_default(),
        })
    }
}

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        let resume = (hello.resume != Resume::default()).then(|| v1::Resume {
            run: hello.resume.run.map(String::from),
            held: encoded(&hello.resume.held),
            unacknowledged: hello
                .resume
                .unacknowledged
                .iter()
                .take(UNACKNOWLEDGED_MAX)
                .map(Into::into)
                .collect(),
        });
        Self {
            protocol_min: hello.versions.min,
            protocol_max: hello.versions.max,
            host: hello.host.into(),
            instance: hello.instance.to_string(),
            boot: cut(&hello.boot.0, NAME_MAX),
            version: cut(&hello.version, NAME_MAX),
            facts: Some((&hello.facts).into()),
            gpus: Some((&hello.gpus).into()),
            engine: Some((&hello.engine).into()),
            simulated: hello.simulated,
            resume,
        }
    }
}

fn resume(m: v1::Resume) -> Checked<Resume> {
    Ok(Resume {
        run: m.run.map(|run| slug("run", run)).transpose()?,
        held: list("held", m.held, HELD_MAX)?,
        unacknowledged: list("unacknowledged", m.unacknowledged, UNACKNOWLEDGED_MAX)?,
    })
}

impl TryFrom<v1::Heartbeat> for Heartbeat {
    type Error = ConvertError;
    fn try_from(m: v1::Heartbeat) -> Checked<Self> {
        Ok(Self {
            counters: required("counters", m.counters)?,
            phase: AgentPhase::read("phase", m.phase)?,
            gpus: list("gpus", m.gpus, GPUS_MAX)?,
        })
    }
}

impl From<Heartbeat> for v1::Heartbeat {
    fn from(heartbeat: Heartbeat) -> Self {
        let Counters { done, failed, tokens_per_second } = heartbeat.counters;
        Self {
            counters: Some(v1::Counters { done, failed, tokens_per_second }),
            phase: heartbeat.phase.number(),
            gpus: encoded(&heartbeat.gpus),
        }
    }
}

impl TryFrom<v1::Counters> for Counters {
    type Error = ConvertError;
    fn try_from(m: v1::Counters) -> Checked<Self> {
        Ok(Self {
            done: m.done,
            failed: m.failed,
            tokens_per_second: m
                .tokens_per_second
                .map(|speed| finite("tokens_per_second", speed))
                .transpose()?,
        })
    }
}

impl TryFrom<v1::GpuReading> for GpuReading {
    type Error = ConvertError;
    fn try_from(m: v1::GpuReading) -> Checked<Self> {
        Ok(Self { uuid: text("uuid", m.uuid, NAME_MAX)?, sample: required("sample", m.sample)? })
    }
}

impl From<&GpuReading> for v1::GpuReading {
    fn from(reading: &GpuReading) -> Self {
        Self { uuid: cut(&reading.uuid, NAME_MAX), sample: Some((&reading.sample).into()) }
    }
}

impl TryFrom<v1::Ready> for Ready {
    type Error = ConvertError;
    fn try_from(m: v1::Ready) -> Checked<Self> {
        Ok(Self {
            run: slug("run", m.run)?,
            suite_hash: text("suite_hash", m.suite_hash, NAME_MAX)?,
            engine: required("engine", m.engine)?,
            gpus: required("gpus", m.gpus)?,
            refused: m.refused.map(|why| text("refused", why, TEXT_MAX)).transpose()?,
            checks: checks("checks", m.checks)?,
        })
    }
}

impl From<Ready> for v1::Ready {
    fn from(ready: Ready) -> Self {
        Self {
            run: ready.run.into(),
            suite_hash: ready.suite_hash,
            engine: Some((&ready.engine).into()),
            gpus: Some((&ready.gpus).into()),
            refused: ready.refused.as_deref().map(|why| cut(why, TEXT_MAX)),
            checks: encoded(&ready.checks),
        }
    }
}

impl From<v1::ClockPong> for ClockPong {
    fn from(m: v1::ClockPong) -> Self {
        Self {
            id: m.id,
            t0: MonoNs(m.t0_ns),
            t1: MonoNs(m.t1_ns),
            t2: MonoNs(m.t2_ns),
            unix: UnixNs(m.unix_ns),
        }
    }
}

impl From<ClockPong> for v1::ClockPong {
    fn from(pong: ClockPong) -> Self {
        Self {
            id: pong.id,
            t0_ns: pong.t0.0,
            t1_ns: pong.t1.0,
            t2_ns: pong.t2.0,
            unix_ns: pong.unix.0,
        }
    }
}

fn report_chunk(m: v1::ReportChunk) -> Checked<ReportChunk> {
    within("data", m.data.len(), 1..=CHUNK_MAX, "1 byte to 64 KiB long")?;
    Ok(ReportChunk { lease: required("lease", m.lease)?, index: m.index, data: m.data })
}

fn report_end(m: v1::ReportEnd) -> Checked<ReportEnd> {
    let max = u64::try_from(REPORT_MAX).unwrap_or(u64::MAX);
    Ok(ReportEnd {
        lease: required("lease", m.lease)?,
        chunks: m.chunks,
        total_bytes: within("total_bytes", m.total_bytes, ..=max, "at most 256 MiB")?,
        sha256: m.sha256.try_into().map_err(|_| ConvertError::new("sha256", Problem::Sha256))?,
    })
}
