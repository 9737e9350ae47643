//! What the hosts of a run give together, and what that takes: sums only where a sum means something,
//! that is with the figure of every host that is named as part of it.

mod users;

use regatta_types::ids::HostId;
use regatta_types::reading::Reading;
use regatta_types::units::{grouped, grouped_real};
use serde::Serialize;

use crate::analysis::{Analysis, HostAnalysis};
use crate::compare::{ClassReport, Metric, MetricReport};
use crate::metrics::GpuSum;
use crate::summary::{absent_numbers, some_names};

pub(crate) use users::{HostUsers, Users};

/// Joules of a kWh.
const KWH: f64 = 3.6e6;

/// The hosts of the largest class that measured something whole, together. `None`: not every one of
/// them has the figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Capacity {
    /// How many these are.
    pub(crate) hosts: usize,
    /// The other hosts of the run, each with why.
    pub(crate) left_out: Vec<LeftOut>,
    /// Figures that some of the hosts have and some lack, each with who lacks it.
    pub(crate) not_available: Vec<String>,
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

/// A host that is no part of the sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LeftOut {
    /// Its name, or `host #4` of one that never joined.
    pub(crate) host: String,
    pub(crate) why: String,
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
    /// Not available for a single host, and where no class has two with figures.
    pub(crate) fn of(analysis: &Analysis<'_>) -> Reading<Self> {
        let Some(class) = analysis.classes.first() else {
            return Reading::missing("nothing usable was measured");
        };
        let (hosts, left_out) = members(analysis, class);
        if hosts.len() < 2 {
            return Reading::missing(if hosts.len() + left_out.len() < 2 {
                ONE_HOST
            } else {
                "fewer than two hosts of one class have figures of whole repetitions"
            });
        }
        let mut lacking = Vec::new();
        let gpus: Vec<Option<GpuSum>> =
            hosts.iter().map(|h| h.gpus.known().map(|gpus| GpuSum::of(gpus))).collect();
        let powers = gpus.iter().map(|gpu| gpu.and_then(|g| g.power_mean_w)).collect();
        let peaks = hosts.iter().map(|h| h.peak_output().map(|(_, tps)| tps)).collect();
        let energies = hosts.iter().map(|h| joules_and_tokens(h)).collect();
        let mut whole = |name, values| sum(&hosts, name, values, &mut lacking);
        let peak_output_tps = whole("output under load", peaks);
        let power_w = whole("power of the GPU boards", powers);
        let tariff = analysis.record.header.tariff;
        let price = tariff.and_then(|tariff| {
            let known: Vec<Option<(f64, f64)>> = energies;
            let joules = whole("electricity", known.iter().map(|e| e.map(|e| e.0)).collect())?;
            let tokens: f64 = known.iter().flatten().map(|e| e.1).sum();
            Some(joules / tokens * 1e6 / KWH * tariff)
        });
        Reading::Known(Self {
            hosts: hosts.len(),
            decode: decode(analysis, class, &hosts),
            peak_output_tps,
            users: Users::of(&hosts),
            power_w,
            power_unattributed: gpus.iter().flatten().any(GpuSum::is_unattributed),
            price_per_million: price,
            left_out,
            not_available: lacking,
        })
    }

    /// `the 3 hosts`, `4 of 6 hosts`.
    pub(crate) fn whose(&self) -> String {
        match self.left_out.len() {
            0 => format!("the {} hosts", self.hosts),
            out => format!("{} of {} hosts", self.hosts, self.hosts + out),
        }
    }

    /// Those left out, by reason: `gpu-05, gpu-06 (another class); host #7 (never joined)`.
    pub(crate) fn without(&self) -> Option<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for LeftOut { host, why } in &self.left_out {
            match reasons.iter_mut().find(|(same, _)| same == why) {
                Some((_, hosts)) => hosts.push(host),
                None => reasons.push((why, vec![host])),
            }
        }
        let said =
            |(why, hosts): (&str, Vec<&str>)| format!("{} ({why})", some_names(hosts.into_iter()));
        let said: Vec<String> = reasons.into_iter().map(said).collect();
        (!said.is_empty()).then(|| said.join("; "))
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
            parts.push(format!(
                "electricity: {price:.3} per million output tokens (in the tariff's currency, GPU boards only)"
            ));
        }
        parts.extend(self.not_available.iter().map(|what| format!("not available: {what}")));
        let without = self.without().map_or_else(String::new, |who| format!(", without {who}"));
        Some(format!("Capacity of {}{without}: {}.", self.whose(), parts.join("; ")))
    }
}

/// Why there is none, of a run that has none to expect.
pub(crate) const ONE_HOST: &str = "there is one host";

/// The hosts of a class that have whole repetitions, or at least output under load; and all others.
fn members<'h, 'a>(
    analysis: &'h Analysis<'a>,
    class: &ClassReport,
) -> (Vec<&'h HostAnalysis<'a>>, Vec<LeftOut>) {
    let (mut hosts, mut left_out) = (Vec::new(), Vec::new());
    for host in &analysis.hosts {
        let mean = |m: &MetricReport| m.judged(host.host).is_some_and(|j| j.mean.is_some());
        let decode = class.metric(Metric::DecodeTps);
        let why = if !host.has_usable() {
            "nothing usable".to_owned()
        } else if !class.class.hosts.contains(host.host) {
            "another class".to_owned()
        } else if host.peak_output().is_none() && !decode.is_some_and(mean) {
            let left_out = decode.and_then(|m| m.why_left_out(host.host));
            left_out.unwrap_or_else(|| "no complete repetition".to_owned())
        } else {
            hosts.push(host);
            continue;
        };
        left_out.push(LeftOut { host: host.host.to_string(), why });
    }
    left_out.extend(
        absent_numbers(analysis).map(|number| LeftOut {
            host: format!("host #{number}"),
            why: "never joined".to_owned(),
        }),
    );
    (hosts, left_out)
}

/// The sum over all hosts; where only some have a value none, and a remark who lacks it.
fn sum(
    hosts: &[&HostAnalysis<'_>],
    name: &str,
    values: Vec<Option<f64>>,
    lacking: &mut Vec<String>,
) -> Option<f64> {
    let without: Vec<&str> = hosts
        .iter()
        .zip(&values)
        .filter(|(_, value)| value.is_none())
        .map(|(host, _)| host.host.as_str())
        .collect();
    if !without.is_empty() && without.len() < hosts.len() {
        lacking.push(format!("{name} (none of {})", some_names(without.into_iter())));
    }
    values.into_iter().sum()
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
        let energy = case.energy.known()?;
        Some((energy.joules, energy.joules / energy.j_per_out_tok?))
    });
    let (joules, tokens) = known.fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    (tokens > 0.0).then_some((joules, tokens))
}
