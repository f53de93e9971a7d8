//! What a person may do beside the process that carries campaigns out: hold back, take back,
//! settle. It needs no lock, takes effect in the next transaction of that process, and has a chain
//! of records of its own.

use std::ops::Deref;
use std::sync::Arc;

use super::Ledger;
use super::audit::{self, Link};
use super::blob::Blob;
use super::error::LedgerError;
use super::location::{LedgerLocation, OpenMode};
use super::projection::Projection;
use super::record::Record;
use super::sql::schema;
use crate::base::Instant;
use crate::base::world::World;

/// The writing side of a person. The process that carries out has it, too, as a part of its own.
pub struct Console {
    ledger: Ledger,
    pub(super) world: Arc<dyn World>,
    /// Whose chain its records go to.
    pub(super) chain: String,
}

impl Deref for Console {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl Console {
    pub(super) fn new(ledger: Ledger, world: Arc<dyn World>, chain: String) -> Console {
        Console {
            ledger,
            world,
            chain,
        }
    }

    /// Opens a ledger that is there, whoever else writes to it; `None` when there is none.
    ///
    /// # Errors
    /// When it is damaged, of another version, or would lose commits.
    pub fn open(
        place: impl Into<LedgerLocation>,
        world: Arc<dyn World>,
    ) -> Result<Option<Console>, LedgerError> {
        let place = place.into();
        let Some(found) = Ledger::open_existing(&place)? else {
            return Ok(None);
        };
        let (path, id) = (place.path(), found.id.clone());
        drop(found);
        let db = place.connect(OpenMode::Write)?;
        schema::make_durable(&db)?;
        schema::require_durable(&db, &path)?;
        Ok(Some(Console::new(
            Ledger {
                db,
                place,
                path,
                id,
            },
            world,
            audit::CONSOLE.into(),
        )))
    }

    /// The one door for changes: the records and their columns become durable together, or not at
    /// all.
    pub(super) fn commit(
        &mut self,
        kind: &'static str,
        at: Instant,
        blobs: &[Blob],
        records: &[Record],
    ) -> Result<(), LedgerError> {
        self.commit_link(kind, at, blobs, records).map(drop)
    }

    pub(super) fn commit_link(
        &mut self,
        kind: &'static str,
        at: Instant,
        blobs: &[Blob],
        records: &[Record],
    ) -> Result<Link, LedgerError> {
        let Ledger { db, path, .. } = &self.ledger;
        let tx = db.transaction()?;
        blobs.iter().try_for_each(|b| b.put(&tx))?;
        let tables = Projection {
            db: &tx,
            blobs: &tx,
        };
        records
            .iter()
            .try_for_each(|record| tables.apply(record, at.0))?;
        let link = audit::append(&tx, &self.chain, at, kind, records)?;
        self.world
            .about_to_write(kind)
            .map_err(|e| LedgerError::io(path, e))?;
        tx.commit()?;
        Ok(link)
    }
}
