//! What a report over a large store takes: 50 cases, 10 repetitions, 5 requests, 64 tokens.

use std::fmt::Write as _;
use std::fs;
use std::iter;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use regatta_coordinator::store::{AttemptRow, FILE_NAME, SqliteStore, Store as _, Write};
use regatta_types::event::{EventKind, RunEvent};
use regatta_types::ids::RunId;
use regatta_types::record::{AttemptRecord, ExpectedHosts};
use regatta_types::testing::{RunBuilder, TestHost, WholeRun};
use regatta_types::time::UnixNs;
use regatta_wire::codec::encode_report;
use rustix::time::{ClockId, clock_gettime};

use crate::bench::{Bench, note};
use crate::process::cost;
use crate::stats::median;

const CASES: u32 = 50;
const REPETITIONS: u32 = 10;
const REQUESTS: u32 = 5;
const TOKENS: u32 = 64;
const MIB: f64 = 1024.0 * 1024.0;

/// A table of medians over the rounds; with another binary, also of its ratios to the first.
pub(crate) fn measure(bench: &Bench, other: Option<&Path>, hosts: u32) -> anyhow::Result<String> {
    let state = bench.scratch.path().join("large");
    fs::create_dir_all(&state)?;
    fill(&state, hosts)?;
    let store = fs::metadata(state.join(FILE_NAME))?.len() as f64 / MIB;
    let requests = hosts * CASES * REPETITIONS * REQUESTS;
    let mut table = format!(
        "A store of {hosts} hosts and {requests} requests, {store:.0} MiB.\n\n\
         | names | files, MiB | pages and run.json, s | all files, s | CPU, s | peak RSS, MiB |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    let binaries: Vec<&Path> = iter::once(bench.regatta.as_path()).chain(other).collect();
    for (names, flag) in [("original", None), ("`--redact`", Some("--redact"))] {
        let mut rounds = vec![Vec::new(); binaries.len()];
        for _ in 0..bench.rounds {
            for (binary, rounds) in binaries.iter().zip(&mut rounds) {
                rounds.push(cost_of(bench, binary, &state, flag)?);
            }
        }
        let mut row = |what: &str, costs: &[Costs]| {
            let [files, pages, wall, cpu, rss] = medians(costs);
            writeln!(
                table,
                "| {what} | {files:.3} | {pages:.3} | {wall:.3} | {cpu:.3} | {rss:.3} |"
            )
        };
        row(names, &rounds[0])?;
        for other in &rounds[1..] {
            row(&format!("{names}, other binary"), other)?;
            let ratio = |(own, other): (&Costs, &Costs)| std::array::from_fn(|i| own[i] / other[i]);
            let ratios: Vec<Costs> = rounds[0].iter().zip(other).map(ratio).collect();
            row(&format!("{names}, ratio"), &ratios)?;
        }
    }
    Ok(table)
}

/// MiB of files, seconds to `run.json`, seconds in all, seconds of CPU, MiB of the resident set.
type Costs = [f64; 5];

fn medians(rounds: &[Costs]) -> Costs {
    std::array::from_fn(|i| median(&rounds.iter().map(|costs| costs[i]).collect::<Vec<_>>()))
}

fn cost_of(
    bench: &Bench,
    binary: &Path,
    state: &Path,
    flag: Option<&str>,
) -> anyhow::Result<Costs> {
    let out = bench.scratch.path().join("large-report");
    let mut command = Command::new(binary);
    command.arg("report").arg("latest").arg("--state").arg(state).arg("--out").arg(&out).args(flag);
    let begin = now();
    let cost = cost(&command, &[0])?;
    let wall = now() - begin;
    note(&format!("report {}: {wall:.1} s", flag.unwrap_or_default()));
    let pages = modified(&out.join("run.json"))? - begin;
    Ok([size(&out)? as f64 / MIB, pages, wall, cost.cpu.as_secs_f64(), cost.rss as f64 / MIB])
}

/// Stores a run, host by host.
fn fill(state: &Path, hosts: u32) -> anyhow::Result<()> {
    let titles: Vec<String> = (1..=CASES).map(|n| format!("Case {n:02}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut store = SqliteStore::open(state)?;
    let mut seq = 0;
    for number in 1..=hosts {
        let slower = if number == 7 { 0.06 } else { 0.0 };
        let host = TestHost::new(&format!("gpu-{number:03}")).slower_by(slower);
        let run = RunBuilder::new(&titles, REPETITIONS).requests(REQUESTS).tokens(TOKENS);
        let WholeRun { mut record, attempts } = run.host(host).build();
        record.header.expected = ExpectedHosts::Count(hosts);
        let run = record.header.run.clone();
        let mut writes = Vec::new();
        if number == 1 {
            writes.push(Write::Run(Box::new(record.header)));
        }
        let host = record.hosts.into_iter().map(|h| Write::Host(run.clone(), Box::new(h)));
        writes.extend(host);
        writes.extend(attempts.iter().map(row));
        writes.extend(attempts.iter().flat_map(|attempt| events(&run, &mut seq, attempt)));
        if number == hosts {
            writes.extend(record.sealed.map(|at| Write::Seal(run, at)));
        }
        store.write(&writes)?;
    }
    Ok(())
}

/// What a run tells of an attempt as it goes.
fn events(run: &RunId, seq: &mut u64, attempt: &AttemptRecord) -> Vec<Write> {
    let report = &attempt.report;
    let key = || report.key.clone();
    let (disposition, ok) = (attempt.disposition, REQUESTS);
    let kinds = [
        EventKind::AssignmentLeased { attempt: key(), epoch: report.epoch },
        EventKind::AttemptStarted { attempt: key() },
        EventKind::AttemptFinished { attempt: key(), disposition, ok, failed: 0 },
    ];
    let event = |kind| {
        let event = RunEvent { seq: *seq, at: UnixNs(0), elapsed: Duration::from_secs(*seq), kind };
        *seq += 1;
        Write::Event(run.clone(), Box::new(event))
    };
    kinds.map(event).into()
}

fn row(attempt: &AttemptRecord) -> Write {
    let report = &attempt.report;
    Write::Attempt(AttemptRow {
        key: report.key.clone(),
        epoch: report.epoch,
        disposition: attempt.disposition,
        report: Bytes::from(encode_report(report)),
    })
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        bytes += if is_folder { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// When a file was last written. All but `requests.jsonl` come before `run.json`.
fn modified(file: &Path) -> anyhow::Result<f64> {
    let meta = fs::metadata(file)?;
    Ok(meta.mtime() as f64 + meta.mtime_nsec() as f64 / 1e9)
}

/// By the clock of the file system.
fn now() -> f64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
