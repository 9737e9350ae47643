//! Claims about the outbox: what goes in comes out, regardless of what happens in between.

use std::fs;

use regatta_types::ids::{BootId, Epoch, Repetition};
use regatta_types::testing;
use regatta_types::time::{ClockAnchor, MonoNs, UnixNs};
use regatta_wire::codec::decode_report;

use super::*;

/// A wall clock this many days after the files of this test were written.
#[derive(Debug)]
struct DaysLater(u64);

impl WallClock for DaysLater {
    fn now(&self) -> UnixNs {
        let dir = tempfile::tempdir().unwrap();
        let written = fs::metadata(dir.path()).unwrap().modified().unwrap();
        let since = written.duration_since(std::time::UNIX_EPOCH).unwrap();
        let then = since + std::time::Duration::from_secs(self.0 * 24 * 3600);
        UnixNs(i64::try_from(then.as_nanos()).unwrap())
    }
}

fn started(repetition: u32) -> Started {
    let mut key = testing::attempt_key("chat.c16");
    key.cell.repetition = Repetition(repetition);
    Started {
        lease: Lease { key, epoch: Epoch(3) },
        instance: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        boot: BootId("boot".into()),
        anchor: ClockAnchor { mono: MonoNs(1_000), unix: UnixNs(1_000 + i64::from(repetition)) },
        planned_start: Some(MonoNs(2_000)),
    }
}

fn report(repetition: u32) -> AttemptReport {
    AttemptReport {
        outcome: AttemptOutcome::Completed,
        finished: MonoNs(9_000),
        ..interrupted(started(repetition))
    }
}

fn reopen(state: &Path) -> (Outbox, Recovered) {
    Outbox::open(state, &DaysLater(0)).unwrap()
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name != "lock")
        .collect();
    names.sort();
    names
}

#[test]
fn an_attempt_has_a_marker_then_a_report_then_an_acknowledgment() {
    let dir = tempfile::tempdir().unwrap();
    let outbox_dir = dir.path().join("outbox");
    let key = started(1).lease.key;
    let (mut outbox, recovered) = reopen(dir.path());
    assert!(recovered.interrupted.is_empty() && recovered.quarantined.is_empty());

    outbox.mark_started(&started(1)).unwrap();
    assert_eq!(files(&outbox_dir), ["night+gpu-01+chat.c16+r1+a1.started"]);
    assert!(outbox.pending().is_empty());
    assert!(matches!(outbox.read(&key), Err(OutboxError::NotPending(_))));

    outbox.put(&report(1)).unwrap();
    assert_eq!(files(&outbox_dir), ["night+gpu-01+chat.c16+r1+a1.report"]);
    assert_eq!(outbox.pending(), [started(1).lease]);
    assert_eq!(decode_report(&outbox.read(&key).unwrap()).unwrap(), report(1));

    outbox.acknowledge(&key).unwrap();
    outbox.acknowledge(&key).unwrap();
    assert_eq!(files(&outbox_dir), [""; 0]);
    assert_eq!(files(&outbox_dir.join("acked")), ["night+gpu-01+chat.c16+r1+a1.report"]);
    assert!(outbox.pending().is_empty());
}

#[test]
fn the_in_memory_outbox_behaves_the_same() {
    let mut outbox = Outbox::memory();
    let key = started(1).lease.key;
    outbox.mark_started(&started(1)).unwrap();
    assert!(matches!(outbox.acknowledge(&key), Err(OutboxError::NotPending(_))));
    outbox.put(&report(1)).unwrap();
    assert_eq!(outbox.pending(), [started(1).lease]);
    assert_eq!(decode_report(&outbox.read(&key).unwrap()).unwrap(), report(1));
    outbox.acknowledge(&key).unwrap();
    assert!(outbox.pending().is_empty());
    assert!(matches!(outbox.mark_started(&started(1)), Err(OutboxError::AlreadyStarted(_))));
}

#[test]
fn reports_survive_a_restart_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = reopen(dir.path());
    for repetition in [1, 2, 3] {
        outbox.mark_started(&started(repetition)).unwrap();
        outbox.put(&report(repetition)).unwrap();
    }
    outbox.acknowledge(&started(2).lease.key).unwrap();
    drop(outbox);
    let (outbox, _) = reopen(dir.path());
    assert_eq!(outbox.pending(), [started(1).lease, started(3).lease]);
    assert_eq!(decode_report(&outbox.read(&started(3).lease.key).unwrap()).unwrap(), report(3));
}

#[test]
fn a_started_attempt_is_reported_as_interrupted_and_not_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = reopen(dir.path());
    outbox.mark_started(&started(1)).unwrap();
    drop(outbox);

    let (mut outbox, recovered) = reopen(dir.path());
    assert_eq!(recovered.interrupted, [interrupted(started(1))]);
    assert_eq!(recovered.interrupted[0].outcome, AttemptOutcome::Interrupted);
    assert_eq!(outbox.pending(), [started(1).lease]);
    let refused = outbox.mark_started(&started(1)).unwrap_err();
    assert_eq!(refused.to_string(), "attempt night/gpu-01/chat.c16/r1/a1 was already started");
    outbox.acknowledge(&started(1).lease.key).unwrap();
    drop(outbox);

    let (mut outbox, recovered) = reopen(dir.path());
    assert!(recovered.interrupted.is_empty() && outbox.pending().is_empty());
    assert!(matches!(outbox.mark_started(&started(1)), Err(OutboxError::AlreadyStarted(_))));
}

