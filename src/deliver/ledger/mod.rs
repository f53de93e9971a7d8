//! The ledger: what is live, what was planned, what was claimed, what was answered. One SQLite file beside the store.
//!
//! | transaction | writes | a crash before its commit | a crash after it |
//! | --- | --- | --- | --- |
//! | plan | runs, texts, frozen segments, stopped users | nothing happened, planned again | never evaluated again |
//! | claim | the next members of a segment, their keys, digest of the request | nothing was sent | unknown, settled at the next start |
//! | answer | accepted, refused, unknown, or proved not sent | unknown, settled at the next start | done |
//!
//! A change is a list of [`record`]s. They are the payload of one link of the audit chain and the only thing that the tables are made
//! from ([`project`]), so that [`Ledger::verify`] can make the tables again and compare. What is long (users, addresses, texts) lies in
//! [`bulk`] under its digest.
//!
//! [`Ledger`] is what one can ask; [`Console`] what a person may do beside the process that carries campaigns out; [`Writer`] what that
//! process does. There is one writer at a time over all processes. What may follow what is in the types: only a [`Due`] segment can be claimed, only a [`Claim`] or an [`Unsettled`] batch can be answered, each once.

mod audit;
mod bulk;
mod claim;
mod console;
mod due;
mod encode;
mod error;
mod evidence;
mod fence;
mod history;
mod holds;
mod inbox;
mod live;
mod outcome;
mod plan;
mod project;
mod record;
mod report;
mod restore;
mod schema;
mod sent;
mod standing;
mod state;
mod timers;
mod trial;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use audit::{Head, Verified};
pub use claim::{Claim, Stuck, Taken, Unsettled};
pub use console::Console;
pub use due::{Due, Except, Limit};
pub use error::LedgerError;
pub use evidence::{MessageKey, News};
pub use holds::{Hold, Scope};
pub use inbox::{Applied as CallApplied, Call, NewCall, Told, What};
pub use live::{Applied, Live, LiveCampaign, LiveProgram, Missed, StoredProgram};
pub use outcome::{Happened, MessageOutcome, UserOutcome};
pub use plan::{Occasion, PlannedRun, RunId, RunInfo};
pub use report::{MessagesReport, RunReport, StoppedReport};
pub use restore::Restored;
pub use sent::Sent;
pub use standing::Backlog;
pub use state::{ReceiptKind, State};
pub use timers::{HandedOver, Later, Names, NewWait, Over, Reached, Timer, Wait};
pub use trial::{Trial, TrialSent};

use crate::base::Instant;
use crate::base::world::World;
use crate::msg;
use bulk::Bulk;
use fence::Fence;
use record::Record;

/// How long a reader or a writer waits for the other's short work on the file.
const BUSY: Duration = Duration::from_secs(10);
/// How often the writer's lock is asked for, and how long between.
const LOCK_TRIES: usize = 20;
const LOCK_WAIT: Duration = Duration::from_millis(25);
/// Prepared statements that are kept; there are about as many different ones.
const STATEMENTS: usize = 64;

/// The reading side.
pub struct Ledger {
    db: Connection,
    path: PathBuf,
    /// Its own name, part of every key that a platform sees.
    id: String,
}

/// The writing side. While it lives no other process can have one; the claims of one that is gone are settled, never taken over.
pub struct Writer {
    console: Console,
    fence: Fence,
    /// Held until the writer is dropped.
    _lock: File,
}

impl Deref for Writer {
    type Target = Console;

    fn deref(&self) -> &Console {
        &self.console
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut Console {
        &mut self.console
    }
}

impl Ledger {
    /// Opens the ledger for writing, makes it where there is none, and brings it to the present version.
    ///
    /// # Errors
    /// When another process has it open for writing, when it is damaged, of a later version, would lose commits, or is older than the
    /// hand-overs that were made with it.
    pub fn open(path: &Path, world: Arc<dyn World>) -> Result<Writer, LedgerError> {
        let writer = Ledger::open_behind_fence(path, world)?;
        let stops = writer.fence.stops(&writer.id, &writer.db, audit::last(&writer.db, audit::MAIN)?.n)?;
        if stops { Err(writer.fence.error(path)) } else { writer.begin() }
    }

