//! What the hosts of a run give together, and what that takes: sums only where a sum means something,
//! that is with the figure of every host.

mod users;

use regatta_types::ids::HostId;
use regatta_types::units::{grouped, grouped_real};
use serde::Serialize;

use crate::analysis::{Analysis, HostAnalysis};
use crate::compare::Metric;
use crate::metrics::GpuSum;

pub(crate) use users::{HostUsers, Users};

/// Joules of a kWh.
const KWH: f64 = 3.6e6;

/// All hosts together. `None`: not every host has the figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Capacity {
    /// How many there are.
    pub(crate) hosts: usize,
    /// Decode speeds as they are compared, one stream on each host.
    pub(crate) decode: Option<Decode>,
    /// Highest system outputs, each host in its own best case, tokens a second.
    pub(crate) peak_output_tps: Option<f64>,
    /// Streams at once of which 99 % of the requests keep every limit.
    pub(crate) users: Option<Users>,
    /// Mean power of the GPU boards in usable attempts, watts.
    pub(crate) power_w: Option<f64>,
    /// Whether that is of all GPUs of a host, for want of anything that tells which are the endpoint's.
    pub(crate) power_unattributed: bool,
    /// Energy of the GPU boards for a million output tokens, in the currency of the tariff.
    pub(crate) price_per_million: Option<f64>,
}

/// Decode speed of the hosts, tokens a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Decode {
    pub(crate) sum: f64,
    pub(crate) slowest: HostId,
    pub(crate) slowest_tps: f64,
    /// How much more the fastest has than the slowest, as a share.
    pub(crate) spread: f64,
}

impl Capacity {
    /// `None` for a single host, and where the hosts are not of one class or not all there.
    pub(crate) fn of(analysis: &Analysis<'_>) -> Option<Self> {
        let hosts = &analysis.hosts;
        let [class] = analysis.classes.as_slice() else { return None };
        if class.class.hosts.len() != hosts.len() || hosts.len() < 2 || analysis.record.absent > 0 {
            return None;
        }
        let gpus: Option<Vec<GpuSum>> =
            hosts.iter().map(|h| h.gpus.known().map(|gpus| GpuSum::of(gpus))).collect();
        let gpus = gpus.unwrap_or_default();
        let power: Option<f64> = gpus.iter().map(|g| g.power_mean_w).sum();
        let tariff = analysis.record.header.tariff;
        Some(Self {
            hosts: hosts.len(),
            decode: decode(analysis),
            peak_output_tps: hosts.iter().map(|h| h.peak_output().map(|(_, tps)| tps)).sum(),
            users: Users::of(hosts),
            power_w: power.filter(|_| !gpus.is_empty()),
            power_unattributed: gpus.iter().any(GpuSum::is_unattributed),
            price_per_million: tariff.zip(joules_per_token(hosts)).map(|(t, j)| j * 1e6 / KWH * t),
        })
    }

    /// One sentence; `None` where there is no decode speed at one stream and no system output.
    pub(crate) fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(decode) = &self.decode {
            parts.push(format!(
                "{} tok/s at one stream on each host (slowest {} with {}, fastest {:.1} % more)",
                grouped_real(decode.sum, 0),
                decode.slowest,
                grouped_real(decode.slowest_tps, 1),
                decode.spread * 100.0
            ));
        }
        if let Some(peak) = self.peak_output_tps {
            parts.push(format!("at most {} tok/s under load", grouped_real(peak, 0)));
        }
        if parts.is_empty() {
            return None;
        }
        if let Some(users) = &self.users {
            let least = if users.at_least { "at least " } else { "" };
            let (streams, n) = (users.streams, grouped(u64::from(users.requests)));
            parts.push(format!("{least}{streams} streams within the limits ({n} requests)"));
        }
        if let Some(watts) = self.power_w {
            parts.push(format!("{} W of GPU boards", grouped_real(watts, 0)));
        }
        if let Some(price) = self.price_per_million {
            parts.push(format!("energy of {price:.3} a million output tokens"));
        }
        Some(format!("Capacity of the {} hosts: {}.", self.hosts, parts.join("; ")))
    }
}

/// If all compared cases are of one stream.
fn decode(analysis: &Analysis<'_>) -> Option<Decode> {
    let [class] = analysis.classes.as_slice() else { return None };
    let report = class.metric(Metric::DecodeTps)?;
    if analysis.streams_of(&report.series.cases)? != (1, 1) {
        return None;
    }
    let names = analysis.hosts.iter().map(|h| h.host);
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

/// Over all cases with energy, every host with one.
fn joules_per_token(hosts: &[HostAnalysis<'_>]) -> Option<f64> {
    let (mut joules, mut tokens) = (0.0, 0.0);
    for host in hosts {
        let known = host.cases.iter().filter_map(|case| {
            let energy = case.energy.known()?;
            Some((energy.joules, energy.joules / energy.j_per_out_tok?))
        });
        let before = tokens;
        for (own, of) in known {
            joules += own;
            tokens += of;
        }
        if tokens <= before {
            return None;
        }
    }
    (tokens > 0.0).then(|| joules / tokens)
}
