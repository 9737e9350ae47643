//! The clients that are compared, each its own process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::bench::Bench;
use crate::process::{Cost, cost};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// The bare reader.
    Ruler,
    /// `regatta bench`, from its start to the written report.
    Regatta,
    /// The bare socket, whose bytes are thrown away.
    Discard,
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ruler => "ruler",
            Self::Regatta => "regatta bench",
            Self::Discard => "read and discard",
        }
    }
}

/// A closed loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) streams: u32,
    /// In all.
    pub(crate) requests: u32,
    /// Of each answer.
    pub(crate) tokens: u32,
}

impl Work {
    pub(crate) fn all_tokens(self) -> f64 {
        f64::from(self.requests) * f64::from(self.tokens)
    }
}

/// One request as a client saw it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) ttft_ns: f64,
    /// `None` between chunks of one read.
    pub(crate) gaps_ns: Vec<Option<f64>>,
    /// How much later than it says each chunk was read, where it knows.
    pub(crate) late_us: Vec<f64>,
}

impl Seen {
    /// What it would have been by the reads alone.
    pub(crate) fn by_reads(&self) -> Self {
        let late = |i: usize| 1e3 * self.late_us.get(i).copied().unwrap_or(0.0);
        let gaps = self.gaps_ns.iter().enumerate();
        Self {
            id: self.id.clone(),
            ttft_ns: self.ttft_ns + late(0),
            gaps_ns: gaps
                .map(|(i, gap)| Some(gap.unwrap_or(0.0) + late(i + 1) - late(i)))
                .collect(),
            late_us: Vec::new(),
        }
    }
}

/// What a run of a client took and wrote.
pub(crate) struct Ran {
    pub(crate) cost: Cost,
    out: PathBuf,
    client: Client,
}

/// Runs a client; every request must succeed. `keep` makes the ruler write what it saw, which
/// Regatta always does.
pub(crate) fn run(
    bench: &Bench,
    client: Client,
    address: &str,
    work: Work,
    keep: bool,
) -> anyhow::Result<Ran> {
    let scratch = bench.scratch.path();
    let Work { streams, requests, tokens } = work;
    let out = scratch.join(match client {
        Client::Ruler | Client::Discard => "ruler.jsonl",
        Client::Regatta => "reports",
    });
    let mut command;
    let fine: &[i32] = match client {
        Client::Ruler | Client::Discard => {
            command = Command::new(&bench.ruler);
            command.arg(address);
            for (flag, value) in
                [("--streams", streams), ("--requests", requests), ("--max-tokens", tokens)]
            {
                command.args([flag, &value.to_string()]);
            }
            if client == Client::Discard {
                command.arg("--discard");
            } else if keep {
                command.arg("--out").arg(&out);
            }
            &[0]
        }
        Client::Regatta => {
            command = Command::new(&bench.regatta);
            command.arg("bench").arg(format!("http://{address}"));
            command.arg("--suite").arg(suite(scratch, work)?);
            command.args(["--warmup", "0", "--out"]).arg(&out).args(&bench.flags);
            // A new store for each run, as a user's first has it.
            command.arg("--state").arg(tempfile::tempdir_in(scratch)?.keep());
            // 3 and 5: marked as limited by the client, which a flood without waits is.
            &[0, 3, 5]
        }
    };
    let cost = cost(&command, fine)?;
    let ran = Ran { cost, out, client };
    if client == Client::Regatta {
        let ok = ran.lines()?.iter().filter(|line| line.status == "ok").count();
        ensure!(ok == requests as usize, "{ok} of {requests} requests succeeded");
    }
    Ok(ran)
}

/// One case that asks for the same as the ruler does.
fn suite(scratch: &Path, work: Work) -> anyhow::Result<PathBuf> {
    let Work { streams, requests, tokens } = work;
    let path = scratch.join("engine.toml");
    let text = format!(
        r#"name = "engine"
[[case]]
title = "Engine"
concurrency = {streams}
requests = {requests}
max_tokens = {tokens}
repetitions = 1
temperature = 0.0
messages = [{{ role = "user", content = "Tell me of the sea, of the ships on it and of the harbours they come from." }}]
"#
    );
    fs::write(&path, text)?;
    Ok(path)
}

#[derive(Deserialize)]
struct RegattaLine {
    request_id: String,
    status: String,
    e2e_s: Option<f64>,
    ttft_s: Option<f64>,
    chunk_gaps_us: Vec<Option<f64>>,
    chunk_read_late_us: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct RulerLine {
    id: String,
    ttft_ns: f64,
    gaps_ns: Vec<f64>,
}

impl Ran {
    /// The requests of the case: those before the run are of reserved ones.
    fn lines(&self) -> anyhow::Result<Vec<RegattaLine>> {
        let mut lines: Vec<RegattaLine> = read(&self.out.join("requests.jsonl"))?;
        lines.retain(|line| line.request_id.contains("/engine/r"));
        Ok(lines)
    }

    /// End-to-end times of Regatta's requests, milliseconds.
    pub(crate) fn e2e_ms(&self) -> anyhow::Result<Vec<f64>> {
        self.lines()?.iter().map(|line| Ok(line.e2e_s.context("an end")? * 1e3)).collect()
    }

    /// What Regatta wrote of its one host.
    pub(crate) fn host_page(&self) -> anyhow::Result<String> {
        let mut pages = fs::read_dir(self.out.join("hosts"))?;
        let page = pages.next().context("a page of the host")??;
        Ok(fs::read_to_string(page.path())?)
    }

    /// Every request.
    pub(crate) fn seen(&self) -> anyhow::Result<Vec<Seen>> {
        match self.client {
            Client::Ruler => {
                let lines: Vec<RulerLine> = read(&self.out)?;
                let seen = |line: RulerLine| Seen {
                    id: line.id,
                    ttft_ns: line.ttft_ns,
                    gaps_ns: line.gaps_ns.into_iter().map(Some).collect(),
                    late_us: Vec::new(),
                };
                Ok(lines.into_iter().map(seen).collect())
            }
            Client::Regatta => {
                let seen = |line: RegattaLine| {
                    Ok(Seen {
                        id: line.request_id,
                        ttft_ns: line.ttft_s.context("a TTFT")? * 1e9,
                        gaps_ns: line.chunk_gaps_us.iter().map(|gap| Some((*gap)? * 1e3)).collect(),
                        late_us: line.chunk_read_late_us.into_iter().flatten().collect(),
                    })
                };
                self.lines()?.into_iter().map(seen).collect()
            }
            Client::Discard => Ok(Vec::new()),
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<Vec<T>> {
    let file = BufReader::new(fs::File::open(path).with_context(|| path.display().to_string())?);
    file.lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}
