//! Remarks on the GPUs of the endpoint.

use regatta_types::gpu::{FOREIGN_HELD, GpuProcess, ProcessOwner};
use regatta_types::validity::{FindingCode, Validity};

use super::{AttemptFinding, AttemptInput, FindingEvidence, degraded};
use crate::metrics::gpu::{growth, serving};

/// A foreign process that takes more than this during an attempt works beside the engine.
const TAKEN: u64 = 64 << 20;

/// A GPU fell off the bus: what it did afterwards is unknown.
pub(super) fn gpu_lost(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let report = judged.report;
    let series = serving(&report.gpu).find(|s| s.ended.is_some())?;
    let end = series.ended.as_ref()?;
    let after = || end.at.since(report.began).as_secs_f64();
    let evidence = FindingEvidence::GpuLost {
        uuid: series.uuid.clone(),
        reason: end.reason.clone(),
        after_s: (end.at > report.began).then(after),
    };
    Some(degraded(FindingCode::GpuLost, evidence))
}

/// Another process on the engine's GPUs.
pub(super) fn gpu_shared(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let began = judged.report.began;
    let foreign = || {
        let processes = serving(&judged.report.gpu).flat_map(|series| &series.processes);
        processes.filter(|process| process.owner == ProcessOwner::Foreign)
    };
    let shared = |process: &GpuProcess, memory, taken| {
        let (pid, name) = (process.pid, process.name.clone());
        let validity = if taken { Validity::Invalid } else { Validity::Degraded };
        let evidence = FindingEvidence::GpuShared { pid, name, memory, taken };
        AttemptFinding::new(FindingCode::GpuShared, validity, evidence)
    };
    let took = |process| Some((process, growth(process, began))).filter(|(_, n)| n.0 >= TAKEN);
    if let Some((process, taken)) = foreign().find_map(took) {
        return Some(shared(process, taken, true));
    }
    foreign().find_map(|process| {
        let held = process.memory.iter().filter_map(|memory| memory.used).max();
        Some(shared(process, held.filter(|held| *held >= FOREIGN_HELD)?, false))
    })
}
