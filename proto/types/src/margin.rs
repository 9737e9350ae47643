//! From which size on a difference is of account, as users say it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A figure that hosts are compared in, by the name that flags have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComparedFigure {
    /// Decode speed.
    Decode,
    /// Time to first token.
    Ttft,
    /// Time to first answer token.
    Answer,
    /// End-to-end time.
    E2e,
    /// System output.
    Output,
    /// Energy per output token.
    Energy,
}

impl ComparedFigure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Decode, Self::Ttft, Self::Answer, Self::E2e, Self::Output, Self::Energy];

    /// As flags name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Ttft => "ttft",
            Self::Answer => "answer",
            Self::E2e => "e2e",
            Self::Output => "output",
            Self::Energy => "energy",
        }
    }
}

/// The margins that a user has set; those of other figures are the report's own.
///
/// As text: `3%` for all figures, `ttft=10%` for one, several by commas; a later one stands above
/// those before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Margins([Option<f64>; ComparedFigure::ALL.len()]);

/// Not a list of margins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMargin {
    /// Not a number of per cent.
    #[error("`{0}`: a number of per cent over 0 and below 100, e.g. 3% or ttft=10%")]
    Percent(String),
    /// Not the name of a figure.
    #[error("no figure `{0}`; one of decode, ttft, answer, e2e, output, energy")]
    Figure(String),
}

impl Margins {
    /// The margin of a figure as a share, over 0 and below 1; `None`: not set.
    #[must_use]
    pub fn of(&self, figure: ComparedFigure) -> Option<f64> {
        ComparedFigure::ALL.into_iter().zip(self.0).find(|(f, _)| *f == figure)?.1
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
                None => margins.0 = [share; ComparedFigure::ALL.len()],
                Some(name) => {
                    let index = ComparedFigure::ALL.iter().position(|f| f.name() == name);
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
        let named = |(figure, share): (ComparedFigure, Option<f64>)| {
            Some(format!("{}={}%", figure.name(), percent(share?)))
        };
        let set: Vec<String> =
            ComparedFigure::ALL.into_iter().zip(self.0).filter_map(named).collect();
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
    fn margins_are_for_all_figures_or_for_one() {
        let margins: Margins = "3%, ttft=7".parse().unwrap();
        assert_eq!(margins.of(ComparedFigure::Decode), Some(0.03));
        assert_eq!(margins.of(ComparedFigure::Ttft), Some(0.07));
        assert_eq!(margins.to_string(), "decode=3%,ttft=7%,answer=3%,e2e=3%,output=3%,energy=3%");
        assert_eq!(margins.to_string().parse(), Ok(margins));
        assert_eq!(Margins::default().of(ComparedFigure::E2e), None);
        for bad in ["", "-1%", "0", "100%", "speed=3%", "ttft=", "nan", "inf"] {
            assert!(bad.parse::<Margins>().is_err(), "{bad}");
        }
        for figure in ComparedFigure::ALL {
            assert!(BadMargin::Figure(String::new()).to_string().contains(figure.name()));
        }
    }
}
