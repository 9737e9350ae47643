//! What an engine can do beyond answering, found out before a run.

use std::collections::HashMap;

use regatta_types::suite::TextPrompt;

use crate::prompt::Fitted;

/// What was found out of an engine for the cases of a run. The default is an engine of which nothing
/// is known: it is sent what every engine understands.
#[derive(Debug, Clone, Default)]
pub struct Abilities {
    /// The texts that the cases ask for, or why there is none of that length.
    pub texts: HashMap<TextPrompt, Result<Fitted, String>>,
}

impl Abilities {
    /// The text of a case, or a sentence that says why there is none.
    pub(super) fn text(&self, asked: TextPrompt) -> Result<Fitted, String> {
        match self.texts.get(&asked) {
            Some(Ok(fitted)) => Ok(*fitted),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("no text of {} tokens was fitted to the engine", asked.tokens)),
        }
    }
}
