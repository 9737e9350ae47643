//! Claims about a run that is read host by host.

use regatta_figures::source::Run as _;

use super::*;
use crate::store::StoredRun;

/// A store in a folder, and a second reader of it.
fn two(writes: &[Write]) -> (tempfile::TempDir, SqliteStore, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SqliteStore::open(dir.path()).unwrap();
    writer.write(writes).unwrap();
    let reader = SqliteStore::open_to_read(dir.path()).unwrap();
    (dir, writer, reader)
}

#[test]
fn a_run_is_read_as_it_was_at_one_moment_while_somebody_writes() {
    let (_dir, mut writer, mut reader) = two(&night());
    let one = HostId::new("gpu-01").unwrap();
    let open = StoredRun::open(&mut reader, &run("night")).unwrap();
    writer.write(&[attempt(&report("gpu-01", 3), Disposition::Counted), host("gpu-03")]).unwrap();
    assert_eq!((open.attempts(&one).unwrap().len(), open.record().hosts.len()), (2, 2));
    drop(open);
    let later = StoredRun::open(&mut reader, &run("night")).unwrap();
    assert_eq!((later.attempts(&one).unwrap().len(), later.record().hosts.len()), (3, 3));
}

#[test]
fn a_store_is_free_again_after_a_missing_run() {
    let (_dir, _writer, mut reader) = two(&night());
    let missing = StoredRun::open(&mut reader, &run("day")).map(|_| ()).unwrap_err();
    assert!(matches!(missing, StoreError::NoSuchRun(_)), "{missing:?}");
    let found = StoredRun::open(&mut reader, &run("night")).unwrap();
    assert_eq!(found.hosts().len(), 2);
}

#[test]
fn damage_is_listed_once_however_often_a_host_is_read() {
    let mut store = stored(&night());
    let spoil = "UPDATE attempt SET report = x'00' WHERE host = 'gpu-01' AND repetition = 1";
    store.connection().execute(spoil, []).unwrap();
    let open = StoredRun::open(&mut store, &run("night")).unwrap();
    let one = HostId::new("gpu-01").unwrap();
    assert_eq!(open.damaged(), []);
    for _ in 0..2 {
        assert_eq!(open.attempts(&one).unwrap().len(), 1);
    }
    let rows: Vec<String> = open.damaged().into_iter().map(|damage| damage.row).collect();
    assert_eq!(rows, ["attempt night/gpu-01/chat/r1/a1"]);
}

#[test]
fn events_that_say_no_more_than_the_attempts_are_not_kept() {
    let key = report("gpu-01", 1).key;
    let kinds = [
        EventKind::AssignmentLeased { attempt: key.clone(), epoch: Epoch(1) },
        EventKind::AttemptStarted { attempt: key.clone() },
        EventKind::AttemptFinished {
            attempt: key,
            disposition: Disposition::Counted,
            ok: 1,
            failed: 0,
        },
        EventKind::RunCancelled,
    ];
    let mut writes = night();
    writes.extend((2..).zip(kinds).map(|(seq, kind)| {
        let (at, elapsed) = (UnixNs(5), Duration::from_secs(seq));
        Write::Event(run("night"), Box::new(RunEvent { seq, at, elapsed, kind }))
    }));
    let mut store = stored(&writes);
    assert_eq!(store.load(&run("night")).unwrap().record.events.len(), 6);
    let open = StoredRun::open(&mut store, &run("night")).unwrap();
    let seqs: Vec<u64> = open.record().events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [0, 1, 5]);
}
