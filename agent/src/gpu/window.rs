//! The samples of one attempt: collected between begin and end, bounded, peaks kept.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use regatta_types::gpu::{
    CallCost, EnergyReading, GpuSample, GpuSeries, TelemetryEnd, TelemetryGap,
};
use regatta_types::time::MonoNs;
use regatta_wire::limits::{ENERGY_MAX, GAPS_MAX};

use super::error::GpuError;
use super::metric::{Metric, PerMetric};
use super::processes::{ProcessLog, SeenProcess};

/// Most samples that a GPU keeps in one window: an hour at 10 Hz. Beyond that, neighbors are merged
/// in pairs and every two rounds make one sample, so that a long attempt is covered evenly and not
/// only at its beginning or its end.
pub(super) const LIMIT: usize = 36_000;
/// Most samples kept from before the first request.
const QUIET_LIMIT: usize = 200;

/// What one round brought for one GPU.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct GpuRound {
    /// The readings of this round only.
    pub(super) sample: GpuSample,
    /// The energy counter.
    pub(super) energy: Option<EnergyReading>,
    /// The processes on it, when they were asked for.
    pub(super) processes: Option<Vec<SeenProcess>>,
    /// What each metric did.
    pub(super) results: PerMetric<MetricResult>,
    /// Set from the round on in which it was lost.
    pub(super) ended: Option<TelemetryEnd>,
}

/// What one metric did in one round.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum MetricResult {
    /// Its turn comes in another round.
    #[default]
    NotAsked,
    /// It was read, in this time.
    Read(Duration),
    /// It is missing because of this; the time is that of the call.
    Failed(GpuError, Duration),
    /// It is no longer asked for because of this.
    GivenUp(GpuError),
}

/// When a window opens and what is known then.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) began: MonoNs,
    /// Until then nothing is asked of the engine, as far as is known.
    pub(super) quiet_until: MonoNs,
    /// The last known readings of each GPU.
    pub(super) latest: Vec<Option<GpuSample>>,
    /// Samples of the last seconds, in which nothing was asked of the engine.
    pub(super) quiet: Vec<VecDeque<GpuSample>>,
}

/// One open window.
#[derive(Debug)]
pub(super) struct WindowBuffer {
    began: MonoNs,
    quiet_until: MonoNs,
    limit: usize,
    /// Rounds that make one sample.
    stride: usize,
    /// Rounds in the sample that is being made.
    pending: usize,
    gpus: Vec<GpuBuffer>,
    /// When the last round began, or the window did.
    last_round: MonoNs,
    gaps: Vec<TelemetryGap>,
    pub(super) rounds_left_out: u64,
}

#[derive(Debug, Default)]
struct GpuBuffer {
    baseline: Option<GpuSample>,
    quiet: VecDeque<GpuSample>,
    samples: Vec<GpuSample>,
    pending: Option<GpuSample>,
    energy: Vec<EnergyReading>,
    processes: ProcessLog,
    tallies: PerMetric<Tally>,
    ended: Option<TelemetryEnd>,
}

/// How one metric fared in a window.
#[derive(Debug, Default)]
struct Tally {
    read: u32,
    failed: u32,
    last_error: Option<GpuError>,
    cost: CallCost,
}

impl WindowBuffer {
    /// Opens a window.
    pub(super) fn new(opening: Opening, limit: usize) -> Self {
        let Opening { began, quiet_until, latest, mut quiet } = opening;
        quiet.resize_with(latest.len(), VecDeque::new);
        let gpus = latest.into_iter().zip(quiet);
        let gpus = gpus
            .map(|(baseline, quiet)| GpuBuffer { baseline, quiet, ..GpuBuffer::default() })
            .collect();
        Self {
            began,
            quiet_until,
            limit,
            stride: 1,
            pending: 0,
            gpus,
            last_round: began,
            gaps: Vec::new(),
            rounds_left_out: 0,
        }
    }

    /// When it opened.
    #[cfg(test)]
    pub(super) fn began(&self) -> MonoNs {
        self.began
    }

    /// Takes one round of all GPUs that began at `at`.
    pub(super) fn push(&mut self, at: MonoNs, rounds: &[GpuRound], latest: &[Option<GpuSample>]) {
        if self.gpus.len() < rounds.len() {
            // Opened before the first round.
            self.gpus.resize_with(rounds.len(), GpuBuffer::default);
        }
        if at < self.began {
            // On its way while the window opened: the last one before it.
            for (gpu, latest) in self.gpus.iter_mut().zip(latest) {
                gpu.baseline = *latest;
            }
            return;
        }
        self.last_round = at;
        for (gpu, round) in self.gpus.iter_mut().zip(rounds) {
            gpu.push(round, at < self.quiet_until);
        }
        self.pending += 1;
        if self.pending >= self.stride {
            self.close_sample();
            if self.gpus.iter().any(|gpu| gpu.samples.len() >= self.limit) {
                self.gpus.iter_mut().for_each(GpuBuffer::halve);
                self.stride *= 2;
            }
        }
    }

    /// Notes a time without rounds that has ended, or goes on, at `until`, if it is longer than
    /// `usual`.
    pub(super) fn note_gap(&mut self, until: MonoNs, usual: Duration, reason: &str) {
        if until.since(self.last_round) > usual && self.gaps.len() < GAPS_MAX {
            let (from, reason) = (self.last_round, reason.to_owned());
            self.gaps.push(TelemetryGap { from, until, reason });
        }
    }

