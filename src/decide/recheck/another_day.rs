//! Messages that are due on another day than they were planned for: whether they have a slot on
//! that day, too.

use super::planned_group::{NewDay, PlannedGroup, Recheck};
use crate::base::{Bitmap, Date, Instant, UserNo, Zone};
use crate::decide::DecideError;
use crate::decide::arbitrate::caps_of;
use crate::decide::caps::{Contest, MessageKind, Slots};
use crate::decide::decision::Gate;
use crate::decide::history::{History, PendingMessages};
use crate::decide::platform_caps::{self, ForeignUse};
use crate::program::typed::{ChannelName, Program};

/// Whether a message that is due at `now` counts on another day than the one that it was planned
/// for, in the policy's zone or in its platform's.
pub fn counts_on_another_day(
    channel: &ChannelName,
    zone: Zone,
    (day, not_before): (Date, Instant),
    now: Instant,
) -> bool {
    zone.date(now) != day
        || platform_caps::day(channel, now) != platform_caps::day(channel, not_before)
}

/// Finds slots on one day. Called for one group after another, in the order in which they are due.
pub struct DayRecheck<'a, H> {
    program: &'a Program,
    foreign: &'a ForeignUse,
    day: Date,
    slots: Slots<'a, H>,
}

impl<'a, H: History> DayRecheck<'a, H> {
    /// `users` are how many the store has.
    pub fn new(
        program: &'a Program,
        foreign: &'a ForeignUse,
        day: Date,
        users: usize,
        history: &'a H,
    ) -> Self {
        let nobody = Contest {
            users: Bitmap::none(users),
            highest: i64::MIN,
            now: Instant(0),
        };
        DayRecheck {
            program,
            foreign,
            day,
            slots: Slots::new(history, users, nobody),
        }
    }

    /// Moves a group to this day, which it has become at `now`.
    ///
    /// # Errors
    /// Those of the history.
    pub fn check(&mut self, group: &PlannedGroup, now: Instant) -> Result<Recheck, DecideError> {
        let pending = &group.pending;
        let begins = [
            Some(group.zone.start_of(self.day)),
            platform_caps::start_of_day(&pending.channel, now),
        ];
        let not_before = begins
            .into_iter()
            .flatten()
            .fold(pending.not_before, Instant::max);
        let no_slot = self.without_slot(pending, (&pending.channel, not_before), &group.users)?;
        Ok(Recheck::Reschedule {
            day: NewDay {
                day: self.day,
                not_before,
            },
            no_slot,
        })
    }

    /// Which of `users` have no slot on this day, for the pending messages that they have;
    /// `channel` and `at` are by which channel and when those are to be sent now.
    ///
    /// # Errors
    /// Those of the history.
    pub(super) fn without_slot(
        &mut self,
        pending: &PendingMessages,
        (channel, at): (&ChannelName, Instant),
        users: &[UserNo],
    ) -> Result<Vec<(usize, Gate)>, DecideError> {
        // What was planned of a campaign that is no more continues: its caps went with it.
        let Some(campaign) = self
            .program
            .campaign_named(&pending.campaign)
            .map(|id| self.program.campaign(id))
        else {
            return Ok(Vec::new());
        };
        let caps = caps_of(self.program, campaign);
        let of_channel = caps
            .iter()
            .filter(|(cap, _)| cap.channel.as_ref().is_none_or(|c| c == channel));
        let mut limits = Vec::new();
        for (cap, scope) in of_channel {
            limits.push(
                self.slots
                    .limit(cap, scope, self.day, self.day.plus_days(1))
                    .map_err(DecideError::history)?,
            );
        }
        for cap in platform_caps::caps(channel, at, self.foreign) {
            limits.push(
                self.slots
                    .platform_limit(&cap, channel)
                    .map_err(DecideError::history)?,
            );
        }
        let after = MessageKind {
            campaign: &pending.campaign,
            purpose: pending.purpose,
            channel,
            day: self.day,
            at,
        };
        let before = MessageKind {
            channel: &pending.channel,
            day: pending.day,
            at: pending.not_before,
            ..after
        };
        let (before, after) = (self.slots.counting(before), self.slots.counting(after));
        let name = self.slots.name(&pending.campaign);
        let mut no_slot = Vec::new();
        for (position, user) in users.iter().enumerate() {
            // Its own slot is no obstacle to it.
            self.slots.give_back(*user, &before);
            match self.slots.free(*user, pending.priority, &limits) {
                Ok(()) => self.slots.take(*user, name, &after),
                Err(winner) => {
                    let winner = winner.and_then(|winner| self.slots.campaign(winner));
                    no_slot.push((position, Gate::Capped(winner.map(|w| w.to_string()))));
                }
            }
        }
        Ok(no_slot)
    }
}
