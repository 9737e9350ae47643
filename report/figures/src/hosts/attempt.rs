//! What a report shows of a stored attempt, counted or not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regatta_types::attempt::AttemptOutcome;
use regatta_types::event::Disposition;
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::ids::{AttemptKey, BootId, Epoch, InstanceId};
use regatta_types::record::AttemptRecord;
use regatta_types::time::UnixNs;
use regatta_types::trace::{Outcome, Phase};
use regatta_types::validity::Validity;

use super::case::{CaseAnalysis, Cell, Counted};
use crate::metrics::{Figures, Requests};

/// An attempt without its traces and readings.
#[derive(Debug)]
pub struct Attempt {
    pub disposition: Disposition,
    pub key: AttemptKey,
    pub epoch: Epoch,
    pub instance: InstanceId,
    pub boot: BootId,
    pub outcome: AttemptOutcome,
    /// Of the counted attempt of a cell.
    pub validity: Option<Validity>,
    pub began: UnixNs,
    pub finished: UnixNs,
    /// All requests, warm-up included.
    pub traces: usize,
    /// How the measured requests ended, or all in an engine warm-up.
    pub requests: Requests,
    /// Median, seconds; of an open loop from the scheduled instant.
    pub ttft_s: Option<f64>,
    /// Tokens per second.
    pub decode_tps: Option<f64>,
}

/// Requests that failed in one way.
#[derive(Debug)]
pub struct FailureGroup {
    pub requests: usize,
    /// The first of them, with its id.
    pub example: Failure,
    pub request_id: String,
}

impl Attempt {
    /// `case` is none in an engine warm-up, and else has what was made of the attempt, if it counts.
    pub(super) fn of(record: &AttemptRecord, case: Option<&CaseAnalysis<'_>>) -> Self {
        let report = &record.report;
        let key = &report.key;
        let all = key.cell.case.is_engine_warmup();
        let own = || report.traces.iter().filter(|t| all || t.phase == Phase::Measured);
        let of_case = case.filter(|_| record.disposition == Disposition::Counted);
        let cell =
            of_case.and_then(|c| c.cells.iter().find(|c| c.repetition == key.cell.repetition));
        let counted = cell.and_then(Cell::counted).filter(|c| c.attempt == key.attempt);
        let figures = counted.map(|counted| Cow::Borrowed(&counted.figures));
        let figures = figures.unwrap_or_else(|| Cow::Owned(Figures::of(own())));
        Self {
            disposition: record.disposition,
            key: key.clone(),
            epoch: report.epoch,
            instance: report.instance,
            boot: report.boot.clone(),
            outcome: report.outcome.clone(),
            validity: counted.map(Counted::validity),
            began: report.anchor.to_unix(report.began),
            finished: report.anchor.to_unix(report.finished),
            traces: report.traces.len(),
            requests: figures.requests.clone(),
            ttft_s: case.map_or(&figures.ttft_s, |c| figures.first_token(&c.case.load)).median(),
            decode_tps: figures.decode.per_second(),
        }
    }
}

/// The failed requests of all attempts, warm-up included, by kind.
pub(super) fn failed(attempts: &[AttemptRecord]) -> BTreeMap<FailureKind, FailureGroup> {
    let mut kinds: BTreeMap<FailureKind, FailureGroup> = BTreeMap::new();
    for AttemptRecord { report, .. } in attempts {
        for trace in &report.traces {
            let Outcome::Failed(failure) = &trace.outcome else { continue };
            let of_kind = kinds.entry(failure.kind).or_insert_with(|| FailureGroup {
                requests: 0,
                example: failure.clone(),
                request_id: report.key.request_id(trace.seq),
            });
            of_kind.requests += 1;
        }
    }
    kinds
}
