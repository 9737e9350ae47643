use proptest::prelude::*;

use super::*;

const PLAIN: &str =
    r#"{"id":"1","choices":[{"index":0,"delta":{"content":"a b"},"finish_reason":null}]}"#;
const COUNTED: &str = r#"{"choices":[{"delta":{"content":"a","n1":7},"token_ids":[12,3]}],"usage":{"prompt_tokens":37,"total_tokens":38,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens_details":{"cached_tokens":16}},"created":5}"#;

fn parse(text: &str) -> Option<Event<'_>> {
    serde_json::from_slice(text.as_bytes()).ok()
}

fn template(text: &str) -> Template {
    let mut template = Template::default();
    template.learn(text.as_bytes(), &parse(text).unwrap());
    template
}

fn read<'a>(template: &Template, text: &'a str) -> Option<Plain<'a>> {
    template.read(text.as_bytes())
}

#[test]
fn another_text_is_read() {
    let template = template(PLAIN);
    let other = PLAIN.replace("a b", "\u{e9}t\u{e9}");
    let plain = Plain { kind: ChunkKind::Answer, text: "\u{e9}t\u{e9}", ids: None, usage: None };
    assert_eq!(read(&template, &other), Some(plain));
}

#[test]
fn ids_and_counts_are_read() {
    let template = template(COUNTED);
    let other = COUNTED
        .replace("[12,3]", "[4]")
        .replace(r#""completion_tokens":1"#, r#""completion_tokens":256"#)
        .replace(r#""reasoning_tokens":0"#, r#""reasoning_tokens":41"#);
    let usage = Usage { prompt: 37, completion: 256, cached: Some(16), reasoning: Some(41) };
    let plain = Plain { kind: ChunkKind::Answer, text: "a", ids: Some(1), usage: Some(usage) };
    assert_eq!(read(&template, &other), Some(plain));
    assert_eq!(Plain::of(&parse(&other).unwrap()), Some(plain));
}

#[test]
fn what_differs_elsewhere_or_is_not_plain_is_left_to_the_parser() {
    let template = template(COUNTED);
    assert!(read(&template, COUNTED).is_some());
    for (from, to) in [
        ("\"a\"", "\"\""),
        ("\"a\"", "\"a\\n\""),
        ("\"a\"", "\"a\n\""),
        ("\"a\"", "null"),
        ("\"a\"", "\"a"),
        ("[12,3]", "null"),
        ("[12,3]", "[12, 3]"),
        ("[12,3]", "[-1]"),
        ("[12,3]", "[1,]"),
        ("[12,3]", "[01]"),
        ("37", "037"),
        ("37", "-37"),
        ("37", "37.5"),
        ("37", "37e1"),
        ("37", "3700000000000000000000"),
        ("n1", "n2"),
        ("\"created\":5", "\"created\":6"),
    ] {
        assert_eq!(read(&template, &COUNTED.replace(from, to)), None, "{to} for {from}");
    }
    assert_eq!(template.read(COUNTED.replace('a', "\u{e9}").as_bytes().split_at(30).0), None);
    let mut cut = COUNTED.replace("\"a\"", "\"\u{e9}\"").into_bytes();
    cut.retain(|byte| *byte != 0xa9);
    assert_eq!(template.read(&cut), None, "not UTF-8");
}

#[test]
fn events_with_more_than_one_text_are_not_learned() {
    for text in [
        r#"{"choices":[]}"#,
        r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#,
        r#"{"choices":[{"delta":{"content":"a","reasoning":"b"}}]}"#,
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":"a\n"}}]}"#,
        r#"{"choices":[{"delta":{"content":"a"}}],"timings":{"prompt_ms":1.0}}"#,
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#,
    ] {
        assert_eq!(read(&template(text), text), None, "{text}");
    }
}

#[test]
fn what_was_learned_last_counts() {
    let mut template = template(PLAIN);
    template.learn(b"{}", &parse("{}").unwrap());
    assert_eq!(read(&template, PLAIN), None);
    template.learn(COUNTED.as_bytes(), &parse(COUNTED).unwrap());
    assert!(read(&template, COUNTED).is_some());
}

/// Pieces that make events which are nearly alike, valid or not.
fn event() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec!["", "a", "bc", "\u{1f600}", "\\n", "\\\"", "\"", "\u{1}"]);
    let ids = prop::sample::select(vec!["null", "[]", "[1]", "[1,22]", "[ 1]", "[1.5]", "[1"]);
    let number = prop::sample::select(vec![
        "0",
        "7",
        "42",
        "00",
        "-1",
        "1e3",
        "null",
        "18446744073709551616",
    ]);
    let more =
        prop::sample::select(vec!["", ",\"created\":1", ",\"created\":2", ",\"error\":null"]);
    let field = prop::sample::select(vec!["content", "reasoning", "reasoning_content", "other"]);
    (field, text, ids, number.clone(), number, more).prop_map(|(field, text, ids, p, c, more)| {
        format!(
            r#"{{"choices":[{{"delta":{{"{field}":"{text}"}},"token_ids":{ids}}}],"usage":{{"prompt_tokens":{p},"completion_tokens":{c}}}{more}}}"#
        )
    })
}

proptest! {
    #[test]
    fn a_template_reads_what_a_parser_reads(one in event(), other in event(), cut in 0_usize..200) {
        let Some(parsed) = parse(&one) else { return Ok(()) };
        let mut template = Template::default();
        template.learn(one.as_bytes(), &parsed);
        let shorter = &other[..other.floor_char_boundary(other.len().saturating_sub(cut))];
        for text in [other.as_str(), shorter, one.as_str()] {
            if let Some(plain) = read(&template, text) {
                let parsed = parse(text);
                prop_assert_eq!(parsed.as_ref().and_then(Plain::of), Some(plain), "{}", text);
            }
        }
    }
}
