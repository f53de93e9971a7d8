//! Batches as they were claimed, read again: those of which nobody knows whether they arrived, and
//! those that platforms are asked about.

use std::sync::Arc;

use rayon::prelude::*;

use crate::base::{Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::ledger::access::core::LedgerReader;
use crate::ledger::claim::held_batch::{ClaimedBatch, HeldBatch, Member, platform_key};
use crate::ledger::claim::open_segment::{OPEN, OpenSegment};
use crate::ledger::dispatch_batch::Batch;
use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::rows::blob;
use crate::ledger::rows::encode;
use crate::ledger::rows::record;
use crate::ledger::sql::ledger_tables::SLOTS_RETURNED_INDEX;
use crate::ledger::sql::states::{CAPPED, PLANNED, SLOT_RETURNED, States, UNANSWERED};
use crate::ledger::sql::{OptionalExtension, params};
use crate::ledger::state::State;
use crate::program::platform::{self, Endpoint};
use crate::program::typed::ChannelName;
use crate::store::Users;

/// A batch of which nobody knows whether it arrived.
#[derive(Debug)]
#[must_use = "an unknown send must be settled or left to a person"]
pub struct UnsettledBatch {
    pub(in crate::ledger) held: HeldBatch,
}

impl UnsettledBatch {
    pub fn batch(&self, users: &Users) -> Batch {
        self.held.batch(users)
    }
}

/// An unknown send, for those who look after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownBatch {
    /// Its number in the ledger.
    pub batch: i64,
    pub run: RunId,
    pub campaign: String,
    pub channel: ChannelName,
    pub messages: i64,
    pub claimed_at: Instant,
    /// A process claimed it and has not said what came of it: if that is at work, it is handing it
    /// over.
    pub in_flight: bool,
    /// What the channel said last.
    pub reason: Option<String>,
}

