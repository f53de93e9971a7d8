//! The ledger as a person has it beside the process that sends: it needs no lock, what it changes
//! takes effect in the next transaction of that process, and its records are a chain of their own.

use std::sync::Arc;

use crate::base::world::World;
use crate::ledger::access::core::{LedgerReader, LedgerWriter};
use crate::ledger::access::location::{LedgerLocation, OpenMode};
use crate::ledger::access::views::Operator;
use crate::ledger::audit::chain;
use crate::ledger::error::LedgerError;
use crate::ledger::sql::ledger_tables;

/// Open for a person.
pub struct Console {
    writer: LedgerWriter,
}

impl Console {
    /// Opens a ledger that is there, whoever else writes to it; `None` when there is none.
    ///
    /// # Errors
    /// When it is damaged, of another version, or would lose commits.
    pub fn open(
        location: impl Into<LedgerLocation>,
        world: Arc<dyn World>,
    ) -> Result<Option<Console>, LedgerError> {
        let location = location.into();
        let Some(found) = LedgerReader::open(&location)? else {
            return Ok(None);
        };
        let (path, id) = (location.path(), found.id.clone());
        drop(found);
        let db = location.connect(OpenMode::Write)?;
        ledger_tables::make_durable(&db)?;
        ledger_tables::require_durable(&db, &path)?;
        Ok(Some(Console {
            writer: LedgerWriter {
                reader: LedgerReader {
                    db,
                    location,
                    path,
                    id,
                },
                world,
                chain: chain::CONSOLE.into(),
            },
        }))
    }

    pub fn reader(&self) -> &LedgerReader {
        &self.writer.reader
    }

    pub fn operator(&mut self) -> Operator<'_> {
        Operator {
            writer: &mut self.writer,
        }
    }
}
