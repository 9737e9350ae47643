//! A report in pieces: cut by the agent, put together by the coordinator.
//!
//! Main type: [`Assembler`], which holds at most [`REPORT_MAX`] bytes of one attempt and gives them
//! out only when their number and hash are right. It knows nothing about acks or leases.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::frame::{ReportChunk, ReportEnd};
use crate::limits::{CHUNK_MAX, REPORT_MAX};
use regatta_types::assignment::Lease;

/// The frames that carry `report`: its slices (without copying it), then the end. All slices but
/// the last are [`CHUNK_MAX`] long.
#[must_use]
pub fn frames(lease: &Lease, report: &Bytes) -> (Vec<ReportChunk>, ReportEnd) {
    let chunks: Vec<ReportChunk> = (0_u32..)
        .zip((0..report.len()).step_by(CHUNK_MAX))
        .map(|(index, from)| ReportChunk {
            lease: lease.clone(),
            index,
            data: report.slice(from..report.len().min(from + CHUNK_MAX)),
        })
        .collect();
    let end = ReportEnd {
        lease: lease.clone(),
        chunks: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
        total_bytes: u64::try_from(report.len()).unwrap_or(u64::MAX),
        sha256: sha256(report),
    };
    (chunks, end)
}

/// SHA-256 of a report's bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Why slices do not make a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    /// A slice is missing.
    #[error("received slice {index}, expected slice {expected}")]
    Gap {
        /// What came.
        index: u32,
        /// What was due.
        expected: u32,
    },
    /// More than [`REPORT_MAX`] bytes.
    #[error("the report is larger than {} MiB", REPORT_MAX >> 20)]
    TooLarge,
    /// The end disagrees with the slices.
    #[error("received {received} {what}, expected {announced}")]
    Count {
        /// Slices or bytes.
        what: &'static str,
        /// What the end says.
        announced: u64,
        /// What there is.
        received: u64,
    },
    /// The bytes are not those that were sent.
    #[error("SHA-256 mismatch of the report")]
    Hash,
}

/// Puts the slices of one report together again.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
    next: u32,
}

impl Assembler {
    /// Takes a slice. One that was taken before is ignored, so that resending does no harm.
    ///
    /// # Errors
    /// When a slice is missing before it, or the report grows too large.
    pub fn push(&mut self, index: u32, data: &[u8]) -> Result<(), SliceError> {
        if index < self.next {
            return Ok(());
        }
        if index > self.next {
            return Err(SliceError::Gap { index, expected: self.next });
        }
        if data.len() > REPORT_MAX - self.bytes.len() {
            return Err(SliceError::TooLarge);
        }
        self.bytes.extend_from_slice(data);
        self.next += 1;
        Ok(())
    }

    /// Bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no bytes are held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The whole report.
    ///
    /// # Errors
    /// When number of slices, number of bytes or hash differ from what `end` announces.
    pub fn finish(self, end: &ReportEnd) -> Result<Vec<u8>, SliceError> {
        let count = |what, announced: u64, received: u64| {
            if announced == received {
                Ok(())
            } else {
                Err(SliceError::Count { what, announced, received })
            }
        };
        count("slices", end.chunks.into(), self.next.into())?;
        count("bytes", end.total_bytes, u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))?;
        if sha256(&self.bytes) == end.sha256 { Ok(self.bytes) } else { Err(SliceError::Hash) }
    }
}
