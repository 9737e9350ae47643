//! Finds the endpoint and asks its engine what it is. Not measured: reqwest does it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderValue;
use http::header::{AUTHORIZATION, SERVER};
use regatta_types::clean::excerpt;
use regatta_types::facts::EndpointLocation;
use regatta_types::reading::Reading;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio_rustls::TlsConnector;

use super::address::{Address, AddressError};
use super::engine::{self, Engine, ModelList, Props, VersionAnswer};
use super::event::body_text;
use super::lane::Target;
use super::tls::{self, TlsError};
use super::{Endpoint, EndpointOptions};

/// Where engines listen by default: vLLM, SGLang, llama.cpp, Ollama.
const USUAL_PORTS: [u16; 4] = [8000, 30000, 8080, 11434];
/// For each of the few requests made here.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

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

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; give the API key as a file or environment variable",
        503 => "; the engine may still be loading its model: wait and try again",
        _ => "",
    }
}

pub(super) async fn discover(options: &EndpointOptions) -> Result<Endpoint, DiscoverError> {
    let tls = tls::config(options.ca_file.as_deref())?;
    let asker = Asker {
        client: reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .user_agent(super::USER_AGENT)
            .build()
            .map_err(|error| DiscoverError::Client { why: root_cause(&error) })?,
        authorization: options.api_key.as_ref().map(authorization).transpose()?,
    };
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
    let engine = asker.engine(&address, listing, location).await;
    let tls = if address.https { Some(connector(tls, &address)?) } else { None };
    let mut target = Target::new(address, resolved);
    target.tls = tls;
    target.authorization = asker.authorization;
    let mut endpoint = Endpoint::new(Arc::new(target), Arc::new(engine), options.model.as_deref())?;
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

/// The answer of `/v1/models`.
struct Listing {
    list: ModelList,
    server: Option<String>,
}

struct Asker {
    client: reqwest::Client,
    authorization: Option<HeaderValue>,
}

impl Asker {
    async fn models(&self, address: &Address) -> Result<Listing, DiscoverError> {
        let url = address.url("/v1/models");
        let answer = self.get(&url).await?;
        let server = answer.server;
        match serde_json::from_slice(&answer.body) {
            Ok(list) => Ok(Listing { list, server }),
            Err(error) => Err(DiscoverError::NoList { url, why: error.to_string() }),
        }
    }

    /// What else the engine says. Whatever it does not is "not available" with the reason.
    async fn engine(
        &self,
        address: &Address,
        listing: Option<Listing>,
        location: EndpointLocation,
    ) -> Engine {
        let (list, server) = listing.map_or((None, None), |l| (Some(l.list), l.server));
        let name = list.as_ref().map(|list| engine::name(list, server.as_deref()));
        let name = name.as_ref().and_then(|name| name.known()).map_or("", String::as_str);
        let mut props = None;
        let version = if name.starts_with("llama.cpp") {
            match self.json::<Props>(&address.url("/props")).await {
                Ok(answer) => props.insert(answer).version(),
                Err(why) => Reading::missing(why),
            }
        } else {
            let call = match name {
                "ollama" => "/api/version",
                "sglang" => "/get_server_info",
                _ => "/version",
            };
            match self.json::<VersionAnswer>(&address.url(call)).await {
                Ok(answer) => engine::version(&answer.version),
                Err(why) => Reading::missing(format!("{call}: {why}")),
            }
        };
        Engine { list, server, props, version, location }
    }

    async fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let answer = self.get(url).await.map_err(|error| {
            if let DiscoverError::Refused { status, .. } = error {
                format!("status {status}")
            } else {
                error.to_string()
            }
        })?;
        serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
    }

    async fn get(&self, url: &str) -> Result<RawAnswer, DiscoverError> {
        let unreachable = |error: reqwest::Error| DiscoverError::Unreachable {
            url: url.to_owned(),
            why: root_cause(&error),
        };
        let mut request = self.client.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let server = response
            .headers()
            .get(SERVER)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER {
                let why = "its answer is over 1 MiB".to_owned();
                return Err(DiscoverError::NoList { url: url.to_owned(), why });
            }
        }
        if status.is_success() {
            Ok(RawAnswer { body, server })
        } else {
            Err(DiscoverError::Refused {
                url: url.to_owned(),
                status: status.as_u16(),
                said: excerpt(&body_text(&body), 200),
            })
        }
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {LIMIT:?}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    excerpt(&cause.to_string(), 200)
}

struct RawAnswer {
    body: Vec<u8>,
    server: Option<String>,
}

#[cfg(test)]
mod tests;
