//! What is worked out here, against the same worked out by SciPy (`tables/scipy.py`).

use regatta_types::ids::HostId;
use serde::Deserialize;

use super::{RULE, close, hosts};
use crate::compare::fleet::{Field, Outcome, compare};
use crate::compare::power::noncentrality;
use crate::compare::rank::between;
use crate::compare::{Judgement, Reason, Verdict};
use crate::metrics::{Change, Effect, Estimate, t_quantile};

#[derive(Deserialize)]
struct Table {
    t_quantiles: Vec<Quantile>,
    one_sample: Vec<OneSample>,
    two_samples: Vec<TwoSamples>,
    noncentrality: Vec<Noncentrality>,
    fleets: Vec<Fleet>,
}

#[derive(Deserialize)]
struct Quantile {
    p: f64,
    freedom: f64,
    quantile: f64,
}

#[derive(Deserialize)]
struct OneSample {
    values: Vec<f64>,
    mean: f64,
    sd: f64,
    #[serde(flatten)]
    test: TTest,
}

#[derive(Deserialize)]
struct TwoSamples {
    before: Vec<f64>,
    after: Vec<f64>,
    freedom: f64,
    #[serde(flatten)]
    test: TTest,
}

#[derive(Deserialize)]
struct TTest {
    p: f64,
    ci95: (f64, f64),
    ci90: (f64, f64),
}

impl TTest {
    fn assert_same(&self, of: impl Estimate + std::fmt::Debug) {
        assert!(close(of.p(), self.p), "{} {}", of.p(), self.p);
        assert!(both_close(of.t_interval(0.95), self.ci95), "{of:?}");
        assert!(both_close(of.t_interval(0.90), self.ci90), "{of:?}");
    }
}

#[derive(Deserialize)]
struct Noncentrality {
    n: usize,
    alpha: f64,
    power: f64,
    mean: f64,
}

#[derive(Deserialize)]
struct Fleet {
    logs: Vec<Vec<f64>>,
    set_aside: Vec<usize>,
    verdicts: Vec<String>,
    effects: Option<Vec<FleetEffect>>,
    ranks: Vec<(usize, usize)>,
}

#[derive(Deserialize)]
struct FleetEffect {
    mean: f64,
    ci95: (f64, f64),
}

fn table() -> Table {
    let table = serde_json::from_str(include_str!("../tables/scipy.json"));
    table.expect("the table has this form")
}

fn both_close(got: (f64, f64), wanted: (f64, f64)) -> bool {
    close(got.0, wanted.0) && close(got.1, wanted.1)
}

#[test]
fn quantiles_of_t_are_those_of_scipy() {
    for row in table().t_quantiles {
        let got = t_quantile(row.p, row.freedom);
        assert!(close(got, row.quantile), "{} {}: {got}", row.p, row.freedom);
    }
}

#[test]
fn intervals_and_p_values_are_those_of_scipy() {
    for row in table().one_sample {
        let effect = Effect::of(&row.values).unwrap();
        assert!(close(effect.mean, row.mean) && close(effect.sd, row.sd), "{effect:?}");
        row.test.assert_same(effect);
    }
}

#[test]
fn changes_between_two_runs_are_those_of_scipys_test_of_two_samples() {
    for row in table().two_samples {
        let [before, after] = [&row.before, &row.after].map(|v| Effect::of(v).unwrap());
        let change = Change { before, after };
        assert!(close(change.freedom(), row.freedom), "{change:?}");
        row.test.assert_same(change);
    }
}

#[test]
fn what_repetitions_could_have_shown_is_what_scipys_noncentral_t_says() {
    for row in table().noncentrality {
        let got = noncentrality(row.n, row.alpha, row.power);
        let off = (got / row.mean - 1.0).abs();
        assert!(off < 0.005, "{} {} {}: {got}, {}", row.n, row.alpha, row.power, row.mean);
    }
}

fn words(judgement: &Judgement) -> String {
    let verdict = match judgement {
        Judgement::NotJudged(Reason::TwoGroups) => return "two groups".to_owned(),
        Judgement::NotJudged(other) => return format!("{other:?}"),
        Judgement::Verdict(verdict) => verdict,
    };
    match verdict {
        Verdict::Faster => "faster".to_owned(),
        Verdict::Slower => "slower".to_owned(),
        Verdict::Equivalent => "equivalent".to_owned(),
        Verdict::Inconclusive { more: Some(more) } => format!("inconclusive, {more} more"),
        Verdict::Inconclusive { more: None } => "inconclusive, never".to_owned(),
    }
}

fn set_aside(outcome: &Outcome) -> Vec<usize> {
    let position = |host: &HostId| outcome.hosts.iter().position(|j| j.host == *host).unwrap();
    outcome.set_aside.iter().map(position).collect()
}

#[test]
fn whole_fleets_are_judged_as_a_second_implementation_judges_them() {
    let fleets = table().fleets;
    assert!(fleets.len() > 30);
    for (index, row) in fleets.iter().enumerate() {
        let logs: Vec<&[f64]> = row.logs.iter().map(Vec::as_slice).collect();
        let fleet = hosts(&logs);
        let outcome = compare(&fleet, RULE);
        let verdicts: Vec<String> = outcome.hosts.iter().map(|j| words(&j.verdict)).collect();
        assert_eq!(verdicts, row.verdicts, "fleet {index}");
        assert_eq!(set_aside(&outcome), row.set_aside, "fleet {index}");
        for (judged, wanted) in outcome.hosts.iter().zip(row.effects.iter().flatten()) {
            let effect = judged.effect.unwrap();
            assert!(close(effect.mean, wanted.mean), "fleet {index}: {effect:?}");
            assert!(both_close(effect.interval(0.95), wanted.ci95), "fleet {index}: {effect:?}");
        }
        let ranks = between(&Field::new(&fleet, RULE));
        assert_eq!(ranks, row.ranks, "fleet {index}");
    }
}
