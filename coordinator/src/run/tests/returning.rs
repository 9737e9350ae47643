//! Hosts that pause, leave, are declared lost or come back, and a coordinator that paused itself.

use super::*;

/// How often the state asks to be woken without anything to do, over a minute of waiting.
fn idle_wakeups(bench: &mut Bench, alive: &[u64]) -> usize {
    let mut wakeups = 0;
    for _ in 0..600 {
        bench.now.instant += Duration::from_millis(100);
        bench.now.mono = bench.now.mono.after(Duration::from_millis(100));
        for &session in alive {
            bench.input(Input::Contact { session: SessionId(session) });
        }
        if bench.state.next_deadline().is_some_and(|at| at <= bench.now.instant) {
            wakeups += 1;
            bench.input(Input::Tick);
        }
    }
    wakeups
}

#[test]
fn a_host_with_nothing_left_to_do_wakes_nobody() {
    let mut bench = Bench::new(ExpectedHosts::Count(3));
    bench.ready(1, "fast");
    bench.ready(2, "slow");
    bench.join(3, "refused");
    bench.clock(3);
    bench.prepared(3, Some("no engine"));
    for _ in 0..CELLS {
        bench.finish(1, "fast");
        bench.pass(Duration::from_secs(11), &[1, 2, 3]);
    }
    assert_eq!(idle_wakeups(&mut bench, &[1, 2, 3]), 0);
}

#[test]
fn a_pause_of_the_coordinator_is_not_held_against_the_agents() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "one");
    bench.ready(2, "two");
    bench.now.instant += Duration::from_secs(500);
    bench.input(Input::Beat { session: SessionId(1), progress: Progress::default() });
    bench.input(Input::Beat { session: SessionId(2), progress: Progress::default() });
    assert!(bench.missing().is_empty());
    for _ in 0..CELLS {
        bench.finish(1, "one");
        bench.finish(2, "two");
    }
    assert_eq!(bench.end(), Some((8, 0)));
}

#[test]
fn a_goodbye_in_the_middle_closes_the_hosts_cells_at_once() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "good");
    bench.ready(2, "leaver");
    let disconnect = Disconnect::Goodbye("asked to stop".to_owned());
    bench.input(Input::Left { session: SessionId(2), disconnect });
    let missing = bench.missing();
    assert_eq!(missing.len(), CELLS);
    assert_eq!(missing[0].1, MissingReason::AgentLeft { why: "asked to stop".to_owned() });
    for _ in 0..CELLS {
        bench.finish(1, "good");
    }
    assert_eq!(bench.end(), Some((4, 4)));
}

#[test]
fn a_lost_host_may_still_hand_over_what_it_kept() {
    let mut bench = Bench::new(ExpectedHosts::Count(2));
    bench.ready(1, "good");
    bench.ready(2, "lost");
    let (key, epoch, _) = bench.lease("lost").unwrap();
    let disconnect = Disconnect::Lost("reset".to_owned());
    bench.input(Input::Left { session: SessionId(2), disconnect });
    bench.pass(Duration::from_secs(130), &[1]);
    let mut joining = Bench::joining("lost", 2);
    joining.pending = vec![Lease { key: key.clone(), epoch }];
    bench.input(Input::Joined { session: SessionId(3), joining: Box::new(joining) });
    let drained = |e: &Effect| matches!(e, Effect::Drain { session: SessionId(3), .. });
    assert!(bench.log.iter().any(drained), "it is told that nothing more comes");
    assert_eq!(bench.finish_with(3, (key, epoch), AttemptOutcome::Completed), Disposition::Late);
    assert_eq!(bench.leases("lost"), 1);
}

#[test]
fn a_host_refused_after_a_restart_leaves_no_cell_open() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    bench.finish(1, "one");
    let disconnect = Disconnect::Lost("reset".to_owned());
    bench.input(Input::Left { session: SessionId(1), disconnect });
    let joining = Box::new(Bench::joining("one", 2));
    bench.input(Input::Joined { session: SessionId(2), joining });
    bench.clock(2);
    bench.prepared(2, Some("the engine is gone"));
    assert_eq!(bench.end(), Some((1, 3)));
}

