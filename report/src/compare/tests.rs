//! Known answers, the rules for two, three and more hosts, and how often they err.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regatta_types::ids::HostId;

use super::fleet::{Judged, Outcome, Rule, compare};
use super::series::Series;
use super::stats::{Effect, holm};
use super::verdict::{Unjudged, Verdict};

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

fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    outcome.hosts.iter().map(|j| j.verdict).collect()
}

#[test]
fn intervals_and_p_values_are_those_of_scipy() {
    // scipy 1.17: r = stats.ttest_1samp(x, 0.0); r.pvalue; r.confidence_interval(0.95), (0.90)
    let effect = Effect::of(&[-0.061, -0.058, -0.066, -0.060, -0.064]).unwrap();
    assert!(close(effect.mean, -0.0618));
    assert!(close(effect.sd, 0.003_193_743_884_534_263_3));
    assert!(close(effect.p(), 1.705_739_784_140_500_7e-6));
    let (low, high) = effect.interval(0.95);
    assert!(close(low, -0.065_765_556_800_909_63) && close(high, -0.057_834_443_199_090_37));
    let (low, high) = effect.interval(0.90);
    assert!(close(low, -0.064_844_886_249_034_17) && close(high, -0.058_755_113_750_965_83));
    let effect = Effect::of(&[0.004, -0.009, 0.011]).unwrap();
    assert!(close(effect.p(), 0.765_381_433_898_267_4));
    let (low, high) = effect.interval(0.95);
    assert!(close(low, -0.023_211_244_269_310_406) && close(high, 0.027_211_244_269_310_41));
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
    let adjusted = holm(&[0.010, 0.040, 0.030, 0.005]);
    for (got, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!(close(*got, wanted), "{adjusted:?}");
    }
    assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
}

#[test]
fn two_hosts_are_a_pair_with_mirrored_verdicts() {
    let outcome = compare(&hosts(&[&[3.0, 3.01, 2.99], &[2.9, 2.91, 2.89]]), RULE);
    assert_eq!(verdicts(&outcome), [Verdict::Faster, Verdict::Slower]);
    let times = Rule { sign: -1.0, ..RULE };
    let outcome = compare(&hosts(&[&[3.0, 3.01, 2.99], &[2.9, 2.91, 2.89]]), times);
    assert_eq!(verdicts(&outcome), [Verdict::Slower, Verdict::Faster]);
}

#[test]
fn of_three_hosts_the_slow_one_is_named_and_the_others_are_equivalent() {
    let outcome =
        compare(&hosts(&[&[3.0, 3.01, 2.99], &[3.001, 3.009, 2.991], &[2.8, 2.811, 2.789]]), RULE);
    assert_eq!(verdicts(&outcome), [Verdict::Equivalent, Verdict::Equivalent, Verdict::Slower]);
    assert_eq!(outcome.pairs.len(), 3);
    let slow = outcome.hosts[2].effect.unwrap();
    assert!((slow.mean + 0.2).abs() < 1e-3, "against the mean of the other two: {slow:?}");
    let good = outcome.hosts[0].effect.unwrap();
    assert!(good.mean.abs() < 1e-3, "the slow host is no reference: {good:?}");
}

#[test]
fn between_a_slow_and_a_fast_host_nothing_is_settled() {
    let outcome =
        compare(&hosts(&[&[2.0, 2.01, 1.99], &[3.0, 3.01, 2.99], &[4.0, 4.01, 3.99]]), RULE);
    assert_eq!(
        verdicts(&outcome),
        [Verdict::Slower, Verdict::NotSettled { more: None }, Verdict::Faster]
    );
}

#[test]
fn two_camps_of_equal_size_are_called_two_groups() {
    let camp = [3.0, 3.01, 2.99, 3.0, 3.0];
    let other = [2.8, 2.81, 2.79, 2.8, 2.8];
    let outcome = compare(&hosts(&[&camp, &camp, &other, &other]), RULE);
    assert!(outcome.two_groups);
    assert_eq!(verdicts(&outcome), [Verdict::NotJudged(Unjudged::TwoGroups); 4]);
}

#[test]
fn what_is_not_settled_names_the_repetitions_it_needs() {
    // Differences of mean -0.03 and standard deviation 0.02. scipy: 2 * stats.t.sf(0.03 / (0.02 /
    // n ** 0.5), n - 1) is 0.12 for n = 3, 0.058 for 4, 0.028 for 5.
    let outcome = compare(&hosts(&[&[0.0; 3], &[-0.05, -0.03, -0.01]]), RULE);
    let more = Verdict::NotSettled { more: Some(2) };
    assert_eq!(verdicts(&outcome), [more, more]);
    let beside_the_margin = compare(&hosts(&[&[0.0; 3], &[-0.036, -0.021, -0.002]]), RULE);
    assert_eq!(verdicts(&beside_the_margin)[1], Verdict::NotSettled { more: None });
}

