//! What a run asks of hosts before it starts, and what happens to hosts that are missing or fail.

use regatta_types::assignment::{ContextNeed, Wants};
use regatta_types::check::Check;
use regatta_types::ids::{AttemptNo, CellKey, Repetition};
use regatta_types::suite::TextPrompt;

use super::*;
use crate::suite::{self, Overrides};

#[test]
fn hosts_are_told_what_the_suite_wants_to_know_of_their_engines() {
    let wants = |name: &str, flags: &Overrides| {
        let cases = suite::load(name, flags).unwrap().cases;
        let mut bench = Bench::of(cases, ExpectedHosts::Count(1), RunPolicy::default());
        bench.join(1, "one");
        let prepared = bench.log.into_iter().find_map(|effect| match effect {
            Effect::Prepare { preparation, .. } => Some(preparation.wants),
            _ => None,
        });
        prepared.expect("a host is asked to prepare")
    };
    let none = Overrides::default();
    let text = |tokens, shared| TextPrompt { tokens, shared };
    let context = wants("quick", &none).context;
    let cases = suite::load("quick", &none).unwrap().cases.into_iter();
    let shapes = cases.map(|case| Case { title: String::new(), ..case }).collect();
    let quick =
        Wants { shapes, fixed_length: true, overhead_streams: 1, context, ..Wants::default() };
    assert_eq!(wants("quick", &none), quick, "prompts of three lengths");
    let context = Some(ContextNeed { least: 672, most: 672 });
    let load = Wants {
        texts: vec![text(512, 0)],
        fixed_length: true,
        overhead_streams: 64,
        context,
        ..Wants::default()
    };
    assert_eq!(wants("load", &none), load, "each text once");
    let grid = vec![text(512, 0), text(4_608, 4_096), text(2_048, 0), text(6_144, 4_096)];
    assert_eq!(wants("grid", &none).texts, grid);
    let natural = Some(Length::Natural);
    let open = |max_in_flight| Overrides {
        rate: Some(vec![1.0]),
        max_in_flight,
        length: natural,
        ..Overrides::default()
    };
    assert!(!wants("text", &open(None)).fixed_length);
    assert_eq!(wants("text", &open(None)).overhead_streams, 64, "nobody knows how many it takes");
    assert_eq!(wants("text", &open(Some(8))).overhead_streams, 8);
}

/// A check of one host, by orders that measure nothing.
fn check_of_one() -> Bench {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    let orders = Orders { model: None, engine_warmup: EngineWarmup::Requests(3), check_only: true };
    let header = bench.state.header.clone();
    (bench.state, bench.log) = RunState::new(header, orders, RunPolicy::default(), bench.now);
    bench
}

#[test]
fn a_check_asks_for_no_cell_and_lets_the_host_go_when_its_clock_is_known_too() {
    let mut bench = check_of_one();
    bench.join(1, "one");
    let asked = bench.log.iter().find_map(|effect| match effect {
        Effect::Prepare { preparation, .. } => Some(preparation.clone()),
        _ => None,
    });
    let asked = asked.expect("a host is asked to prepare");
    assert!(asked.check_only && asked.wants.overhead_streams == 0, "{asked:?}");
    bench.prepared(1, Some("no engine answers"));
    assert!(!bench.state.is_finished(), "its clock is not compared yet");
    bench.clock(1);
    assert!(bench.state.is_finished());
    assert!(bench.log.iter().any(|effect| matches!(effect, Effect::Drain { .. })));
    assert!(!bench.log.iter().any(|effect| matches!(effect, Effect::Assign { .. })));
    let record = bench.log.iter().rev().find_map(|effect| match effect {
        Effect::StoreHost(record) => Some(record),
        _ => None,
    });
    let checks = &record.expect("a record").checks;
    assert_eq!(checks.iter().map(|outcome| outcome.check).collect::<Vec<_>>(), [Check::Clock]);
}

