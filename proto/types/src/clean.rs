//! Makes text from outside harmless: engines, peers and users' files may say anything.

use unicode_segmentation::UnicodeSegmentation;

/// Whether `c` could steer a terminal or reorder a line: C0, DEL, C1, bidi and zero-width
/// controls, line and paragraph separators, interlinear and tag characters.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}')
}

/// One line of visible text: white space and controls become single spaces, the ends are trimmed.
#[must_use]
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let blank = c.is_whitespace() || is_hostile(c);
        if !blank {
            out.push(c);
        } else if !out.ends_with(' ') && !out.is_empty() {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// [`line()`], cut to at most `max` grapheme clusters, with `…` for what was cut.
#[must_use]
pub fn excerpt(text: &str, max: usize) -> String {
    // A bound on the work before the graphemes are counted: one cluster may be many bytes.
    let head: String = text.chars().take(max.saturating_mul(16)).collect();
    let line = line(&head);
    let cut: String = line.graphemes(true).take(max).collect();
    if cut.len() < line.len() || head.len() < text.len() {
        let mut cut = cut;
        cut.push('…');
        cut
    } else {
        cut
    }
}

/// Text of several lines without controls but newline and tab; `\r\n` becomes `\n`.
#[must_use]
pub fn block(text: &str) -> String {
    text.chars().filter(|&c| c == '\n' || c == '\t' || !is_hostile(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_lose_their_escape() {
        assert_eq!(line("\u{1b}[31mred\u{1b}[0m\r\n two\u{202e}x"), "[31mred [0m two x");
        assert_eq!(block("a\u{1b}b\r\n\tc\u{9b}d"), "ab\n\tcd");
    }

    #[test]
    fn excerpts_cut_between_graphemes() {
        assert_eq!(excerpt("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}e\u{301}…");
        assert_eq!(excerpt("short", 10), "short");
    }
}
