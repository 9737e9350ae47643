//! Prompts of a requested length, cut from a text that the agent contains.
//!
//! [`fit()`] finds how much of the [`text`] makes the requested number of tokens, as the engine
//! counts them. This module has no connection and no tokenizer: the caller counts.

pub mod fit;
pub mod text;

pub use fit::{Fitted, Uncounted, fit};
