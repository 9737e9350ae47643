//! The report as one HTML file: its content, what it never contains, and its size limit.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use sha2::{Digest as _, Sha256};

use super::hostile::{CORPUS, poisoned};
use super::*;
use crate::html::PAGES_MAX;

/// Tags of the file outside pictures, with the attributes each may have.
const TAGS: [(&str, &str); 8] = [
    ("html", "lang"),
    ("meta", "charset http-equiv name content"),
    ("main section h2", "id"),
    ("p code div th td", "class"),
    ("a", "href"),
    ("svg", "role width height viewBox xmlns"),
    ("rect", "x y width height opacity fill stroke"),
    (
        "head title style body nav h1 h3 ul li strong em blockquote pre table thead tbody tr script \
         desc br hr",
        "",
    ),
];

/// An element as a browser parses it.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    in_picture: bool,
    /// Of a table: the cells of each of its rows.
    rows: Vec<usize>,
}

/// Panics at invalid HTML.
fn parse(text: &str) -> Vec<Element> {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(text);
    assert!(dom.errors.borrow().is_empty(), "{:?}", dom.errors.borrow());
    let mut elements = Vec::new();
    descend(&dom.document, false, &mut elements);
    elements
}

fn descend(node: &Handle, in_picture: bool, out: &mut Vec<Element>) {
    let mut inside = in_picture;
    if let NodeData::Element { name, attrs, .. } = &node.data {
        let attributes = attrs.borrow();
        let attributes = attributes.iter().map(|a| (a.name.local.to_string(), a.value.to_string()));
        let (name, attributes) = (name.local.to_string(), attributes.collect());
        inside |= name == "svg";
        let rows = if name == "table" { rows(node) } else { Vec::new() };
        out.push(Element { name, attributes, in_picture, rows });
    }
    node.children.borrow().iter().for_each(|child| descend(child, inside, out));
}

fn named<'a>(elements: &'a [Element], name: &str) -> Vec<&'a Element> {
    elements.iter().filter(|element| element.name == name).collect()
}

fn ids(elements: &[Element]) -> Vec<&str> {
    elements.iter().filter_map(|e| e.attributes.get("id")).map(String::as_str).collect()
}

fn rows(node: &Handle) -> Vec<usize> {
    let name = |node: &Handle| {
        let NodeData::Element { name, .. } = &node.data else { return String::new() };
        name.local.to_string()
    };
    let children = node.children.borrow();
    if name(node) == "tr" {
        vec![children.iter().filter(|cell| ["td", "th"].contains(&&*name(cell))).count()]
    } else {
        children.iter().flat_map(rows).collect()
    }
}

fn has_word(words: &str, word: &str) -> bool {
    words.split(' ').any(|one| one == word)
}

/// How often each tag occurs; panics at scripts, external resources and external links.
fn checked(text: &str) -> BTreeMap<String, usize> {
    let elements = parse(text);
    let mut tags = BTreeMap::new();
    for Element { name, attributes, in_picture, .. } in &elements {
        *tags.entry(name.clone()).or_default() += 1;
        let allowed = TAGS.iter().find(|(tags, _)| has_word(tags, name)).map(|(_, known)| *known);
        for (attribute, value) in attributes {
            let acts = attribute.starts_with("on") || ["src", "style"].contains(&&**attribute);
            assert!(!acts && !value.contains("//") || attribute == "xmlns", "{attribute}={value}");
            let known = allowed.is_some_and(|known| has_word(known, attribute));
            assert!(*in_picture || known, "{attribute} of {name}");
        }
        assert!(*in_picture || allowed.is_some(), "{name}");
    }
    let places = ids(&elements);
    for link in named(&elements, "a") {
        let target = link.attributes["href"].strip_prefix('#').expect("a place in the file");
        assert_eq!(places.iter().filter(|id| **id == target).count(), 1, "{target}");
    }
    for table in named(&elements, "table") {
        let rows = &table.rows;
        assert!(rows.len() > 1 && rows.iter().all(|&cells| cells == rows[0]), "{rows:?}");
    }
    tags
}

