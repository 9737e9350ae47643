//! The metrics that hosts are compared in: one table of what each is called, how it is computed and what counts as equal.

use serde::{Deserialize, Serialize};

/// A compared metric; under its name in `run.json` and in baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Decode speed, tokens per second.
    DecodeTps,
    /// Time to first token, seconds; in an open loop from the scheduled instant.
    Ttft,
    /// Time to first answer token, seconds; closed loops, and only where answers begin later than
    /// their first token.
    FirstAnswer,
    /// End-to-end latency, seconds; in an open loop from the scheduled instant.
    E2e,
    /// Output of all streams in the steady window, tokens per second; cases of several streams.
    OutputTps,
    /// Energy of the endpoint's GPUs per output token, joules.
    Energy,
}

/// Where a good value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Small is good.
    Lower,
    /// Large is good.
    Higher,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricInfo {
    /// The metric.
    pub metric: Metric,
    /// As flags name it: `--margin ttft=10%`.
    pub flag: &'static str,
    /// Its name in docs/metrics.md, which has its edge cases.
    pub name: &'static str,
    /// As written in a sentence.
    pub label: &'static str,
    /// At the start of a sentence.
    pub heading: &'static str,
    /// As a heading over a table by case, with the unit.
    pub title: &'static str,
    /// The unit it is shown in.
    pub unit: &'static str,
    /// Where a good value lies.
    pub better: Better,
    /// Differences smaller than this are treated as equivalent, as a share.
    pub margin: f64,
    /// Over the stamps and counts of docs/metrics.md.
    pub formula: &'static str,
    /// What it is in a report's list of definitions, with its short name; `None`: not in it.
    pub definition: Option<(&'static str, &'static str)>,
}

/// In the order of [`Metric::ALL`].
const TABLE: [MetricInfo; 6] = [
    MetricInfo {
        metric: Metric::DecodeTps,
        flag: "decode",
        name: "decode",
        label: "decode speed",
        heading: "Decode speed",
        title: "Decode speed, tok/s",
        unit: "tok/s",
        better: Better::Higher,
        margin: 0.02,
        formula: "sum of (n - k_1) / sum of (t_last - t_1)",
        definition: Some((
            "Decode speed",
            "tokens after the first read / time from the first to the last read; needs 16 such tokens; over the requests of an attempt the ratio of the sums",
        )),
    },
    MetricInfo {
        metric: Metric::Ttft,
        flag: "ttft",
        name: "ttft",
        label: "time to first token",
        heading: "Time to first token",
        title: "Time to first token, ms",
        unit: "ms",
        better: Better::Lower,
        margin: 0.05,
        formula: "t_1 - t_send",
        definition: Some((
            "TTFT",
            "first chunk with generated text, of any kind, minus the send of the request",
        )),
    },
    MetricInfo {
        metric: Metric::FirstAnswer,
        flag: "answer",
        name: "ttfa",
        label: "time to first answer token",
        heading: "Time to first answer token",
        title: "Time to first answer token, ms",
        unit: "ms",
        better: Better::Lower,
        margin: 0.05,
        formula: "t_ans - t_send",
        definition: Some((
            "First answer",
            "first chunk with answer text (not reasoning) minus the send",
        )),
    },
    MetricInfo {
        metric: Metric::E2e,
        flag: "e2e",
        name: "e2e",
        label: "end-to-end time",
        heading: "End-to-end time",
        title: "End-to-end time, s",
        unit: "s",
        better: Better::Lower,
        margin: 0.02,
        formula: "t_last - t_send",
        definition: Some(("End to end", "last chunk with text minus the send")),
    },
    MetricInfo {
        metric: Metric::OutputTps,
        flag: "output",
        name: "output_tps",
        label: "system output",
        heading: "System output",
        title: "System output of all streams, tok/s",
        unit: "tok/s",
        better: Better::Higher,
        margin: 0.02,
        formula: "tokens that arrive in the steady window / its length",
        definition: Some((
            "System output",
            "tokens of all streams that arrive in the steady window / its length",
        )),
    },
    MetricInfo {
        metric: Metric::Energy,
        flag: "energy",
        name: "j_per_out_tok",
        label: "energy per output token",
        heading: "Energy per output token",
        title: "Energy per output token, J",
        unit: "J",
        better: Better::Lower,
        margin: 0.05,
        formula: "energy / n",
        definition: None,
    },
];

impl Metric {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::DecodeTps, Self::Ttft, Self::FirstAnswer, Self::E2e, Self::OutputTps, Self::Energy];

    /// Its row of the table.
    #[must_use]
    pub const fn info(self) -> &'static MetricInfo {
        &TABLE[self as usize]
    }

    /// As written in a sentence.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.info().label
    }

    /// At the start of a sentence.
    #[must_use]
    pub fn heading(self) -> &'static str {
        self.info().heading
    }

    /// The unit it is shown in.
    #[must_use]
    pub fn unit(self) -> &'static str {
        self.info().unit
    }

    /// `+1` where a larger value is a faster host, else `-1`.
    #[must_use]
    pub fn sign(self) -> f64 {
        if self.info().better == Better::Higher { 1.0 } else { -1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_row() {
        for metric in Metric::ALL {
            let info = metric.info();
            assert_eq!(info.metric, metric);
            assert_eq!(info.label.to_lowercase(), info.heading.to_lowercase());
            assert!(info.title.starts_with(info.heading) && info.title.ends_with(info.unit));
        }
    }
}
