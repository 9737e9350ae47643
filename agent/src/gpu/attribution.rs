//! Which GPUs are the endpoint's.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use regatta_types::gpu::{Attribution, GpuFacts, GpuSeries, ProcessOwner};

/// A GPU as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuSelector {
    /// NVML's index.
    Index(u32),
    /// `GPU-...` or `MIG-...`.
    Uuid(String),
}

impl FromStr for GpuSelector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Uuid(text.to_owned()), Self::Index))
    }
}

impl fmt::Display for GpuSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Uuid(uuid) => f.write_str(uuid),
        }
    }
}

impl GpuSelector {
    /// Whether it is this one.
    pub(crate) fn names(&self, gpu: &GpuFacts) -> bool {
        match self {
            Self::Index(index) => gpu.index == *index,
            Self::Uuid(uuid) => gpu.uuid == *uuid,
        }
    }
}

/// Marks the series of the endpoint's GPUs: those that the user named, else those of the engine's
/// processes, else those of the only process on any GPU, else all. `gpus` and `series` are of the
/// same GPUs in the same order; `unknown` is why nobody could tell who owns the endpoint's port.
pub(super) fn attribute(
    named: &[GpuSelector],
    gpus: &[GpuFacts],
    unknown: Option<&str>,
    series: &mut [GpuSeries],
) -> Attribution {
    if !named.is_empty() {
        return by_name(named, gpus, series);
    }
    let pids: BTreeSet<u32> = series.iter().flat_map(|s| &s.processes).map(|p| p.pid).collect();
    let is_engine = |s: &GpuSeries| s.processes.iter().any(|p| p.owner == ProcessOwner::Engine);
    if series.iter().any(is_engine) {
        series.iter_mut().for_each(|one| one.serves = is_engine(one));
        return Attribution::PortOwner;
    }
    if pids.len() == 1 {
        for one in series.iter_mut() {
            one.serves = !one.processes.is_empty();
            // It is taken for the engine: then it is not foreign either.
            one.processes.iter_mut().for_each(|p| p.owner = ProcessOwner::Engine);
        }
        return Attribution::OnlyProcess;
    }
    let reason = if pids.is_empty() {
        "no process on any GPU".to_owned()
    } else {
        let reason = unknown.unwrap_or("no process on a GPU belongs to the port owner");
        format!("{reason} ({} on the GPUs)", pids.len())
    };
    all(series, reason)
}

fn by_name(named: &[GpuSelector], gpus: &[GpuFacts], series: &mut [GpuSeries]) -> Attribution {
    if let Some(stray) = named.iter().find(|one| !gpus.iter().any(|gpu| one.names(gpu))) {
        return all(series, format!("--gpu {stray} matches no GPU of this host"));
    }
    for (one, gpu) in series.iter_mut().zip(gpus) {
        one.serves = named.iter().any(|name| name.names(gpu));
    }
    Attribution::Named
}

fn all(series: &mut [GpuSeries], reason: String) -> Attribution {
    series.iter_mut().for_each(|one| one.serves = true);
    Attribution::Unattributed { reason }
}

#[cfg(test)]
mod tests {
    use regatta_types::gpu::GpuProcess;
    use regatta_types::reading::Reading;
    use regatta_types::time::MonoNs;

    use super::*;

    fn gpus(n: u32) -> Vec<GpuFacts> {
        let facts = |index| GpuFacts {
            index,
            uuid: format!("GPU-{index}"),
            name: Reading::missing("x"),
            pci_bus_id: Reading::missing("x"),
            memory_total: Reading::missing("x"),
            power_limit_w: Reading::missing("x"),
            power_limit_default_w: Reading::missing("x"),
            board: None,
        };
        (0..n).map(facts).collect()
    }

    fn series(processes: &[&[(u32, ProcessOwner)]]) -> Vec<GpuSeries> {
        let process = |&(pid, owner): &(u32, ProcessOwner)| GpuProcess {
            pid,
            name: String::new(),
            owner,
            memory: Vec::new(),
            last_seen: MonoNs(0),
        };
        processes
            .iter()
            .map(|list| GpuSeries {
                processes: list.iter().map(process).collect(),
                ..GpuSeries::default()
            })
            .collect()
    }

    fn attributed(
        named: &[&str],
        processes: &[&[(u32, ProcessOwner)]],
    ) -> (Attribution, Vec<bool>) {
        let named: Vec<GpuSelector> = named.iter().map(|name| name.parse().unwrap()).collect();
        let gpus = gpus(u32::try_from(processes.len()).unwrap());
        let mut series = series(processes);
        let attribution = attribute(&named, &gpus, Some("no process listens"), &mut series);
        (attribution, series.iter().map(|one| one.serves).collect())
    }

    #[test]
    fn the_users_choice_takes_precedence() {
        let engine: &[(u32, ProcessOwner)] = &[(7, ProcessOwner::Engine)];
        assert_eq!(
            attributed(&["GPU-1", "2"], &[engine, &[], &[]]),
            (Attribution::Named, vec![false, true, true])
        );
        let (attribution, serves) = attributed(&["5"], &[engine, &[]]);
        let reason = "--gpu 5 matches no GPU of this host".to_owned();
        assert_eq!((attribution, serves), (Attribution::Unattributed { reason }, vec![true, true]));
    }

    #[test]
    fn the_port_owner_takes_precedence_over_the_only_process() {
        let (engine, foreign) = ((7, ProcessOwner::Engine), (8, ProcessOwner::Foreign));
        assert_eq!(
            attributed(&[], &[&[foreign], &[engine, foreign], &[engine]]),
            (Attribution::PortOwner, vec![false, true, true])
        );
        let only = (9, ProcessOwner::Unknown);
        assert_eq!(
            attributed(&[], &[&[], &[only], &[only]]),
            (Attribution::OnlyProcess, vec![false, true, true])
        );
    }

    #[test]
    fn without_evidence_all_gpus_are_unattributed() {
        let reason = |processes| match attributed(&[], processes) {
            (Attribution::Unattributed { reason }, serves) => {
                assert!(serves.into_iter().all(|serves| serves));
                reason
            }
            (other, _) => panic!("{other:?}"),
        };
        assert_eq!(reason(&[&[], &[]]), "no process on any GPU");
        let (a, b) = ((7, ProcessOwner::Unknown), (8, ProcessOwner::Unknown));
        assert_eq!(reason(&[&[a], &[b]]), "no process listens (2 on the GPUs)");
    }
}
