//! Whole runs from a few words, for tests and for looking at a sample report.
//!
//! Values are made up from the names by hashing, so that the same words give the same run.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::attempt::AttemptReport;
use crate::engine::{EngineSample, EngineWatch, EngineWindow};
use crate::event::{Disposition, MissingReason};
use crate::facts::{
    EndpointLocation, EngineFacts, EngineProcess, EngineSettings, HostDetails, HostFacts,
};
use crate::gpu::{GpuFacts, GpuInventory};
use crate::ids::{
    AttemptKey, AttemptNo, BootId, CaseId, CellKey, Epoch, HostId, Repetition, RunId,
};
use crate::reading::Reading;
use crate::record::{AttemptRecord, ExpectedHosts, HostRecord, RunHeader, RunRecord};
use crate::suite::{
    self, Arrivals, Case, Length, Load, Message, Prompt, Ramp, Role, StartMode, Suite, Sweep,
};
use crate::time::{ClockAnchor, ClockOffset, MonoNs, UnixNs};
use crate::trace::{Phase, RequestTrace};
use crate::units::Bytes;
use sha2::{Digest, Sha256};

use super::gpu::{board, gpu_window};
use super::trace::{Timing, trace};
use super::{case, header, report, suite};

/// When the made-up runs begin: 2026-11-24 12:00:00 UTC.
const BEGIN: UnixNs = UnixNs(1_795_521_600_000_000_000);

/// A host and what it does.
#[must_use]
#[derive(Debug, Clone)]
pub struct TestHost {
    /// Its name, from which other values follow.
    pub name: HostId,
    /// Time to first token, milliseconds.
    pub ttft_ms: f64,
    /// Time per token, milliseconds.
    pub token_ms: f64,
    /// Scatter of both between repetitions, as a share (uniform, plus or minus).
    pub noise: f64,
    /// Streams from which on more of them only share what there is.
    pub saturates_at: u32,
    /// How much longer it takes for a token when all hosts run at once, as a share.
    pub contended: f64,
    /// Engine version.
    pub version: String,
}

impl TestHost {
    /// A host that takes 180 ms to the first token and 24 ms a token, within 0.5 %.
    ///
    /// # Panics
    /// When `name` is not a host name.
    pub fn new(name: &str) -> Self {
        Self {
            name: HostId::new(name).expect("a valid host name"),
            ttft_ms: 180.0,
            token_ms: 24.0,
            noise: 0.005,
            saturates_at: u32::MAX,
            contended: 0.0,
            version: "0.15.1".to_owned(),
        }
    }

    /// The same host, generating more slowly by this share of the time per token.
    pub fn slower_by(mut self, share: f64) -> Self {
        self.token_ms *= 1.0 + share;
        self
    }

    /// The same host, generating more slowly by this share of the time per token when all run at once.
    pub fn contended_by(mut self, share: f64) -> Self {
        self.contended = share;
        self
    }

