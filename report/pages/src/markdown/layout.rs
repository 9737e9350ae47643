//! What every page is made of: inert text, numbers, tables and the page itself.

mod inline;
mod numbers;
mod table;

use itertools::Itertools as _;
use regatta_types::comparability::Code;

pub(crate) use inline::{Inline, fenced};
pub(crate) use numbers::{
    count, fixed, good, interval, interval_ms, known, known_count, level, mean, mib, millis,
    percentile_ms, seconds, share, token_sum, tps,
};
pub(crate) use table::{Align, Table};

/// A Markdown document that grows from top to bottom with one blank line between its parts.
#[derive(Debug, Default)]
pub(crate) struct Page {
    out: String,
}

impl Page {
    /// Markdown that is already a block, such as a fence.
    pub(crate) fn block(&mut self, markdown: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(markdown);
        if !markdown.ends_with('\n') {
            self.out.push('\n');
        }
    }

    pub(crate) fn title(&mut self, text: impl Into<Inline>) {
        self.block(&format!("# {}", text.into()));
    }

    pub(crate) fn section(&mut self, text: impl Into<Inline>) {
        self.block(&format!("## {}", text.into()));
    }

    pub(crate) fn subsection(&mut self, text: impl Into<Inline>) {
        self.block(&format!("### {}", text.into()));
    }

    pub(crate) fn paragraph(&mut self, text: impl Into<Inline>) {
        self.block(text.into().as_str());
    }

    /// A quoted paragraph, for what must not be overlooked.
    pub(crate) fn notice(&mut self, text: impl Into<Inline>) {
        self.block(&format!("> {}", text.into()));
    }

    /// A list; nothing for an empty one.
    pub(crate) fn list(&mut self, items: impl IntoIterator<Item = Inline>) {
        let items: String = items.into_iter().map(|item| format!("- {item}\n")).collect();
        if !items.is_empty() {
            self.block(&items);
        }
    }

    /// A list of plain sentences of ours.
    pub(crate) fn sentences(&mut self, lines: impl IntoIterator<Item = String>) {
        self.list(lines.into_iter().map(|line| Inline::sentence(&line)));
    }

    /// A picture of ours, with the path from the top of the report; `up` leads there.
    pub(crate) fn picture(&mut self, found: Option<(String, &str)>, up: &str) {
        if let Some((path, alt)) = found {
            self.block(&format!("![{}]({up}{path})", Inline::text(alt)));
        }
    }

    /// Links the first use of each comparability code to a list of what they mean.
    pub(crate) fn codes(&mut self) {
        let used = Code::ALL.into_iter().filter(|code| self.link(*code)).collect_vec();
        if !used.is_empty() {
            self.section("Codes");
            let rows = used.into_iter().map(|c| (Inline::own(c.to_string()), c.meaning().into()));
            Table::pairs(["Code", "Meaning"], rows).add_to(self);
        }
    }

    /// Links the first use of a code, `... (C9)` or a cell of a row, if there is one.
    fn link(&mut self, code: Code) -> bool {
        let place = |used: &String| Some(self.out.find(used)? + used.find('C')?);
        let in_text = [format!("({code})"), format!(" {code})")].iter().filter_map(place).min();
        let Some(at) = in_text.or_else(|| place(&format!("\n| {code} "))) else { return false };
        let name = code.to_string();
        self.out.replace_range(at..at + name.len(), &format!("[{name}](#codes)"));
        true
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}
