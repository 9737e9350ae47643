//! Preflight checks of this host, from the observations during preparation.
//!
//! [`list`] is pure. The session collects its input and sends the results to the coordinator, which
//! adds the checks that compare hosts. A host with a failed check is refused.

mod engine;
mod gpus;
mod machine;
#[cfg(test)]
mod tests;

use regatta_types::assignment::Wants;
use regatta_types::attempt::AttemptReport;
use regatta_types::check::CheckOutcome;
use regatta_types::engine::EngineSample;
use regatta_types::facts::EngineFacts;
use regatta_types::gpu::GpuInventory;
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

use crate::endpoint::{Abilities, DiscoverError};
use crate::gpu::GpuSelector;

/// What was seen of a host.
#[derive(Debug)]
pub(crate) struct PreflightInput<'a> {
    /// What the run wants of the engine.
    pub(crate) wants: &'a Wants,
    /// The engine, or why there is none.
    pub(crate) engine: Result<PreflightEngine<'a>, &'a DiscoverError>,
    /// The GPUs.
    pub(crate) gpus: &'a Reading<GpuInventory>,
    /// Those of them that the user named.
    pub(crate) chosen: &'a [GpuSelector],
    /// How the CPU's clock is chosen.
    pub(crate) governor: &'a Reading<String>,
    /// Space left for results; `None`: they are kept in memory.
    pub(crate) disk: Option<&'a Reading<Bytes>>,
}

/// What was seen of an engine that answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreflightEngine<'a> {
    pub(crate) facts: &'a EngineFacts,
    pub(crate) abilities: &'a Abilities,
    /// Everything that was asked of it.
    pub(crate) warmup: &'a AttemptReport,
    /// Its own metrics from before anything was sent to it.
    pub(crate) metrics: &'a Reading<EngineSample>,
    /// Whether a tokenizer file counts where the engine does not.
    pub(crate) has_tokenizer: bool,
}

/// All checks that the host itself can make, in the order of tables.
pub(crate) fn list(seen: &PreflightInput<'_>) -> Vec<CheckOutcome> {
    let mut checks = engine::checks(seen);
    checks.extend(gpus::checks(seen));
    checks.push(machine::governor(seen.governor));
    checks.push(machine::disk(seen.disk));
    checks
}
