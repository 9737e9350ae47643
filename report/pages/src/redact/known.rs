//! Names that are known, found as whole words in any text, in capitals or not.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;

/// Names with their substitutes.
#[derive(Debug)]
pub(super) struct Known {
    substitutes: BTreeMap<String, String>,
    finder: AhoCorasick,
}

impl Known {
    /// Each name with its substitute, of which the first stays.
    pub(super) fn new(names: Vec<(String, String)>) -> Self {
        let mut substitutes = BTreeMap::new();
        for (name, substitute) in names.into_iter().filter(|(name, _)| !name.is_empty()) {
            substitutes.entry(name.to_ascii_lowercase()).or_insert(substitute);
        }
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(substitutes.keys())
            .expect("a run has fewer names than the finder can number");
        Self { substitutes, finder }
    }

    /// The substitute of a whole name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.substitutes.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// Appends `text` with the names in it replaced; of overlapping ones the first, then the
    /// longest.
    pub(super) fn replace(&self, text: &str, out: &mut String) {
        let is_apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        let mut found: Vec<_> = self
            .finder
            .find_overlapping_iter(text)
            .filter(|at| {
                is_apart(text[..at.start()].chars().next_back())
                    && is_apart(text[at.end()..].chars().next())
            })
            .collect();
        found.sort_by_key(|at| (at.start(), Reverse(at.end())));
        let mut from = 0;
        for at in found {
            if at.start() < from {
                continue;
            }
            out.push_str(&text[from..at.start()]);
            out.push_str(self.get(&text[at.range()]).unwrap_or_default());
            from = at.end();
        }
        out.push_str(&text[from..]);
    }
}
