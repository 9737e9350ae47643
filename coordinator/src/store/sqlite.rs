//! The store in one SQLite file: WAL, every commit flushed, one process at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use regatta_agent::outbox::DirectoryLock;
use regatta_types::event::RunEvent;
use regatta_types::ids::{AttemptKey, CellKey, HostId, RunId, SuiteName};
use regatta_types::record::{HostRecord, RunHeader};
use regatta_types::time::UnixNs;
use regatta_wire::codec::{encode_header, encode_host};
use regatta_wire::slices::sha256;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};

use super::fold::{self, AttemptCells, AttemptRows, Rows, Sealed};
use super::{AttemptRow, Loaded, RunSummary, Store, StoreError, Stored, Write, schema};

/// The file in a state directory.
pub const FILE_NAME: &str = "regatta.sqlite3";

/// Runs in an SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    /// A write or flush failed for good: what SQLite says afterwards proves nothing.
    broken: bool,
    _lock: Option<DirectoryLock>,
}

fn write_error(source: rusqlite::Error) -> StoreError {
    StoreError::Sqlite { doing: "write", source }
}

fn read_error(source: rusqlite::Error) -> StoreError {
    StoreError::Sqlite { doing: "read", source }
}

impl SqliteStore {
    /// Opens the store in a state directory for writing; makes both if needed.
    ///
    /// # Errors
    /// When another process has it, when the file is another program's, of a later version or
    /// damaged, or when it cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = DirectoryLock::acquire(dir).map_err(StoreError::Locked)?;
        let path = dir.join(FILE_NAME);
        let open = |source| StoreError::Sqlite { doing: "open", source };
        let mut db = Connection::open(&path).map_err(open)?;
        let new = schema::recognize(&db, &path)?;
        configure(&db).map_err(open)?;
        if new {
            schema::create(&mut db)?;
            // The file's name must survive a power cut as surely as its content.
            File::open(dir)
                .and_then(|d| d.sync_all())
                .map_err(|source| StoreError::Flush { path: dir.to_owned(), source })?;
        } else {
            schema::check(&db, &path)?;
        }
        Ok(Self { db, broken: false, _lock: Some(lock) })
    }

    /// Opens the store in a state directory for reading, also while a coordinator writes to it.
    ///
    /// # Errors
    /// [`StoreError::Empty`] if there is none; else as [`SqliteStore::open`], but for the lock.
    pub fn open_to_read(dir: &Path) -> Result<Self, StoreError> {
        let path: PathBuf = dir.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::Empty(dir.to_owned()));
        }
        let open = |source| StoreError::Sqlite { doing: "open", source };
        // Not SQLite's read-only mode: after a crash the write-ahead log has to be taken in first.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(open)?;
        if schema::recognize(&db, &path)? {
            return Err(StoreError::Empty(dir.to_owned()));
        }
        db.pragma_update(None, "query_only", true).map_err(open)?;
        Ok(Self { db, broken: false, _lock: None })
    }

    /// A store that is gone when dropped.
    ///
    /// # Errors
    /// When SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let open = |source| StoreError::Sqlite { doing: "open", source };
        let mut db = Connection::open_in_memory().map_err(open)?;
        configure(&db).map_err(open)?;
        schema::create(&mut db)?;
        Ok(Self { db, broken: false, _lock: None })
    }
}

impl SqliteStore {
    /// From now on all that is read is of one moment, also while another process writes.
    pub(super) fn begin_reading(&self) -> Result<(), StoreError> {
        self.db.execute_batch("BEGIN").map_err(read_error)
    }

    /// Nothing was written: there is nothing to lose, and after a failure SQLite may have ended it
    /// already.
    pub(super) fn end_reading(&self) {
        let _ = self.db.execute_batch("ROLLBACK");
    }

    /// A run, inside a transaction.
    pub(super) fn read_run(&self, run: &RunId) -> Result<Loaded, StoreError> {
        let rows = read(&self.db, run).map_err(read_error)?;
        fold::fold(run, rows.ok_or_else(|| StoreError::NoSuchRun(run.clone()))?)
    }
}

#[cfg(test)]
impl SqliteStore {
    /// For tests that damage what is stored.
    pub(super) fn connection(&self) -> &Connection {
        &self.db
    }
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)
}

impl Store for SqliteStore {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Stored>, StoreError> {
        if self.broken {
            return Err(StoreError::Broken);
        }
        let result = apply(&mut self.db, writes);
        if let Err(StoreError::Sqlite { source, .. }) = &result {
            // A full disk can be made room on; after any other failure the page cache and the disk
            // may differ, and no later success would prove anything.
            self.broken = !matches!(source.sqlite_error_code(), Some(ErrorCode::DiskFull));
        }
        result
    }

