//! The database schema and how to recognize one of our files.
//!
//! Forward only: a change to the tables raises [`FORMAT`] and comes with a migration.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// `RGTA`, so that `file` and Regatta recognize the database.
const APPLICATION_ID: i64 = 0x5247_5441;

/// Format of the tables, SQLite's `user_version`.
pub(super) const FORMAT: i64 = 1;

/// Numbers of 64 bits are kept by their bits: an epoch over 2^63 is a negative integer here.
const TABLES: &str = "
CREATE TABLE run (
    run             TEXT PRIMARY KEY,
    suite           TEXT NOT NULL,
    created_unix_ns INTEGER NOT NULL,
    sealed_unix_ns  INTEGER,
    sha256          BLOB NOT NULL,
    header          BLOB NOT NULL
) STRICT;
CREATE TABLE host (
    run    TEXT NOT NULL REFERENCES run,
    host   TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (run, host)
) STRICT;
CREATE TABLE attempt (
    run         TEXT NOT NULL REFERENCES run,
    host        TEXT NOT NULL,
    case_id     TEXT NOT NULL,
    repetition  INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    disposition TEXT NOT NULL,
    sha256      BLOB NOT NULL,
    report      BLOB NOT NULL,
    PRIMARY KEY (run, host, case_id, repetition, attempt)
) STRICT;
-- Second, different reports of an attempt: evidence, never counted.
CREATE TABLE conflict (
    run         TEXT NOT NULL REFERENCES run,
    host        TEXT NOT NULL,
    case_id     TEXT NOT NULL,
    repetition  INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    report      BLOB NOT NULL,
    PRIMARY KEY (run, host, case_id, repetition, attempt, sha256)
) STRICT;
CREATE TABLE missing (
    run        TEXT NOT NULL REFERENCES run,
    host       TEXT NOT NULL,
    case_id    TEXT NOT NULL,
    repetition INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (run, host, case_id, repetition)
) STRICT;
CREATE TABLE event (
    run   TEXT NOT NULL REFERENCES run,
    seq   INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;
";

fn open_error(source: rusqlite::Error) -> StoreError {
    StoreError::Sqlite { doing: "open", source }
}

fn number(db: &Connection, pragma: &str) -> Result<i64, StoreError> {
    db.pragma_query_value(None, pragma, |row| row.get(0)).map_err(open_error)
}

/// Refuses files that are not ours or are of a later format. Returns whether the file is new.
pub(super) fn recognize(db: &Connection, path: &Path) -> Result<bool, StoreError> {
    let id = match number(db, "application_id") {
        Ok(id) => id,
        Err(StoreError::Sqlite { source, .. })
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
        {
            return Err(StoreError::Foreign(path.to_owned()));
        }
        Err(error) => return Err(error),
    };
    let found = number(db, "user_version")?;
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(open_error)?;
    match (id, found, tables) {
        (0, 0, 0) => Ok(true),
        (APPLICATION_ID, 1..=FORMAT, _) => Ok(false),
        (APPLICATION_ID, _, _) if found > FORMAT => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        (_, _, _) => Err(StoreError::Foreign(path.to_owned())),
    }
}

/// Makes the tables of a new file, all or nothing.
pub(super) fn create(db: &mut Connection) -> Result<(), StoreError> {
    let tx = db.transaction().map_err(open_error)?;
    tx.execute_batch(TABLES).map_err(open_error)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(open_error)?;
    tx.pragma_update(None, "user_version", FORMAT).map_err(open_error)?;
    tx.commit().map_err(open_error)
}

/// SQLite's own check of the whole file.
pub(super) fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let problem: String =
        db.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(open_error)?;
    if problem == "ok" {
        Ok(())
    } else {
        Err(StoreError::Damaged { path: path.to_owned(), problem })
    }
}
