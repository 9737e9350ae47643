//! Why a figure is absent, in words.

use regatta_figures::absent::{Absent, Figure};
use regatta_types::reading::Reading;

/// What stands after `not available:`.
pub(crate) fn why(absent: &Absent) -> String {
    let words = match absent {
        Absent::Told(reason) => reason,
        Absent::NeverJoined => "the host never joined",
        Absent::UnknownHost => "nothing is known of the host",
        Absent::NothingKnown => "nothing is known of it",
        Absent::NoEngineAnswer => "the engine did not answer",
        Absent::NotOfThisHost => "not told of this host",
        Absent::OldAgent => "its agent does not tell",
        Absent::NoUsableAttempt => "no usable attempt",
        Absent::OneStream => "one stream",
        Absent::SeveralRequestsAtOnce => "several requests at once",
        Absent::FewerThanThreeRequests => "fewer than 3 requests",
        Absent::NothingSent => "nothing was sent",
        Absent::NoSteadyPart => {
            "no steady part: the last send was within one and a half mean service times of the first"
        }
        Absent::TooFewRequests { got, needed } => {
            return format!("requests between start and drain: {got}, needed: {needed}");
        }
        Absent::NoOrderInTime => "decode speeds without an order in time",
        Absent::ShortPrompts => {
            "fewer than 256 uncached prompt tokens, or the engine does not count them"
        }
        Absent::NoSingleStreamDecode => "no decode speed at one stream",
        Absent::NoGpuSamples => "no attempt has GPU samples",
        Absent::NoEngineSamples => "no attempt has samples",
        Absent::NoServingGpu => "no GPU serves the endpoint",
        Absent::NoKnownServingGpu => "no GPU is known to serve the endpoint",
        Absent::ShortAttempt => "an attempt of less than 5 s",
        Absent::CounterRanBackwards => "the energy counter ran backwards",
        Absent::CounterNotReadAtBegin => {
            "the energy counter was not read within 0.5 s of the attempt's begin"
        }
        Absent::CounterNotReadAtEnd => {
            "the energy counter was not read within 0.5 s of the attempt's end"
        }
        Absent::CounterDisagrees { residual } => {
            let percent = residual * 100.0;
            return format!("counter and power samples differ by {percent:+.1} % (limit 10 %)");
        }
        Absent::NeverAtRest => "the engine was never seen at rest for half a second",
        Absent::ActiveWeightsNotGiven => {
            "nobody has said what the model reads for one token (active_weights in the suite, or --active-weights)"
        }
        Absent::NoBoardFacts => "the agent does not tell the GPU's bus and clock",
        Absent::NoMemoryBus => "the driver says that the GPU has no bus",
        Absent::BoardFactsUnknown(reason) => {
            return format!("the GPU's bus and clock are not known: {reason}");
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
    fn every_reason_has_words_of_its_own() {
        let words: BTreeSet<String> = Absent::iter().map(|absent| why(&absent)).collect();
        assert_eq!(words.len(), Absent::iter().count());
        for (absent, words) in [
            (Absent::Told("no driver".to_owned()), "no driver"),
            (
                Absent::TooFewRequests { got: 12, needed: 48 },
                "requests between start and drain: 12, needed: 48",
            ),
            (
                Absent::CounterDisagrees { residual: 0.2 },
                "counter and power samples differ by +20.0 % (limit 10 %)",
            ),
            (
                Absent::BoardFactsUnknown("no driver".to_owned()),
                "the GPU's bus and clock are not known: no driver",
            ),
        ] {
            assert_eq!(why(&absent), words);
        }
    }
}
