//! Text from engines, hosts and suite files stays text, regardless of its content.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use regatta_types::attempt::AttemptOutcome;

use super::pictures::check;
use super::*;

pub(crate) const CORPUS: [&str; 30] = [
    "</text><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b || c",
    "a \\| b \\\\| c \\",
    "`code` ``two`` ```three```",
    "```\n# out of the fence\n```",
    "~~~~\nfence\n~~~~",
    "line one\nline two\r\nline three\rfour",
    "[link](http://evil.example)",
    "![image](https://evil.example/x.png)",
    "http://evil.example/a|b?c=`d`",
    "www.evil.example and someone@evil.example",
    "<http://evil.example>",
    "[ref]: http://evil.example \"x\"",
    "**bold** __bold__ *i* _i_ ~~gone~~",
    "# heading #",
    "- item",
    "1. item",
    "> quote",
    "--- ",
    "===",
    "&lt;script&gt; &amp; &#60;b&#62;",
    "\u{1b}[31mred\u{1b}[0m \u{9b}2J \u{7}",
    "\u{202e}reversed\u{202c} \u{200b}zero\u{feff}",
    "日本語 🦀 e\u{301} \u{1F468}\u{200D}\u{1F469}",
    "$x^2$ $$y$$ {{ site.secret }} {% raw %}",
    "<!-- comment --> <?php ?> <![CDATA[x]]> <image href='x'/>",
    "|",
    "",
    "`",
];

/// A run in which every text from outside is `text`.
pub(crate) fn poisoned(text: &str) -> WholeRun {
    let mut record = three_hosts();
    record.header.suite.description = text.to_owned();
    record.header.command = format!("regatta run '{text}'");
    record.header.coordinator_version = text.to_owned();
    record.header.keep_text = true;
    record.header.suite.cases.iter_mut().for_each(|case| case.title = text.to_owned());
    for host in &mut record.hosts {
        let facts = host.facts.as_mut().unwrap();
        facts.hostname = text.to_owned();
        facts.kernel = Reading::Known(format!("{text}{}", host.host));
        facts.distribution = Reading::missing(text);
        facts.agent_version = text.to_owned();
        host.refused = Some(text.to_owned());
        let engine = known(&mut host.engine);
        engine.model = text.to_owned();
        engine.version = Reading::Known(text.to_owned());
        engine.engine = Reading::missing(text);
        let inventory = known(&mut host.gpus);
        inventory.driver = Reading::Known(text.to_owned());
        inventory.gpus[0].name = Reading::Known(text.to_owned());
    }
    for (attempt, index) in record.attempts.iter_mut().zip(0_u32..) {
        poison_attempt(attempt, index, text);
    }
    record.events.push(RunEvent {
        seq: 0,
        at: UnixNs(0),
        elapsed: Duration::ZERO,
        kind: EventKind::Warning { text: text.to_owned() },
    });
    let lost = MissingReason::AgentLost { progress: text.to_owned() };
    lose(&mut record, &lost, |cell| cell.host.as_str() == "gpu-01" && cell.repetition.0 == 5);
    record
}

fn poison_attempt(attempt: &mut AttemptRecord, index: u32, text: &str) {
    series(attempt)[0].unavailable.insert(text.to_owned(), text.to_owned());
    let report = &mut attempt.report;
    report.findings.push(Finding {
        code: text.into(),
        validity: Validity::Degraded,
        evidence: text.to_owned(),
        advice: text.to_owned(),
    });
    for trace in &mut report.traces {
        trace.answer.text = Some(text.to_owned());
        trace.finish_reason = Some(FinishReason::Other(text.to_owned()));
    }
    if index % 7 == 3 {
        let mut failure = Failure::new(FailureKind::BadStream, text);
        failure.message = text.to_owned();
        report.traces[0].outcome = Outcome::Failed(failure);
    }
    if index % 7 == 5 {
        attempt.disposition = Disposition::Partial;
        report.outcome = AttemptOutcome::Failed(text.to_owned());
    }
}

