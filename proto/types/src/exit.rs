//! Exit codes of both binaries: one list for code, `--help` and docs.

/// How a command ended. The number is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Every cell is counted or skipped, none is invalid.
    Ok = 0,
    /// Unexpected error, or a caught panic.
    Unexpected = 1,
    /// Usage or suite error; nothing was started.
    Usage = 2,
    /// No cell is missing, but some are invalid.
    Invalid = 3,
    /// At least one cell is missing.
    Partial = 4,
    /// No usable results.
    NothingUsable = 5,
    /// Local storage failure: disk full, fsync error, corruption.
    Storage = 6,
    /// Refused: identity, authorization or protocol.
    Refused = 7,
    /// `check`: a host is significantly slower than the baseline allows.
    Regression = 8,
    /// `check` and `compare`: no verdict is possible.
    CannotJudge = 9,
    /// Second interrupt.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in the order of the docs.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Unexpected,
        Self::Usage,
        Self::Invalid,
        Self::Partial,
        Self::NothingUsable,
        Self::Storage,
        Self::Refused,
        Self::Regression,
        Self::CannotJudge,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// One line for docs and `--help`.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "every cell counted or skipped, nothing invalid",
            Self::Unexpected => "unexpected error",
            Self::Usage => "usage or suite error, nothing started",
            Self::Invalid => "no cell missing, but some invalid (listed)",
            Self::Partial => "partial: at least one cell missing",
            Self::NothingUsable => "no usable results",
            Self::Storage => "local storage failure (disk full, fsync error, corruption)",
            Self::Refused => "refused: identity, authorization or protocol",
            Self::Regression => "`check`: significant regression",
            Self::CannotJudge => "`check`, `compare`: cannot judge",
            Self::Interrupted => "second interrupt",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
