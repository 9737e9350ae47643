//! How the GPUs were read over all attempts of a host: which of them are the endpoint's, how often,
//! and when not.

use regatta_types::gpu::{Attribution, TelemetryGap};
use regatta_types::record::AttemptRecord;

/// Most gaps that are listed.
const GAPS: usize = 10;

/// What the GPU windows of a host say beside their samples.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Time between two samples, milliseconds; `None` where nothing was sampled.
    pub period_ms: Option<u32>,
    /// Each way of knowing which GPUs are the endpoint's, once; `None`: an attempt that does not say.
    pub attributions: Vec<Option<Attribution>>,
    pub rounds_left_out: u64,
    /// The first few times without readings.
    pub gaps: Vec<TelemetryGap>,
    /// Further ones.
    pub more_gaps: usize,
}

impl Telemetry {
    pub(super) fn of(attempts: &[AttemptRecord]) -> Self {
        let windows = || attempts.iter().map(|attempt| &attempt.report.gpu);
        let gaps = || windows().flat_map(|window| &window.gaps);
        let mut attributions = Vec::new();
        for window in windows() {
            if !attributions.contains(&window.attribution) {
                attributions.push(window.attribution.clone());
            }
        }
        Self {
            period_ms: windows().map(|window| window.period_ms).find(|period| *period > 0),
            attributions,
            rounds_left_out: windows().map(|window| window.rounds_left_out).sum(),
            gaps: gaps().take(GAPS).cloned().collect(),
            more_gaps: gaps().count().saturating_sub(GAPS),
        }
    }
}
