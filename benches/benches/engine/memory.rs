//! How large the process becomes at many streams.

use std::fmt::Write as _;

use crate::bench::{Bench, note};
use crate::clients::{Client, Work, run};
use crate::sim::Sim;
use crate::stats::median;

const CLIENTS: [Client; 2] = [Client::Ruler, Client::Regatta];
const WORKS: [Work; 2] = [
    Work { streams: 64, requests: 256, tokens: 256 },
    Work { streams: 1024, requests: 2048, tokens: 256 },
];

/// A table; medians over the rounds.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<String> {
    let mut out = String::from(
        "| streams | requests | tokens of each | client | peak RSS, MiB |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for work in WORKS {
        let mut rounds = vec![Vec::new(); CLIENTS.len()];
        for _ in 0..bench.rounds {
            let sim = Sim::start(bench, &["--ttft", "200ms", "--inter-token", "20ms"])?;
            for (client, own) in CLIENTS.into_iter().zip(&mut rounds) {
                let ran = run(bench, client, &sim.address, work, false)?;
                own.push(ran.cost.rss as f64 / f64::from(1 << 20));
            }
            sim.stop()?;
        }
        let Work { streams, requests, tokens } = work;
        for (client, own) in CLIENTS.into_iter().zip(&rounds) {
            let (name, rss) = (client.name(), median(own));
            writeln!(out, "| {streams} | {requests} | {tokens} | {name} | {rss:.1} |")?;
            note(&format!("{streams} streams: {name} {rss:.1} MiB"));
        }
    }
    Ok(out)
}
