//! A scripted endpoint for tests: raw bytes, hang-ups and silences on a real socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regatta_types::facts::{EndpointLocation, EngineProcess};
use regatta_types::ids::AttemptKey;
use regatta_types::reading::Reading;
use regatta_types::testing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Endpoint;
use super::address::Address;
use super::engine::{Engine, ModelList};
use super::stream_connection::Target;

/// One thing the server does in answer to a request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Vec<u8>),
    /// Writes the same bytes until the client leaves.
    Flood(Vec<u8>),
    /// Waits until the test says so.
    Wait(Arc<Notify>),
    /// Says nothing more; waits for the client to leave.
    Hang,
    Close,
    Reset,
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The server; it ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers request `n` (from 0) for `path` with the steps `script(n, path)`, and goes on with
    /// the next request of the connection unless they end it.
    pub(crate) async fn start(
        script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let (script, all) = (Arc::new(script), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { break };
                let (script, seen) = (Arc::clone(&script), Arc::clone(&all));
                connections.spawn(async move {
                    let _ = serve(stream, connection, &*script, &seen).await;
                });
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    /// One script for every request.
    pub(crate) async fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_, _| steps.clone()).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        endpoint_at(self.address)
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &(impl Fn(usize, &str) -> Vec<Step> + Send + Sync),
    seen: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let Some((head, body)) = read_request(&mut stream).await? else { return Ok(()) };
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(Seen { connection, head, body });
            seen.len() - 1
        };
        for step in script(number, &path) {
            match step {
                Step::Write(bytes) => stream.write_all(&bytes).await?,
                Step::Flood(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Step::Wait(notify) => notify.notified().await,
                Step::Hang => {
                    let mut rest = [0; 64];
                    while stream.read(&mut rest).await? > 0 {}
                    return Ok(());
                }
                Step::Close => return stream.shutdown().await,
                Step::Reset => return stream.set_zero_linger(),
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<(String, String)>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, String::from_utf8_lossy(&bytes[head_end..]).into_owned())))
}

/// The first attempt at a case.
pub(crate) fn attempt_key() -> AttemptKey {
    testing::attempt_key("case")
}

/// An endpoint on this machine that was not asked anything.
pub(crate) fn endpoint_at(address: SocketAddr) -> Endpoint {
    endpoint_in(address, EndpointLocation::Loopback { port: address.port() })
}

/// The same, wherever it is said to be.
pub(crate) fn endpoint_in(address: SocketAddr, location: EndpointLocation) -> Endpoint {
    let parsed = Address::parse(&address.to_string()).unwrap();
    let target = Target::new(parsed, vec![address]);
    let list: ModelList =
        serde_json::from_str(r#"{"data":[{"id":"tiny"},{"id":"other"}]}"#).unwrap();
    let engine = Engine {
        list: Some(list),
        name: Reading::missing("a test"),
        props: None,
        info: None,
        version: Reading::missing("a test"),
        location,
        socket: None,
        metrics: Err("a test".to_owned()),
        listener: None,
        flags: Reading::missing("a test"),
        process: EngineProcess::default(),
    };
    Endpoint::new(Arc::new(target), Arc::new(engine), Some("tiny")).unwrap()
}

/// Bytes of a response's head that opens a stream.
pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One HTTP chunk.
pub(crate) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// An event in its own HTTP chunk.
pub(crate) fn event(data: &str) -> String {
    chunk(&format!("data: {data}\n\n"))
}

/// An event with text.
pub(crate) fn content(text: &str) -> String {
    event(&format!(
        r#"{{"model":"tiny","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#
    ))
}

pub(crate) const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
pub(crate) const USAGE: &str =
    r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// A whole answer of this many pieces of text, keep-alive.
pub(crate) fn answer(pieces: usize) -> Vec<u8> {
    let mut text = STREAM_HEAD.to_owned();
    for n in 0..pieces {
        text += &content(&format!(" word{n}"));
    }
    let usage =
        USAGE.replace("\"completion_tokens\":2", &format!("\"completion_tokens\":{pieces}"));
    text += &(event(FINISH) + &event(&usage) + &event("[DONE]") + "0\r\n\r\n");
    text.into_bytes()
}

/// A response that is no stream.
pub(crate) fn plain(status: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Fails a test that hangs.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .unwrap_or_else(|_| panic!("{what} hangs"))
}
