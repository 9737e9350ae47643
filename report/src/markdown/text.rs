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
    pub(crate) fn text(untrusted: &str) -> Self {
        let line = clean::excerpt(untrusted, CELL_MAX);
        // Bare addresses become links in GitHub's dialect, even with their characters escaped,
        // but never in code.
        if looks_like_link(&line) {
            let pieces = line.split('|').map(code_span).collect::<Vec<_>>();
            return Self(pieces.join("&#124;"));
        }
        Self(escape(&line))
    }

    /// Markdown of our own: literals and numbers, or [`Inline`]s put together.
    pub(crate) fn own(markdown: impl Into<String>) -> Self {
        Self(markdown.into())
    }

    pub(crate) fn bold(self) -> Self {
        Self(format!("**{}**", self.0))
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

fn looks_like_link(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["://", "www.", "@", "mailto:", "xmpp:"].iter().any(|mark| lower.contains(mark))
}

/// Markup characters as entities, which never act as markup; an underscore within a word is none.
fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut before: Option<char> = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let is_first = before.is_none();
        let in_word = before.is_some_and(char::is_alphanumeric)
            && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' | '{' | '}' | '!' | '#' => {
                out.push_str(&entity(c));
            }
            '_' if !in_word => out.push_str(&entity(c)),
            '-' | '+' | '=' if is_first => out.push_str(&entity(c)),
            '.' | ')' if starts_a_list(&out, rest.peek()) => out.push_str(&entity(c)),
            _ => out.push(c),
        }
        before = Some(c);
    }
    out
}

/// Whether a dot between these would begin a numbered list.
fn starts_a_list(before: &str, next: Option<&char>) -> bool {
    next.is_none_or(|c| c.is_whitespace())
        && !before.is_empty()
        && before.len() <= 9
        && before.bytes().all(|b| b.is_ascii_digit())
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
        assert_eq!(Inline::text("1. one").as_str(), "1&#46; one");
        assert_eq!(Inline::text("_x_ a_b").as_str(), "&#95;x&#95; a_b");
    }

    #[test]
    fn addresses_stand_in_code_where_nothing_links_them() {
        assert_eq!(Inline::text("see http://x/?a|b`").as_str(), "`see http://x/?a`&#124;`` b` ``");
    }

    #[test]
    fn a_fence_is_longer_than_any_run_inside() {
        assert_eq!(fenced("a\n````\nb\n"), "`````text\na\n````\nb\n`````\n");
        assert_eq!(fenced("plain"), "```text\nplain\n```\n");
    }
}
