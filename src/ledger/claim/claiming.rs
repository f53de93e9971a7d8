//! Claiming: how a message leaves.
//!
//! A claim is committed before anything is sent, with all that is sent: members, keys and a digest
//! of the request. A claim whose answer never came is *unknown*; it is settled by sending the same
//! bytes under the same key, where the channel keeps keys, or by a person.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::base::Instant;
use crate::ledger::access::core::{LedgerReader, OpenLedger};
use crate::ledger::access::views::Dispatcher;
use crate::ledger::answer::spool::SpooledAnswer;
use crate::ledger::claim::due::DueSegment;
use crate::ledger::claim::held_batch::{HeldBatch, Member, platform_key};
use crate::ledger::claim::next_members::NextMembers;
use crate::ledger::claim::open_segment::OpenSegment;
use crate::ledger::dispatch_batch::{Batch, BatchOutcome};
use crate::ledger::error::LedgerError;
use crate::ledger::inbox::contacts::SegmentWindows;
use crate::ledger::rate_limit::RateLimit;
use crate::ledger::replan::PlannedMessages;
use crate::ledger::rows::record::{self, ClaimRecord, QuotaSpend, Record};
use crate::ledger::sql::params;
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

/// Messages that may be sent, once. Dropped without an answer they are unknown.
#[derive(Debug)]
#[must_use = "what is claimed must be sent and answered"]
pub struct Claim {
    pub(in crate::ledger) held: Box<HeldBatch>,
    /// Some of them go through a window that was opened after they had been planned: it has less
    /// left than was known.
    pub opened_anew: bool,
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

impl LedgerReader {
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

impl Dispatcher<'_> {
    /// Claims the next members of a segment, as many as the channel takes together and the limits
    /// allow. When this returns, the claim is durable.
    ///
    /// # Errors
    /// When the ledger cannot be written: then nothing is claimed and nothing may be sent.
    pub fn claim(
        &mut self,
        due: DueSegment,
        together: RangeInclusive<usize>,
        limits: &[RateLimit],
        now: Instant,
    ) -> Result<ClaimAttempt, LedgerError> {
        let DueSegment { segment } = due;
        let OpenLedger {
            writer, reserved, ..
        } = &mut *self.open;
        reserved.require(writer.world.as_ref())?;
        let [least, most] =
            [together.start(), together.end()].map(|n| i64::try_from(*n).unwrap_or(i64::MAX));
        let rest = segment.of.size - segment.claimed;
        let mut size = rest.min(most);
        for limit in limits {
            let free = (limit.most - self.reader().used(limit)?).saturating_mul(limit.unit);
            // A list that is too short is not sent, and is not left behind either.
            if free < least.min(rest) {
                return Ok(ClaimAttempt::UsedUp(limit.clone()));
            }
            size = size.min(free);
        }
        let left = rest - size;
        if (1..least).contains(&left) && size - (least - left) >= least {
            size -= least - left;
        }
        let next = self.reader().next_of_list(&segment, (least, size), now)?;
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
        let number = self.open.writer.next_id("batch")?;
        let key = platform_key(&format!("{} batch {number}", self.reader().id));
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
            worker: self.open.writer.chain.clone(),
        });
        let nobody = batch.is_none();
        let claimed = Record::Claimed(Box::new(ClaimRecord {
            batch,
            spent,
            ..passed_over
        }));
        match self.open.commit_fenced("claim", now, &[], &[claimed]) {
            Ok(()) => {}
            Err(LedgerError::Overtaken(_)) => return Ok(ClaimAttempt::Overtaken),
            Err(error) => {
                // It may have been committed all the same. Who claimed knows that nothing of it
                // leaves.
                let given_up = BatchOutcome::NotSent {
                    reason: "given up: the claim could not be confirmed".into(),
                };
                self.keep_for_later(SpooledAnswer::of(
                    &self.reader().id,
                    &held,
                    &given_up,
                    true,
                    now,
                ));
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
}
