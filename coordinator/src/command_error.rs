//! Why a command did not do its work, with its exit code.

use std::error::Error as StdError;

use regatta_types::exit::Exit;

use crate::reports::ReportsError;
use crate::store::StoreError;
use crate::suite::SuiteError;

/// The failure of a command, and the exit code it leads to.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct CommandError {
    /// The code.
    pub exit: Exit,
    pub(crate) text: String,
    #[source]
    pub(crate) source: Option<Box<dyn StdError + Send + Sync>>,
}

impl CommandError {
    /// The user's input.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into(), source: None }
    }

    /// Anything else.
    #[must_use]
    pub fn unexpected(text: impl Into<String>) -> Self {
        Self { exit: Exit::Unexpected, text: text.into(), source: None }
    }

    /// The error's own text, and below it its causes.
    pub(crate) fn with(exit: Exit, error: &dyn StdError) -> Self {
        let source = error.source().map(|source| Box::new(Because::of(source)) as _);
        Self { exit, text: error.to_string(), source }
    }
}

/// What an error said, with all its causes.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Because {
    text: String,
    source: Option<Box<Because>>,
}

impl Because {
    fn of(error: &dyn StdError) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self { text: error.to_string(), source }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let exit = if error.is_storage_failure() { Exit::Storage } else { Exit::Usage };
        Self::with(exit, &error)
    }
}

impl From<SuiteError> for CommandError {
    fn from(error: SuiteError) -> Self {
        Self::with(Exit::Usage, &error)
    }
}

impl From<ReportsError> for CommandError {
    fn from(error: ReportsError) -> Self {
        let exit = match error {
            ReportsError::NotOurs(_) => Exit::Usage,
            ReportsError::Io { .. } => Exit::Storage,
        };
        Self::with(exit, &error)
    }
}

impl From<regatta_figures::source::Error> for CommandError {
    fn from(error: regatta_figures::source::Error) -> Self {
        Self::with(Exit::Storage, &error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use regatta_types::ids::HostId;

    use super::*;

    #[test]
    fn an_error_tells_all_causes_down_to_what_the_disk_said() {
        let disk = StoreError::Encode(serde_json::Error::io(io::Error::other("bad sector")));
        let read = regatta_figures::source::Error::Read {
            host: HostId::new("gpu-01").unwrap(),
            source: Box::new(disk),
        };
        let error = CommandError::from(read);
        let mut told = vec![error.to_string()];
        let mut next = StdError::source(&error);
        while let Some(cause) = next {
            told.push(cause.to_string());
            next = cause.source();
        }
        assert_eq!(told[0], "reading the attempts of gpu-01 failed");
        assert_eq!(told.last().unwrap(), "bad sector");
    }
}
