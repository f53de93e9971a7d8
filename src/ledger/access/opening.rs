//! Opening a ledger: to read it, to decide and send with it, or to send what another process
//! decides.

use std::path::Path;
use std::sync::Arc;

use crate::base::world::World;
use crate::ledger::access::clock_skew::ClockSkew;
use crate::ledger::access::core::{LedgerReader, LedgerWriter, OpenLedger};
use crate::ledger::access::fence::Fence;
use crate::ledger::access::location::{LedgerLocation, Lock, OpenMode, Seat};
use crate::ledger::access::reserved_space::ReservedSpace;
use crate::ledger::access::views::{Dispatcher, Dispatching, Operator, Planner};
use crate::ledger::answer::spool::Spool;
use crate::ledger::audit::chain;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::ledger_tables;
use crate::msg;

/// Open for the one process that decides, and sends.
pub struct Ledger {
    pub(in crate::ledger) open: OpenLedger,
}

/// Open for one of several processes that send what the decider has planned in one database.
pub struct Worker {
    open: OpenLedger,
}

impl LedgerReader {
    /// Opens the ledger for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn open(location: impl Into<LedgerLocation>) -> Result<Option<LedgerReader>, LedgerError> {
        let location = location.into();
        if location.is_missing() {
            return Ok(None);
        }
        let (path, db) = (location.path(), location.connect(OpenMode::Read)?);
        if ledger_tables::version(&db, &path)?.is_none() {
            // Made a moment ago by a process that has not come further, or by another program.
            let foreign = ledger_tables::is_foreign(&db)?;
            // Tables that came up between the two questions came together with their version.
            return if foreign && ledger_tables::version(&db, &path)?.is_none() {
                Err(not_a_ledger(&path))
            } else {
                Ok(None)
            };
        }
        let Some(id) = ledger_tables::meta(&db, "ledger")? else {
            return Ok(None);
        };
        Ok(Some(LedgerReader {
            db,
            location,
            path,
            id,
        }))
    }
}

impl Ledger {
    /// Opens the ledger for writing, and makes it where there is none.
    ///
    /// # Errors
    /// When another process has it open for writing, when it is damaged, of another version, would
    /// lose commits, or is older than the messages sent with it.
    pub fn open(
        location: impl Into<LedgerLocation>,
        world: Arc<dyn World>,
    ) -> Result<Ledger, LedgerError> {
        let open = open_behind_fence(&location.into(), world, Seat::Decider)?;
        Ok(Ledger {
            open: begin(past_fence(open)?)?,
        })
    }

    pub fn reader(&self) -> &LedgerReader {
        &self.open.writer.reader
    }

    pub fn planner(&mut self) -> Planner<'_> {
        Planner {
            writer: &mut self.open.writer,
        }
    }

    pub fn dispatcher(&mut self) -> Dispatcher<'_> {
        Dispatcher {
            open: &mut self.open,
        }
    }

    /// What a person may do, in the process that decides.
    pub fn operator(&mut self) -> Operator<'_> {
        Operator {
            writer: &mut self.open.writer,
        }
    }
}

impl Dispatching for Ledger {
    fn reader(&self) -> &LedgerReader {
        self.reader()
    }

    fn dispatcher(&mut self) -> Dispatcher<'_> {
        self.dispatcher()
    }
}

impl Worker {
    /// Opens a ledger of a database to send what another process plans.
    ///
    /// # Errors
    /// As [`Ledger::open`]; a file has only one writer.
    pub fn open(
        location: impl Into<LedgerLocation>,
        world: Arc<dyn World>,
    ) -> Result<Worker, LedgerError> {
        let location = location.into();
        match location {
            LedgerLocation::File(path) => Err(LedgerError::Busy(path)),
            LedgerLocation::Server { .. } => {
                let open = open_behind_fence(&location, world, Seat::Worker)?;
                Ok(Worker {
                    open: begin(past_fence(open)?)?,
                })
            }
        }
    }

    pub fn reader(&self) -> &LedgerReader {
        &self.open.writer.reader
    }

    pub fn dispatcher(&mut self) -> Dispatcher<'_> {
        Dispatcher {
            open: &mut self.open,
        }
    }
}