impl LedgerReader {
    /// Hand-overs of which nobody knows whether they arrived.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn stuck(&self) -> Result<Vec<UnknownBatch>, LedgerError> {
        let sql = format!("SELECT b.batch, s.run, r.campaign, s.account, s.platform, s.endpoint, b.members, b.claimed_at,
                (SELECT reason FROM answer a WHERE a.batch = b.batch ORDER BY n DESC LIMIT 1), b.state
            FROM batch b JOIN segment s USING (segment) JOIN run r USING (run) WHERE b.state IN ({UNANSWERED}) ORDER BY b.batch");
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            Ok(UnknownBatch {
                batch: row.get(0)?,
                run: RunId(row.get(1)?),
                campaign: row.get(2)?,
                channel: ChannelName {
                    account: row.get(3)?,
                    platform: row.get(4)?,
                    endpoint: row.get(5)?,
                },
                messages: row.get(6)?,
                claimed_at: Instant(row.get(7)?),
                reason: row.get(8)?,
                in_flight: row.get::<i64>(9)? == State::Claimed.code(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// An unknown batch; `None` where it could not be repeated byte for byte, because somebody in
    /// it was erased, or is not unknown.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsettled(&self, batch: i64) -> Result<Option<UnsettledBatch>, LedgerError> {
        let whole = |open: &ClaimedBatch| open.held.digest() == open.held.request;
        let Some(open) = self.without_answer(batch)?.filter(whole) else {
            return Ok(None);
        };
        // A list is repeated as it was; of messages that went one by one only those of which
        // nothing is known.
        let channel = open.held.segment.channel();
        let is_list =
            platform::endpoint(&channel.platform, &channel.endpoint).is_some_and(Endpoint::is_list);
        let again = open
            .states
            .iter()
            .enumerate()
            .filter(|(_, s)| is_list || !s.is_known())
            .map(|(nth, _)| nth)
            .collect();
        let held = open.only(&again);
        Ok((!held.members.is_empty()).then_some(UnsettledBatch { held }))
    }

    /// A batch of which nobody has said what became of it.
    pub(in crate::ledger) fn without_answer(
        &self,
        batch: i64,
    ) -> Result<Option<ClaimedBatch>, LedgerError> {
        self.known(UNANSWERED, batch)
    }

    /// A batch with all that was sent and what is known of it, if it is in one of some
    /// states.
    pub(in crate::ledger) fn known(
        &self,
        states: States,
        batch: i64,
    ) -> Result<Option<ClaimedBatch>, LedgerError> {
        let sql = format!(
            "SELECT segment, first, size, claimed_at, state, key, request FROM batch WHERE state IN ({states}) AND batch = ?"
        );
        let found = self.db.prepare_cached(&sql)?.query_row([batch], |r| {
            let numbers: [i64; 5] = [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?];
            Ok((numbers, r.get::<String>(5)?, r.get::<String>(6)?))
        });
        let Some(([segment, first, size, claimed_at, state], key, request)) = found.optional()?
        else {
            return Ok(None);
        };
        let segment = self
            .db
            .prepare_cached(format!("{OPEN} WHERE s.segment = ?"))?
            .query_row([segment], OpenSegment::of_row)?;
        let sql = format!(
            "SELECT coalesce(state, {PLANNED}) FROM message WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ? AND batch = ?"
        );
        let mut select = self.db.prepare_cached(sql)?;
        let (mut members, mut states) = (Vec::new(), Vec::new());
        for member in self.members(&segment.of, first, size)? {
            let of = &segment.of;
            let key = params![
                of.run,
                of.step,
                of.fanout_index,
                member.user.0,
                of.attempt,
                batch
            ];
            if let Some(state) = select.query_row(key, |row| row.get::<i64>(0)).optional()? {
                members.push(Member {
                    nth: members.len(),
                    ..member
                });
                states.push(State::of_code(state).unwrap_or(State::Planned));
            }
        }
        let of = members.len();
        let held = HeldBatch {
            segment,
            batch,
            key,
            request,
            claimed_at: Instant(claimed_at),
            members,
            of,
            least: None,
        };
        Ok(Some(ClaimedBatch {
            held,
            state: State::of_code(state).unwrap_or(State::Unknown),
            states,
        }))
    }

    /// Members of a segment with all that is sent.
    pub(in crate::ledger) fn members(
        &self,
        of: &record::Segment,
        first: i64,
        size: i64,
    ) -> Result<Vec<Member>, LedgerError> {
        let users = encode::read_users(&blob::load(&self.db, &of.users)?)
            .ok_or_else(|| blob::damaged(&of.users))?;
        let addresses = encode::read_strings(&blob::load(&self.db, &of.addresses)?)
            .ok_or_else(|| blob::damaged(&of.addresses))?;
        let contents = encode::read_contents(&blob::load(&self.db, &of.contents)?, users.len())
            .ok_or_else(|| blob::damaged(&of.contents))?;
        if addresses.len() != users.len() {
            return Err(blob::damaged(&of.addresses));
        }
        let take = |n: i64| usize::try_from(n).unwrap_or(0);
        let all = (0i64..).zip(users).zip(addresses).zip(contents);
        let all: Vec<_> = all.skip(take(first)).take(take(size)).collect();
        // A key is a digest: those of a long list are made on all cores.
        let id = &self.id;
        let member = |(((place, user), address), content)| {
            let text = format!(
                "{id} message {} {} {} {} {}",
                of.run, of.step, of.fanout_index, user, of.attempt
            );
            Member {
                place,
                nth: 0,
                user,
                key: platform_key(&text),
                address,
                content,
            }
        };
        Ok(all.into_par_iter().with_min_len(512).map(member).collect())
    }

    /// Who is in a part of a segment, and what each gets.
    pub(in crate::ledger) fn users_and_contents(
        &self,
        of: &record::Segment,
        first: i64,
        size: i64,
    ) -> Result<impl Iterator<Item = (UserNo, Arc<Rendered>)>, LedgerError> {
        Ok(self
            .members(of, first, size)?
            .into_iter()
            .map(|m| (m.user, m.content)))
    }

    /// The unclaimed places of a segment that have lost their slots (`displaced` in all), in their
    /// order.
    pub(in crate::ledger) fn lost(
        &self,
        segment: i64,
        displaced: i64,
        first: i64,
        size: i64,
    ) -> Result<Vec<i64>, LedgerError> {
        if displaced == 0 {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT place FROM message {by_index} WHERE segment = ? AND state IN ({SLOT_RETURNED}) AND state = {CAPPED} AND place >= ? AND place < ?
             ORDER BY place",
            by_index = self.db.dialect().by_index(SLOTS_RETURNED_INDEX)
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let rows = select
            .query_map(params![segment, first, first.saturating_add(size)], |row| {
                row.get(0)
            })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
