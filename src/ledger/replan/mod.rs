//! Replanning: planned messages change before they are claimed. The reasons and what is checked
//! stand in [`recheck`](crate::decide::recheck); here is how [`PlannedMessages`] are read, and how
//! a [`Recheck`] of them is written.
//!
//! A change that finds some of it claimed in the meantime is not made
//! ([`LedgerError::Overtaken`]): what is claimed is sent as it was planned. Messages that go to
//! another day, channel or list are one attempt more, in a segment of their own; the one that they
//! come from ends.

mod candidates;
mod projected;
mod short_list;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use candidates::{PlannedFilter, PlannedMessages};

use super::access::core::{LedgerReader, LedgerWriter};
use super::access::views::{Dispatcher, Planner};
use super::claim::held_batch::Member;
use super::claim::open_segment::OpenSegment;
use super::error::LedgerError;
use super::plan::planned_runs::SegmentNumbers;
use super::rows::blob::Blob;
use super::rows::encode::{self, salt};
use super::rows::record::{ClaimRecord, Record, ReplanChange, ReplanRecord, Segment};
use super::sql::params;
use super::sql::states::OPEN_SEGMENTS;
use crate::base::{Bitmap, Instant, UserNo};
use crate::decide::decision::{Gate, Rendered};
use crate::decide::recheck::{NewDay, NewRoute, Recheck};

impl ReplanRecord {
    /// Messages of a segment are stopped at a gate; `members` names the set of their users.
    pub(super) fn withdrawn(segment: i64, places: Vec<i64>, gate: &Gate, members: &Blob) -> Record {
        Record::Replanned(Box::new(ReplanRecord {
            segment,
            change: ReplanChange::Withdrawn {
                places,
                gate: gate.name().into(),
                by: gate.by().map(str::to_owned),
                members: members.digest.clone(),
            },
        }))
    }
}

impl Planner<'_> {
    /// Changes planned messages, all of them or none; gives how many were withdrawn for consent or
    /// content.
    ///
    /// # Errors
    /// When some of it was claimed in the meantime, or the ledger cannot be written.
    pub fn replan(
        &mut self,
        changes: &[(&PlannedMessages, Recheck)],
        now: Instant,
    ) -> Result<usize, LedgerError> {
        self.writer.replan(changes, now)
    }

    /// As [`Self::replan`]; `false` where some of it was claimed in the meantime, and all stays as
    /// it is.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn replan_unless_claimed(
        &mut self,
        of: &PlannedMessages,
        change: Recheck,
        now: Instant,
    ) -> Result<bool, LedgerError> {
        self.writer.replan_unless_claimed(of, change, now)
    }
}

impl Dispatcher<'_> {
    /// Ends a list that is too short, where nobody looks for other channels; `false` where it was
    /// claimed in the meantime.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn end_list(&mut self, left: &PlannedMessages, now: Instant) -> Result<bool, LedgerError> {
        let nowhere = Recheck::Reroute(Vec::new());
        self.open.writer.replan_unless_claimed(left, nowhere, now)
    }
}

impl LedgerWriter {
    /// Changes planned messages, all of them or none; gives how many were withdrawn for consent or
    /// content.
    ///
    /// # Errors
    /// When some of it was claimed in the meantime, or the ledger cannot be written.
    pub(super) fn replan(
        &mut self,
        changes: &[(&PlannedMessages, Recheck)],
        now: Instant,
    ) -> Result<usize, LedgerError> {
        let mut replan = Replan {
            writer: self,
            numbers: SegmentNumbers::new(&self.reader.db),
            records: Vec::new(),
            blobs: Vec::new(),
        };
        for (of, change) in changes {
            replan.change(of, change)?;
        }
        let Replan { records, blobs, .. } = replan;
        if !records.is_empty() {
            self.commit("replan", now, &blobs, &records)?;
        }
        let withdrawn = |change: &Recheck| match change {
            Recheck::Withdraw(messages) => messages.len(),
            Recheck::NewPolicy(_)
            | Recheck::Reschedule { .. }
            | Recheck::Reroute(_)
            | Recheck::JoinList(_) => 0,
        };
        Ok(changes.iter().map(|(_, change)| withdrawn(change)).sum())
    }

