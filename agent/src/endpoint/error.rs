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
    #[error("the API key contains characters that are not allowed in an HTTP header")]
    Key,
    /// No HTTP client.
    #[error("cannot set up an HTTP client: {why}")]
    Client {
        /// What went wrong.
        why: String,
    },
    /// The host's name.
    #[error("cannot resolve `{host}`: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// Nothing on the usual ports.
    #[error(
        "no engine answers on loopback ports 8000, 30000, 8080 or 11434. Start the engine or set \
         --endpoint HOST:PORT"
    )]
    NoEngine,
    /// No answer.
    #[error("no answer from {url} ({why}). Is the engine running?")]
    Unreachable {
        /// What was tried.
        url: String,
        /// The innermost cause: the errors around it name only layers of the client.
        why: String,
    },
    /// An answer, but a refusal.
    #[error("{url} returned status {status}: {said}{}", hint(*status))]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// What the endpoint says.
        said: String,
    },
    /// An answer, but no model list.
    #[error("{url} is not an OpenAI-compatible endpoint ({why}). Check the address and port")]
    NoList {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The list is empty, or there is none.
    #[error("the endpoint lists no model. Load one or set --model")]
    NoModel,
    /// Several models and no choice.
    #[error("the endpoint serves several models: {listed}. Choose one with --model")]
    ManyModels {
        /// Their ids.
        listed: String,
    },
    /// Not listed.
    #[error("the endpoint does not serve `{model}`. Available: {listed}")]
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
        401 | 403 => ". Pass the API key with --api-key-file or --api-key-env",
        503 => ". The engine may still be loading its model. Try again later",
        _ => "",
    }
}
