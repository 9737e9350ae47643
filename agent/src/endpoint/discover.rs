//! Finds the endpoint and asks its engine what it is. Not measured: reqwest does it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use regatta_types::facts::EndpointLocation;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::SecretString;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::engine_client::{EngineClient, LIMIT, Listing};
use super::error::DiscoverError;
use super::handle::Endpoint;
use super::identity::authorization;
use super::stream_connection::Target;
use super::tls;

/// Where engines listen by default: vLLM, SGLang, llama.cpp, Ollama.
const USUAL_PORTS: [u16; 4] = [8000, 30000, 8080, 11434];

/// How to find an endpoint.
#[derive(Debug, Clone, Default)]
pub struct EndpointOptions {
    /// `host:port`, a base URL or a full path; absent: the usual ports of this machine.
    pub url: Option<String>,
    /// The model to ask for; absent: the only one there is.
    pub model: Option<String>,
    /// Sent as a bearer token; see [`super::key`].
    pub api_key: Option<SecretString>,
    /// Certificates to trust beside the system's, in PEM form.
    pub ca_file: Option<PathBuf>,
}

impl Endpoint {
    /// Finds the endpoint, its model and its engine. Takes at most about 15 s.
    ///
    /// # Errors
    /// When there is none, it does not answer, or the model is not to be decided; the text says
    /// what to do.
    pub async fn discover(options: &EndpointOptions) -> Result<Self, DiscoverError> {
        discover(options).await
    }
}

async fn discover(options: &EndpointOptions) -> Result<Endpoint, DiscoverError> {
    let tls = tls::config(options.ca_file.as_deref())?;
    let authorization = options.api_key.as_ref().map(authorization).transpose()?;
    let engine_client = EngineClient::new(tls.clone(), authorization.clone())?;
    let mut notices = Vec::new();
    let (address, listing) = match &options.url {
        Some(url) => {
            let address = Address::parse(url)?;
            let listing = match engine_client.models(&address).await {
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
            let (address, listing) = search(&engine_client, &USUAL_PORTS, &mut notices).await?;
            (address, Some(listing))
        }
    };
    let resolved = resolve(&address).await?;
    let location = location(&address, &resolved);
    let engine = engine_client.engine(&address, listing, location, None).await;
    let tls = if address.https { Some(connector(tls, &address)?) } else { None };
    let mut target = Target::new(address, resolved);
    target.tls = tls;
    target.authorization = authorization;
    let endpoint = Endpoint::new(Arc::new(target), Arc::new(engine), options.model.as_deref())?;
    Ok(endpoint.found_by(engine_client, notices))
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
    engine_client: &EngineClient,
    ports: &[u16],
    notices: &mut Vec<String>,
) -> Result<(Address, Listing), DiscoverError> {
    let answers = join_all(ports.iter().map(|&port| async move {
        let address = Address::loopback(port);
        engine_client.models(&address).await.map(|listing| (address, listing))
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
            "measuring port {}, but engines also answer on port {}. Choose one with --endpoint",
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
    if found.is_empty() { Err(failed("no address".to_owned())) } else { Ok(found) }
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
