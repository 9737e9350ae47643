//! Tables that line up in the source as well as on the page.

use unicode_width::UnicodeWidthStr;

use super::text::Inline;

/// Cells wider than this do not widen their column in the source.
const WIDEST: usize = 60;

/// On which side a column lines up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table; every row has as many cells as the header.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    header: Vec<Inline>,
    align: Vec<Align>,
    rows: Vec<Vec<Inline>>,
}

impl Table {
    /// A column whose name ends in `>` holds numbers and lines up on the right.
    pub(crate) fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        let mut table = Self { header: Vec::new(), align: Vec::new(), rows: Vec::new() };
        for column in columns {
            match column.strip_suffix('>') {
                Some(name) => table.column(Inline::own(name), Align::Right),
                None => table.column(Inline::own(column), Align::Left),
            }
        }
        table
    }

    pub(crate) fn column(&mut self, name: Inline, align: Align) {
        self.header.push(name);
        self.align.push(align);
    }

    /// Adds a row; cells that are lacking stay empty, cells beyond the header are left out.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Inline>) {
        let mut row: Vec<Inline> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.header.len(), "a row fits its header");
        row.resize(self.header.len(), Inline::own(""));
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The Markdown, ending in a newline.
    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.header.len())
            .map(|i| {
                let cells = self.rows.iter().map(|row| row[i].as_str().width());
                let widest = cells.filter(|&w| w <= WIDEST).max().unwrap_or(0);
                widest.max(self.header[i].as_str().width()).max(3)
            })
            .collect();
        let mut out = self.line(&self.header, &widths);
        for (&width, align) in widths.iter().zip(&self.align) {
            out.push_str("| ");
            match align {
                Align::Left => out.push_str(&"-".repeat(width)),
                Align::Right => {
                    out.push_str(&"-".repeat(width - 1));
                    out.push(':');
                }
            }
            out.push(' ');
        }
        out.push_str("|\n");
        for row in &self.rows {
            out.push_str(&self.line(row, &widths));
        }
        out
    }

    fn line(&self, cells: &[Inline], widths: &[usize]) -> String {
        let mut out = String::new();
        for ((cell, &width), align) in cells.iter().zip(widths).zip(&self.align) {
            let pad = " ".repeat(width.saturating_sub(cell.as_str().width()));
            match align {
                Align::Left => out.push_str(&format!("| {cell}{pad} ")),
                Align::Right => out.push_str(&format!("| {pad}{cell} ")),
            }
        }
        out.push_str("|\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_the_source() {
        let mut table = Table::new(["Host", "tok/s>"]);
        table.row([Inline::own("gpu-01"), Inline::own("25.8")]);
        table.row([Inline::text("漢字"), Inline::own("6.6")]);
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
