//! Recording the answers that could not be recorded when they came.

use crate::base::Instant;
use crate::ledger::access::core::OpenLedger;
use crate::ledger::access::location;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::answer::spool::SpooledAnswer;
use crate::ledger::error::LedgerError;
use crate::ledger::state::State;

impl Dispatcher<'_> {
    /// Keeps an answer that the ledger could not be told.
    pub(in crate::ledger) fn keep_for_later(&mut self, late: SpooledAnswer) {
        let OpenLedger { writer, spool, .. } = &mut *self.open;
        spool.keep(late, writer.world.as_ref());
    }

    /// Takes in what this process and those that are gone could not tell the ledger.
    pub(in crate::ledger) fn ingest_spool(&mut self) -> Result<(), LedgerError> {
        let OpenLedger { writer, spool, .. } = &mut *self.open;
        spool.read(&writer.reader.id)?;
        self.retry_late()
    }

    /// Takes in the answers that the ledger could not be told.
    ///
    /// # Errors
    /// When it still cannot: they are kept.
    pub fn retry_late(&mut self) -> Result<(), LedgerError> {
        let mut waiting = std::mem::take(&mut self.open.spool.late).into_iter();
        while let Some(late) = waiting.next() {
            match self.ingest(&late) {
                Ok(true) => self.open.spool.remove(&late),
                Ok(false) => self.open.spool.late.push(late),
                Err(error) => {
                    self.open.spool.late.push(late);
                    self.open.spool.late.extend(waiting);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether it is done with: not while somebody else looks after the batch.
    fn ingest(&mut self, late: &SpooledAnswer) -> Result<bool, LedgerError> {
        if !location::try_hold(&self.reader().db, -late.batch)? {
            return Ok(false);
        }
        let done = self.settle_late(late);
        location::let_go(&self.reader().db, -late.batch)?;
        done.map(|()| true)
    }

    fn settle_late(&mut self, late: &SpooledAnswer) -> Result<(), LedgerError> {
        // Settled by others, or never claimed at all.
        let Some(open) = self
            .reader()
            .without_answer(late.batch)?
            .filter(|open| open.held.request == late.request)
        else {
            return Ok(());
        };
        let first = late.first && open.state == State::Claimed;
        let held = open.only(&late.members);
        match self.record_answer(&held, &late.answer, first, Instant(late.at)) {
            // Another one did at this moment.
            Err(LedgerError::Overtaken(_)) => Ok(()),
            other => other,
        }
    }
}
