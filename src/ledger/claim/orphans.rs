//! What other processes have left: their claims without an answer, and who looks after them.

use crate::base::Instant;
use crate::ledger::access::location::{self, Lock};
use crate::ledger::access::views::Dispatcher;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::states::CLAIMED;

impl Dispatcher<'_> {
    /// What a process claimed that is gone is unknown. `begins`: this process has claimed nothing
    /// yet, so what bears its name is another's.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub(in crate::ledger) fn ingest_orphans(
        &mut self,
        now: Instant,
        begins: bool,
    ) -> Result<(), LedgerError> {
        let own = self.open.writer.chain.clone();
        let mut select = self.reader().db.prepare_cached(format!(
            "SELECT DISTINCT worker FROM batch WHERE state = {CLAIMED} ORDER BY worker"
        ))?;
        let workers = select
            .query_map((), |row| row.get::<String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        drop(select);
        for worker in workers {
            if worker == own {
                if begins {
                    self.orphan(&worker, now)?;
                }
            } else if location::try_seat(&self.reader().db, location::seat_of(&worker))? {
                // Its seat is free: it is gone. While it is held here, nobody takes it and its
                // name.
                let done = self.orphan(&worker, now);
                location::leave_seat(&self.reader().db, location::seat_of(&worker))?;
                done?;
            }
        }
        Ok(())
    }

    fn orphan(&mut self, worker: &str, now: Instant) -> Result<(), LedgerError> {
        let mut select = self.reader().db.prepare_cached(format!(
            "SELECT batch FROM batch WHERE state = {CLAIMED} AND worker = ? ORDER BY batch"
        ))?;
        let rows = select.query_map([worker], |row| Ok(Record::Orphaned { batch: row.get(0)? }))?;
        let records: Vec<Record> = rows.collect::<Result<_, _>>()?;
        drop(select);
        if records.is_empty() {
            Ok(())
        } else {
            self.open.writer.commit("orphans", now, &[], &records)
        }
    }

    /// Takes in what other processes have left since this one began.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn take_over(&mut self, now: Instant) -> Result<(), LedgerError> {
        match self.open.lock {
            Lock::File { .. } => Ok(()),
            Lock::Seat(_) => self.ingest_orphans(now, false),
        }
    }

    /// Whether this process alone looks after an unknown batch now; ends with [`Self::leave`].
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn look_after(&mut self, batch: i64) -> Result<bool, LedgerError> {
        Ok(location::try_hold(&self.reader().db, -batch)?)
    }

    /// Lets others look after an unknown batch.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn leave(&mut self, batch: i64) -> Result<(), LedgerError> {
        Ok(location::let_go(&self.reader().db, -batch)?)
    }
}
