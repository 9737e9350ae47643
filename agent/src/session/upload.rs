//! Delivery of a report: slices with at most two unacknowledged, then the end, then the wait for
//! the acknowledgment that it is on disk.

use std::collections::VecDeque;

use bytes::Bytes;
use regatta_types::assignment::Lease;
use regatta_wire::frame::{Acked, AgentFrame, ReportChunk, ReportEnd};
use regatta_wire::limits::CHUNKS_AHEAD;
use regatta_wire::slices;

/// A report in delivery.
#[derive(Debug)]
pub(super) struct Upload {
    lease: Lease,
    waiting: VecDeque<ReportChunk>,
    ahead: usize,
    end: Option<ReportEnd>,
}

impl Upload {
    /// Splits a report into slices.
    pub(super) fn new(lease: Lease, report: &Bytes) -> Self {
        let (chunks, end) = slices::frames(&lease, report);
        Self { lease, waiting: chunks.into(), ahead: 0, end: Some(end) }
    }

    /// The report in delivery.
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The messages to send now.
    pub(super) fn due(&mut self) -> Vec<AgentFrame> {
        let mut due = Vec::new();
        while self.ahead < CHUNKS_AHEAD
            && let Some(chunk) = self.waiting.pop_front()
        {
            self.ahead += 1;
            due.push(AgentFrame::ReportChunk(chunk));
        }
        if self.waiting.is_empty()
            && let Some(end) = self.end.take()
        {
            due.push(AgentFrame::ReportEnd(end));
        }
        due
    }

    /// Handles an acknowledgment; `true` once the entire report is stored.
    pub(super) fn acknowledge(&mut self, what: Acked) -> bool {
        match what {
            Acked::Chunk(_) => {
                self.ahead = self.ahead.saturating_sub(1);
                false
            }
            Acked::Stored => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use regatta_types::ids::{
        AttemptKey, AttemptNo, CaseId, CellKey, Epoch, HostId, Repetition, RunId,
    };
    use regatta_wire::limits::CHUNK_MAX;

    use super::*;

    fn lease() -> Lease {
        let cell = CellKey {
            host: HostId::new("h").unwrap(),
            case: CaseId::new("c").unwrap(),
            repetition: Repetition(1),
        };
        let run = RunId::new("r").unwrap();
        Lease { key: AttemptKey { run, cell, attempt: AttemptNo(1) }, epoch: Epoch(1) }
    }

    #[test]
    fn two_slices_are_ahead_at_most_and_the_end_comes_last() {
        let mut upload = Upload::new(lease(), &vec![7; 4 * CHUNK_MAX + 1].into());
        assert_eq!(upload.due().len(), 2);
        assert!(upload.due().is_empty());
        assert!(!upload.acknowledge(Acked::Chunk(0)));
        assert_eq!(upload.due().len(), 1);
        for index in 1..4 {
            upload.acknowledge(Acked::Chunk(index));
        }
        let last = upload.due();
        assert!(matches!(last.last(), Some(AgentFrame::ReportEnd(end)) if end.chunks == 5));
        assert!(upload.acknowledge(Acked::Stored));
    }
}
