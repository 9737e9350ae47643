//! One page of Markdown as HTML; only structure is kept. Raw HTML becomes text, a link leads to
//! another place in the file or becomes its text, a picture is one of the report's or becomes its
//! description.

use std::collections::BTreeMap;

use pulldown_cmark::html::push_html;
use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use regatta_types::ids::HostId;

use crate::plot;

/// Where a host's page begins. No name has a colon, so no two anchors are equal.
pub(super) fn anchor(host: &HostId) -> String {
    format!("host:{host}")
}

/// What pages may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages<'a> {
    /// The files of the report.
    pub(super) files: &'a BTreeMap<String, Vec<u8>>,
    /// The hosts whose pages are in the file.
    pub(super) hosts: &'a [&'a HostId],
}

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) id: String,
    pub(super) text: String,
}

impl Pages<'_> {
    /// A page of the report as HTML, and its parts. Anchors in it begin with `id`.
    pub(super) fn page(&self, path: &str, id: &str) -> (String, Vec<Heading>) {
        let markdown = self.files.get(path).map(|bytes| String::from_utf8_lossy(bytes));
        let markdown = markdown.unwrap_or_default();
        let parser = || Parser::new_ext(&markdown, Options::ENABLE_TABLES);
        let headings = headings(parser(), id);
        let mut writer = Writer { pages: *self, headings: &headings, ..Writer::default() };
        let events: Vec<Event<'_>> = parser().filter_map(|event| writer.event(event)).collect();
        let mut out = String::with_capacity(markdown.len() * 2);
        push_html(&mut out, events.into_iter());
        (out, headings)
    }

    /// The anchor of a link to a per-host report.
    fn target(&self, link: &str) -> Option<String> {
        let name = link.trim_start_matches("../").strip_prefix("hosts/")?.strip_suffix(".md")?;
        let host = self.hosts.iter().find(|host| host.as_str() == name)?;
        Some(anchor(host))
    }

    /// A picture of ours, to stand inside a page.
    fn picture(&self, link: &str, description: &str) -> Option<String> {
        let path = link.trim_start_matches("../");
        let svg = path.ends_with(".svg").then(|| self.files.get(path)).flatten()?;
        let svg = String::from_utf8_lossy(svg);
        // The page's own style sheet has the colors, once for all pictures.
        let svg = svg.replacen(&plot::style_element(), "", 1);
        let (before, after) = svg.split_once("</title>")?;
        let described = as_text(description);
        let before = before.replacen("<svg ", "<svg role=\"img\" ", 1);
        Some(format!("{before}</title><desc>{described}</desc>{after}"))
    }
}

impl Default for Pages<'_> {
    fn default() -> Self {
        const NONE: &BTreeMap<String, Vec<u8>> = &BTreeMap::new();
        Self { files: NONE, hosts: &[] }
    }
}

/// The sections of a page.
fn headings<'e>(events: impl Iterator<Item = Event<'e>>, id: &str) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    let mut is_open = false;
    for event in events {
        if matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H2, .. })) {
            is_open = true;
            let id = format!("{id}:{}", headings.len() + 1);
            headings.push(Heading { id, text: String::new() });
        } else if matches!(event, Event::End(TagEnd::Heading(_))) {
            is_open = false;
        } else if let (true, Event::Text(text) | Event::Code(text), Some(heading)) =
            (is_open, event, headings.last_mut())
        {
            heading.text.push_str(&text);
        }
    }
    headings
}

/// Turns the events of a page into those that may be written.
#[derive(Debug, Default)]
struct Writer<'a> {
    pages: Pages<'a>,
    headings: &'a [Heading],
    /// How many of them were written.
    written: usize,
    /// How each tag that is open ends; `None` of one that is not written.
    ends: Vec<Option<Event<'static>>>,
    /// The picture that is open, with its description so far.
    image: Option<(String, String)>,
    align: Vec<Alignment>,
    in_head: bool,
    column: usize,
}

