//! Hosts that begin one after another, or measure one at a time.

use super::*;

const NAMES: [(u64, &str); 3] = [(1, "a"), (2, "b"), (3, "c")];

fn bench(start: StartMode) -> Bench {
    let mut cases = vec![case("a"), case("b")];
    if start == StartMode::Both {
        cases = testing::suite(cases).with_solo_twins().unwrap().cases;
    }
    let mut bench = Bench::started(start, cases, ExpectedHosts::Count(3), RunPolicy::default());
    for (session, name) in NAMES {
        bench.ready(session, name);
    }
    bench
}

/// Works through what is leased, as one sees it: the hosts that hold a lease at the same time, with
/// the case; one line each, the hosts in the order of their starts.
fn work_through(bench: &mut Bench) -> Vec<String> {
    let mut seen = Vec::new();
    let mut done = [0; 3];
    while !bench.state.is_finished() {
        let mut leased: Vec<(MonoNs, u64, &str)> = Vec::new();
        for (session, name) in NAMES {
            let index = usize::try_from(session - 1).unwrap();
            if bench.leases(name) > done[index] {
                done[index] += 1;
                leased.push((bench.lease(name).unwrap().2, session, name));
            }
        }
        assert!(!leased.is_empty(), "nobody has anything to do: {seen:?}");
        leased.sort();
        let case = bench.lease(leased[0].2).unwrap().0.cell;
        let names: Vec<&str> = leased.iter().map(|(_, _, name)| *name).collect();
        seen.push(format!("{}/{}: {}", case.case, case.repetition, names.join(" ")));
        for (_, session, name) in leased {
            bench.pass(Duration::from_secs(20), &[1, 2, 3]);
            bench.finish(session, name);
        }
    }
    seen
}

#[test]
fn solo_hosts_measure_one_at_a_time_and_the_first_of_a_block_is_the_last_of_the_next() {
    let mut bench = bench(StartMode::Solo);
    let seen = work_through(&mut bench);
    let hosts: Vec<&str> = seen.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(hosts, ["a", "b", "c", "b", "c", "a", "c", "a", "b", "a", "b", "c"]);
    assert!(seen.chunks(3).all(|block| block.iter().all(|line| line[..4] == block[0][..4])));
    assert_eq!(bench.end(), Some((12, 0)));
}

#[test]
fn both_measures_each_case_solo_and_then_together() {
    let mut bench = bench(StartMode::Both);
    let seen = work_through(&mut bench);
    let shape: Vec<(bool, &str)> = seen
        .iter()
        .map(|line| (line.contains(".solo/"), line.split(": ").nth(1).unwrap()))
        .collect();
    let (solo, all) = (|host| (true, host), (false, "a b c"));
    assert_eq!(shape[..4], [solo("a"), solo("b"), solo("c"), all]);
    assert_eq!(shape[4..8], [solo("b"), solo("c"), solo("a"), all]);
    assert_eq!(bench.end(), Some((24, 0)));
}

#[test]
fn staggered_hosts_begin_one_after_another_and_nobody_is_always_last() {
    let mut bench = bench(StartMode::Staggered);
    let starts = |bench: &Bench| -> Vec<u64> {
        let start = |(_, name): (u64, &str)| bench.lease(name).unwrap().2.0;
        let starts = NAMES.map(start);
        let first = *starts.iter().min().unwrap();
        starts.map(|at| (at - first) / 1_000_000_000).to_vec()
    };
    assert_eq!(starts(&bench), [0, 3, 6]);
    for (session, name) in NAMES {
        bench.finish(session, name);
    }
    assert_eq!(starts(&bench), [6, 0, 3]);
    // The first is ready long before the last has begun: it waits for the barrier beyond the stagger.
    bench.finish(2, "b");
    bench.pass(Duration::from_secs(15), &[1, 2, 3]);
    assert_eq!(bench.leases("b"), 2);
    bench.pass(Duration::from_secs(2), &[1, 2, 3]);
    assert_eq!(bench.leases("b"), 3);
}

#[test]
fn a_disconnected_solo_host_holds_up_the_others_until_it_is_declared_lost() {
    let mut bench = bench(StartMode::Solo);
    let left = Disconnect::Lost("cable".to_owned());
    bench.input(Input::Left { session: SessionId(1), disconnect: left });
    bench.pass(Duration::from_secs(110), &[2, 3]);
    assert_eq!((bench.leases("b"), bench.leases("c")), (0, 0), "it may be measuring still");
    bench.pass(Duration::from_secs(20), &[2, 3]);
    assert_eq!((bench.leases("b"), bench.leases("c")), (1, 0));
    assert_eq!(bench.missing().len(), CELLS);
}

#[test]
fn a_solo_host_that_does_not_get_ready_is_waited_for_no_longer_than_the_barrier() {
    let mut bench = bench(StartMode::Solo);
    let (key, epoch, _) = bench.lease("a").unwrap();
    bench.finish_with(1, (key, epoch), AttemptOutcome::Completed);
    bench.finish(2, "b");
    bench.finish(3, "c");
    // It is the turn of b, then of c; a has yet to compare its clock.
    bench.pass(Duration::from_secs(9), &[1, 2, 3]);
    assert_eq!((bench.leases("b"), bench.leases("c")), (1, 1));
    bench.pass(Duration::from_secs(2), &[1, 2, 3]);
    assert_eq!((bench.leases("b"), bench.leases("c")), (2, 1));
}
