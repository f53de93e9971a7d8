//! An open ledger: its connection, what can be asked through it, and the one way to change it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::Instant;
use crate::base::world::World;
use crate::ledger::access::clock_skew::ClockSkew;
use crate::ledger::access::fence::Fence;
use crate::ledger::access::location::{LedgerLocation, Lock};
use crate::ledger::access::reserved_space::ReservedSpace;
use crate::ledger::answer::spool::Spool;
use crate::ledger::audit::chain::{self, Link};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob::Blob;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::{Connection, ledger_tables};

/// What can be asked.
pub struct LedgerReader {
    pub(in crate::ledger) db: Connection,
    pub(in crate::ledger) location: LedgerLocation,
    /// Names it to people, and what lies beside it is named after it.
    pub(in crate::ledger) path: PathBuf,
    /// Its own name, part of every key that a platform sees.
    pub(in crate::ledger) id: String,
}

impl LedgerReader {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The one way to change it: by records.
pub(in crate::ledger) struct LedgerWriter {
    pub reader: LedgerReader,
    pub world: Arc<dyn World>,
    /// Whose chain its records go to.
    pub chain: String,
}

impl LedgerWriter {
    /// The records and their columns become durable together, or not at all.
    pub fn commit(
        &mut self,
        kind: &'static str,
        at: Instant,
        blobs: &[Blob],
        records: &[Record],
    ) -> Result<(), LedgerError> {
        self.commit_link(kind, at, blobs, records).map(drop)
    }

    pub fn commit_link(
        &mut self,
        kind: &'static str,
        at: Instant,
        blobs: &[Blob],
        records: &[Record],
    ) -> Result<Link, LedgerError> {
        let LedgerReader { db, path, .. } = &self.reader;
        let tx = db.transaction()?;
        blobs.iter().try_for_each(|blob| blob.put(&tx))?;
        let tables = Projection {
            db: &tx,
            blobs: &tx,
        };
        records
            .iter()
            .try_for_each(|record| tables.apply(record, at.0))?;
        let link = chain::append(&tx, &self.chain, at, kind, records)?;
        self.world
            .about_to_write(kind)
            .map_err(|e| LedgerError::io(path, e))?;
        tx.commit()?;
        Ok(link)
    }

    /// The next free number of a table.
    pub fn next_id(&self, table: &'static str) -> Result<i64, LedgerError> {
        ledger_tables::next_id(&self.reader.db, table).map_err(Into::into)
    }
}

/// What a process holds that sends. While it lives no other process can have the same; the claims
/// of one that is gone are settled, never taken over.
pub(in crate::ledger) struct OpenLedger {
    pub writer: LedgerWriter,
    pub fence: Fence,
    /// Held until it is dropped.
    pub lock: Lock,
    /// The segment that only this process claims from; in a file there is no other.
    pub segment: Option<i64>,
    /// Answers that could not be recorded.
    pub spool: Spool,
    /// Room for answers on a full disk.
    pub reserved: ReservedSpace,
    /// By how much the database's clock is ahead of this machine's.
    pub skew: ClockSkew,
}

impl OpenLedger {
    /// Like [`LedgerWriter::commit`], and no copy of the ledger that lacks this change can be
    /// written to any more.
    pub fn commit_fenced(
        &mut self,
        kind: &'static str,
        at: Instant,
        blobs: &[Blob],
        records: &[Record],
    ) -> Result<(), LedgerError> {
        let OpenLedger { writer, fence, .. } = self;
        let link = writer.commit_link(kind, at, blobs, records)?;
        writer
            .world
            .about_to_write("highwater")
            .map_err(|e| LedgerError::io(fence.path(), e))?;
        fence.raise(&writer.reader.id, &link)
    }
}
