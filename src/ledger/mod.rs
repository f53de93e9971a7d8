//! The ledger: what is live, what was planned, what was claimed, what was answered. A SQLite file
//! beside the store, or a PostgreSQL database that several workers share ([`location`]).
//!
//! | transaction | writes | a crash before its commit | a crash after it |
//! | --- | --- | --- | --- |
//! | plan | runs, texts, frozen segments, stopped users | nothing happened, planned again | never evaluated again |
//! | claim | the next members of a segment, their keys, digest of the request | nothing was sent | unknown, settled at the next start |
//! | answer | accepted, refused, unknown, or proved not sent | unknown, settled at the next start | done |
//!
//! A change is a list of [`record`]s. They are the payload of one link of the audit chain and the
//! only thing that the tables are made from ([`projection`]), so that [`Ledger::verify`] can make the
//! tables again and compare. What is long (users, addresses, texts) lies in [`blob`] under its
//! digest.
//!
//! [`Ledger`] is what one can ask; [`Console`] what a person may do beside the process that carries
//! campaigns out; [`Writer`] what that process does. There is one writer at a time over all
//! processes. What may follow what is in the types: only a [`DueSegment`] segment can be claimed, only a
//! [`Claim`] or an [`UnsettledBatch`] batch can be answered, each once.

mod answer;
mod audit;
mod backlog;
mod batch;
mod blob;
mod calls;
mod cap_history;
mod claim;
mod clock_skew;
mod console;
mod contacts;

mod due;
mod encode;
mod error;
pub mod event_sources;
mod evidence;
mod fence;
mod forget;
mod holds;
mod live_programs;
mod location;
mod mailbox;

mod outcome;
mod planned_runs;
mod polls;
mod projection;
mod record;
mod replan;
mod report;
mod reserved_space;
mod restore;
mod send_limits;
mod sent_messages;
mod spool;
mod sql;
mod state;
mod test_send;
mod timers;
mod trouble;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use audit::{Head, Verified};
pub use backlog::Backlog;
pub use batch::{
    Batch, BatchEvidence, BatchOutcome, DeliveryCounts, Message, Page, Refusal, Verdict,
};
pub use calls::{Call, CallApplied, NewCall, Receipt, ReceiptContent};
pub use claim::{Claim, ClaimAttempt, UnknownBatch, UnsettledBatch};
pub use console::Console;
pub use contacts::RefusedAddress;
pub use due::{DueFilter, DueSegment, RateLimit};
pub use error::LedgerError;
pub use evidence::{MessageKey, MessageNews};
pub use holds::{Hold, HoldScope};
pub use live_programs::{Applied, Live, LiveCampaign, LiveProgram, MissedInstant, StoredProgram};
pub use location::LedgerLocation;
pub use mailbox::MailboxState;
pub use outcome::{MessageOutcome, MessageProgress, UserOutcome};
pub use planned_runs::{Occasion, PlannedRun, RunId, RunInfo};
pub use polls::{PollRequest, PolledBatch};
pub use replan::{PlannedFilter, PlannedMessages};
pub use report::{MessagesReport, RunReport, StoppedReport};
pub use restore::Restored;
pub use sent_messages::SentMessage;
pub use sql::Error as DbError;
pub use state::{ReceiptKind, State};
pub use test_send::{TestSend, TestSendState};
pub use timers::{
    CampaignNames, DeciderChanges, DispatchedSegment, EndReason, FollowUpMember, NewWait, Timer,
    Wait,
};
pub use trouble::Trouble;

use crate::base::Instant;
use crate::base::world::World;
use crate::msg;
use blob::Blob;
use clock_skew::ClockSkew;
use fence::Fence;
use location::{Lock, OpenMode, Seat};
use record::Record;
use reserved_space::ReservedSpace;
use spool::Spool;
use sql::{Connection, schema};

/// The reading side.
pub struct Ledger {
    db: Connection,
    place: LedgerLocation,
    /// Names it to people, and what lies beside it is named after it.
    path: PathBuf,
    /// Its own name, part of every key that a platform sees.
    id: String,
}

/// The writing side. While it lives no other process can have one; the claims of one that is gone
/// are settled, never taken over.
pub struct Writer {
    console: Console,
    fence: Fence,
    /// Held until the writer is dropped.
    lock: Lock,
    /// The segment that only this process claims from; in a file there is no other.
    segment: Option<i64>,
    /// Answers that it could not be told.
    spool: Spool,
    /// Room for answers on a full disk.
    ballast: ReservedSpace,
    /// By how much the database's clock is ahead of this machine's.
    skew: ClockSkew,
}

/// One of several processes that hand over what the [`Writer`] has planned in one database.
pub struct Worker(Writer);

impl Worker {
    /// For carrying out alone: a worker plans nothing.
    pub(crate) fn writer_of_worker(&mut self) -> &mut Writer {
        &mut self.0
    }
}

