//! Energy: the counter's difference over an attempt, checked against the power samples.
//!
//! It is that of the GPU boards only, and never negative: what cannot be trusted is withheld.

use std::collections::BTreeMap;
use std::time::Duration;

use itertools::Itertools as _;
use regatta_types::attempt::AttemptReport;
use regatta_types::gpu::{EnergyReading, GpuSample, GpuSeries};
use regatta_types::time::MonoNs;
use serde::Serialize;

use super::serving;
use crate::absent::{Absent, Figure, told};
use crate::metrics::{Tokens, real};

/// Shorter attempts have no energy: the counter moves in steps, and lags.
const SHORTEST: Duration = Duration::from_secs(5);
/// The counter is read within this time of an attempt's begin and end.
const EDGE: Duration = Duration::from_millis(500);
/// Longest time between two power samples that the check bridges.
const HOLE: Duration = Duration::from_secs(1);
/// A larger relative difference between counter and samples is a finding.
pub const RESIDUAL_FLAG: f64 = 0.05;
/// With a larger one there is no energy.
const RESIDUAL_LIMIT: f64 = 0.10;
/// Fewest quiet samples of a GPU that make its idle power.
const QUIET_SAMPLES: usize = 5;
/// Quiet samples with less memory in use than this share of a later attempt's are from before the
/// model was there.
const RESIDENT: f64 = 0.9;

/// One attempt's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Energy {
    /// Of all GPUs of the endpoint, joules.
    pub joules: f64,
    /// Between the readings of the counter, seconds.
    pub seconds: f64,
    /// How much the power samples make more than the counter, as a share of it; the largest of the
    /// GPUs. `None`: they have holes.
    pub residual: Option<f64>,
}

impl Energy {
    pub(super) fn of(report: &AttemptReport) -> Figure<Self> {
        told(&report.gpu.series)?;
        if report.finished.since(report.began) < SHORTEST {
            return Err(Absent::ShortAttempt);
        }
        let mut sum = Self { joules: 0.0, seconds: 0.0, residual: Some(0.0) };
        let mut gpus = 0;
        for series in serving(&report.gpu) {
            let (from, until) = edges(series, report.began, report.finished)?;
            let millijoules = until.millijoules.checked_sub(from.millijoules);
            let joules = millijoules.ok_or(Absent::CounterRanBackwards)? as f64 / 1e3;
            // A board draws power all the time.
            if joules <= 0.0 {
                return Err(Absent::CounterStandsStill);
            }
            let residual =
                trapezoid(&series.samples, from.at, until.at).map(|check| check / joules - 1.0);
            if let Some(residual) = residual.filter(|r| r.abs() > RESIDUAL_LIMIT) {
                return Err(Absent::CounterDisagrees { residual });
            }
            sum.joules += joules;
            sum.seconds = sum.seconds.max(until.at.since(from.at).as_secs_f64());
            let larger = |(a, b): (f64, f64)| if b.abs() > a.abs() { b } else { a };
            sum.residual = sum.residual.zip(residual).map(larger);
            gpus += 1;
        }
        if gpus == 0 { Err(Absent::NoServingGpu) } else { Ok(sum) }
    }
}

/// The readings of the counter nearest to begin and end of an attempt.
fn edges(
    series: &GpuSeries,
    began: MonoNs,
    finished: MonoNs,
) -> Figure<(EnergyReading, EnergyReading)> {
    if let Some(end) = series.ended.as_ref().filter(|end| end.at < finished) {
        return Err(Absent::Told(end.reason.clone()));
    }
    if let Some(pair) = series.energy.windows(2).find(|p| p[1].millijoules < p[0].millijoules)
        && pair[1].at > began
    {
        return Err(Absent::CounterRanBackwards);
    }
    let near = |edge: MonoNs, absent: Absent| {
        let distance = |r: &EnergyReading| r.at.since(edge).max(edge.since(r.at));
        let nearest = series.energy.iter().min_by_key(|r| distance(r)).copied();
        nearest
            .filter(|r| distance(r) <= EDGE)
            .ok_or_else(|| series.unavailable.get("energy").cloned().map_or(absent, Absent::Told))
    };
    Ok((near(began, Absent::CounterNotReadAtBegin)?, near(finished, Absent::CounterNotReadAtEnd)?))
}

/// The power samples from one moment to another as an area; `None` if they have a hole.
fn trapezoid(samples: &[GpuSample], from: MonoNs, until: MonoNs) -> Option<f64> {
    let inside = |at: &MonoNs| (from..=until).contains(at);
    let read = samples.iter().filter_map(|s| Some((s.at, s.power_w?)));
    let mut read: Vec<(MonoNs, f64)> = read.filter(|(at, _)| inside(at)).collect();
    let (first, last) = (*read.first()?, *read.last()?);
    // The ends have the power of the sample nearest to them.
    read.insert(0, (from, first.1));
    read.push((until, last.1));
    let mut area = 0.0;
    for pair in read.windows(2) {
        let time = pair[1].0.since(pair[0].0);
        if time > HOLE {
            return None;
        }
        area += f64::midpoint(pair[0].1, pair[1].1) * time.as_secs_f64();
    }
    Some(area)
}

