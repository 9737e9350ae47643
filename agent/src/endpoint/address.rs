//! Where an endpoint is, as users write it: `host:port`, a base URL, `.../v1`, or the full path.

use reqwest::Url;

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error(
        "`{text}` is not an endpoint ({why}). Use host:port or http://host:port, IPv6 as \
         [::1]:8000"
    )]
    Syntax {
        /// What was given.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// Another scheme.
    #[error("unsupported scheme `{scheme}` for an endpoint. Use http or https")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// `user:password@`.
    #[error(
        "an endpoint URL must not contain a user or password. Pass the API key with --api-key-file \
         or --api-key-env"
    )]
    UserInfo,
    /// `?query` or `#fragment`.
    #[error("an endpoint URL must not have a query or fragment")]
    Query,
}

/// The base of an OpenAI-compatible API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) https: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The path before `/v1`, without a trailing slash; usually empty.
    prefix: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let syntax = |why: &str| AddressError::Syntax {
            text: regatta_types::clean::excerpt(text, 100),
            why: why.to_owned(),
        };
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&full).map_err(|error| {
            // The text may hold a password where a parser stumbles over it.
            if text.contains('@') { AddressError::UserInfo } else { syntax(&error.to_string()) }
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::UserInfo);
        }
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(AddressError::Scheme { scheme: other.to_owned() }),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        let host = url.host_str().ok_or_else(|| syntax("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or_else(|| syntax("no port"))?;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/chat/completions").unwrap_or(path);
        let prefix = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        Ok(Self { https, host, port, prefix })
    }

    pub(super) fn loopback(port: u16) -> Self {
        Self { https: false, host: "127.0.0.1".to_owned(), port, prefix: String::new() }
    }

    /// `host:port`, as the `Host` header has it.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The path of an API call, e.g. `/v1/models`.
    pub(super) fn path(&self, call: &str) -> String {
        format!("{}{call}", self.prefix)
    }

    /// The full URL of an API call.
    pub(super) fn url(&self, call: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path(call))
    }
}

/// Checks how a user writes an endpoint, before anything is started.
///
/// # Errors
/// What is wrong with it; the text repeats no password.
pub fn check_url(text: &str) -> Result<(), AddressError> {
    Address::parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_notation_gives_the_api_paths() {
        for (text, url) in [
            ("localhost:8000", "http://localhost:8000/v1/models"),
            ("127.0.0.1:8000/", "http://127.0.0.1:8000/v1/models"),
            ("http://gpu-01:8080", "http://gpu-01:8080/v1/models"),
            ("http://gpu-01:8080/v1", "http://gpu-01:8080/v1/models"),
            ("http://gpu-01:8080/v1/", "http://gpu-01:8080/v1/models"),
            ("gpu-01:8080/v1/chat/completions", "http://gpu-01:8080/v1/models"),
            ("https://api.lab/llm/v1", "https://api.lab:443/llm/v1/models"),
            ("https://api.lab/llm", "https://api.lab:443/llm/v1/models"),
            ("[::1]:8000", "http://[::1]:8000/v1/models"),
            ("http://[fe80::1]", "http://[fe80::1]:80/v1/models"),
        ] {
            assert_eq!(Address::parse(text).unwrap().url("/v1/models"), url, "{text}");
        }
    }

    #[test]
    fn invalid_endpoints_are_errors_with_a_hint() {
        for (text, part) in [
            ("", "is not an endpoint"),
            ("::1:8000", "is not an endpoint"),
            ("host:99999", "is not an endpoint"),
            ("ftp://host", "Use http or https"),
            ("http://user:secret@host:1", "API key"),
            ("user:secret@host:99999", "API key"),
            ("http://host/?a=1", "query"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
