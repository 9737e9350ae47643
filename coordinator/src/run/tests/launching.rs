//! Hosts whose agents this program starts itself.

use super::*;

fn named(names: &[&str]) -> ExpectedHosts {
    ExpectedHosts::Named(names.iter().map(|name| host(name)).collect())
}

fn ended(name: &str, why: &str) -> Input {
    Input::LaunchEnded { host: host(name), why: why.to_owned() }
}

fn left_out(bench: &Bench) -> Vec<(String, String)> {
    let left_out = |effect: &Effect| match effect {
        Effect::Event(EventKind::HostLeftOut { host, why }) => {
            Some((host.to_string(), why.clone()))
        }
        _ => None,
    };
    bench.log.iter().filter_map(left_out).collect()
}

#[test]
fn the_run_does_not_wait_for_a_failed_launch() {
    let mut bench = Bench::new(named(&["good", "bad"]));
    bench.input(Input::Launching { host: host("bad"), step: LaunchStep::Connect });
    assert_eq!(bench.state.view().hosts[0].stage, Stage::Connecting);
    bench.ready(1, "good");
    assert_eq!(bench.leases("good"), 0);
    bench.input(ended("bad", "ssh: Permission denied"));
    assert_eq!(bench.leases("good"), 1, "at once, not when the wait ends");
    let refused = MissingReason::Refused { why: "ssh: Permission denied".to_owned() };
    assert_eq!(bench.missing(), vec![("bad".to_owned(), refused); CELLS]);
    for _ in 0..CELLS {
        bench.finish(1, "good");
    }
    assert_eq!(bench.end(), Some((4, 4)));
}

#[test]
fn a_run_ends_if_all_launches_fail() {
    let mut bench = Bench::new(named(&["one", "two"]));
    bench.input(ended("one", "ssh: no"));
    bench.input(ended("two", "ssh: no"));
    assert_eq!(bench.end(), Some((0, 8)));
}

#[test]
fn a_host_whose_ssh_ends_during_the_run_is_lost_and_the_others_continue() {
    let mut bench = Bench::new(named(&["good", "cut"]));
    bench.ready(1, "good");
    bench.ready(2, "cut");
    bench.input(ended("cut", "ssh connection lost"));
    assert_eq!(bench.missing().len(), CELLS);
    assert!(bench.missing().iter().all(|(_, why)| matches!(why, MissingReason::AgentLost { .. })));
    for _ in 0..CELLS {
        bench.finish(1, "good");
    }
    assert_eq!(bench.end(), Some((4, 4)));
}

#[test]
fn a_host_can_leave_after_its_last_cell() {
    let mut bench = Bench::new(named(&["done", "slow"]));
    bench.ready(1, "done");
    bench.ready(2, "slow");
    for cell in 0..CELLS {
        bench.finish(1, "done");
        if cell + 1 < CELLS {
            bench.finish(2, "slow");
        }
    }
    bench.input(ended("done", "agent exited"));
    assert_eq!(bench.missing(), []);
}

#[test]
fn hosts_that_never_join_are_excluded_if_allowed() {
    let policy = RunPolicy { allow_missing: true, ..RunPolicy::default() };
    let mut bench = Bench::with(named(&["good", "bad", "late"]), policy);
    bench.ready(1, "good");
    bench.input(ended("bad", "ssh: no"));
    bench.pass(RunPolicy::default().wait + Duration::from_secs(1), &[1]);
    let never = MissingReason::NeverJoined.to_string();
    let expected = [("bad", "ssh: no"), ("late", never.as_str())];
    assert_eq!(left_out(&bench), expected.map(|(host, why)| (host.to_owned(), why.to_owned())));
    for _ in 0..CELLS {
        bench.finish(1, "good");
    }
    assert_eq!((bench.end(), bench.missing().len()), (Some((4, 0)), 0));
}
