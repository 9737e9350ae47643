//! Asks an engine what it is and how it fares. Nothing here is measured: reqwest does it, over
//! its own connections, each request with its timeout.

use std::time::Duration;

use http::HeaderValue;
use http::header::{AUTHORIZATION, SERVER};
use regatta_types::clean::excerpt;
use regatta_types::facts::{EndpointLocation, EngineProcess, SocketId};
use regatta_types::reading::Reading;
use rustls::ClientConfig;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::engine::{self, Engine, ModelList, Props, ServerInfo, VersionAnswer};
use super::error::DiscoverError;
use super::event::body_text;
use super::exposition::Exposition;
use super::identity::USER_AGENT;
use crate::facts::process::{self, Incarnation};

/// For each question.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// For the metrics, which are asked for every second.
const METRICS_LIMIT: Duration = Duration::from_millis(900);
/// Longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// The answer of `/v1/models`.
pub(super) struct Listing {
    pub(super) list: ModelList,
    pub(super) server: Option<String>,
}

/// A client with what it needs to be let in.
#[derive(Debug)]
pub(super) struct EngineClient {
    client: reqwest::Client,
    /// Marked sensitive.
    authorization: Option<HeaderValue>,
}

struct RawAnswer {
    body: Vec<u8>,
    server: Option<String>,
}

