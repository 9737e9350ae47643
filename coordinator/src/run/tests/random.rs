//! Random events in a small fleet: the invariants hold for all events in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use regatta_types::ids::CellKey;
use regatta_types::suite;
use regatta_types::trace::RequestTrace;

use super::*;

/// One thing that may happen to one of three hosts.
#[derive(Debug, Clone)]
enum Step {
    Join {
        host: usize,
        restarted: bool,
    },
    Leave(usize),
    Clock(usize),
    Prepare {
        host: usize,
        refused: bool,
    },
    Begin(usize),
    End {
        host: usize,
        outcome: u8,
    },
    /// A cell goes all its way.
    Work(usize),
    /// Disk writes of reports complete.
    Flush,
    Pass {
        seconds: u64,
        alive: bool,
    },
    Cancel,
}

const NAMES: [&str; 3] = ["one", "two", "three"];

fn step() -> impl Strategy<Value = Step> {
    let host = 0..NAMES.len();
    prop_oneof![
        4 => (host.clone(), any::<bool>()).prop_map(|(host, restarted)| Step::Join { host, restarted }),
        1 => host.clone().prop_map(Step::Leave),
        6 => host.clone().prop_map(Step::Clock),
        6 => (host.clone(), 0..10_u8).prop_map(|(host, n)| Step::Prepare { host, refused: n == 0 }),
        3 => host.clone().prop_map(Step::Begin),
        10 => host.clone().prop_map(Step::Work),
        12 => (host, 0..8_u8).prop_map(|(host, outcome)| Step::End { host, outcome }),
        8 => Just(Step::Flush),
        4 => (1..15_u64, any::<bool>()).prop_map(|(seconds, alive)| Step::Pass { seconds, alive }),
        1 => (100..200_u64).prop_map(|seconds| Step::Pass { seconds, alive: false }),
        1 => Just(Step::Cancel),
    ]
}

/// What the world outside the state machine knows.
#[derive(Default)]
struct World {
    /// Session and instance of each host's agent, while connected.
    sessions: BTreeMap<usize, u64>,
    instances: BTreeMap<usize, u128>,
    next: u64,
    start: StartMode,
    /// Leases an agent was given and has not reported on.
    held: BTreeMap<usize, (AttemptKey, Epoch)>,
    writing: Vec<(u64, StoredAttempt)>,
    ends: BTreeMap<CellKey, &'static str>,
    epochs: BTreeMap<String, u64>,
    joined: BTreeSet<usize>,
    seen: usize,
    /// The requests of each case.
    traces: BTreeMap<CaseId, Vec<RequestTrace>>,
}

/// The cases with their requests: a sweep whose second level brings no more, and one case beside it.
fn traced(start: StartMode) -> Vec<(Case, Vec<RequestTrace>)> {
    let traces = |case: &Case| match &case.sweep {
        Some(_) => sweeps::requests(case.in_flight_max(), 100.0),
        None => Vec::new(),
    };
    let mut cases = sweeps::cases();
    if start == StartMode::Both {
        cases = testing::suite(cases).with_solo_twins().unwrap().cases;
    }
    cases.into_iter().map(|case| (case.clone(), traces(&case))).collect()
}

impl World {
    /// Reads the effects since the last look and checks what must hold of them.
    fn look(&mut self, bench: &Bench) {
        for effect in &bench.log[self.seen..] {
            match effect {
                Effect::Assign { session, assignment } => {
                    let key = &assignment.key;
                    let host = NAMES.iter().position(|n| *n == key.cell.host.as_str()).unwrap();
                    assert_eq!(
                        self.sessions.get(&host),
                        Some(&session.0),
                        "a lease goes to the host's own session"
                    );
                    assert!(
                        !self.ends.contains_key(&key.cell),
                        "{key} was leased after its cell's end"
                    );
                    let last = self.epochs.entry(key.cell.host.to_string()).or_default();
                    assert!(assignment.epoch.0 > *last, "epochs grow");
                    *last = assignment.epoch.0;
                    assert!(!self.held.contains_key(&host), "one assignment at a time: {key}");
                    self.look_alone(bench, host, &assignment.case);
                    self.held.insert(host, (key.clone(), assignment.epoch));
                }
                Effect::StoreMissing(cell, _) => {
                    let before = self.ends.insert(cell.clone(), "missing");
                    assert_eq!(before, None, "{cell} ended twice");
                }
                Effect::Event(EventKind::CellSkipped { cell, .. }) => {
                    let before = self.ends.insert(cell.clone(), "skipped");
                    assert_eq!(before, None, "{cell} ended twice");
                }
                Effect::StoreAttempt { session, stored, .. } => {
                    if stored.disposition == Disposition::Counted {
                        let before = self.ends.insert(stored.lease.key.cell.clone(), "counted");
                        assert_eq!(before, None, "{} ended twice", stored.lease.key);
                    }
                    self.writing.push((session.0, stored.clone()));
                }
                _ => {}
            }
        }
        self.seen = bench.log.len();
    }

    /// A host that must measure alone does so, among the hosts that are not lost.
    fn look_alone(&self, bench: &Bench, leased: usize, case: &Case) {
        let is_solo = |case: &Case| self.start.pace(case) == suite::Pace::Solo;
        let is_lost = |index: usize| bench.state.hosts[&host(NAMES[index])].link.is_lost();
        for (_, (key, _)) in self.held.iter().filter(|(other, _)| !is_lost(**other)) {
            let theirs = bench.state.header.suite.case(&key.cell.case).unwrap();
            let solo = is_solo(case) || is_solo(theirs);
            assert!(!solo, "{} is leased {} beside {key}", NAMES[leased], case.id);
        }
    }