    fn record(&self, index: u32) -> HostRecord {
        let slope = i64::from(index) * 1_837_000;
        let machine_id = &hex::encode(Sha256::digest(self.name.as_str()))[..16];
        HostRecord {
            host: self.name.clone(),
            facts: Some(HostFacts {
                hostname: self.name.to_string(),
                kernel: known("6.12.9-amd64"),
                distribution: known("Debian GNU/Linux 13 (trixie)"),
                cpu_model: known("AMD Ryzen Threadripper PRO 9975WX"),
                cpus: Reading::Known(64),
                memory_total: Reading::Known(Bytes(256 << 30)),
                agent_version: "0.1.0".to_owned(),
                details: HostDetails {
                    machine_id: known(machine_id),
                    cores: Reading::Known(32),
                    governor: known("performance"),
                    numa_nodes: Reading::Known(1),
                    container: known("none"),
                    clock_source: known("tsc"),
                    clock_synchronised: Reading::Known(true),
                    disk_free: Reading::Known(Bytes((400 + u64::from(index)) << 30)),
                },
            }),
            gpus: Reading::Known(GpuInventory {
                driver: known("580.126.09"),
                cuda_driver: known("13.0"),
                gpus: vec![GpuFacts {
                    index: 0,
                    uuid: gpu_uuid(&self.name),
                    name: known("NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
                    pci_bus_id: known("00000000:01:00.0"),
                    memory_total: Reading::Known(Bytes(97_887 << 20)),
                    power_limit_w: Reading::Known(600.0),
                    power_limit_default_w: Reading::missing("not supported by this board"),
                    board: Some(board()),
                }],
            }),
            engine: Reading::Known(EngineFacts {
                engine: known("vllm"),
                version: known(&self.version),
                model: "example/Coder-30B-A3B-FP8".to_owned(),
                context_length: Reading::Known(32_768),
                quantization: Reading::missing("not reported by the engine"),
                fixed_length: Some(true),
                location: EndpointLocation::Loopback { port: 8000 },
                socket: None,
                settings: EngineSettings {
                    kv_dtype: known("auto"),
                    prefix_cache: Reading::Known(true),
                    speculative: known("none"),
                    flags: Reading::Known(vec!["--max-num-seqs 64".to_owned()]),
                    slots: Reading::Known(64),
                },
                process: EngineProcess::default(),
            }),
            clocks: vec![ClockOffset {
                offset_ns: slope,
                bound_ns: 120_000,
                wall_offset_ns: slope / 2,
                pings: 32,
                at: MonoNs(1_000_000_000),
            }],
            refused: None,
            simulated: false,
            checks: Vec::new(),
        }
    }
}

fn known(text: &str) -> Reading<String> {
    Reading::Known(text.to_owned())
}

pub(super) fn gpu_uuid(host: &HostId) -> String {
    format!("GPU-{host}")
}

/// A run in the making.
#[must_use]
#[derive(Debug, Clone)]
pub struct RunBuilder {
    hosts: Vec<TestHost>,
    cases: Vec<Case>,
    start: StartMode,
    /// Measured requests of each attempt.
    pub requests: u32,
    /// Keep a text with every answer.
    pub keep_text: bool,
    /// What the model reads for one token.
    pub active_weights: Option<Bytes>,
}

impl RunBuilder {
    /// Cases with these titles (the ids follow from them), each `repetitions` times.
    ///
    /// # Panics
    /// When a title makes no case id.
    pub fn new(titles: &[&str], repetitions: u32) -> Self {
        let cases = titles.iter().zip(0..).map(|(title, index)| {
            let content = format!("Write about {title}.");
            let max_tokens = [120, 160, 200][index % 3];
            Case {
                title: (*title).to_owned(),
                prompt: Prompt::Messages(vec![Message { role: Role::User, content }]),
                max_tokens,
                min_max_tokens: max_tokens,
                length: Length::Fixed,
                seed: Some(7),
                repetitions,
                ..case(&title.to_lowercase().replace(' ', "-"))
            }
        });
        Self {
            hosts: Vec::new(),
            cases: cases.collect(),
            start: StartMode::Together,
            requests: 1,
            keep_text: false,
            active_weights: None,
        }
    }

    /// Adds a host.
    pub fn host(mut self, host: TestHost) -> Self {
        self.hosts.push(host);
        self
    }

    /// Adds this many hosts, `gpu-01` and so on.
    pub fn fleet(self, hosts: u32) -> Self {
        self.fleet_of(hosts, |_, host| host)
    }

    /// Adds this many hosts, `gpu-01` and so on, each changed by `change` according to its number.
    pub fn fleet_of(self, hosts: u32, change: impl Fn(u32, TestHost) -> TestHost) -> Self {
        let host = |n| change(n, TestHost::new(&format!("gpu-{n:02}")));
        (1..=hosts).fold(self, |run, n| run.host(host(n)))
    }

    /// This many measured requests in every attempt.
    pub fn requests(mut self, requests: u32) -> Self {
        self.requests = requests;
        self
    }

    /// This many tokens in every answer.
    pub fn tokens(self, tokens: u32) -> Self {
        self.each_case(|case| (case.max_tokens, case.min_max_tokens) = (tokens, tokens))
    }

    fn each_case(mut self, change: impl FnMut(&mut Case)) -> Self {
        self.cases.iter_mut().for_each(change);
        self
    }

    /// This many streams at once in every case.
    pub fn concurrency(self, streams: u32) -> Self {
        self.each_case(|case| case.load = Load::Closed { streams, ramp: Ramp::None })
    }

    /// One sweep over these numbers of streams, instead of the cases.
    pub fn levels(mut self, streams: &[u32]) -> Self {
        let of = CaseId::new("load").expect("a valid case id");
        let level = |(&streams, level): (&u32, u32)| Case {
            id: CaseId::new(format!("load.c{streams}")).expect("a valid case id"),
            title: format!("Load, {streams} streams"),
            load: Load::Closed { streams, ramp: Ramp::None },
            sweep: Some(Sweep { of: of.clone(), level }),
            ..self.cases[0].clone()
        };
        self.cases = streams.iter().zip(0..).map(level).collect();
        self
    }

