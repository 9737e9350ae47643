//! Exit codes of both binaries: one list for code, `--help` and docs.

/// How a command ended. The number is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Every cell counted or skipped, nothing invalid.
    Ok = 0,
    /// An unexpected error, or a panic of ours that was caught.
    Unexpected = 1,
    /// Usage or suite error; nothing was started.
    Usage = 2,
    /// No cell missing, but some invalid.
    Invalid = 3,
    /// At least one cell missing.
    Partial = 4,
    /// Nothing usable was measured.
    NothingUsable = 5,
    /// Our own storage failed: disk full, fsync error, corruption.
    Storage = 6,
    /// Refused: identity, authorisation or protocol.
    Refused = 7,
    /// `check`: a host is settled slower than the baseline allows.
    Regression = 8,
    /// `check` and `compare`: it cannot be judged.
    CannotJudge = 9,
    /// Stopped by a second interrupt.
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
            Self::NothingUsable => "nothing usable measured",
            Self::Storage => "own storage failed (disk full, fsync error, corruption)",
            Self::Refused => "refused: identity, authorisation or protocol",
            Self::Regression => "`check`: a regression is settled",
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