    fn load(&self, run: &RunId) -> Result<Loaded, StoreError> {
        // One transaction: a consistent picture, also while another process writes.
        self.begin_reading()?;
        let loaded = self.read_run(run);
        self.end_reading();
        loaded
    }

    fn attempts(&self, run: &RunId, host: &HostId) -> Result<AttemptRows, StoreError> {
        let take = |row: &rusqlite::Row<'_>| {
            Ok(AttemptCells {
                host: row.get(0)?,
                case: row.get(1)?,
                repetition: row.get(2)?,
                attempt: row.get(3)?,
                epoch: row.get(4)?,
                disposition: row.get(5)?,
                report: Sealed { bytes: row.get(6)?, sha256: row.get(7)? },
            })
        };
        let read = || -> rusqlite::Result<Vec<AttemptCells>> {
            self.db
                .prepare_cached(
                    "SELECT host, case_id, repetition, attempt, epoch, disposition, report, sha256
                     FROM attempt WHERE run = ? AND host = ?",
                )?
                .query_map([run.as_str(), host.as_str()], take)?
                .collect()
        };
        Ok(AttemptRows { run: run.clone(), rows: read().map_err(read_error)? })
    }

    fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        let list = || -> rusqlite::Result<Vec<RunSummary>> {
            let mut statement = self.db.prepare(
                "SELECT run, suite, created_unix_ns, sealed_unix_ns,
                        (SELECT count(*) FROM host WHERE host.run = run.run),
                        (SELECT count(*) FROM attempt WHERE attempt.run = run.run)
                 FROM run ORDER BY created_unix_ns DESC, run DESC",
            )?;
            let mut rows = statement.query([])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                let (run, suite): (String, String) = (row.get(0)?, row.get(1)?);
                // A name that is no slug is damage; the rest of the list is still good.
                let (Ok(run), Ok(suite)) = (RunId::new(run), SuiteName::new(suite)) else {
                    continue;
                };
                out.push(RunSummary {
                    run,
                    suite,
                    created: UnixNs(row.get(2)?),
                    sealed: row.get::<_, Option<i64>>(3)?.map(UnixNs),
                    hosts: row.get::<_, i64>(4)?.cast_unsigned(),
                    attempts: row.get::<_, i64>(5)?.cast_unsigned(),
                });
            }
            Ok(out)
        };
        list().map_err(read_error)
    }
}

fn apply(db: &mut Connection, writes: &[Write]) -> Result<Vec<Stored>, StoreError> {
    let tx = db.transaction().map_err(write_error)?;
    let stored = writes.iter().map(|write| apply_one(&tx, write)).collect::<Result<_, _>>()?;
    tx.commit().map_err(write_error)?;
    Ok(stored)
}

fn apply_one(tx: &Transaction<'_>, write: &Write) -> Result<Stored, StoreError> {
    match write {
        Write::Run(header) => put_run(tx, header),
        Write::Host(run, record) => put_host(tx, run, record),
        Write::Attempt(row) => put_attempt(tx, row),
        Write::Missing(run, cell, reason) => {
            let reason = serde_json::to_string(reason).map_err(StoreError::Encode)?;
            tx.prepare_cached("INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?, ?)")
                .and_then(|mut s| {
                    let CellKey { host, case, repetition } = cell;
                    let key = (run.as_str(), host.as_str(), case.as_str(), repetition.0);
                    s.execute(params![key.0, key.1, key.2, key.3, reason])
                })
                .map_err(|e| of_run(run, e))?;
            Ok(Stored::New)
        }
        Write::Event(run, event) => put_event(tx, run, event),
        Write::Seal(run, at) => {
            let changed = tx
                .prepare_cached("UPDATE run SET sealed_unix_ns = ? WHERE run = ?")
                .and_then(|mut s| s.execute(params![at.0, run.as_str()]))
                .map_err(write_error)?;
            if changed == 0 { Err(StoreError::NoSuchRun(run.clone())) } else { Ok(Stored::New) }
        }
    }
}

/// A violated foreign key means that the run does not exist.
fn of_run(run: &RunId, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error().map(|e| e.extended_code) {
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => StoreError::NoSuchRun(run.clone()),
        Some(_) | None => write_error(source),
    }
}

fn put_run(tx: &Transaction<'_>, header: &RunHeader) -> Result<Stored, StoreError> {
    let bytes = encode_header(header);
    let inserted = tx.execute(
        "INSERT INTO run VALUES (?, ?, ?, NULL, ?, ?)",
        params![
            header.run.as_str(),
            header.suite.name.as_str(),
            header.created.0,
            sha256(&bytes),
            bytes
        ],
    );
    match inserted {
        Ok(_) => Ok(Stored::New),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StoreError::RunExists(header.run.clone()))
        }
        Err(e) => Err(write_error(e)),
    }
}

