//! Claims about the state machine, driven without a runtime.

use std::time::Duration;

use regatta_types::assignment::{EngineWarmup, Lease};
use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::event::{Disposition, EventKind, MissingReason};
use regatta_types::facts::{EndpointLocation, EngineFacts, EngineProcess, EngineSettings};
use regatta_types::ids::{AttemptKey, BootId, CaseId, Epoch, HostId, InstanceId, RunId};
use regatta_types::reading::Reading;
use regatta_types::record::{ExpectedHosts, RunHeader};
use regatta_types::suite::{Case, Length, Load, Ramp, StartMode};
use regatta_types::testing;
use regatta_types::time::{ClockOffset, MonoNs};
use tokio::time::Instant;

use super::*;

mod launching;
mod preparing;
mod random;
mod returning;
mod starting;
mod sweeps;

/// A run and the time, moved by hand; what every input led to.
struct Bench {
    state: RunState,
    now: Now,
    log: Vec<Effect>,
}

const STAGGER: Duration = Duration::from_secs(3);
const CASES: usize = 2;
const REPETITIONS: u32 = 2;

fn case(id: &str) -> Case {
    Case { repetitions: REPETITIONS, ..testing::case(id) }
}

fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

impl Bench {
    fn new(expected: ExpectedHosts) -> Self {
        Self::with(expected, RunPolicy::default())
    }

    fn with(expected: ExpectedHosts, policy: RunPolicy) -> Self {
        Self::of(vec![case("a"), case("b")], expected, policy)
    }

    fn of(cases: Vec<Case>, expected: ExpectedHosts, policy: RunPolicy) -> Self {
        Self::started(StartMode::Together, cases, expected, policy)
    }

    fn started(
        start: StartMode,
        cases: Vec<Case>,
        expected: ExpectedHosts,
        policy: RunPolicy,
    ) -> Self {
        let stagger = (start == StartMode::Staggered).then_some(STAGGER);
        let header = RunHeader { start, stagger, expected, ..testing::header(cases) };
        let now = Now { instant: Instant::now(), mono: MonoNs(1_000_000_000) };
        let orders =
            Orders { model: None, engine_warmup: EngineWarmup::Requests(1), check_only: false };
        let (state, log) = RunState::new(header, orders, policy, now);
        Self { state, now, log }
    }

    fn input(&mut self, input: Input) {
        let effects = self.state.apply(self.now, input);
        self.log.extend(effects);
    }

    /// Lets time pass, waking at every deadline; `alive` sessions beat each second.
    fn pass(&mut self, time: Duration, alive: &[u64]) {
        let end = self.now.instant + time;
        while self.now.instant < end {
            let step = Duration::from_secs(1).min(end - self.now.instant);
            self.now.instant += step;
            self.now.mono = self.now.mono.after(step);
            for &session in alive {
                self.input(Input::Beat {
                    session: SessionId(session),
                    progress: Progress::default(),
                });
            }
            if self.state.next_deadline().is_some_and(|at| at <= self.now.instant) {
                self.input(Input::Tick);
            }
        }
    }

    fn joining(name: &str, instance: u128) -> Joining {
        Joining {
            host: host(name),
            instance: InstanceId::from_u128(instance),
            boot: BootId("boot".to_owned()),
            facts: testing::facts(name),
            gpus: Reading::missing("test"),
            engine: Reading::missing("test"),
            simulated: false,
            held: Vec::new(),
            pending: Vec::new(),
        }
    }

    fn join(&mut self, session: u64, name: &str) {
        let joining = Box::new(Self::joining(name, session.into()));
        self.input(Input::Joined { session: SessionId(session), joining });
    }

    fn clock(&mut self, session: u64) {
        let offset = ClockOffset {
            offset_ns: 5,
            bound_ns: 1_000,
            wall_offset_ns: 0,
            pings: 8,
            at: self.now.mono,
        };
        self.input(Input::Clock { session: SessionId(session), offset: Some(offset) });
    }

    /// It is ready, or has found no engine.
    fn prepared(&mut self, session: u64, refused: Option<&str>) {
        let engine = match refused {
            None => Self::engine(),
            Some(why) => Reading::missing(why),
        };
        self.input(Input::Prepared {
            session: SessionId(session),
            engine: Box::new(engine),
            gpus: Reading::missing("test"),
            refused: refused.map(str::to_owned),
            checks: Vec::new(),
        });
    }

    fn engine() -> Reading<EngineFacts> {
        Reading::Known(EngineFacts {
            engine: Reading::missing("test"),
            version: Reading::missing("test"),
            model: "m".to_owned(),
            context_length: Reading::missing("test"),
            quantization: Reading::missing("test"),
            fixed_length: None,
            location: EndpointLocation::Loopback { port: 1 },
            socket: None,
            settings: EngineSettings::default(),
            process: EngineProcess::default(),
        })
    }

    fn ready(&mut self, session: u64, name: &str) {
        self.join(session, name);
        self.clock(session);
        self.prepared(session, None);
    }

