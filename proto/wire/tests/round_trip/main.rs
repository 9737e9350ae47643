//! Every value survives a round trip to bytes and back. Any other input is an error, not a panic.

mod values;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use prost::Message;
use regatta_wire::codec::{
    decode_header, decode_host, decode_report, decode_started, encode_header, encode_host,
    encode_report, encode_started,
};
use regatta_wire::frame::{AgentFrame, CoordinatorFrame};
use regatta_wire::limits::{CHUNK_MAX, MAX_MESSAGE};
use regatta_wire::slices::{Assembler, frames};
use regatta_wire::v1;

fn agent_bytes(frame: AgentFrame) -> Vec<u8> {
    v1::AgentFrame::from(frame).encode_to_vec()
}

fn coordinator_bytes(frame: CoordinatorFrame) -> Vec<u8> {
    v1::CoordinatorFrame::from(frame).encode_to_vec()
}

/// Feeds `bytes` to every decoder.
fn decode_all(bytes: &[u8]) {
    let _ = decode_report(bytes);
    let _ = decode_header(bytes);
    let _ = decode_host(bytes);
    let _ = decode_started(bytes);
    let _ = v1::AgentFrame::decode(bytes).map(AgentFrame::try_from);
    let _ = v1::CoordinatorFrame::decode(bytes).map(CoordinatorFrame::try_from);
}

/// Failing seeds are kept beside this file.
fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::WithSource("seeds");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reports_survive(report in values::report()) {
        prop_assert_eq!(decode_report(&encode_report(&report)).unwrap(), report);
    }

    #[test]
    fn headers_survive(header in values::header()) {
        prop_assert_eq!(decode_header(&encode_header(&header)).unwrap(), header);
    }

    #[test]
    fn host_records_survive(record in values::host_record()) {
        prop_assert_eq!(decode_host(&encode_host(&record)).unwrap(), record);
    }

    #[test]
    fn started_markers_survive(started in values::started()) {
        prop_assert_eq!(decode_started(&encode_started(&started)).unwrap(), started);
    }

    #[test]
    fn agent_frames_survive(frame in values::agent_frame()) {
        let bytes = agent_bytes(frame.clone());
        prop_assert!(bytes.len() <= MAX_MESSAGE);
        let back = AgentFrame::try_from(v1::AgentFrame::decode(&*bytes).unwrap()).unwrap();
        prop_assert_eq!(back, frame);
    }

    #[test]
    fn coordinator_frames_survive(frame in values::coordinator_frame()) {
        let bytes = coordinator_bytes(frame.clone());
        prop_assert!(bytes.len() <= MAX_MESSAGE);
        let back =
            CoordinatorFrame::try_from(v1::CoordinatorFrame::decode(&*bytes).unwrap()).unwrap();
        prop_assert_eq!(back, frame);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..512)) {
        decode_all(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(
        report in values::report(),
        up in values::agent_frame(),
        down in values::coordinator_frame(),
        at in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        for mut bytes in [encode_report(&report), agent_bytes(up), coordinator_bytes(down)] {
            decode_all(&bytes[..at.index(bytes.len() + 1)]);
            let i = at.index(bytes.len());
            bytes[i] ^= flip;
            decode_all(&bytes);
        }
    }

    #[test]
    fn slices_make_the_report_again_however_often_they_are_sent(
        len in 0..5 * CHUNK_MAX,
        lease in values::lease(),
        repeats in vec(1_usize..3, 6),
    ) {
        let report: Bytes = (0_u8..251).cycle().take(len).collect();
        let (chunks, end) = frames(&lease, &report);
        let mut assembler = Assembler::default();
        for (chunk, repeat) in chunks.iter().zip(repeats) {
            for _ in 0..repeat {
                assembler.push(chunk.index, &chunk.data).unwrap();
            }
        }
        prop_assert_eq!(assembler.finish(&end).unwrap(), report);
    }
}
