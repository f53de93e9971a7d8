//! Joining what is left of a list to another list of the same run, because opt-outs have made it
//! too short to be handed over.
//!
//! Both end, and one new segment has the members of both: what is planned again is one attempt
//! more, as it is after a day that has passed.

use super::claim::Member;
use super::due::{OPEN, OpenSegment};
use super::error::LedgerError;
use super::planned_runs::SegmentNumbers;
use super::record::Record;
use super::sql::params;
use super::sql::states::PLANNED;
use super::state::State;
use super::{Ledger, Writer};
use crate::base::Instant;

impl Ledger {
    /// An unclaimed list that says the same as this one, at the same time and on the same channel,
    /// and its members; the one that was planned first.
    fn sibling(
        &self,
        of: &OpenSegment,
        says: &Member,
        now: Instant,
    ) -> Result<Option<(OpenSegment, Vec<Member>)>, LedgerError> {
        let sql = format!(
            "{OPEN} WHERE s.run = ? AND s.step = ? AND s.fanout_index = ? AND s.template = ? AND s.account = ? AND s.platform = ? AND s.endpoint = ?
                AND s.segment <> ? AND s.rest_state = {PLANNED} AND s.claimed = 0 AND s.not_before <= ? ORDER BY s.segment"
        );
        let this = &of.of;
        let which = params![
            this.run,
            this.step,
            this.fanout_index,
            this.template,
            this.account,
            this.platform,
            this.endpoint,
            this.segment,
            now.0
        ];
        let mut select = self.db.prepare_cached(&sql)?;
        let open = select
            .query_map(which, OpenSegment::of_row)?
            .collect::<Result<Vec<_>, _>>()?;
        drop(select);
        let alike = |other: &OpenSegment| {
            (&other.of.arm, other.of.day, other.of.expires) == (&this.arm, this.day, this.expires)
        };
        for other in open.into_iter().filter(alike) {
            let members = self.still_open(&other)?;
            if members
                .first()
                .is_some_and(|member| member.content == says.content)
            {
                return Ok(Some((other, members)));
            }
        }
        Ok(None)
    }

    /// Those members that are neither claimed nor have lost their slots.
    pub(super) fn still_open(&self, of: &OpenSegment) -> Result<Vec<Member>, LedgerError> {
        let lost = self.lost(of.of.segment, of.displaced, of.claimed, of.of.size)?;
        let mut members = self.members(&of.of, of.claimed, of.of.size - of.claimed)?;
        members.retain(|member| lost.binary_search(&member.place).is_err());
        Ok(members)
    }
}

impl Writer {
    /// Joins what is left of a segment, `left` of whom may be handed over, to another one; whether
    /// there is one.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub(super) fn join(
        &mut self,
        segment: &OpenSegment,
        left: &[Member],
        now: Instant,
    ) -> Result<bool, LedgerError> {
        let Some(says) = left.first() else {
            return Ok(false);
        };
        let Some((other, theirs)) = self.sibling(segment, says, now)? else {
            return Ok(false);
        };
        // Who has opted out is among them still, and is struck when the list is claimed.
        let ours = self.still_open(segment)?;
        let members: Vec<&Member> = ours.iter().chain(&theirs).collect();
        let ended = |of: &OpenSegment| Record::SegmentEnded {
            segment: of.of.segment,
            state: State::NotSent,
            claimed: Some(of.claimed),
        };
        let mut blobs = Vec::new();
        let number = SegmentNumbers::new(&self.db).take()?;
        let mut joined = self.next_attempt(number, &other.of, &members, &mut blobs);
        joined.attempt = segment.of.attempt.max(other.of.attempt) + 1;
        joined.priority = segment.of.priority.max(other.of.priority);
        joined.follows = segment.of.follows || other.of.follows;
        match self.commit(
            "join",
            now,
            &blobs,
            &[
                ended(segment),
                ended(&other),
                Record::Segment(Box::new(joined)),
            ],
        ) {
            Ok(()) => Ok(true),
            // Another worker claims it at this moment.
            Err(LedgerError::Overtaken(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
