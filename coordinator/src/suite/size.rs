//! Sizes: `3GB`, `2.8 GiB`, `700MB`.

use std::ops::RangeInclusive;

use bytesize::ByteSize;
use regatta_types::clean;
use regatta_types::units::Bytes;

/// Range of the weights read per token.
pub const RANGE: RangeInclusive<u64> = 1_000_000..=10_000_000_000_000;

/// Not a valid size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size from 1MB to 10TB, e.g. \"3GB\" (10^9 bytes) or \"2.8GiB\"")]
pub struct SizeError {
    /// The text, cleaned and truncated to 80 characters.
    pub text: String,
}

/// Parses a size from 1 MB to 10 TB. Usable as a clap value parser.
///
/// # Errors
/// If `text` is not a size or is out of range.
pub fn parse(text: &str) -> Result<Bytes, SizeError> {
    let size = text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64());
    size.filter(|size| RANGE.contains(size))
        .map(Bytes)
        .ok_or_else(|| SizeError { text: clean::excerpt(text, 80) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_notations_are_accepted() {
        for (text, bytes) in [
            ("3GB", 3_000_000_000),
            ("3 GB", 3_000_000_000),
            ("2.8GiB", 3_006_477_107),
            ("700MB", 700_000_000),
            ("1.5T", 1_500_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn invalid_sizes_are_errors() {
        for text in ["", "3", "GB", "-3GB", "3 tokens", "1kB", "11TB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
