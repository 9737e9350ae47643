//! The Markdown files of a report.
//!
//! [`layout`] is what pages are made of: it makes text from outside inert, writes numbers and lays
//! out tables. `combined`, `host` and [`changes`] are the pages; `sections` and `grid` are
//! what several of them have. Nothing is computed here but the number of digits.

pub(crate) mod changes;
mod combined;
mod grid;
mod host;
pub(crate) mod layout;
mod sections;

pub(crate) use combined::combined;
pub(crate) use host::host;
