//! Planning anew what comes to its turn on another day than it was planned for: caps count by the
//! day of the hand-over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blob::Blob;
use super::claim::Member;
use super::due::{OpenSegment, in_turn};
use super::error::LedgerError;
use super::planned_runs::{SegmentNumbers, purpose_of, salt};
use super::record::{self, Displaced, Record};
use super::sql::params;
use super::state::State;
use super::{Ledger, Writer, encode};
use crate::base::{Bitmap, Date, Elapsed, Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::decide::history::PendingMessages;
use crate::decide::platform_caps;

/// Unclaimed messages whose turn has come on another day than the one that they count on.
#[derive(Debug)]
pub struct Rescheduled {
    pub standing: PendingMessages,
    /// The day that it has become.
    pub day: Date,
    /// From when on it is to be handed over now: it does not leave on a day that it does not count
    /// on.
    pub not_before: Instant,
    pub users: Vec<UserNo>,
    rising: i64,
    segment: OpenSegment,
    members: Vec<Member>,
}

/// One of them that has no slot on the new day: its position, in rising order, and the campaign
/// that has the slot.
pub type SlotLoss = (usize, Option<Arc<str>>);

impl Rescheduled {
    /// The priority that it has at an instant.
    fn risen_by(&self, at: i64) -> i64 {
        let of = &self.segment.of;
        let waited = at.saturating_sub(of.not_before).max(0) / Elapsed::hours(1).0;
        of.priority
            .saturating_add(self.rising.saturating_mul(waited))
    }
}

impl Ledger {
    /// What waits for being planned again, in its turn.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn displaced(&self, now: Instant) -> Result<Vec<Rescheduled>, LedgerError> {
        let mut select = self.db.prepare_cached(&in_turn())?;
        let rows = select
            .query_map([now.0], OpenSegment::of_row)?
            .collect::<Result<Vec<_>, _>>()?;
        drop(select);
        let mut found = Vec::new();
        for segment in rows
            .into_iter()
            .filter(|open| open.is_of_another_day(now) && open.of.expires >= now.0)
        {
            let of = &segment.of;
            let (standing, rising) = self.standing(&segment)?;
            let mut members = self.members(of, segment.claimed, of.size - segment.claimed)?;
            let lost = self.lost(of.segment, segment.displaced, segment.claimed, of.size)?;
            members.retain(|m| lost.binary_search(&m.place).is_err());
            let users = members.iter().map(|m| m.user).collect();
            let day = segment.zone.date(now);
            let begins = [
                Some(segment.zone.start_of(day)),
                platform_caps::start_of_day(&standing.channel, now),
            ]
            .into_iter()
            .flatten()
            .max();
            let not_before = begins.map_or(standing.not_before, |begins| {
                begins.max(standing.not_before)
            });
            let mut displaced = Rescheduled {
                standing,
                day,
                not_before,
                users,
                rising,
                segment,
                members,
            };
            displaced.standing.priority = displaced.risen_by(now.0);
            found.push(displaced);
        }
        Ok(found)
    }

    /// How a segment was planned, and by how much it rises in an hour of waiting.
    pub(super) fn standing(
        &self,
        segment: &OpenSegment,
    ) -> Result<(PendingMessages, i64), LedgerError> {
        let of = &segment.of;
        let mut select = self
            .db
            .prepare_cached("SELECT purpose, rising FROM step WHERE run = ? AND step = ?")?;
        let (purpose, rising) = select.query_row(params![of.run, of.step], |row| {
            Ok((row.get::<String>(0)?, row.get::<i64>(1)?))
        })?;
        let standing = PendingMessages {
            segment: of.segment,
            campaign: segment.campaign.clone(),
            template: of.template.clone(),
            purpose: purpose_of(&purpose),
            channel: segment.channel(),
            day: Date(of.day),
            not_before: Instant(of.not_before),
            priority: of.priority,
        };
        Ok((standing, rising))
    }
}

impl Writer {
    /// Plans these again for the day that it has become, but for those that have no slot there: all
    /// of it or nothing.
    ///
    /// # Errors
    /// When some of it was claimed in the meantime, or the ledger cannot be written.
    pub fn plan_again(
        &mut self,
        all: &[(Rescheduled, Vec<SlotLoss>)],
        now: Instant,
    ) -> Result<(), LedgerError> {
        let (mut blobs, mut records) = (Vec::new(), Vec::new());
        let mut numbers = SegmentNumbers::new(&self.db);
        for (displaced, lost) in all {
            let Rescheduled {
                segment, members, ..
            } = displaced;
            let of = &segment.of;
            let mut by: BTreeMap<Option<&str>, Vec<&Member>> = BTreeMap::new();
            for (position, winner) in lost {
                by.entry(winner.as_deref())
                    .or_default()
                    .extend(members.get(*position));
            }
            for (winner, members) in by {
                let most = members
                    .iter()
                    .map(|m| m.user.index() + 1)
                    .max()
                    .unwrap_or(0);
                let column = Blob::new(encode::bitmap(&Bitmap::from_users(
                    most,
                    members.iter().map(|m| m.user),
                )));
                records.push(Record::Displaced(Box::new(Displaced {
                    segment: of.segment,
                    places: members.iter().map(|m| m.place).collect(),
                    by: winner.map(str::to_owned),
                    no_consent: false,
                    blocked_words: false,
                    members: column.digest.clone(),
                })));
                blobs.push(column);
            }
            records.push(Record::SegmentEnded {
                segment: of.segment,
                state: State::NotSent,
                claimed: Some(segment.claimed),
            });
            let gone: Vec<usize> = lost.iter().map(|(position, _)| *position).collect();
            let stay: Vec<&Member> = (0..)
                .zip(members)
                .filter(|(i, _)| gone.binary_search(i).is_err())
                .map(|(_, m)| m)
                .collect();
            if !stay.is_empty() {
                let mut again = self.next_attempt(numbers.take()?, of, &stay, &mut blobs);
                again.day = displaced.day.0;
                // It keeps what it has risen by waiting.
                again.priority = displaced.risen_by(displaced.not_before.0);
                again.not_before = displaced.not_before.0;
                records.push(Record::Segment(Box::new(again)));
            }
        }
        self.commit("again", now, &blobs, &records)
    }

    /// A segment for members of another one that are planned once more.
    pub(super) fn next_attempt(
        &self,
        segment: i64,
        of: &record::Segment,
        members: &[&Member],
        blobs: &mut Vec<Blob>,
    ) -> record::Segment {
        let users: Vec<UserNo> = members.iter().map(|m| m.user).collect();
        let addresses: Vec<&Arc<str>> = members.iter().map(|m| &m.address).collect();
        let contents: Vec<Arc<Rendered>> = members.iter().map(|m| m.content.clone()).collect();
        let world = self.world.as_ref();
        let columns = [
            encode::users(&users),
            encode::strings(&addresses, salt(world)),
            encode::contents(&contents, salt(world)),
        ];
        let [users, addresses, contents] = columns.map(Blob::new);
        let again = record::Segment {
            segment,
            attempt: of.attempt + 1,
            size: i64::try_from(members.len()).unwrap_or(i64::MAX),
            users: users.digest.clone(),
            addresses: addresses.digest.clone(),
            contents: contents.digest.clone(),
            ..of.clone()
        };
        blobs.extend([users, addresses, contents]);
        again
    }
}
