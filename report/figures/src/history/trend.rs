//! What one host did, run by run.

use regatta_types::ids::{HostId, RunId};
use regatta_types::metric::Metric;

use super::{Baseline, Terms, changes};
use crate::compare::{Effect, Reason, Verdict};

/// One run of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendRow {
    /// The run.
    pub run: RunId,
    /// When it began, UTC.
    pub created: String,
    /// Decode speed, log of tokens per second: mean over the cases of the suite.
    pub decode: Option<Effect>,
    /// Time to first token, log of seconds, alike.
    pub ttft: Option<Effect>,
    /// Since the nearest earlier run that it can be compared with.
    pub change: Option<TrendChange>,
    /// Why it is compared with none.
    pub not_comparable: Option<Reason>,
}

/// How decode speed changed.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendChange {
    /// The earlier run.
    pub from: RunId,
    /// Per cent, positive where faster.
    pub percent: f64,
    /// What that shows.
    pub verdict: Verdict,
}

/// The runs that have the host, in the order given, which is that of time.
#[must_use]
pub fn trend(host: &HostId, runs: &[Baseline]) -> Vec<TrendRow> {
    let own: Vec<Baseline> = runs
        .iter()
        .filter(|run| run.host(host).is_some())
        .map(|run| {
            // What is compared first; the rest says what hosts share.
            let mut only = run.views().swap_remove(0);
            only.hosts.retain(|h| h.name == *host);
            only.unusable.clear();
            only
        })
        .collect();
    own.iter().enumerate().map(|(index, run)| row(run, &own[..index])).collect()
}

fn row(run: &Baseline, earlier: &[Baseline]) -> TrendRow {
    let mean = |metric: Metric| run.hosts.first().and_then(|host| host.level(metric));
    let mut row = TrendRow {
        run: run.run.clone(),
        created: run.created.clone(),
        decode: mean(Metric::DecodeTps),
        ttft: mean(Metric::Ttft),
        change: None,
        not_comparable: None,
    };
    for before in earlier.iter().rev() {
        let found = changes(before, run, &Terms::default());
        let Some(host) = found.hosts.first() else { continue };
        let decode = host.metrics.iter().find(|change| change.metric == Metric::DecodeTps);
        if let Some((change, verdict)) = decode.and_then(|d| d.change.zip(d.verdict.verdict())) {
            let percent = change.mean_log.exp_m1() * 100.0;
            let from = before.run.clone();
            row.change = Some(TrendChange { from, percent, verdict });
            row.not_comparable = None;
            break;
        }
        let why = decode.and_then(|d| d.verdict.why_not().cloned());
        row.not_comparable = row.not_comparable.or(host.not_comparable.clone()).or(why);
    }
    row
}
