//! Values that are kept as bytes: in the store, in an agent's outbox, in slices on the wire.
//!
//! Equal values give equal bytes, so that a hash of the bytes identifies the value.

use bytes::Bytes;
use prost::Message;
use regatta_types::attempt::{AttemptReport, Started};
use regatta_types::record::{HostRecord, RunHeader};

use crate::count;
use crate::error::{ConvertError, DecodeError, Problem};
use crate::limits::{
    ENGINE_SAMPLES_MAX, FINDINGS_MAX, GAPS_MAX, GPUS_MAX, PROCESSES_MAX, QUIET_MAX, REPORT_MAX,
    REQUESTS_MAX, SAMPLES_MAX,
};
use crate::slices::sha256;
use crate::v1;

fn decode<M, T>(bytes: &[u8]) -> Result<T, DecodeError>
where
    M: Message + Default,
    T: TryFrom<M, Error = ConvertError>,
{
    Ok(T::try_from(M::decode(bytes)?)?)
}

/// The lists of a report that are counted before it is decoded: name, field numbers, limit.
const REPORT_LISTS: [(&str, &[u32], usize); 10] = [
    ("traces", &[10], REQUESTS_MAX),
    ("findings", &[12], FINDINGS_MAX),
    ("gpu.known.series", &[11, 1, 1], GPUS_MAX),
    ("gpu.known.series.samples", &[11, 1, 1, 3], SAMPLES_MAX),
    ("gpu.known.series.quiet", &[11, 1, 1, 6], GPUS_MAX * QUIET_MAX),
    ("gpu.known.series.energy", &[11, 1, 1, 7], SAMPLES_MAX),
    ("gpu.known.series.processes", &[11, 1, 1, 8], GPUS_MAX * PROCESSES_MAX),
    ("gpu.known.series.processes.memory", &[11, 1, 1, 8, 4], SAMPLES_MAX),
    ("gpu.gaps", &[11, 5], GAPS_MAX),
    ("engine.metrics.known.samples", &[14, 3, 1, 1], ENGINE_SAMPLES_MAX),
];

/// An attempt report as bytes.
#[must_use]
pub fn encode_report(report: &AttemptReport) -> Vec<u8> {
    v1::AttemptReport::from(report).encode_to_vec()
}

/// Reads [`encode_report`].
///
/// # Errors
/// When the bytes are too many, not protobuf, or do not pass the checks.
pub fn decode_report(bytes: &[u8]) -> Result<AttemptReport, DecodeError> {
    if bytes.len() > REPORT_MAX {
        return Err(DecodeError::TooLarge { len: bytes.len(), max: REPORT_MAX });
    }
    for (field, path, max) in REPORT_LISTS {
        let len = count::messages(bytes, path, max);
        if len > max {
            return Err(ConvertError::new(field, Problem::TooMany { len, max }).into());
        }
    }
    decode::<v1::AttemptReport, _>(bytes)
}

/// A run's header as bytes.
#[must_use]
pub fn encode_header(header: &RunHeader) -> Vec<u8> {
    v1::RunHeader::from(header).encode_to_vec()
}

/// Reads [`encode_header`].
///
/// # Errors
/// When the bytes are not protobuf or do not pass the checks.
pub fn decode_header(bytes: &[u8]) -> Result<RunHeader, DecodeError> {
    decode::<v1::RunHeader, _>(bytes)
}

/// A host record as bytes.
#[must_use]
pub fn encode_host(record: &HostRecord) -> Vec<u8> {
    v1::HostRecord::from(record).encode_to_vec()
}

/// Reads [`encode_host`].
///
/// # Errors
/// When the bytes are not protobuf or do not pass the checks.
pub fn decode_host(bytes: &[u8]) -> Result<HostRecord, DecodeError> {
    decode::<v1::HostRecord, _>(bytes)
}

/// A started marker as bytes.
#[must_use]
pub fn encode_started(started: &Started) -> Vec<u8> {
    v1::StartedMarker::from(started).encode_to_vec()
}

/// Reads [`encode_started`].
///
/// # Errors
/// When the bytes are not protobuf or do not pass the checks.
pub fn decode_started(bytes: &[u8]) -> Result<Started, DecodeError> {
    decode::<v1::StartedMarker, _>(bytes)
}

/// `content` with its hash, as a file of the outbox holds it: damage anywhere is noticed.
#[must_use]
pub fn seal(content: Bytes) -> Vec<u8> {
    let sha256 = sha256(&content).to_vec();
    v1::Sealed { content, sha256 }.encode_to_vec()
}

/// Reads [`seal`], without copying the content.
///
/// # Errors
/// When the bytes are not protobuf or the hash is not that of the content.
pub fn unseal(file: Bytes) -> Result<Bytes, DecodeError> {
    let v1::Sealed { content, sha256: hash } = v1::Sealed::decode(file)?;
    if sha256(&content)[..] == hash[..] {
        Ok(content)
    } else {
        Err(ConvertError::new("sha256", Problem::Sha256Differs).into())
    }
}