    /// The last cell leased to a host.
    fn lease(&self, name: &str) -> Option<(AttemptKey, Epoch, MonoNs)> {
        self.log.iter().rev().find_map(|effect| match effect {
            Effect::Assign { assignment, .. } if assignment.key.cell.host == host(name) => {
                Some((assignment.key.clone(), assignment.epoch, assignment.start))
            }
            _ => None,
        })
    }

    fn leases(&self, name: &str) -> usize {
        let to = |effect: &&Effect| matches!(effect, Effect::Assign { assignment, .. } if assignment.key.cell.host == host(name));
        self.log.iter().filter(to).count()
    }

    fn report_of(
        &self,
        session: u64,
        lease: (AttemptKey, Epoch),
        outcome: AttemptOutcome,
    ) -> AttemptReport {
        AttemptReport {
            instance: InstanceId::from_u128(session.into()),
            outcome,
            began: self.now.mono,
            finished: self.now.mono,
            ..testing::report(lease.0, lease.1)
        }
    }

    /// The last report that went to the store.
    fn stored(&self) -> Option<StoredAttempt> {
        self.log.iter().rev().find_map(|effect| match effect {
            Effect::StoreAttempt { stored, .. } => Some(stored.clone()),
            _ => None,
        })
    }

    /// Hands over a report for the lease of `name` and stores it; returns its disposition.
    fn finish_with(
        &mut self,
        session: u64,
        lease: (AttemptKey, Epoch),
        outcome: AttemptOutcome,
    ) -> Disposition {
        let report = self.report_of(session, lease, outcome);
        self.hand_over(session, report)
    }

    /// Hands over a report and stores it; returns its disposition.
    fn hand_over(&mut self, session: u64, report: AttemptReport) -> Disposition {
        self.input(Input::Report {
            session: SessionId(session),
            report: Box::new(report),
            bytes: Vec::new(),
        });
        let stored = self.stored().expect("a report is stored");
        let disposition = stored.disposition;
        self.input(Input::Stored { session: SessionId(session), stored });
        disposition
    }

    fn finish(&mut self, session: u64, name: &str) {
        let (key, epoch, _) = self.lease(name).expect("a lease");
        let disposition = self.finish_with(session, (key, epoch), AttemptOutcome::Completed);
        assert_eq!(disposition, Disposition::Counted);
        self.clock(session);
    }

    fn missing(&self) -> Vec<(String, MissingReason)> {
        self.log
            .iter()
            .filter_map(|effect| match effect {
                Effect::StoreMissing(cell, reason) => Some((cell.host.to_string(), reason.clone())),
                _ => None,
            })
            .collect()
    }

    fn end(&self) -> Option<(u32, u32)> {
        self.log.iter().find_map(|effect| match effect {
            Effect::Event(EventKind::RunFinished { counted, missing, .. }) => {
                Some((*counted, *missing))
            }
            _ => None,
        })
    }
}

const CELLS: usize = CASES * REPETITIONS as usize;

#[test]
fn two_hosts_start_every_cell_simultaneously_and_complete() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "one");
    assert_eq!(bench.leases("one"), 0, "nobody starts before all are ready");
    bench.ready(2, "two");
    for cell in 1..=CELLS {
        let (one, two) = (bench.lease("one").unwrap(), bench.lease("two").unwrap());
        assert_eq!(
            (&one.0.cell.case, one.0.cell.repetition),
            (&two.0.cell.case, two.0.cell.repetition)
        );
        assert_eq!(one.2, two.2, "the offsets are equal here, so the instants are");
        bench.finish(1, "one");
        assert_eq!(bench.leases("one"), cell, "the first waits for the second");
        bench.finish(2, "two");
    }
    assert_eq!(bench.end(), Some((8, 0)));
    assert!(bench.state.is_finished());
}

#[test]
fn a_slow_host_delays_the_others_only_at_the_barrier() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "fast");
    bench.ready(2, "slow");
    bench.finish(1, "fast");
    bench.pass(Duration::from_secs(9), &[1, 2]);
    assert_eq!(bench.leases("fast"), 1);
    bench.pass(Duration::from_secs(2), &[1, 2]);
    assert_eq!(bench.leases("fast"), 2);
}

#[test]
fn a_second_agent_with_the_same_name_is_refused_while_the_first_is_connected() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.join(1, "one");
    bench.join(2, "one");
    let refused = bench.log.iter().any(|effect| {
        matches!(effect, Effect::Refuse { session: SessionId(2), refusal: Refusal::NameTaken(why) } if why.contains("already connected"))
    });
    assert!(refused);
}

#[test]
fn only_named_hosts_can_join() {
    let mut bench = Bench::new(ExpectedHosts::Named(vec![host("one")]));
    bench.join(1, "stranger");
    assert!(matches!(bench.log.last(), Some(Effect::Refuse { .. })));
    bench.ready(2, "one");
    assert_eq!(bench.leases("one"), 1);
}

