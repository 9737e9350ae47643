//! What is looked at on a host before it measures, and what came of it: one list for `regatta doctor`
//! and for every run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The endpoint answers.
    Endpoint,
    /// The model is served, and is that of the other hosts.
    Model,
    /// Requests are answered, token by token.
    Streaming,
    /// The engine counts tokens.
    Usage,
    /// Reasoning can be told from the answer.
    Reasoning,
    /// Answers end at a fixed length when told so.
    FixedLength,
    /// The context holds the suite's prompts and answers.
    Context,
    /// The GPUs can be read.
    GpuReadings,
    /// The GPUs that the user named are there.
    GpuChoice,
    /// Nobody else uses the engine's GPUs.
    GpuProcesses,
    /// The driver stays loaded.
    #[serde(rename = "persistence-mode")]
    Persistence,
    /// The CPU's clock is not held down.
    #[serde(rename = "cpu-governor")]
    Governor,
    /// There is room for results.
    Disk,
    /// The wall clock agrees with the coordinator's.
    Clock,
}

impl Check {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 14] = [
        Self::Endpoint,
        Self::Model,
        Self::Streaming,
        Self::Usage,
        Self::Reasoning,
        Self::FixedLength,
        Self::Context,
        Self::GpuReadings,
        Self::GpuChoice,
        Self::GpuProcesses,
        Self::Persistence,
        Self::Governor,
        Self::Disk,
        Self::Clock,
    ];

    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Model => "model",
            Self::Streaming => "streaming",
            Self::Usage => "usage",
            Self::Reasoning => "reasoning",
            Self::FixedLength => "fixed length",
            Self::Context => "context",
            Self::GpuReadings => "GPU readings",
            Self::GpuChoice => "GPU choice",
            Self::GpuProcesses => "GPU processes",
            Self::Persistence => "persistence mode",
            Self::Governor => "CPU governor",
            Self::Disk => "disk",
            Self::Clock => "clock",
        }
    }
}

impl Check {
    /// All is well.
    pub fn ok(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Ok, text: text.into() }
    }

    /// It could not be looked at, and why.
    pub fn unknown(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Unknown, text: text.into() }
    }

    /// Something should be seen to.
    pub fn warning(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Warning, text: text.into() }
    }

    /// The host cannot take part.
    pub fn failed(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Failed, text: text.into() }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Nothing to remark.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// A run measures this host, but something should be seen to.
    Warning,
    /// A run refuses this host.
    Failed,
}

impl Mark {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One check of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOutcome {
    /// What was looked at.
    pub check: Check,
    /// What came of it.
    pub mark: Mark,
    /// One sentence: what was seen and, unless all is well, what to do.
    pub text: String,
}

/// Why a host with these checks cannot take part: the sentences of those that failed. `None`: it can.
#[must_use]
pub fn refusal(checks: &[CheckOutcome]) -> Option<String> {
    let failed = checks.iter().filter(|outcome| outcome.mark == Mark::Failed);
    let sentences: Vec<&str> = failed.map(|outcome| outcome.text.as_str()).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_refused_with_the_sentences_of_what_failed_and_only_those() {
        let mut checks = vec![
            Check::Endpoint.ok("it answers"),
            Check::Usage.warning("it counts nothing"),
            Check::Governor.unknown("no such file"),
        ];
        assert_eq!(refusal(&checks), None);
        checks.push(Check::Context.failed("it is too short"));
        checks.push(Check::Disk.failed("it is full"));
        assert_eq!(refusal(&checks).as_deref(), Some("it is too short; it is full"));
    }

    #[test]
    fn files_name_checks_as_people_do() {
        for check in Check::ALL {
            let name = check.name().to_lowercase().replace(' ', "-");
            assert_eq!(serde_json::to_value(check).expect("a name"), name);
        }
    }

    #[test]
    fn names_are_distinct_and_the_order_is_that_of_the_list() {
        let mut names = Check::ALL.map(Check::name).to_vec();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(Check::ALL.is_sorted());
    }
}
