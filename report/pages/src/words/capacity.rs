//! Total capacity of the hosts, in words.

use itertools::Itertools as _;
use regatta_figures::capacity::{Capacity, HostUsers, Member, NoCapacity, Sum, WhyExcluded};
use regatta_figures::metrics::Goodput;
use regatta_types::ids::HostId;
use regatta_types::units::{grouped, grouped_real};

use super::names::{some_names, together};
use super::reason::reason;

/// `the 3 hosts`, `4 of 6 hosts`.
pub(crate) fn whose(capacity: &Capacity) -> String {
    match capacity.left_out.len() {
        0 => format!("the {} hosts", capacity.hosts),
        out => format!("{} of {} hosts", capacity.hosts, capacity.hosts + out),
    }
}

/// Excluded hosts by reason: `gpu-05, gpu-06 (another class); host #7 (never joined)`.
pub(crate) fn without(capacity: &Capacity) -> Option<String> {
    let said = capacity.left_out.iter().map(|(host, why)| (member(host), why_left_out(why)));
    let said = together(said).into_iter().map(|(hosts, why)| format!("{hosts} ({why})")).join("; ");
    (!said.is_empty()).then_some(said)
}

/// Its name, or `host #4` of one that never joined.
pub(crate) fn member(host: &Member) -> String {
    match host {
        Member::Named(name) => name.to_string(),
        Member::Absent(number) => format!("host #{number}"),
    }
}

pub(crate) fn why_left_out(why: &WhyExcluded) -> String {
    match why {
        WhyExcluded::NothingUsable => "no usable results".to_owned(),
        WhyExcluded::AnotherClass => "another class".to_owned(),
        WhyExcluded::NotCompared(why) => reason(why),
        WhyExcluded::NoCompleteRepetition => "no complete repetition".to_owned(),
        WhyExcluded::NeverJoined => "never joined".to_owned(),
    }
}

pub(crate) fn why_none(why: NoCapacity) -> &'static str {
    match why {
        NoCapacity::OneHost => "only one host",
        NoCapacity::NothingUsable => "no usable results",
        NoCapacity::TooFewHosts => "fewer than two hosts of one class have complete repetitions",
    }
}

/// `GPU board power (none from gpu-02)`.
pub(crate) fn lacking((figure, hosts): &(Sum, Vec<HostId>)) -> String {
    let figure = match figure {
        Sum::PeakOutput => "output under load",
        Sum::Power => "GPU board power",
        Sum::Electricity => "electricity",
    };
    format!("{figure} (none from {})", some_names(hosts))
}

/// One sentence; `None` without single-stream decode speed and system output.
pub(crate) fn sentence(capacity: &Capacity) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(decode) = &capacity.decode {
        parts.push(format!(
            "{} tok/s with one stream per host (slowest {} at {}, fastest {:.1} % faster)",
            grouped_real(decode.sum, 0),
            decode.slowest,
            grouped_real(decode.slowest_tps, 1),
            decode.spread * 100.0
        ));
    }
    if let Some(peak) = capacity.peak_output_tps {
        parts.push(format!("peak {} tok/s under load", grouped_real(peak, 0)));
    }
    if parts.is_empty() {
        return None;
    }
    if let Some(users) = &capacity.users {
        let least = if users.at_least { "at least " } else { "" };
        let (streams, n) = (users.streams, grouped(u64::from(users.requests)));
        parts.push(format!("{least}{streams} streams within the SLO ({n} requests)"));
    }
    if let Some(watts) = capacity.power_w {
        parts.push(format!("{} W GPU board power", grouped_real(watts, 0)));
    }
    if let Some(price) = capacity.price_per_million {
        parts.push(format!(
            "electricity {price:.3} per million output tokens (tariff currency, GPU boards only)"
        ));
    }
    parts.extend(
        capacity.not_available.iter().map(|what| format!("not available: {}", lacking(what))),
    );
    parts.extend(without(capacity).map(|who| format!("excluded: {who}")));
    Some(format!("Capacity of {}: {}.", whose(capacity), parts.join("; ")))
}

/// `at least 8 streams (100.0 % of 300 requests)`, with the level that fails.
pub(crate) fn users(host: &HostUsers) -> String {
    let of = |goodput: Goodput| {
        let share = goodput.share().unwrap_or(0.0) * 100.0;
        format!("{share:.1} % of {} requests", grouped(u64::from(goodput.offered)))
    };
    let least = if host.at_least { "at least " } else { "" };
    let kept = match host.streams {
        0 => "none".to_owned(),
        1 => format!("{least}1 stream ({})", of(host.level)),
        n => format!("{least}{n} streams ({})", of(host.level)),
    };
    match host.fails_at {
        Some((streams, worst)) => format!("{kept}; not at {streams} ({})", of(worst)),
        None => kept,
    }
}
