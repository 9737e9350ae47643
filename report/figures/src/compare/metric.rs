//! The metrics that are compared, each with its direction and margin.

use regatta_types::margin::{ComparedFigure, Margins};
use regatta_types::suite::{Case, Load};
use serde::{Deserialize, Serialize};

use crate::hosts::Counted;

/// A compared metric; under its name in `run.json` and in baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Decode speed, ratio of sums over the cell's requests, tokens per second.
    DecodeTps,
    /// Time to first token, median of the cell's requests, seconds; in an open loop from the
    /// scheduled instant.
    Ttft,
    /// Time to first answer token, median of the cell's requests, seconds; closed loops, and only
    /// where answers begin later than their first token.
    FirstAnswer,
    /// End-to-end latency, median of the cell's requests, seconds; in an open loop from the
    /// scheduled instant.
    E2e,
    /// Output of all streams in the steady window, tokens per second; cases of several streams.
    OutputTps,
    /// Energy of the endpoint's GPUs per output token, joules.
    Energy,
}

impl Metric {
    pub const ALL: [Self; 6] =
        [Self::DecodeTps, Self::Ttft, Self::FirstAnswer, Self::E2e, Self::OutputTps, Self::Energy];

    /// As it stands in a sentence.
    pub fn label(self) -> &'static str {
        match self {
            Self::DecodeTps => "decode speed",
            Self::Ttft => "time to first token",
            Self::FirstAnswer => "time to first answer token",
            Self::E2e => "end-to-end time",
            Self::OutputTps => "system output",
            Self::Energy => "energy per output token",
        }
    }

    /// At the start of a sentence.
    pub fn heading(self) -> &'static str {
        match self {
            Self::DecodeTps => "Decode speed",
            Self::Ttft => "Time to first token",
            Self::FirstAnswer => "Time to first answer token",
            Self::E2e => "End-to-end time",
            Self::OutputTps => "System output",
            Self::Energy => "Energy per output token",
        }
    }

    /// The unit it is shown in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::DecodeTps | Self::OutputTps => "tok/s",
            Self::Ttft | Self::FirstAnswer => "ms",
            Self::E2e => "s",
            Self::Energy => "J",
        }
    }

    /// Whether a larger value is a faster host.
    pub fn is_speed(self) -> bool {
        match self {
            Self::DecodeTps | Self::OutputTps => true,
            Self::Ttft | Self::FirstAnswer | Self::E2e | Self::Energy => false,
        }
    }

    /// `+1` where a larger value is a faster host, else `-1`.
    pub fn sign(self) -> f64 {
        if self.is_speed() { 1.0 } else { -1.0 }
    }

    /// Differences up to this are of no account, as a share; what the user has set stands above.
    pub fn margin(self, set: &Margins) -> f64 {
        let (figure, own) = match self {
            Self::DecodeTps => (ComparedFigure::Decode, 0.02),
            Self::Ttft => (ComparedFigure::Ttft, 0.05),
            Self::FirstAnswer => (ComparedFigure::Answer, 0.05),
            Self::E2e => (ComparedFigure::E2e, 0.02),
            Self::OutputTps => (ComparedFigure::Output, 0.02),
            Self::Energy => (ComparedFigure::Energy, 0.05),
        };
        set.of(figure).unwrap_or(own)
    }

    /// The cell's one number; `None` when it has none above zero.
    pub fn of_cell(self, case: &Case, cell: &Counted) -> Option<f64> {
        let figures = &cell.figures;
        let value = match self {
            Self::DecodeTps => figures.decode.per_second(),
            Self::Ttft => figures.first_token(&case.load).median(),
            Self::FirstAnswer if matches!(case.load, Load::Closed { .. }) => {
                figures.ttfa_s.median()
            }
            Self::FirstAnswer => None,
            Self::E2e => figures.end_to_end(&case.load).median(),
            Self::OutputTps if case.in_flight_max() > 1 => {
                cell.steady.as_ref().ok().and_then(|steady| steady.output.per_second())
            }
            Self::OutputTps => None,
            Self::Energy => cell.j_per_out_tok,
        };
        value.filter(|&v| v > 0.0)
    }
}
