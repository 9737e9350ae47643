//! Conversions between the vocabulary and the generated messages, one file per `.proto`.
//!
//! To the wire they never fail; from the wire they check every field.

mod attempt;
mod check;
mod engine;
mod facts;
mod gpu;
mod record;
mod suite;
mod trace;

pub(crate) use check::checks;
