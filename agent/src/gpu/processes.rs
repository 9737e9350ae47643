//! The processes of one GPU over one attempt, as changes of their memory.

use std::collections::BTreeMap;

use regatta_types::gpu::{GpuProcess, ProcessMemory, ProcessOwner};
use regatta_types::time::MonoNs;
use regatta_types::units::Bytes;
use regatta_wire::limits::{PROCESS_STEPS_MAX, PROCESSES_MAX};

/// A process in one list of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenProcess {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) owner: ProcessOwner,
    pub(super) memory: Option<Bytes>,
}

/// Everything seen so far.
#[derive(Debug, Default)]
pub(super) struct ProcessLog(BTreeMap<u32, GpuProcess>);

impl ProcessLog {
    /// Takes the list of one moment.
    pub(super) fn push(&mut self, at: MonoNs, list: &[SeenProcess]) {
        for seen in list {
            if self.0.len() == PROCESSES_MAX && !self.0.contains_key(&seen.pid) {
                continue;
            }
            let process = self.0.entry(seen.pid).or_insert_with(|| GpuProcess {
                pid: seen.pid,
                name: seen.name.clone(),
                owner: seen.owner,
                memory: Vec::new(),
                last_seen: at,
            });
            // Later it may be known better, as when the port's owner has been found meanwhile.
            process.owner = process.owner.min(seen.owner);
            process.last_seen = at;
            let step = ProcessMemory { at, used: seen.memory };
            let is_full = process.memory.len() == PROCESS_STEPS_MAX;
            match process.memory.last_mut() {
                Some(last) if last.used == step.used => {}
                Some(last) if is_full => {
                    // The newest use stands; the largest of the last two, so that a peak stays.
                    last.used = last.used.max(step.used);
                }
                Some(_) | None => process.memory.push(step),
            }
        }
    }

    pub(super) fn finish(self) -> Vec<GpuProcess> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_kept() {
        let mut log = ProcessLog::default();
        let seen = |memory: u64, owner| SeenProcess {
            pid: 7,
            name: "vllm".into(),
            owner,
            memory: Some(Bytes(memory)),
        };
        log.push(MonoNs(1), &[seen(10, ProcessOwner::Unknown)]);
        log.push(MonoNs(2), &[seen(10, ProcessOwner::Engine)]);
        log.push(MonoNs(3), &[seen(12, ProcessOwner::Engine)]);
        log.push(MonoNs(4), &[]);
        let step = |at, used| ProcessMemory { at: MonoNs(at), used: Some(Bytes(used)) };
        let expected = GpuProcess {
            pid: 7,
            name: "vllm".into(),
            owner: ProcessOwner::Engine,
            memory: vec![step(1, 10), step(3, 12)],
            last_seen: MonoNs(3),
        };
        assert_eq!(log.finish(), [expected]);
    }
}
