//! The endpoint that both clients are measured against: `regatta sim`, and its own stamps.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::bench::Bench;

/// A running simulated host.
#[derive(Debug)]
pub(crate) struct Sim {
    process: Child,
    /// Kept, so that its stderr has a reader.
    _talk: BufReader<std::process::ChildStderr>,
    pub(crate) address: String,
}

impl Sim {
    /// Starts one on a free port.
    pub(crate) fn start(bench: &Bench, args: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(&bench.regatta)
            .args(["sim", "--listen", "127.0.0.1:0"])
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start regatta sim")?;
        let mut talk = BufReader::new(process.stderr.take().context("piped")?);
        let mut line = String::new();
        talk.read_line(&mut line)?;
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
        let (address, _) = address.with_context(|| format!("regatta sim said: {line}"))?;
        Ok(Self { address: address.to_owned(), process, _talk: talk })
    }

    /// Ends it, and with it its log.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.process.id().try_into()?).context("a process id")?;
        kill_process(pid, Signal::INT)?;
        let status = self.process.wait()?;
        ensure!(status.success(), "regatta sim ended with {status}");
        Ok(())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // After `stop` it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the endpoint itself says of one request, nanoseconds of the clock of this machine.
#[derive(Debug, Deserialize)]
pub(crate) struct Stamps {
    id: Option<String>,
    pub(crate) received_ns: u64,
    pub(crate) first_write_ns: Option<u64>,
    pub(crate) write_begin_ns: Vec<u64>,
    pub(crate) write_end_ns: Vec<u64>,
}

/// The log of an endpoint that has ended, by request id.
pub(crate) fn read_log(path: &Path) -> anyhow::Result<HashMap<String, Stamps>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut all = HashMap::new();
    for line in text.lines() {
        let mut stamps: Stamps = serde_json::from_str(line)?;
        if let Some(id) = stamps.id.take() {
            all.insert(id, stamps);
        }
    }
    Ok(all)
}

/// Where an endpoint of this bench logs.
pub(crate) fn log_path(bench: &Bench) -> PathBuf {
    bench.scratch.path().join("sim.jsonl")
}
