//! Finds the endpoint and asks its engine what it is. Not measured: reqwest does it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use futures_util::future::join_all;
use http::HeaderValue;
use regatta_types::facts::EndpointLocation;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::TlsConnector;

use super::address::{Address, AddressError};
use super::asker::{Asker, LIMIT, Listing};
use super::lane::Target;
use super::tls::{self, TlsError};
use super::{Endpoint, EndpointOptions};

/// Where engines listen by default: vLLM, SGLang, llama.cpp, Ollama.
const USUAL_PORTS: [u16; 4] = [8000, 30000, 8080, 11434];

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

pub(super) async fn discover(options: &EndpointOptions) -> Result<Endpoint, DiscoverError> {
    let tls = tls::config(options.ca_file.as_deref())?;
    let authorization = options.api_key.as_ref().map(authorization).transpose()?;
    let asker = Asker::new(tls.clone(), authorization.clone())?;
    let mut notices = Vec::new();
    let (address, listing) = match &options.url {
        Some(url) => {
            let address = Address::parse(url)?;
            let listing = match asker.models(&address).await {
                Ok(listing) => Some(listing),
                // Some servers cannot list their models but answer for them.
                Err(
                    error @ (DiscoverError::Refused { status: 404 | 405 | 500 | 501, .. }
                    | DiscoverError::NoList { .. }),
                ) if options.model.is_some() => {
                    notices.push(error.to_string());
                    None
                }
                Err(error) => return Err(error),
            };
            (address, listing)
        }
        None => {
            let (address, listing) = search(&asker, &USUAL_PORTS, &mut notices).await?;
            (address, Some(listing))
        }
    };
    let resolved = resolve(&address).await?;
    let location = location(&address, &resolved);
    let engine = asker.engine(&address, listing, location, None).await;
    let tls = if address.https { Some(connector(tls, &address)?) } else { None };
    let mut target = Target::new(address, resolved);
    target.tls = tls;
    target.authorization = authorization;
    let mut endpoint = Endpoint::new(Arc::new(target), Arc::new(engine), options.model.as_deref())?;
    endpoint.asker = Some(Arc::new(asker));
    endpoint.notices = notices;
    Ok(endpoint)
}

fn authorization(key: &SecretString) -> Result<HeaderValue, DiscoverError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
        .map_err(|_| DiscoverError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

fn connector(
    config: ClientConfig,
    address: &Address,
) -> Result<(TlsConnector, ServerName<'static>), DiscoverError> {
    let name = ServerName::try_from(address.host.clone()).map_err(|error| {
        DiscoverError::Resolve { host: address.host.clone(), why: error.to_string() }
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// Asks the usual ports at once; of several that answer, the first in order is taken.
async fn search(
    asker: &Asker,
    ports: &[u16],
    notices: &mut Vec<String>,
) -> Result<(Address, Listing), DiscoverError> {
    let answers = join_all(ports.iter().map(|&port| async move {
        let address = Address::loopback(port);
        asker.models(&address).await.map(|listing| (address, listing))
    }))
    .await;
    let mut found = Vec::new();
    let mut refusal = None;
    for answer in answers {
        match answer {
            Ok(engine) => found.push(engine),
            Err(error @ DiscoverError::Refused { .. }) => refusal = refusal.or(Some(error)),
            // Nothing there, or something else that speaks on that port.
            Err(_) => {}
        }
    }
    let mut found = found.into_iter();
    let Some(first) = found.next() else { return Err(refusal.unwrap_or(DiscoverError::NoEngine)) };
    let others: Vec<String> = found.map(|(address, _)| address.port.to_string()).collect();
    if !others.is_empty() {
        notices.push(format!(
            "port {} is measured; engines answer on port {} too: choose with --endpoint",
            first.0.port,
            others.join(", ")
        ));
    }
    Ok(first)
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, DiscoverError> {
    let failed = |why: String| DiscoverError::Resolve { host: address.host.clone(), why };
    let lookup = tokio::net::lookup_host((address.host.as_str(), address.port));
    let found = tokio::time::timeout(LIMIT, lookup)
        .await
        .map_err(|_| failed(format!("no answer within {LIMIT:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(failed("it has none".to_owned())) } else { Ok(found) }
}

/// Whether an endpoint is on this machine: all its addresses are loopback or the machine's own.
fn location(address: &Address, resolved: &[SocketAddr]) -> EndpointLocation {
    // Only an address of one's own can be bound to.
    let own =
        |ip: IpAddr| ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok();
    if resolved.iter().all(|socket| own(socket.ip())) {
        EndpointLocation::Loopback { port: address.port }
    } else {
        EndpointLocation::Remote
    }
}

#[cfg(test)]
mod tests;
