//! The metrics that are compared, each with its direction and margin.

use regatta_types::margin::{ComparedFigure, Margins};
use regatta_types::suite::Case;
use serde::{Deserialize, Serialize};

use crate::analysis::Counted;

/// A compared metric; under its name in `run.json` and in baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Decode speed, ratio of sums over the cell's requests, tokens per second.
    DecodeTps,
    /// Time to first token, median of the cell's requests, seconds; in an open loop from the
    /// scheduled instant.
    Ttft,
    /// End-to-end latency, median of the cell's requests, seconds; in an open loop from the
    /// scheduled instant.
    E2e,
    /// Output of all streams in the steady window, tokens per second; cases of several streams.
    OutputTps,
}

impl Metric {
    pub(crate) const ALL: [Self; 4] = [Self::DecodeTps, Self::Ttft, Self::E2e, Self::OutputTps];

    /// As it stands in a sentence.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::DecodeTps => "decode speed",
            Self::Ttft => "time to first token",
            Self::E2e => "end-to-end time",
            Self::OutputTps => "system output",
        }
    }

    /// At the start of a sentence.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::DecodeTps => "Decode speed",
            Self::Ttft => "Time to first token",
            Self::E2e => "End-to-end time",
            Self::OutputTps => "System output",
        }
    }

    /// Whether a larger value is a faster host.
    pub(crate) fn is_speed(self) -> bool {
        match self {
            Self::DecodeTps | Self::OutputTps => true,
            Self::Ttft | Self::E2e => false,
        }
    }

    /// `+1` where a larger value is a faster host, else `-1`.
    pub(crate) fn sign(self) -> f64 {
        if self.is_speed() { 1.0 } else { -1.0 }
    }

    /// Differences up to this are of no account, as a share; what the user has set stands above.
    pub(crate) fn margin(self, set: &Margins) -> f64 {
        let (figure, own) = match self {
            Self::DecodeTps => (ComparedFigure::Decode, 0.02),
            Self::Ttft => (ComparedFigure::Ttft, 0.05),
            Self::E2e => (ComparedFigure::E2e, 0.02),
            Self::OutputTps => (ComparedFigure::Output, 0.02),
        };
        set.of(figure).unwrap_or(own)
    }

    /// The cell's one number; `None` when it has none above zero.
    pub(crate) fn of_cell(self, case: &Case, cell: &Counted<'_>) -> Option<f64> {
        let figures = &cell.figures;
        let value = match self {
            Self::DecodeTps => figures.decode.per_second(),
            Self::Ttft => figures.first_token(&case.load).median(),
            Self::E2e => figures.end_to_end(&case.load).median(),
            Self::OutputTps if case.in_flight_max() > 1 => {
                cell.steady.known().and_then(|steady| steady.output.per_second())
            }
            Self::OutputTps => None,
        };
        value.filter(|&v| v > 0.0)
    }
}
