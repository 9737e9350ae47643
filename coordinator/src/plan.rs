//! The order of work: the sequence of cases, the same on every host.
//!
//! The entry is [`Plan::new`]. A plan knows nothing about hosts or time. It is a pure function of the
//! suite and a seed, so a resumed run gets the same plan.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use regatta_types::ids::{CaseId, Repetition};
use regatta_types::suite::{Case, Suite};

/// One (case, repetition): it is what hosts are compared by, and how they begin it is the run's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    /// Index into [`Suite::cases`].
    pub case: usize,
    /// From 1.
    pub repetition: Repetition,
}

/// The blocks of a run, in the order in which every host works through them. The default has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    blocks: Vec<Block>,
}

impl Plan {
    /// For each repetition, the cases with that many repetitions, in a new random order, so that
    /// effects of the position (heat, caches) cancel. Two repetitions in a row never have
    /// the same order, unless there is only one case. The levels of a sweep stay together, the lowest
    /// first, and are shuffled as one; a case that is measured solo and together has both blocks in a
    /// row, solo first, and the order of the cases is the same as without.
    ///
    /// Stable forever: ChaCha20 keyed with the seed and the repetition, and a Fisher-Yates shuffle
    /// that draws `floor(next_u64 * n / 2^64)`. No library decides the order.
    #[must_use]
    pub fn new(suite: &Suite, seed: u64) -> Self {
        let last = suite.cases.iter().map(|case| case.repetitions).max().unwrap_or(0);
        let mut blocks = Vec::new();
        let mut before: Vec<Vec<usize>> = Vec::new();
        for repetition in 1..=last {
            let mut order = units(suite, repetition);
            shuffle(&mut order, seed, repetition);
            if order == before && order.len() > 1 {
                order.rotate_left(1);
            }
            let repetition = Repetition(repetition);
            blocks.extend(order.iter().flatten().map(|&case| Block { case, repetition }));
            before = order;
        }
        Self { blocks }
    }

    /// The blocks in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Cells each host has to fill.
    #[must_use]
    pub fn cells_per_host(&self) -> usize {
        self.blocks.len()
    }
}

/// The cases of one repetition: each separately, the levels of a sweep together, and a solo
/// counterpart right before its case, so that the two are measured close together.
fn units(suite: &Suite, repetition: u32) -> Vec<Vec<usize>> {
    let by_id: BTreeMap<&CaseId, &Case> = suite.cases.iter().map(|case| (&case.id, case)).collect();
    let key = |case: usize| {
        let case = &suite.cases[case];
        let own = case.solo_of.as_ref().and_then(|id| by_id.get(id).copied()).unwrap_or(case);
        own.sweep.as_ref().map_or((&own.id, false), |sweep| (&sweep.of, true))
    };
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<(&CaseId, bool), usize> = BTreeMap::new();
    for case in (0..suite.cases.len()).filter(|&c| suite.cases[c].repetitions >= repetition) {
        let unit = *known.entry(key(case)).or_insert(units.len());
        match units.get_mut(unit) {
            Some(unit) => unit.push(case),
            None => units.push(vec![case]),
        }
    }
    for unit in &mut units {
        unit.sort_by_key(|&case| {
            let case = &suite.cases[case];
            (case.sweep.as_ref().map(|sweep| sweep.level), case.solo_of.is_none())
        });
    }
    units
}

fn shuffle<T>(order: &mut [T], seed: u64, repetition: u32) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&repetition.to_le_bytes());
    let mut random = ChaCha20Rng::from_seed(key);
    for i in (1..order.len()).rev() {
        order.swap(i, below(random.next_u64(), i + 1));
    }
}