impl Dispatching for Worker {
    fn reader(&self) -> &LedgerReader {
        self.reader()
    }

    fn dispatcher(&mut self) -> Dispatcher<'_> {
        self.dispatcher()
    }
}

impl Dispatcher<'_> {
    /// Connects anew after the database was gone. What was claimed over the lost connection is
    /// unknown from then on.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn renew_if_lost(&mut self) -> Result<(), LedgerError> {
        if self.reader().db.is_lost() {
            let seat = if matches!(self.open.lock, Lock::Seat(0)) {
                Seat::Decider
            } else {
                Seat::Worker
            };
            let location = self.reader().location.clone();
            let world = self.open.writer.world.clone();
            let mut new = past_fence(open_behind_fence(&location, world, seat)?)?;
            new.spool.go_on_with(&self.open.spool);
            *self.open = begin(new)?;
        }
        Ok(())
    }
}

/// Opens the ledger for writing although it may be older than the sends that were made with
/// it.
pub(in crate::ledger) fn open_behind_fence(
    location: &LedgerLocation,
    world: Arc<dyn World>,
    seat: Seat,
) -> Result<OpenLedger, LedgerError> {
    let path = location.path();
    let file_lock = location.lock_file()?;
    let fence = Fence::at(path.with_extension("highwater"))?;
    if location.is_missing() && fence.is_raised() {
        return Err(fence.error(&path));
    }
    let db = location.connect(OpenMode::Make)?;
    let (chain, lock) = match file_lock {
        Some(file) => (chain::MAIN.to_owned(), Lock::File { _held: file }),
        None => location.take_seat(&db, seat)?,
    };
    let version = ledger_tables::version(&db, &path)?;
    if version.is_none() && ledger_tables::is_foreign(&db)? {
        return Err(not_a_ledger(&path));
    }
    ledger_tables::make_durable(&db)?;
    ledger_tables::require_durable(&db, &path)?;
    if version.is_none() {
        world
            .about_to_write("schema")
            .map_err(|e| LedgerError::io(&path, e))?;
        ledger_tables::create(&db, &path)?;
    }
    let id = ledger_tables::meta(&db, "ledger")?;
    let made = id.is_none();
    let id = id.unwrap_or_else(|| format!("{:016x}{:016x}", world.unique(), world.unique()));
    let spool = Spool::at(path.with_extension("spool"));
    let reserved = ReservedSpace::at(
        matches!(location, LedgerLocation::File(_)).then(|| path.with_extension("ballast")),
    );
    let mut writer = LedgerWriter {
        reader: LedgerReader {
            db,
            location: location.clone(),
            path,
            id,
        },
        world,
        chain,
    };
    if made {
        let created = Record::Created {
            ledger: writer.reader.id.clone(),
        };
        let now = writer.world.now();
        writer.commit("create", now, &[], &[created])?;
    }
    Ok(OpenLedger {
        writer,
        fence,
        lock,
        segment: None,
        spool,
        reserved,
        skew: ClockSkew::default(),
    })
}

/// Refuses a ledger that is older than the messages sent with it.
fn past_fence(open: OpenLedger) -> Result<OpenLedger, LedgerError> {
    let LedgerReader { id, db, path, .. } = &open.writer.reader;
    if open.fence.stops(id, db)? {
        Err(open.fence.error(path))
    } else {
        Ok(open)
    }
}

/// Takes in what processes that are gone have left.
pub(in crate::ledger) fn begin(mut open: OpenLedger) -> Result<OpenLedger, LedgerError> {
    let mut dispatcher = Dispatcher { open: &mut open };
    // What is said of a claim comes before it is taken for unknown.
    dispatcher.ingest_spool()?;
    let now = dispatcher.open.writer.world.now();
    dispatcher.ingest_orphans(now, true)?;
    Ok(open)
}

fn not_a_ledger(path: &Path) -> LedgerError {
    let shown = path.display();
    LedgerError::Damaged(msg!(
        "`{shown}` is a database of another program",
        "`{shown}` 是其他程序的数据库"
    ))
}
