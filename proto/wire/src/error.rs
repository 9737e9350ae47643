//! Why bytes or messages of the other side are refused.

use regatta_types::ids::SlugError;

/// A message that does not say what it must: which field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ConvertError {
    /// The field, e.g. `report_chunk.lease.key.run`.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A required message, or the choice of a oneof.
    #[error("missing, or of a type unknown to this version")]
    Missing,
    /// An enum left at zero or set to an unknown number.
    #[error("unspecified or unknown value {0}")]
    Enum(i32),
    /// Not a slug.
    #[error(transparent)]
    Slug(#[from] SlugError),
    /// Not a UUID.
    #[error("not a UUID")]
    Uuid,
    /// Not a lower-case hex SHA-256, or not 32 bytes.
    #[error("not a SHA-256")]
    Sha256,
    /// A hash of other bytes.
    #[error("does not match the content")]
    Sha256Differs,
    /// NaN or infinite.
    #[error("not a finite number")]
    NotFinite,
    /// Outside of its range.
    #[error("must be {0}")]
    OutOfRange(&'static str),
    /// A text over its limit.
    #[error("{len} bytes exceed the maximum of {max}")]
    TooLong {
        /// Its length, bytes.
        len: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// A list over its limit.
    #[error("{len} items exceed the maximum of {max}")]
    TooMany {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Columns that differ in length.
    #[error("{len} items, expected {expected}")]
    Length {
        /// Its length.
        len: usize,
        /// The length of the other columns.
        expected: usize,
    },
}

impl ConvertError {
    pub(crate) fn new(field: &str, problem: Problem) -> Self {
        Self { path: field.to_owned(), problem }
    }
}

/// Adds the enclosing field to the path of an error.
pub(crate) trait At {
    fn at(self, field: &str) -> Self;
}

impl<T> At for Result<T, ConvertError> {
    fn at(self, field: &str) -> Self {
        self.map_err(|e| ConvertError { path: format!("{field}.{}", e.path), problem: e.problem })
    }
}

/// Kept or received bytes that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf of this kind.
    #[error("malformed message")]
    Malformed(#[from] prost::DecodeError),
    /// A message that does not say what it must.
    #[error("invalid message")]
    Invalid(#[from] ConvertError),
    /// More bytes than allowed.
    #[error("{len} bytes exceed the maximum of {max}")]
    TooLarge {
        /// Their number.
        len: usize,
        /// The limit.
        max: usize,
    },
}
