//! The least of HTTP that a test needs beside the program: one request, one body, on loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for a connection's next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of `GET path` at `127.0.0.1:port`, which must answer 200.
///
/// # Panics
/// When it does not.
#[must_use]
pub fn get(port: u16, path: &str) -> String {
    exchange(port, &format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n"))
}

/// The body of the answer to a `POST` of JSON, which must be 200.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn post(port: u16, path: &str, json: &str) -> String {
    let length = json.len();
    exchange(
        port,
        &format!(
            "POST {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{json}"
        ),
    )
}

/// HTTP/1.0: no chunks, and the end of the connection is the end of the body.
fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a listening server");
    stream.set_read_timeout(Some(PATIENCE)).expect("a duration above zero");
    stream.write_all(request.as_bytes()).expect("a server that reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in UTF-8 and in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.lines().next().unwrap_or_default();
    assert!(status.contains(" 200"), "{status}: {body}");
    body.to_owned()
}
