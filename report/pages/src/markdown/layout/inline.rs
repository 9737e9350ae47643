//! Text from outside, made inert: engines, hosts and suite files may say anything.
//!
//! What is written here shows as the same text in any renderer of GitHub's Markdown and never
//! becomes markup, a link, an image, HTML, another table cell or another line.

use std::fmt;

use regatta_types::clean;

/// Longest text of a table cell, in grapheme clusters.
const CELL_MAX: usize = 160;

/// A piece of one line of Markdown: either escaped or written by this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inline(String);

impl Inline {
    /// Text from outside: one line, at most 160 grapheme clusters, inert.
    pub(crate) fn text(untrusted: impl fmt::Display) -> Self {
        Self::sentence(&clean::excerpt(&untrusted.to_string(), CELL_MAX))
    }

    /// Plain text of ours that holds names from outside: one line of any length, inert.
    pub(crate) fn sentence(plain: &str) -> Self {
        let line = clean::line(plain);
        let mut out = String::with_capacity(line.len());
        for word in line.split(' ') {
            if !out.is_empty() {
                out.push(' ');
            }
            // Bare addresses become links in GitHub's dialect, even with their characters
            // escaped, but never in code.
            if looks_like_link(word) {
                out.push_str(&word.split('|').map(code_span).collect::<Vec<_>>().join("&#124;"));
            } else {
                let begins_line = out.is_empty();
                escape(word, begins_line, &mut out);
            }
        }
        Self(out)
    }

    /// Markdown of our own: literals and numbers, or [`Inline`]s put together.
    pub(crate) fn own(markdown: impl Into<String>) -> Self {
        Self(markdown.into())
    }

    /// Pieces one after the other.
    pub(crate) fn join(pieces: impl IntoIterator<Item = Self>, separator: &str) -> Self {
        let pieces: Vec<String> = pieces.into_iter().map(|piece| piece.0).collect();
        Self(pieces.join(separator))
    }

    pub(crate) fn bold(self) -> Self {
        Self(format!("**{}**", self.0))
    }

    pub(crate) fn bold_if(self, bold: bool) -> Self {
        if bold { self.bold() } else { self }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&'static str> for Inline {
    fn from(literal: &'static str) -> Self {
        Self::own(literal)
    }
}

fn looks_like_link(word: &str) -> bool {
    let lower = word.to_lowercase();
    ["://", "www.", "@", "mailto:", "xmpp:"].iter().any(|mark| lower.contains(mark))
}

/// Markup characters as entities, which never act as markup. An underscore between letters is
/// none, nor is a dash or a number but at the beginning of a line.
fn escape(word: &str, begins_line: bool, out: &mut String) {
    let is_word_char = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let only_hashes = word.chars().all(|c| c == '#');
    let numbers = begins_line
        && word.strip_suffix(['.', ')']).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let mut before = None;
    for (index, c) in word.char_indices() {
        let rest = &word[index + c.len_utf8()..];
        let is_first = begins_line && index == 0;
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' | '{' => out.push_str(&entity(c)),
            '_' if !(is_word_char(before) && is_word_char(rest.chars().next())) => {
                out.push_str(&entity(c));
            }
            '#' if is_first || only_hashes => out.push_str(&entity(c)),
            '-' | '+' | '=' if is_first => out.push_str(&entity(c)),
            '.' | ')' if numbers => out.push_str(&entity(c)),
            _ => out.push(c),
        }
        before = Some(c);
    }
}

fn entity(c: char) -> String {
    format!("&#{};", u32::from(c))
}

/// A code span with a fence longer than any run of backticks inside; no pipe may be inside.
fn code_span(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    let padded = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let pad = if padded { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text of several lines in a fence that nothing inside can close.
pub(crate) fn fenced(untrusted: &str) -> String {
    let block = clean::block(untrusted);
    let fence = "`".repeat(longest_run(&block).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", block.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in
            ["Qwen/Qwen3-Coder-Next-FP8", "gpu-01", "llama.cpp b6123", "a_b (c), 50 %", "0.15.1"]
        {
            assert_eq!(Inline::text(name).as_str(), name);
        }
    }

    #[test]
    fn markup_becomes_entities() {
        assert_eq!(Inline::text("a|b\n<i>`x`").as_str(), "a&#124;b &lt;i&gt;&#96;x&#96;");
        assert_eq!(Inline::text("1. one 2. two").as_str(), "1&#46; one 2. two");
        assert_eq!(Inline::text("- a - b").as_str(), "&#45; a - b");
        assert_eq!(Inline::text("_x_ a_b").as_str(), "&#95;x&#95; a_b");
        assert_eq!(Inline::text("# host #4 ##").as_str(), "&#35; host #4 &#35;&#35;");
    }

    #[test]
    fn addresses_become_code_so_that_nothing_links_them() {
        assert_eq!(
            Inline::text("see http://x/?a|b` <").as_str(),
            "see `http://x/?a`&#124;`` b` `` &lt;"
        );
        assert_eq!(Inline::text("mail a@b.example").as_str(), "mail `a@b.example`");
    }

    #[test]
    fn a_fence_is_longer_than_any_run_inside() {
        assert_eq!(fenced("a\n````\nb\n"), "`````text\na\n````\nb\n`````\n");
        assert_eq!(fenced("plain"), "```text\nplain\n```\n");
    }
}
