//! Preflight checks of a host and their results: one list for `regatta doctor` and for every run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A preflight check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The endpoint answers.
    Endpoint,
    /// The model is served, and the other hosts serve the same one.
    Model,
    /// Answers are streamed incrementally.
    Streaming,
    /// The engine reports token counts.
    Usage,
    /// Reasoning is separate from the answer.
    Reasoning,
    /// The engine supports answers of a fixed length.
    FixedLength,
    /// The context is long enough for the suite's prompts and answers.
    Context,
    /// The engine works for nobody else.
    EngineLoad,
    /// NVML readings are available.
    GpuReadings,
    /// The GPUs of --gpu exist.
    GpuChoice,
    /// No other process uses the engine's GPUs.
    GpuProcesses,
    /// Persistence mode is on.
    #[serde(rename = "persistence-mode")]
    Persistence,
    /// The CPU frequency governor does not limit the clock.
    #[serde(rename = "cpu-governor")]
    Governor,
    /// There is disk space for results.
    Disk,
    /// The wall clock agrees with the coordinator's.
    Clock,
}

impl Check {
    /// All checks, in display order.
    pub const ALL: [Self; 15] = [
        Self::Endpoint,
        Self::Model,
        Self::Streaming,
        Self::Usage,
        Self::Reasoning,
        Self::FixedLength,
        Self::Context,
        Self::EngineLoad,
        Self::GpuReadings,
        Self::GpuChoice,
        Self::GpuProcesses,
        Self::Persistence,
        Self::Governor,
        Self::Disk,
        Self::Clock,
    ];

    /// The display name.
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
            Self::EngineLoad => "engine load",
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
    /// The check passed.
    pub fn ok(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Ok, text: text.into() }
    }

    /// The check could not be made, with the reason.
    pub fn unknown(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Unknown, text: text.into() }
    }

    /// A problem that does not exclude the host.
    pub fn warning(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Warning, text: text.into() }
    }

    /// A problem that excludes the host.
    pub fn failed(self, text: impl Into<String>) -> CheckOutcome {
        CheckOutcome { check: self, mark: Mark::Failed, text: text.into() }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Passed.
    Ok,
    /// Not checked.
    Unknown,
    /// A run accepts this host, but there is a problem to fix.
    Warning,
    /// A run refuses this host.
    Failed,
}

impl Mark {
    /// The display name.
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

/// The outcome of one check on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOutcome {
    /// The check.
    pub check: Check,
    /// The result.
    pub mark: Mark,
    /// What was found and, unless it passed, a hint.
    pub text: String,
}

/// Why a host with these checks is refused: the messages of the failed checks. `None`: it is
/// accepted.
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
    fn the_refusal_has_the_messages_of_failed_checks_only() {
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
    fn serialized_names_match_display_names() {
        for check in Check::ALL {
            let name = check.name().to_lowercase().replace(' ', "-");
            assert_eq!(serde_json::to_value(check).expect("a name"), name);
        }
    }

    #[test]
    fn names_are_unique_and_the_list_is_sorted() {
        let mut names = Check::ALL.map(Check::name).to_vec();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(Check::ALL.is_sorted());
    }
}
