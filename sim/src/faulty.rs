//! Writes answers that are not as they should be, one way for each fault.

use std::io;
use std::time::Duration;

use crate::events::DONE;
use crate::fault::Fault;
use crate::http::{LAST_CHUNK, chunk, response, stream_head};
use crate::stream::StreamWriter;

/// Between two drips.
const DRIP: Duration = Duration::from_millis(100);
/// Bytes of one write of what goes on for ever.
const BULK: usize = 64 << 10;
const JSON: &str = "application/json";
const ERROR: &str = r#"{"error":{"message":"the engine has run out of memory","code":500}}"#;
const ABORT: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}"#;
const NO_TEXT: &str = "data: {\"choices\":[]}\n\n";
/// Nothing, compressed.
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";

/// Whether another request may follow on the connection.
type MayFollow = bool;

/// Writes the answer to a request that a fault hits.
///
/// # Errors
/// The client has left, as it should at many of them.
pub(crate) async fn write_faulty(
    fault: Fault,
    writer: &mut StreamWriter<'_>,
    close: bool,
) -> io::Result<MayFollow> {
    let error = |form: &str| format!("data: {form}\n\n");
    match fault {
        Fault::CloseAtAccept => writer.whole(true).await.map(|()| false),
        Fault::ResetBeforeHead => writer.socket.reset_when_dropped().map(|()| false),
        Fault::CloseBeforeHead => Ok(false),
        Fault::NoHead => hold(writer).await,
        Fault::NoToken => {
            writer.head(&stream_head(close)).await?;
            hold(writer).await
        }
        Fault::Stall => {
            half(writer, close).await?;
            hold(writer).await
        }
        Fault::DripComments => drip(writer, close, ": keep-alive\n\n").await,
        Fault::DripEmpty => drip(writer, close, NO_TEXT).await,
        Fault::DripTokens => drip(writer, close, &writer.events.some_text()).await,
        Fault::ResetInStream => {
            half(writer, close).await?;
            writer.socket.reset_when_dropped().map(|()| false)
        }
        Fault::CloseInStream => {
            half(writer, close).await?;
            writer.now(&chunk(br#"data: {"choices":[{"del"#)).await.map(|()| false)
        }
        Fault::NoFinish => break_off(writer, close, "").await,
        Fault::DoneWithoutFinish => break_off(writer, close, DONE).await,
        Fault::ErrorEvent => break_off(writer, close, &error(ERROR)).await,
        Fault::ErrorString => {
            break_off(writer, close, &error(r#"{"error":"out of memory"}"#)).await
        }
        Fault::ErrorThenDone => break_off(writer, close, &(error(ERROR) + DONE)).await,
        Fault::Abort => break_off(writer, close, &(error(ABORT) + DONE)).await,
        Fault::ErrorBody => reply(writer, close, ("200 OK", JSON, ""), ERROR.as_bytes()).await,
        Fault::JsonBody => {
            let whole = writer.events.whole();
            reply(writer, close, ("200 OK", JSON, ""), &whole).await
        }
        Fault::BadJson => interject(writer, close, b"data: {\"choices\":[{\"del\n\n").await,
        Fault::BadUtf8 => {
            let event = b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n";
            interject(writer, close, event).await
        }
        Fault::BadChunk => {
            half(writer, close).await?;
            writer.now(b"some\r\ndata\r\n").await.map(|()| false)
        }
        Fault::NotHttp => writer.now(b"SSH-2.0-OpenSSH_9.6\r\n").await.map(|()| false),
        Fault::Gzip => {
            let head = ("200 OK", "text/event-stream", "content-encoding: gzip\r\n");
            reply(writer, close, head, GZIP).await
        }
        Fault::TooManyRequests => {
            let head = ("429 Too Many Requests", JSON, "retry-after: 7\r\n");
            reply(writer, close, head, br#"{"error":{"message":"too many requests"}}"#).await
        }
        Fault::Unavailable => {
            let body = br#"{"error":{"message":"the model is still loading"}}"#;
            reply(writer, close, ("503 Service Unavailable", JSON, ""), body).await
        }
        Fault::ServerError => {
            let body = b"<html><body><h1>500 Internal Server Error</h1></body></html>";
            reply(writer, close, ("500 Internal Server Error", "text/html", ""), body).await
        }
        Fault::Unauthorized => {
            let body = br#"{"error":"Unauthorized"}"#;
            reply(writer, close, ("401 Unauthorized", JSON, ""), body).await
        }
        Fault::Redirect => {
            reply(writer, close, ("302 Found", JSON, "location: /v1/models\r\n"), b"").await
        }
        Fault::EndlessLine => {
            half(writer, close).await?;
            repeat(writer, &chunk(&[b'x'; BULK]), (1 << 30) / BULK).await
        }
        Fault::EndlessTokens => {
            half(writer, close).await?;
            let event = chunk(writer.events.some_text().as_bytes());
            repeat(writer, &event.repeat(BULK / event.len()), usize::MAX).await
        }
        Fault::EndlessComments => {
            half(writer, close).await?;
            let comment = chunk(format!(": {}\n", "x".repeat(1000)).as_bytes());
            repeat(writer, &comment.repeat(BULK / comment.len()), usize::MAX).await
        }
        Fault::TinyComments => {
            half(writer, close).await?;
            repeat(writer, &chunk(b":\n").repeat(1000), 1000).await
        }
        Fault::LongHead => {
            let padding = format!("x-padding: {}\r\n", "x".repeat(4 << 10)).repeat(32);
            reply(writer, close, ("200 OK", "text/event-stream", &padding), b"").await
        }
        Fault::Empty => {
            writer.head(&stream_head(close)).await?;
            end(writer, close, &writer.events.tail()).await
        }
        Fault::WrongModel | Fault::NoUsage => writer.whole(close).await.map(|()| !close),
        Fault::NoDone => {
            let tail = writer.events.finish() + &writer.events.last_usage(1);
            all(writer, close, &tail, chunk).await
        }
        Fault::DoubleUsage => {
            let tail = writer.events.finish() + &writer.events.last_usage(2) + DONE;
            all(writer, close, &tail, chunk).await
        }
        Fault::CrLf => {
            let tail = writer.events.tail();
            all(writer, close, &tail, crlf).await
        }
        Fault::TinyChunks => {
            let tail = writer.events.tail();
            all(writer, close, &tail, tiny_chunks).await
        }
    }
}

/// Nothing more, until the client leaves.
async fn hold(writer: &mut StreamWriter<'_>) -> io::Result<MayFollow> {
    writer.socket.client_left().await;
    Ok(false)
}

/// The head and the first half of the tokens.
async fn half(writer: &mut StreamWriter<'_>, close: bool) -> io::Result<()> {
    writer.head(&stream_head(close)).await?;
    writer.text(writer.events.total().div_ceil(2), chunk).await
}

/// The end of a body in order, with these events before it, if any.
async fn end(writer: &mut StreamWriter<'_>, close: bool, events: &str) -> io::Result<MayFollow> {
    let mut bytes = if events.is_empty() { Vec::new() } else { chunk(events.as_bytes()) };
    bytes.extend_from_slice(LAST_CHUNK);
    writer.now(&bytes).await.map(|()| !close)
}

/// Half of the answer, and then these events instead of the rest.
async fn break_off(
    writer: &mut StreamWriter<'_>,
    close: bool,
    events: &str,
) -> io::Result<MayFollow> {
    half(writer, close).await?;
    end(writer, close, events).await
}

/// The whole answer with an event in its middle that is none.
async fn interject(
    writer: &mut StreamWriter<'_>,
    close: bool,
    event: &[u8],
) -> io::Result<MayFollow> {
    half(writer, close).await?;
    writer.now(&chunk(event)).await?;
    writer.text(u32::MAX, chunk).await?;
    let tail = writer.events.tail();
    end(writer, close, &tail).await
}

/// All the text in another form, and this tail.
async fn all(
    writer: &mut StreamWriter<'_>,
    close: bool,
    tail: &str,
    form: impl Fn(&[u8]) -> Vec<u8>,
) -> io::Result<MayFollow> {
    writer.head(&stream_head(close)).await?;
    writer.text(u32::MAX, &form).await?;
    writer.now(&form(tail.as_bytes())).await?;
    end(writer, close, "").await
}

/// Half of the answer, and then the same again and again, slowly.
async fn drip(writer: &mut StreamWriter<'_>, close: bool, event: &str) -> io::Result<MayFollow> {
    half(writer, close).await?;
    let bytes = chunk(event.as_bytes());
    loop {
        writer.pause(DRIP).await?;
        writer.now(&bytes).await?;
    }
}

/// The same bytes this many times, as fast as they are read, and then nothing.
async fn repeat(
    writer: &mut StreamWriter<'_>,
    bytes: &[u8],
    times: usize,
) -> io::Result<MayFollow> {
    for _ in 0..times {
        writer.now(bytes).await?;
    }
    hold(writer).await
}

/// A whole response: its status, type and further fields, and its body.
async fn reply(
    writer: &mut StreamWriter<'_>,
    close: bool,
    (status, kind, fields): (&str, &str, &str),
    body: &[u8],
) -> io::Result<MayFollow> {
    writer.now(&response(status, kind, fields, body, close)).await.map(|()| !close)
}

/// Events as some servers write them: CR LF, comments, and fields that a client need not know.
fn crlf(events: &[u8]) -> Vec<u8> {
    let mut out = b": a comment\r\nretry: 3000\r\nid: 7\r\nevent: message\r\n".to_vec();
    for byte in events {
        match byte {
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(*other),
        }
    }
    chunk(&out)
}

/// Every byte in its own chunk; with characters of two, three and four bytes.
fn tiny_chunks(events: &[u8]) -> Vec<u8> {
    const TEXT: &str = r#""delta":{"content":""#;
    let events =
        String::from_utf8_lossy(events).replace(TEXT, &format!("{TEXT}\u{e9}\u{6f22}\u{1f6a4}"));
    events.bytes().flat_map(|byte| chunk(&[byte])).collect()
}