/// A draw of 64 bits made a number below `n`.
fn below(draw: u64, n: usize) -> usize {
    let scaled = (u128::from(draw) * n as u128) >> 64;
    usize::try_from(scaled).expect("below n, which is a usize")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regatta_types::ids::CaseId;
    use regatta_types::suite::Sweep;

    use super::*;
    use crate::suite::builtin;

    fn complex() -> Suite {
        builtin()[0].suite()
    }

    /// The cases of each repetition, in order.
    fn orders(plan: &Plan) -> Vec<Vec<usize>> {
        let mut out: Vec<Vec<usize>> = Vec::new();
        for block in plan.blocks() {
            let index = block.repetition.0 as usize - 1;
            out.resize(out.len().max(index + 1), Vec::new());
            assert_eq!(index, out.len() - 1, "repetitions come one after another");
            out[index].push(block.case);
        }
        out
    }

    #[test]
    fn every_repetition_holds_every_case_once() {
        let plan = Plan::new(&complex(), 7);
        assert_eq!(plan.cells_per_host(), 50);
        for mut order in orders(&plan) {
            order.sort_unstable();
            assert_eq!(order, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_of_a_seed_never_changes() {
        let orders = orders(&Plan::new(&complex(), 7));
        // Computed by an independent implementation of the documented rule.
        assert_eq!(orders[0], [3, 0, 7, 9, 8, 1, 5, 6, 4, 2]);
        assert_eq!(orders[1], [7, 6, 2, 0, 9, 1, 5, 8, 4, 3]);
    }

    #[test]
    fn other_seeds_and_other_repetitions_have_other_orders() {
        let of = |seed| orders(&Plan::new(&complex(), seed));
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        let mut suite = complex();
        suite.cases.truncate(2);
        for seed in 0..50 {
            let orders = orders(&Plan::new(&suite, seed));
            assert!(orders.windows(2).all(|pair| pair[0] != pair[1]), "{orders:?}");
        }
    }

    #[test]
    fn every_case_comes_first_about_as_often() {
        let mut first = [0; 10];
        for seed in 0..1_000 {
            first[Plan::new(&complex(), seed).blocks()[0].case] += 1;
        }
        assert!(first.iter().all(|n| (60..=140).contains(n)), "{first:?}");
    }

    #[test]
    fn the_levels_of_a_sweep_stay_together_and_rise() {
        let mut suite = complex();
        for level in 0..3 {
            let of = CaseId::new("load").unwrap();
            // The suite lists the highest first.
            suite.cases[2 + level].sweep =
                Some(Sweep { of, level: 2 - u32::try_from(level).unwrap() });
        }
        let mut places = BTreeSet::new();
        for order in (0..20).flat_map(|seed| orders(&Plan::new(&suite, seed))) {
            let at = order.iter().position(|&case| case == 4).unwrap();
            assert_eq!(order[at..at + 3], [4, 3, 2]);
            places.insert(at);
        }
        assert!(places.len() > 3, "the sweep is shuffled among the cases: {places:?}");
    }

    #[test]
    fn a_solo_counterpart_comes_right_before_its_case_and_keeps_the_order() {
        let mut suite = complex();
        for level in 0..3 {
            let of = CaseId::new("load").unwrap();
            suite.cases[2 + level].sweep =
                Some(Sweep { of, level: 2 - u32::try_from(level).unwrap() });
        }
        let twins = suite.clone().with_solo_twins().unwrap();
        let ids = |suite: &Suite| -> Vec<String> {
            let plan = Plan::new(suite, 7);
            plan.blocks().iter().map(|block| suite.cases[block.case].id.to_string()).collect()
        };
        let (alone, both) = (ids(&suite), ids(&twins));
        let expected: Vec<String> =
            alone.iter().flat_map(|id| [format!("{id}.solo"), id.clone()]).collect();
        assert_eq!(both, expected);
    }

    #[test]
    fn later_repetitions_skip_a_case_with_fewer_repetitions() {
        let mut suite = complex();
        suite.cases.truncate(3);
        suite.cases[1].repetitions = 2;
        let orders = orders(&Plan::new(&suite, 7));
        assert_eq!(orders.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2, 2, 2]);
        assert!(orders[2..].iter().all(|order| !order.contains(&1)));
    }
}
