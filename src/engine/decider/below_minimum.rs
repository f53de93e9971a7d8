//! Who is left alone on a list when its turn comes goes by the next channel of the `via`, if one
//! takes the message.

use super::Decider;
use crate::base::Instant;
use crate::decide::DecideError;
use crate::decide::fallback_channel::{FallbackSearch, StrandedMessage};
use crate::engine::Failure;
use crate::eval::EvalScope;
use crate::ledger::{BelowListMin, Ledger, Rerouted, Writer};

impl Decider {
    /// Ends what is left of these lists: each of their members goes by another channel, or stays
    /// without a message.
    ///
    /// # Errors
    /// Data that does not fit, a ledger that cannot be read or written.
    pub fn move_on(
        &mut self,
        all: &[BelowListMin],
        now: Instant,
        ledger: &mut Writer,
    ) -> Result<(), Failure> {
        if all.is_empty() {
            return Ok(());
        }
        for (left, moved) in self.moved(all, now, ledger)? {
            ledger.end_left_alone(left, &moved, now)?;
        }
        self.past.forget();
        Ok(())
    }

    fn moved<'l>(
        &mut self,
        all: &'l [BelowListMin],
        now: Instant,
        ledger: &Ledger,
    ) -> Result<Vec<(&'l BelowListMin, Vec<Rerouted>)>, Failure> {
        let scope = EvalScope {
            now,
            ..self.data.scope(&self.project.program)
        };
        let foreign = self.project.config.foreign();
        let mut known = Vec::new();
        for left in all {
            known.push((left, self.place_of(left), ledger.standing_of(left)?));
        }
        let view = self.past.view(ledger, None);
        let mut elsewhere = FallbackSearch::new(&scope, &self.words, &foreign, &view);
        let mut found = Vec::new();
        for (left, place, (standing, due)) in &known {
            let mut moved = Vec::new();
            // What was planned of a campaign that is no more has no other channels.
            for (user, message) in left.messages().filter(|_| place.is_some()) {
                let Some((campaign, step)) = *place else {
                    continue;
                };
                let alone = StrandedMessage {
                    campaign,
                    step,
                    arm: left.arm(),
                    template: left.template(),
                    due: *due,
                    standing,
                };
                let is_taken = |channel: &_, address: &str| {
                    ledger
                        .goes_to(left, channel, address)
                        .map_err(DecideError::history)
                };
                let there = elsewhere.place(&alone, user, message, is_taken)?;
                moved.extend(there.map(|(channel, address, window)| Rerouted {
                    user,
                    channel,
                    address,
                    window,
                }));
            }
            found.push((*left, moved));
        }
        Ok(found)
    }

    /// The campaign and the number of its step by the program as it is now.
    fn place_of(&self, left: &BelowListMin) -> Option<(crate::base::CampaignId, usize)> {
        let id = self.carried_out(left.campaign())?;
        let campaign = self.program().campaign(id);
        match campaign
            .steps
            .iter()
            .position(|step| step.name == left.step())
        {
            Some(index) => Some((id, index + 1)),
            None => (left.step() == left.campaign()).then_some((id, 0)),
        }
    }
}