impl EngineClient {
    pub(super) fn new(
        tls: ClientConfig,
        authorization: Option<HeaderValue>,
    ) -> Result<Self, DiscoverError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| DiscoverError::Client { why: root_cause(&error) })?;
        Ok(Self { client, authorization })
    }

    pub(super) async fn models(&self, address: &Address) -> Result<Listing, DiscoverError> {
        let url = address.url("/v1/models");
        let answer = self.get(&url, LIMIT).await?;
        let server = answer.server;
        match serde_json::from_slice(&answer.body) {
            Ok(list) => Ok(Listing { list, server }),
            Err(error) => Err(DiscoverError::NoList { url, why: error.to_string() }),
        }
    }

    /// What the engine says in Prometheus' format.
    pub(super) async fn metrics(&self, address: &Address) -> Result<Exposition, String> {
        let answer = self.get(&address.url("/metrics"), METRICS_LIMIT).await.map_err(short)?;
        Ok(Exposition::parse(&String::from_utf8_lossy(&answer.body)))
    }

    /// What else the engine reports. Anything it does not report is "not available" with the
    /// reason. `before` is what it reported last.
    pub(super) async fn engine(
        &self,
        address: &Address,
        listing: Option<Listing>,
        location: EndpointLocation,
        before: Option<&Engine>,
    ) -> Engine {
        let (list, server) = listing.map_or((None, None), |l| (Some(l.list), l.server));
        let metrics = match self.metrics(address).await {
            Ok(text) if text.is_empty() => Err("/metrics does not name a known engine".to_owned()),
            Ok(text) => Ok(text),
            Err(why) => Err(format!("/metrics: {why}")),
        };
        let named = engine::name(list.as_ref(), server.as_deref(), metrics.as_ref().ok());
        let name = named.known().map_or("", String::as_str);
        let mut props = None;
        let mut info = None;
        let version = if name.starts_with("llama.cpp") {
            match self.json::<Props>(&address.url("/props")).await {
                Ok(answer) => props.insert(answer).version(),
                Err(why) => Reading::missing(format!("/props: {why}")),
            }
        } else if name == "sglang" {
            match self.json::<ServerInfo>(&address.url("/get_server_info")).await {
                Ok(answer) => info.insert(answer).version(),
                Err(why) => Reading::missing(format!("/get_server_info: {why}")),
            }
        } else {
            let call = match name {
                "ollama" => "/api/version",
                "tgi" => "/info",
                _ => "/version",
            };
            match self.json::<VersionAnswer>(&address.url(call)).await {
                Ok(answer) => engine::version(&answer.version),
                Err(why) => Reading::missing(format!("{call}: {why}")),
            }
        };
        let (listener, flags) = match before.and_then(|b| Some((b.listener?, b.flags.clone()))) {
            // The process is the same, and so are its flags.
            Some((listener, flags)) if listener.is_alive() => (Some(listener), flags),
            Some(_) | None => started_with(location, name).await,
        };
        let process = process_of(listener, metrics.as_ref().ok(), before);
        let socket = socket(location).await;
        Engine {
            name: named,
            list,
            props,
            info,
            version,
            location,
            socket,
            metrics,
            listener,
            flags,
            process,
        }
    }

    async fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let answer = self.get(url, LIMIT).await.map_err(short)?;
        serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
    }

    async fn get(&self, url: &str, limit: Duration) -> Result<RawAnswer, DiscoverError> {
        let unreachable = |error: reqwest::Error| DiscoverError::Unreachable {
            url: url.to_owned(),
            why: if error.is_timeout() {
                format!("no answer within {limit:?}")
            } else {
                root_cause(&error)
            },
        };
        let mut request = self.client.get(url).timeout(limit);
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
                let why = "response exceeds 1 MiB".to_owned();
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

/// A reason for a cell of a table, without the URL, which stays on this host.
fn short(error: DiscoverError) -> String {
    if let DiscoverError::Refused { status, .. } = error {
        format!("status {status}")
    } else if let DiscoverError::Unreachable { why, .. } | DiscoverError::NoList { why, .. } = error
    {
        why
    } else {
        error.to_string()
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    excerpt(&cause.to_string(), 200)
}

/// The engine's process as the kernel knows it, else as the engine reports it.
fn process_of(
    listener: Option<Incarnation>,
    metrics: Option<&Exposition>,
    before: Option<&Engine>,
) -> EngineProcess {
    let seen = listener.map(Incarnation::state).or(metrics.map(Exposition::process));
    let seen = seen.unwrap_or_default();
    // Of one process always the same, even if somebody sets the wall clock.
    let same = before.filter(|before| listener.is_some() && before.listener == listener);
    EngineProcess { started: same.and_then(|same| same.process.started).or(seen.started), ..seen }
}

/// The socket behind the endpoint.
async fn socket(location: EndpointLocation) -> Option<SocketId> {
    let EndpointLocation::Loopback { port } = location else { return None };
    let reading = tokio::task::spawn_blocking(move || process::socket(port));
    tokio::time::timeout(LIMIT, reading).await.ok()?.ok()?
}

/// The process behind the endpoint, and how it was started.
async fn started_with(
    location: EndpointLocation,
    name: &str,
) -> (Option<Incarnation>, Reading<Vec<String>>) {
    let port = match location {
        EndpointLocation::Loopback { port } => port,
        EndpointLocation::Remote => {
            return (None, Reading::missing("the endpoint runs on another machine"));
        }
    };
    // Its flags say how it pretends, which is not how an engine is set up.
    let pretends = name == "regatta-sim";
    let read = move || -> Result<(Incarnation, Vec<String>), String> {
        let first = process::listeners(port)?.first().copied();
        let listener = first.ok_or_else(|| format!("no process listens on port {port}"))?;
        Ok((listener, if pretends { Vec::new() } else { listener.flags()? }))
    };
    let reading = tokio::task::spawn_blocking(read);
    match tokio::time::timeout(LIMIT, reading).await {
        Ok(Ok(Err(_))) | Ok(Err(_)) | Err(_) if pretends => (None, Reading::Known(Vec::new())),
        Ok(Ok(Ok((listener, flags)))) => (Some(listener), Reading::Known(flags)),
        Ok(Ok(Err(why))) => (None, Reading::missing(why)),
        Ok(Err(_)) => (None, Reading::missing("internal error in the agent")),
        Err(_) => (None, Reading::missing(format!("no answer from /proc within {LIMIT:?}"))),
    }
}
