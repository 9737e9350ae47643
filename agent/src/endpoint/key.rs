//! The endpoint's API key: read from a file or an environment variable, never from the command
//! line, which other users of the machine can see.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the API key from {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Nothing is in it.
    #[error("{source_name} contains no API key")]
    Empty {
        /// The file or variable.
        source_name: String,
    },
    /// The variable is not set.
    #[error("environment variable {name} is not set. Set it to the API key")]
    Unset {
        /// The variable.
        name: String,
    },
    /// It cannot stand in a header.
    #[error(
        "the API key in {source_name} contains characters that are not allowed in an HTTP \
        header"
    )]
    Unusable {
        /// The file or variable.
        source_name: String,
    },
}

/// Reads the key from a file; white space around it is dropped.
///
/// # Errors
/// When the file cannot be read, or holds nothing that can be a key.
pub fn from_file(path: &Path) -> Result<SecretString, KeyError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    checked(&text, path.display().to_string())
}

/// Reads the key from the environment variable `name`.
///
/// # Errors
/// When it is not set, or holds nothing that can be a key.
#[expect(clippy::disallowed_methods, reason = "the user names the variable; clap cannot know it")]
pub fn from_env(name: &str) -> Result<SecretString, KeyError> {
    let text = std::env::var(name).map_err(|_| KeyError::Unset { name: name.to_owned() })?;
    checked(&text, format!("environment variable {name}"))
}

fn checked(text: &str, source_name: String) -> Result<SecretString, KeyError> {
    let key = text.trim();
    if key.is_empty() {
        Err(KeyError::Empty { source_name })
    } else if key.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(SecretString::from(key))
    } else {
        Err(KeyError::Unusable { source_name })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_file_can_end_in_a_newline() {
        let key = checked("sk-1\r\n", "f".to_owned()).unwrap();
        assert_eq!(key.expose_secret(), "sk-1");
        assert!(!format!("{key:?}").contains("sk-1"));
    }

    #[test]
    fn an_invalid_key_is_an_error_that_does_not_show_it() {
        for text in ["", " \n", "two words", "line\nbreak", "k\u{e9}y"] {
            let error = checked(text, "the file".to_owned()).unwrap_err().to_string();
            assert!(error.contains("the file"), "{error}");
        }
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = from_env("REGATTA_TEST_NO_SUCH_VARIABLE").unwrap_err();
        assert!(error.to_string().contains("REGATTA_TEST_NO_SUCH_VARIABLE"));
    }
}
