//! Who asks: what every request says of the agent, measured or not.

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::error::DiscoverError;

/// Sent with every request.
pub(super) const USER_AGENT: &str = concat!("regatta/", env!("CARGO_PKG_VERSION"));

/// The key as a bearer token, marked sensitive.
pub(super) fn authorization(key: &SecretString) -> Result<HeaderValue, DiscoverError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
        .map_err(|_| DiscoverError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}
