//! Findings about how the streams of an attempt came, and by how many engines.

use itertools::Itertools as _;
use regatta_types::suite::Load;
use regatta_types::validity::{FindingCode, Validity};

use super::{AttemptFinding, AttemptInput, FindingEvidence, degraded};
use crate::metrics::{Distribution, is_streamed, real};

/// Streams in decode at once are few if they are fewer than this share of those due.
const FEW: f64 = 0.8;

/// Two groups of requests are two engines if their speeds differ by more than this, and by more than
/// this many times what they differ by within each.
const APART: f64 = 0.10;
const CLEARLY: f64 = 3.0;

pub(super) fn buffered_stream(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let buffered = judged.of_successes(judged.figures.requests.buffered)?;
    // What most answers did is what the attempt measured.
    let is_most = 2 * buffered.n > buffered.of;
    let validity = if is_most { Validity::Invalid } else { Validity::Degraded };
    let evidence = FindingEvidence::BufferedStream(buffered);
    Some(AttemptFinding::new(FindingCode::BufferedStream, validity, evidence))
}

pub(super) fn coalesced_stream(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let requests = &judged.figures.requests;
    let coalesced = judged.of_successes(requests.coalesced).filter(|_| requests.is_coalesced())?;
    Some(degraded(FindingCode::CoalescedStream, FindingEvidence::CoalescedStream(coalesced)))
}

/// A closed loop whose streams waited for each other before the first token.
///
/// Were prompts read one after another, a stream would begin every time to first token, so that
/// decode time over time to first token of them are in decode at once, all if it is more. The least
/// time to first token is that of a prompt that waited for none.
pub(super) fn low_overlap(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    if matches!(judged.case.load, Load::Open { .. }) {
        return None;
    }
    let ok = || judged.traces.iter().filter(|trace| is_streamed(trace));
    let spans = || ok().filter_map(|trace| trace.t_first().zip(trace.t_last()));
    let decode = Distribution::new(spans().map(|(a, b)| b.since(a).as_secs_f64())).median()?;
    let prefill = Distribution::new(ok().filter_map(|trace| trace.ttft())).min()?;
    let streams = ok().map(|trace| trace.stream).unique().count();
    let due = real(streams).min((decode / prefill).floor());
    // An end and a begin at the same instant do not overlap.
    let edges = spans().flat_map(|(a, b)| [(a, 1), (b, -1)]).sorted();
    let mut now = 0_i32;
    let at_once = edges.map(|(_, step)| {
        now += step;
        now
    });
    let most = at_once.max()?;
    let most = usize::try_from(most).ok()?;
    let engine = judged.report.engine.before.known();
    let slots = engine.and_then(|engine| engine.settings.slots.known().copied());
    let evidence = FindingEvidence::LowOverlap { most, streams, slots };
    (streams > 1 && real(most) < FEW * due).then(|| degraded(FindingCode::LowOverlap, evidence))
}

/// Requests that alternate between two speeds: a load balancer in front of unequal engines.
pub(super) fn mixed_engines(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let is_one_stream = matches!(judged.case.load, Load::Closed { streams: 1, .. });
    let sent = judged.traces.iter().filter(|trace| is_streamed(trace));
    let speeds: Vec<f64> = sent.filter_map(|trace| trace.decode_tps()).collect();
    let sorted: Vec<f64> = speeds.iter().copied().sorted_by(f64::total_cmp).collect();
    let fewest = (speeds.len() / 4).max(3);
    let gap = |&at: &usize| sorted[at] / sorted[at - 1];
    let at =
        (fewest..=sorted.len().checked_sub(fewest)?).max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
    let (slow, fast) = sorted.split_at(at);
    let within = |group: &[f64]| group.last().zip(group.first()).map_or(0.0, |(b, a)| b / a - 1.0);
    let is_apart = gap(&at) - 1.0 > APART.max(CLEARLY * within(slow).max(within(fast)));
    let switches = speeds.windows(2).filter(|w| (w[0] < fast[0]) != (w[1] < fast[0])).count();
    let group =
        |group: &[f64]| Some((group.len(), Distribution::new(group.iter().copied()).median()?));
    let evidence = FindingEvidence::MixedEngines { slow: group(slow)?, fast: group(fast)? };
    let is_mixed = is_one_stream && is_apart && switches >= fewest;
    is_mixed.then(|| degraded(FindingCode::MixedEngines, evidence))
}