    /// Opens the ledger for writing although it may be older than the hand-overs that were made with it.
    fn open_behind_fence(path: &Path, world: Arc<dyn World>) -> Result<Writer, LedgerError> {
        let lock = lock(&path.with_extension("lock"))?;
        let fence = Fence::at(path.with_extension("highwater"))?;
        if !path.exists() && fence.is_raised() {
            return Err(fence.error(path));
        }
        let mut db = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        let version = schema::version(&db)?;
        schema::check_version(version, path)?;
        if version == 0 && db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))? {
            return Err(not_a_ledger(path));
        }
        schema::make_durable(&db)?;
        schema::require_durable(&db, path)?;
        if version < schema::VERSION {
            world.about_to_write("migrate").map_err(|e| LedgerError::io(path, e))?;
            schema::migrate(&mut db, path)?;
        }
        let id = schema::meta(&db, "ledger")?;
        let made = id.is_none();
        let id = id.unwrap_or_else(|| format!("{:016x}{:016x}", world.unique(), world.unique()));
        let ledger = Ledger { db, path: path.into(), id };
        let mut writer = Writer { console: Console::new(ledger, world, audit::MAIN), fence, _lock: lock };
        if made {
            let created = Record::Created { ledger: writer.id.clone() };
            let now = writer.world.now();
            writer.commit("create", now, &[], &[created])?;
        }
        Ok(writer)
    }

    /// Opens the ledger for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn open_existing(path: &Path) -> Result<Option<Ledger>, LedgerError> {
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        let version = schema::version(&db)?;
        schema::check_version(version, path)?;
        if version == 0 {
            // Made a moment ago by a process that has not come further, or by another program.
            let empty: bool = db.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
            return if empty { Ok(None) } else { Err(not_a_ledger(path)) };
        }
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        let Some(id) = schema::meta(&db, "ledger")? else { return Ok(None) };
        Ok(Some(Ledger { db, path: path.into(), id }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Writer {
    /// Takes in what processes that are gone have left.
    fn begin(mut self) -> Result<Writer, LedgerError> {
        let now = self.world.now();
        self.take_in_orphans(now)?;
        Ok(self)
    }

    /// Like [`Console::commit`], and no copy of the ledger that lacks this change can be written to any more.
    fn commit_fenced(&mut self, kind: &'static str, at: Instant, bulk: &[Bulk], records: &[Record]) -> Result<(), LedgerError> {
        let link = self.console.commit_link(kind, at, bulk, records)?;
        self.world.about_to_write("highwater").map_err(|e| LedgerError::io(self.fence.path(), e))?;
        let Writer { console, fence, .. } = self;
        fence.raise(&console.id, &link)
    }

    /// The next free number of a table.
    fn next_id(&self, table: &'static str) -> Result<i64, LedgerError> {
        let sql = format!("SELECT coalesce(max({table}), 0) + 1 FROM {table}");
        Ok(self.db.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
    }
}

/// Connects for writing. One thread at a time: the types see to it.
fn connect(path: &Path, more: OpenFlags) -> Result<Connection, LedgerError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// Takes the writer's lock. A process that ends may hold it for a moment longer, so it is asked for more than once.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|e| LedgerError::io(path, e))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                return Err(LedgerError::NotDurable { file: path.into(), setting: "no file locks".into() });
            }
            Err(TryLockError::Error(e)) => return Err(LedgerError::io(path, e)),
        }
    }
    Err(LedgerError::Busy(path.into()))
}

fn not_a_ledger(path: &Path) -> LedgerError {
    let shown = path.display();
    LedgerError::Damaged(msg!("`{shown}` is a database of another program", "`{shown}` 是其他程序的数据库"))
}
