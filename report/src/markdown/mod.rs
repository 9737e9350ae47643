//! The Markdown files of a report.
//!
//! [`text`] makes text from outside inert, [`table`] and [`page`] lay out, `format` writes
//! numbers; `combined` and `host` hold the two kinds of page. Nothing is computed here but the
//! number of digits.

mod combined;
mod format;
mod grid;
mod host;
mod load;
mod page;
mod table;
mod text;

pub(crate) use combined::combined;
pub(crate) use format::{count_of, level, level_range, signed_percent, tps, with_unit};
pub(crate) use host::host;
pub(crate) use load::offered;
pub(crate) use page::Page;
pub(crate) use table::Table;
pub(crate) use text::Inline;
