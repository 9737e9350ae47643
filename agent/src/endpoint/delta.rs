//! What an event adds to an answer, in whichever field an engine or a proxy streams it.
//!
//! A field that is missing here would make the first token late and the decode speed too high: its
//! tokens are in the usage, but their arrival is not.

use std::borrow::Cow;
use std::fmt;

use regatta_types::trace::ChunkKind;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The texts of an event without any.
pub(super) const NO_TEXT: [(ChunkKind, &str); 3] =
    [(ChunkKind::Reasoning, ""), (ChunkKind::Answer, ""), (ChunkKind::ToolCall, "")];

/// What an event adds to an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Generated<'a>>,
    #[serde(borrow)]
    reasoning: Option<Generated<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Generated<'a>>,
    #[serde(borrow)]
    reasoning_text: Option<Generated<'a>>,
    #[serde(borrow)]
    reasoning_details: Option<Generated<'a>>,
    #[serde(borrow)]
    thinking: Option<Generated<'a>>,
    #[serde(borrow)]
    thinking_blocks: Option<Generated<'a>>,
    #[serde(borrow)]
    refusal: Option<Generated<'a>>,
    #[serde(borrow)]
    audio: Option<Generated<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Generated<'a>>,
    #[serde(borrow)]
    function_call: Option<Generated<'a>>,
}

impl Delta<'_> {
    /// New text of each kind; empty if there is none.
    pub(super) fn texts(&self) -> [(ChunkKind, &str); 3] {
        let is_thought = self.content.as_ref().is_some_and(|content| content.is_thought);
        let (thought, content) =
            if is_thought { (&self.content, &None) } else { (&None, &self.content) };
        let reasoning = [
            &self.reasoning,
            &self.reasoning_content,
            &self.reasoning_text,
            &self.reasoning_details,
            &self.thinking,
            &self.thinking_blocks,
            thought,
        ];
        [
            (ChunkKind::Reasoning, first(&reasoning)),
            (ChunkKind::Answer, first(&[content, &self.refusal, &self.audio])),
            (ChunkKind::ToolCall, first(&[&self.tool_calls, &self.function_call])),
        ]
    }
}

/// The first of several fields that has text: some engines send the same text under two names.
fn first<'a>(fields: &[&'a Option<Generated<'_>>]) -> &'a str {
    let mut texts = fields.iter().filter_map(|field| Some(&*field.as_ref()?.text));
    texts.find(|text| !text.is_empty()).unwrap_or("")
}

/// A string, borrowed unless it has escapes. (serde borrows a bare `Cow` only, not one in an
/// `Option`.)
#[derive(Debug)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Generated text: a string, or the strings in a list of parts, tool calls or reasoning details.
/// Borrowed if it is one string without escapes.
#[derive(Debug, Default)]
struct Generated<'a> {
    text: Cow<'a, str>,
    /// Some of it is in a part for reasoning.
    is_thought: bool,
}

impl<'a> Generated<'a> {
    fn add(&mut self, other: Self) {
        self.is_thought |= other.is_thought;
        if self.text.is_empty() {
            self.text = other.text;
        } else if !other.text.is_empty() {
            self.text.to_mut().push_str(&other.text);
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Generated<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GeneratedVisitor)
    }
}

struct GeneratedVisitor;

impl<'de> Visitor<'de> for GeneratedVisitor {
    type Value = Generated<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("generated text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Generated<'de>, E> {
        Ok(Generated { text: Cow::Borrowed(text), is_thought: false })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Generated<'de>, E> {
        Ok(Generated { text: Cow::Owned(text.to_owned()), is_thought: false })
    }

    fn visit_unit<E: de::Error>(self) -> Result<Generated<'de>, E> {
        Ok(Generated::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Generated<'de>, E> {
        Ok(Generated::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Generated<'de>, E> {
        Ok(Generated::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Generated<'de>, E> {
        Ok(Generated::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Generated<'de>, E> {
        Ok(Generated::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Generated<'de>, A::Error> {
        let mut all = Generated::default();
        while let Some(part) = seq.next_element()? {
            all.add(part);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Generated<'de>, A::Error> {
        let mut all = Generated::default();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "thinking" | "reasoning" => {
                    let part: Generated<'de> = map.next_value()?;
                    let is_thought = !part.text.is_empty();
                    all.add(Generated { is_thought, ..part });
                }
                "text" | "summary" | "content" | "refusal" | "transcript" | "function"
                | "custom" | "name" | "arguments" | "input" => all.add(map.next_value()?),
                // Ids, types, signatures, and sound as base64.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(delta: &str) -> [String; 3] {
        let delta: Delta<'_> = serde_json::from_str(delta).unwrap();
        delta.texts().map(|(_, text)| text.to_owned())
    }

    /// 50 tokens of reasoning in a field of another name made the first token 1 s late and the
    /// decode speed twice as high.
    #[test]
    fn reasoning_is_read_from_every_field_that_has_it() {
        for delta in [
            r#"{"reasoning":"why"}"#,
            r#"{"reasoning":"why","reasoning_content":"why"}"#,
            r#"{"reasoning_content":"why","content":null}"#,
            r#"{"reasoning_text":"why","content":""}"#,
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"why","signature":"x"}]}"#,
            r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"why","index":0}]}"#,
            r#"{"reasoning":"why","reasoning_details":[{"text":"why"}]}"#,
            r#"{"thinking":"why"}"#,
            r#"{"thinking":{"thinking":"why"}}"#,
            r#"{"thinking_blocks":[{"type":"thinking","thinking":"why","signature":null}]}"#,
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"why"}]}]}"#,
        ] {
            assert_eq!(texts(delta), ["why", "", ""], "{delta}");
        }
    }

    #[test]
    fn answers_and_tool_calls_are_read_from_every_field_that_has_them() {
        for (delta, expected) in [
            (r#"{"content":"yes"}"#, ["", "yes", ""]),
            (r#"{"content":[{"type":"text","text":"y"},{"text":"es"}]}"#, ["", "yes", ""]),
            (r#"{"refusal":"no","content":null}"#, ["", "no", ""]),
            (r#"{"audio":{"id":"a","data":"UklGRg==","transcript":"yes"}}"#, ["", "yes", ""]),
            (
                r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
                ["", "", "f{}"],
            ),
            (r#"{"function_call":{"arguments":"{}"}}"#, ["", "", "{}"]),
            (r#"{"reasoning":"a","content":"b","tool_calls":[]}"#, ["a", "b", ""]),
            (r#"{"role":"assistant","content":null,"tool_calls":null}"#, ["", "", ""]),
            (r#"{"content":7,"refusal":false,"audio":1.5,"thinking":-1}"#, ["", "", ""]),
        ] {
            assert_eq!(texts(delta), expected, "{delta}");
        }
    }

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_not() {
        let of = |json| serde_json::from_str::<Generated<'_>>(json).unwrap().text;
        assert!(matches!(of(r#""a""#), Cow::Borrowed("a")));
        assert!(matches!(of(r#"[{"text":"a"}]"#), Cow::Borrowed("a")));
        assert!(matches!(of(r#""a\n""#), Cow::Owned(text) if text == "a\n"));
    }
}
