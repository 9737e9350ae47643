//! How many streamed tokens a second of CPU is good for.
//!
//! The endpoint does not wait, or only as long as it takes the client to read each event apart. Each
//! client does a small and a large amount of the same work; the difference is net of its start, and
//! counts everything that comes after the socket as well.

use std::fmt::Write as _;
use std::time::Duration;

use crate::bench::{Bench, note};
use crate::clients::{Client, Ran, Work, run};
use crate::sim::Sim;
use crate::stats::median;

/// How the endpoint writes.
struct Flow {
    name: &'static str,
    sim: &'static [&'static str],
    /// Of the large amount of work.
    requests: u32,
}

const FLOWS: [Flow; 3] = [
    Flow {
        name: "1, each in a read of its own",
        sim: &["--flood", "1", "--inter-token", "1ms"],
        requests: 480,
    },
    Flow { name: "1, no waits", sim: &["--flood", "1"], requests: 960 },
    Flow { name: "16, no waits", sim: &["--flood", "16"], requests: 2880 },
];
const CLIENTS: [Client; 3] = [Client::Ruler, Client::Regatta, Client::Discard];

/// One client's figures in one round.
#[derive(Clone, Copy)]
struct Figures {
    tokens_per_second: f64,
    start: Duration,
    rss: u64,
}

/// A table.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<String> {
    let mut out = String::from(
        "| events a write | client | tokens per CPU-second | ns per token | of the ruler's | \
         start, CPU ms | peak RSS, MiB |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for Flow { name: flow, sim, requests } in FLOWS {
        let mut rounds = vec![Vec::new(); CLIENTS.len()];
        for round in 0..bench.rounds {
            let sim = Sim::start(bench, sim)?;
            for turn in 0..CLIENTS.len() {
                // Whoever begins a round differs.
                let which = (turn + round) % CLIENTS.len();
                let figures = figures(bench, CLIENTS[which], &sim.address, requests)?;
                note(&format!(
                    "{flow}, round {round}: {} {:.0} k tokens per CPU-second",
                    CLIENTS[which].name(),
                    figures.tokens_per_second / 1e3
                ));
                rounds[which].push(figures);
            }
            sim.stop()?;
        }
        for (client, own) in CLIENTS.into_iter().zip(&rounds) {
            let of = |what: fn(&Figures) -> f64| median(&own.iter().map(what).collect::<Vec<_>>());
            // A ratio of each round, because rounds differ more than clients in a round do.
            let ratios: Vec<f64> = own
                .iter()
                .zip(&rounds[0])
                .map(|(own, ruler)| own.tokens_per_second / ruler.tokens_per_second)
                .collect();
            let speed = of(|f| f.tokens_per_second);
            writeln!(
                out,
                "| {flow} | {} | {:.0} k | {:.0} | {:.2} | {:.0} | {:.1} |",
                client.name(),
                speed / 1e3,
                1e9 / speed,
                median(&ratios),
                of(|f| f.start.as_secs_f64()) * 1e3,
                of(|f| f.rss as f64) / f64::from(1 << 20),
            )?;
        }
    }
    Ok(out)
}

fn figures(bench: &Bench, client: Client, address: &str, many: u32) -> anyhow::Result<Figures> {
    let small = Work { streams: 32, requests: 32, tokens: 512 };
    let large = Work { requests: many, ..small };
    let Ran { cost: start, .. } = run(bench, client, address, small, false)?;
    let Ran { cost: whole, .. } = run(bench, client, address, large, false)?;
    let seconds = whole.cpu.saturating_sub(start.cpu).as_secs_f64();
    Ok(Figures {
        tokens_per_second: (large.all_tokens() - small.all_tokens()) / seconds,
        start: start.cpu,
        rss: whole.rss,
    })
}
