//! From which size on a difference is of account, as users say it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::metric::Metric;

/// The margins that a user has set; those of other figures are the report's own.
///
/// As text: `3%` for all figures, `ttft=10%` for one, several with commas. A later one
/// overrides earlier ones.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Margins([Option<f64>; Metric::ALL.len()]);

/// Not a list of margins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMargin {
    /// Not a number of per cent.
    #[error("`{0}`: expected a percentage above 0 and below 100, e.g. 3% or ttft=10%")]
    Percent(String),
    /// Not the name of a figure.
    #[error("unknown metric `{0}`. Known metrics: decode, ttft, answer, e2e, output, energy")]
    Figure(String),
}

impl Margins {
    /// The margin of a figure as a share, over 0 and below 1; `None`: not set.
    #[must_use]
    pub fn of(&self, metric: Metric) -> Option<f64> {
        self.0[metric as usize]
    }
}

impl Metric {
    /// Differences smaller than this are treated as equivalent, as a share: the user's margin, else
    /// its own.
    #[must_use]
    pub fn margin(self, set: &Margins) -> f64 {
        set.of(self).unwrap_or(self.info().margin)
    }
}

impl FromStr for Margins {
    type Err = BadMargin;

    fn from_str(text: &str) -> Result<Self, BadMargin> {
        let mut margins = Self::default();
        for part in text.split(',').map(str::trim) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (Some(name.trim()), value),
                None => (None, part),
            };
            let percent = value.trim().trim_end_matches('%').trim().parse::<f64>();
            let percent = percent.ok().filter(|percent| *percent > 0.0 && *percent < 100.0);
            let percent = percent.ok_or_else(|| BadMargin::Percent(part.to_owned()))?;
            let share = Some(percent / 100.0);
            match name {
                None => margins.0 = [share; Metric::ALL.len()],
                Some(name) => {
                    let index = Metric::ALL.iter().position(|m| m.info().flag == name);
                    let index = index.ok_or_else(|| BadMargin::Figure(name.to_owned()))?;
                    margins.0[index] = share;
                }
            }
        }
        Ok(margins)
    }
}

impl fmt::Display for Margins {
    /// `decode=3%,ttft=10%`; nothing where none is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |(metric, share): (Metric, Option<f64>)| {
            Some(format!("{}={}%", metric.info().flag, percent(share?)))
        };
        let set: Vec<String> = Metric::ALL.into_iter().zip(self.0).filter_map(named).collect();
        f.pad(&set.join(","))
    }
}

impl Serialize for Margins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A share in per cent, without the digits that a binary fraction adds: `7`, `2.5`.
#[must_use]
pub fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_apply_to_all_metrics_or_one() {
        let margins: Margins = "3%, ttft=7".parse().unwrap();
        assert_eq!(margins.of(Metric::DecodeTps), Some(0.03));
        assert_eq!(margins.of(Metric::Ttft), Some(0.07));
        assert_eq!(margins.to_string(), "decode=3%,ttft=7%,answer=3%,e2e=3%,output=3%,energy=3%");
        assert_eq!(margins.to_string().parse(), Ok(margins));
        assert_eq!(Margins::default().of(Metric::E2e), None);
        for bad in ["", "-1%", "0", "100%", "speed=3%", "ttft=", "nan", "inf"] {
            assert!(bad.parse::<Margins>().is_err(), "{bad}");
        }
        for metric in Metric::ALL {
            assert!(BadMargin::Figure(String::new()).to_string().contains(metric.info().flag));
        }
    }
}
