//! How well the stamps of an agent are known: its send instants, and how late it read what the
//! kernel had stamped.

use regatta_types::trace::RequestTrace;
use serde::Serialize;

use super::Distribution;

/// Stamps of all requests of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stamps {
    /// Chunks with text.
    pub chunks: usize,
    /// Those that came in one read with others: the time between them is unknown.
    pub coalesced: usize,
    /// `None` where the kernel has stamped none.
    pub read_late: Option<ReadLateness>,
    /// Of each request: by how much its TTFT would be longer if the first chunk had been stamped when
    /// it was read, seconds.
    pub ttft_by_read_s: Distribution,
    /// Of each request: width of what is known of its send instant, seconds.
    pub send_uncertainty_s: Distribution,
    /// Requests for which that is too wide (`RequestTrace::is_send_unsure`).
    pub unsure_sends: usize,
}

/// Lateness of reads, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReadLateness {
    pub median_s: f64,
    pub p99_s: f64,
    pub max_s: f64,
}

impl Stamps {
    pub fn of<'a>(traces: impl IntoIterator<Item = &'a RequestTrace>) -> Self {
        let traces: Vec<&RequestTrace> = traces.into_iter().collect();
        let reads = || traces.iter().flat_map(|trace| trace.reads());
        let first = traces.iter().filter_map(|trace| trace.chunks.first()?.late_us);
        let widths = traces.iter().filter_map(|trace| trace.send_uncertainty());
        Self {
            chunks: traces.iter().map(|trace| trace.chunks.len()).sum(),
            coalesced: reads().map(<[_]>::len).filter(|&chunks| chunks > 1).sum(),
            read_late: ReadLateness::of(reads().filter_map(|chunks| chunks[0].late_us).collect()),
            ttft_by_read_s: Distribution::new(first.map(seconds)),
            send_uncertainty_s: Distribution::new(widths),
            unsure_sends: traces.iter().filter(|trace| trace.is_send_unsure()).count(),
        }
    }
}

impl ReadLateness {
    /// Of each read, microseconds. There are as many as tokens, so that they are not sorted: a quantile
    /// is the smallest value at or below which that share of them lies.
    fn of(mut late: Vec<u32>) -> Option<Self> {
        let last = late.len().checked_sub(1)?;
        let mut nth = |index: usize| seconds(*late.select_nth_unstable(index).1);
        let median_s = nth(last / 2);
        let p99_s = nth(((last + 1) * 99).div_ceil(100) - 1);
        Some(Self { median_s, p99_s, max_s: nth(last) })
    }
}

fn seconds(us: u32) -> f64 {
    f64::from(us) / 1e6
}

#[cfg(test)]
mod tests {
    use regatta_types::time::MonoNs;
    use regatta_types::trace::SendStamp;

    use super::*;
    use regatta_types::testing::request;

    #[test]
    fn lateness_is_of_all_reads() {
        let mut one = request(0, 100.0, 10.0, 100);
        for (late, chunk) in (1..).zip(&mut one.chunks) {
            chunk.late_us = Some(late);
        }
        let stamps = Stamps::of([&one]);
        let late = stamps.read_late.unwrap();
        assert_eq!((late.median_s, late.p99_s, late.max_s), (50e-6, 99e-6, 100e-6));
        assert_eq!(stamps.ttft_by_read_s.median(), Some(1e-6));
        assert_eq!((stamps.chunks, stamps.coalesced), (100, 0));
        // The last three came together.
        let at = one.chunks[99].at;
        one.chunks[97..].iter_mut().for_each(|chunk| chunk.at = at);
        assert_eq!(Stamps::of([&one]).coalesced, 3);
        one.chunks.iter_mut().for_each(|chunk| chunk.late_us = None);
        let stamps = Stamps::of([&one]);
        assert_eq!((stamps.read_late, stamps.ttft_by_read_s.median()), (None, None));
    }

    #[test]
    fn a_send_is_unsure_from_a_hundredth_of_its_ttft_on() {
        let mut one = request(0, 100.0, 10.0, 100);
        let before = one.sent.unwrap().before;
        for (width, unsure) in [(999_999, 0), (1_000_001, 1)] {
            one.sent = Some(SendStamp { before, after: MonoNs(before.0 + width) });
            let stamps = Stamps::of([&one]);
            assert_eq!(stamps.unsure_sends, unsure);
            assert_eq!(stamps.send_uncertainty_s.max(), Some(width as f64 / 1e9));
        }
    }
}
