//! Prompts of asked length, cut from a text that the agent carries.
//!
//! [`fit()`] finds how much of the [`text`] makes so many tokens by an engine's own count. Here is no
//! connection and no tokenizer: whoever calls does the counting.

pub mod fit;
pub mod text;

pub use fit::{Fitted, Uncounted, fit};
