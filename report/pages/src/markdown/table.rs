//! Tables that line up in the source as well as on the page.

use unicode_width::UnicodeWidthStr;

use super::format::NONE;
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
    /// Why a dash stands in the column, where one does.
    dashes: Vec<Option<Inline>>,
    rows: Vec<Vec<Inline>>,
}

impl Table {
    /// A column whose name ends in `>` holds numbers and lines up on the right.
    pub(crate) fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        let mut table =
            Self { header: Vec::new(), align: Vec::new(), dashes: Vec::new(), rows: Vec::new() };
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
        self.dashes.push(None);
    }

    /// Says why a dash stands in columns of these names, all columns without any. [`Self::settle`]
    /// then leaves out those that hold nothing else.
    pub(crate) fn dash(&mut self, columns: &[&str], why: Inline) {
        for (name, dash) in self.header.iter().zip(&mut self.dashes) {
            if columns.is_empty() || columns.contains(&name.as_str()) {
                *dash = Some(why.clone());
            }
        }
    }

    /// Drops the explained columns that hold only dashes; the sentences that say so, and why dashes
    /// stand in the others.
    pub(crate) fn settle(mut self) -> (Self, Vec<Inline>) {
        let is_dash = |row: &Vec<Inline>, i: usize| row[i].as_str() == NONE;
        let mut reasons: Vec<(Inline, bool, Vec<Inline>)> = Vec::new();
        let mut gone = Vec::new();
        for (i, why) in self.dashes.iter().enumerate() {
            let (Some(why), true) = (why, self.rows.iter().any(|row| is_dash(row, i))) else {
                continue;
            };
            let all = self.rows.iter().all(|row| is_dash(row, i));
            if all {
                gone.push(i);
            }
            let name = self.header[i].clone();
            match reasons.iter_mut().find(|(same, kind, _)| same == why && *kind == all) {
                Some((_, _, names)) => names.push(name),
                None => reasons.push((why.clone(), all, vec![name])),
            }
        }
        for &i in gone.iter().rev() {
            self.header.remove(i);
            self.align.remove(i);
            self.dashes.remove(i);
            for row in &mut self.rows {
                row.remove(i);
            }
        }
        let sentence = |(why, all, names): (Inline, bool, Vec<Inline>)| {
            let names = names.iter().map(Inline::as_str).collect::<Vec<_>>().join(", ");
            Inline::own(if all {
                format!("Not shown: {names}, because {why}.")
            } else {
                format!("A dash in {names}: {why}.")
            })
        };
        (self, reasons.into_iter().map(sentence).collect())
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
    fn a_dash_has_its_reason_and_a_column_of_dashes_only_that() {
        let mut table = Table::new(["Host", "A>", "B>", "C>"]);
        table.row(["x", "1", "-", "-"].map(Inline::own));
        table.row(["y", "-", "-", "-"].map(Inline::own));
        table.dash(&["A", "B"], "nobody tells".into());
        let (table, reasons) = table.settle();
        assert_eq!(table.render().lines().next(), Some("| Host |   A |   C |"));
        let reasons: Vec<&str> = reasons.iter().map(Inline::as_str).collect();
        assert_eq!(reasons, ["A dash in A: nobody tells.", "Not shown: B, because nobody tells."]);
    }

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
