//! The bandwidth light in words.

use itertools::Itertools as _;
use regatta_figures::bandwidth::Bandwidth;
use regatta_types::units::grouped_real;

use crate::report::Report;

/// `4 % of the bandwidth ceiling`.
pub(crate) fn share(bandwidth: &Bandwidth) -> String {
    format!("{:.0} % of the bandwidth ceiling", bandwidth.share * 100.0)
}

/// What it rests on: `25.80 tok/s at one stream x 3.00 GB a token, of 1,792 GB/s`.
pub(crate) fn evidence(bandwidth: &Bandwidth) -> String {
    let gb = bandwidth.active_weights.0 as f64 / 1e9;
    let of = match bandwidth.gpus {
        1 => String::new(),
        n => format!(" of {n} GPUs"),
    };
    format!(
        "{} tok/s at one stream x {gb:.2} GB a token, of {} GB/s{of}",
        grouped_real(bandwidth.decode_tps, 2),
        grouped_real(bandwidth.ceiling_gb_s, 0)
    )
}

/// What so small a share usually means.
pub(crate) const DIM_MEANS: &str = "This usually means that the engine waits for something else than memory: no CUDA graphs (eager mode), a loop on one slow or busy CPU core, kernels that are not made for this GPU, or a clock held down";

/// A sentence for the hosts of a run that are clearly below, the lowest first; `None` without any.
pub(crate) fn dim_hosts(analysis: &Report<'_>) -> Option<String> {
    let known = analysis.hosts.iter().filter_map(|h| Some((analysis.bandwidth(h).ok()?, h.host)));
    let mut dim = known.filter(|(bandwidth, _)| bandwidth.is_dim()).collect_vec();
    dim.sort_by(|a, b| a.0.share.total_cmp(&b.0.share).then_with(|| a.1.cmp(b.1)));
    let (lowest, host) = dim.first()?;
    let more = match dim.len() - 1 {
        0 => String::new(),
        1 => "; one more host is below 20 %".to_owned(),
        n => format!("; {n} more hosts are below 20 %"),
    };
    let (share, evidence) = (share(lowest), evidence(lowest));
    Some(format!("{host} decodes at {share} ({evidence}){more}. {DIM_MEANS}."))
}
