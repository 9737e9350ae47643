//! The steady part of an attempt, and the system's output in it.

use std::time::Duration;

use regatta_types::reading::Reading;
use regatta_types::trace::RequestTrace;

use super::{Rate, is_streamed, real};

/// Output of all streams together: tokens that arrived in the steady window, over its length.
///
/// The window reaches from the first send plus one mean service time to the last send (closed
/// loop) or the last scheduled send (open loop). Tokens count when they arrive, so requests cut
/// by an edge count pro rata.
pub(crate) fn steady_output(traces: &[&RequestTrace]) -> Reading<Rate> {
    let streamed: Vec<&RequestTrace> =
        traces.iter().copied().filter(|trace| is_streamed(trace)).collect();
    if streamed.len() < 3 {
        return Reading::missing("fewer than 3 requests");
    }
    let first = traces.iter().filter_map(|t| t.t_send()).min();
    let last = traces.iter().filter_map(|t| t.scheduled.or(t.t_send())).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Reading::missing("nothing was sent");
    };
    let service: f64 = streamed.iter().filter_map(|t| t.e2e()).sum::<f64>() / real(streamed.len());
    let begin = first.after(Duration::try_from_secs_f64(service).unwrap_or_default());
    if last <= begin {
        return Reading::missing(
            "no steady part: the last send was within one mean service time of the first",
        );
    }
    let tokens = streamed
        .iter()
        .flat_map(|t| t.chunks.iter().zip(t.chunk_tokens()))
        .filter(|(chunk, _)| begin <= chunk.at && chunk.at <= last)
        .map(|(_, tokens)| tokens)
        .sum();
    Reading::Known(Rate { tokens, seconds: last.since(begin).as_secs_f64() })
}
