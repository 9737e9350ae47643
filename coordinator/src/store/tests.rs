//! Claims about the store, on files and in memory.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use regatta_types::attempt::AttemptReport;
use regatta_types::event::{EventKind, SkipReason};
use regatta_types::ids::{CaseId, HostId, Repetition};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, ExpectedHosts};
use regatta_types::testing;
use regatta_types::time::MonoNs;
use regatta_wire::codec::encode_report;
use rusqlite::Connection;

use super::*;

mod stored;

fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

fn header(name: &str, created: i64) -> Write {
    Write::Run(Box::new(RunHeader {
        run: run(name),
        seed: 7,
        created: UnixNs(created),
        expected: ExpectedHosts::Count(3),
        ..testing::header(Vec::new())
    }))
}

fn cell(host: &str, repetition: u32) -> CellKey {
    CellKey {
        host: HostId::new(host).unwrap(),
        case: CaseId::new("chat").unwrap(),
        repetition: Repetition(repetition),
    }
}

fn report(host: &str, repetition: u32) -> AttemptReport {
    let key = AttemptKey { cell: cell(host, repetition), ..testing::attempt_key("chat") };
    AttemptReport {
        instance: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        planned_start: Some(MonoNs(1)),
        began: MonoNs(2),
        finished: MonoNs(3),
        ..testing::report(key, Epoch(u64::MAX))
    }
}

fn attempt(report: &AttemptReport, disposition: Disposition) -> Write {
    Write::Attempt(AttemptRow {
        key: report.key.clone(),
        epoch: report.epoch,
        disposition,
        report: encode_report(report).into(),
    })
}

fn host(name: &str) -> Write {
    let record = HostRecord {
        host: HostId::new(name).unwrap(),
        facts: None,
        gpus: Reading::missing("no driver"),
        engine: Reading::missing("none found"),
        clocks: Vec::new(),
        refused: None,
        simulated: true,
        checks: Vec::new(),
    };
    Write::Host(run("night"), Box::new(record))
}

fn event(seq: u64, text: &str) -> Write {
    let kind = EventKind::Warning { text: text.into() };
    let event =
        RunEvent { seq, at: UnixNs(5), elapsed: Duration::from_nanos(seq * 1_000_001), kind };
    Write::Event(run("night"), Box::new(event))
}

/// A run with two hosts, one of them with a gap. The header comes first.
fn night() -> Vec<Write> {
    vec![
        header("night", 10),
        host("gpu-02"),
        host("gpu-01"),
        attempt(&report("gpu-01", 1), Disposition::Counted),
        attempt(&report("gpu-01", 2), Disposition::Partial),
        attempt(&report("gpu-02", 1), Disposition::Counted),
        Write::Missing(run("night"), cell("gpu-01", 2), MissingReason::Cancelled),
        Write::Missing(run("night"), cell("gpu-02", 2), MissingReason::NeverJoined),
        event(0, "first"),
        event(1, "second"),
        Write::Seal(run("night"), UnixNs(99)),
    ]
}

/// A run with the attempts of all its hosts, sorted.
#[derive(Debug, PartialEq)]
struct Whole {
    record: RunRecord,
    attempts: Vec<AttemptRecord>,
    damaged: Vec<Damage>,
    conflicts: Vec<AttemptKey>,
}

/// What is stored of the run `night`.
fn whole(store: &impl Store) -> Whole {
    let Loaded { record, hosts, mut damaged, conflicts } = store.load(&run("night")).unwrap();
    let mut attempts = Vec::new();
    for host in &hosts {
        let (own, more) = store.attempts(&run("night"), host).unwrap().open();
        attempts.extend(own);
        damaged.extend(more);
    }
    attempts.sort_by(|a, b| a.report.key.cmp(&b.report.key));
    damaged.sort();
    Whole { record, attempts, damaged, conflicts }
}

fn stored(writes: &[Write]) -> SqliteStore {
    let mut store = SqliteStore::in_memory().unwrap();
    store.write(writes).unwrap();
    store
}