fn put_host(tx: &Transaction<'_>, run: &RunId, record: &HostRecord) -> Result<Stored, StoreError> {
    let bytes = encode_host(record);
    tx.prepare_cached("INSERT OR REPLACE INTO host VALUES (?, ?, ?, ?)")
        .and_then(|mut s| {
            s.execute(params![run.as_str(), record.host.as_str(), sha256(&bytes), bytes])
        })
        .map_err(|e| of_run(run, e))?;
    Ok(Stored::New)
}

fn put_attempt(tx: &Transaction<'_>, row: &AttemptRow) -> Result<Stored, StoreError> {
    let AttemptKey { run, cell, attempt } = &row.key;
    let (host, case) = (cell.host.as_str(), cell.case.as_str());
    let (repetition, attempt) = (cell.repetition.0, attempt.0);
    let (epoch, hash, report) = (row.epoch.0.cast_signed(), sha256(&row.report), &row.report[..]);
    let inserted = tx
        .prepare_cached(
            "INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| {
            let disposition = row.disposition.name();
            s.execute(params![
                run.as_str(),
                host,
                case,
                repetition,
                attempt,
                epoch,
                disposition,
                hash,
                report
            ])
        })
        .map_err(|e| of_run(run, e))?;
    if inserted == 1 {
        return Ok(Stored::New);
    }
    let kept: Vec<u8> = tx
        .prepare_cached(
            "SELECT sha256 FROM attempt WHERE run = ? AND host = ? AND case_id = ?
             AND repetition = ? AND attempt = ?",
        )
        .and_then(|mut s| {
            s.query_row(params![run.as_str(), host, case, repetition, attempt], |row| row.get(0))
        })
        .map_err(write_error)?;
    if kept == hash {
        return Ok(Stored::Duplicate);
    }
    tx.prepare_cached(
        "INSERT INTO conflict VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .and_then(|mut s| {
        s.execute(params![run.as_str(), host, case, repetition, attempt, epoch, hash, report])
    })
    .map_err(write_error)?;
    Ok(Stored::Conflict)
}

fn put_event(tx: &Transaction<'_>, run: &RunId, event: &RunEvent) -> Result<Stored, StoreError> {
    let json = serde_json::to_string(event).map_err(StoreError::Encode)?;
    let seq = event.seq.cast_signed();
    let inserted = tx
        .prepare_cached("INSERT INTO event VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .and_then(|mut s| s.execute(params![run.as_str(), seq, json]))
        .map_err(|e| of_run(run, e))?;
    if inserted == 1 {
        return Ok(Stored::New);
    }
    let kept: String = tx
        .prepare_cached("SELECT event FROM event WHERE run = ? AND seq = ?")
        .and_then(|mut s| s.query_row(params![run.as_str(), seq], |row| row.get(0)))
        .map_err(write_error)?;
    if kept == json {
        Ok(Stored::Duplicate)
    } else {
        Err(StoreError::EventDiffers { run: run.clone(), seq: event.seq })
    }
}

/// All rows of a run; `None` if there is no such run.
fn read(db: &Connection, run: &RunId) -> rusqlite::Result<Option<Rows>> {
    let header = db
        .query_row(
            "SELECT header, sha256, sealed_unix_ns FROM run WHERE run = ?",
            [run.as_str()],
            |row| {
                let sealed = row.get::<_, Option<i64>>(2)?.map(UnixNs);
                Ok((Sealed { bytes: row.get(0)?, sha256: row.get(1)? }, sealed))
            },
        )
        .optional()?;
    let Some((header, sealed)) = header else { return Ok(None) };
    Ok(Some(Rows {
        header,
        sealed,
        hosts: select(db, run, "SELECT host, record, sha256 FROM host WHERE run = ?", |row| {
            Ok((row.get(0)?, Sealed { bytes: row.get(1)?, sha256: row.get(2)? }))
        })?,
        with_attempts: select(db, run, "SELECT DISTINCT host FROM attempt WHERE run = ?", |row| {
            row.get(0)
        })?,
        conflicts: select(
            db,
            run,
            "SELECT DISTINCT host, case_id, repetition, attempt FROM conflict WHERE run = ?",
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )?,
        missing: select(
            db,
            run,
            "SELECT host, case_id, repetition, reason FROM missing WHERE run = ?",
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )?,
        events: select(db, run, "SELECT seq, event FROM event WHERE run = ?", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?,
    }))
}

fn select<T>(
    db: &Connection,
    run: &RunId,
    sql: &str,
    take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare(sql)?.query_map([run.as_str()], take)?.collect()
}
