//! What the command line changes in a suite.

use std::ops::RangeInclusive;
use std::time::Duration;

use regatta_types::ids::{CaseId, SlugError};
use regatta_types::suite::{Case, Load, Ramp, StopRule, Suite};
use regatta_types::units::grouped;

use super::range;
use super::settings::{Levels, id_ending, title_ending};

/// Flags that stand above the suite; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// One number of streams for every case, or several: one case for each.
    pub concurrency: Option<Vec<u32>>,
    /// Measured requests. This and `duration` together replace the suite's stop rule.
    pub requests: Option<u32>,
    /// Time after which no request is begun.
    pub duration: Option<Duration>,
    /// Completion tokens.
    pub max_tokens: Option<u32>,
    /// Times a case is run on every host.
    pub repetitions: Option<u32>,
}

/// A flag that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// Out of range.
    #[error("--{flag} must be from {} to {}, not {value}", grouped((*range.start()).into()), grouped((*range.end()).into()))]
    Range {
        /// The flag, without dashes.
        flag: &'static str,
        /// What it may be.
        range: RangeInclusive<u32>,
        /// What it is.
        value: u32,
    },
    /// The levels are none, or one of them is there twice.
    #[error("--concurrency must be a number, or different numbers with commas between them")]
    Levels,
    /// Fewer requests than streams.
    #[error(
        "--requests {requests} cannot keep {concurrency} streams busy; ask for at least {concurrency}"
    )]
    TooFewRequests {
        /// Requests asked for.
        requests: u32,
        /// Streams of a case.
        concurrency: u32,
    },
    /// An id with its level's ending is too long.
    #[error(transparent)]
    Id(#[from] SlugError),
    /// More cases than a suite may have.
    #[error("{0} cases are more than the {max} allowed; ask for fewer levels", max = super::CASES_MAX)]
    TooManyCases(usize),
}

impl Overrides {
    /// The suite as the command line wants it.
    ///
    /// With another concurrency and no `--requests`, a case of one request a stream keeps that, and
    /// any other keeps its number, at least one a stream.
    ///
    /// # Errors
    /// When a flag is out of range or does not fit the suite.
    pub fn apply(self, mut suite: Suite) -> Result<Suite, OverrideError> {
        self.check()?;
        if let Some(levels) = &self.concurrency {
            let levels = match levels[..] {
                [one] => Levels::One(one),
                _ => Levels::Sweep(levels.clone()),
            };
            suite.cases = spread(suite.cases, &levels)?;
        }
        if suite.cases.len() > super::CASES_MAX {
            return Err(OverrideError::TooManyCases(suite.cases.len()));
        }
        for case in &mut suite.cases {
            if self.requests.is_some() || self.duration.is_some() {
                case.stop = StopRule { requests: self.requests, duration: self.duration };
            }
            if let Some(requests) =
                self.requests.filter(|&requests| requests < case.in_flight_max())
            {
                let concurrency = case.in_flight_max();
                return Err(OverrideError::TooFewRequests { requests, concurrency });
            }
            case.max_tokens = self.max_tokens.unwrap_or(case.max_tokens);
            case.repetitions = self.repetitions.unwrap_or(case.repetitions);
        }
        Ok(suite)
    }

    fn check(&self) -> Result<(), OverrideError> {
        let in_range = |flag, value: Option<u32>, range: RangeInclusive<u32>| match value {
            Some(value) if !range.contains(&value) => {
                Err(OverrideError::Range { flag, range, value })
            }
            Some(_) | None => Ok(()),
        };
        in_range("requests", self.requests, range::REQUESTS)?;
        in_range("max-tokens", self.max_tokens, range::MAX_TOKENS)?;
        in_range("repetitions", self.repetitions, range::REPETITIONS)?;
        let Some(levels) = &self.concurrency else { return Ok(()) };
        for &level in levels {
            in_range("concurrency", Some(level), range::CONCURRENCY)?;
        }
        let twice = levels.iter().enumerate().any(|(i, level)| levels[..i].contains(level));
        if levels.is_empty() || twice { Err(OverrideError::Levels) } else { Ok(()) }
    }
}

/// Puts every case on the given levels; the levels of a sweep in the suite become one case again.
fn spread(cases: Vec<Case>, levels: &Levels) -> Result<Vec<Case>, OverrideError> {
    let mut out = Vec::new();
    let mut last = None;
    for case in cases {
        let id = case.id.as_str();
        let id = id.strip_suffix(&id_ending(case.in_flight_max())).unwrap_or(id);
        let title =
            case.title.strip_suffix(&title_ending(case.in_flight_max())).unwrap_or(&case.title);
        let base = Some((id.to_owned(), case.prompt_hash()));
        if last == base {
            continue;
        }
        for level in levels.each(id, title) {
            let mut stop = case.stop;
            stop.requests = stop.requests.map(|requests| {
                if requests == case.in_flight_max() {
                    level.streams
                } else {
                    requests.max(level.streams)
                }
            });
            out.push(Case {
                id: CaseId::new(level.id)?,
                title: level.title,
                load: Load::Closed { streams: level.streams, ramp: Ramp::None },
                stop,
                ..case.clone()
            });
        }
        last = base;
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
