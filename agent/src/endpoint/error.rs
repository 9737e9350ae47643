//! Why there is no endpoint to measure.

use super::address::AddressError;
use super::tls::TlsError;

/// Why there is no endpoint to measure.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The URL.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key cannot stand in a header.
    #[error("the API key has characters that a header cannot hold")]
    Key,
    /// No HTTP client.
    #[error("cannot set up an HTTP client: {why}")]
    Client {
        /// What went wrong.
        why: String,
    },
    /// The host's name.
    #[error("cannot find the address of `{host}`: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// Nothing on the usual ports.
    #[error(
        "no engine answers on this machine's ports 8000, 30000, 8080 or 11434; start it, or say where it is with --endpoint HOST:PORT"
    )]
    NoEngine,
    /// No answer.
    #[error(
        "the endpoint does not answer at {url} ({why}); check that the engine is running there"
    )]
    Unreachable {
        /// What was tried.
        url: String,
        /// The innermost cause: what stands around it names only the layers of the client.
        why: String,
    },
    /// An answer, but a refusal.
    #[error("{url} answers with status {status}: {said}{}", hint(*status))]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// What the endpoint says.
        said: String,
    },
    /// An answer, but no model list.
    #[error(
        "{url} does not answer like an OpenAI-compatible endpoint ({why}); check the address and port"
    )]
    NoList {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The list is empty, or there is none.
    #[error("the endpoint lists no model; load one, or name it with --model")]
    NoModel,
    /// Several models and no choice.
    #[error("the endpoint serves several models; choose one with --model: {listed}")]
    ManyModels {
        /// Their ids.
        listed: String,
    },
    /// Not listed.
    #[error("the endpoint does not serve `{model}`; it has: {listed}")]
    UnknownModel {
        /// What was asked for.
        model: String,
        /// What there is.
        listed: String,
    },
}

impl DiscoverError {
    /// Whether the endpoint is there and only its model is not.
    pub(crate) fn is_about_the_model(&self) -> bool {
        match self {
            Self::NoModel | Self::ManyModels { .. } | Self::UnknownModel { .. } => true,
            Self::Address(_)
            | Self::Tls(_)
            | Self::Key
            | Self::Client { .. }
            | Self::Resolve { .. }
            | Self::NoEngine
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::NoList { .. } => false,
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; give the API key as a file or environment variable",
        503 => "; the engine may still be loading its model: wait and try again",
        _ => "",
    }
}
