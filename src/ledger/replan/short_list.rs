//! A list that opt-outs have made too short to be sent is joined to another list of the same run.
//! Where there is none, the decider looks for other channels.

use super::candidates::PlannedMessages;
use crate::base::Instant;
use crate::decide::decision::Rendered;
use crate::decide::recheck::Recheck;
use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::error::LedgerError;
use crate::ledger::sql::params;
use crate::ledger::sql::states::PLANNED;

impl LedgerReader {
    /// An unclaimed list that says the same as this one, at the same time and on the same channel:
    /// the one that was planned first.
    fn sibling(
        &self,
        of: &PlannedMessages,
        text: &Rendered,
        now: Instant,
    ) -> Result<Option<i64>, LedgerError> {
        let this = &of.segment.of;
        let which = format!(
            "s.run = ? AND s.step = ? AND s.fanout_index = ? AND s.template = ? AND s.account = ? AND s.platform = ? AND s.endpoint = ?
            AND s.segment <> ? AND s.rest_state = {PLANNED} AND s.claimed = 0 AND s.not_before <= ? ORDER BY s.segment"
        );
        let others = self.open_segments(
            &which,
            params![
                this.run,
                this.step,
                this.fanout_index,
                this.template,
                this.account,
                this.platform,
                this.endpoint,
                this.segment,
                now.0
            ],
        )?;
        for other in others {
            let other = self.planned_of(other, now)?;
            let contents = self.planned_contents(&other)?;
            let joins = |theirs: &Rendered| of.group.joins(&other.group, [text, theirs]);
            if contents.first().is_some_and(|theirs| joins(theirs)) {
                return Ok(Some(other.number()));
            }
        }
        Ok(None)
    }
}

impl Dispatcher<'_> {
    /// Joins what is left of a list to another one; whether there is one.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub(in crate::ledger) fn join_list(
        &mut self,
        left: &PlannedMessages,
        text: &Rendered,
        now: Instant,
    ) -> Result<bool, LedgerError> {
        match self.reader().sibling(left, text, now)? {
            Some(other) => {
                self.open
                    .writer
                    .replan_unless_claimed(left, Recheck::JoinList(other), now)
            }
            None => Ok(false),
        }
    }
}
