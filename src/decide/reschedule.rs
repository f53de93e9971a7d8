//! Messages that were planned for one day and come to their turn on another: whether they have a
//! slot there, too.

use std::sync::Arc;

use super::DecideError;
use super::arbitrate::caps_of;
use super::caps::{Contest, MessageKind, Slots};
use super::history::{History, PendingMessages};
use super::platform_caps::{self, ForeignUse};
use crate::base::{Bitmap, Date, Instant, UserNo};
use crate::program::typed::{ChannelName, Program};

/// Who of `users`, whose messages stand in the ledger as `standing` says, has no slot on `day`, and
/// whose campaign has it. Called for one group after another, in the order of their turn.
pub struct Reschedule<'a, H> {
    program: &'a Program,
    foreign: &'a ForeignUse,
    day: Date,
    slots: Slots<'a, H>,
}

impl<'a, H: History> Reschedule<'a, H> {
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
        Reschedule {
            program,
            foreign,
            day,
            slots: Slots::new(history, users, nobody),
        }
    }

    /// `channel` and `at` are by which channel and when they are to be handed over now.
    ///
    /// # Errors
    /// Those of the history.
    pub fn without_slot(
        &mut self,
        standing: &PendingMessages,
        (channel, at): (&ChannelName, Instant),
        users: &[UserNo],
    ) -> Result<Vec<(usize, Option<Arc<str>>)>, DecideError> {
        // What was planned of a campaign that is no more goes on: its caps went with it.
        let Some(campaign) = self
            .program
            .campaign_named(&standing.campaign)
            .map(|id| self.program.campaign(id))
        else {
            return Ok(Vec::new());
        };
        let caps = caps_of(self.program, campaign);
        let looked_at = caps
            .iter()
            .filter(|(cap, _)| cap.channel.as_ref().is_none_or(|c| c == channel));
        let mut limits = Vec::new();
        for (cap, scope) in looked_at {
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
            campaign: &standing.campaign,
            purpose: standing.purpose,
            channel,
            day: self.day,
            at,
        };
        let before = MessageKind {
            channel: &standing.channel,
            day: standing.day,
            at: standing.not_before,
            ..after
        };
        let (before, after) = (self.slots.counting(before), self.slots.counting(after));
        let name = self.slots.name(&standing.campaign);
        let mut lost = Vec::new();
        for (place, user) in users.iter().enumerate() {
            // Its own slot is no obstacle to it.
            self.slots.give_back(*user, &before);
            match self.slots.free(*user, standing.priority, &limits) {
                Ok(()) => self.slots.take(*user, name, &after),
                Err(winner) => {
                    lost.push((place, winner.and_then(|w| self.slots.campaign(w)).cloned()))
                }
            }
        }
        Ok(lost)
    }
}
