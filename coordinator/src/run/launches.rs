//! Hosts on which this program starts the agent itself, and hosts that never come.

use regatta_types::event::{EventKind, MissingReason};
use regatta_types::ids::HostId;

use super::host::Link;
use super::input::{Effect, LaunchStep};
use super::state::{Phase, RunState};

/// The start of one host's agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LaunchState {
    /// Running, or done.
    At(LaunchStep),
    /// The agent is gone, and why.
    Ended(String),
}

impl RunState {
    pub(super) fn launching(&mut self, host: HostId, step: LaunchStep) {
        self.launches.insert(host, LaunchState::At(step));
    }

    /// Nothing more comes from this host. It is declared lost at once, without waiting for the
    /// timeout.
    pub(super) fn launch_ended(&mut self, name: HostId, why: String, effects: &mut Vec<Effect>) {
        let gathering = matches!(self.phase, Phase::Gathering { .. });
        let blocks = self.plan.blocks().len();
        self.launches.insert(name.clone(), LaunchState::Ended(why.clone()));
        let Some(host) = self.hosts.get_mut(&name) else {
            if gathering {
                effects.push(Effect::Event(EventKind::HostPrepared {
                    host: name,
                    refused: Some(why),
                }));
            }
            return;
        };
        if host.link.is_lost() || host.cursor >= blocks {
            return;
        }
        host.link = Link::Lost(None);
        host.epoch.0 += 1;
        effects.push(Effect::Event(EventKind::AgentLost { host: name.clone(), reason: why }));
        if !gathering {
            self.close_lost(&name, effects);
        }
    }

    /// Why the agent of a host never came, if its start failed.
    fn never_started_for(&self, host: &HostId) -> Option<&str> {
        match self.launches.get(host) {
            Some(LaunchState::Ended(why)) => Some(why),
            Some(LaunchState::At(_)) | None => None,
        }
    }

    /// How many hosts will never join, because their start failed.
    pub(super) fn never_started(&self) -> usize {
        let failed = |host: &&HostId| self.never_started_for(host).is_some();
        self.never_joined().iter().filter(failed).count()
    }

    /// Closes the cells of a host that never joined, or leaves it out of the run.
    pub(super) fn close_absent(
        &mut self,
        name: &HostId,
        otherwise: MissingReason,
        effects: &mut Vec<Effect>,
    ) {
        let refused = self.never_started_for(name).map(str::to_owned);
        let reason = match &refused {
            Some(why) => MissingReason::Refused { why: why.clone() },
            None => otherwise,
        };
        if self.policy.allow_missing {
            let why = refused.unwrap_or_else(|| reason.to_string());
            effects.push(Effect::Event(EventKind::HostLeftOut { host: name.clone(), why }));
            return;
        }
        let mut host = Self::unknown_host(name.clone());
        host.refused = refused;
        effects.push(Effect::StoreHost(Box::new(host)));
        self.close_all(name, &reason, effects);
    }
}
