//! Planned messages that nobody has claimed are checked again, for whatever reason: what is open is
//! read, [`recheck`] says what changes of it, and the changes are written.

use super::Decider;
use super::replan_reason::ReplanReason;
use crate::base::{CampaignId, Instant};
use crate::decide::DecideError;
use crate::decide::recheck::{self, ChannelRecheck, DayRecheck, NewRoute, PlannedGroup, Recheck};
use crate::engine::Failure;
use crate::eval::EvalScope;
use crate::ledger::{LedgerError, LedgerReader, PlannedFilter, PlannedMessages, Planner};

/// How often a change is tried while other workers claim.
const TRIES: usize = 10;

impl Decider {
    /// Checks planned messages again and changes what has to be changed; gives how many messages
    /// were withdrawn, or, of those that count on another day, how many segments were planned
    /// anew.
    ///
    /// # Errors
    /// Data that does not fit, a ledger that cannot be read or written. When messages on another
    /// day are claimed in the meantime the decider is marked as overtaken.
    pub fn replan(
        &mut self,
        why: ReplanReason,
        now: Instant,
        ledger: &mut Planner,
    ) -> Result<usize, Failure> {
        let changed = match why {
            ReplanReason::NewProgram => self.replan_for_program(now, ledger)?,
            ReplanReason::Consent => self.replan_for_consent(now, ledger)?,
            ReplanReason::AnotherDay => self.replan_for_day(now, ledger)?,
            ReplanReason::BelowListMin(lists) => self.replan_lists(lists, now, ledger)?,
        };
        if changed > 0 {
            self.past.forget();
        }
        Ok(changed)
    }

    fn replan_for_program(&self, now: Instant, ledger: &mut Planner) -> Result<usize, Failure> {
        let program = self.program();
        let mut tries = 0;
        loop {
            let planned = ledger.reader().planned_messages(PlannedFilter::All, now)?;
            let mut changes = Vec::new();
            for of in &planned {
                changes.extend(recheck::policy(program, &of.group).map(|change| (of, change)));
                if !self.words.is_empty() {
                    let contents = ledger.reader().planned_contents(of)?;
                    let change = recheck::content(&self.words, &contents);
                    changes.extend(change.map(|change| (of, change)));
                }
            }
            tries += 1;
            match ledger.replan(&changes, now) {
                // A worker claims at this moment.
                Err(LedgerError::Overtaken(_)) if tries < TRIES => {}
                other => return Ok(other?),
            }
        }
    }

    fn replan_for_consent(&mut self, now: Instant, ledger: &mut Planner) -> Result<usize, Failure> {
        let Decider {
            project,
            data,
            consent,
            ..
        } = self;
        let program = &project.program;
        if consent.is_current(program, data, now) {
            return Ok(0);
        }
        let withdrawn = if recheck::consent_tags(program).is_empty() {
            0
        } else {
            let scope = EvalScope {
                now,
                ..data.scope(program)
            };
            let planned = ledger.reader().planned_messages(PlannedFilter::All, now)?;
            let groups: Vec<&PlannedGroup> = planned.iter().map(|of| &of.group).collect();
            let rechecked = recheck::consent(&scope, &groups)?;
            let changes: Vec<_> = planned
                .iter()
                .zip(rechecked)
                .filter_map(|(of, change)| Some((of, change?)))
                .collect();
            match ledger.replan(&changes, now) {
                // A worker claims at this moment: it is asked again in the next cycle.
                Err(LedgerError::Overtaken(_)) => return Ok(0),
                other => other?,
            }
        };
        consent.asked(data, now);
        Ok(withdrawn)
    }

    fn replan_for_day(&self, now: Instant, ledger: &mut Planner) -> Result<usize, Failure> {
        let planned = ledger
            .reader()
            .planned_messages(PlannedFilter::OnAnotherDay, now)?;
        let Some(day) = planned.first().map(|of| of.group.zone.date(now)) else {
            return Ok(0);
        };
        let changes = {
            let users = self.data.snapshot.user_count();
            let view = self.past.view(ledger.reader(), None);
            let foreign = self.project.config.foreign();
            let mut slots = DayRecheck::new(self.program(), &foreign, day, users, &view);
            let of_day = planned.iter().filter(|of| of.group.zone.date(now) == day);
            of_day
                .map(|of| Ok((of, slots.check(&of.group, now)?)))
                .collect::<Result<Vec<_>, DecideError>>()?
        };
        ledger
            .replan(&changes, now.max(self.world.now()))
            .inspect_err(|e| self.overtaken.set(matches!(e, LedgerError::Overtaken(_))))?;
        Ok(changes.len())
    }

    /// Ends what is left of these lists: each of their members goes by another channel, or gets no
    /// message.
    fn replan_lists(
        &mut self,
        lists: &[PlannedMessages],
        now: Instant,
        ledger: &mut Planner,
    ) -> Result<usize, Failure> {
        let routes = self.other_routes(lists, now, ledger.reader())?;
        for (of, routes) in lists.iter().zip(routes) {
            ledger.replan_unless_claimed(of, Recheck::Reroute(routes), now)?;
        }
        Ok(lists.len())
    }

    fn other_routes(
        &self,
        lists: &[PlannedMessages],
        now: Instant,
        ledger: &LedgerReader,
    ) -> Result<Vec<Vec<(usize, NewRoute)>>, Failure> {
        let scope = EvalScope {
            now,
            ..self.data.scope(self.program())
        };
        let foreign = self.project.config.foreign();
        let view = self.past.view(ledger, None);
        let mut channels = ChannelRecheck::new(&scope, &self.words, &foreign, &view);
        let mut all = Vec::new();
        for of in lists {
            let mut routes = Vec::new();
            // What was planned of a campaign that is no more has no other channels.
            if let Some((campaign, step)) = self.step_of(&of.group) {
                let contents = ledger.planned_contents(of)?;
                let messages = of.group.users.iter().copied().zip(&contents);
                for (position, (user, content)) in messages.enumerate() {
                    let is_taken = |channel: &_, address: &str| {
                        ledger
                            .is_addressed(of, channel, address)
                            .map_err(DecideError::history)
                    };
                    let message = (user, &**content);
                    let route =
                        channels.next_route((&of.group, campaign, step), message, is_taken)?;
                    routes.extend(route.map(|route| (position, route)));
                }
            }
            all.push(routes);
        }
        Ok(all)
    }

    /// The campaign and the number of its step by the program as it is now.
    fn step_of(&self, group: &PlannedGroup) -> Option<(CampaignId, usize)> {
        let id = self.live_campaign(&group.pending.campaign)?;
        let campaign = self.program().campaign(id);
        match campaign
            .steps
            .iter()
            .position(|step| step.name == group.step)
        {
            Some(index) => Some((id, index + 1)),
            None => (group.step == group.pending.campaign).then_some((id, 0)),
        }
    }
}
