//! Where a ledger is, how it is connected to, and who sits at it: a file has one writer, a database
//! one decider and several workers.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::OpenFlags;

use crate::ledger::audit::chain;
use crate::ledger::error::LedgerError;
use crate::ledger::sql::{self, Connection};

/// How long a reader or a writer waits for the other's short work on the file.
const BUSY: Duration = Duration::from_secs(10);
/// How often a lock is asked for, and how long between: a process that ends may hold it for a
/// moment longer.
const LOCK_TRIES: usize = 20;
const LOCK_WAIT: Duration = Duration::from_millis(25);
/// Prepared statements that are kept; there are about as many different ones.
const STATEMENTS: usize = 64;
/// Workers of one database.
const MOST_WORKERS: i64 = 64;
/// The first half of the number of each seat's lock; those of segments and batches are whole
/// numbers of their own.
const SEATS: i64 = 29_793;

/// Where a ledger is.
#[derive(Clone, PartialEq, Eq)]
pub enum LedgerLocation {
    /// A SQLite file; what belongs to it lies beside it.
    File(PathBuf),
    /// A PostgreSQL database; how far sends have come is kept in a folder of each process.
    Server { url: String, beside: PathBuf },
}

/// Without the URL: it may hold a password.
impl fmt::Debug for LedgerLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().fmt(f)
    }
}

impl From<&Path> for LedgerLocation {
    fn from(path: &Path) -> Self {
        LedgerLocation::File(path.into())
    }
}

impl From<&PathBuf> for LedgerLocation {
    fn from(path: &PathBuf) -> Self {
        LedgerLocation::File(path.clone())
    }
}

impl From<&LedgerLocation> for LedgerLocation {
    fn from(place: &LedgerLocation) -> Self {
        place.clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ledger) enum OpenMode {
    Read,
    Write,
    /// Makes it where there is none.
    Make,
}

/// What a process does with a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ledger) enum Seat {
    Decider,
    Worker,
}

/// What keeps others from the same seat. It belongs to the process or to its connection, never to a
/// time.
pub(in crate::ledger) enum Lock {
    File {
        _held: File,
    },
    /// The decider's is 0.
    Seat(i64),
}

impl LedgerLocation {
    /// Names it, and what lies beside it is named after it.
    pub(in crate::ledger) fn path(&self) -> PathBuf {
        match self {
            LedgerLocation::File(path) => path.clone(),
            LedgerLocation::Server { beside, .. } => beside.join("ledger.postgres"),
        }
    }

    /// There is no file.
    pub(in crate::ledger) fn is_missing(&self) -> bool {
        matches!(self, LedgerLocation::File(path) if !path.exists())
    }

    pub(in crate::ledger) fn connect(&self, access: OpenMode) -> Result<Connection, LedgerError> {
        match self {
            LedgerLocation::File(path) => {
                // One thread at a time: the types see to it.
                let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
                    | match access {
                        OpenMode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
                        OpenMode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
                        OpenMode::Make => {
                            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
                        }
                    };
                let db =
                    rusqlite::Connection::open_with_flags(path, flags).map_err(sql::Error::from)?;
                db.busy_timeout(BUSY).map_err(sql::Error::from)?;
                db.set_prepared_statement_cache_capacity(STATEMENTS);
                Ok(Connection::Sqlite(db))
            }
            LedgerLocation::Server { url, beside } => {
                if access != OpenMode::Read {
                    std::fs::create_dir_all(beside).map_err(|e| LedgerError::io(beside, e))?;
                }
                let db = Connection::to_server(url)?;
                db.execute_batch("SET search_path = tagcast; SET client_min_messages = warning")?;
                if access == OpenMode::Read {
                    db.execute_batch("SET default_transaction_read_only = on")?;
                }
                Ok(db)
            }
        }
    }

    /// The lock of a file's one writer.
    pub(in crate::ledger) fn lock_file(&self) -> Result<Option<File>, LedgerError> {
        let LedgerLocation::File(path) = self else {
            return Ok(None);
        };
        let path = path.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| LedgerError::io(&path, e))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                    return Err(LedgerError::NotDurable {
                        file: path,
                        setting: "no file locks".into(),
                    });
                }
                Err(TryLockError::Error(e)) => return Err(LedgerError::io(&path, e)),
            }
        }
        Err(LedgerError::Busy(path))
    }

    /// A seat at a database, with the name of the chain that its records go to.
    pub(in crate::ledger) fn take_seat(
        &self,
        db: &Connection,
        seat: Seat,
    ) -> Result<(String, Lock), LedgerError> {
        let seats = match seat {
            Seat::Decider => 0..=0,
            Seat::Worker => 1..=MOST_WORKERS,
        };
        for _ in 0..LOCK_TRIES {
            for n in seats.clone() {
                if try_seat(db, n)? {
                    return Ok((chain_of(n), Lock::Seat(n)));
                }
            }
            std::thread::sleep(LOCK_WAIT);
        }
        Err(LedgerError::Busy(self.path()))
    }

    /// Whether a process has the writer's seat.
    pub(in crate::ledger) fn is_taken(&self, db: &Connection) -> Result<bool, LedgerError> {
        match self {
            LedgerLocation::Server { .. } => {
                let sql = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = ? AND objid::bigint = 0 AND granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
                Ok(db.prepare_cached(sql)?.exists([SEATS])?)
            }
            LedgerLocation::File(path) => {
                let path = path.with_extension("lock");
                let file = match OpenOptions::new().write(true).open(&path) {
                    Ok(file) => file,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
                    Err(e) => return Err(LedgerError::io(&path, e)),
                };
                match file.try_lock() {
                    Ok(()) => Ok(false),
                    Err(TryLockError::WouldBlock) => Ok(true),
                    Err(TryLockError::Error(e)) => Err(LedgerError::io(&path, e)),
                }
            }
        }
    }
}

fn chain_of(seat: i64) -> String {
    if seat == 0 {
        chain::MAIN.into()
    } else {
        format!("worker {seat}")
    }
}

/// The seat of whom a chain of records belongs to.
pub(in crate::ledger) fn seat_of(chain: &str) -> i64 {
    chain
        .strip_prefix("worker ")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// Takes a seat of a database if it is free; the connection holds it.
pub(in crate::ledger) fn try_seat(db: &Connection, seat: i64) -> sql::Result<bool> {
    db.query_row(
        "SELECT pg_try_advisory_lock(CAST(? AS INTEGER), CAST(? AS INTEGER))",
        [SEATS, seat],
        |row| row.get(0),
    )
}

pub(in crate::ledger) fn leave_seat(db: &Connection, seat: i64) -> sql::Result<()> {
    db.query_row(
        "SELECT pg_advisory_unlock(CAST(? AS INTEGER), CAST(? AS INTEGER))",
        [SEATS, seat],
        |row| row.get::<bool>(0),
    )
    .map(drop)
}

/// Takes something that only one process may work on at a time (a segment by its number, a batch by
/// its negative one), if it is free.
pub(in crate::ledger) fn try_hold(db: &Connection, what: i64) -> sql::Result<bool> {
    match db {
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(_) => db.query_row(
            "SELECT pg_try_advisory_lock(CAST(? AS BIGINT))",
            [what],
            |row| row.get(0),
        ),
    }
}

pub(in crate::ledger) fn let_go(db: &Connection, what: i64) -> sql::Result<()> {
    match db {
        Connection::Sqlite(_) => Ok(()),
        Connection::Postgres(_) => db
            .query_row(
                "SELECT pg_advisory_unlock(CAST(? AS BIGINT))",
                [what],
                |row| row.get::<bool>(0),
            )
            .map(drop),
    }
}