/// Texts with each entry of the corpus, bare and in contexts that try to break out. Three entries per
/// text, because parsing a report is slow. The last one is empty.
fn hostile() -> impl Iterator<Item = String> {
    let around = [
        ("", ""),
        ("\"'", "'\""),
        ("</td></tr></table></svg></style></title></script>", "<table>"),
        ("[x](", ")"),
        ("![x](", ")"),
        ("<a href=\"", "\">x</a>"),
        ("`", "|"),
    ];
    let texts = CORPUS.chunks(3).map(move |three| {
        let placed =
            around.iter().flat_map(|(a, b)| three.iter().map(move |t| format!("{a}{t}{b}")));
        placed.collect::<Vec<_>>().join(" ")
    });
    texts.chain([String::new()])
}

#[test]
fn hostile_text_adds_no_link_picture_script_or_cell() {
    let clean = checked(&page(&poisoned("plain"), "report.html"));
    assert!(clean["table"] > 20 && clean["svg"] > 4 && clean["script"] == 1, "{clean:?}");
    for text in hostile() {
        let tags = checked(&page(&poisoned(&text), "report.html"));
        for (tag, times) in &tags {
            // Addresses become code, and empty text is not bold.
            let differs = tag == "code" || tag == "strong" && text.is_empty();
            let same = differs || clean.get(tag) == Some(times);
            assert!(same, "{text:?}: {times} of {tag}, of a clean run {:?}", clean.get(tag));
        }
    }
}

#[test]
fn a_small_report_as_html() {
    let text = page(&RunBuilder::new(&["Tiny"], 3).fleet(1).build(), "report.html");
    checked(&text);
    let mut shown = text.clone();
    for tag in ["style", "script", "svg"] {
        let mut from = 0;
        while let Some(at) = shown[from..].find(&format!("<{tag}")).map(|at| from + at) {
            let end = format!("</{tag}>");
            let end = at + shown[at..].find(&end).expect("an end") + end.len();
            shown.replace_range(at..end, &format!("<{tag}>...</{tag}>"));
            from = at + tag.len() * 2 + 8;
        }
    }
    for part in ["style", "script"] {
        let (text, _) = text.split_once(&format!("</{part}>")).expect("one of them");
        let (_, text) = text.rsplit_once(&format!("<{part}>")).expect("its beginning");
        let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(text)));
        assert!(shown.contains(&format!("{part}-src '{hash}'")), "the policy allows the {part}");
        shown = shown.replace(&hash, "sha256-...");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn every_page_and_picture_is_in_the_file() {
    let files = files(&three_hosts());
    let text = std::str::from_utf8(&files["report.html"]).expect("UTF-8");
    let elements = parse(text);
    let pictures = files.keys().filter(|path| path.ends_with(".svg")).count();
    assert_eq!(named(&elements, "svg").len(), pictures);
    let sections = named(&elements, "section").into_iter().map(|s| s.attributes["id"].as_str());
    assert_eq!(sections.collect::<Vec<_>>(), ["host:gpu-01", "host:gpu-02", "host:gpu-03"]);
    // As many rows and headings as in the Markdown.
    let markdown: String = files
        .iter()
        .filter(|(path, _)| path.ends_with(".md"))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    let lines = |what: &str| markdown.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(named(&elements, "tr").len() + named(&elements, "table").len(), lines("|"));
    assert_eq!(named(&elements, "h2").len(), lines("## "));
}

#[test]
fn with_many_hosts_only_different_ones_have_their_page_in_the_file() {
    let host = |index: u32| TestHost::new(&format!("gpu-{index:03}"));
    let fleet = |hosts| (0..hosts).fold(RunBuilder::new(&["Tiny"], 5), |run, n| run.host(host(n)));
    let limit = u32::try_from(PAGES_MAX).expect("small");
    let all = page(&fleet(limit).build(), "report.html");
    assert_eq!(all.matches("<section").count(), PAGES_MAX);
    let html = page(&fleet(limit).host(host(limit).slower_by(0.2)).build(), "report.html");
    checked(&html);
    assert_eq!(html.matches("<section").count(), 1);
    has(&html, "<section id=\"host:gpu-040\">");
    let said = "<p>40 per-host reports not included: with 41 or more hosts this file contains only hosts with a significant difference, at most 40.";
    has(&html, said);
}
