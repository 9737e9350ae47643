//! The server's own record: one JSON line a chat request, written by its own thread so that
//! no disk delays a token.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use regatta_types::time::MonoNs;
use serde::Serialize;

use crate::fault::Fault;

/// Lines that may wait for the disk.
const QUEUE: usize = 4096;

/// One request. Stamps are nanoseconds of `CLOCK_MONOTONIC`; absent is `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// The request's `X-Request-Id`.
    pub(crate) id: Option<String>,
    /// Position among the answered requests, from 0; decides jitter.
    pub(crate) number: Option<u64>,
    /// When the last bytes of the request arrived, by the kernel's stamp.
    pub(crate) received_ns: u64,
    /// When the request's turn came: differs from `received_ns` only with a `parallel` limit.
    pub(crate) started_ns: Option<u64>,
    /// When the write of the first chunk with text had ended.
    pub(crate) first_write_ns: Option<u64>,
    /// For each chunk with text: when its write began.
    pub(crate) write_begin_ns: Vec<u64>,
    /// For each chunk with text: when its write had ended.
    pub(crate) write_end_ns: Vec<u64>,
    /// For each chunk with text: its tokens.
    pub(crate) chunk_tokens: Vec<u32>,
    /// Of the request.
    pub(crate) prompt_tokens: Option<u32>,
    /// Tokens sent.
    pub(crate) completion_tokens: u32,
    /// 200, or why it was refused.
    pub(crate) http_status: u16,
    /// The fault that hit it.
    pub(crate) fault: Option<&'static str>,
    /// `ok`, `refused`, `fault`, or `gone`: the connection ended first.
    pub(crate) end: &'static str,
}

/// The line of a request that is being answered; written when it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    entry: Entry,
    sink: Option<LogSink>,
}

impl Line {
    /// Without a sink it comes to nothing.
    pub(crate) fn new(entry: Entry, sink: Option<LogSink>) -> Self {
        Self { entry, sink }
    }

    /// The request's turn has come.
    pub(crate) fn started(&mut self, at: MonoNs) {
        self.entry.started_ns = Some(at.0);
    }

    /// A write that began at `begun` has ended just now; the tokens of each of its chunks.
    pub(crate) fn wrote(&mut self, begun: MonoNs, chunks: &[u32]) {
        if self.sink.is_none() || chunks.is_empty() {
            return;
        }
        let ended = MonoNs::now().0;
        let entry = &mut self.entry;
        entry.first_write_ns.get_or_insert(ended);
        for tokens in chunks {
            entry.write_begin_ns.push(begun.0);
            entry.write_end_ns.push(ended);
            entry.chunk_tokens.push(*tokens);
            entry.completion_tokens += tokens;
        }
    }

    /// The answer is not as it should be, however it ends.
    pub(crate) fn hit_by(&mut self, fault: Fault) {
        self.entry.fault = Some(fault.name());
        self.entry.end = "fault";
    }

    /// The answer has ended; the line says how.
    pub(crate) fn end(&mut self, end: &'static str) {
        self.entry.end = end;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(sink) = &self.sink else { return };
        let mut entry = std::mem::take(&mut self.entry);
        if entry.end.is_empty() {
            entry.end = "gone";
        }
        sink.put(entry);
    }
}

/// Hands lines to the writer.
#[derive(Debug, Clone)]
pub(crate) struct LogSink(SyncSender<Entry>);

impl LogSink {
    /// Queues one line. A full queue (a stuck disk) loses it, with a word: blocking here would
    /// falsify the timing of every stream.
    pub(crate) fn put(&self, entry: Entry) {
        match self.0.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => tracing::error!("simulator log is stuck, line lost"),
            Err(TrySendError::Disconnected(_)) => {
                tracing::error!("simulator log ended early, line lost");
            }
        }
    }
}

/// Opens the file for appending and starts its writer, which ends when every sink is dropped.
pub(crate) fn open(path: &Path) -> std::io::Result<(LogSink, JoinHandle<()>)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let (sink, lines) = sync_channel(QUEUE);
    let writer = std::thread::Builder::new().name("sim-log".into()).spawn(move || {
        if let Err(error) = write_all(BufWriter::new(file), &lines) {
            tracing::error!(%error, "cannot write simulator log");
        }
    })?;
    Ok((LogSink(sink), writer))
}

fn write_all(mut out: impl Write, lines: &Receiver<Entry>) -> std::io::Result<()> {
    while let Ok(entry) = lines.recv() {
        serde_json::to_writer(&mut out, &entry)?;
        out.write_all(b"\n")?;
        // Whole lines reach the file at once: others read it while it grows.
        out.flush()?;
    }
    Ok(())
}
