//! Ids: checked slugs that users write, numbers that count things, and random instance ids.
//!
//! A slug is `[a-z0-9][a-z0-9._-]{0,62}`: safe as a file name, in a URL path and in a table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest slug, in bytes.
pub const SLUG_MAX: usize = 63;

/// Why a text is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a valid {what}: use 1 to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit"
)]
pub struct SlugError {
    /// What the slug was to name.
    pub what: &'static str,
    /// The offending text, cleaned of control characters and cut to 80 characters.
    pub text: String,
}

fn is_slug(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    first
        && text.len() <= SLUG_MAX
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && !text.contains("..")
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and takes it as an id.
            ///
            /// # Errors
            /// When `text` is not a slug.
            pub fn new(text: impl Into<String>) -> Result<Self, SlugError> {
                let text = text.into();
                if is_slug(&text) {
                    Ok(Self(text))
                } else {
                    Err(SlugError { what: $what, text: crate::clean::excerpt(&text, 80) })
                }
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = SlugError;
            fn from_str(text: &str) -> Result<Self, SlugError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = SlugError;
            fn try_from(text: String) -> Result<Self, SlugError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

slug!(
    /// One execution of a suite over a set of hosts, e.g. `2026-11-24-complex-7f3a`.
    RunId,
    "run id"
);
slug!(
    /// A host as the reports name it (`--name`, by default the hostname made a slug).
    HostId,
    "host name"
);
slug!(
    /// A case of a suite; a level of a sweep is its own case (`chat.c16`).
    CaseId,
    "case id"
);
slug!(
    /// The name of a suite.
    SuiteName,
    "suite name"
);

impl HostId {
    /// Makes a slug of any machine name: lower case, other characters become `-`.
    /// `None` when nothing usable is left.
    #[must_use]
    pub fn from_hostname(name: &str) -> Option<Self> {
        let mut slug = String::new();
        for c in name.trim().chars().flat_map(char::to_lowercase) {
            let keep =
                c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '.' && !slug.ends_with('.'));
            slug.push(if keep { c } else { '-' });
        }
        let slug: String = slug
            .trim_matches(|c: char| !c.is_ascii_alphanumeric())
            .chars()
            .take(SLUG_MAX)
            .collect();
        Self::new(slug).ok()
    }
}

impl CaseId {
    /// The reserved id of the engine warm-up of PREPARE, which belongs to no cell.
    #[must_use]
    pub fn engine_warmup() -> Self {
        Self(ENGINE_WARMUP.to_owned())
    }

    /// Whether this is the reserved id of the engine warm-up.
    #[must_use]
    pub fn is_engine_warmup(&self) -> bool {
        self.0 == ENGINE_WARMUP
    }

    /// The reserved id of what an agent measures of itself before a run.
    #[must_use]
    pub fn client_overhead() -> Self {
        Self(CLIENT_OVERHEAD.to_owned())
    }

    /// Whether this is the reserved id of the client overhead.
    #[must_use]
    pub fn is_client_overhead(&self) -> bool {
        self.0 == CLIENT_OVERHEAD
    }

    /// Whether no case of a suite may have this id.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.is_engine_warmup() || self.is_client_overhead()
    }
}

const ENGINE_WARMUP: &str = "settling";
const CLIENT_OVERHEAD: &str = "client-floor";

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Repetition of a case, from 1. 0 is the engine warm-up before the first.
    Repetition(u32)
);
number!(
    /// Attempt at a cell, from 1.
    AttemptNo(u32)
);
number!(
    /// Fencing token of a lease: results of an older epoch are kept but never counted.
    Epoch(u64)
);

macro_rules! uuid_kind {
    ($kind:ident, $tag:literal) => {
        /// Tag type of a typed UUID.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {}

        impl newtype_uuid::TypedUuidKind for $kind {
            fn tag() -> newtype_uuid::TypedUuidTag {
                const TAG: newtype_uuid::TypedUuidTag = newtype_uuid::TypedUuidTag::new($tag);
                TAG
            }
        }
    };
}

uuid_kind!(AgentInstanceKind, "agent_instance");

/// One start of an agent process.
pub type InstanceId = newtype_uuid::TypedUuid<AgentInstanceKind>;

/// One boot of a host, as its kernel names it. Changes with every reboot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// (run, host, case, repetition): ends in one counted attempt, skipped, or missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellKey {
    /// The host.
    pub host: HostId,
    /// The case.
    pub case: CaseId,
    /// The repetition, from 1.
    pub repetition: Repetition,
}

/// One try at a cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// The cell.
    #[serde(flatten)]
    pub cell: CellKey,
    /// The number of the try, from 1.
    pub attempt: AttemptNo,
}

impl AttemptKey {
    /// The `X-Request-Id` of request `seq` of this attempt:
    /// `<run>/<host>/<case>/r<rep>/a<attempt>/<seq>`.
    #[must_use]
    pub fn request_id(&self, seq: u32) -> String {
        format!("{self}/{seq}")
    }
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/r{}", self.host, self.case, self.repetition)
    }
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/a{}", self.run, self.cell, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_refuse_what_could_leave_a_folder_or_break_a_table() {
        for bad in ["", "../x", "a/b", "A", ".a", "-a", "a b", "a|b", "a..b", "ä", &"x".repeat(64)]
        {
            assert!(HostId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "gpu-01", "gpu_1.lab", "chat.c16", &"x".repeat(63)] {
            assert!(HostId::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn hostnames_become_slugs() {
        let slug = |name| HostId::from_hostname(name).map(String::from);
        assert_eq!(slug("GPU 01.Lab\n"), Some("gpu-01.lab".to_owned()));
        assert_eq!(slug("a..b"), Some("a.-b".to_owned()));
        assert_eq!(slug("---"), None);
    }

    #[test]
    fn request_ids_spell_the_whole_path() {
        let key = AttemptKey {
            run: RunId::new("2026-11-24-quick-7f3a").unwrap(),
            cell: CellKey {
                host: HostId::new("gpu-01").unwrap(),
                case: CaseId::new("chat.c16").unwrap(),
                repetition: Repetition(2),
            },
            attempt: AttemptNo(1),
        };
        assert_eq!(key.request_id(7), "2026-11-24-quick-7f3a/gpu-01/chat.c16/r2/a1/7");
    }
}
