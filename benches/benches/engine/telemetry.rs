//! What NVML calls that hang do to the requests: nothing, if the sampler is apart.

use std::fmt::Write as _;
use std::fs;

use anyhow::ensure;

use crate::bench::{Bench, note};
use crate::clients::{Client, Work, run};
use crate::sim::Sim;
use crate::stats::{median, quantile};

const WORK: Work = Work { streams: 4, requests: 200, tokens: 64 };
/// What stands in the report when nothing was read for a while.
const GAP: &str = "No readings for";

/// A GPU whose memory calls take 5 s, or none.
fn script(blocks: bool) -> String {
    let blocks = if blocks {
        "blocks = [{ call = \"memory\", from_s = 3, until_s = 3600, ms = 5000 }]"
    } else {
        ""
    };
    regatta_fake_nvml::script(&[regatta_fake_nvml::gpu(1, blocks)])
}

/// A table: the p99 of the requests of each round with calls that hang and without, in turn.
pub(crate) fn measure(bench: &mut Bench) -> anyhow::Result<String> {
    let mut out = String::from(
        "| round | p99, no call hangs, ms | p99, calls hang for 5 s, ms | difference, ms |\n\
         | --- | --- | --- | --- |\n",
    );
    let mut differences = Vec::new();
    for round in 1..=bench.rounds {
        // Who comes first changes with the round.
        let order = if round % 2 == 0 { [true, false] } else { [false, true] };
        let mut p99 = [0.0; 2];
        for blocks in order {
            p99[usize::from(blocks)] = one(bench, blocks)?;
        }
        let difference = p99[1] - p99[0];
        differences.push(difference);
        writeln!(out, "| {round} | {:.3} | {:.3} | {difference:+.3} |", p99[0], p99[1])?;
        note(&format!("round {round}: p99 {:.3} and {:.3} ms, {difference:+.3}", p99[0], p99[1]));
    }
    writeln!(out, "\nMedian of the differences: {:+.3} ms.", median(&differences))?;
    Ok(out)
}

/// The p99 of one run, milliseconds.
fn one(bench: &mut Bench, blocks: bool) -> anyhow::Result<f64> {
    // Libraries are told apart by their path.
    let folder = tempfile::tempdir_in(bench.scratch.path())?;
    let library = regatta_fake_nvml::install(folder.path(), &script(blocks))?;
    bench.flags = vec!["--nvml-library".into(), library.into()];
    let sim = Sim::start(bench, &["--ttft", "20ms", "--inter-token", "5ms"])?;
    let ran = run(bench, Client::Regatta, &sim.address, WORK, false);
    bench.flags.clear();
    let ran = ran?;
    sim.stop()?;
    let page = ran.host_page()?;
    ensure!(page.contains(GAP) == blocks, "gaps in the report: {}, wanted: {blocks}", !blocks);
    fs::remove_dir_all(folder.path())?;
    Ok(quantile(&mut ran.e2e_ms()?, 0.99))
}