    /// Ends the window: the series of each GPU in `uuids`, the gaps, and the time between samples
    /// in rounds.
    pub(super) fn finish(mut self, uuids: &[String]) -> Finished {
        self.close_sample();
        self.gpus.resize_with(uuids.len(), GpuBuffer::default);
        // Without a single reading the reason must be somewhere.
        let silence = self.gaps.last().map(|gap| {
            let seconds = gap.until.since(gap.from).as_secs_f64();
            format!("no answer from the driver for {seconds:.1} s")
        });
        let gpus = self.gpus.into_iter().zip(uuids);
        let series = gpus.map(|(gpu, uuid)| gpu.finish(uuid, silence.as_deref()));
        Finished {
            series: series.collect(),
            gaps: self.gaps,
            stride: self.stride,
            rounds_left_out: self.rounds_left_out,
        }
    }

    fn close_sample(&mut self) {
        self.pending = 0;
        for gpu in &mut self.gpus {
            gpu.samples.extend(gpu.pending.take());
        }
    }
}

/// What a window collected.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) series: Vec<GpuSeries>,
    pub(super) gaps: Vec<TelemetryGap>,
    pub(super) stride: usize,
    pub(super) rounds_left_out: u64,
}

impl GpuBuffer {
    fn push(&mut self, round: &GpuRound, quiet: bool) {
        for (tally, result) in self.tallies.iter_mut().zip(&round.results) {
            tally.count(result);
        }
        if self.ended.is_none() {
            self.ended.clone_from(&round.ended);
        }
        if let Some(reading) = round.energy {
            if self.energy.len() == ENERGY_MAX {
                // The first and the newest are what energy is made of.
                self.energy.pop();
            }
            self.energy.push(reading);
        }
        if let Some(processes) = &round.processes {
            self.processes.push(round.sample.at, processes);
        }
        if quiet {
            keep_last(&mut self.quiet, round.sample);
        }
        if round.ended.is_some() && round.results.iter().all(MetricResult::is_idle) {
            // Lost before: an empty sample would only be counted.
            return;
        }
        self.pending = Some(match self.pending.take() {
            None => round.sample,
            Some(earlier) => merge(earlier, round.sample),
        });
    }

    fn halve(&mut self) {
        let pairs = self.samples.chunks(2);
        self.samples = pairs.filter_map(|pair| pair.iter().copied().reduce(merge)).collect();
    }

    fn finish(self, uuid: &str, silence: Option<&str>) -> GpuSeries {
        let costs = Metric::ALL.into_iter().zip(&self.tallies);
        GpuSeries {
            uuid: uuid.to_owned(),
            serves: false,
            baseline: self.baseline,
            quiet: self.quiet.into(),
            energy: self.energy,
            processes: self.processes.finish(),
            costs: costs
                .filter(|(_, tally)| tally.cost.calls > 0)
                .map(|(metric, tally)| (metric.name().to_owned(), tally.cost))
                .collect(),
            ended: self.ended,
            unavailable: unavailable(&self.tallies, silence),
            samples: self.samples,
        }
    }
}

/// Appends to a ring of bounded length.
pub(super) fn keep_last(ring: &mut VecDeque<GpuSample>, sample: GpuSample) {
    if ring.len() == QUIET_LIMIT {
        ring.pop_front();
    }
    ring.push_back(sample);
}

impl MetricResult {
    /// How long its call took.
    pub(super) fn took(&self) -> Option<Duration> {
        match self {
            Self::Read(took) | Self::Failed(_, took) => Some(*took),
            Self::NotAsked | Self::GivenUp(_) => None,
        }
    }

    fn is_idle(&self) -> bool {
        match self {
            Self::NotAsked | Self::GivenUp(_) => true,
            Self::Read(_) | Self::Failed(..) => false,
        }
    }
}

impl Tally {
    fn count(&mut self, result: &MetricResult) {
        match result {
            MetricResult::NotAsked => {}
            MetricResult::Read(took) => {
                self.read += 1;
                self.spend(*took);
            }
            MetricResult::Failed(error, took) => {
                self.failed += 1;
                self.last_error = Some(error.clone());
                self.spend(*took);
            }
            MetricResult::GivenUp(error) => {
                self.failed += 1;
                self.last_error = Some(error.clone());
            }
        }
    }

    fn spend(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.cost.calls += 1;
        self.cost.total_ns = self.cost.total_ns.saturating_add(nanos);
        self.cost.max_ns = self.cost.max_ns.max(nanos);
    }
}

/// Merges two neighbors: keeps the one with more memory in use, so that the peak is preserved, and
/// fills its missing readings from the other.
fn merge(a: GpuSample, b: GpuSample) -> GpuSample {
    let (mut kept, other) = if b.memory_used > a.memory_used { (b, a) } else { (a, b) };
    for metric in Metric::ALL {
        if !metric.is_in(&kept) {
            metric.copy(&other, &mut kept);
        }
    }
    kept
}

fn unavailable(tallies: &PerMetric<Tally>, silence: Option<&str>) -> BTreeMap<String, String> {
    let mut reasons = BTreeMap::new();
    for (metric, tally) in Metric::ALL.into_iter().zip(tallies) {
        let asked = tally.read + tally.failed;
        let reason = match (&tally.last_error, silence) {
            (Some(error), _) if tally.read == 0 => error.to_string(),
            (Some(error), _) => format!("{error} in {} of {asked} readings", tally.failed),
            (None, Some(silence)) if tally.read == 0 => silence.to_owned(),
            (None, _) => continue,
        };
        reasons.insert(metric.name().to_owned(), reason);
    }
    reasons
}

#[cfg(test)]
mod tests;
