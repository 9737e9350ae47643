//! What the hosts of a run give together, and what that takes: sums only where a sum means something,
//! that is with the figure of every host that is named as part of it.

mod users;

use regatta_types::ids::HostId;
use regatta_types::metric::Metric;
use serde::Serialize;

use crate::analysis::Analysis;
use crate::compare::{ClassReport, MetricReport, Reason, same_machine};
use crate::hosts::HostAnalysis;
use crate::metrics::GpuSum;

pub use users::{HostUsers, Users};

/// Joules of a kWh.
const KWH: f64 = 3.6e6;

/// The hosts of the largest class that measured something whole, together. `None`: not every one of
/// them has the figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// How many these are.
    pub hosts: usize,
    /// The other hosts of the run, each with why.
    pub left_out: Vec<(Member, WhyExcluded)>,
    /// Figures that some of the hosts have and some lack, each with who lacks it.
    pub not_available: Vec<(Sum, Vec<HostId>)>,
    /// Decode speeds as they are compared, one stream on each host.
    pub decode: Option<Decode>,
    /// Highest system outputs, each host in its own best case, tokens a second.
    pub peak_output_tps: Option<f64>,
    /// Streams at once of which 99 % of the requests keep every limit.
    pub users: Option<Users>,
    /// Mean power of the GPU boards in usable attempts, watts.
    pub power_w: Option<f64>,
    /// Whether that is of all GPUs of a host, for want of anything that tells which are the endpoint's.
    pub power_unattributed: bool,
    /// Energy of the GPU boards for a million output tokens, in the currency of the tariff.
    pub price_per_million: Option<f64>,
}

/// A figure that hosts add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Highest system output.
    PeakOutput,
    /// Power of the GPU boards.
    Power,
    /// Energy for each token.
    Electricity,
}

/// Who a host of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// By its name.
    Named(HostId),
    /// By its number, of one that never joined.
    Absent(usize),
}

/// Why a host is no part of the sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyExcluded {
    NothingUsable,
    AnotherClass,
    /// It or its decode speed is not compared.
    NotCompared(Reason),
    NoCompleteRepetition,
    NeverJoined,
}

/// Why nothing is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCapacity {
    OneHost,
    NothingUsable,
    /// Fewer than two hosts of one class have figures of whole repetitions.
    TooFewHosts,
}

/// Decode speed of the hosts, tokens a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decode {
    pub sum: f64,
    pub slowest: HostId,
    pub slowest_tps: f64,
    /// How much more the fastest has than the slowest, as a share.
    pub spread: f64,
}

impl Capacity {
    /// Not available for a single host, and where no class has two with figures.
    pub fn of(analysis: &Analysis<'_>) -> Result<Self, NoCapacity> {
        let Some(class) = analysis.classes.first() else {
            return Err(NoCapacity::NothingUsable);
        };
        let (hosts, left_out) = members(analysis, class);
        if hosts.len() < 2 {
            let is_again = |(_, why): &&(Member, WhyExcluded)| {
                matches!(why, WhyExcluded::NotCompared(Reason::SameMachine { .. }))
            };
            let again = left_out.iter().filter(is_again).count();
            return Err(if hosts.len() + left_out.len() - again < 2 {
                NoCapacity::OneHost
            } else {
                NoCapacity::TooFewHosts
            });
        }
        let gpus = |host: &HostAnalysis<'_>| Some(GpuSum::of(host.gpus.as_ref().ok()?));
        let mut not_available = Vec::new();
        let mut whole = |figure, value: &dyn Fn(&HostAnalysis<'_>) -> Option<f64>| {
            sum(&hosts, figure, value, &mut not_available)
        };
        let peak_output_tps = whole(Sum::PeakOutput, &|host| Some(host.peak_output()?.1));
        let power_w = whole(Sum::Power, &|host| gpus(host)?.power_mean_w);
        let price_per_million = analysis.record.header.tariff.and_then(|tariff| {
            let joules = whole(Sum::Electricity, &|host| Some(joules_and_tokens(host)?.0))?;
            let tokens = hosts.iter().filter_map(|host| Some(joules_and_tokens(host)?.1));
            Some(joules / tokens.sum::<f64>() * 1e6 / KWH * tariff)
        });
        Ok(Self {
            hosts: hosts.len(),
            decode: decode(analysis, class, &hosts),
            peak_output_tps,
            users: Users::of(&hosts),
            power_w,
            power_unattributed: hosts.iter().filter_map(|h| gpus(h)).any(|g| g.is_unattributed()),
            price_per_million,
            left_out,
            not_available,
        })
    }
}

