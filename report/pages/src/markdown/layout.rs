//! What every page is made of: inert text, numbers, tables and the page itself.

mod inline;
mod numbers;
mod page;
mod table;

pub(crate) use inline::{Inline, fenced};
pub(crate) use numbers::{
    count, fixed, good, interval_ms, known, known_count, level, mib, millis, percentile_ms,
    seconds, share, token_sum, tps,
};
pub(crate) use page::Page;
pub(crate) use table::{Align, Table};