#[test]
fn a_marker_next_to_its_report_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("outbox/night+gpu-01+chat.c16+r1+a1.started");
    let (mut outbox, _) = reopen(dir.path());
    outbox.mark_started(&started(1)).unwrap();
    let bytes = fs::read(&marker).unwrap();
    outbox.put(&report(1)).unwrap();
    drop(outbox);
    fs::write(&marker, bytes).unwrap();

    let (outbox, recovered) = reopen(dir.path());
    assert!(recovered.interrupted.is_empty() && !marker.exists());
    assert_eq!(decode_report(&outbox.read(&started(1).lease.key).unwrap()).unwrap(), report(1));
}

#[test]
fn a_truncated_file_is_quarantined_and_the_others_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let outbox_dir = dir.path().join("outbox");
    let (mut outbox, _) = reopen(dir.path());
    outbox.put(&report(1)).unwrap();
    outbox.put(&report(2)).unwrap();
    drop(outbox);
    let path = outbox_dir.join("night+gpu-01+chat.c16+r1+a1.report");
    let aside = outbox_dir.join("night+gpu-01+chat.c16+r1+a1.report.corrupt");
    let whole = fs::read(&path).unwrap();
    let mut spoilt: Vec<Vec<u8>> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
    spoilt.extend((0..whole.len()).map(|i| {
        let mut bytes = whole.clone();
        bytes[i] ^= 1;
        bytes
    }));
    for bytes in spoilt {
        fs::write(&path, &bytes).unwrap();
        let (outbox, recovered) = reopen(dir.path());
        assert_eq!(recovered.quarantined, std::slice::from_ref(&aside));
        assert_eq!(outbox.pending(), [started(2).lease]);
        fs::remove_file(&aside).unwrap();
    }

    // It is listed until somebody removes it, and its attempt is not begun again.
    fs::write(&path, b"").unwrap();
    drop(reopen(dir.path()));
    let (mut outbox, recovered) = reopen(dir.path());
    assert_eq!(recovered.quarantined, [aside]);
    assert!(matches!(outbox.mark_started(&started(1)), Err(OutboxError::AlreadyStarted(_))));
}

#[test]
fn a_file_under_the_name_of_another_attempt_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = reopen(dir.path());
    outbox.put(&report(1)).unwrap();
    drop(outbox);
    let from = dir.path().join("outbox/night+gpu-01+chat.c16+r1+a1.report");
    fs::rename(from, dir.path().join("outbox/night+gpu-01+chat.c16+r2+a1.report")).unwrap();
    let (outbox, recovered) = reopen(dir.path());
    assert_eq!((outbox.pending().len(), recovered.quarantined.len()), (0, 1));
}

#[test]
fn acknowledged_reports_are_removed_after_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let acked = dir.path().join("outbox/acked");
    let (mut outbox, _) = reopen(dir.path());
    outbox.put(&report(1)).unwrap();
    outbox.acknowledge(&started(1).lease.key).unwrap();
    outbox.put(&report(2)).unwrap();
    drop(outbox);
    drop(Outbox::open(dir.path(), &DaysLater(6)).unwrap());
    assert_eq!(files(&acked).len(), 1);
    let (outbox, _) = Outbox::open(dir.path(), &DaysLater(8)).unwrap();
    assert_eq!(files(&acked).len(), 0);
    assert_eq!(outbox.pending(), [started(2).lease], "never by age alone");
}

#[test]
fn a_report_that_cannot_be_written_can_still_be_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = reopen(dir.path());
    outbox.mark_started(&started(1)).unwrap();
    // A folder in place of the file simulates a disk that accepts no writes.
    fs::create_dir(dir.path().join("outbox/night+gpu-01+chat.c16+r1+a1.tmp")).unwrap();
    let key = started(1).lease.key;
    assert!(matches!(outbox.put(&report(1)), Err(OutboxError::Io { .. })));
    assert_eq!(outbox.pending(), [started(1).lease]);
    assert_eq!(decode_report(&outbox.read(&key).unwrap()).unwrap(), report(1));
    outbox.acknowledge(&key).unwrap();
    assert!(outbox.pending().is_empty());
    drop(outbox);

    // Nor is it reported once more, as interrupted.
    fs::remove_dir(dir.path().join("outbox/night+gpu-01+chat.c16+r1+a1.tmp")).unwrap();
    let (mut outbox, recovered) = reopen(dir.path());
    assert!(recovered.interrupted.is_empty() && outbox.pending().is_empty());
    assert!(matches!(outbox.mark_started(&started(1)), Err(OutboxError::AlreadyStarted(_))));
}

#[test]
fn a_second_agent_on_one_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = reopen(dir.path());
    let error = Outbox::open(dir.path(), &DaysLater(0)).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[test]
fn only_delivered_reports_can_be_discarded() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("gpu-01");
    let (mut outbox, _) = reopen(&state);
    outbox.put(&report(1)).unwrap();
    assert!(discard_delivered(&state).is_err(), "an agent has it");
    drop(outbox);
    discard_delivered(&state).unwrap();
    let (mut outbox, _) = reopen(&state);
    assert_eq!(outbox.pending(), [started(1).lease]);
    outbox.acknowledge(&started(1).lease.key).unwrap();
    drop(outbox);
    discard_delivered(&state).unwrap();
    assert!(!state.exists());
    discard_delivered(&state).unwrap();
}