#[test]
fn warnings_that_hosts_share_are_said_once_and_none_of_a_host_that_is_refused() {
    let mut bench = Bench::new(ExpectedHosts::Count(3));
    let slow = Check::Governor.warning("it is powersave");
    for (session, name) in [(1, "one"), (2, "two"), (3, "three")] {
        bench.join(session, name);
        bench.clock(session);
    }
    let full = Check::Disk.failed("it is full");
    for (session, refused) in [(1, None), (2, None), (3, Some("it is full".to_owned()))] {
        let mut checks = vec![slow.clone()];
        checks.extend(refused.is_some().then(|| full.clone()));
        bench.input(Input::Prepared {
            session: SessionId(session),
            engine: Box::new(Reading::missing("test")),
            gpus: Reading::missing("test"),
            refused,
            checks,
        });
    }
    let warnings: Vec<&str> = bench
        .log
        .iter()
        .filter_map(|effect| match effect {
            Effect::Event(EventKind::Warning { text }) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(warnings, ["all 2 hosts: CPU governor: it is powersave"]);
}

#[test]
fn the_report_that_shows_why_a_host_is_refused_is_waited_for() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.join(1, "one");
    bench.clock(1);
    bench.input(Input::Prepared {
        session: SessionId(1),
        engine: Box::new(Bench::engine()),
        gpus: Reading::missing("test"),
        refused: Some("its stream is buffered".to_owned()),
        checks: vec![Check::Streaming.failed("its stream is buffered")],
    });
    assert_eq!(bench.end(), None);
    let key = AttemptKey {
        run: RunId::new("night").unwrap(),
        cell: CellKey {
            host: host("one"),
            case: CaseId::engine_warmup(),
            repetition: Repetition(0),
        },
        attempt: AttemptNo(1),
    };
    let report = Box::new(bench.report_of(1, (key, Epoch(0)), AttemptOutcome::Completed));
    bench.input(Input::Report { session: SessionId(1), report, bytes: Vec::new() });
    let stored = bench.stored().expect("it goes to the store");
    bench.input(Input::Stored { session: SessionId(1), stored });
    assert_eq!(bench.end(), Some((0, u32::try_from(CELLS).unwrap())));
}

#[test]
fn hosts_that_do_not_come_are_missing_and_the_rest_runs() {
    let policy = RunPolicy { wait: Duration::from_secs(20), ..RunPolicy::default() };
    let mut bench =
        Bench::with(ExpectedHosts::Named(vec![host("here"), host("absent"), host("bad")]), policy);
    bench.ready(1, "here");
    bench.join(2, "bad");
    bench.clock(2);
    bench.prepared(2, Some("no endpoint found"));
    bench.pass(Duration::from_secs(19), &[1, 2]);
    assert_eq!(bench.leases("here"), 0);
    bench.pass(Duration::from_secs(2), &[1, 2]);
    assert_eq!(bench.leases("here"), 1);
    let missing = bench.missing();
    assert_eq!(missing.iter().filter(|(_, r)| *r == MissingReason::NeverJoined).count(), CELLS);
    let refused = MissingReason::Refused { why: "no endpoint found".to_owned() };
    assert_eq!(missing.iter().filter(|(_, r)| *r == refused).count(), CELLS);
}

#[test]
fn late_hosts_can_be_waited_for_or_end_the_run() {
    for (late, leased, ended) in
        [(LatePolicy::Wait, 0, false), (LatePolicy::Drop, 1, false), (LatePolicy::Abort, 0, true)]
    {
        let policy = RunPolicy { wait: Duration::from_secs(5), late, ..RunPolicy::default() };
        let mut bench = Bench::with(ExpectedHosts::Count(2), policy);
        bench.ready(1, "one");
        bench.pass(Duration::from_secs(30), &[1]);
        assert_eq!((bench.leases("one"), bench.end().is_some()), (leased, ended), "{late:?}");
    }
}
