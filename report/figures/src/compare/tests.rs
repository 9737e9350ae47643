//! Known answers: those of SciPy, and the rules for two, three and more hosts. How often they err
//! is in [`crate::calibration`].

mod scipy;

use regatta_types::ids::HostId;

use super::fleet::{Outcome, Rule, compare};
use super::series::Series;
use super::{Effect, Estimate as _, Judgement, Reason, Verdict, holm};

const RULE: Rule = Rule { margin: 0.019_802_627_296_179_71, alpha: 0.05, sign: 1.0 };

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1e-3)
}

/// Hosts `h0`, `h1`, ... with these logarithms, one per repetition.
fn hosts(values: &[&[f64]]) -> Vec<Series> {
    let host = |(index, logs): (usize, &&[f64])| Series {
        host: HostId::new(format!("h{index}")).unwrap(),
        values: (1..).zip(logs.iter().copied()).collect(),
    };
    values.iter().enumerate().map(host).collect()
}

fn verdicts(outcome: &Outcome) -> Vec<Judgement> {
    outcome.hosts.iter().map(|j| j.verdict.clone()).collect()
}

#[test]
fn identical_repetitions_have_no_spread_and_no_doubt() {
    let effect = Effect::of(&[0.25, 0.25, 0.25]).unwrap();
    assert_eq!((effect.p(), effect.interval(0.95)), (0.0, (0.25, 0.25)));
    assert_eq!(Effect::of(&[0.0, 0.0]).unwrap().p(), 1.0);
    assert_eq!(Effect::of(&[0.1]), None);
}

#[test]
fn holm_steps_down_and_never_decreases() {
    // By hand: sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, each at least the one before.
    let adjusted = holm([0.010, 0.040, 0.030, 0.005]);
    for (got, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!(close(*got, wanted), "{adjusted:?}");
    }
    assert_eq!(holm([0.6, 0.7]), [1.0, 1.0]);
}

#[test]
fn two_hosts_are_a_pair_with_mirrored_verdicts() {
    let pair = hosts(&[&[3.0, 3.01, 2.99], &[2.9, 2.91, 2.89]]);
    assert_eq!(verdicts(&compare(&pair, RULE)), [Verdict::Faster, Verdict::Slower]);
    let times = Rule { sign: -1.0, ..RULE };
    assert_eq!(verdicts(&compare(&pair, times)), [Verdict::Slower, Verdict::Faster]);
}

#[test]
fn of_three_hosts_the_slow_one_is_named_and_the_others_are_equivalent() {
    let fleet = hosts(&[&[3.0, 3.01, 2.99], &[3.001, 3.009, 2.991], &[2.8, 2.811, 2.789]]);
    let outcome = compare(&fleet, RULE);
    assert_eq!(verdicts(&outcome), [Verdict::Equivalent, Verdict::Equivalent, Verdict::Slower]);
    assert_eq!(outcome.pairs.len(), 3);
    let slow = outcome.hosts[2].effect.unwrap();
    assert!((slow.mean + 0.2).abs() < 1e-3, "against the mean of the other two: {slow:?}");
    let good = outcome.hosts[0].effect.unwrap();
    assert!(good.mean.abs() < 1e-3, "the slow host is no reference: {good:?}");
}

#[test]
fn between_a_slow_and_a_fast_host_nothing_is_decided() {
    let fleet = hosts(&[&[2.0, 2.01, 1.99], &[3.0, 3.01, 2.99], &[4.0, 4.01, 3.99]]);
    let wanted = [Verdict::Slower, Verdict::Inconclusive { more: None }, Verdict::Faster];
    assert_eq!(verdicts(&compare(&fleet, RULE)), wanted);
}

#[test]
fn two_camps_of_equal_size_are_called_two_groups() {
    let camp = [3.0, 3.01, 2.99, 3.0, 3.0];
    let other = [2.8, 2.81, 2.79, 2.8, 2.8];
    let outcome = compare(&hosts(&[&camp, &camp, &other, &other]), RULE);
    assert!(outcome.two_groups);
    assert_eq!(verdicts(&outcome), vec![Judgement::NotJudged(Reason::TwoGroups); 4]);
}

#[test]
fn what_is_inconclusive_names_the_repetitions_it_needs() {
    // Differences of mean -0.03 and standard deviation 0.02. scipy: 2 * stats.t.sf(0.03 / (0.02 /
    // n ** 0.5), n - 1) is 0.12 for n = 3, 0.058 for 4, 0.028 for 5.
    let outcome = compare(&hosts(&[&[0.0; 3], &[-0.05, -0.03, -0.01]]), RULE);
    let more = Verdict::Inconclusive { more: Some(2) };
    assert_eq!(verdicts(&outcome), [more, more]);
    let beside_the_margin = compare(&hosts(&[&[0.0; 3], &[-0.036, -0.021, -0.002]]), RULE);
    assert_eq!(verdicts(&beside_the_margin)[1], Verdict::Inconclusive { more: None });
}

#[test]
fn fewer_than_three_repetitions_give_no_verdict() {
    let outcome = compare(&hosts(&[&[3.0, 3.0], &[2.0, 2.0], &[3.0, 3.0, 3.0]]), RULE);
    let few = Reason::TooFewRepetitions;
    let wanted = [few.clone(), few, Reason::Alone].map(Judgement::NotJudged);
    assert_eq!(verdicts(&outcome), wanted);
}

#[test]
fn a_gap_in_one_host_does_not_shift_the_reference_of_the_others() {
    let mut fleet = hosts(&[&[3.0; 5], &[3.01; 5], &[2.99; 5], &[3.0; 5]]);
    let whole = compare(&fleet, RULE);
    fleet[1].values.remove(&2);
    let gap = compare(&fleet, RULE);
    for (a, b) in whole.hosts.iter().zip(&gap.hosts) {
        assert!((a.effect.unwrap().mean - b.effect.unwrap().mean).abs() < 1e-12);
        assert_eq!(a.verdict, b.verdict);
    }
}
