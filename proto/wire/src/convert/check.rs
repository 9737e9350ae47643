//! check.proto.

use regatta_types::check::{Check, CheckOutcome, Mark};

use crate::error::{ConvertError, Problem};
use crate::field::{Checked, Numbered, cut, list, numbered, text};
use crate::limits::TEXT_MAX;
use crate::v1;

numbered!(
    Check = v1::Check {
        Endpoint,
        Model,
        Streaming,
        Usage,
        Reasoning,
        FixedLength,
        Context,
        EngineLoad,
        GpuReadings,
        GpuChoice,
        GpuProcesses,
        Persistence,
        Governor,
        Disk,
        Clock,
    }
);

numbered!(Mark = v1::CheckMark { Ok, Unknown, Warning, Failed });

impl TryFrom<v1::CheckOutcome> for CheckOutcome {
    type Error = ConvertError;
    fn try_from(m: v1::CheckOutcome) -> Checked<Self> {
        Ok(Self {
            check: Check::read("check", m.check)?,
            mark: Mark::read("mark", m.mark)?,
            text: text("text", m.text, TEXT_MAX)?,
        })
    }
}

impl From<&CheckOutcome> for v1::CheckOutcome {
    fn from(outcome: &CheckOutcome) -> Self {
        Self {
            check: outcome.check.number(),
            mark: outcome.mark.number(),
            text: cut(&outcome.text, TEXT_MAX),
        }
    }
}

/// The checks of a host, each at most once.
pub(crate) fn checks(field: &str, messages: Vec<v1::CheckOutcome>) -> Checked<Vec<CheckOutcome>> {
    let checks: Vec<CheckOutcome> = list(field, messages, Check::ALL.len())?;
    let is_twice =
        |check: Check| checks.iter().filter(|outcome| outcome.check == check).count() > 1;
    if Check::ALL.into_iter().any(is_twice) {
        return Err(ConvertError::new(field, Problem::OutOfRange("each check at most once")));
    }
    Ok(checks)
}
