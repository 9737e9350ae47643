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
        let mut out = Self::default();
        for window in attempts.iter().map(|attempt| &attempt.report.gpu) {
            out.period_ms = out.period_ms.or(Some(window.period_ms).filter(|period| *period > 0));
            if !out.attributions.contains(&window.attribution) {
                out.attributions.push(window.attribution.clone());
            }
            out.rounds_left_out += window.rounds_left_out;
            for gap in &window.gaps {
                if out.gaps.len() < GAPS {
                    out.gaps.push(gap.clone());
                } else {
                    out.more_gaps += 1;
                }
            }
        }
        out
    }
}