    /// As [`Self::replan`]; `false` where some of it was claimed in the meantime, and all stays as
    /// it is.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub(super) fn replan_unless_claimed(
        &mut self,
        of: &PlannedMessages,
        change: Recheck,
        now: Instant,
    ) -> Result<bool, LedgerError> {
        match self.replan(&[(of, change)], now) {
            Ok(_) => Ok(true),
            Err(LedgerError::Overtaken(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A segment for members of another one that are planned once more.
    pub(super) fn next_attempt(
        &self,
        segment: i64,
        of: &Segment,
        members: &[&Member],
        blobs: &mut Vec<Blob>,
    ) -> Segment {
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
        let next = Segment {
            segment,
            attempt: of.attempt + 1,
            size: i64::try_from(members.len()).unwrap_or(i64::MAX),
            users: users.digest.clone(),
            addresses: addresses.digest.clone(),
            contents: contents.digest.clone(),
            ..of.clone()
        };
        blobs.extend([users, addresses, contents]);
        next
    }
}

/// The records of a transaction, as they come together.
struct Replan<'a> {
    writer: &'a LedgerWriter,
    numbers: SegmentNumbers<'a>,
    records: Vec<Record>,
    blobs: Vec<Blob>,
}

impl Replan<'_> {
    fn change(&mut self, of: &PlannedMessages, change: &Recheck) -> Result<(), LedgerError> {
        match change {
            Recheck::Withdraw(messages) => {
                self.withdraw(of, messages);
                Ok(())
            }
            Recheck::NewPolicy(policy) => {
                let segment = &of.segment.of;
                let change = ReplanChange::NewPolicy {
                    run: segment.run,
                    step: segment.step,
                    quiet: policy.quiet.map(|quiet| (quiet.from.0, quiet.to.0)),
                    expires: policy.expires.0,
                };
                self.record(segment.segment, change);
                Ok(())
            }
            Recheck::Reschedule { day, no_slot } => self.reschedule(of, *day, no_slot),
            Recheck::Reroute(routes) => self.reroute(of, routes),
            Recheck::JoinList(with) => self.join(&of.segment, *with),
        }
    }

    fn record(&mut self, segment: i64, change: ReplanChange) {
        self.records.push(Record::Replanned(Box::new(ReplanRecord {
            segment,
            change,
        })));
    }

    fn withdraw(&mut self, of: &PlannedMessages, messages: &[(usize, Gate)]) {
        let mut by: BTreeMap<&Gate, Vec<(i64, UserNo)>> = BTreeMap::new();
        for (position, gate) in messages {
            let place = of.places.get(*position).copied();
            let message = place.zip(of.group.users.get(*position).copied());
            by.entry(gate).or_default().extend(message);
        }
        for (gate, messages) in by {
            let users = || messages.iter().map(|(_, user)| *user);
            let size = users().map(|user| user.index() + 1).max().unwrap_or(0);
            let members = Blob::new(encode::bitmap(&Bitmap::from_users(size, users())));
            let places = messages.iter().map(|(place, _)| *place).collect();
            self.records
                .push(ReplanRecord::withdrawn(of.number(), places, gate, &members));
            self.blobs.push(members);
        }
    }

    fn reschedule(
        &mut self,
        of: &PlannedMessages,
        day: NewDay,
        no_slot: &[(usize, Gate)],
    ) -> Result<(), LedgerError> {
        self.withdraw(of, no_slot);
        self.end(&of.segment);
        let gone: Vec<i64> = no_slot
            .iter()
            .filter_map(|(position, _)| of.places.get(*position).copied())
            .collect();
        let mut members = self.writer.reader.unclaimed_messages(&of.segment)?;
        members.retain(|member| {
            of.places.binary_search(&member.place).is_ok()
                && gone.binary_search(&member.place).is_err()
        });
        if !members.is_empty() {
            let mut next = self.next_attempt(&of.segment.of, &members)?;
            next.day = day.day.0;
            // It keeps what it has risen by waiting.
            next.priority = of.segment.priority_at(day.not_before);
            next.not_before = day.not_before.0;
            self.records.push(Record::Segment(Box::new(next)));
        }
        Ok(())
    }

    fn reroute(
        &mut self,
        of: &PlannedMessages,
        routes: &[(usize, NewRoute)],
    ) -> Result<(), LedgerError> {
        let to: BTreeMap<i64, &NewRoute> = routes
            .iter()
            .filter_map(|(position, route)| Some((*of.places.get(*position)?, route)))
            .collect();
        let mut by: BTreeMap<(&str, &str), (&NewRoute, Vec<Member>)> = BTreeMap::new();
        for member in self.writer.reader.unclaimed_messages(&of.segment)? {
            if let Some(route) = to.get(&member.place) {
                let (_, members) = by
                    .entry((&route.channel.account, &route.channel.endpoint))
                    .or_insert_with(|| (route, Vec::new()));
                members.push(Member {
                    address: route.address.clone(),
                    ..member
                });
            }
        }
        let (rerouted, not_sent) = of.places.iter().partition(|place| to.contains_key(*place));
        let found = match &of.of_list {
            Some(found) => found.clone(),
            None => self.writer.reader.rest_of(&of.segment)?,
        };
        self.record(
            of.number(),
            ReplanChange::ListEnded {
                found,
                rerouted,
                not_sent,
            },
        );
        for (to, members) in by.into_values() {
            let mut next = self.next_attempt(&of.segment.of, &members)?;
            next.account.clone_from(&to.channel.account);
            next.platform.clone_from(&to.channel.platform);
            next.endpoint.clone_from(&to.channel.endpoint);
            next.not_before = to.window.not_before.0;
            next.expires = to.window.expires.0;
            next.day = of.segment.zone.date(to.window.not_before).0;
            self.records.push(Record::Segment(Box::new(next)));
        }
        Ok(())
    }

    /// Both end, and one new segment has the members of both. Who has opted out is among them
    /// still, and is left out when the list is claimed.
    fn join(&mut self, segment: &OpenSegment, with: i64) -> Result<(), LedgerError> {
        let others = self
            .writer
            .reader
            .open_segments(&format!("s.segment = ? AND {OPEN_SEGMENTS}"), params![with])?;
        let [other] = &others[..] else {
            return Err(LedgerError::Overtaken("segment open"));
        };
        let mut members = self.writer.reader.unclaimed_messages(segment)?;
        members.extend(self.writer.reader.unclaimed_messages(other)?);
        let mut joined = self.next_attempt(&other.of, &members)?;
        joined.attempt = segment.of.attempt.max(other.of.attempt) + 1;
        joined.priority = segment.of.priority.max(other.of.priority);
        joined.follows = segment.of.follows || other.of.follows;
        self.end(segment);
        self.end(other);
        self.records.push(Record::Segment(Box::new(joined)));
        Ok(())
    }

    fn end(&mut self, segment: &OpenSegment) {
        let claimed = segment.claimed;
        self.record(segment.of.segment, ReplanChange::Replaced { claimed });
    }

    fn next_attempt(&mut self, of: &Segment, members: &[Member]) -> Result<Segment, LedgerError> {
        let members: Vec<&Member> = members.iter().collect();
        let number = self.numbers.take()?;
        Ok(self
            .writer
            .next_attempt(number, of, &members, &mut self.blobs))
    }
}

impl LedgerReader {
    /// All that is left of a segment, as a claim passes it over.
    fn rest_of(&self, of: &OpenSegment) -> Result<ClaimRecord, LedgerError> {
        let rest = of.of.size - of.claimed;
        Ok(ClaimRecord {
            segment: of.of.segment,
            first: of.claimed,
            size: rest,
            opted_out: Vec::new(),
            unreachable: Vec::new(),
            displaced: of.displaced,
            passed_over: self.lost(of.of.segment, of.displaced, of.claimed, rest)?,
            batch: None,
            spent: Vec::new(),
        })
    }

    /// Those members of a segment that are neither claimed nor withdrawn, with all that is sent.
    fn unclaimed_messages(&self, of: &OpenSegment) -> Result<Vec<Member>, LedgerError> {
        let lost = self.lost(of.of.segment, of.displaced, of.claimed, of.of.size)?;
        let mut members = self.members(&of.of, of.claimed, of.of.size - of.claimed)?;
        members.retain(|member| lost.binary_search(&member.place).is_err());
        Ok(members)
    }
}
