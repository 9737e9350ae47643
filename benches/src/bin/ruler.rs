//! The ruler: a typical streaming client in Rust, the reference for Regatta.
//!
//! hyper with its connection in its own task, a small splitter of server-sent events,
//! `serde_json` into owned structs, the clock read at each piece of the body, TTFT from just before
//! `send_request`. Do not make it cleverer or slower.

#![expect(clippy::disallowed_types, reason = "such clients read std's clock")]

use std::cell::Cell;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

/// A closed loop of streams against an OpenAI-compatible endpoint.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// Address of the endpoint.
    address: SocketAddr,
    #[arg(long, default_value = "regatta-sim")]
    model: String,
    #[arg(long, default_value_t = 32)]
    streams: u32,
    /// In all.
    #[arg(long, default_value_t = 640)]
    requests: u32,
    #[arg(long, default_value_t = 512)]
    max_tokens: u32,
    /// Only read, and throw the bytes away: the limit of what any client can do.
    #[arg(long)]
    discard: bool,
    /// One JSON line for each request.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Event {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: u64,
}

/// One answer as the client saw it.
struct Answer {
    number: u32,
    sent: Instant,
    chunks: Vec<Instant>,
    text: String,
    finish_reason: Option<String>,
    tokens: u64,
    /// Pieces in which the body came.
    pieces: u64,
}

#[derive(Serialize)]
struct Line {
    id: String,
    ttft_ns: u64,
    gaps_ns: Vec<u64>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    if args.discard {
        return local.block_on(&runtime, discard(args));
    }
    let answers = local.block_on(&runtime, run(args.clone()))?;
    let tokens: u64 = answers.iter().map(|a| a.tokens).sum();
    let chunks: usize = answers.iter().map(|a| a.chunks.len()).sum();
    let pieces: u64 = answers.iter().map(|a| a.pieces).sum();
    ensure!(answers.iter().all(|a| a.finish_reason.is_some() && !a.text.is_empty()), "an answer");
    if let Some(path) = &args.out {
        let mut out = BufWriter::new(File::create(path)?);
        for answer in &answers {
            serde_json::to_writer(&mut out, &line(answer)?)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
    }
    #[expect(clippy::print_stdout, reason = "its result")]
    {
        println!(r#"{{"tokens":{tokens},"chunks":{chunks},"pieces":{pieces}}}"#);
    }
    Ok(())
}

fn line(answer: &Answer) -> anyhow::Result<Line> {
    let nanos = |from: Instant, to: Instant| u64::try_from((to - from).as_nanos());
    let first = answer.chunks.first().context("an answer without text")?;
    let gaps = answer.chunks.windows(2).map(|pair| nanos(pair[0], pair[1]));
    Ok(Line {
        id: id(answer.number),
        ttft_ns: nanos(answer.sent, *first)?,
        gaps_ns: gaps.collect::<Result<_, _>>()?,
    })
}

fn id(number: u32) -> String {
    format!("ruler/{number}")
}

/// All answers. Every connection is open before the first request is sent.
async fn run(args: Args) -> anyhow::Result<Vec<Answer>> {
    let mut connections = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..args.streams {
        let tcp = TcpStream::connect(args.address).await?;
        tcp.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(tcp)).await?;
        connections.spawn_local(connection);
        senders.push(sender);
    }
    let args = Rc::new(args);
    let next = Rc::new(Cell::new(0));
    let mut streams = JoinSet::new();
    for sender in senders {
        streams.spawn_local(stream(sender, Rc::clone(&args), Rc::clone(&next)));
    }
    let mut answers = Vec::new();
    while let Some(done) = streams.join_next().await {
        answers.extend(done??);
    }
    Ok(answers)
}

async fn stream(
    mut sender: SendRequest<Full<Bytes>>,
    args: Rc<Args>,
    next: Rc<Cell<u32>>,
) -> anyhow::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    while next.get() < args.requests {
        let number = next.replace(next.get() + 1);
        sender.ready().await?;
        answers.push(request(&mut sender, &args, number).await?);
    }
    Ok(answers)
}

async fn request(
    sender: &mut SendRequest<Full<Bytes>>,
    args: &Args,
    number: u32,
) -> anyhow::Result<Answer> {
    let request = Request::post("/v1/chat/completions")
        .header("host", args.address.to_string())
        .header("content-type", "application/json")
        .header("x-request-id", id(number))
        .body(Full::new(Bytes::from(body(args, number))))?;
    let mut answer = Answer {
        number,
        sent: Instant::now(),
        chunks: Vec::new(),
        text: String::new(),
        finish_reason: None,
        tokens: 0,
        pieces: 0,
    };
    let response = sender.send_request(request).await?;
    ensure!(response.status() == 200, "status {}", response.status());
    let mut body = response.into_body();
    let mut buffer = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let now = Instant::now();
        answer.pieces += 1;
        buffer.extend_from_slice(&data);
        let mut begin = 0;
        while let Some(length) = buffer[begin..].windows(2).position(|two| two == b"\n\n") {
            event(&buffer[begin..begin + length], now, &mut answer)?;
            begin += length + 2;
        }
        buffer.drain(..begin);
    }
    Ok(answer)
}

fn event(event: &[u8], now: Instant, answer: &mut Answer) -> anyhow::Result<()> {
    let Some(data) = event.strip_prefix(b"data: ") else { bail!("an event without data") };
    if data == b"[DONE]" {
        return Ok(());
    }
    let event: Event = serde_json::from_slice(data)?;
    for choice in event.choices {
        if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
            answer.chunks.push(now);
            answer.text.push_str(&text);
        }
        if choice.finish_reason.is_some() {
            answer.finish_reason = choice.finish_reason;
        }
    }
    if let Some(usage) = event.usage {
        answer.tokens = usage.completion_tokens;
    }
    Ok(())
}

fn body(args: &Args, number: u32) -> String {
    format!(
        r#"{{"model":"{}","messages":[{{"role":"user","content":"{number}: Tell me of the sea, of the ships on it and of the harbours they come from."}}],"max_tokens":{},"temperature":0,"ignore_eos":true,"stream":true,"stream_options":{{"include_usage":true}}}}"#,
        args.model, args.max_tokens
    )
}

/// The same requests, each over a connection that the server closes at its end.
async fn discard(args: Args) -> anyhow::Result<()> {
    let args = Rc::new(args);
    let next = Rc::new(Cell::new(0));
    let mut streams = JoinSet::new();
    for _ in 0..args.streams {
        let (args, next) = (Rc::clone(&args), Rc::clone(&next));
        streams.spawn_local(async move {
            let mut buffer = vec![0; 16 << 10];
            while next.get() < args.requests {
                let number = next.replace(next.get() + 1);
                let mut tcp = TcpStream::connect(args.address).await?;
                tcp.set_nodelay(true)?;
                let body = body(&args, number);
                let head = format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    args.address,
                    body.len()
                );
                tcp.write_all((head + &body).as_bytes()).await?;
                while tcp.read(&mut buffer).await? > 0 {}
            }
            Ok::<_, std::io::Error>(())
        });
    }
    while let Some(done) = streams.join_next().await {
        done??;
    }
    Ok(())
}