impl Deref for Worker {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.0
    }
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
    /// Opens the ledger for writing, and makes it where there is none.
    ///
    /// # Errors
    /// When another process has it open for writing, when it is damaged, of another version, would
    /// lose commits, or is older than the hand-overs that were made with it.
    pub fn open(
        place: impl Into<LedgerLocation>,
        world: Arc<dyn World>,
    ) -> Result<Writer, LedgerError> {
        Ledger::open_behind_fence(&place.into(), world, Seat::Decider)?
            .past_fence()?
            .begin()
    }

    /// Opens a ledger of a database to hand over what another process plans.
    ///
    /// # Errors
    /// As [`Ledger::open`]; a file has only one writer.
    pub fn join(
        place: impl Into<LedgerLocation>,
        world: Arc<dyn World>,
    ) -> Result<Worker, LedgerError> {
        let place = place.into();
        match place {
            LedgerLocation::File(path) => Err(LedgerError::Busy(path)),
            LedgerLocation::Server { .. } => Ok(Worker(
                Ledger::open_behind_fence(&place, world, Seat::Worker)?
                    .past_fence()?
                    .begin()?,
            )),
        }
    }

    /// Opens the ledger for writing although it may be older than the hand-overs that were made
    /// with it.
    fn open_behind_fence(
        place: &LedgerLocation,
        world: Arc<dyn World>,
        seat: Seat,
    ) -> Result<Writer, LedgerError> {
        let path = place.path();
        let file_lock = place.lock_file()?;
        let fence = Fence::at(path.with_extension("highwater"))?;
        if place.is_missing() && fence.is_raised() {
            return Err(fence.error(&path));
        }
        let db = place.connect(OpenMode::Make)?;
        let (chain, lock) = match file_lock {
            Some(file) => (audit::MAIN.to_owned(), Lock::File { _held: file }),
            None => place.take_seat(&db, seat)?,
        };
        let version = schema::version(&db, &path)?;
        if version.is_none() && schema::is_foreign(&db)? {
            return Err(not_a_ledger(&path));
        }
        schema::make_durable(&db)?;
        schema::require_durable(&db, &path)?;
        if version.is_none() {
            world
                .about_to_write("schema")
                .map_err(|e| LedgerError::io(&path, e))?;
            schema::create(&db, &path)?;
        }
        let id = schema::meta(&db, "ledger")?;
        let made = id.is_none();
        let id = id.unwrap_or_else(|| format!("{:016x}{:016x}", world.unique(), world.unique()));
        let ledger = Ledger {
            db,
            place: place.clone(),
            path,
            id,
        };
        let spool = Spool::at(ledger.path.with_extension("spool"));
        let ballast = ReservedSpace::at(
            matches!(place, LedgerLocation::File(_)).then(|| ledger.path.with_extension("ballast")),
        );
        let mut writer = Writer {
            console: Console::new(ledger, world, chain),
            fence,
            lock,
            segment: None,
            spool,
            ballast,
            skew: ClockSkew::default(),
        };
        if made {
            let created = Record::Created {
                ledger: writer.id.clone(),
            };
            let now = writer.world.now();
            writer.commit("create", now, &[], &[created])?;
        }
        Ok(writer)
    }

    /// Opens the ledger for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn open_existing(place: impl Into<LedgerLocation>) -> Result<Option<Ledger>, LedgerError> {
        let place = place.into();
        if place.is_missing() {
            return Ok(None);
        }
        let (path, db) = (place.path(), place.connect(OpenMode::Read)?);
        if schema::version(&db, &path)?.is_none() {
            // Made a moment ago by a process that has not come further, or by another program.
            let foreign = schema::is_foreign(&db)?;
            // Tables that came up between the two questions came together with their version.
            return if foreign && schema::version(&db, &path)?.is_none() {
                Err(not_a_ledger(&path))
            } else {
                Ok(None)
            };
        }
        let Some(id) = schema::meta(&db, "ledger")? else {
            return Ok(None);
        };
        Ok(Some(Ledger {
            db,
            place,
            path,
            id,
        }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Writer {
    /// Refuses a ledger that is older than the hand-overs that were made with it.
    fn past_fence(self) -> Result<Writer, LedgerError> {
        if self.fence.stops(&self.id, &self.db)? {
            Err(self.fence.error(&self.path))
        } else {
            Ok(self)
        }
    }

    /// Takes in what processes that are gone have left.
    fn begin(mut self) -> Result<Writer, LedgerError> {
        // What is said of a claim comes before it is taken for unknown.
        self.take_in_spool()?;
        let now = self.world.now();
        self.take_in_orphans(now, true)?;
        Ok(self)
    }

    /// Connects anew after the database was gone. What was claimed over the lost connection is
    /// unknown from then on.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn renew_if_lost(&mut self) -> Result<(), LedgerError> {
        if self.db.is_lost() {
            let seat = if matches!(self.lock, Lock::Seat(0)) {
                Seat::Decider
            } else {
                Seat::Worker
            };
            let (place, world) = (self.place.clone(), self.world.clone());
            let mut new = Ledger::open_behind_fence(&place, world, seat)?.past_fence()?;
            new.spool.go_on_with(&self.spool);
            *self = new.begin()?;
        }
        Ok(())
    }

    /// Like [`Console::commit`], and no copy of the ledger that lacks this change can be written to
    /// any more.
    fn commit_fenced(
        &mut self,
        kind: &'static str,
        at: Instant,
        blobs: &[Blob],
        records: &[Record],
    ) -> Result<(), LedgerError> {
        let link = self.console.commit_link(kind, at, blobs, records)?;
        self.world
            .about_to_write("highwater")
            .map_err(|e| LedgerError::io(self.fence.path(), e))?;
        let Writer { console, fence, .. } = self;
        fence.raise(&console.id, &link)
    }

    /// The next free number of a table.
    fn next_id(&self, table: &'static str) -> Result<i64, LedgerError> {
        schema::next_id(&self.db, table).map_err(Into::into)
    }
}

fn not_a_ledger(path: &Path) -> LedgerError {
    let shown = path.display();
    LedgerError::Damaged(msg!(
        "`{shown}` is a database of another program",
        "`{shown}` 是其他程序的数据库"
    ))
}
