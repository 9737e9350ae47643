//! Why a figure is absent, in words.

use regatta_figures::absent::{Absent, Figure};
use regatta_types::reading::Reading;

/// The text after `not available:`.
pub(crate) fn why(absent: &Absent) -> String {
    let words = match absent {
        Absent::Told(reason) => reason,
        Absent::NeverJoined => "the host never joined",
        Absent::UnknownHost => "no facts of the host",
        Absent::NothingKnown => "no facts",
        Absent::NoEngineAnswer => "the engine did not answer",
        Absent::NotOfThisHost => "not reported by this host",
        Absent::OldAgent => "not reported by this agent version",
        Absent::NoUsableAttempt => "no usable attempt",
        Absent::OneStream => "single stream",
        Absent::SeveralRequestsAtOnce => "concurrent requests",
        Absent::FewerThanThreeRequests => "fewer than 3 requests",
        Absent::NothingSent => "no request was sent",
        Absent::NoSteadyPart => {
            "no steady window: the last send was within 1.5 mean service times of the first"
        }
        Absent::TooFewRequests { got, needed } => {
            return format!("{got} of {needed} required requests between ramp-up and drain");
        }
        Absent::NoOrderInTime => "decode speeds without time order",
        Absent::ShortPrompts => {
            "fewer than 256 uncached prompt tokens, or not reported by the engine"
        }
        Absent::NoSingleStreamDecode => "no single-stream decode speed",
        Absent::NoGpuSamples => "no attempt has GPU samples",
        Absent::NoEngineSamples => "no attempt has engine metrics",
        Absent::NoServingGpu => "no GPU serves the endpoint",
        Absent::NoKnownServingGpu => "no GPU is known to serve the endpoint",
        Absent::ShortAttempt => "attempts shorter than 5 s",
        Absent::CounterStandsStill => "the energy counter does not move",
        Absent::CounterRanBackwards => "the energy counter went backwards",
        Absent::CounterNotReadAtBegin => {
            "the energy counter was not read within 0.5 s of the start of the attempt"
        }
        Absent::CounterNotReadAtEnd => {
            "the energy counter was not read within 0.5 s of the end of the attempt"
        }
        Absent::CounterDisagrees { residual } => {
            let percent = residual * 100.0;
            return format!("counter and power samples differ by {percent:+.1} % (limit 10 %)");
        }
        Absent::NeverAtRest => "the engine was never idle for 0.5 s",
        Absent::ActiveWeightsNotGiven => {
            "bytes read per token unknown (set active_weights in the suite, or --active-weights)"
        }
        Absent::NoBoardFacts => "GPU memory bus and clock not reported by this agent version",
        Absent::NoMemoryBus => "the driver reports no memory bus",
        Absent::BoardFactsUnknown(reason) => {
            return format!("GPU memory bus and clock unknown: {reason}");
        }
    };
    words.to_owned()
}

/// A figure as `run.json` has it: the value, or the reason in words.
pub(crate) fn reading<T>(figure: &Figure<T>) -> Reading<&T> {
    figure.as_ref().map_err(why).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn every_reason_has_its_own_text() {
        let words: BTreeSet<String> = Absent::iter().map(|absent| why(&absent)).collect();
        assert_eq!(words.len(), Absent::iter().count());
        for (absent, words) in [
            (Absent::Told("no driver".to_owned()), "no driver"),
            (
                Absent::TooFewRequests { got: 12, needed: 48 },
                "12 of 48 required requests between ramp-up and drain",
            ),
            (
                Absent::CounterDisagrees { residual: 0.2 },
                "counter and power samples differ by +20.0 % (limit 10 %)",
            ),
            (
                Absent::BoardFactsUnknown("no driver".to_owned()),
                "GPU memory bus and clock unknown: no driver",
            ),
        ] {
            assert_eq!(why(&absent), words);
        }
    }
}