impl Writer<'_> {
    fn event<'e>(&mut self, event: Event<'e>) -> Option<Event<'e>> {
        if let Some((_, description)) = &mut self.image {
            if let Event::Text(text) | Event::Code(text) = &event {
                description.push_str(text);
            }
            return matches!(event, Event::End(TagEnd::Image)).then(|| self.end_image());
        }
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                self.image = Some((dest_url.into_string(), String::new()));
                None
            }
            Event::Start(tag) => {
                let (start, end) = self.start(tag).unzip();
                self.ends.push(end);
                start
            }
            // Of a picture inside the description of another.
            Event::End(TagEnd::Image) => None,
            Event::End(tag) => {
                self.in_head &= tag != TagEnd::TableHead;
                self.ends.pop().flatten()
            }
            Event::Text(_) | Event::Code(_) => Some(event),
            Event::SoftBreak | Event::HardBreak | Event::Rule => Some(event),
            Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => Some(Event::Text(text)),
            Event::TaskListMarker(_) => None,
        }
    }

    /// Where a link leads in this file: to a section of this page, or to another page.
    fn target(&self, link: &str) -> Option<String> {
        let Some(section) = link.strip_prefix('#') else { return self.pages.target(link) };
        let found = self.headings.iter().find(|heading| heading.text.to_lowercase() == section)?;
        Some(found.id.clone())
    }

    /// How a tag begins and ends, if it is written.
    fn start<'e>(&mut self, tag: Tag<'e>) -> Option<(Event<'e>, Event<'static>)> {
        let own = |start: String, end: &'static str| Some((raw(start), raw(end)));
        match tag {
            Tag::Link { dest_url, .. } => {
                let target = self.target(&dest_url)?;
                own(format!("<a href=\"#{target}\">"), "</a>")
            }
            Tag::Heading { level: HeadingLevel::H2, .. } => {
                let heading = self.headings.get(self.written)?;
                self.written += 1;
                own(format!("<h2 id=\"{}\">", heading.id), "</h2>\n")
            }
            Tag::Table(align) => {
                self.align = align;
                own("<div class=\"wide\"><table>\n".to_owned(), "</tbody>\n</table></div>\n")
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                own("<thead><tr>".to_owned(), "</tr></thead>\n<tbody>\n")
            }
            Tag::TableRow => {
                self.column = 0;
                own("<tr>".to_owned(), "</tr>\n")
            }
            Tag::TableCell => {
                let right = self.align.get(self.column) == Some(&Alignment::Right);
                self.column += 1;
                let class = if right { " class=\"n\"" } else { "" };
                let (name, end) = if self.in_head { ("th", "</th>") } else { ("td", "</td>") };
                own(format!("<{name}{class}>"), end)
            }
            Tag::HtmlBlock => Some((Event::Start(Tag::Paragraph), Event::End(TagEnd::Paragraph))),
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::Emphasis
            | Tag::Strong => {
                let end = Event::End(tag.to_end());
                Some((Event::Start(tag), end))
            }
            // An image is no start of its own, and the others are of dialects that are off.
            Tag::Image { .. }
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => None,
        }
    }

    fn end_image<'e>(&mut self) -> Event<'e> {
        let (link, description) = self.image.take().unwrap_or_default();
        match self.pages.picture(&link, &description) {
            Some(svg) => raw(svg),
            None => Event::Text(description.into()),
        }
    }
}

/// HTML of our own.
fn raw<'e>(html: impl Into<CowStr<'e>>) -> Event<'e> {
    Event::InlineHtml(html.into())
}

/// Text between tags.
pub(super) fn as_text(text: &str) -> String {
    let mut out = String::new();
    push_html(&mut out, std::iter::once(Event::Text(text.into())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        let files = BTreeMap::from([("report.md".to_owned(), markdown.as_bytes().to_vec())]);
        Pages { files: &files, hosts: &[&HostId::new("gpu-01").unwrap()] }.page("report.md", "r").0
    }

    #[test]
    fn only_links_and_pictures_of_the_report_are_written() {
        assert_eq!(html("[a](hosts/gpu-01.md)"), "<p><a href=\"#host:gpu-01\">a</a></p>\n");
        assert_eq!(html("[a](hosts/gpu-02.md) [b](http://x/)"), "<p>a b</p>\n");
        assert_eq!(html("![c](http://x/y.svg) ![d](report.md)"), "<p>c d</p>\n");
    }

    #[test]
    fn raw_html_becomes_text() {
        assert_eq!(html("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n");
        assert_eq!(html("<script>\nx\n</script>"), "<p>&lt;script&gt;\nx\n&lt;/script&gt;</p>\n");
    }
}
