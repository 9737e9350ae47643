//! Names that are known, found as whole words in any text, in capitals or not.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;

/// Names with their substitutes.
#[derive(Debug, Default)]
pub(super) struct Known {
    substitutes: BTreeMap<String, String>,
    /// Finds the names; `None` before the last one is there.
    finder: Option<AhoCorasick>,
}

impl Known {
    /// Takes a name up; the first substitute of a name stays.
    pub(super) fn add(&mut self, name: &str, substitute: &str) {
        if !name.is_empty() {
            let entry = self.substitutes.entry(name.to_ascii_lowercase());
            entry.or_insert_with(|| substitute.to_owned());
        }
    }

    /// After the last name.
    pub(super) fn finish(&mut self) {
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(self.substitutes.keys())
            .expect("a run has fewer names than the finder can number");
        self.finder = Some(finder);
    }

    /// The substitute of a whole name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.substitutes.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// Appends `text` with the names in it replaced; of overlapping ones the first, then the
    /// longest.
    pub(super) fn replace(&self, text: &str, out: &mut String) {
        let Some(finder) = &self.finder else {
            out.push_str(text);
            return;
        };
        let is_apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        let mut found: Vec<_> = finder
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