/// Structure of a page that hostile text could change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Structure {
    links: BTreeSet<String>,
    headings: Vec<String>,
    /// Rows with a different number of cells than their header.
    ragged_rows: usize,
    rows: usize,
    rules: usize,
    fences: usize,
}

fn structure(markdown: &str) -> Structure {
    let mut out = Structure::default();
    let (mut columns, mut cells, mut heading) = (0, 0, None::<String>);
    let mut in_fence = false;
    for event in Parser::new_ext(markdown, Options::all()) {
        match event.clone() {
            Event::Html(html) | Event::InlineHtml(html) => panic!("markup: {html}"),
            // Images count as links: only those of a clean run are allowed.
            Event::Start(Tag::Image { dest_url, .. } | Tag::Link { dest_url, .. }) => {
                out.links.insert(dest_url.to_string());
            }
            Event::Start(Tag::Table(align)) => columns = align.len(),
            Event::Start(Tag::TableRow | Tag::TableHead) => cells = 0,
            Event::Start(Tag::TableCell) => cells += 1,
            Event::End(TagEnd::TableRow) => {
                out.rows += 1;
                out.ragged_rows += usize::from(cells != columns);
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => out.headings.extend(heading.take()),
            Event::Rule => out.rules += 1,
            Event::Start(Tag::CodeBlock(kind)) => {
                assert!(matches!(kind, CodeBlockKind::Fenced(info) if &*info == "text"));
                out.fences += 1;
                in_fence = true;
            }
            Event::End(TagEnd::CodeBlock) => in_fence = false,
            Event::Start(Tag::Strikethrough | Tag::BlockQuote(Some(_))) => panic!("markup"),
            Event::Text(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
                let lower = text.to_lowercase();
                let links = ["://", "www.", "@"].iter().any(|mark| lower.contains(mark));
                assert!(in_fence || !links, "a bare address: {text}");
            }
            Event::Code(_) | Event::SoftBreak | Event::Start(_) | Event::End(_) => {}
            Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::HardBreak
            | Event::TaskListMarker(_) => panic!("markup: {event:?}"),
        }
    }
    out
}

/// The files of a report with this ending, by path.
fn ending<'a>(
    files: &'a BTreeMap<String, Vec<u8>>,
    end: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let files = files.iter().filter(move |(path, _)| path.ends_with(end));
    files.map(|(path, bytes)| (path.as_str(), std::str::from_utf8(bytes).unwrap()))
}

#[test]
fn hostile_text_changes_no_structure_and_survives_in_json_byte_for_byte() {
    let plain = files(&poisoned("plain"));
    let plain: Vec<Structure> = ending(&plain, ".md").map(|(_, page)| structure(page)).collect();
    assert!(plain.iter().all(|s| s.ragged_rows == 0 && s.rules == 0 && s.rows > 20));
    for text in CORPUS {
        let files = files(&poisoned(text));
        let json: serde_json::Value = serde_json::from_slice(&files["run.json"]).unwrap();
        assert_eq!(json["hosts"][0]["facts"]["hostname"], text);
        ending(&files, ".svg").for_each(|(_, picture)| check(picture));
        for ((path, page), wanted) in ending(&files, ".md").zip(&plain) {
            assert_eq!(structure(page), *wanted, "{text:?} in {path}");
            let hostile = page
                .chars()
                .find(|&c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c));
            assert_eq!(hostile, None, "{text:?} in {path}");
        }
    }
}

#[test]
fn escaped_text_renders_as_the_original() {
    for text in CORPUS {
        let escaped = crate::markdown::layout::Inline::text(text);
        let mut read = String::new();
        let options = Options::all() - Options::ENABLE_SMART_PUNCTUATION;
        for event in Parser::new_ext(escaped.as_str(), options) {
            let is_plain =
                matches!(event, Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph));
            if let Event::Text(text) | Event::Code(text) = event {
                read.push_str(&text);
            } else {
                assert!(is_plain, "{text:?} became {event:?}");
            }
        }
        assert_eq!(read, regatta_types::clean::line(text), "{escaped}");
    }
}
