//! How many streams at once a host serves within the limits of a suite.

use std::collections::BTreeMap;

use regatta_types::ids::HostId;
use regatta_types::suite::Load;
use serde::Serialize;

use crate::hosts::HostAnalysis;
use crate::metrics::Goodput;

/// Share of the requests of a level that must keep every limit.
const GOOD: f64 = 0.99;

/// Streams within the limits, over all hosts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Users {
    pub streams: u32,
    /// Whether some host kept them at its highest level: it may take more.
    pub at_least: bool,
    /// Requests of the levels that this rests on.
    pub requests: u32,
    /// Each by itself.
    pub hosts: Vec<HostUsers>,
}

/// Streams within the limits, of one host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostUsers {
    pub host: HostId,
    /// The most streams at which 99 % of the requests of every case kept every limit, as at all
    /// fewer streams; 0: not even at the fewest.
    pub streams: u32,
    /// Whether that is the highest level that was measured.
    pub at_least: bool,
    /// The requests at that level; of the fewest streams where those fail.
    pub level: Goodput,
    /// The level that failed, with the case that was worst.
    pub fails_at: Option<(u32, Goodput)>,
}

/// The cases of a number of streams.
#[derive(Default)]
struct Level {
    all: Goodput,
    worst: Option<Goodput>,
    /// One of its cases has limits but no request that was checked against them.
    is_unknown: bool,
}

impl HostUsers {
    /// `None` where no closed loop has limits, or nothing of the fewest streams is known.
    pub fn of(host: &HostAnalysis<'_>) -> Option<Self> {
        let mut levels: BTreeMap<u32, Level> = BTreeMap::new();
        for case in &host.cases {
            let (Load::Closed { streams, .. }, Some(goodput)) = (&case.case.load, case.goodput)
            else {
                continue;
            };
            let level = levels.entry(*streams).or_default();
            let Some(share) = goodput.share() else {
                level.is_unknown = true;
                continue;
            };
            level.all = level.all.and(goodput);
            if level.worst.and_then(Goodput::share).is_none_or(|worst| share < worst) {
                level.worst = Some(goodput);
            }
        }
        let mut out: Option<Self> = None;
        for (streams, level) in levels {
            let Some(worst) = level.worst.filter(|_| !level.is_unknown) else { break };
            let is_kept = worst.share().is_some_and(|share| share >= GOOD);
            let entry = out.get_or_insert(Self {
                host: host.host.clone(),
                streams: 0,
                at_least: false,
                level: level.all,
                fails_at: None,
            });
            if !is_kept {
                (entry.at_least, entry.fails_at) = (false, Some((streams, worst)));
                break;
            }
            (entry.streams, entry.level, entry.at_least) = (streams, level.all, true);
        }
        out
    }
}

impl Users {
    /// `None`: not every host has the figure.
    pub(super) fn of(hosts: &[&HostAnalysis<'_>]) -> Option<Self> {
        let hosts: Option<Vec<HostUsers>> = hosts.iter().copied().map(HostUsers::of).collect();
        let hosts = hosts?;
        Some(Self {
            streams: hosts.iter().map(|host| host.streams).sum(),
            at_least: hosts.iter().any(|host| host.at_least),
            requests: hosts.iter().map(|host| host.level.offered).sum(),
            hosts,
        })
    }
}
