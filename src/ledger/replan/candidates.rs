//! What is planned and not claimed: the messages that may change before they are sent.

use std::sync::Arc;

use crate::base::{Date, Elapsed, Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::decide::history::PendingMessages;
use crate::decide::recheck::{MessagePolicy, PlannedGroup};
use crate::ledger::access::core::LedgerReader;
use crate::ledger::claim::due::in_turn;
use crate::ledger::claim::open_segment::{OPEN, OpenSegment};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob;
use crate::ledger::rows::encode;
use crate::ledger::rows::record::ClaimRecord;
use crate::ledger::sql::states::OPEN_SEGMENTS;
use crate::ledger::sql::{ToValue, params};
use crate::program::typed::ChannelName;

/// The messages of a segment that are neither claimed nor withdrawn.
#[derive(Clone, Debug)]
pub struct PlannedMessages {
    pub group: PlannedGroup,
    pub(super) segment: OpenSegment,
    /// In the segment, of each message; rising.
    pub(super) places: Vec<i64>,
    /// Where a claim found too few of them for a list: what it found of the other members.
    pub(super) of_list: Option<ClaimRecord>,
}

/// Which planned messages are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlannedFilter {
    All,
    /// Those that are due and count on another day than it is; in the order in which they are due.
    OnAnotherDay,
}

impl PlannedMessages {
    /// Of a list for which a claim found these members only, too few of them.
    pub(in crate::ledger) fn of_list(
        segment: OpenSegment,
        members: impl IntoIterator<Item = (i64, UserNo)>,
        found: ClaimRecord,
    ) -> Self {
        let (places, users) = members.into_iter().unzip();
        PlannedMessages {
            group: segment.group(segment.of.priority, users),
            segment,
            places,
            of_list: Some(found),
        }
    }

    /// The segment's number.
    pub fn number(&self) -> i64 {
        self.segment.of.segment
    }
}

impl OpenSegment {
    /// The priority that it has at an instant: with what it has risen by waiting.
    pub(in crate::ledger) fn priority_at(&self, at: Instant) -> i64 {
        let waited = at.0.saturating_sub(self.of.not_before).max(0) / Elapsed::hours(1).0;
        self.of
            .priority
            .saturating_add(self.rising.saturating_mul(waited))
    }

    /// As caps see it.
    pub(in crate::ledger) fn pending(&self, priority: i64) -> PendingMessages {
        PendingMessages {
            segment: self.of.segment,
            campaign: self.campaign.clone(),
            template: self.of.template.clone(),
            purpose: self.purpose,
            channel: self.channel(),
            day: Date(self.of.day),
            not_before: Instant(self.of.not_before),
            priority,
        }
    }

    fn group(&self, priority: i64, users: Vec<UserNo>) -> PlannedGroup {
        PlannedGroup {
            pending: self.pending(priority),
            step: self.step.clone(),
            arm: self.of.arm.clone(),
            due: self.due,
            zone: self.zone,
            policy: MessagePolicy {
                quiet: self.quiet,
                expires: Instant(self.of.expires),
            },
            users,
        }
    }
}

impl LedgerReader {
    /// What is planned and not claimed.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn planned_messages(
        &self,
        which: PlannedFilter,
        now: Instant,
    ) -> Result<Vec<PlannedMessages>, LedgerError> {
        let segments = match which {
            PlannedFilter::All => {
                self.open_segments(&format!("{OPEN_SEGMENTS} ORDER BY s.segment"), &[])?
            }
            PlannedFilter::OnAnotherDay => {
                let mut due = self.segments_of(&in_turn(), params![now.0])?;
                due.retain(|open| open.is_of_another_day(now) && open.of.expires >= now.0);
                due
            }
        };
        segments
            .into_iter()
            .map(|segment| self.planned_of(segment, now))
            .collect()
    }

    pub(super) fn planned_of(
        &self,
        segment: OpenSegment,
        now: Instant,
    ) -> Result<PlannedMessages, LedgerError> {
        let (places, users) = self.unclaimed_members(&segment)?.unzip();
        Ok(PlannedMessages {
            group: segment.group(segment.priority_at(now), users),
            segment,
            places,
            of_list: None,
        })
    }

    /// What the messages say, in their order.
    ///
    /// # Errors
    /// As [`Self::planned_messages`].
    pub fn planned_contents(
        &self,
        of: &PlannedMessages,
    ) -> Result<Vec<Arc<Rendered>>, LedgerError> {
        let column = &of.segment.of.contents;
        let size = usize::try_from(of.segment.of.size).unwrap_or(0);
        let all = encode::read_contents(&blob::load(&self.db, column)?, size)
            .ok_or_else(|| blob::damaged(column))?;
        let content = |place: &i64| all.get(usize::try_from(*place).ok()?).cloned();
        of.places
            .iter()
            .map(|place| content(place).ok_or_else(|| blob::damaged(column)))
            .collect()
    }

    /// Whether a message of the same run and step goes to an address already.
    ///
    /// # Errors
    /// As [`Self::planned_messages`].
    pub fn is_addressed(
        &self,
        of: &PlannedMessages,
        channel: &ChannelName,
        address: &str,
    ) -> Result<bool, LedgerError> {
        let of = &of.segment.of;
        let sql = "SELECT addresses FROM segment WHERE run = ? AND step = ? AND account = ? AND endpoint = ? ORDER BY segment";
        let mut select = self.db.prepare_cached(sql)?;
        let which = params![of.run, of.step, channel.account, channel.endpoint];
        let columns = select.query_map(which, |row| row.get::<String>(0))?;
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        drop(select);
        for column in columns {
            let addresses = encode::read_strings(&blob::load(&self.db, &column)?)
                .ok_or_else(|| blob::damaged(&column))?;
            if addresses.iter().any(|other| **other == *address) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Segments for which a condition of SQL holds.
    pub(in crate::ledger) fn open_segments(
        &self,
        which: &str,
        params: &[&dyn ToValue],
    ) -> Result<Vec<OpenSegment>, LedgerError> {
        self.segments_of(&format!("{OPEN} WHERE {which}"), params)
    }

    fn segments_of(
        &self,
        sql: &str,
        params: &[&dyn ToValue],
    ) -> Result<Vec<OpenSegment>, LedgerError> {
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(params, OpenSegment::of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those members of a segment that are neither claimed nor withdrawn, with their places.
    pub(in crate::ledger) fn unclaimed_members(
        &self,
        of: &OpenSegment,
    ) -> Result<impl Iterator<Item = (i64, UserNo)>, LedgerError> {
        let column = &of.of.users;
        let users = encode::read_users(&blob::load(&self.db, column)?)
            .ok_or_else(|| blob::damaged(column))?;
        let lost = self.lost(of.of.segment, of.displaced, of.claimed, i64::MAX)?;
        let first = usize::try_from(of.claimed).unwrap_or(usize::MAX);
        Ok((0i64..)
            .zip(users)
            .skip(first)
            .filter(move |(place, _)| lost.binary_search(place).is_err()))
    }
}
