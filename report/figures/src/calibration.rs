//! How often the comparison is right, by simulation.
//!
//! Fleets are drawn with known differences and go through the same code as a run's cells, from the
//! numbers by host, case and repetition on. The main type is [`Calibration`]; docs/calibration.md is
//! made from it. Nothing here is part of a report.

mod fleet;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::compare::{Outcome, Verdict};
use crate::metrics::real;

pub use fleet::{QUIET, Scenario, Trouble};

/// Least and largest share of intervals that cover the truth, for every host.
const COVERAGE: (f64, f64) = (0.93, 0.97);
/// Largest share of fleets in which a good host is called slower.
pub const FALSE_SLOWER: f64 = 0.05;
/// Largest share of fleets in which a good host is called faster.
pub const FALSE_FASTER: f64 = 0.06;
/// Largest share of fleets in which a host at or beyond the margin is called equivalent.
pub const FALSE_EQUIVALENT: f64 = 0.06;
/// Least share of fleets in which a host that is 3 % slow is found, with ten repetitions.
pub const FOUND: f64 = 0.90;

/// What was found in all scenarios.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Seed of the simulation.
    pub seed: u64,
    /// Simulated fleets of each scenario.
    pub fleets: u32,
    /// One entry per scenario.
    pub rows: Vec<Row>,
}

/// What was found in one scenario, as shares of its fleets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// What was simulated.
    pub scenario: Scenario,
    fleets: u32,
    /// Of the host whose 95 % interval covers the truth least often, and of the one whose does most
    /// often. The truth is the difference from the hosts that the outcome names as its reference.
    pub coverage: (f64, f64),
    /// A good host is called slower.
    pub false_slower: f64,
    /// A good host is called faster; `None` for a pair with a slow host, where it is.
    pub false_faster: Option<f64>,
    /// The slow host is called slower; `None` without one.
    pub found: Option<f64>,
    /// The slow host is called equivalent; `None` where it is, being slow by less than the margin.
    pub false_equivalent: Option<f64>,
    /// Nobody is judged, as no majority agrees.
    pub two_groups: f64,
}

/// Draws `fleets` fleets for each of the scenarios and compares their hosts.
#[must_use]
pub fn calibrate(scenarios: &[Scenario], fleets: u32, seed: u64) -> Calibration {
    let row = |(scenario, index): (&Scenario, u64)| row(*scenario, fleets, seed + index);
    Calibration { seed, fleets, rows: scenarios.iter().zip(0..).map(row).collect() }
}

fn row(scenario: Scenario, fleets: u32, seed: u64) -> Row {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let outcomes: Vec<Outcome> = (0..fleets).map(|_| scenario.compare(&mut rng)).collect();
    let share = |holds: &dyn Fn(&Outcome) -> bool| {
        real(outcomes.iter().filter(|outcome| holds(outcome)).count()) / f64::from(fleets)
    };
    let of_good = |verdict: Verdict| {
        share(&|outcome| scenario.good().any(|host| outcome.hosts[host].verdict == verdict))
    };
    let of_first = |verdict: Verdict| share(&|outcome| outcome.hosts[0].verdict == verdict);
    let coverage = (0..scenario.hosts).map(|host| {
        let covers = outcomes.iter().filter_map(|outcome| {
            let (low, high) = outcome.hosts[host].effect?.interval(0.95);
            Some((low..=high).contains(&scenario.truth(outcome, host)))
        });
        real(covers.clone().filter(|covers| *covers).count()) / real(covers.count())
    });
    let is_pair = scenario.hosts == 2 && scenario.has_slow();
    Row {
        scenario,
        fleets,
        coverage: coverage
            .fold((1.0, 0.0), |(low, high): (f64, f64), share| (low.min(share), high.max(share))),
        false_slower: of_good(Verdict::Slower),
        false_faster: (!is_pair).then(|| of_good(Verdict::Faster)),
        found: scenario.has_slow().then(|| of_first(Verdict::Slower)),
        false_equivalent: scenario.is_beyond_margin().then(|| of_first(Verdict::Equivalent)),
        two_groups: share(&|outcome| outcome.two_groups),
    }
}

/// What must not happen in more than a share of the fleets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A good host is called slower.
    FalseSlower,
    /// A good host is called faster.
    FalseFaster,
    /// A host at or beyond the margin is called equivalent.
    FalseEquivalent,
    /// A host's interval covers the truth.
    Covered,
    /// A host's interval does not cover the truth.
    NotCovered,
    /// A slow host is not found.
    NotFound,
}

/// A bound that is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Broken {
    /// Where.
    pub scenario: Scenario,
    /// What happened too often.
    pub bound: Bound,
    /// Share of the fleets in which it did.
    pub share: f64,
    /// Largest share that is allowed.
    pub limit: f64,
}

impl Row {
    /// The bounds that are broken. For few fleets, `slack` widens them by this many standard errors
    /// of a share.
    #[must_use]
    pub fn broken(&self, slack: f64) -> Vec<Broken> {
        let scenario = self.scenario;
        let bounded = self.false_faster.filter(|_| scenario.is_quiet());
        let wanted = self.found.filter(|_| scenario.is_to_be_found());
        let shares = [
            (Bound::FalseSlower, Some(self.false_slower), FALSE_SLOWER),
            (Bound::FalseFaster, bounded, FALSE_FASTER),
            (Bound::FalseEquivalent, self.false_equivalent, FALSE_EQUIVALENT),
            (Bound::Covered, Some(self.coverage.1), COVERAGE.1),
            (Bound::NotCovered, Some(1.0 - self.coverage.0), 1.0 - COVERAGE.0),
            (Bound::NotFound, wanted.map(|found| 1.0 - found), 1.0 - FOUND),
        ];
        let broken = |(bound, share, limit): (Bound, Option<f64>, f64)| {
            let room = slack * (limit * (1.0 - limit) / f64::from(self.fleets)).sqrt();
            let share = share.filter(|share| *share > limit + room)?;
            Some(Broken { scenario, bound, share, limit })
        };
        shares.into_iter().filter_map(broken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_errs_no_more_often_than_it_says() {
        let calibration = calibrate(&Scenario::all(), 150, 7);
        let broken: Vec<Broken> = calibration.rows.iter().flat_map(|row| row.broken(3.5)).collect();
        assert_eq!(broken, []);
    }

    #[test]
    fn a_comparison_that_errs_more_often_is_noticed() {
        let quiet = Scenario { scatter: 0.01, ..Scenario::all()[0] };
        let right = calibrate(&[quiet], 50, 7).rows[0];
        let wrong = Row {
            coverage: (0.90, 0.98),
            false_slower: 0.051,
            false_faster: Some(0.061),
            false_equivalent: Some(0.061),
            fleets: 2_000,
            ..right
        };
        assert_eq!(wrong.broken(0.0).len(), 5, "{:?}", wrong.broken(0.0));
    }
}
