//! Token counts by a tokenizer file of the user's, for engines that give none.
//!
//! It counts between attempts, never while requests run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regatta_types::trace::{RequestTrace, TokenSource};
use tracing::warn;

/// A `tokenizer.json`, as models are published with.
pub struct Tokenizer(tokenizers::Tokenizer);

/// It cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: invalid tokenizer.json: {reason}", file.display())]
pub struct TokenizerError {
    file: PathBuf,
    reason: String,
}

impl Tokenizer {
    /// Reads the file.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn open(file: &Path) -> Result<Self, TokenizerError> {
        let wrong = |reason: String| TokenizerError { file: file.to_owned(), reason };
        let text = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
        let mut tokenizer =
            tokenizers::Tokenizer::from_bytes(text).map_err(|e| wrong(e.to_string()))?;
        // What a file says of input to a model is not meant for its answers.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| wrong(e.to_string()))?;
        Ok(Self(tokenizer))
    }

    fn tokens(&self, text: &str) -> Option<u64> {
        // Markers such as the end of the text are no part of what an engine sends.
        self.0.encode_fast(text, false).ok()?.len().try_into().ok()
    }

    /// Counts the tokens of each answer that has its text and no count.
    pub(super) async fn count(self: Arc<Self>, traces: &mut [RequestTrace]) {
        let uncounted = |trace: &&mut RequestTrace| {
            trace.answer.text.is_some() && trace.token_source() == Some(TokenSource::Chunks)
        };
        let mut uncounted: Vec<&mut RequestTrace> = traces.iter_mut().filter(uncounted).collect();
        let texts: Vec<String> = uncounted.iter().filter_map(|t| t.answer.text.clone()).collect();
        let counting = tokio::task::spawn_blocking(move || {
            texts.iter().map(|text| self.tokens(text)).collect::<Vec<_>>()
        });
        match counting.await {
            Ok(counts) => {
                for (trace, count) in uncounted.iter_mut().zip(counts) {
                    trace.tokenizer_count = count;
                }
            }
            Err(error) => warn!(%error, "tokenizer failed, counting answers by chunks"),
        }
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_tokenizer_file_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokenizer.json");
        let absent = Tokenizer::open(&file).unwrap_err().to_string();
        assert!(
            absent.contains("tokenizer.json: invalid tokenizer.json: No such file"),
            "{absent}"
        );
        std::fs::write(&file, r#"{"vocab": {}}"#).unwrap();
        Tokenizer::open(&file).unwrap_err();
    }
}
