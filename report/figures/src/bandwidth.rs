//! Bandwidth estimate: how close single-stream decoding comes to the limit of memory bandwidth.
//!
//! A model reads its active weights once per token. Memory bandwidth divided by these bytes is a
//! ceiling for single-stream decode speed; a host far below it is not memory-bound. This is an order
//! of magnitude, not a measurement: the KV cache is read too, and speculative decoding makes several
//! tokens from one read.

use regatta_types::reading::Reading;
use regatta_types::suite::Load;
use regatta_types::units::Bytes;
use serde::Serialize;

use crate::absent::{Absent, Figure, told};
use crate::analysis::Analysis;
use crate::hosts::HostAnalysis;
use crate::metrics::Rate;

/// Below this share something other than the memory holds decoding back.
const DIM: f64 = 0.20;

/// Decode speed of a host against its memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bandwidth {
    /// All decode tokens over all decode seconds of the single-stream cases, tokens per second.
    pub decode_tps: f64,
    /// What is read for one token.
    pub active_weights: Bytes,
    /// Theoretical bandwidth of the endpoint's GPUs together: bus width x memory clock, GB/s.
    pub ceiling_gb_s: f64,
    /// How many GPUs that is.
    pub gpus: usize,
    /// `mbu`: share of the ceiling.
    pub share: f64,
}

impl Bandwidth {
    /// That of a host, or why there is none.
    pub fn of(analysis: &Analysis<'_>, host: &HostAnalysis<'_>) -> Figure<Self> {
        let active_weights = analysis.record.header.suite.active_weights;
        let active_weights = active_weights.ok_or(Absent::ActiveWeightsNotGiven)?;
        let mut decode = Rate::default();
        let single = |load: &Load| matches!(load, Load::Closed { streams: 1, .. });
        for case in host.cases.iter().filter(|case| single(&case.case.load)) {
            decode.add((case.figures.decode.tokens, case.figures.decode.seconds));
        }
        let decode_tps = decode.per_second().ok_or(Absent::NoSingleStreamDecode)?;
        let (ceiling_gb_s, gpus) = ceiling(host)?;
        let read_gb_s = decode_tps * active_weights.0 as f64 / 1e9;
        let share = read_gb_s / ceiling_gb_s;
        Ok(Self { decode_tps, active_weights, ceiling_gb_s, gpus, share })
    }

    /// Whether the memory is clearly not what decoding waits for.
    pub fn is_dim(&self) -> bool {
        self.share < DIM
    }
}

/// Bandwidth of the endpoint's GPUs together, GB/s, and how many they are.
fn ceiling(host: &HostAnalysis<'_>) -> Figure<(f64, usize)> {
    let inventory = told(&host.record.ok_or(Absent::NeverJoined)?.gpus)?;
    let figures = host.gpus.as_ref().map_err(|_| Absent::NoGpuSamples)?;
    let serving: Vec<&str> =
        figures.iter().filter(|gpu| gpu.serves).map(|gpu| gpu.uuid.as_str()).collect();
    let mut sum = 0.0;
    let mut gpus = 0;
    for gpu in inventory.gpus.iter().filter(|gpu| serving.contains(&gpu.uuid.as_str())) {
        let board = gpu.board.as_ref().ok_or(Absent::NoBoardFacts)?;
        match board.memory_bandwidth_gb_s() {
            Reading::Known(gb_s) if gb_s > 0.0 => sum += gb_s,
            Reading::Known(_) => return Err(Absent::NoMemoryBus),
            Reading::NotAvailable { not_available } => {
                return Err(Absent::BoardFactsUnknown(not_available));
            }
        }
        gpus += 1;
    }
    if gpus == 0 { Err(Absent::NoKnownServingGpu) } else { Ok((sum, gpus)) }
}