#[test]
fn a_run_is_loaded_sorted_and_complete() {
    let loaded = whole(&stored(&night()));
    assert_eq!((loaded.damaged.len(), loaded.conflicts.len()), (0, 0));
    let Whole { record, attempts, .. } = loaded;
    let keys: Vec<String> = attempts.iter().map(|a| a.report.key.to_string()).collect();
    assert_eq!(
        keys,
        ["night/gpu-01/chat/r1/a1", "night/gpu-01/chat/r2/a1", "night/gpu-02/chat/r1/a1"]
    );
    assert_eq!(attempts[0].report, report("gpu-01", 1));
    assert_eq!(attempts[1].disposition, Disposition::Partial);
    let hosts: Vec<&str> = record.hosts.iter().map(|h| h.host.as_str()).collect();
    assert_eq!((hosts, record.absent), (vec!["gpu-01", "gpu-02"], 1));
    assert_eq!(
        record.missing,
        [
            (cell("gpu-01", 2), MissingReason::Cancelled),
            (cell("gpu-02", 2), MissingReason::NeverJoined)
        ]
    );
    assert_eq!(record.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(record.events[1].elapsed, Duration::from_nanos(1_000_001));
    assert_eq!(record.sealed, Some(UnixNs(99)));
}

proptest! {
    #[test]
    fn the_order_of_writes_does_not_change_the_record(
        order in Just((1..night().len()).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let writes = night();
        let mut store = stored(&writes[..1]);
        for i in order {
            store.write(std::slice::from_ref(&writes[i])).unwrap();
        }
        let straight = whole(&stored(&writes));
        prop_assert_eq!(whole(&store), straight);
    }
}

#[test]
fn skipped_cells_are_loaded_sorted_with_their_reason() {
    let reason = SkipReason::Saturated {
        at: CaseId::new("chat.c4").unwrap(),
        evidence: "101.0 tok/s at 4 streams".into(),
    };
    let skip = |seq, host| {
        let kind = EventKind::CellSkipped { cell: cell(host, 1), reason: reason.clone() };
        let event = RunEvent { seq, at: UnixNs(5), elapsed: Duration::ZERO, kind };
        Write::Event(run("night"), Box::new(event))
    };
    let writes = [header("night", 1), skip(0, "gpu-02"), skip(1, "gpu-01")];
    let record = whole(&stored(&writes)).record;
    let wanted = [(cell("gpu-01", 1), reason.clone()), (cell("gpu-02", 1), reason.clone())];
    assert_eq!((record.skipped, record.missing), (wanted.to_vec(), Vec::new()));
}

#[test]
fn repeated_writes_have_no_effect() {
    let mut store = stored(&night());
    let before = whole(&store);
    let again = store.write(&night()[3..6]).unwrap();
    assert_eq!(again, [Stored::Duplicate; 3]);
    assert_eq!(store.write(&[event(1, "second")]).unwrap(), [Stored::Duplicate]);
    assert_eq!(whole(&store), before);
}

#[test]
fn a_conflicting_report_of_an_attempt_is_kept_and_reported() {
    let mut store = stored(&night());
    let before = whole(&store);
    let mut other = report("gpu-01", 1);
    other.finished = MonoNs(4);
    let write = [attempt(&other, Disposition::Counted)];
    assert_eq!(store.write(&write).unwrap(), [Stored::Conflict]);
    assert_eq!(store.write(&write).unwrap(), [Stored::Conflict], "and again");
    let after = whole(&store);
    assert_eq!(after.record, before.record, "the first one stays");
    assert_eq!(after.conflicts, [other.key]);
    let kept: i64 =
        store.connection().query_row("SELECT count(*) FROM conflict", [], |r| r.get(0)).unwrap();
    assert_eq!(kept, 1);
}

#[test]
fn invalid_writes_are_refused_with_their_whole_batch() {
    let mut store = SqliteStore::in_memory().unwrap();
    let orphan = attempt(&report("gpu-01", 1), Disposition::Counted);
    for write in [orphan.clone(), host("gpu-01"), event(0, "x"), night().remove(10)] {
        let error = store.write(&[write]).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchRun(_)), "{error:?}");
        assert!(!error.is_storage_failure());
    }
    let twice = store.write(&[header("night", 1), orphan, header("night", 2)]).unwrap_err();
    assert_eq!(twice.to_string(), "run `night` already exists");
    assert!(matches!(store.load(&run("night")), Err(StoreError::NoSuchRun(_))));

    store.write(&[header("night", 1), event(0, "x")]).unwrap();
    let differs = store.write(&[event(1, "kept out"), event(0, "y")]).unwrap_err();
    assert!(matches!(differs, StoreError::EventDiffers { seq: 0, .. }), "{differs:?}");
    assert_eq!(whole(&store).record.events.len(), 1);
}

