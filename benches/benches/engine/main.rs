//! Measures Regatta as a whole process beside the ruler (`src/bin/ruler.rs`), in turn and against
//! the same simulated endpoint, and prints Markdown tables.
//!
//! `cargo bench -p regatta-benches` measures all; `-- capacity`, `-- accuracy`, `-- memory`,
//! `-- telemetry` and `-- report` one part. It builds the release binary of `regatta` first.

mod accuracy;
mod bench;
mod capacity;
mod clients;
mod machine;
mod memory;
mod process;
mod report;
mod sim;
mod stats;
mod telemetry;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};

use crate::bench::{Bench, say};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Tokens per CPU-second of the whole process, net of its start.
    Capacity,
    /// Error of TTFT and of gaps against the endpoint's own stamps.
    Accuracy,
    /// Largest resident set.
    Memory,
    /// Times of requests while NVML calls hang.
    Telemetry,
    /// Time and largest resident set of a report over a large store.
    Report,
}

#[derive(Debug, Parser)]
struct Args {
    /// Parts to measure; none for all.
    parts: Vec<Part>,
    /// Rounds; the clients take turns in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Streams at which accuracy is measured.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256,1024")]
    streams: Vec<u32>,
    /// Hosts of the store that is reported on.
    #[arg(long, default_value_t = 200)]
    hosts: u32,
    /// A binary of regatta that is built already.
    #[arg(long)]
    regatta: Option<PathBuf>,
    /// Another version's binary, which renders reports in turn with the first.
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    if process::is_measurer() {
        return process::measurer();
    }
    let args = Args::parse();
    let regatta = match args.regatta {
        Some(path) => std::path::absolute(path)?,
        None => build()?,
    };
    let mut bench = Bench {
        regatta,
        ruler: PathBuf::from(env!("CARGO_BIN_EXE_ruler")),
        rounds: args.rounds,
        flags: Vec::new(),
        scratch: tempfile::tempdir()?,
    };
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    say(&machine::describe(&bench.regatta)?);
    if wanted(Part::Capacity) {
        say(&capacity::measure(&bench)?);
    }
    if wanted(Part::Accuracy) {
        say(&accuracy::measure(&bench, &args.streams)?);
    }
    if wanted(Part::Memory) {
        say(&memory::measure(&bench)?);
    }
    if wanted(Part::Telemetry) {
        say(&telemetry::measure(&mut bench)?);
    }
    if wanted(Part::Report) {
        say(&report::measure(&bench, args.against.as_deref(), args.hosts)?);
    }
    Ok(())
}

fn build() -> anyhow::Result<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "regatta-coordinator"])
        .current_dir(&top)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "regatta could not be built");
    // Benches are built beside the binaries.
    let built = Path::new(env!("CARGO_BIN_EXE_ruler")).with_file_name("regatta");
    ensure!(built.is_file(), "no {}", built.display());
    Ok(built)
}