#[test]
fn a_dead_host_is_lost_after_the_timeout_and_the_other_continues() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "good");
    bench.ready(2, "dead");
    let (attempt, ..) = bench.lease("dead").unwrap();
    bench.input(Input::Started { session: SessionId(2), attempt });
    bench.input(Input::Left {
        session: SessionId(2),
        disconnect: Disconnect::Lost("connection closed".to_owned()),
    });
    for _ in 0..CELLS {
        bench.finish(1, "good");
    }
    assert_eq!(bench.end(), None, "it may come back");
    bench.pass(Duration::from_secs(119), &[1]);
    assert_eq!(bench.end(), None);
    bench.pass(Duration::from_secs(6), &[1]);
    assert_eq!(bench.end(), Some((4, 4)));
    let missing = bench.missing();
    assert_eq!(missing.len(), CELLS);
    assert!(
        matches!(&missing[0].1, MissingReason::AgentLost { progress } if progress.contains("completed"))
    );
    assert_eq!(missing[1].1, MissingReason::AgentLost { progress: "not started".to_owned() });
}

#[test]
fn a_host_that_dies_while_preparing_blocks_the_others_until_it_is_lost() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "good");
    bench.join(2, "dead");
    bench.input(Input::Left {
        session: SessionId(2),
        disconnect: Disconnect::Lost("connection closed".to_owned()),
    });
    bench.pass(Duration::from_secs(115), &[1]);
    assert_eq!(bench.leases("good"), 0, "it may come back");
    bench.pass(Duration::from_secs(6), &[1]);
    assert_eq!(bench.leases("good"), 1);
    for _ in 0..CELLS {
        bench.finish(1, "good");
    }
    assert_eq!(bench.end(), Some((4, 4)));
}

#[test]
fn a_result_that_survived_a_lost_connection_counts() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    bench.input(Input::Started { session: SessionId(1), attempt: key.clone() });
    bench.input(Input::Left {
        session: SessionId(1),
        disconnect: Disconnect::Lost("reset".to_owned()),
    });
    bench.pass(Duration::from_secs(60), &[]);
    let mut joining = Bench::joining("one", 1);
    joining.held = vec![Lease { key: key.clone(), epoch }];
    bench.input(Input::Joined { session: SessionId(2), joining: Box::new(joining) });
    let kept = bench
        .log
        .iter()
        .any(|e| matches!(e, Effect::Accept { session: SessionId(2), keep } if keep.len() == 1));
    assert!(kept);
    assert_eq!(bench.leases("one"), 1, "nothing is repeated");
    assert_eq!(bench.finish_with(2, (key, epoch), AttemptOutcome::Completed), Disposition::Counted);
}

#[test]
fn a_restarted_agent_gets_a_new_attempt_and_the_old_one_is_recorded() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    bench.input(Input::Left {
        session: SessionId(1),
        disconnect: Disconnect::Lost("reset".to_owned()),
    });
    let mut joining = Bench::joining("one", 2);
    joining.pending = vec![Lease { key: key.clone(), epoch }];
    bench.input(Input::Joined { session: SessionId(2), joining: Box::new(joining) });
    assert_eq!(
        bench.finish_with(2, (key, epoch), AttemptOutcome::Interrupted),
        Disposition::Partial
    );
    bench.clock(2);
    assert_eq!(bench.leases("one"), 1, "a restarted agent prepares first");
    bench.prepared(2, None);
    let (second, second_epoch, _) = bench.lease("one").unwrap();
    assert_eq!(second.attempt.0, 2);
    assert!(second_epoch > epoch);
    assert_eq!(
        bench.finish_with(2, (second, second_epoch), AttemptOutcome::Failed("no".to_owned())),
        Disposition::Partial
    );
    assert!(
        matches!(&bench.missing()[..], [(_, MissingReason::AttemptFailed { .. })]),
        "two tries are the limit"
    );
}

#[test]
fn the_result_of_a_lost_agent_is_late() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    bench.pass(Duration::from_secs(130), &[]);
    assert_eq!(bench.finish_with(1, (key, epoch), AttemptOutcome::Completed), Disposition::Late);
    bench.pass(Duration::from_secs(5), &[]);
    assert_eq!(bench.end(), Some((0, 4)));
}

#[test]
fn a_short_silence_has_no_effect() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    bench.pass(Duration::from_secs(30), &[]);
    bench.pass(Duration::from_secs(1), &[1]);
    assert_eq!(bench.leases("one"), 1);
    assert_eq!(bench.finish_with(1, (key, epoch), AttemptOutcome::Completed), Disposition::Counted);
}

#[test]
fn the_first_interrupt_cancels_pending_cells_and_waits_for_running_ones() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    bench.input(Input::Cancel);
    assert!(bench.log.iter().any(|e| matches!(e, Effect::CancelAttempt { .. })));
    assert_eq!(bench.missing().len(), CELLS - 1);
    assert_eq!(bench.end(), None);
    assert_eq!(bench.finish_with(1, (key, epoch), AttemptOutcome::Cancelled), Disposition::Partial);
    bench.clock(1);
    assert_eq!(bench.end(), Some((0, 4)));
    assert_eq!(bench.leases("one"), 1);
}