#[test]
fn runs_are_listed_newest_first() {
    let mut store = stored(&night());
    store.write(&[header("later", 20), header("earlier", 5)]).unwrap();
    let runs = store.runs().unwrap();
    assert_eq!(
        runs.iter().map(|r| r.run.as_str()).collect::<Vec<_>>(),
        ["later", "night", "earlier"]
    );
    assert_eq!((runs[1].hosts, runs[1].attempts, runs[1].sealed), (2, 3, Some(UnixNs(99))));
    assert_eq!(store.latest().unwrap(), Some(run("later")));
}

#[test]
fn data_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("made/on/demand");
    let mut store = SqliteStore::open(&state).unwrap();
    store.write(&night()).unwrap();
    let before = whole(&store);
    assert_eq!(
        whole(&SqliteStore::open_to_read(&state).unwrap()),
        before,
        "a reader needs no lock"
    );
    drop(store);
    assert_eq!(whole(&SqliteStore::open(&state).unwrap()), before);
}

#[test]
fn a_truncated_log_keeps_all_acknowledged_writes() {
    let dir = tempfile::tempdir().unwrap();
    let log = |dir: &Path| dir.join(format!("{FILE_NAME}-wal"));
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.write(&[header("night", 1)]).unwrap();
    // Length of the log when each event was acknowledged: what was flushed by then is safe.
    let acknowledged: Vec<u64> = (0..12)
        .map(|seq| {
            store.write(&[event(seq, "as it happened")]).unwrap();
            std::fs::metadata(log(dir.path())).unwrap().len()
        })
        .collect();
    let full = std::fs::read(log(dir.path())).unwrap();
    let begun = acknowledged[0];
    for cut in (begun..=full.len() as u64).step_by(509) {
        let after = tempfile::tempdir().unwrap();
        std::fs::copy(dir.path().join(FILE_NAME), after.path().join(FILE_NAME)).unwrap();
        std::fs::write(log(after.path()), &full[..usize::try_from(cut).unwrap()]).unwrap();
        let events = whole(&SqliteStore::open(after.path()).unwrap()).record.events;
        let found: Vec<u64> = events.iter().map(|e| e.seq).collect();
        let due = acknowledged.iter().filter(|&&len| len <= cut).count();
        assert_eq!(found, (0..due as u64).collect::<Vec<_>>(), "cut at {cut}");
    }
}

