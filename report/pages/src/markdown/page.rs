//! A page that grows from top to bottom, with one blank line between its parts.

use super::table::Table;
use super::text::Inline;

/// A Markdown document.
#[derive(Debug, Default)]
pub(crate) struct Page {
    out: String,
}

impl Page {
    fn part(&mut self, markdown: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(markdown);
        if !markdown.ends_with('\n') {
            self.out.push('\n');
        }
    }

    pub(crate) fn title(&mut self, text: &Inline) {
        self.part(&format!("# {text}"));
    }

    pub(crate) fn section(&mut self, text: &Inline) {
        self.part(&format!("## {text}"));
    }

    pub(crate) fn subsection(&mut self, text: &Inline) {
        self.part(&format!("### {text}"));
    }

    pub(crate) fn paragraph(&mut self, text: &Inline) {
        self.part(text.as_str());
    }

    /// A quoted paragraph, for what must not be overlooked.
    pub(crate) fn notice(&mut self, text: &Inline) {
        self.part(&format!("> {text}"));
    }

    /// A list; nothing for an empty one.
    pub(crate) fn list(&mut self, items: impl IntoIterator<Item = Inline>) {
        let items: String = items.into_iter().map(|item| format!("- {item}\n")).collect();
        if !items.is_empty() {
            self.part(&items);
        }
    }

    /// A table, with the reasons of its dashes below it; nothing for one without rows.
    pub(crate) fn table(&mut self, table: Table) {
        if table.is_empty() {
            return;
        }
        let (table, reasons) = table.settle();
        self.part(&table.render());
        if !reasons.is_empty() {
            let reasons: Vec<&str> = reasons.iter().map(Inline::as_str).collect();
            self.part(&reasons.join(" "));
        }
    }

    /// A picture of ours, with the path from the top of the report; `up` leads there.
    pub(crate) fn picture(&mut self, found: Option<(String, &str)>, up: &str) {
        if let Some((path, alt)) = found {
            self.part(&format!("![{}]({up}{path})", Inline::text(alt)));
        }
    }

    /// Markdown that is already a block, such as a fence.
    pub(crate) fn block(&mut self, markdown: &str) {
        self.part(markdown);
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}
