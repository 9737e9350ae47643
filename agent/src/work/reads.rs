//! How late chunks were read: their stamps are the kernel's, so that most figures stay right; what
//! is lost is the time between chunks that were read together because nobody read in time.

use std::time::Duration;

use regatta_types::trace::RequestTrace;
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::lateness::{ADVICE, Lateness};

/// A read that brings several events because it is late is later than this; what a server or a proxy
/// writes together is read together in time, too.
const LATE: Duration = Duration::from_millis(1);
/// At most one in this many reads may be such.
const ONE_IN: usize = 10;

/// The reads of an attempt that the kernel has stamped.
#[derive(Debug)]
pub(super) struct Reads {
    lateness: Lateness,
    /// In time and late: how many there are, and how many of them brought several events.
    punctual: Group,
    late: Group,
}

#[derive(Debug, Default)]
struct Group {
    count: usize,
    joined: usize,
}

impl Group {
    fn add(&mut self, events: usize) {
        self.count += 1;
        self.joined += usize::from(events > 1);
    }
}

impl Reads {
    pub(super) fn of(traces: &[RequestTrace]) -> Self {
        let (punctual, late) = (Group::default(), Group::default());
        let mut out = Self { lateness: Lateness::new(), punctual, late };
        for chunks in traces.iter().flat_map(RequestTrace::reads) {
            let Some(late) = chunks[0].late_us.map(|late| Duration::from_micros(late.into()))
            else {
                continue;
            };
            out.lateness.add(late);
            let group = if late > LATE { &mut out.late } else { &mut out.punctual };
            group.add(chunks.len());
        }
        out
    }

    /// Whether there are any.
    pub(super) fn are_stamped(&self) -> bool {
        self.count() > 0
    }

    fn count(&self) -> usize {
        self.punctual.count + self.late.count
    }

    /// Late reads with several events, beyond the share of those in time that have several.
    fn coalesced(&self) -> usize {
        let Self { punctual, late, .. } = self;
        let due = (late.count * punctual.joined).checked_div(punctual.count).unwrap_or(0);
        late.joined.saturating_sub(due)
    }

    /// What they say of an attempt in which reads may be this late.
    pub(super) fn finding(&self, limit: Duration) -> Option<Finding> {
        let finding = |validity, evidence| Finding {
            code: FindingCode::ClientLimited,
            validity,
            evidence,
            advice: ADVICE.to_owned(),
        };
        let (count, coalesced) = (self.count(), self.coalesced());
        if coalesced * ONE_IN > count {
            let evidence = format!(
                "{coalesced} of {count} reads were more than {LATE:?} late and returned several \
                 chunks, whose arrival times are lost (limit 10 %)"
            );
            return Some(finding(Validity::Invalid, evidence));
        }
        let (percent, late) = self.lateness.p99().filter(|(_, late)| *late > limit)?;
        let evidence = format!(
            "p{percent:.1} lateness of {count} reads was {late:.1?} (limit {limit:.1?}), with \
             kernel timestamps"
        );
        Some(finding(Validity::Degraded, evidence))
    }
}

#[cfg(test)]
mod tests {
    use regatta_types::time::MonoNs;
    use regatta_types::trace::{Chunk, ChunkKind, Phase};

    use super::*;

    /// Reads of this many chunks each, and how many milliseconds late they were.
    fn reads(all: impl IntoIterator<Item = (usize, u32)>) -> Reads {
        let mut trace = RequestTrace::new(0, 0, Phase::Measured);
        for (n, (chunks, late_ms)) in (1..).zip(all) {
            let (at, late_us) = (MonoNs(n * 20_000_000), Some(late_ms * 1_000));
            let chunk = Chunk { at, late_us, kind: ChunkKind::Answer, chars: 4, tokens: None };
            trace.chunks.extend(std::iter::repeat_n(chunk, chunks));
        }
        Reads::of(&[trace])
    }

    fn validity(all: impl IntoIterator<Item = (usize, u32)>) -> Option<Validity> {
        reads(all).finding(Duration::from_millis(5)).map(|finding| finding.validity)
    }

    #[test]
    fn late_reads_degrade_and_lost_arrival_times_invalidate() {
        let punctual = || std::iter::repeat_n((1, 0), 390);
        assert_eq!(validity(punctual()), None);
        assert_eq!(validity(punctual().chain([(1, 9); 3])), None, "not at the 99th percentile");
        assert_eq!(validity(punctual().chain([(1, 9); 10])), Some(Validity::Degraded));
        assert_eq!(validity(punctual().chain([(3, 2); 40])), None, "less than a tenth");
        assert_eq!(validity(punctual().chain([(3, 2); 50])), Some(Validity::Invalid));
        assert_eq!(validity(std::iter::repeat_n((4, 0), 390)), None, "written together");
        let proxied = [(4, 0), (4, 2)].into_iter().cycle().take(390);
        assert_eq!(validity(proxied), None, "joined by a proxy, late or not");
    }

    #[test]
    fn reads_without_timestamps_give_no_finding() {
        let mut trace = RequestTrace::new(0, 0, Phase::Measured);
        let at = MonoNs(1);
        let chunk = Chunk { at, late_us: None, kind: ChunkKind::Answer, chars: 4, tokens: None };
        trace.chunks.push(chunk);
        let reads = Reads::of(&[trace]);
        assert!(!reads.are_stamped());
        assert_eq!(reads.finding(Duration::ZERO), None);
    }
}