    fn session(&self, host: usize) -> Option<SessionId> {
        self.sessions.get(&host).map(|s| SessionId(*s))
    }

    fn take(&mut self, bench: &mut Bench, step: &Step) {
        match *step {
            Step::Join { host, restarted } => self.join(bench, host, restarted),
            Step::Leave(host) => {
                if let Some(session) = self.sessions.remove(&host) {
                    bench.input(Input::Left {
                        session: SessionId(session),
                        disconnect: Disconnect::Lost("test".to_owned()),
                    });
                }
            }
            Step::Clock(host) => {
                if let Some(session) = self.session(host) {
                    bench.clock(session.0);
                }
            }
            Step::Prepare { host, refused } => {
                if let Some(session) = self.session(host) {
                    bench.prepared(session.0, refused.then_some("test"));
                }
            }
            Step::Begin(host) => {
                if let (Some(session), Some((attempt, _))) =
                    (self.session(host), self.held.get(&host))
                {
                    let attempt = attempt.clone();
                    bench.input(Input::Started { session, attempt });
                }
            }
            Step::End { host, outcome } => {
                if let (Some(session), Some(lease)) = (self.session(host), self.held.remove(&host))
                {
                    let outcome = match outcome {
                        0 => AttemptOutcome::Failed("test".to_owned()),
                        1 => AttemptOutcome::Interrupted,
                        _ => AttemptOutcome::Completed,
                    };
                    let mut report = bench.report_of(session.0, lease, outcome);
                    report.traces.clone_from(&self.traces[&report.key.cell.case]);
                    bench.input(Input::Report {
                        session,
                        report: Box::new(report),
                        bytes: Vec::new(),
                    });
                }
            }
            Step::Work(host) => {
                for step in [
                    Step::Begin(host),
                    Step::End { host, outcome: 7 },
                    Step::Flush,
                    Step::Clock(host),
                ] {
                    self.take(bench, &step);
                }
            }
            Step::Flush => self.flush(bench),
            Step::Pass { seconds, alive } => {
                let alive: Vec<u64> =
                    if alive { self.sessions.values().copied().collect() } else { Vec::new() };
                bench.pass(Duration::from_secs(seconds), &alive);
            }
            Step::Cancel => bench.input(Input::Cancel),
        }
        self.look(bench);
    }

    fn join(&mut self, bench: &mut Bench, host: usize, restarted: bool) {
        if self.sessions.contains_key(&host) {
            return;
        }
        self.next += 1;
        let first = !self.joined.contains(&host);
        if restarted || first {
            self.instances.insert(host, self.next.into());
        }
        let mut joining = Bench::joining(NAMES[host], self.instances[&host]);
        let lease =
            self.held.get(&host).map(|(key, epoch)| Lease { key: key.clone(), epoch: *epoch });
        if restarted {
            joining.pending = lease.into_iter().collect();
        } else {
            joining.held = lease.into_iter().collect();
        }
        let session = SessionId(self.next);
        bench.input(Input::Joined { session, joining: Box::new(joining) });
        let refused = bench.log[self.seen..].iter().any(|e| matches!(e, Effect::Refuse { .. }));
        if refused {
            self.held.remove(&host);
        } else {
            self.sessions.insert(host, self.next);
            self.joined.insert(host);
        }
    }

    fn flush(&mut self, bench: &mut Bench) {
        for (session, stored) in std::mem::take(&mut self.writing) {
            bench.input(Input::Stored { session: SessionId(session), stored });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_cell_ends_once_and_every_run_ends(
        gathered in any::<bool>(),
        start in prop::sample::select(StartMode::ALL.to_vec()),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let names = NAMES.iter().map(|n| host(n)).collect();
        let (cases, requests): (Vec<_>, Vec<_>) = traced(start).into_iter().unzip();
        let cells = cases.len() * REPETITIONS as usize;
        let traces = cases.iter().map(|case| case.id.clone()).zip(requests).collect();
        let expected = ExpectedHosts::Named(names);
        let mut bench = Bench::started(start, cases, expected, RunPolicy::default());
        let mut world = World { traces, start, ..World::default() };
        for host in (0..NAMES.len()).filter(|_| gathered) {
            world.take(&mut bench, &Step::Join { host, restarted: false });
            world.take(&mut bench, &Step::Clock(host));
            world.take(&mut bench, &Step::Prepare { host, refused: false });
        }
        for step in &steps {
            if bench.state.is_finished() {
                break;
            }
            world.take(&mut bench, step);
            bench.input(Input::Tick);
            world.look(&bench);
            let due = bench.state.next_deadline();
            prop_assert!(due.is_none_or(|at| at > bench.now.instant), "a deadline in the past spins");
        }
        // Then no host sends anything any more.
        for _ in 0..4 {
            world.flush(&mut bench);
            world.look(&bench);
            bench.pass(Duration::from_secs(200), &[]);
            world.look(&bench);
        }
        prop_assert!(bench.state.is_finished(), "the run never ends");
        let skipped = world.ends.values().filter(|end| **end == "skipped").count();
        let told = bench.log.iter().find_map(|effect| match effect {
            Effect::Event(EventKind::RunFinished { skipped, .. }) => Some(*skipped as usize),
            _ => None,
        });
        prop_assert_eq!(told, Some(skipped));
        prop_assert_eq!(world.ends.len(), NAMES.len() * cells);
    }
}
