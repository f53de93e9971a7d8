//! What comes to its end without being sent, and runs of which nothing is left to do.

use crate::base::Instant;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::states::{OPEN_SEGMENTS, UNANSWERED};
use crate::ledger::sql::{ToValue, params};
use crate::ledger::state::State;

impl Dispatcher<'_> {
    /// Ends all that may not be sent any more because its deadline passed; gives the
    /// campaigns and how many messages.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn expire(&mut self, now: Instant) -> Result<Vec<(String, i64)>, LedgerError> {
        self.end(
            "expire",
            "s.expires < ?1",
            params![now.0],
            State::Expired,
            now,
        )
    }

    fn end(
        &mut self,
        kind: &'static str,
        which: &str,
        params: &[&dyn ToValue],
        state: State,
        now: Instant,
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        let sql = format!(
            "SELECT s.segment, r.campaign, s.size - s.claimed - s.displaced FROM segment s JOIN run r USING (run)
             WHERE {OPEN_SEGMENTS} AND {which} ORDER BY s.segment"
        );
        let mut select = self.reader().db.prepare_cached(&sql)?;
        let rows = select.query_map(params, |row| {
            Ok((row.get::<i64>(0)?, row.get(1)?, row.get(2)?))
        })?;
        let ended: Vec<(i64, String, i64)> = rows.collect::<Result<_, _>>()?;
        drop(select);
        if !ended.is_empty() {
            let records: Vec<Record> = ended
                .iter()
                .map(|(segment, ..)| Record::SegmentEnded {
                    segment: *segment,
                    state,
                })
                .collect();
            match self.open.writer.commit(kind, now, &[], &records) {
                Ok(()) => {}
                // Another worker does the same at this moment.
                Err(LedgerError::Overtaken(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Ok(ended
            .into_iter()
            .map(|(_, campaign, n)| (campaign, n))
            .collect())
    }

    /// Marks as finished each run of which nothing is open or unknown.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn finish(&mut self, now: Instant) -> Result<(), LedgerError> {
        let sql = format!("SELECT run, step FROM step t WHERE finished_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM segment s WHERE s.run = t.run AND s.step = t.step AND (({OPEN_SEGMENTS})
                    OR EXISTS (SELECT 1 FROM batch b WHERE b.segment = s.segment AND b.state IN ({UNANSWERED})))) ORDER BY run, step");
        let mut select = self.reader().db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            Ok(Record::Finished {
                run: row.get(0)?,
                step: row.get(1)?,
            })
        })?;
        let records: Vec<Record> = rows.collect::<Result<_, _>>()?;
        drop(select);
        if records.is_empty() {
            return Ok(());
        }
        match self.open.writer.commit("finish", now, &[], &records) {
            Err(LedgerError::Overtaken(_)) => Ok(()),
            other => other,
        }
    }
}
