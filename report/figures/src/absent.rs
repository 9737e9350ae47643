//! Why a figure is absent: a closed vocabulary, which only the pages put into words.

use regatta_types::reading::Reading;
use strum::EnumIter;

/// A figure, or why it is absent.
pub type Figure<T> = Result<T, Absent>;

/// Why a figure is absent.
#[derive(Debug, Clone, PartialEq, EnumIter)]
pub enum Absent {
    /// As an agent, an engine or a driver said it.
    Told(String),
    /// The host never joined.
    NeverJoined,
    /// Nothing is known of the host.
    UnknownHost,
    /// Nothing is known of the thing whose fact it is.
    NothingKnown,
    /// The engine did not answer.
    NoEngineAnswer,
    /// The endpoint is not on this host, so that its GPUs say nothing.
    NotOfThisHost,
    /// The host's agent does not send it.
    OldAgent,
    /// No attempt can be used.
    NoUsableAttempt,
    /// The load has one stream.
    OneStream,
    /// The load has several requests at once, so that times hold the wait in the queue.
    SeveralRequestsAtOnce,
    /// Fewer requests than a steady part needs.
    FewerThanThreeRequests,
    /// No request was sent.
    NothingSent,
    /// Between start and drain there is too little time.
    NoSteadyPart,
    /// Requests between start and drain are too few to find a drift.
    TooFewRequests {
        /// How many there are.
        got: usize,
        /// How many it takes.
        needed: usize,
    },
    /// The decode speeds have no order in time.
    NoOrderInTime,
    /// Prompts are too short for a prefill speed, or their tokens are not counted.
    ShortPrompts,
    /// No decode speed with one stream.
    NoSingleStreamDecode,
    /// No attempt has samples of GPUs.
    NoGpuSamples,
    /// No attempt has samples of the engine's metrics.
    NoEngineSamples,
    /// No GPU serves the endpoint.
    NoServingGpu,
    /// No GPU of the inventory is known to serve the endpoint.
    NoKnownServingGpu,
    /// The attempt is too short for the energy counter.
    ShortAttempt,
    /// The energy counter fell.
    CounterRanBackwards,
    /// The energy counter has the same value at begin and end.
    CounterStandsStill,
    /// The energy counter was not read near the attempt's begin.
    CounterNotReadAtBegin,
    /// The energy counter was not read near the attempt's end.
    CounterNotReadAtEnd,
    /// Power samples and energy counter disagree.
    CounterDisagrees {
        /// How much the samples make more than the counter, as a share of it.
        residual: f64,
    },
    /// The engine was never at rest long enough to have an idle power.
    NeverAtRest,
    /// Nobody said what the model reads for one token.
    ActiveWeightsNotGiven,
    /// The agent reports no memory bus and clock.
    NoBoardFacts,
    /// The driver says that the GPU has no memory bus.
    NoMemoryBus,
    /// Memory bus and clock could not be read, for a reason that the driver gave.
    BoardFactsUnknown(String),
}

/// What an agent sent, or its reason.
pub(crate) fn told<T>(reading: &Reading<T>) -> Figure<&T> {
    match reading {
        Reading::Known(value) => Ok(value),
        Reading::NotAvailable { not_available } => Err(Absent::Told(not_available.clone())),
    }
}
