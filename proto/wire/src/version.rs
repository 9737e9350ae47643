//! Which protocol a session speaks: each side has a range, the highest common version wins.

use std::fmt;

/// Protocol versions one side speaks, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Lowest, at least 1.
    pub min: u32,
    /// Highest, at least `min`.
    pub max: u32,
}

impl Versions {
    /// What this build speaks.
    pub const OURS: Self = Self { min: 1, max: 1 };
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

/// The two sides have no version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no common protocol version: the peer supports {theirs}, this side supports {ours}. Update the \
     older program"
)]
pub struct VersionMismatch {
    /// The other side's range.
    pub theirs: Versions,
    /// This side's range.
    pub ours: Versions,
}

/// The highest version both sides speak.
///
/// # Errors
/// When the ranges do not meet.
pub fn negotiate(theirs: Versions, ours: Versions) -> Result<u32, VersionMismatch> {
    let highest = theirs.max.min(ours.max);
    if highest >= theirs.min.max(ours.min) {
        Ok(highest)
    } else {
        Err(VersionMismatch { theirs, ours })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(min: u32, max: u32) -> Versions {
        Versions { min, max }
    }

    #[test]
    fn the_highest_common_version_wins() {
        assert_eq!(negotiate(range(1, 3), range(2, 5)), Ok(3));
        assert_eq!(negotiate(range(2, 9), range(1, 2)), Ok(2));
        assert_eq!(negotiate(range(4, 4), range(4, 4)), Ok(4));
    }

    #[test]
    fn a_mismatch_names_both_ranges() {
        let error = negotiate(range(1, 2), range(3, 3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no common protocol version: the peer supports 1 to 2, this side supports 3. Update the older program"
        );
    }
}
