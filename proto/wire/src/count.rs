//! Counts messages inside encoded bytes before they are decoded.
//!
//! An empty message takes two bytes on the wire and hundreds in memory. Reports are too large for
//! the size limit alone to bound what decoding them takes.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// How many messages lie at `path` (field numbers, outermost first). Counting ends above `max`,
/// and where the bytes are no protobuf: decoding will fail there too.
pub(crate) fn messages(mut bytes: &[u8], path: &[u32], max: usize) -> usize {
    let Some((&field, inner)) = path.split_first() else { return 1 };
    let mut found = 0;
    while found <= max {
        let Ok((tag, wire_type)) = decode_key(&mut bytes) else { break };
        if tag == field && wire_type == WireType::LengthDelimited {
            let len = decode_varint(&mut bytes).ok().and_then(|len| usize::try_from(len).ok());
            let Some(message) = len.and_then(|len| bytes.split_off(..len)) else { break };
            found += messages(message, inner, max - found);
        } else if skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1;

    #[test]
    fn messages_are_counted_at_their_path_only() {
        let window = v1::GpuWindow {
            reading: Some(v1::gpu_window::Reading::Known(v1::GpuSeriesList {
                series: vec![
                    v1::GpuSeries {
                        samples: vec![v1::GpuSample { at_ns: 7, ..Default::default() }; 5],
                        ..Default::default()
                    };
                    3
                ],
            })),
            period_ms: 100,
            ..Default::default()
        };
        let report = v1::AttemptReport {
            reason: "a text with a\u{52}\u{0} in it".into(),
            traces: vec![v1::RequestTrace::default(); 4],
            gpu: Some(window),
            ..Default::default()
        };
        let bytes = report.encode_to_vec();
        assert_eq!(messages(&bytes, &[10], 100), 4);
        assert_eq!(messages(&bytes, &[11, 1, 1], 100), 3);
        assert_eq!(messages(&bytes, &[11, 1, 1, 3], 100), 15);
        assert_eq!(messages(&bytes, &[11, 1, 1, 3], 6), 7, "it ends above the limit");
        assert_eq!(messages(&bytes, &[12], 100), 0);
        assert_eq!(messages(&bytes[..bytes.len() - 1], &[10], 100), 4);
    }
}
