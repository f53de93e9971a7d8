//! The files of `live/`: SQLite, a row a change, positions rising over all of them.
//!
//! A file is named after the first position that it may hold. One process appends ([`Appender`]);
//! any number read, without waiting.

use crate::msg;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::background::{BackgroundError, Checkpoints};

use crate::base::{Instant, UserNo};
use crate::store::StoreError;

/// A change as it lies in the log: user as a number, values as JSON text that imports read.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRow {
    pub user: UserNo,
    /// A tag's name, or an event's.
    pub name: String,
    pub is_event: bool,
    pub at: Instant,
    pub id: Option<String>,
    /// A tag's value, or an array of an event's fields with their names.
    pub body: String,
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS change (
    n INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    name TEXT NOT NULL,
    is_event INTEGER NOT NULL,
    at INTEGER NOT NULL,
    id TEXT UNIQUE,
    body TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;";

/// Changes that gather in the write-ahead log before they are moved into the file.
const CHECKPOINT_ROWS: u64 = 10_000;
/// How often one who appends looks whether a checkpoint has ended, and for how many times.
const LOOK: Duration = Duration::from_micros(500);
const LOOKS: i32 = 20_000;
/// How long a reader waits for a moment in which the file can be read.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn folder(dir: &Path) -> PathBuf {
    dir.join("live")
}

/// The files by their first position, oldest first.
pub fn files(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let folder = folder(dir);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::read(&folder, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| StoreError::read(&folder, e))?.path();
        if path.extension().is_some_and(|e| e == "db")
            && let Some(first) = path
                .file_stem()
                .and_then(|s| s.to_str())
                .and_then(|s| s.parse().ok())
        {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}

pub fn failed(path: &Path, e: rusqlite::Error) -> StoreError {
    match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged {
                file: path.into(),
                what: msg!("it is not a log of live changes", "不是实时变更日志"),
            }
        }
        _ => StoreError::write(path, io::Error::other(e)),
    }
}

/// Reading of the log.
pub struct Log;

impl Log {
    /// The position of the last change; 0 when there is none.
    pub fn last(dir: &Path) -> Result<u64, StoreError> {
        for (first, path) in files(dir)?.iter().rev() {
            let Some(db) = open_to_read(path)? else {
                continue;
            };
            let n: Option<u64> = db
                .query_row("SELECT max(n) FROM change", [], |row| row.get(0))
                .map_err(|e| failed(path, e))?;
            return Ok(n.unwrap_or_else(|| first.saturating_sub(1)));
        }
        Ok(0)
    }

    /// The changes after a position, in order, and the position of the last one.
    pub fn after(dir: &Path, position: u64) -> Result<(Vec<LogRow>, u64), StoreError> {
        let mut rows = Vec::new();
        let last = each(dir, position, &mut |_, row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok((rows, last))
    }
}

/// Calls `f` with the events after a position, in order, at most so many; gives the position up to
/// which that is all of them.
pub fn each_event(
    dir: &Path,
    position: u64,
    most: usize,
    f: &mut dyn FnMut(u64, LogRow),
) -> Result<u64, StoreError> {
    let mut left = most;
    each(dir, position, &mut |n, row| {
        if row.is_event {
            left = left.saturating_sub(1);
            f(n, row);
        }
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
}

/// Calls `f` with the changes after a position, in order, until it has enough; gives the position
/// of the last one.
fn each(
    dir: &Path,
    position: u64,
    f: &mut dyn FnMut(u64, LogRow) -> ControlFlow<()>,
) -> Result<u64, StoreError> {
    let files = files(dir)?;
    let (mut last, mut enough) = (position, ControlFlow::Continue(()));
    for (i, (_, path)) in files.iter().enumerate() {
        if files
            .get(i + 1)
            .is_some_and(|(next, _)| *next <= position + 1)
        {
            continue;
        }
        let Some(db) = open_to_read(path)? else {
            continue;
        };
        let mut read = || -> rusqlite::Result<()> {
            let mut select = db.prepare(
                "SELECT n, user, name, is_event, at, id, body FROM change WHERE n > ? ORDER BY n",
            )?;
            let mut found = select.query([position])?;
            while let (ControlFlow::Continue(()), Some(row)) = (enough, found.next()?) {
                last = row.get(0)?;
                enough = f(last, row_of(row)?);
            }
            Ok(())
        };
        read().map_err(|e| failed(path, e))?;
        if enough.is_break() {
            break;
        }
    }
    Ok(last)
}

fn row_of(row: &rusqlite::Row) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        user: UserNo(row.get(1)?),
        name: row.get(2)?,
        is_event: row.get(3)?,
        at: Instant(row.get(4)?),
        id: row.get(5)?,
        body: row.get(6)?,
    })
}