    /// Started in this mode; call it after what shapes the cases.
    ///
    /// # Panics
    /// If the id of a solo counterpart is taken.
    pub fn start(mut self, mode: StartMode) -> Self {
        self.start = mode;
        if mode == StartMode::Both {
            self.cases = self.suite().with_solo_twins().expect("ids that are free").cases;
        }
        self
    }

    fn suite(&self) -> Suite {
        Suite {
            description: "A short look at every host.".to_owned(),
            active_weights: self.active_weights,
            ..suite(self.cases.clone())
        }
    }

    /// This many requests a second in every case, each to have its first token within `ttft`.
    pub fn rate(self, rate: f64, ttft: Duration) -> Self {
        self.each_case(|case| {
            case.load = Load::Open { rate, arrivals: Arrivals::Constant, max_in_flight: 64 };
            case.slo.ttft = Some(ttft);
        })
    }

    /// The record of the run: every cell counted.
    pub fn build(&self) -> WholeRun {
        let count = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let mut attempts = Vec::new();
        for (host, index) in self.hosts.iter().zip(0..) {
            attempts.push(self.engine_warmup(host, index));
            let mut block = 0;
            for repetition in 1..=self.cases[0].repetitions {
                for case in &self.cases {
                    block += 1;
                    attempts.push(self.attempt(host, case, Slot { index, repetition, block }));
                }
            }
        }
        attempts.sort_by(|a, b| a.report.key.cmp(&b.report.key));
        let record = RunRecord {
            header: RunHeader {
                run: run_id(),
                suite: self.suite(),
                seed: 42,
                created: BEGIN,
                start: self.start,
                stagger: (self.start == StartMode::Staggered).then_some(Duration::from_secs(1)),
                expected: ExpectedHosts::Count(count),
                keep_text: self.keep_text,
                command: format!("regatta run quick --expect {count}"),
                ..header(Vec::new())
            },
            sealed: Some(UnixNs(BEGIN.0 + 240_000_000_000)),
            hosts: self.hosts.iter().zip(0..).map(|(h, i)| h.record(i)).collect(),
            absent: 0,
            redacted: false,
            skipped: Vec::new(),
            missing: Vec::new(),
            events: Vec::new(),
        };
        WholeRun { record, attempts }
    }

    fn engine_warmup(&self, host: &TestHost, index: u32) -> AttemptRecord {
        let slot = Slot { index, repetition: 0, block: 0 };
        let begin = slot.begin();
        let cold = host.ttft_ms + 2_400.0;
        let traces = [cold, host.ttft_ms, host.ttft_ms].into_iter().zip(0..).map(|(ttft, seq)| {
            let at = begin.after(Duration::from_secs(u64::from(seq) * 5));
            let pace = Timing { ttft_ms: ttft, token_ms: host.token_ms, tokens: 64 };
            trace(seq, Phase::Warmup, at, pace)
        });
        let case = CaseId::engine_warmup();
        attempt(host, &case, slot, Disposition::EngineWarmup, traces.collect())
    }