#[test]
fn silence_while_a_report_is_written_does_not_end_the_host() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    let report = Box::new(bench.report_of(1, (key, epoch), AttemptOutcome::Completed));
    bench.input(Input::Report { session: SessionId(1), report, bytes: Vec::new() });
    bench.pass(Duration::from_secs(15), &[]);
    let stored = bench.stored().expect("a report is on its way");
    bench.input(Input::Stored { session: SessionId(1), stored });
    let before = bench.log.len();
    bench.input(Input::Beat { session: SessionId(1), progress: Progress::default() });
    let asked = |e: &Effect| matches!(e, Effect::MeasureClock { session: SessionId(1) });
    assert!(bench.log[before..].iter().any(asked));
    bench.clock(1);
    assert_eq!(bench.leases("one"), 2);
}

#[test]
fn a_resent_report_is_acknowledged_and_not_told_again() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    bench.finish(1, "one");
    let told = |bench: &Bench| {
        let finished = |e: &&Effect| matches!(e, Effect::Event(EventKind::AttemptFinished { .. }));
        bench.log.iter().filter(finished).count()
    };
    let before = told(&bench);
    let report = Box::new(bench.report_of(1, (key, epoch), AttemptOutcome::Completed));
    bench.input(Input::Report { session: SessionId(1), report, bytes: Vec::new() });
    let mut stored = bench.stored().expect("it goes to the store");
    stored.stored = crate::store::Stored::Duplicate;
    bench.input(Input::Stored { session: SessionId(1), stored });
    assert!(matches!(bench.log.last(), Some(Effect::Acknowledge { .. })));
    assert_eq!(told(&bench), before);
}

#[test]
fn a_host_that_comes_back_after_an_interrupt_is_given_nothing() {
    let mut bench = Bench::new(ExpectedHosts::Count(1));
    bench.ready(1, "one");
    let (key, epoch, _) = bench.lease("one").unwrap();
    let disconnect = Disconnect::Lost("reset".to_owned());
    bench.input(Input::Started { session: SessionId(1), attempt: key.clone() });
    bench.input(Input::Left { session: SessionId(1), disconnect });
    let mut joining = Bench::joining("one", 1);
    joining.held = vec![Lease { key, epoch }];
    let again = Bench::joining("one", 1);
    bench.input(Input::Joined { session: SessionId(2), joining: Box::new(joining) });
    bench.input(Input::Cancel);
    let disconnect = Disconnect::Lost("reset".to_owned());
    bench.input(Input::Left { session: SessionId(2), disconnect });
    bench.input(Input::Joined { session: SessionId(3), joining: Box::new(again) });
    bench.clock(3);
    assert_eq!(bench.leases("one"), 1);
    assert_eq!(bench.end(), Some((0, 4)));
}

#[test]
fn a_report_on_its_way_to_the_disk_decides_its_cell_though_its_host_is_refused_meanwhile() {
    let outcomes = [
        (AttemptOutcome::Completed, (1, 3)),
        // What was refused is not tried again.
        (AttemptOutcome::Interrupted, (0, 4)),
    ];
    for (outcome, end) in outcomes {
        let mut bench = Bench::new(ExpectedHosts::Count(1));
        bench.ready(1, "one");
        let (key, epoch, _) = bench.lease("one").unwrap();
        let disconnect = Disconnect::Lost("reset".to_owned());
        bench.input(Input::Left { session: SessionId(1), disconnect });
        let mut joining = Bench::joining("one", 2);
        joining.pending = vec![Lease { key: key.clone(), epoch }];
        bench.input(Input::Joined { session: SessionId(2), joining: Box::new(joining) });
        let report = Box::new(bench.report_of(2, (key, epoch), outcome));
        bench.input(Input::Report { session: SessionId(2), report, bytes: Vec::new() });
        bench.prepared(2, Some("the engine is gone"));
        assert_eq!(bench.missing().len(), CELLS - 1);
        assert_eq!(bench.end(), None, "the report is still being written");
        let stored = bench.stored().expect("a report is on its way");
        bench.input(Input::Stored { session: SessionId(2), stored });
        bench.clock(2);
        assert_eq!(bench.end(), Some(end));
    }
}