#[test]
fn fewer_than_three_repetitions_give_no_verdict() {
    let outcome = compare(&hosts(&[&[3.0, 3.0], &[2.0, 2.0], &[3.0, 3.0, 3.0]]), RULE);
    assert_eq!(
        verdicts(&outcome),
        [
            Verdict::NotJudged(Unjudged::TooFewRepetitions),
            Verdict::NotJudged(Unjudged::TooFewRepetitions),
            Verdict::NotJudged(Unjudged::Alone),
        ]
    );
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

/// A simulated fleet: normal scatter between repetitions, a share by which the first host is
/// slower.
#[derive(Clone, Copy)]
struct Fleet {
    hosts: usize,
    repetitions: u32,
    scatter: f64,
    slow: f64,
}

impl Fleet {
    fn draw(self, rng: &mut ChaCha8Rng) -> Vec<Series> {
        let shared: Vec<f64> = (0..self.repetitions).map(|_| normal(rng) * 0.01).collect();
        let host = |index: usize, rng: &mut ChaCha8Rng| {
            let level = if index == 0 { 3.0 + (1.0 - self.slow).ln() } else { 3.0 };
            let values: BTreeMap<u32, f64> = (1..)
                .zip(&shared)
                .map(|(r, shared)| (r, level + shared + normal(rng) * self.scatter))
                .collect();
            Series { host: HostId::new(format!("h{index}")).unwrap(), values }
        };
        (0..self.hosts).map(|index| host(index, rng)).collect()
    }

    /// The share of `rounds` fleets in which `found` holds.
    fn share(self, rounds: u32, found: impl Fn(&Outcome) -> bool) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let hits = (0..rounds).filter(|_| found(&compare(&self.draw(&mut rng), RULE))).count();
        hits as f64 / f64::from(rounds)
    }
}

/// Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[test]
fn equal_hosts_are_rarely_called_slow_or_fast() {
    for (hosts, scatter) in [(2, 0.04), (3, 0.04), (6, 0.04), (20, 0.04), (20, 0.01)] {
        let fleet = Fleet { hosts, repetitions: 5, scatter, slow: 0.0 };
        let share = fleet.share(300, |outcome| {
            outcome.two_groups || outcome.hosts.iter().any(|j| j.verdict.is_settled_difference())
        });
        assert!(share <= 0.07, "{hosts} hosts, scatter {scatter}: {share}");
    }
}

#[test]
fn a_host_that_is_three_per_cent_slow_is_found() {
    for hosts in [2, 3, 6, 20] {
        let fleet = Fleet { hosts, repetitions: 10, scatter: 0.01, slow: 0.03 };
        let found = fleet.share(300, |o| o.hosts[0].verdict == Verdict::Slower);
        assert!(found >= if hosts < 4 { 0.80 } else { 0.90 }, "{hosts} hosts: {found}");
    }
}

#[test]
fn a_host_at_the_margin_is_rarely_called_equivalent() {
    let fleet = Fleet { hosts: 6, repetitions: 5, scatter: 0.01, slow: 0.02 };
    let wrong = fleet.share(300, |o| o.hosts[0].verdict == Verdict::Equivalent);
    assert!(wrong <= 0.07, "{wrong}");
}

#[test]
fn intervals_of_the_good_hosts_cover_the_truth_beside_a_slow_one() {
    for (hosts, slow) in [(4, 0.03), (4, 0.20), (6, 0.03), (6, 0.20)] {
        let fleet = Fleet { hosts, repetitions: 5, scatter: 0.01, slow };
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let (mut covered, mut all) = (0_u32, 0_u32);
        for _ in 0..300 {
            let outcome = compare(&fleet.draw(&mut rng), RULE);
            // A slow host that was not set aside is part of the reference.
            let is_aside = !outcome.set_aside.is_empty();
            let truth = if is_aside { 0.0 } else { -(1.0 - slow).ln() / (hosts - 1) as f64 };
            let good = outcome.hosts.iter().skip(1).filter_map(|j: &Judged| j.effect);
            for (low, high) in good.map(|e| e.interval(0.95)) {
                all += 1;
                covered += u32::from(low <= truth && truth <= high);
            }
        }
        let share = f64::from(covered) / f64::from(all);
        assert!((0.925..=0.975).contains(&share), "{hosts} hosts, {slow} slow: {share}");
    }
}
