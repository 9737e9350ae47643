//! The text: a novel in the public domain; `agent/data/README.md` says which and from where.

static BOOK: &str = include_str!("../../data/moby-dick.txt");

/// Its length.
pub(super) const LENGTH: usize = BOOK.len();

/// Its whole words from the beginning up to `end` bytes, at least one.
#[must_use]
pub fn beginning(end: usize) -> &'static str {
    between(0, end)
}

/// Its whole words after the first `start` bytes and up to `end` bytes, at least one while there is
/// any. `start` is the length of a [`beginning`].
#[must_use]
pub(super) fn between(start: usize, end: usize) -> &'static str {
    let rest = BOOK.get(start..).unwrap_or_default().trim_start();
    let skipped = LENGTH - rest.len();
    let end = rest.floor_char_boundary(end.saturating_sub(skipped));
    let is_whole = rest[end..].chars().next().is_none_or(char::is_whitespace);
    let cut = if is_whole { Some(end) } else { rest[..end].rfind(char::is_whitespace) };
    let words = rest[..cut.unwrap_or(0)].trim_end();
    if words.is_empty() { rest.split_whitespace().next().unwrap_or_default() } else { words }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_text_never_changes() {
        assert_eq!(
            hex::encode(Sha256::digest(BOOK)),
            "5fec2ac4234a0f4ade2e40085bb4a993da70a4843165c6e9b95287ceae10588d"
        );
        assert!(LENGTH >= 1_000_000 && !BOOK.contains('\r'));
    }

    #[test]
    fn it_is_cut_between_words() {
        assert_eq!(beginning(0), "CHAPTER");
        assert_eq!(beginning(9), "CHAPTER");
        assert_eq!(beginning(10), "CHAPTER 1.");
        assert_eq!(beginning(11), "CHAPTER 1.");
        // In the middle of a dash of three bytes.
        let dash = BOOK.find('\u{2014}').unwrap();
        assert!(BOOK.starts_with(beginning(dash + 1)));
        assert_eq!(beginning(usize::MAX), BOOK.trim_end());
        assert_eq!(between(10, 21), "Loomings.");
        assert_eq!(between(10, 11), "Loomings.");
        assert_eq!(between(LENGTH, usize::MAX), "");
    }
}
