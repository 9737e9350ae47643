//! One page of Markdown as HTML: of what it can hold only the structure is taken over. Raw HTML
//! becomes text, a link leads to another page in the file or is only its text, a picture is one of
//! the report's own or only its description.

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
        let mut writer = Writer { pages: *self, id, ..Writer::default() };
        let events: Vec<Event<'_>> = Parser::new_ext(&markdown, Options::ENABLE_TABLES)
            .filter_map(|event| writer.event(event))
            .collect();
        let mut out = String::with_capacity(markdown.len() * 2);
        push_html(&mut out, events.into_iter());
        (out, writer.headings)
    }

    /// The place in this file where a link of ours leads.
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
        // The page's own style sheet has the colours, once for all pictures.
        let svg = svg.replacen(&plot::style_element(), "", 1);
        let (before, after) = svg.split_once("</title>")?;
        let mut described = String::new();
        write_text(&mut described, description);
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

/// Turns the events of a page into those that may be written.
#[derive(Debug, Default)]
struct Writer<'a> {
    pages: Pages<'a>,
    id: &'a str,
    headings: Vec<Heading>,
    in_heading: bool,
    /// Of the links that are open, whether each is written.
    links: Vec<bool>,
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
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => Some(Event::Text(self.heard(text))),
            Event::Code(text) => Some(Event::Code(self.heard(text))),
            Event::SoftBreak | Event::HardBreak | Event::Rule => Some(event),
            Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => Some(Event::Text(text)),
            Event::TaskListMarker(_) => None,
        }
    }

    fn heard<'e>(&mut self, text: CowStr<'e>) -> CowStr<'e> {
        if self.in_heading
            && let Some(heading) = self.headings.last_mut()
        {
            heading.text.push_str(&text);
        }
        text
    }

    fn start<'e>(&mut self, tag: Tag<'e>) -> Option<Event<'e>> {
        match tag {
            Tag::Link { dest_url, .. } => {
                let target = self.pages.target(&dest_url);
                self.links.push(target.is_some());
                target.map(|target| raw(format!("<a href=\"#{target}\">")))
            }
            Tag::Image { dest_url, .. } => {
                self.image = Some((dest_url.into_string(), String::new()));
                None
            }
            Tag::Heading { level: HeadingLevel::H2, .. } => {
                let id = format!("{}:{}", self.id, self.headings.len() + 1);
                let start = raw(format!("<h2 id=\"{id}\">"));
                self.headings.push(Heading { id, text: String::new() });
                self.in_heading = true;
                Some(start)
            }
            Tag::Table(align) => {
                self.align = align;
                Some(raw("<div class=\"wide\"><table>\n"))
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                Some(raw("<thead><tr>"))
            }
            Tag::TableRow => {
                self.column = 0;
                Some(raw("<tr>"))
            }
            Tag::TableCell => {
                let right = self.align.get(self.column) == Some(&Alignment::Right);
                self.column += 1;
                let (name, class) = (self.cell(), if right { " class=\"n\"" } else { "" });
                Some(raw(format!("<{name}{class}>")))
            }
            Tag::HtmlBlock => Some(Event::Start(Tag::Paragraph)),
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::Emphasis
            | Tag::Strong => Some(Event::Start(tag)),
            // Of dialects that are off.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => None,
        }
    }

    fn end<'e>(&mut self, tag: TagEnd) -> Option<Event<'e>> {
        match tag {
            TagEnd::Link => self.links.pop().unwrap_or(false).then(|| raw("</a>")),
            TagEnd::Heading(HeadingLevel::H2) => {
                self.in_heading = false;
                Some(raw("</h2>\n"))
            }
            TagEnd::Table => Some(raw("</tbody>\n</table></div>\n")),
            TagEnd::TableHead => {
                self.in_head = false;
                Some(raw("</tr></thead>\n<tbody>\n"))
            }
            TagEnd::TableRow => Some(raw("</tr>\n")),
            TagEnd::TableCell => Some(raw(format!("</{}>", self.cell()))),
            TagEnd::HtmlBlock => Some(Event::End(TagEnd::Paragraph)),
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::BlockQuote(_)
            | TagEnd::CodeBlock
            | TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::Emphasis
            | TagEnd::Strong => Some(Event::End(tag)),
            TagEnd::Image
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => None,
        }
    }

    fn cell(&self) -> &'static str {
        if self.in_head { "th" } else { "td" }
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
pub(super) fn write_text(out: &mut String, text: &str) {
    push_html(out, std::iter::once(Event::Text(text.into())));
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

    #[test]
    fn columns_of_numbers_line_up_without_inline_styles() {
        assert_eq!(
            html("| a | b |\n| --- | --: |\n| x | 1 |\n"),
            "<div class=\"wide\"><table>\n<thead><tr><th>a</th><th class=\"n\">b</th></tr></thead>\n<tbody>\n\
             <tr><td>x</td><td class=\"n\">1</td></tr>\n</tbody>\n</table></div>\n"
        );
    }
}
