//! From rows to a [`RunRecord`] and to attempts: pure functions, so that equal rows give equal
//! reports.
//!
//! Damaged records are excluded and listed. Nothing here panics on a damaged file.

use std::fmt::Display;

use regatta_types::event::{Disposition, EventKind, MissingReason, RunEvent, SkipReason};
use regatta_types::ids::{AttemptKey, AttemptNo, CaseId, CellKey, HostId, Repetition, RunId};
use regatta_types::record::{AttemptRecord, ExpectedHosts, HostRecord, RunRecord};
use regatta_types::time::UnixNs;
use regatta_wire::codec::{decode_header, decode_host, decode_report};
use regatta_wire::slices::sha256;

use super::{Damage, Loaded, StoreError};

/// Bytes with the hash they had when they were stored.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: Vec<u8>,
}

/// The rows of one run, in any order.
pub(super) struct Rows {
    pub(super) header: Sealed,
    pub(super) sealed: Option<UnixNs>,
    pub(super) hosts: Vec<(String, Sealed)>,
    /// Hosts of the attempts.
    pub(super) with_attempts: Vec<String>,
    pub(super) conflicts: Vec<(String, String, u32, u32)>,
    pub(super) missing: Vec<(String, String, u32, String)>,
    pub(super) events: Vec<(i64, String)>,
}

/// One row of the attempts.
#[derive(Debug)]
pub(super) struct AttemptCells {
    pub(super) host: String,
    pub(super) case: String,
    pub(super) repetition: u32,
    pub(super) attempt: u32,
    pub(super) epoch: i64,
    pub(super) disposition: String,
    pub(super) report: Sealed,
}

/// A row's value, or what is wrong with it.
type Read<T> = Result<T, String>;

pub(super) fn fold(run: &RunId, rows: Rows) -> Result<Loaded, StoreError> {
    let header = rows
        .header
        .open(decode_header)
        .and_then(|header| same(header.run == *run, header))
        .map_err(|problem| StoreError::HeaderDamaged { run: run.clone(), problem })?;
    let mut damaged = Vec::new();

    let mut hosts = sift(rows.hosts, &mut damaged, |(host, _)| format!("host {host}"), read_host);
    hosts.sort_by(|a, b| a.host.cmp(&b.host));

    let name = |host: &String| format!("attempts {run}/{host}");
    let with_attempts =
        sift(rows.with_attempts, &mut damaged, name, |h| HostId::new(h).map_err(text));

    let name = |row: &(String, String, u32, u32)| {
        format!("conflict {run}/{}/{}/r{}/a{}", row.0, row.1, row.2, row.3)
    };
    let mut conflicts = sift(rows.conflicts, &mut damaged, name, |(host, case, rep, attempt)| {
        let cell = cell(host, case, rep)?;
        Ok(AttemptKey { run: run.clone(), cell, attempt: AttemptNo(attempt) })
    });
    conflicts.sort();

    let name = |row: &(String, String, u32, String)| {
        format!("missing {run}/{}/{}/r{}", row.0, row.1, row.2)
    };
    let mut missing = sift(rows.missing, &mut damaged, name, |(host, case, rep, reason)| {
        let reason: MissingReason = serde_json::from_str(&reason).map_err(text)?;
        Ok((cell(host, case, rep)?, reason))
    });
    missing.sort();

    let mut events = sift(
        rows.events,
        &mut damaged,
        |(seq, _)| format!("event {run}/{seq}"),
        |(seq, json)| {
            let event: RunEvent = serde_json::from_str(&json).map_err(text)?;
            same(event.seq == seq.cast_unsigned(), event)
        },
    );
    events.sort_by_key(|event| event.seq);

    let absent = match header.expected {
        ExpectedHosts::Count(n) => n.saturating_sub(u32::try_from(hosts.len()).unwrap_or(u32::MAX)),
        ExpectedHosts::Named(_) => 0,
    };
    damaged.sort_by(|a, b| a.row.cmp(&b.row));
    // Skipping a cell is an event of the run's and nothing else.
    let mut skipped: Vec<(CellKey, SkipReason)> = events
        .iter()
        .filter_map(|event| {
            let EventKind::CellSkipped { cell, reason } = &event.kind else { return None };
            Some((cell.clone(), reason.clone()))
        })
        .collect();
    skipped.sort();
    let record = RunRecord {
        header,
        sealed: rows.sealed,
        hosts,
        absent,
        skipped,
        missing,
        events,
        redacted: false,
    };
    let hosts = with_attempts.into_iter().collect();
    Ok(Loaded { record, hosts, damaged, conflicts })
}

/// The attempts of one host as they are stored.
#[derive(Debug)]
pub struct AttemptRows {
    pub(super) run: RunId,
    pub(super) rows: Vec<AttemptCells>,
}

impl AttemptRows {
    /// Reads them, in any order. Those that cannot be trusted are listed.
    #[must_use]
    pub fn open(self) -> (Vec<AttemptRecord>, Vec<Damage>) {
        let Self { run, rows } = self;
        let mut damaged = Vec::new();
        let name = |row: &AttemptCells| {
            format!("attempt {run}/{}/{}/r{}/a{}", row.host, row.case, row.repetition, row.attempt)
        };
        let attempts = sift(rows, &mut damaged, name, |row| read_attempt(&run, row));
        (attempts, damaged)
    }
}

/// Reads every row; those that fail are listed by their name.
fn sift<R, T>(
    rows: Vec<R>,
    damaged: &mut Vec<Damage>,
    name: impl Fn(&R) -> String,
    read: impl Fn(R) -> Read<T>,
) -> Vec<T> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let name = name(&row);
        match read(row) {
            Ok(value) => out.push(value),
            Err(problem) => damaged.push(Damage { row: name, problem }),
        }
    }
    out
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn same<T>(is: bool, value: T) -> Read<T> {
    if is { Ok(value) } else { Err("key and content do not match".to_owned()) }
}

fn cell(host: String, case: String, repetition: u32) -> Read<CellKey> {
    Ok(CellKey {
        host: HostId::new(host).map_err(text)?,
        case: CaseId::new(case).map_err(text)?,
        repetition: Repetition(repetition),
    })
}

fn read_host((host, record): (String, Sealed)) -> Read<HostRecord> {
    let record = record.open(decode_host)?;
    same(record.host.as_str() == host, record)
}

fn read_attempt(run: &RunId, row: AttemptCells) -> Read<AttemptRecord> {
    let disposition =
        Disposition::parse(&row.disposition).ok_or_else(|| "unknown disposition".to_owned())?;
    let report = row.report.open(decode_report)?;
    let key = AttemptKey {
        run: run.clone(),
        cell: cell(row.host, row.case, row.repetition)?,
        attempt: AttemptNo(row.attempt),
    };
    let is = report.key == key && report.epoch.0 == row.epoch.cast_unsigned();
    same(is, AttemptRecord { disposition, report })
}

impl Sealed {
    fn open<T, E: Display>(&self, decode: impl Fn(&[u8]) -> Result<T, E>) -> Read<T> {
        if sha256(&self.bytes)[..] != self.sha256[..] {
            return Err("SHA-256 mismatch".to_owned());
        }
        decode(&self.bytes).map_err(text)
    }
}