/// `None` for a file that went away, or that nothing was written to yet.
fn open_to_read(path: &Path) -> Result<Option<Connection>, StoreError> {
    // A log of another process can only be read by one who may touch its index beside it.
    let db = match Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    ) {
        Ok(db) => db,
        Err(_) if !path.exists() => return Ok(None),
        Err(e) => return Err(failed(path, e)),
    };
    db.busy_timeout(PATIENCE).map_err(|e| failed(path, e))?;
    match db
        .query_row(
            "SELECT 1 FROM sqlite_master WHERE name = 'change'",
            [],
            |_| Ok(()),
        )
        .optional()
    {
        // SQLite opens a file when it first reads it.
        Err(_) if !path.exists() => Ok(None),
        there => Ok(there.map_err(|e| failed(path, e))?.map(|()| db)),
    }
}

/// The newest file, for the one who appends.
pub struct Appender {
    path: PathBuf,
    db: Connection,
    /// The file before, for the ids in it.
    before: Option<Connection>,
    next: u64,
    pub began: Instant,
    pub rows: u64,
    checkpoints: Checkpoints,
    /// Rows since the last one.
    unmoved: u64,
}

impl Appender {
    /// Goes on with the newest file, or begins one after `position`.
    pub fn open(
        dir: &Path,
        position: u64,
        now: Instant,
        trouble: &Arc<BackgroundError>,
    ) -> Result<Appender, StoreError> {
        let files = files(dir)?;
        let next = Log::last(dir)?.max(position) + 1;
        match files.split_last() {
            Some(((_, newest), older)) => Appender::at(
                newest.clone(),
                older.last().map(|(_, p)| p.as_path()),
                next,
                now,
                trouble,
            ),
            None => Appender::begin(dir, None, next, now, trouble),
        }
    }

    fn begin(
        dir: &Path,
        before: Option<&Path>,
        next: u64,
        now: Instant,
        trouble: &Arc<BackgroundError>,
    ) -> Result<Appender, StoreError> {
        let folder = folder(dir);
        fs::create_dir_all(&folder).map_err(|e| StoreError::write(&folder, e))?;
        let appender = Appender::at(
            folder.join(format!("{next:020}.db")),
            before,
            next,
            now,
            trouble,
        )?;
        if cfg!(unix) {
            for folder in [folder.as_path(), dir] {
                File::open(folder)
                    .and_then(|f| f.sync_all())
                    .map_err(|e| StoreError::write(folder, e))?;
            }
        }
        Ok(appender)
    }

    fn at(
        path: PathBuf,
        before: Option<&Path>,
        next: u64,
        now: Instant,
        trouble: &Arc<BackgroundError>,
    ) -> Result<Appender, StoreError> {
        let open = || -> rusqlite::Result<(Connection, u64)> {
            let db = Connection::open(&path)?;
            db.busy_handler(Some(|looks| {
                std::thread::sleep(LOOK);
                looks < LOOKS
            }))?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "wal_autocheckpoint", 0)?;
            db.execute_batch(SCHEMA)?;
            let rows = db.query_row("SELECT count(*) FROM change", [], |row| row.get(0))?;
            Ok((db, rows))
        };
        let (db, rows) = open().map_err(|e| failed(&path, e))?;
        let before = before.map(open_to_read).transpose()?.flatten();
        let checkpoints = Checkpoints::of(&path, trouble)?;
        Ok(Appender {
            path,
            db,
            before,
            next,
            began: now,
            rows,
            checkpoints,
            unmoved: 0,
        })
    }

    /// Begins a new file; the ids of this one are still known.
    pub fn rotate(
        &mut self,
        dir: &Path,
        now: Instant,
        trouble: &Arc<BackgroundError>,
    ) -> Result<(), StoreError> {
        let next = Appender::begin(dir, Some(&self.path), self.next, now, trouble)?;
        let old = std::mem::replace(self, next);
        // It may have a checkpoint to end, and changes wait.
        std::thread::spawn(move || drop(old));
        Ok(())
    }

    /// Writes rows in one durable transaction. Says of each whether it is new: an event whose id is
    /// known is not written again.
    pub fn append(&mut self, rows: &[LogRow]) -> Result<Vec<bool>, StoreError> {
        let mut next = self.next;
        let mut write = || -> rusqlite::Result<Vec<bool>> {
            let transaction = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut new = Vec::with_capacity(rows.len());
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                )?;
                let mut known = match &self.before {
                    Some(before) => {
                        Some(before.prepare_cached("SELECT 1 FROM change WHERE id = ?")?)
                    }
                    None => None,
                };
                for row in rows {
                    let repeated = match (&row.id, &mut known) {
                        (Some(id), Some(known)) => known.exists([id])?,
                        _ => false,
                    };
                    let written = !repeated
                        && insert.execute(params![
                            next,
                            row.user.0,
                            row.name,
                            row.is_event,
                            row.at.0,
                            row.id,
                            row.body
                        ])? == 1;
                    next += u64::from(written);
                    new.push(written);
                }
            }
            transaction.commit()?;
            Ok(new)
        };
        let new = write().map_err(|e| failed(&self.path, e))?;
        self.rows += next - self.next;
        self.unmoved += next - self.next;
        self.next = next;
        if self.unmoved >= CHECKPOINT_ROWS {
            self.unmoved = 0;
            self.checkpoints.wake();
        }
        Ok(new)
    }

    /// The position of the last change.
    pub fn position(&self) -> u64 {
        self.next - 1
    }
}
