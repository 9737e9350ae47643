//! How often the comparison is right, by simulation.
//!
//! Fleets are drawn with known differences and go through the same code as a run's cells, from the
//! numbers by host, case and repetition on. The main type is [`Calibration`]; docs/calibration.md is
//! made from it. Nothing here is part of a report.

mod fleet;

use crate::compare::{Outcome, Unjudged, Verdict};
use crate::metrics::real;

pub use fleet::{QUIET, Scenario};

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
    let mut rng = scenario.random(seed);
    let mut hosts = vec![Coverage::default(); scenario.hosts];
    let (mut slower, mut faster, mut found, mut equivalent, mut groups) = (0, 0, 0, 0, 0);
    for _ in 0..fleets {
        let outcome = scenario.compare(&mut rng);
        for (host, coverage) in hosts.iter_mut().enumerate() {
            coverage.add(scenario, &outcome, host);
        }
        let says = |verdict: Verdict| {
            let of = |host: usize| outcome.hosts[host].verdict == verdict;
            (scenario.good().any(of), of(0))
        };
        slower += u32::from(says(Verdict::Slower).0);
        faster += u32::from(says(Verdict::Faster).0);
        found += u32::from(says(Verdict::Slower).1);
        equivalent += u32::from(says(Verdict::Equivalent).1);
        groups += u32::from(says(Verdict::NotJudged(Unjudged::TwoGroups)).1);
    }
    let share = |n: u32| f64::from(n) / f64::from(fleets);
    let covered: Vec<f64> = hosts.iter().map(Coverage::share).collect();
    let is_pair = scenario.hosts == 2 && scenario.has_slow();
    Row {
        scenario,
        fleets,
        coverage: covered
            .iter()
            .fold((1.0, 0.0), |(low, high): (f64, f64), &share| (low.min(share), high.max(share))),
        false_slower: share(slower),
        false_faster: (!is_pair).then(|| share(faster)),
        found: scenario.has_slow().then(|| share(found)),
        false_equivalent: scenario.is_beyond_margin().then(|| share(equivalent)),
        two_groups: share(groups),
    }
}

/// How often a host's interval covers the truth.
#[derive(Debug, Clone, Default)]
struct Coverage {
    covered: usize,
    all: usize,
}

impl Coverage {
    fn add(&mut self, scenario: Scenario, outcome: &Outcome, host: usize) {
        let Some(effect) = outcome.hosts[host].effect else { return };
        let truth = scenario.truth(outcome, host);
        let (low, high) = effect.interval(0.95);
        self.all += 1;
        self.covered += usize::from(low <= truth && truth <= high);
    }

    fn share(&self) -> f64 {
        real(self.covered) / real(self.all)
    }
}

impl Row {
    /// The bounds that are broken, in words. `slack` widens them by so many standard errors of a
    /// share, for few fleets.
    #[must_use]
    pub fn broken(&self, slack: f64) -> Vec<String> {
        let room = |bound: f64| slack * (bound * (1.0 - bound) / f64::from(self.fleets)).sqrt();
        let mut broken = Vec::new();
        let mut at_most = |what: &str, share: Option<f64>, bound: f64| {
            if share.is_some_and(|share| share > bound + room(bound)) {
                let (share, bound) = (share.unwrap_or_default() * 100.0, bound * 100.0);
                broken.push(format!("{}: {what} {share:.1} %, over {bound} %", self.scenario));
            }
        };
        at_most("false slower", Some(self.false_slower), FALSE_SLOWER);
        let bounded = self.false_faster.filter(|_| self.scenario.is_quiet());
        at_most("false faster", bounded, FALSE_FASTER);
        at_most("false equivalent", self.false_equivalent, FALSE_EQUIVALENT);
        at_most("coverage", Some(self.coverage.1), COVERAGE.1);
        at_most("not covered", Some(1.0 - self.coverage.0), 1.0 - COVERAGE.0);
        let wanted = self.found.filter(|_| self.scenario.is_to_be_found());
        at_most("not found", wanted.map(|found| 1.0 - found), 1.0 - FOUND);
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_errs_no_more_often_than_it_says() {
        let calibration = calibrate(&Scenario::all(), 150, 7);
        let broken: Vec<String> = calibration.rows.iter().flat_map(|row| row.broken(3.5)).collect();
        assert_eq!(broken, Vec::<String>::new());
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
