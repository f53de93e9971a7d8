//! What is left of a list that opt-outs have made too short, where no other list has room for it
//! ([`super::list_join`]): who decides looks for another channel; whom none reaches stays without a
//! message.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claim::{Member, NextMembers};
use super::due::{OPEN, OpenSegment};
use super::error::LedgerError;
use super::planned_runs::SegmentNumbers;
use super::record::{ClaimRecord, Record};
use super::sql::params;
use super::{Ledger, Writer};
use crate::base::{Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::decide::history::PendingMessages;
use crate::program::typed::ChannelName;
use crate::schedule::SendWindow;

/// The next members of a list, too few for it.
#[derive(Debug)]
pub struct BelowListMin {
    pub(super) segment: OpenSegment,
    pub(super) next: NextMembers,
}

/// Where one of them is reached instead.
#[derive(Clone, Debug)]
pub struct Rerouted {
    pub user: UserNo,
    pub channel: ChannelName,
    pub address: Arc<str>,
    pub window: SendWindow,
}

impl BelowListMin {
    /// The segment's number.
    pub fn number(&self) -> i64 {
        self.segment.of.segment
    }

    pub fn campaign(&self) -> &str {
        &self.segment.campaign
    }

    /// The step's name; of a campaign's first message the campaign's.
    pub fn step(&self) -> &str {
        &self.segment.step
    }

    pub fn arm(&self) -> Option<&str> {
        self.segment.of.arm.as_deref()
    }

    pub fn template(&self) -> &str {
        &self.segment.of.template
    }

    /// Those who would get it, and what it says.
    pub fn messages(&self) -> impl Iterator<Item = (UserNo, &Rendered)> {
        self.next
            .members
            .iter()
            .map(|member| (member.user, &*member.content))
    }
}

impl Ledger {
    /// How it was planned, and for when it was due.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn standing_of(
        &self,
        left: &BelowListMin,
    ) -> Result<(PendingMessages, Instant), LedgerError> {
        let (standing, _) = self.standing(&left.segment)?;
        let sql = "SELECT due FROM step WHERE run = ? AND step = ?";
        let due = self
            .db
            .prepare_cached(sql)?
            .query_row([left.segment.of.run, left.segment.of.step], |row| {
                row.get(0)
            })?;
        Ok((standing, Instant(due)))
    }

    /// Whether a message of the same run goes to an address already.
    ///
    /// # Errors
    /// As [`Self::standing_of`].
    pub fn goes_to(
        &self,
        left: &BelowListMin,
        channel: &ChannelName,
        address: &str,
    ) -> Result<bool, LedgerError> {
        let of = &left.segment.of;
        let sql = format!(
            "{OPEN} WHERE s.run = ? AND s.step = ? AND s.account = ? AND s.endpoint = ? ORDER BY s.segment"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let open = select.query_map(
            params![of.run, of.step, channel.account, channel.endpoint],
            OpenSegment::of_row,
        )?;
        let open = open.collect::<Result<Vec<_>, _>>()?;
        drop(select);
        for open in open {
            if self
                .members(&open.of, 0, open.of.size)?
                .iter()
                .any(|member| *member.address == *address)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Writer {
    /// Ends what is left of the list: these go by other channels, the others by none. `false` where
    /// it was claimed or changed in the meantime, and all stays as it is.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn end_left_alone(
        &mut self,
        left: &BelowListMin,
        moved: &[Rerouted],
        now: Instant,
    ) -> Result<bool, LedgerError> {
        let BelowListMin { segment, next } = left;
        let goes = |member: &Member| moved.iter().find(|m| m.user == member.user);
        let mut by: BTreeMap<(&str, &str), (&Rerouted, Vec<Member>)> = BTreeMap::new();
        for (member, to) in next
            .members
            .iter()
            .filter_map(|member| Some((member, goes(member)?)))
        {
            let (_, members) = by
                .entry((&to.channel.account, &to.channel.endpoint))
                .or_insert_with(|| (to, Vec::new()));
            members.push(Member {
                address: to.address.clone(),
                ..member.clone()
            });
        }
        let places = |moves: bool| {
            next.members
                .iter()
                .filter(|m| goes(m).is_some() == moves)
                .map(|m| m.place)
                .collect()
        };
        let mut records = vec![Record::Claimed(Box::new(ClaimRecord {
            below_list_min: places(false),
            rerouted: places(true),
            ..next.passed_over(segment)
        }))];
        let mut blobs = Vec::new();
        let mut numbers = SegmentNumbers::new(&self.db);
        for (to, members) in by.values() {
            let members: Vec<&Member> = members.iter().collect();
            let mut again = self.next_attempt(numbers.take()?, &segment.of, &members, &mut blobs);
            again.account.clone_from(&to.channel.account);
            again.platform.clone_from(&to.channel.platform);
            again.endpoint.clone_from(&to.channel.endpoint);
            again.not_before = to.window.not_before.0;
            again.expires = to.window.expires.0;
            again.day = segment.zone.date(to.window.not_before).0;
            records.push(Record::Segment(Box::new(again)));
        }
        match self.commit("left alone", now, &blobs, &records) {
            Ok(()) => Ok(true),
            Err(LedgerError::Overtaken(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
