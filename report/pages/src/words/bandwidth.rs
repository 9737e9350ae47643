//! Share of the memory bandwidth, in words.

use itertools::Itertools as _;
use regatta_figures::bandwidth::Bandwidth;
use regatta_types::units::grouped_real;

use super::numbers::{if_any, quantity};
use crate::report::Report;

/// `4 % of the theoretical memory bandwidth`.
pub(crate) fn share(bandwidth: &Bandwidth) -> String {
    format!("{:.0} % of the theoretical memory bandwidth", bandwidth.share * 100.0)
}

/// Its inputs: `25.80 tok/s single-stream x 3.00 GB per token, of 1,792 GB/s`.
pub(crate) fn evidence(bandwidth: &Bandwidth) -> String {
    let gb = bandwidth.active_weights.0 as f64 / 1e9;
    let of = match bandwidth.gpus {
        1 => String::new(),
        n => format!(" of {n} GPUs"),
    };
    format!(
        "{} tok/s single-stream x {gb:.2} GB per token, of {} GB/s{of}",
        grouped_real(bandwidth.decode_tps, 2),
        grouped_real(bandwidth.ceiling_gb_s, 0)
    )
}

/// The usual causes of a small share.
pub(crate) const DIM_MEANS: &str = "Usually something other than memory limits the engine: no CUDA graphs (eager mode), a slow or busy CPU core, kernels not built for this GPU, or throttled clocks";

/// A sentence about the hosts with a small share, the lowest first; `None` without any.
pub(crate) fn dim_hosts(analysis: &Report<'_>) -> Option<String> {
    let known = analysis.hosts.iter().filter_map(|h| Some((analysis.bandwidth(h).ok()?, h.host)));
    let mut dim = known.filter(|(bandwidth, _)| bandwidth.is_dim()).collect_vec();
    dim.sort_by(|a, b| a.0.share.total_cmp(&b.0.share).then_with(|| a.1.cmp(b.1)));
    let (lowest, host) = dim.first()?;
    let more = if_any(dim.len() - 1, |n| format!("; {} below 20 %", quantity(n, "more host")));
    let (share, evidence) = (share(lowest), evidence(lowest));
    Some(format!("{host} uses {share} when decoding ({evidence}){more}. {DIM_MEANS}."))
}
