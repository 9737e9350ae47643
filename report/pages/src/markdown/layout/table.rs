//! Tables that are aligned in the source and on the page.

use unicode_width::UnicodeWidthStr;

use super::{Inline, Page};
use crate::words::numbers::NONE;

/// Cells wider than this do not widen their column in the source.
const WIDEST: usize = 60;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

#[derive(Debug)]
struct Column {
    heading: Inline,
    align: Align,
    /// One for each row.
    cells: Vec<Inline>,
    /// Why a cell is "-".
    absent: Option<Inline>,
}

/// A table with a row for each `T`, made column by column.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: Vec<T>,
    columns: Vec<Column>,
}

impl Table<(Inline, Inline)> {
    /// Two columns of text: name and value.
    pub(crate) fn pairs(
        [name, value]: [&'static str; 2],
        rows: impl IntoIterator<Item = (impl Into<Inline>, Inline)>,
    ) -> Self {
        let rows = rows.into_iter().map(|(name, value)| (name.into(), value));
        Self::of(rows).text(name, |row| row.0.clone()).text(value, |row| row.1.clone())
    }
}

impl<T> Table<T> {
    pub(crate) fn of(rows: impl IntoIterator<Item = T>) -> Self {
        Self { rows: rows.into_iter().collect(), columns: Vec::new() }
    }

    /// Adds a column of text.
    pub(crate) fn text(self, heading: impl Into<Inline>, cell: impl Fn(&T) -> Inline) -> Self {
        self.column(heading, Align::Left, cell)
    }

    /// Adds a column of numbers.
    pub(crate) fn number(self, heading: impl Into<Inline>, cell: impl Fn(&T) -> Inline) -> Self {
        self.column(heading, Align::Right, cell)
    }

    /// Adds a column of numbers, with the reason for "-".
    pub(crate) fn number_or(
        self,
        heading: impl Into<Inline>,
        why: impl Into<Inline>,
        cell: impl Fn(&T) -> Inline,
    ) -> Self {
        self.number(heading, cell).absent(why)
    }

    pub(crate) fn column(
        mut self,
        heading: impl Into<Inline>,
        align: Align,
        cell: impl Fn(&T) -> Inline,
    ) -> Self {
        let cells = self.rows.iter().map(cell).collect();
        self.columns.push(Column { heading: heading.into(), align, cells, absent: None });
        self
    }

    /// The reason for "-" in the last column. A column of only "-" is omitted.
    pub(crate) fn absent(mut self, why: impl Into<Inline>) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.absent = Some(why.into());
        }
        self
    }

    /// The same for all columns so far.
    pub(crate) fn all_absent(mut self, why: impl Into<Inline>) -> Self {
        let why = why.into();
        self.columns.iter_mut().for_each(|column| column.absent = Some(why.clone()));
        self
    }

    /// Drops the last column unless `shown`.
    pub(crate) fn only_if(mut self, shown: bool) -> Self {
        if !shown {
            self.columns.pop();
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds it to a page, with the reasons for "-" below it; nothing without rows.
    pub(crate) fn add_to(mut self, page: &mut Page) {
        if self.is_empty() {
            return;
        }
        let reasons = self.explain();
        page.block(&self.render());
        if !reasons.is_empty() {
            page.paragraph(Inline::join(reasons, " "));
        }
    }

    /// Drops the explained columns that are all "-", and returns the sentences about them and about
    /// "-" in the others.
    fn explain(&mut self) -> Vec<Inline> {
        let mut reasons: Vec<(Inline, bool, Vec<Inline>)> = Vec::new();
        self.columns.retain(|column| {
            let dashes = column.cells.iter().filter(|cell| cell.as_str() == NONE).count();
            let all = dashes == column.cells.len();
            let Some(why) = column.absent.as_ref().filter(|_| dashes > 0) else { return true };
            let heading = column.heading.clone();
            match reasons.iter_mut().find(|(same, kind, _)| same == why && *kind == all) {
                Some((_, _, headings)) => headings.push(heading),
                None => reasons.push((why.clone(), all, vec![heading])),
            }
            !all
        });
        let sentence = |(why, all, headings): (Inline, bool, Vec<Inline>)| {
            let headings = Inline::join(headings, ", ");
            Inline::own(if all {
                format!("{headings} omitted: {why}.")
            } else {
                format!("\"-\" in {headings}: {why}.")
            })
        };
        reasons.into_iter().map(sentence).collect()
    }

    /// The Markdown, ending in a newline.
    fn render(&self) -> String {
        let mut lines = vec![String::new(); self.rows.len() + 2];
        for Column { heading, align, cells, .. } in &self.columns {
            let widths = cells.iter().map(|cell| cell.as_str().width());
            let widest = widths.filter(|&w| w <= WIDEST).max().unwrap_or(0);
            let width = widest.max(heading.as_str().width()).max(3);
            let rule = match align {
                Align::Left => "-".repeat(width),
                Align::Right => format!("{}:", "-".repeat(width - 1)),
            };
            let rule = Inline::own(rule);
            let cells = [heading, &rule].into_iter().chain(cells);
            for (line, cell) in lines.iter_mut().zip(cells) {
                let pad = " ".repeat(width.saturating_sub(cell.as_str().width()));
                line.push_str(&match align {
                    Align::Left => format!("| {cell}{pad} "),
                    Align::Right => format!("| {pad}{cell} "),
                });
            }
        }
        lines.into_iter().map(|line| line + "|\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_has_its_reason_and_a_column_of_dashes_is_omitted() {
        let mut table = Table::of([["x", "1", "-", "-"], ["y", "-", "-", "-"]])
            .text("Host", |row| row[0].into())
            .number("A", |row| row[1].into())
            .absent("not reported")
            .number_or("B", "not reported", |row| row[2].into())
            .number("C", |row| row[3].into());
        let reasons = table.explain();
        assert_eq!(table.render().lines().next(), Some("| Host |   A |   C |"));
        let reasons: Vec<&str> = reasons.iter().map(Inline::as_str).collect();
        assert_eq!(reasons, ["\"-\" in A: not reported.", "B omitted: not reported."]);
    }

    #[test]
    fn columns_are_aligned_in_the_source() {
        let table = Table::of([("gpu-01", "25.8"), ("漢字", "6.6")])
            .text("Host", |row| Inline::text(row.0))
            .number("tok/s", |row| row.1.into());
        assert_eq!(
            table.render(),
            "\
| Host   | tok/s |
| ------ | ----: |
| gpu-01 |  25.8 |
| 漢字   |   6.6 |
"
        );
    }
}
