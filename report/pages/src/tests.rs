//! Tests of whole reports.

mod compared;
mod consistency;
mod contention;
mod excluded;
mod golden;
mod history;
pub(crate) mod hostile;
mod html;
mod loads;
mod machine;
mod pictures;
mod reference;
mod stored;
mod words;

use std::ops::RangeBounds;
use std::time::Duration;

use regatta_figures::analysis::Analysis;
use regatta_figures::capacity::Capacity;
use regatta_figures::compare::{Judgement, MetricReport, Reason, Verdict};
use regatta_figures::completeness::Completeness;
use regatta_figures::history::{Baseline, Changes, Terms, changes};
use regatta_types::comparability::ClassFact;
use regatta_types::event::{Disposition, EventKind, MissingReason, RunEvent, SkipReason};
use regatta_types::facts::EngineFacts;
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::gpu::{GpuInventory, GpuSeries};
use regatta_types::ids::{CaseId, CellKey, HostId, Repetition};
use regatta_types::metric::Metric;
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, HostRecord};
use regatta_types::suite::Length;
use regatta_types::time::UnixNs;
use regatta_types::trace::{FinishReason, Outcome, RequestTrace};
use regatta_types::units::Bytes;
use regatta_types::validity::{Finding, Validity};

use regatta_types::testing::{RunBuilder, TestHost, WholeRun, lose};

use crate::testing::{files, rendered};
use crate::{Summary, change_lines};

/// A verdict that two hosts are equivalent.
const EQUIVALENT: Option<Judgement> = Some(Judgement::Verdict(Verdict::Equivalent));

/// Two cases with this many repetitions, without hosts.
fn two_cases(repetitions: u32) -> RunBuilder {
    RunBuilder::new(&["Backend system", "Debug task"], repetitions)
}

/// Three hosts, the last one 20 % slower.
fn three_hosts() -> WholeRun {
    two_cases(5).fleet(2).host(TestHost::new("gpu-03").slower_by(0.25)).build()
}

/// All counted attempts.
fn counted(record: &mut WholeRun) -> impl Iterator<Item = &mut AttemptRecord> {
    record.attempts.iter_mut().filter(|a| a.disposition == Disposition::Counted)
}

/// An agent's measurement of its null endpoint, with the requests of the run's attempt `at`.
pub(crate) fn client_overhead(record: &WholeRun, at: usize) -> AttemptRecord {
    let mut own = record.attempts[at].clone();
    own.disposition = Disposition::ClientOverhead;
    own.report.key.cell.case = CaseId::client_overhead();
    own.report.key.cell.repetition = Repetition(0);
    own
}

/// The counted attempts of a host.
fn attempts_of<'a>(
    record: &'a mut WholeRun,
    host: &'a str,
) -> impl Iterator<Item = &'a mut AttemptRecord> {
    counted(record).filter(move |a| a.report.key.cell.host.as_str() == host)
}

/// The measured requests of a host.
fn traces_of<'a>(
    record: &'a mut WholeRun,
    host: &'a str,
) -> impl Iterator<Item = &'a mut RequestTrace> {
    attempts_of(record, host).flat_map(|a| &mut a.report.traces)
}

/// The value of a known reading.
fn known<T>(reading: &mut Reading<T>) -> &mut T {
    match reading {
        Reading::Known(value) => value,
        Reading::NotAvailable { not_available } => panic!("{not_available}"),
    }
}

fn host<'a>(record: &'a mut WholeRun, host: &str) -> &'a mut HostRecord {
    record.hosts.iter_mut().find(|h| h.host.as_str() == host).unwrap()
}

fn engine<'a>(record: &'a mut WholeRun, name: &str) -> &'a mut EngineFacts {
    known(&mut host(record, name).engine)
}

fn gpus<'a>(record: &'a mut WholeRun, name: &str) -> &'a mut GpuInventory {
    known(&mut host(record, name).gpus)
}

/// Limits the GPU of `gpu-03` to 450 W; all others have 600 W.
fn cap_power(record: &mut WholeRun) {
    gpus(record, "gpu-03").gpus[0].power_limit_w = Reading::Known(450.0);
}

/// The GPU telemetry of an attempt.
fn series(attempt: &mut AttemptRecord) -> &mut Vec<GpuSeries> {
    known(&mut attempt.report.gpu.series)
}

/// Multiplies the time of every token after the first by this factor.
fn stretch(attempt: &mut AttemptRecord, factor: f64) {
    for trace in &mut attempt.report.traces {
        let first = trace.chunks[0].at;
        for chunk in &mut trace.chunks {
            chunk.at = first.after(chunk.at.since(first).mul_f64(factor));
        }
        trace.done = trace.chunks.last().map(|chunk| chunk.at);
    }
}

