//! Reasoning that an engine without a reasoning parser left in the text of an answer.

use regatta_types::trace::{Chunk, ChunkKind};

/// How reasoning begins and ends in the formats of models, the end without what may vary in it.
const FORMATS: [(&str, &str); 6] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
];

/// Characters of the text before the answer proper; `None` without reasoning in it. A text that
/// begins with reasoning and does not end it is reasoning as a whole. The chat template may have put
/// the opening tag into the prompt; a pair of tags within the text is talk about tags.
fn reasoning_chars(text: &str) -> Option<usize> {
    FORMATS.iter().find_map(|(open, close)| {
        let opened = text.find(open);
        let begins = text.trim_start().starts_with(open);
        let end = match text.find(close) {
            Some(at) if begins || opened.is_none_or(|opened| at < opened) => at + close.len(),
            None if begins => text.len(),
            Some(_) | None => return None,
        };
        let blank = text[end..].len() - text[end..].trim_start().len();
        Some(text[..end + blank].chars().count())
    })
}

/// Marks the chunks of reasoning in the text of an answer as such, and says whether there were any.
/// A chunk with the end of the reasoning and the begin of the answer belongs to the answer.
pub(super) fn mark_reasoning(chunks: &mut [Chunk], text: &str) -> bool {
    let Some(length) = reasoning_chars(text) else { return false };
    let mut at = 0;
    for chunk in chunks.iter_mut().filter(|chunk| chunk.kind == ChunkKind::Answer) {
        at += usize::try_from(chunk.chars).unwrap_or(usize::MAX);
        if at > length {
            break;
        }
        chunk.kind = ChunkKind::Reasoning;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time to the first answer token was that of the reasoning.
    #[test]
    fn the_answer_begins_after_the_tag_that_ends_the_reasoning() {
        for (text, expected) in [
            ("<think>\nWhy?</think>\n\nSo.", Some("So.")),
            ("Why?\n</think>\n\nSo.", Some("So.")),
            ("[THINK]Why?[/THINK]So.", Some("So.")),
            ("<think>Why", Some("")),
            (
                "<|channel|>analysis<|message|>Why?<|end|><|start|>assistant\
                 <|channel|>final<|message|>So.",
                Some("So."),
            ),
            ("So.", None),
            ("", None),
            ("Write <think>why</think> first.", None),
        ] {
            let answer = reasoning_chars(text).map(|n| text.chars().skip(n).collect::<String>());
            assert_eq!(answer.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn chunks_before_the_answer_are_reasoning() {
        let kinds = |texts: &[&str]| {
            let chunk = |text: &&str| Chunk {
                at: regatta_types::time::MonoNs(1),
                late_us: None,
                kind: ChunkKind::Answer,
                chars: u32::try_from(text.chars().count()).unwrap(),
                tokens: None,
            };
            let mut chunks: Vec<Chunk> = texts.iter().map(chunk).collect();
            let inline = mark_reasoning(&mut chunks, &texts.concat());
            (inline, chunks.iter().filter(|c| c.kind == ChunkKind::Reasoning).count())
        };
        assert_eq!(kinds(&["Wh", "y?", "</think>\n", "\n", " So", "."]), (true, 4));
        assert_eq!(kinds(&["Why?", "</think> So", "."]), (true, 1));
        assert_eq!(kinds(&["<think>", "Why"]), (true, 2));
        assert_eq!(kinds(&["So", "."]), (false, 0));
    }
}