#[test]
fn the_error_of_a_second_coordinator_names_the_lock_holder() {
    let dir = tempfile::tempdir().unwrap();
    let _first = SqliteStore::open(dir.path()).unwrap();
    let error = SqliteStore::open(dir.path()).unwrap_err();
    assert!(!error.is_storage_failure());
    let holder = format!("is in use by process {}. ", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
}

#[test]
fn foreign_files_and_newer_versions_are_refused_and_not_modified() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    drop(SqliteStore::open(dir.path()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newer = SqliteStore::open(dir.path()).unwrap_err();
    assert!(
        newer.to_string().ends_with(
            "was written by a newer version of Regatta (format 99, this version reads up to 1). \
             Use the newer version"
        ),
        "{newer}"
    );

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(SqliteStore::open(dir.path()), Err(StoreError::Foreign(_))));

    std::fs::write(&path, "not a database, but longer than a header of one".repeat(50)).unwrap();
    assert!(matches!(SqliteStore::open(dir.path()), Err(StoreError::Foreign(_))));

    std::fs::remove_file(&path).unwrap();
    assert!(matches!(SqliteStore::open_to_read(dir.path()), Err(StoreError::Empty(_))));
}

#[test]
fn a_damaged_row_is_listed_and_the_rest_is_read() {
    let store = stored(&night());
    let db = store.connection();
    db.execute("UPDATE attempt SET report = zeroblob(20) WHERE host = 'gpu-02'", []).unwrap();
    db.execute("UPDATE attempt SET attempt = 2 WHERE host = 'gpu-01' AND repetition = 2", [])
        .unwrap();
    db.execute("UPDATE host SET record = x'00' WHERE host = 'gpu-01'", []).unwrap();
    db.execute("UPDATE event SET event = '{' WHERE seq = 0", []).unwrap();
    let loaded = whole(&store);
    let listed: Vec<(&str, &str)> =
        loaded.damaged.iter().map(|d| (d.row.as_str(), d.problem.as_str())).collect();
    assert_eq!(
        listed,
        [
            ("attempt night/gpu-01/chat/r2/a2", "key and content do not match"),
            ("attempt night/gpu-02/chat/r1/a1", "SHA-256 mismatch"),
            ("event night/0", "EOF while parsing an object at line 1 column 1"),
            ("host gpu-01", "SHA-256 mismatch"),
        ]
    );
    assert_eq!(loaded.attempts.len(), 1);
    db.execute("UPDATE run SET sha256 = x'00'", []).unwrap();
    let error = store.load(&run("night")).unwrap_err();
    assert!(error.is_storage_failure());
    assert_eq!(error.to_string(), "the header of run `night` is damaged: SHA-256 mismatch");
}

proptest! {
    #[test]
    fn every_flipped_bit_of_a_report_is_detected(
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let store = stored(&night());
        let db = store.connection();
        let mut bytes = encode_report(&report("gpu-02", 1));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        db.execute("UPDATE attempt SET report = ? WHERE host = 'gpu-02'", [bytes]).unwrap();
        prop_assert_eq!(whole(&store).damaged.len(), 1);
    }
}

#[tokio::test]
async fn the_writer_keeps_order_and_answers_every_request() {
    let writer = Writer::start(Box::new(SqliteStore::in_memory().unwrap())).unwrap();
    let handle = writer.handle();
    let mut answers = Vec::new();
    // More than one group, with refusals among them that must not spoil the others.
    for write in night() {
        answers.push((true, handle.submit(vec![write]).await.unwrap()));
        answers.push((false, handle.submit(vec![header("night", 1)]).await.unwrap()));
    }
    for (good, answer) in answers {
        assert_eq!(answer.await.unwrap().is_ok(), good);
    }
    let loaded = handle.load(run("night")).await.unwrap();
    assert_eq!(loaded, stored(&night()).load(&run("night")).unwrap());
    assert_eq!(handle.runs().await.unwrap().len(), 1);
    let store = writer.close().await.unwrap();
    assert_eq!(store.load(&run("night")).unwrap(), loaded);
    assert!(matches!(handle.write(Vec::new()).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_failed_storage_fails_every_later_write() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(dir.path()).unwrap());
    // A read-only store simulates a failing device.
    let store = SqliteStore::open_to_read(dir.path()).unwrap();
    let writer = Writer::start(Box::new(store)).unwrap();
    let first = writer.handle().write(vec![header("night", 1)]).await.unwrap_err();
    assert!(first.is_storage_failure(), "{first:?}");
    let second = writer.handle().write(vec![header("later", 1)]).await.unwrap_err();
    assert!(matches!(second, StoreError::Broken), "{second:?}");
    writer.close().await.unwrap();
}
