//! What of a run was measured in one way: runs are compared like with like.

use std::collections::BTreeMap;

use regatta_types::ids::CaseId;
use regatta_types::suite::StartMode;

use super::{Baseline, HostBaseline};

impl Baseline {
    /// The run as one of a single start mode, the one that hosts are compared by first; where each case
    /// was measured solo too, then those, under the ids of their cases.
    pub(super) fn views(&self) -> Vec<Self> {
        match self.start {
            StartMode::Together | StartMode::Staggered | StartMode::Solo => vec![self.clone()],
            StartMode::Both => {
                let is_twin = |id: &CaseId| self.solo.contains_key(id);
                vec![
                    self.view(StartMode::Together, |id| (!is_twin(id)).then(|| id.clone())),
                    self.view(StartMode::Solo, |id| self.solo.get(id).cloned()),
                ]
            }
        }
    }

    fn view(&self, start: StartMode, name: impl Fn(&CaseId) -> Option<CaseId>) -> Self {
        let host = |host: &HostBaseline| {
            let values = host.values.iter().map(|(metric, own)| (*metric, only(own, &name)));
            HostBaseline {
                output_tokens: only(&host.output_tokens, &name),
                truncated: only(&host.truncated, &name),
                cached: only(&host.cached, &name),
                without: host.without.iter().map(|(m, own)| (*m, only(own, &name))).collect(),
                skipped: host.skipped.iter().filter_map(&name).collect(),
                values: values.filter(|(_, cases)| !cases.is_empty()).collect(),
                ..host.clone()
            }
        };
        Self {
            start,
            cases: only(&self.cases, &name),
            solo: BTreeMap::new(),
            hosts: self.hosts.iter().map(host).collect(),
            ..self.clone()
        }
    }
}

/// The entries that have a name, under it.
fn only<V: Clone>(
    all: &BTreeMap<CaseId, V>,
    name: impl Fn(&CaseId) -> Option<CaseId>,
) -> BTreeMap<CaseId, V> {
    all.iter().filter_map(|(id, value)| Some((name(id)?, value.clone()))).collect()
}
