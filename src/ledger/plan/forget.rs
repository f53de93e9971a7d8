//! Forgetting old runs: what names people or is long goes, what is counted stays.
//!
//! Of a forgotten run are kept: its numbers, who was stopped and why, whose messages counted, the
//! digests of everything, and the records of what was done. So reports and caps say what they said
//! before, `again never` holds, and the audit still proves all of it. What goes are addresses,
//! texts, the platforms' ids, and the rows of messages of which no more is known than of their
//! batch.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Planner;
use crate::ledger::sql::params;
use crate::ledger::sql::states::{PLANNED, SLOT_RETURNED, UNANSWERED};

use crate::base::Instant;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::Record;
use crate::ledger::state::State;

/// Runs that are forgotten in one transaction.
const TOGETHER: usize = 50;

/// Which runs: those for which a forgotten run is asked about.
const FORGOTTEN: &str = "SELECT run FROM forgotten";

impl LedgerReader {
    /// Whether addresses, texts and single messages of a run are gone.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn is_forgotten(&self, run: i64) -> Result<bool, LedgerError> {
        Ok(self
            .db
            .prepare_cached("SELECT 1 FROM forgotten WHERE run = ?")?
            .exists([run])?)
    }

    /// Runs of which nothing is left to do and the last step of which was due before an instant.
    fn over_before(&self, before: Instant) -> Result<Vec<i64>, LedgerError> {
        let sql = format!(
            "SELECT t.run FROM step t WHERE t.run NOT IN ({FORGOTTEN}) GROUP BY t.run
             HAVING max(t.due) < ?1 AND count(*) = count(t.finished_at) AND max(coalesce(t.finished_at, 0)) < ?1
                AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.run = t.run AND (s.follows = 1
                    OR EXISTS (SELECT 1 FROM timer w WHERE w.segment = s.segment)
                    OR EXISTS (SELECT 1 FROM batch b WHERE b.segment = s.segment AND b.state IN ({UNANSWERED}))))
             ORDER BY t.run LIMIT {TOGETHER}"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let rows = select.query_map([before.0], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Planner<'_> {
    /// Forgets the runs that were over before an instant; gives how many.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn forget_before(&mut self, before: Instant, now: Instant) -> Result<usize, LedgerError> {
        let mut forgotten = 0;
        loop {
            let runs = self.reader().over_before(before)?;
            if runs.is_empty() {
                return Ok(forgotten);
            }
            let records: Vec<Record> = runs
                .iter()
                .map(|run| Record::Forgotten { run: *run })
                .collect();
            self.writer.commit("forget", now, &[], &records)?;
            forgotten += runs.len();
        }
    }
}

impl Projection<'_> {
    /// Carries it out.
    pub(in crate::ledger) fn forgotten(&self, run: i64, at: i64) -> Result<(), LedgerError> {
        self.run(
            "INSERT INTO forgotten (run, at) VALUES (?, ?)",
            params![run, at],
        )?;
        // Rows that say more than their batch, and nothing that caps ask for, become counts.
        let differs = format!(
            "(m.state IN ({SLOT_RETURNED})) <> (coalesce(b.state, {PLANNED}) IN ({SLOT_RETURNED}))"
        );
        let rows = "FROM message m JOIN segment s USING (segment) LEFT JOIN batch b USING (batch) WHERE m.run = ?1";
        self.run(
            format!(
                "INSERT INTO forgotten_states (run, step, segment, state, instead_of, n)
                 SELECT m.run, m.step, m.segment, m.state, b.state, count(*) {rows} AND b.state IS NOT NULL AND m.state > b.state AND NOT ({differs})
                 GROUP BY m.run, m.step, m.segment, m.state, b.state"
            ),
            params![run],
        )?;
        self.run(
            format!(
                "DELETE FROM message WHERE run = ?1 AND (run, step, fanout_index, user_no, attempt) IN (SELECT m.run, m.step, m.fanout_index, m.user_no, m.attempt {rows}
                    AND b.state IS NOT NULL AND (coalesce(m.state, {PLANNED}) <= b.state OR NOT ({differs})))"
            ),
            params![run],
        )?;
        self.run("DELETE FROM receipt WHERE run = ?", params![run])?;
        let batches = "SELECT batch FROM batch JOIN segment USING (segment) WHERE run = ?";
        self.run(
            format!("DELETE FROM platform_id WHERE batch IN ({batches})"),
            params![run],
        )?;
        self.run(
            format!("DELETE FROM poll WHERE batch IN ({batches})"),
            params![run],
        )?;
        let columns = |which: &str| {
            format!(
                "SELECT addresses FROM segment WHERE {which} UNION SELECT contents FROM segment WHERE {which}
                 UNION SELECT ids FROM batch JOIN segment USING (segment) WHERE ids IS NOT NULL AND {which}"
            )
        };
        let (of_it, of_others) = (
            columns("run = ?1"),
            columns(&format!("run NOT IN ({FORGOTTEN})")),
        );
        // The same bytes may be another run's, or users and stopped users of any.
        let always =
            "SELECT users FROM segment UNION SELECT members FROM stopped UNION SELECT members FROM arm UNION SELECT sources FROM program
            UNION SELECT event_values FROM wait UNION SELECT body FROM inbox";
        self.run(
            format!("DELETE FROM blob WHERE digest IN ({of_it}) AND digest NOT IN ({of_others}) AND digest NOT IN ({always})"),
            params![run],
        )
    }
}

/// What is known of a message of a forgotten run: what is known of its batch.
impl LedgerReader {
    pub(in crate::ledger) fn state_of_batch(
        &self,
        segment: i64,
        place: i64,
    ) -> Result<State, LedgerError> {
        let sql = format!(
            "SELECT coalesce(max(state), {PLANNED}) FROM batch WHERE segment = ?1 AND first <= ?2 AND ?2 < first + size"
        );
        let code: i64 = self
            .db
            .prepare_cached(sql)?
            .query_row(params![segment, place], |row| row.get(0))?;
        Ok(State::of_code(code).unwrap_or(State::Unknown))
    }
}