/// The hosts of a class that have whole repetitions, or at least output under load; and all others.
fn members<'h, 'a>(
    analysis: &'h Analysis<'a>,
    class: &ClassReport,
) -> (Vec<&'h HostAnalysis<'a>>, Vec<(Member, WhyExcluded)>) {
    let (mut hosts, mut left_out) = (Vec::new(), Vec::new());
    for host in &analysis.hosts {
        let mean = |m: &MetricReport| m.judged(host.host).is_some_and(|j| j.mean.is_some());
        let decode = class.metric(Metric::DecodeTps);
        let why = if !host.has_usable() {
            WhyExcluded::NothingUsable
        } else if !class.class.hosts.contains(host.host) {
            WhyExcluded::AnotherClass
        } else if let Some(why) = same_machine(host, &hosts) {
            WhyExcluded::NotCompared(why)
        } else if host.peak_output().is_none() && !decode.is_some_and(mean) {
            let left_out = decode.and_then(|m| m.why_left_out(host.host));
            left_out.map_or(WhyExcluded::NoCompleteRepetition, WhyExcluded::NotCompared)
        } else {
            hosts.push(host);
            continue;
        };
        left_out.push((Member::Named(host.host.clone()), why));
    }
    let never = |number| (Member::Absent(number), WhyExcluded::NeverJoined);
    left_out.extend(analysis.absent_numbers().map(never));
    (hosts, left_out)
}

/// The sum over all hosts. If only some have a value: no sum, and a note that names the others.
fn sum(
    hosts: &[&HostAnalysis<'_>],
    figure: Sum,
    value: &dyn Fn(&HostAnalysis<'_>) -> Option<f64>,
    not_available: &mut Vec<(Sum, Vec<HostId>)>,
) -> Option<f64> {
    let without = hosts.iter().filter(|host| value(host).is_none());
    let without: Vec<HostId> = without.map(|host| host.host.clone()).collect();
    if !without.is_empty() && without.len() < hosts.len() {
        not_available.push((figure, without));
    }
    hosts.iter().map(|host| value(host)).sum()
}

/// If all compared cases are of one stream.
fn decode(
    analysis: &Analysis<'_>,
    class: &ClassReport,
    hosts: &[&HostAnalysis<'_>],
) -> Option<Decode> {
    let report = class.metric(Metric::DecodeTps)?;
    if analysis.streams_of(&report.series.cases)? != (1, 1) {
        return None;
    }
    let names = hosts.iter().map(|h| h.host);
    let levels: Option<Vec<(&HostId, f64)>> =
        names.map(|host| Some((host, report.judged(host)?.mean?.exp()))).collect();
    let levels = levels?;
    let (slowest, slowest_tps) = *levels.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let fastest = levels.iter().map(|(_, tps)| *tps).fold(0.0, f64::max);
    Some(Decode {
        sum: levels.iter().map(|(_, tps)| tps).sum(),
        slowest: slowest.clone(),
        slowest_tps,
        spread: fastest / slowest_tps - 1.0,
    })
}

/// Over all cases of a host with energy, if it has one.
fn joules_and_tokens(host: &HostAnalysis<'_>) -> Option<(f64, f64)> {
    let known = host.cases.iter().filter_map(|case| {
        let energy = case.energy.as_ref().ok()?;
        Some((energy.joules, energy.joules / energy.j_per_out_tok?))
    });
    let (joules, tokens) = known.fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    (tokens > 0.0).then_some((joules, tokens))
}
