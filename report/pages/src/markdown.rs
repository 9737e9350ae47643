//! The Markdown files of a report.
//!
//! [`text`] makes text from outside inert, [`table`] and [`page`] lay out, `format` writes
//! numbers; `combined` and `host` hold the two kinds of page. Nothing is computed here but the
//! number of digits.

pub(crate) mod changes;
mod combined;
mod format;
mod grid;
mod host;
mod load;
mod page;
mod table;
mod text;

pub(crate) use combined::combined;
pub(crate) use host::host;
#[cfg(any(test, feature = "calibration"))]
pub(crate) use {page::Page, table::Table, text::Inline};
