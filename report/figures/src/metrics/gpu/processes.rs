//! Processes on a GPU, the engine's apart from others.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::gpu::{GpuProcess, GpuSeries, ProcessOwner};
use regatta_types::time::MonoNs;
use regatta_types::units::Bytes;
use serde::Serialize;

/// The list at the beginning of an attempt is read within this time of it.
const SLACK: Duration = Duration::from_secs(1);

/// A process over a set of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occupant {
    pub pid: u32,
    /// Its command's name; empty where it could not be read.
    pub name: String,
    pub owner: ProcessOwner,
    /// Its memory when it was first seen; `None`: the driver does not tell.
    pub memory_first: Option<Bytes>,
    /// The most it had.
    pub memory_peak: Option<Bytes>,
}

/// The processes of a GPU: the engine's first, the largest first.
pub(super) fn occupants(series: &[&GpuSeries]) -> Vec<Occupant> {
    let mut all: BTreeMap<u32, Occupant> = BTreeMap::new();
    for process in series.iter().flat_map(|s| &s.processes) {
        let peak = process.memory.iter().filter_map(|m| m.used).max();
        let known = all.entry(process.pid).or_insert_with(|| Occupant {
            pid: process.pid,
            name: process.name.clone(),
            owner: process.owner,
            memory_first: process.memory.first().and_then(|m| m.used),
            memory_peak: None,
        });
        known.owner = known.owner.min(process.owner);
        known.memory_peak = known.memory_peak.max(peak);
    }
    let mut all: Vec<Occupant> = all.into_values().collect();
    all.sort_by_key(|o| (o.owner, std::cmp::Reverse(o.memory_peak), o.pid));
    all
}

/// How much memory a process took from the begin of an attempt on; all of it, if it came later.
pub(crate) fn growth(process: &GpuProcess, began: MonoNs) -> Bytes {
    let begin = began.after(SLACK);
    let used = |m: &regatta_types::gpu::ProcessMemory| m.used.map_or(0, |bytes| bytes.0);
    let before = process.memory.iter().rfind(|m| m.at <= begin).map_or(0, used);
    let most = process.memory.iter().filter(|m| m.at > begin).map(used).max().unwrap_or(before);
    Bytes(most.saturating_sub(before))
}