/// Removes the attempts of a host in these repetitions.
fn lose_of(record: &mut WholeRun, host: &str, repetitions: impl RangeBounds<u32>) {
    lose(record, &MissingReason::Cancelled, |cell| {
        cell.host.as_str() == host && repetitions.contains(&cell.repetition.0)
    });
}

/// Removes the attempts of a host after this many repetitions.
fn keep(record: &mut WholeRun, host: &str, repetitions: u32) {
    lose_of(record, host, repetitions + 1..);
}

fn baseline(run: &WholeRun) -> Baseline {
    Baseline::of(run).unwrap()
}

fn under(terms: &Terms, before: &WholeRun, after: &WholeRun) -> Changes {
    changes(&baseline(before), &baseline(after), terms)
}

/// The sentences about the changes, as one text.
fn change_text(changes: &Changes) -> String {
    change_lines(changes).join("\n")
}

/// Marks these cells as skipped after saturation, as the coordinator does.
fn skip(record: &mut WholeRun, at: &str, is_skipped: impl Fn(&CellKey) -> bool) {
    let at = CaseId::new(at).unwrap();
    let reason = SkipReason::Saturated { at, evidence: "82.1 tok/s at 4 streams".to_owned() };
    let gone = record.attempts.extract_if(.., |a| is_skipped(&a.report.key.cell));
    record.record.skipped = gone.map(|a| (a.report.key.cell, reason.clone())).collect();
}

/// A finding with fixed evidence and advice.
fn finding(code: &str, validity: Validity) -> Finding {
    let (evidence, advice) = ("over a limit".to_owned(), "leave a core to the agent".to_owned());
    Finding { code: code.into(), validity, evidence, advice }
}

/// A figure of the first class of hosts.
fn found<T>(record: &WholeRun, metric: Metric, read: impl Fn(&MetricReport) -> T) -> Option<T> {
    Analysis::new(record).unwrap().classes[0].metric(metric).map(read)
}

fn completeness(record: &WholeRun) -> Completeness {
    rendered(record, None).1.completeness
}

pub(crate) fn summary(record: &WholeRun) -> Summary {
    rendered(record, None).1
}

fn lines(record: &WholeRun) -> Vec<String> {
    summary(record).verdict_lines
}

/// The lines of the summary, as one text.
fn answer(record: &WholeRun) -> String {
    lines(record).join("\n")
}

/// The line of the summary with this beginning.
fn line(record: &WholeRun, begin: &str) -> String {
    let lines = lines(record);
    let found = lines.iter().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("{begin} is missing in {lines:#?}")).clone()
}

pub(crate) fn page(record: &WholeRun, path: &str) -> String {
    let bytes = files(record).remove(path).expect("the report has this file");
    String::from_utf8(bytes).expect("reports are UTF-8")
}

fn run_json(record: &WholeRun) -> serde_json::Value {
    serde_json::from_slice(&files(record)["run.json"]).unwrap()
}

/// A page without the links from codes to their meanings.
fn unlinked(page: &str) -> String {
    page.replace("[C", "C").replace("](#codes)", "")
}

#[track_caller]
pub(crate) fn has(text: &str, wanted: &str) {
    assert!(unlinked(text).contains(wanted), "{wanted:?} is missing in\n{text}");
}

#[track_caller]
fn lacks(text: &str, unwanted: &str) {
    assert!(!unlinked(text).contains(unwanted), "{unwanted:?} is in\n{text}");
}

/// A page, starting with this text.
#[track_caller]
fn from<'a>(page: &'a str, begin: &str) -> &'a str {
    &page[page.find(begin).unwrap_or_else(|| panic!("{begin:?} is missing in\n{page}"))..]
}

/// The cells of the first row with this beginning.
#[track_caller]
fn row<'a>(page: &'a str, begin: &str) -> Vec<&'a str> {
    let line = page.lines().find(|line| line.starts_with(begin)).expect("the row is there");
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn shuffled_rows_give_the_same_bytes() {
    let record = three_hosts();
    let mut shuffled = record.clone();
    shuffled.attempts.reverse();
    shuffled.attempts.swap(3, 17);
    shuffled.hosts.reverse();
    let (one, other) = (files(&record), files(&shuffled));
    assert!(one.keys().eq(other.keys()));
    for (path, content) in &one {
        assert!(other[path] == *content, "{path} depends on the order of the rows");
    }
}

#[test]
fn a_missing_cell_that_was_filled_later_is_not_missing() {
    let mut record = three_hosts();
    let filled = record.attempts[5].report.key.cell.clone();
    record.missing.push((filled, MissingReason::Cancelled));
    assert_eq!(completeness(&record), Completeness::Complete);
}