    fn attempt(&self, host: &TestHost, case: &Case, slot: Slot) -> AttemptRecord {
        let pace = |seq| {
            let spread = 1.0 + host.noise * scatter(&host.name, &case.id, slot.repetition, seq);
            let streams = case.concurrency().unwrap_or(1).max(host.saturates_at);
            let share = f64::from(streams) / f64::from(host.saturates_at);
            let alone = self.start.pace(case) == suite::Pace::Solo;
            let share = if alone { share } else { share * (1.0 + host.contended) };
            Timing {
                ttft_ms: host.ttft_ms * spread,
                token_ms: host.token_ms * spread * share,
                tokens: case.max_tokens,
            }
        };
        let mut traces = Vec::new();
        let mut free = vec![slot.begin(); usize::try_from(case.in_flight_max()).unwrap_or(1)];
        for seq in 0..self.requests {
            let stream = usize::try_from(seq).unwrap_or(0) % free.len();
            let due = match case.load {
                Load::Open { rate, .. } => {
                    let since = Duration::from_secs_f64(f64::from(seq) / rate);
                    Some(slot.begin().after(since))
                }
                Load::Closed { .. } => None,
            };
            let at = due.map_or(free[stream], |due| due.after(Duration::from_millis(1)));
            let mut one = trace(seq, Phase::Measured, at, pace(seq));
            one.scheduled = due;
            one.stream = seq % case.in_flight_max();
            free[stream] = one.done.unwrap_or(free[stream]);
            if self.keep_text {
                one.answer.text =
                    Some(format!("# {}\n\n```rust\nfn main() {{}}\n```\n", case.title));
            }
            traces.push(one);
        }
        attempt(host, &case.id, slot, Disposition::Counted, traces)
    }
}

/// Where in the run an attempt lies.
#[derive(Debug, Clone, Copy)]
struct Slot {
    index: u32,
    repetition: u32,
    block: u64,
}

impl Slot {
    fn begin(self) -> MonoNs {
        let shift = u64::from(self.index) * 1_837_000;
        MonoNs(100_000_000_000 + self.block * 10_000_000_000 + shift)
    }
}

/// -1 to 1, from the names.
fn scatter(host: &HostId, case: &CaseId, repetition: u32, seq: u32) -> f64 {
    let hash = Sha256::digest(format!("{host}/{case}/{repetition}/{seq}"));
    let number = u16::from_be_bytes([hash[0], hash[1]]);
    f64::from(number) / 32_767.5 - 1.0
}

fn attempt(
    host: &TestHost,
    case: &CaseId,
    slot: Slot,
    disposition: Disposition,
    traces: Vec<RequestTrace>,
) -> AttemptRecord {
    let began = slot.begin();
    let finished = traces.iter().filter_map(|t| t.done).max().unwrap_or(began);
    let late = Duration::from_micros(40 + 25 * u64::from(slot.index));
    let (host_id, repetition) = (host.name.clone(), Repetition(slot.repetition));
    let cell = CellKey { host: host_id, case: case.clone(), repetition };
    AttemptRecord {
        disposition,
        report: AttemptReport {
            boot: BootId("8a4f".to_owned()),
            anchor: ClockAnchor { mono: MonoNs(0), unix: BEGIN },
            planned_start: (!case.is_engine_warmup()).then_some(began),
            began: began.after(late),
            finished,
            traces,
            gpu: gpu_window(host, began, finished),
            engine: engine_watch(began, finished),
            ..report(AttemptKey { run: run_id(), cell, attempt: AttemptNo(1) }, Epoch(1))
        },
    }
}

fn run_id() -> RunId {
    RunId::new("2026-11-24-quick-7f3a").expect("a valid run id")
}

/// An engine that tells its metrics and is the same throughout, as far as anyone asked.
fn engine_watch(began: MonoNs, finished: MonoNs) -> EngineWatch {
    let sample = |at: MonoNs, requests: f64, running: f64| EngineSample {
        at,
        running: Some(running),
        waiting: Some(0.0),
        kv_use: Some(0.02),
        prefix_queries: Some(4_000.0 + 96.0 * requests),
        prefix_hits: Some(0.0),
        preemptions: Some(0.0),
        queue_s: Some(0.25 + 0.000_4 * requests),
        queued: Some(40.0 + requests),
        drafted: None,
        accepted: None,
    };
    // One request a second, so that no counter is lower than in an attempt before.
    let before = began.since(MonoNs(0)).as_secs_f64().floor();
    let samples = vec![sample(began, before, 0.0), sample(finished, before + 1.0, 1.0)];
    let metrics = EngineWindow { samples: Reading::Known(samples), period_ms: 1_000, failed: 0 };
    EngineWatch { metrics, ..EngineWatch::default() }
}

/// Takes the counted attempts of some cells away and notes them as missing.
pub fn lose(run: &mut WholeRun, reason: &MissingReason, lost: impl Fn(&CellKey) -> bool) {
    let (gone, kept): (Vec<AttemptRecord>, Vec<AttemptRecord>) = std::mem::take(&mut run.attempts)
        .into_iter()
        .partition(|a| a.disposition == Disposition::Counted && lost(&a.report.key.cell));
    run.attempts = kept;
    run.missing.extend(gone.into_iter().map(|a| (a.report.key.cell, reason.clone())));
}

/// A run with its attempts, wholly in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeRun {
    /// All of it but the attempts.
    pub record: RunRecord,
    /// In any order.
    pub attempts: Vec<AttemptRecord>,
}

impl Deref for WholeRun {
    type Target = RunRecord;

    fn deref(&self) -> &RunRecord {
        &self.record
    }
}

impl DerefMut for WholeRun {
    fn deref_mut(&mut self) -> &mut RunRecord {
        &mut self.record
    }
}