/// Power with the model resident and nothing asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Idle {
    /// Of all GPUs of the endpoint, watts.
    pub watts: f64,
    /// Time in which it was seen, seconds.
    pub seconds: f64,
}

impl Idle {
    /// From the quiet times before these attempts.
    pub fn of(reports: &[&AttemptReport]) -> Figure<Self> {
        let mut gpus: BTreeMap<&str, (Vec<f64>, f64)> = BTreeMap::new();
        for report in reports {
            for series in serving(&report.gpu) {
                let (powers, seconds) = gpus.entry(&series.uuid).or_default();
                let resident = series.baseline.and_then(|s| s.memory_used);
                let quiet = series.quiet.iter().filter(|s| match (s.memory_used, resident) {
                    (Some(used), Some(later)) => used.0 as f64 >= RESIDENT * later.0 as f64,
                    (Some(_) | None, None) | (None, Some(_)) => true,
                });
                let quiet: Vec<f64> = quiet.filter_map(|s| s.power_w).collect();
                *seconds += real(quiet.len()) * f64::from(report.gpu.period_ms) / 1e3;
                powers.extend(quiet);
            }
        }
        if gpus.is_empty() || gpus.values().any(|(powers, _)| powers.len() < QUIET_SAMPLES) {
            return Err(Absent::NeverAtRest);
        }
        let means = gpus.values().map(|(all, _)| all.iter().sum::<f64>() / real(all.len()));
        let seconds = gpus.values().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
        Ok(Self { watts: means.sum(), seconds })
    }
}

/// Energy of several attempts. The first three fields are written by who has the words for a reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnergyFigures {
    /// Attempts that have it.
    #[serde(skip)]
    pub attempts: usize,
    /// Those, and the ones that do not.
    #[serde(skip)]
    pub of: usize,
    /// Why not, if there is one that does not.
    #[serde(skip)]
    pub withheld: Option<Absent>,
    /// Of the GPU boards, joules.
    pub joules: f64,
    /// Seconds of it.
    pub seconds: f64,
    /// Largest difference of power samples and counter, as a share; `None`: some have no check.
    pub residual: Option<f64>,
    /// Joules per output token; `None`: some requests do not report their tokens.
    pub j_per_out_tok: Option<f64>,
    /// The same above idle power.
    pub j_per_out_tok_above_idle: Option<f64>,
    /// Prompt tokens for each output token.
    pub prompt_per_out_tok: Option<f64>,
}

/// What stands beside the energy of several cases.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Beside {
    /// Joules per output token above idle power, geometric mean; `None` if a case has none.
    pub above_idle: Option<f64>,
    /// All prompt tokens for each output token of all cases; `None` if a case has none.
    pub prompt_per_out_tok: Option<f64>,
}

impl EnergyFigures {
    /// Over cases, each with the same weight in joules.
    pub fn beside(cases: &[&Self]) -> Beside {
        if cases.is_empty() {
            return Beside::default();
        }
        let log = |c: &&Self| c.j_per_out_tok_above_idle.filter(|j| *j > 0.0).map(f64::ln);
        let logs: Option<f64> = cases.iter().map(log).sum();
        let tokens = |c: &&Self| Some(c.joules / c.j_per_out_tok.filter(|j| *j > 0.0)?);
        let output: Option<f64> = cases.iter().map(tokens).sum();
        let prompts: Option<f64> =
            cases.iter().map(|c| Some(c.prompt_per_out_tok? * tokens(c)?)).sum();
        Beside {
            above_idle: logs.map(|sum| (sum / real(cases.len())).exp()),
            prompt_per_out_tok: prompts.zip(output).map(|(prompt, output)| prompt / output),
        }
    }

    /// Sums up attempts, each with the tokens of its requests.
    pub fn of(attempts: &[(&AttemptReport, &Tokens)], idle: Option<&Idle>) -> Figure<Self> {
        let read = attempts.iter().map(|(report, tokens)| Ok((Energy::of(report)?, *tokens)));
        let (known, withheld): (Vec<(Energy, &Tokens)>, Vec<Absent>) = read.partition_result();
        let withheld = withheld.into_iter().next();
        if known.is_empty() {
            return Err(withheld.unwrap_or(Absent::NoUsableAttempt));
        }
        let joules: f64 = known.iter().map(|(energy, _)| energy.joules).sum();
        let seconds: f64 = known.iter().map(|(energy, _)| energy.seconds).sum();
        let tokens = Tokens::sum(known.iter().map(|(_, tokens)| *tokens));
        let output = tokens.completion.known().filter(|n| *n > 0).map(|n| n as f64);
        let above = idle.map(|idle| joules - idle.watts * seconds);
        let residuals: Option<Vec<f64>> = known.iter().map(|(energy, _)| energy.residual).collect();
        let largest = |all: Vec<f64>| all.into_iter().max_by(|a, b| a.abs().total_cmp(&b.abs()));
        Ok(Self {
            attempts: known.len(),
            of: attempts.len(),
            withheld,
            joules,
            seconds,
            residual: residuals.and_then(largest),
            j_per_out_tok: output.map(|n| joules / n),
            j_per_out_tok_above_idle: above.filter(|j| *j >= 0.0).zip(output).map(|(j, n)| j / n),
            prompt_per_out_tok: tokens.prompt_per_output(),
        })
    }
}

#[cfg(test)]
mod tests;
