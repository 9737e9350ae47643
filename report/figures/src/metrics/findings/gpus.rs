//! Remarks on the GPUs of the endpoint.

use regatta_types::gpu::{FOREIGN_HELD, GpuProcess, ProcessOwner};
use regatta_types::units::Bytes;
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::{AttemptInput, remark};
use crate::metrics::gpu::{growth, serving};

/// A foreign process that takes more than this during an attempt works beside the engine.
const TAKEN: u64 = 64 << 20;

/// A GPU fell off the bus: what it did afterwards is unknown.
pub(super) fn gpu_lost(judged: &AttemptInput<'_>) -> Option<Finding> {
    let report = judged.report;
    let series = serving(&report.gpu).find(|s| s.ended.is_some())?;
    let end = series.ended.as_ref()?;
    let evidence = if end.at > report.began {
        let seconds = end.at.since(report.began).as_secs_f64();
        format!("{}: {} {seconds:.1} s after the first request", series.uuid, end.reason)
    } else {
        format!("{}: {} before the attempt", series.uuid, end.reason)
    };
    let advice = "look for Xid messages in the kernel's log; only a reboot brings the GPU back";
    Some(remark(FindingCode::GpuLost, Validity::Degraded, evidence, advice))
}

/// Another process on the engine's GPUs.
pub(super) fn gpu_shared(judged: &AttemptInput<'_>) -> Option<Finding> {
    let report = judged.report;
    let foreign: Vec<(&GpuProcess, Bytes)> = serving(&report.gpu)
        .flat_map(|series| &series.processes)
        .filter(|process| process.owner == ProcessOwner::Foreign)
        .map(|process| (process, growth(process, report.began)))
        .collect();
    let advice = "end the other process, or name the endpoint's GPUs with --gpu";
    let named = |process: &GpuProcess| format!("process {} ({})", process.pid, process.name);
    if let Some((process, taken)) = foreign.iter().find(|(_, taken)| taken.0 >= TAKEN) {
        let evidence = format!(
            "{}, which is not the engine's, took {taken} on its GPU during the attempt",
            named(process)
        );
        return Some(remark(FindingCode::GpuShared, Validity::Invalid, evidence, advice));
    }
    let held = |process: &GpuProcess| process.memory.iter().filter_map(|m| m.used).max();
    foreign.iter().find_map(|(process, _)| {
        let held = held(process).filter(|held| *held >= FOREIGN_HELD)?;
        let evidence =
            format!("{}, which is not the engine's, has {held} on its GPU", named(process));
        Some(remark(FindingCode::GpuShared, Validity::Degraded, evidence, advice))
    })
}
