//! Simulated fleets with known differences.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};
use regatta_types::ids::{CaseId, HostId};
use regatta_types::margin::Margins;
use regatta_types::metric::Metric;

use crate::compare::{MetricSeries, Outcome, Rule, compare, reference};
use crate::metrics::real;

/// Cases of a simulated suite.
const CASES: usize = 3;
/// Scatter of what befalls all hosts alike in a repetition, which pairing takes out again.
const SHARED: f64 = 0.02;
/// The noisy host scatters by this many times as much as the others.
const NOISY: f64 = 4.0;
/// Scatter up to which a slow host that is missed makes few good ones look fast.
pub const QUIET: f64 = 0.01;
/// Share of cells without a counted attempt, where some have none.
const LOST: f64 = 0.03;

/// A kind of fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// Its hosts, at least 2.
    pub hosts: usize,
    /// Repetitions of every case.
    pub repetitions: u32,
    /// Standard deviation between the repetitions of a host's mean over the cases, as a share.
    pub scatter: f64,
    /// By how much the first host is slower, as a share of the others' speed; 0 for none.
    pub slow: f64,
    /// What else is not as it should be.
    pub trouble: Trouble,
}

/// What may be wrong with a fleet beside a slow host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The last host scatters by four times as much.
    Noisy,
    /// 3 % of the cells are missing, anywhere.
    Gaps,
}

impl Scenario {
    /// Those of the documentation.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let fleets = [2, 3, 4, 6, 20];
        let plain = |hosts, repetitions, scatter, slow| Self {
            hosts,
            repetitions,
            scatter,
            slow,
            trouble: Trouble::None,
        };
        let mut all = Vec::new();
        let at_margin = 1.0 - (-margin()).exp();
        // Where hosts scatter by much, the margin keeps nobody from a wrong verdict.
        for (repetitions, scatter, slow) in [
            (5, 0.04, 0.0),
            (10, 0.01, 0.0),
            (5, 0.01, 0.03),
            (10, 0.01, 0.03),
            (5, 0.02, 0.03),
            (10, 0.02, 0.03),
            (10, 0.04, 0.03),
            (5, 0.01, 0.20),
            (10, 0.01, 0.20),
            (5, 0.005, at_margin),
            (10, 0.01, at_margin),
        ] {
            all.extend(fleets.map(|hosts| plain(hosts, repetitions, scatter, slow)));
        }
        for (trouble, slow) in [(Trouble::Noisy, 0.0), (Trouble::Gaps, 0.03)] {
            let of = |hosts| Self { trouble, ..plain(hosts, 10, 0.01, slow) };
            all.extend([3, 6, 20].map(of));
        }
        all
    }

    /// Whether one host is slow.
    #[must_use]
    pub fn has_slow(self) -> bool {
        self.slow > 0.0
    }

    /// Whether the slow host is slow by the margin or more.
    pub(super) fn is_beyond_margin(self) -> bool {
        // The margin itself, as nearly as a share can say it.
        self.level(0) <= -margin() + 1e-12
    }

    /// Whether the slow host must be found nearly always.
    pub(super) fn is_to_be_found(self) -> bool {
        self.slow >= 0.03 && self.repetitions >= 10 && self.scatter <= 0.01
    }

    /// Whether no slow host is missed so often that good ones look fast beside it.
    pub(super) fn is_quiet(self) -> bool {
        !self.has_slow() || self.scatter <= QUIET
    }

    /// The hosts that are as they should be.
    pub(super) fn good(self) -> impl Iterator<Item = usize> {
        usize::from(self.has_slow())..self.hosts
    }

    /// The true mean of a host, as a logarithm; 0 for a good one.
    fn level(self, host: usize) -> f64 {
        if host == 0 { (1.0 - self.slow).ln() } else { 0.0 }
    }

    /// The true difference of a host from the mean of those that the outcome took as its reference.
    pub(super) fn truth(self, outcome: &Outcome, host: usize) -> f64 {
        let is_aside = |other: usize| outcome.set_aside.contains(&outcome.hosts[other].host);
        let pool = reference(host, self.hosts, is_aside);
        let mean = pool.iter().map(|other| self.level(*other)).sum::<f64>() / real(pool.len());
        self.level(host) - mean
    }

    /// Draws a fleet and compares its hosts.
    pub(super) fn compare(self, rng: &mut ChaCha8Rng) -> Outcome {
        compare(&self.draw(rng).means(), rule())
    }

    fn draw(self, rng: &mut ChaCha8Rng) -> MetricSeries {
        let case = |index| CaseId::new(format!("case-{index}")).expect("a valid case id");
        let cases: Vec<CaseId> = (0..CASES).map(case).collect();
        let repetitions = 1..=self.repetitions;
        let blocks: BTreeMap<(&CaseId, u32), f64> = cases
            .iter()
            .flat_map(|case| repetitions.clone().map(move |repetition| (case, repetition)))
            .map(|block| (block, normal(rng) * SHARED))
            .collect();
        let mut values = BTreeMap::new();
        for host in 0..self.hosts {
            let is_noisy = self.trouble == Trouble::Noisy && host + 1 == self.hosts;
            let of_mean = self.scatter * if is_noisy { NOISY } else { 1.0 };
            let scatter = of_mean * real(CASES).sqrt();
            let own: BTreeMap<CaseId, BTreeMap<u32, f64>> = cases
                .iter()
                .map(|case| {
                    let cell = |repetition: u32| {
                        let value = blocks[&(case, repetition)] + normal(rng) * scatter;
                        let is_lost = self.trouble == Trouble::Gaps && rng.random_bool(LOST);
                        (!is_lost).then_some((repetition, self.level(host) + value))
                    };
                    (case.clone(), repetitions.clone().filter_map(cell).collect())
                })
                .collect();
            // Names that sort as their numbers do.
            values.insert(HostId::new(format!("h{host:03}")).expect("a valid host name"), own);
        }
        MetricSeries::of_logs(cases, self.repetitions, values)
    }
}

/// That of decode speed.
fn rule() -> Rule {
    Rule::of(Metric::DecodeTps, Metric::DecodeTps.margin(&Margins::default()))
}

/// On the scale of logarithms.
fn margin() -> f64 {
    rule().margin
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}
