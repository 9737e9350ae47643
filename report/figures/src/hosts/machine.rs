//! Hosts of a run that are one machine: it was given under two names.

use std::collections::BTreeMap;

use regatta_types::facts::{EndpointLocation, SocketId};
use regatta_types::gpu::UNNAMED_GPU;
use regatta_types::ids::HostId;
use regatta_types::validity::{FindingCode, Validity};

use super::HostAnalysis;
use super::case::CellState;
use crate::metrics::{AttemptFinding, FindingEvidence, GpuSum, SharedBy};

/// A machine with several names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMachine {
    /// The first of its names, in the order of the hosts.
    pub first: HostId,
    pub by: SharedBy,
}

/// What no two machines have.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Mark<'a> {
    Gpu(&'a str),
    /// A listening socket, in one boot of a kernel.
    Endpoint(&'a str, SocketId),
}

impl Mark<'_> {
    fn shared_by(&self) -> SharedBy {
        match self {
            Self::Gpu(_) => SharedBy::Gpus,
            Self::Endpoint(..) => SharedBy::Endpoint,
        }
    }
}

/// Finds the hosts that are one machine, and says so in their attempts.
///
/// Machine ids decide nothing: those of cloned images are equal. Neither do agents on one machine
/// whose endpoints and GPUs differ.
pub fn find_shared_machines(hosts: &mut [HostAnalysis<'_>]) {
    let mut first: Vec<usize> = (0..hosts.len()).collect();
    let mut by: BTreeMap<usize, SharedBy> = BTreeMap::new();
    let mut seen: BTreeMap<Mark<'_>, usize> = BTreeMap::new();
    for (host, marks) in hosts.iter().map(marks).enumerate() {
        for mark in marks {
            let why = mark.shared_by();
            let other = *seen.entry(mark).or_insert(host);
            if other != host {
                let (low, high) = (first[host].min(first[other]), first[host].max(first[other]));
                first.iter_mut().filter(|one| **one == high).for_each(|one| *one = low);
                for one in [host, other] {
                    by.entry(one).or_insert(why);
                }
            }
        }
    }
    drop(seen);
    let names: Vec<HostId> = hosts.iter().map(|host| host.host.clone()).collect();
    for (host, by) in by {
        let others = (0..names.len()).filter(|&one| one != host && first[one] == first[host]);
        let others = others.map(|one| names[one].clone()).collect();
        let evidence = FindingEvidence::SameMachine { others, by };
        let finding = AttemptFinding::new(FindingCode::SameMachine, Validity::Degraded, evidence);
        let found = &mut hosts[host];
        found.machine = Some(SharedMachine { first: names[first[host]].clone(), by });
        let cases = found.cases.iter_mut().chain(&mut found.solo);
        for cell in cases.flat_map(|case| &mut case.cells) {
            if let CellState::Counted(counted) = &mut cell.state {
                let at = counted.findings.partition_point(|other| other.code < finding.code);
                counted.findings.insert(at, finding.clone());
            }
        }
        for validity in found.attempts.iter_mut().filter_map(|one| one.validity.as_mut()) {
            *validity = (*validity).max(finding.validity);
        }
    }
}

/// The endpoint's GPUs and its socket. Nothing here is known of an endpoint on another machine.
fn marks<'a>(host: &'a HostAnalysis<'_>) -> Vec<Mark<'a>> {
    let here = host.engine.as_ref().filter(|e| e.location != EndpointLocation::Remote);
    let Some(engine) = here else { return Vec::new() };
    let uuids: Vec<&str> = match &host.gpus {
        // Any of them may be another endpoint's.
        Ok(gpus) if GpuSum::of(gpus).is_unattributed() => Vec::new(),
        Ok(gpus) => gpus.iter().filter(|gpu| gpu.serves).map(|gpu| gpu.uuid.as_str()).collect(),
        Err(_) => match host.record.and_then(|record| record.gpus.known()) {
            Some(inventory) if inventory.gpus.len() == 1 => vec![&inventory.gpus[0].uuid],
            Some(_) | None => Vec::new(),
        },
    };
    let named = uuids.into_iter().filter(|uuid| !uuid.starts_with(UNNAMED_GPU));
    let boot = host.attempts.first().map(|attempt| attempt.boot.0.as_str());
    let endpoint = boot.zip(engine.socket).map(|(boot, socket)| Mark::Endpoint(boot, socket));
    named.map(Mark::Gpu).chain(endpoint).collect()
}
