//! A baseline as a file: small, stable and readable, so that it can be kept in git.

use std::collections::BTreeSet;

use regatta_types::ids::CaseId;

use super::Baseline;
use crate::metrics::METRICS_SCHEMA;

/// Most repetitions of a case.
const REPETITIONS: usize = 1_000;

const HEAD: &str = "# What later runs are compared with: `regatta check --baseline FILE`.
# One number for each case and complete repetition: tokens a second, or seconds.
";

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not written as one.
    #[error("not a baseline: {0}")]
    NotOne(String),
    /// It is of a version with other fields or other definitions.
    #[error(
        "a baseline of version {found} with metrics schema {schema}, this program reads version {} with schema {METRICS_SCHEMA}: make a new one with `regatta baseline`",
        Baseline::VERSION
    )]
    OtherVersion {
        /// Its version.
        found: u32,
        /// Its metrics schema.
        schema: u32,
    },
    /// Its values cannot be.
    #[error("{}", .0.join("\n"))]
    Values(Vec<String>),
}

impl Baseline {
    /// As a file, with six significant digits.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut rounded = self.clone();
        for host in &mut rounded.hosts {
            let shares = [&mut host.output_tokens, &mut host.truncated, &mut host.cached];
            shares.into_iter().flat_map(|map| map.values_mut()).for_each(round);
            host.values.values_mut().flat_map(|m| m.values_mut()).flatten().for_each(round);
        }
        // Tables with string keys and finite numbers, all of which are TOML values.
        format!("{HEAD}{}", toml::to_string(&rounded).unwrap_or_default())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is not a baseline, has a different version or impossible values: all problems at once.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        #[derive(serde::Deserialize)]
        struct Versions {
            baseline: u32,
            metrics_schema: u32,
        }
        let not_one = |error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let at = line.map_or_else(String::new, |line| format!("line {line}: "));
            BaselineError::NotOne(format!("{at}{}", error.message()))
        };
        let versions: Versions = toml::from_str(text).map_err(not_one)?;
        if (versions.baseline, versions.metrics_schema) != (Self::VERSION, METRICS_SCHEMA) {
            let (found, schema) = (versions.baseline, versions.metrics_schema);
            return Err(BaselineError::OtherVersion { found, schema });
        }
        let baseline: Self = toml::from_str(text).map_err(not_one)?;
        let problems = baseline.problems();
        if problems.is_empty() { Ok(baseline) } else { Err(BaselineError::Values(problems)) }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let is_solo = |case: &CaseId| self.solo.contains_key(case);
        for (index, host) in self.hosts.iter().enumerate() {
            if self.hosts[..index].iter().any(|other| other.name == host.name) {
                problems.push(format!("host {} is listed twice", host.name));
            }
            for (metric, cases) in &host.values {
                let place = format!("host {}, {}", host.name, metric.label());
                let of_kind = |solo: bool| -> BTreeSet<usize> {
                    let own = cases.iter().filter(|(case, _)| is_solo(case) == solo);
                    own.map(|(_, values)| values.len()).collect()
                };
                if [true, false].map(of_kind).iter().any(|lengths| lengths.len() > 1) {
                    problems.push(format!("{place}: the cases have different numbers of values"));
                }
                if cases.values().any(|values| values.len() > REPETITIONS) {
                    problems.push(format!("{place}: over {REPETITIONS} values of a case"));
                }
                let mut values = cases.values().flatten();
                if values.any(|value| !value.is_finite() || *value <= 0.0) {
                    problems.push(format!("{place}: every value must be a number over 0"));
                }
            }
        }
        problems
    }
}

/// To six significant digits: far below any scatter, and short to read.
fn round(value: &mut f64) {
    *value = format!("{value:.5e}").parse().unwrap_or(*value);
}
