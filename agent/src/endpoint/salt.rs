//! The first line of every prompt, different in each request.
//!
//! Engines keep the prompts they have seen and skip their common beginning, so a prompt that is sent
//! twice has a time to first token that measures a cache. Not every engine has a field to prevent
//! it; a prompt that differs from its first line on needs none.

use std::fmt;

use regatta_types::ids::AttemptKey;
use sha2::{Digest, Sha256};

/// Three groups of three: a tokenizer that splits numbers into digits, or into groups of up to
/// three, makes equally many tokens of every salt.
const DIGITS: usize = 9;

/// What makes a prompt unlike all others: nine decimal digits, sent as the line `[123456789]`
/// before the first message's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; DIGITS]);

impl Salt {
    /// Of digits that are all the same.
    pub(super) const fn uniform(digit: u8) -> Self {
        Self([b'0' + digit % 10; DIGITS])
    }

    /// The salt of request `seq` of an attempt. It depends on run, case, repetition, attempt and
    /// `seq`, which counts warm-up requests too, and not on the host: all hosts of a run send the
    /// same bytes.
    #[must_use]
    pub fn of(key: &AttemptKey, seq: u32) -> Self {
        let AttemptKey { run, cell, attempt } = key;
        let name = format!("{run}/{}/r{}/a{attempt}/{seq}", cell.case, cell.repetition);
        Self::hashed(&name)
    }

    /// The salt that all requests of an attempt share, for a beginning that is shared on purpose.
    #[must_use]
    pub fn of_attempt(key: &AttemptKey) -> Self {
        let AttemptKey { run, cell, attempt } = key;
        Self::hashed(&format!("{run}/{}/r{}/a{attempt}/shared", cell.case, cell.repetition))
    }

    fn hashed(name: &str) -> Self {
        let hash = Sha256::digest(name);
        Self(std::array::from_fn(|i| b'0' + hash[i] % 10))
    }

    pub(super) fn bytes(&self) -> &[u8; DIGITS] {
        &self.0
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&digit| write!(f, "{}", char::from(digit)))
    }
}

#[cfg(test)]
mod tests {
    use regatta_types::ids::{AttemptNo, CaseId, CellKey, HostId, Repetition, RunId};

    use super::*;

    fn key(host: &str, case: &str, repetition: u32, attempt: u32) -> AttemptKey {
        AttemptKey {
            run: RunId::new("run").unwrap(),
            cell: CellKey {
                host: HostId::new(host).unwrap(),
                case: CaseId::new(case).unwrap(),
                repetition: Repetition(repetition),
            },
            attempt: AttemptNo(attempt),
        }
    }

    #[test]
    fn hosts_share_a_salt_and_nothing_else_does() {
        let one = Salt::of(&key("a", "case", 1, 1), 0);
        assert_eq!(one, Salt::of(&key("b", "case", 1, 1), 0));
        // For ever: a run that is resumed by a later version goes on with the same ones.
        assert_eq!(one.to_string(), "740385912");
        for other in [
            Salt::of(&key("a", "other", 1, 1), 0),
            Salt::of(&key("a", "case", 2, 1), 0),
            Salt::of(&key("a", "case", 1, 2), 0),
            Salt::of(&key("a", "case", 1, 1), 1),
        ] {
            assert_ne!(one, other);
        }
    }
}
