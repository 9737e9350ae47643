//! What a host did over the time of its counted attempts, as means over equal pieces of it.

use regatta_types::attempt::AttemptReport;
use regatta_types::gpu::ClockReasons;
use regatta_types::time::MonoNs;
use regatta_types::trace::RequestTrace;

use super::{index, real, serving};

/// Pieces of the time: of more no eye tells the means apart.
pub const BINS: usize = 300;
/// Shortest piece, seconds.
pub const SHORTEST: f64 = 0.25;
/// Reasons for lowered clocks that are a limit or a fault: power, heat, hardware.
pub(super) const THROTTLED: u64 = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
/// Gaps between two chunks of at least this are shown, seconds.
const STALL: f64 = 1.0;

/// One reading over time: middles of the pieces (seconds) and means, cut where nothing was read.
#[derive(Debug)]
pub struct Curve {
    /// With its unit.
    pub name: &'static str,
    pub pieces: Vec<Vec<(f64, f64)>>,
}

/// A host over time. All times are seconds since its first counted attempt began.
#[derive(Debug)]
pub struct Timeline {
    /// End of the last attempt.
    pub seconds: f64,
    /// Output, clock, power and temperature, as far as there are any.
    pub curves: Vec<Curve>,
    /// Begin and end of each attempt.
    pub attempts: Vec<(f64, f64)>,
    /// When the clocks were throttled by a limit or a fault.
    pub throttled: Vec<f64>,
    /// When a token came after over a second without one; the first few.
    pub stalls: Vec<f64>,
}

/// Sums and weights over equal pieces of the time.
struct Bins {
    width: f64,
    sums: Vec<(f64, f64)>,
}

impl Bins {
    fn new(seconds: f64) -> Self {
        let width = (seconds / real(BINS)).max(SHORTEST);
        Self { width, sums: vec![(0.0, 0.0); BINS] }
    }

    fn bin(&self, seconds: f64) -> usize {
        index(seconds / self.width).min(self.sums.len() - 1)
    }

    fn add(&mut self, seconds: f64, value: f64, weight: f64) {
        let bin = self.bin(seconds);
        self.sums[bin].0 += value;
        self.sums[bin].1 += weight;
    }

    /// Middles and means of the bins that have any, in pieces without a hole.
    fn pieces(&self) -> Vec<Vec<(f64, f64)>> {
        let mut pieces = vec![Vec::new()];
        for ((sum, weight), index) in self.sums.iter().zip(0_u32..) {
            let at = (f64::from(index) + 0.5) * self.width;
            match pieces.last_mut() {
                Some(piece) if *weight > 0.0 => piece.push((at, sum / weight)),
                Some(piece) if !piece.is_empty() => pieces.push(Vec::new()),
                _ => {}
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

impl Timeline {
    /// `None` for a host that measured nothing.
    pub fn of<'r>(reports: impl Iterator<Item = &'r AttemptReport> + Clone) -> Option<Self> {
        // A host that was rebooted has another monotonic clock: the wall clock joins them.
        let begin = reports.clone().map(|report| report.anchor.to_unix(report.began).0).min()?;
        let ends = reports.clone().map(|report| report.anchor.to_unix(report.finished).0);
        let seconds = (ends.max()? - begin) as f64 / 1e9;
        let [mut decode, mut clock, mut power, mut heat, mut reasons] =
            std::array::from_fn(|_| Bins::new(seconds));
        let width = decode.width;
        let (mut attempts, mut stalls) = (Vec::new(), Vec::new());
        for report in reports {
            let since = |at| (report.anchor.to_unix(at).0 - begin) as f64 / 1e9;
            let (began, finished) = (since(report.began), since(report.finished));
            attempts.push((began, finished));
            for bin in decode.bin(began)..=decode.bin(finished) {
                decode.sums[bin].1 = width;
            }
            for trace in &report.traces {
                for (chunk, tokens) in trace.chunks.iter().zip(trace.chunk_tokens()) {
                    decode.add(since(chunk.at), tokens, 0.0);
                }
                stalls.extend(stalls_of(trace).map(|(at, _)| since(at)));
            }
            let series: Vec<_> = serving(&report.gpu).collect();
            let gpus = real(series.len().max(1));
            for sample in series.iter().flat_map(|series| &series.samples) {
                let at = since(sample.at).max(0.0);
                let add = |bins: &mut Bins, value: Option<f64>| {
                    if let Some(value) = value {
                        bins.add(at, value, 1.0);
                    }
                };
                add(&mut clock, sample.clock_sm_mhz.map(f64::from));
                // Of several GPUs the sum.
                add(&mut power, sample.power_w.map(|watts| watts * gpus));
                add(&mut heat, sample.temperature_c.map(f64::from));
                let is_throttled =
                    |reasons: ClockReasons| f64::from(u8::from(reasons.has(THROTTLED)));
                add(&mut reasons, sample.reasons.map(is_throttled));
            }
        }
        let curves = [
            ("output, tok/s", decode),
            ("SM clock, MHz", clock),
            ("power, W", power),
            ("temperature, °C", heat),
        ];
        let curves = curves.map(|(name, bins)| Curve { name, pieces: bins.pieces() });
        let has_any = |curve: &Curve| !curve.pieces.is_empty();
        let curves: Vec<Curve> = curves.into_iter().filter(has_any).collect();
        let throttled = reasons.pieces().into_iter().flatten().filter(|(_, share)| *share > 0.5);
        let throttled = throttled.map(|(at, _)| at).collect();
        stalls.sort_by(f64::total_cmp);
        stalls.truncate(BINS);
        (!curves.is_empty()).then_some(Self { seconds, curves, attempts, throttled, stalls })
    }
}

/// When a token of a request came after over a second without one, and that time in seconds.
pub fn stalls_of(trace: &RequestTrace) -> impl Iterator<Item = (MonoNs, f64)> {
    let gaps = trace.chunks.windows(2);
    gaps.map(|pair| (pair[1].at, pair[1].at.since(pair[0].at).as_secs_f64()))
        .filter(|(_, seconds)| *seconds > STALL)
}
