//! Claiming: how a message leaves.
//!
//! A claim is committed before anything is handed over, with all that is handed over: members, keys
//! and a digest of the request. A claim whose answer never came is *unknown*; it is settled by
//! handing over the same bytes under the same key, where the channel keeps keys, or by a person.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rayon::prelude::*;

use super::contacts::SegmentWindows;
use super::sql::schema::SLOTS_RETURNED_INDEX;
use super::sql::states::{
    CAPPED, CLAIMED, OPEN_SEGMENTS, PLANNED, SLOT_RETURNED, States, UNANSWERED,
};
use super::sql::{OptionalExtension, ToValue, params};

use super::blob;
use super::due::{DueFilter, DueSegment, OPEN, OpenSegment, RateLimit};

use super::encode;
use super::error::LedgerError;
use super::location::Lock;
use super::planned_runs::RunId;
use super::record::{self, ClaimRecord, QuotaSpend, Record};
use super::replan::PlannedMessages;
use super::spool::SpooledAnswer;
use super::state::State;
use super::{Ledger, Writer, location};
use crate::base::{Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::ledger::{Batch, BatchOutcome, Message};
use crate::program::platform::{self, Endpoint};
use crate::program::typed::ChannelName;
use crate::store::Users;

/// How often a list that is long enough is filled up.
const MOST_ROUNDS: usize = 3;

/// What came of an attempt to claim.
#[derive(Debug)]
pub enum ClaimAttempt {
    Claim(Claim),
    /// All of them have opted out since the plan, or are not reached any more.
    AllStruck,
    /// So many have opted out since the plan that too few are left for a list.
    BelowListMin(Box<PlannedMessages>),
    /// Opt-outs had left too few of them for a list: now they stand in one list with others who get
    /// the same, whose turn comes next.
    Joined,
    /// This limit is used up until its window ends.
    UsedUp(RateLimit),
    /// It was taken back, held back or changed by someone else in the meantime.
    Overtaken,
}

/// Messages that may be handed over, once. Dropped without an answer they are unknown.
#[derive(Debug)]
#[must_use = "what is claimed must be handed over and answered"]
pub struct Claim {
    pub(super) held: Box<HeldBatch>,
    /// Some of them go through a window that was opened after they had been planned: it has less
    /// left than was known.
    pub opened_anew: bool,
}

/// A batch of which nobody knows whether it arrived.
#[derive(Debug)]
#[must_use = "an unknown hand-over must be settled or left to a person"]
pub struct UnsettledBatch {
    pub(super) held: HeldBatch,
}

/// A batch and its members, as they were claimed.
#[derive(Debug)]
pub(super) struct HeldBatch {
    pub(super) segment: OpenSegment,
    pub(super) batch: i64,
    pub(super) key: String,
    /// Digest of what was handed over the first time.
    pub(super) request: String,
    pub(super) claimed_at: Instant,
    /// Those that are handed over; of a repeat, those of which nothing is known.
    pub(super) members: Vec<Member>,
    /// How many were handed over the first time.
    pub(super) of: usize,
    /// The least that is known of those that are not handed over again.
    pub(super) least: Option<State>,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    /// In the segment.
    pub(super) place: i64,
    /// In the batch.
    pub(super) nth: usize,
    pub(super) user: UserNo,
    pub(super) key: String,
    pub(super) address: Arc<str>,
    pub(super) content: Arc<Rendered>,
}

/// An unknown hand-over, for those who look after it.
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

impl HeldBatch {
    pub(super) fn batch(&self, users: &Users) -> Batch {
        let name = |user: UserNo| {
            users
                .id(user)
                .map_or_else(|| user.to_string().into(), Arc::from)
        };
        let message = |m: &Member| Message {
            key: m.key.clone(),
            user: m.user,
            user_id: name(m.user),
            address: m.address.clone(),
            content: m.content.clone(),
        };
        Batch {
            key: self.key.clone(),
            run: RunId(self.segment.of.run),
            campaign: self.segment.campaign.clone(),
            step: self.segment.step.clone(),
            arm: self.segment.of.arm.clone(),
            template: self.segment.of.template.clone(),
            channel: self.segment.channel(),
            zone: self.segment.zone,
            at: self.claimed_at,
            begin_by: None,
            messages: self.members.iter().map(message).collect(),
        }
    }

    /// The places in the batch of those that are handed over.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.members.iter().map(|m| m.nth)
    }

    /// Digest of what is handed over.
    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        put(&self.key);
        put(&self.segment.channel().to_string());
        put(&self.claimed_at.0.to_string());
        for m in &self.members {
            put(&m.key);
            put(&m.address);
            m.content.parts.iter().for_each(|(name, value)| {
                put(name);
                put(value);
            });
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Members of a segment that come next.
#[derive(Debug)]
pub(super) struct NextMembers {
    /// How many of its places that are.
    size: i64,
    /// Places that have lost their slots.
    displaced_places: Vec<i64>,
    /// Places of users who have opted out since the plan.
    opted_out: Vec<i64>,
    /// Places of users for whom the channel has closed since the plan.
    unreachable: Vec<i64>,
    opened_anew: bool,
    /// The others: they may be handed over.
    pub(super) members: Vec<Member>,
}

impl NextMembers {
    /// What has become of those who are not handed over; nothing is said of the others.
    pub(super) fn passed_over(&self, segment: &OpenSegment) -> ClaimRecord {
        let NextMembers {
            size,
            displaced_places,
            opted_out,
            unreachable,
            opened_anew: _,
            members: _,
        } = self;
        ClaimRecord {
            segment: segment.of.segment,
            first: segment.claimed,
            size: *size,
            opted_out: opted_out.clone(),
            unreachable: unreachable.clone(),
            displaced: segment.displaced,
            passed_over: displaced_places.clone(),
            batch: None,
            spent: Vec::new(),
        }
    }
}

/// A batch as it was claimed, and what is known of it.
#[derive(Debug)]
pub(super) struct ClaimedBatch {
    pub held: HeldBatch,
    /// Of the batch as a whole.
    pub state: State,
    /// What is known of each member besides.
    pub states: Vec<State>,
}

impl ClaimedBatch {
    /// As far as it concerns some members.
    pub fn only(mut self, places: &BTreeSet<usize>) -> HeldBatch {
        let others = self
            .states
            .iter()
            .enumerate()
            .filter(|(nth, _)| !places.contains(nth))
            .map(|(_, s)| *s);
        self.held.least = others.filter(|s| s.is_known()).min();
        self.held.members.retain(|m| places.contains(&m.nth));
        self.held
    }
}

impl Claim {
    /// The batch's number in the ledger.
    pub fn number(&self) -> i64 {
        self.held.batch
    }

    pub fn batch(&self, users: &Users) -> Batch {
        self.held.batch(users)
    }
}

impl UnsettledBatch {
    pub fn batch(&self, users: &Users) -> Batch {
        self.held.batch(users)
    }
}

impl Ledger {
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
    pub(super) fn without_answer(&self, batch: i64) -> Result<Option<ClaimedBatch>, LedgerError> {
        self.known(UNANSWERED, batch)
    }

    /// A batch with all that was handed over and what is known of it, if it is in one of some
    /// states.
    pub(super) fn known(
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

    /// Members of a segment with all that is handed over.
    pub(super) fn members(
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
    pub(super) fn users_and_contents(
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
    pub(super) fn lost(
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

    /// The next `size` members of a segment, and what has become of some since the plan.
    fn next_of(
        &self,
        segment: &OpenSegment,
        size: i64,
        now: Instant,
    ) -> Result<NextMembers, LedgerError> {
        let mut members = self.members(&segment.of, segment.claimed, size)?;
        let displaced_places =
            self.lost(segment.of.segment, segment.displaced, segment.claimed, size)?;
        members.retain(|member| displaced_places.binary_search(&member.place).is_err());
        let numbers = self.opted_out_among(&members)?;
        let opted_out = members
            .iter()
            .filter(|m| numbers.contains(&m.user.0))
            .map(|m| m.place)
            .collect();
        members.retain(|member| !numbers.contains(&member.user.0));
        let SegmentWindows {
            closed: unreachable,
            opened_anew,
        } = self.windows_of(&segment.of, &members, now)?;
        members.retain(|member| unreachable.binary_search(&member.place).is_err());
        Ok(NextMembers {
            size,
            displaced_places,
            opted_out,
            unreachable,
            opened_anew,
            members,
        })
    }

    /// As [`Self::next_of`]. A list is filled up, for those who have opted out, with the next ones
    /// to at most `size`: a platform takes few lists, and none that is too short. Nobody is left
    /// alone by it, as far as that can be.
    fn next_of_list(
        &self,
        segment: &OpenSegment,
        (least, size): (i64, i64),
        now: Instant,
    ) -> Result<NextMembers, LedgerError> {
        let rest = segment.of.size - segment.claimed;
        let mut next = self.next_of(segment, size, now)?;
        for round in 0.. {
            let there = i64::try_from(next.members.len()).unwrap_or(i64::MAX);
            let will_do = there >= least;
            if least == 1 || there >= size || next.size >= rest || (will_do && round >= MOST_ROUNDS)
            {
                break;
            }
            let more = rest.min(next.size + size - there);
            let more = match rest - more {
                behind if !(1..least).contains(&behind) => more,
                _ if will_do => break,
                behind => (more - (least - behind)).max(next.size + 1),
            };
            next = self.next_of(segment, more, now)?;
        }
        Ok(next)
    }

    /// Those of the members who want no messages (and others with numbers between theirs).
    fn opted_out_among(&self, members: &[Member]) -> Result<BTreeSet<u32>, LedgerError> {
        let numbers = members.iter().map(|m| m.user.0);
        let range = params![numbers.clone().min(), numbers.max()];
        let mut select = self
            .db
            .prepare_cached("SELECT user_no FROM opt_out WHERE user_no BETWEEN ? AND ?")?;
        let rows = select.query_map(range, |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// 32 hex digits: what the shortest key field of a platform holds.
fn platform_key(text: &str) -> String {
    let mut key = blob::digest(text.as_bytes());
    key.truncate(32);
    key
}

impl Writer {
    /// Claims the next members of a segment, as many as the channel takes together and the limits
    /// allow. When this returns, the claim is durable.
    ///
    /// # Errors
    /// When the ledger cannot be written: then nothing is claimed and nothing may be handed over.
    pub fn claim(
        &mut self,
        due: DueSegment,
        together: RangeInclusive<usize>,
        limits: &[RateLimit],
        now: Instant,
    ) -> Result<ClaimAttempt, LedgerError> {
        let DueSegment { segment } = due;
        let Writer {
            console, ballast, ..
        } = self;
        ballast.require(console.world.as_ref())?;
        let [least, most] =
            [together.start(), together.end()].map(|n| i64::try_from(*n).unwrap_or(i64::MAX));
        let rest = segment.of.size - segment.claimed;
        let mut size = rest.min(most);
        for limit in limits {
            let free = (limit.most - self.used(limit)?).saturating_mul(limit.unit);
            // A list that is too short is not handed over, and is not left behind either.
            if free < least.min(rest) {
                return Ok(ClaimAttempt::UsedUp(limit.clone()));
            }
            size = size.min(free);
        }
        let left = rest - size;
        if (1..least).contains(&left) && size - (least - left) >= least {
            size -= least - left;
        }
        let next = self.next_of_list(&segment, (least, size), now)?;
        let passed_over = next.passed_over(&segment);
        let too_few = (next.members.len() as u64) < least.unsigned_abs();
        if let Some(first) = next.members.first().filter(|_| too_few) {
            let members = next
                .members
                .iter()
                .map(|member| (member.place, member.user));
            let left = PlannedMessages::of_list(segment, members, passed_over);
            return Ok(match self.join_list(&left, &first.content, now)? {
                true => ClaimAttempt::Joined,
                false => ClaimAttempt::BelowListMin(Box::new(left)),
            });
        }
        let (mut members, opened_anew) = (next.members, next.opened_anew);
        let number = self.next_id("batch")?;
        let key = platform_key(&format!("{} batch {number}", self.id));
        let sent = i64::try_from(members.len()).unwrap_or(i64::MAX);
        let spent = |l: &RateLimit| QuotaSpend {
            holder: l.holder.clone(),
            starts: l.starts.0,
            used: l.units(sent),
            limit: Some(l.most),
        };
        let spent = if members.is_empty() {
            Vec::new()
        } else {
            limits.iter().map(spent).collect()
        };
        members
            .iter_mut()
            .enumerate()
            .for_each(|(n, member)| member.nth = n);
        let of = members.len();
        let mut held = HeldBatch {
            segment,
            batch: number,
            key: key.clone(),
            request: String::new(),
            claimed_at: now,
            members,
            of,
            least: None,
        };
        held.request = held.digest();
        let request = held.request.clone();
        let batch = (!held.members.is_empty()).then(|| record::BatchRecord {
            batch: number,
            key,
            request,
            worker: self.chain.clone(),
        });
        let nobody = batch.is_none();
        let claimed = Record::Claimed(Box::new(ClaimRecord {
            batch,
            spent,
            ..passed_over
        }));
        match self.commit_fenced("claim", now, &[], &[claimed]) {
            Ok(()) => {}
            Err(LedgerError::Overtaken(_)) => return Ok(ClaimAttempt::Overtaken),
            Err(error) => {
                // It may have been committed all the same. Who claimed knows that nothing of it
                // leaves.
                let given_up = BatchOutcome::NotSent {
                    reason: "given up: the claim could not be confirmed".into(),
                };
                self.keep_for_later(SpooledAnswer::of(&self.id, &held, &given_up, true, now));
                return Err(error);
            }
        }
        Ok(if nobody {
            ClaimAttempt::AllStruck
        } else {
            ClaimAttempt::Claim(Claim {
                held: Box::new(held),
                opened_anew,
            })
        })
    }

    /// Ends all that may not be handed over any more because its deadline passed; gives the
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
        let mut select = self.db.prepare_cached(&sql)?;
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
            match self.commit(kind, now, &[], &records) {
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
        let mut select = self.db.prepare_cached(sql)?;
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
        match self.commit("finish", now, &[], &records) {
            Err(LedgerError::Overtaken(_)) => Ok(()),
            other => other,
        }
    }

    /// What a process claimed that is gone is unknown. `begins`: this process has claimed nothing
    /// yet, so what bears its name is another's.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub(super) fn take_in_orphans(
        &mut self,
        now: Instant,
        begins: bool,
    ) -> Result<(), LedgerError> {
        let own = self.chain.clone();
        let mut select = self.db.prepare_cached(format!(
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
            } else if location::try_seat(&self.db, location::seat_of(&worker))? {
                // Its seat is free: it is gone. While it is held here, nobody takes it and its
                // name.
                let done = self.orphan(&worker, now);
                location::leave_seat(&self.db, location::seat_of(&worker))?;
                done?;
            }
        }
        Ok(())
    }

    fn orphan(&mut self, worker: &str, now: Instant) -> Result<(), LedgerError> {
        let mut select = self.db.prepare_cached(format!(
            "SELECT batch FROM batch WHERE state = {CLAIMED} AND worker = ? ORDER BY batch"
        ))?;
        let rows = select.query_map([worker], |row| Ok(Record::Orphaned { batch: row.get(0)? }))?;
        let records: Vec<Record> = rows.collect::<Result<_, _>>()?;
        drop(select);
        if records.is_empty() {
            Ok(())
        } else {
            self.commit("orphans", now, &[], &records)
        }
    }

    /// Takes in what other processes have left since this one began.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn take_over(&mut self, now: Instant) -> Result<(), LedgerError> {
        match self.lock {
            Lock::File { .. } => Ok(()),
            Lock::Seat(_) => self.take_in_orphans(now, false),
        }
    }

    /// The segment to be handed over next, as [`Ledger::due`] says; among several workers one that
    /// no other works on.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn due(
        &mut self,
        now: Instant,
        except: &DueFilter,
    ) -> Result<Option<DueSegment>, LedgerError> {
        if matches!(self.lock, Lock::File { .. }) {
            return self.console.due(now, except);
        }
        let before = self.segment.take();
        let mut found = None;
        for number in self.console.due_in_order(now, except)? {
            let own = before == Some(number);
            if !own && !location::try_hold(&self.db, number)? {
                continue;
            }
            self.segment = Some(number);
            // As it is now that nobody else works on it.
            found = self.console.due_segment(number)?;
            if found.is_some() {
                break;
            }
            location::let_go(&self.db, number)?;
            self.segment = None;
        }
        if let Some(before) = before.filter(|b| self.segment != Some(*b)) {
            location::let_go(&self.db, before)?;
        }
        Ok(found)
    }

    /// Whether this process alone looks after an unknown batch now; ends with [`Self::leave`].
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn look_after(&mut self, batch: i64) -> Result<bool, LedgerError> {
        Ok(location::try_hold(&self.db, -batch)?)
    }

    /// Lets others look after an unknown batch.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn leave(&mut self, batch: i64) -> Result<(), LedgerError> {
        Ok(location::let_go(&self.db, -batch)?)
    }
}
