//! From which size on a change is of account.

use std::str::FromStr;

use crate::compare::Metric;

/// The margin of each metric, as a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins([f64; Metric::ALL.len()]);

impl Default for Margins {
    /// Those of a report: 2 % for speeds and end-to-end time, 5 % for the time to first token.
    fn default() -> Self {
        Self(Metric::ALL.map(Metric::margin))
    }
}

impl Margins {
    pub(crate) fn of(self, metric: Metric) -> f64 {
        let index = Metric::ALL.iter().position(|other| *other == metric);
        index.map_or(metric.margin(), |index| self.0[index])
    }
}

impl Margins {
    /// In per cent, without digits that a share in binary adds.
    pub(super) fn words(self, metric: Metric) -> String {
        let text = format!("{:.3}", self.of(metric) * 100.0);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// As users name a metric.
fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::DecodeTps => "decode",
        Metric::Ttft => "ttft",
        Metric::E2e => "e2e",
        Metric::OutputTps => "output",
    }
}

impl FromStr for Margins {
    type Err = String;

    /// `3%` for all metrics, `ttft=10%` for one; several by commas, later ones stand above.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut margins = Self::default();
        for part in text.split(',').map(str::trim) {
            let (of, value) = match part.split_once('=') {
                Some((of, value)) => (Some(of.trim()), value),
                None => (None, part),
            };
            let share = value.trim().trim_end_matches('%').trim().parse::<f64>();
            let share = share.ok().filter(|share| *share > 0.0 && *share < 100.0);
            let share = share.ok_or_else(|| {
                format!("`{part}`: a number of per cent over 0 and below 100, e.g. 3% or ttft=10%")
            })? / 100.0;
            let known = Metric::ALL.map(name);
            match of {
                None => margins.0 = [share; Metric::ALL.len()],
                Some(of) => match known.iter().position(|known| *known == of) {
                    Some(index) => margins.0[index] = share,
                    None => {
                        return Err(format!("no metric `{of}`; one of {}", known.join(", ")));
                    }
                },
            }
        }
        Ok(margins)
    }
}
