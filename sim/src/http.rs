//! The bytes of an HTTP response around its content: status line, fields, chunks.

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The head of a streamed answer.
pub(crate) fn stream_head(close: bool) -> Vec<u8> {
    let kind = "text/event-stream; charset=utf-8";
    head("200 OK", kind, "transfer-encoding: chunked\r\n", close).into_bytes()
}

/// A response with its length; `fields` are further lines of its head.
pub(crate) fn response(
    status: &str,
    kind: &str,
    fields: &str,
    body: &[u8],
    close: bool,
) -> Vec<u8> {
    let fields = format!("{fields}content-length: {}\r\n", body.len());
    let mut out = head(status, kind, &fields, close).into_bytes();
    out.extend_from_slice(body);
    out
}

fn head(status: &str, kind: &str, fields: &str, close: bool) -> String {
    let close = if close { "connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nserver: regatta-sim\r\ncontent-type: {kind}\r\n{close}{fields}\r\n"
    )
}

/// One chunk of a chunked body.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.reserve(data.len() + 2 + LAST_CHUNK.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out
}
