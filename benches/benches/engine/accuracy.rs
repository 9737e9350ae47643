//! How far a client's figures are from the endpoint's own stamps.
//!
//! The endpoint sends the first token after 200 ms and one more each 20 ms, to all streams in lock
//! step. Error of a TTFT: the client's TTFT minus the endpoint's, from the kernel's stamp of the
//! request's arrival to the end of the first write. Both are on one machine, so that the way through
//! the kernel is microseconds, and the rest is the client's. Error of a gap: how far the client's gap
//! is from that between the ends of the endpoint's writes, either way.
//!
//! The end of a write is late where the endpoint lost the CPU between the write and its clock. The
//! bytes left between the write's two stamps; how far a gap is outside of what those leave possible
//! is the client's own error, regardless of other load on the machine.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, ensure};

use crate::bench::{Bench, note};
use crate::clients::{Client, Seen, Work, run};
use crate::sim::{Sim, Stamps, log_path, read_log};
use crate::stats::{median, quantile};

const CLIENTS: [Client; 2] = [Client::Ruler, Client::Regatta];
/// What a row is of.
const ROWS: [&str; 3] = ["ruler", "regatta bench", "the same, by its reads"];
/// Tokens of each answer: 1.2 s.
const TOKENS: u32 = 50;
/// Requests of each stream, and the fewest of a round.
const REQUESTS: u32 = 4;
const LEAST: u32 = 8;

/// One client's errors in one round, microseconds.
#[derive(Clone, Copy)]
struct Errors {
    ttft: f64,
    ttft_p99: f64,
    gap: f64,
    gap_p99: f64,
    outside_p99: f64,
    outside_max: f64,
    rss: f64,
}

/// A table; medians over the rounds.
pub(crate) fn measure(bench: &Bench, streams: &[u32]) -> anyhow::Result<String> {
    let mut out = String::from(
        "| streams | client | TTFT error, ms: median | p99 | gap error, ms: median | p99 | \
         outside the writes, ms: p99 | max | peak RSS, MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for &streams in streams {
        let mut rows = vec![Vec::new(); ROWS.len()];
        for round in 0..bench.rounds {
            for turn in 0..CLIENTS.len() {
                let which = (turn + round) % CLIENTS.len();
                for (row, errors) in (which..).zip(errors(bench, CLIENTS[which], streams)?) {
                    note(&format!(
                        "{streams} streams, round {round}: {} TTFT {:.0} p99 {:.0}, gap {:.0} p99 \
                         {:.0}, outside p99 {:.0} max {:.0} us",
                        ROWS[row],
                        errors.ttft,
                        errors.ttft_p99,
                        errors.gap,
                        errors.gap_p99,
                        errors.outside_p99,
                        errors.outside_max,
                    ));
                    rows[row].push(errors);
                }
            }
        }
        for (name, own) in ROWS.into_iter().zip(&rows) {
            let of = |what: fn(&Errors) -> f64| median(&own.iter().map(what).collect::<Vec<_>>());
            writeln!(
                out,
                "| {streams} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.1} |",
                name,
                of(|e| e.ttft) / 1e3,
                of(|e| e.ttft_p99) / 1e3,
                of(|e| e.gap) / 1e3,
                of(|e| e.gap_p99) / 1e3,
                of(|e| e.outside_p99) / 1e3,
                of(|e| e.outside_max) / 1e3,
                of(|e| e.rss),
            )?;
        }
    }
    Ok(out)
}

/// Of one row, or of two that follow each other.
fn errors(bench: &Bench, client: Client, streams: u32) -> anyhow::Result<Vec<Errors>> {
    let log = log_path(bench);
    if log.exists() {
        fs::remove_file(&log)?;
    }
    let path = log.to_str().context("a path in UTF-8")?;
    let args = ["--ttft", "200ms", "--inter-token", "20ms", "--log", path];
    let sim = Sim::start(bench, &args)?;
    let work = Work { streams, requests: (streams * REQUESTS).max(LEAST), tokens: TOKENS };
    let ran = run(bench, client, &sim.address, work, true)?;
    sim.stop()?;
    let stamps = read_log(&log)?;
    let seen = ran.seen()?;
    ensure!(seen.len() == work.requests as usize, "{} requests", seen.len());
    let mut rows = vec![of(&seen, &stamps, ran.cost.rss)?];
    if client == Client::Regatta {
        ensure!(seen.iter().any(|seen| !seen.late_us.is_empty()), "the kernel stamps nothing");
        let by_reads: Vec<Seen> = seen.iter().map(Seen::by_reads).collect();
        rows.push(of(&by_reads, &stamps, ran.cost.rss)?);
    }
    Ok(rows)
}

fn of(all: &[Seen], stamps: &HashMap<String, Stamps>, rss: u64) -> anyhow::Result<Errors> {
    let (mut ttft, mut gaps, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for seen in all {
        let own = stamps.get(&seen.id).with_context(|| format!("{} is not logged", seen.id))?;
        let first = own.first_write_ns.context("a first write")?;
        ttft.push((seen.ttft_ns - (first - own.received_ns) as f64) / 1e3);
        let (begin, end) = (&own.write_begin_ns, &own.write_end_ns);
        ensure!(end.len() == seen.gaps_ns.len() + 1, "{} lost a chunk", seen.id);
        for (i, gap) in seen.gaps_ns.iter().enumerate() {
            let Some(gap) = *gap else { continue };
            let between = |from: u64, to: u64| to as f64 - from as f64;
            gaps.push((gap - between(end[i], end[i + 1])).abs() / 1e3);
            let least = between(end[i], begin[i + 1]);
            let most = between(begin[i], end[i + 1]);
            outside.push((least - gap).max(gap - most).max(0.0) / 1e3);
        }
    }
    Ok(Errors {
        ttft: quantile(&mut ttft, 0.5),
        ttft_p99: quantile(&mut ttft, 0.99),
        gap: quantile(&mut gaps, 0.5),
        gap_p99: quantile(&mut gaps, 0.99),
        outside_p99: quantile(&mut outside, 0.99),
        outside_max: quantile(&mut outside, 1.0),
        rss: rss as f64 / f64::from(1 << 20),
    })
}
