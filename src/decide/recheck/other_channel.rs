//! The next channel for messages of a list that is too short to be sent, because of opt-outs since
//! the plan.
//!
//! As for lists that are too short when they are planned (`short_lists`) it is the next one of their
//! `via` that reaches them; what it requires (addresses, windows, lengths, caps, quiet hours,
//! deadline) is checked as of now. Only channels that take single messages are considered.

use std::collections::BTreeMap;

use super::another_day::DayRecheck;
use super::planned_group::{NewRoute, PlannedGroup};
use crate::base::{CampaignId, Date, TemplateId, UserNo};
use crate::decide::DecideError;
use crate::decide::ask;
use crate::decide::content::ContentCheck;
use crate::decide::decision::Rendered;
use crate::decide::gates::HistoryAnswers;
use crate::decide::history::History;
use crate::decide::platform_caps::ForeignUse;
use crate::decide::reach::reach;
use crate::decide::windows::{OpenWindows, PlannedMessage};
use crate::decide::words::ForbiddenWords;
use crate::eval::EvalScope;
use crate::program::platform::{self, HandOver};
use crate::program::typed::{Action, Campaign, ChannelName, Send, Takes, Via};
use crate::schedule::quiet::end_of_quiet;
use crate::schedule::{SendWindow, hand_over_by};

/// Finds it; `now` of the scope is when the message would be sent.
pub struct ChannelRecheck<'a, H> {
    scope: &'a EvalScope<'a>,
    words: &'a ForbiddenWords,
    foreign: &'a ForeignUse,
    history: &'a H,
    slots: BTreeMap<Date, DayRecheck<'a, H>>,
}

impl<'a, H: History> ChannelRecheck<'a, H> {
    pub fn new(
        scope: &'a EvalScope<'a>,
        words: &'a ForbiddenWords,
        foreign: &'a ForeignUse,
        history: &'a H,
    ) -> Self {
        ChannelRecheck {
            scope,
            words,
            foreign,
            history,
            slots: BTreeMap::new(),
        }
    }

    /// Where a user of a group gets the message instead; `None` where no other channel of its `via`
    /// takes it. `id` and `step` (0 is the campaign's first message, n the nth follow-up) are
    /// those of the group; `is_taken` are addresses that the run goes to already.
    ///
    /// # Errors
    /// Those of evaluation and of the history.
    pub fn next_route(
        &mut self,
        (group, id, step): (&PlannedGroup, CampaignId, usize),
        (user, message): (UserNo, &Rendered),
        is_taken: impl Fn(&ChannelName, &str) -> Result<bool, DecideError>,
    ) -> Result<Option<NewRoute>, DecideError> {
        let (program, now) = (self.scope.program, self.scope.now);
        let campaign = program.campaign(id);
        let Some((template, via)) = self.send_of(campaign, step, group) else {
            return Ok(None);
        };
        let quiet = program.rules(campaign).quiet;
        let not_before = quiet
            .and_then(|quiet| end_of_quiet(quiet, program.policy.zone, now))
            .unwrap_or(now);
        let users = ask::only(self.scope.snapshot.user_count(), user);
        let mut history = HistoryAnswers::new(self.history);
        // By route: until when it takes the message, and what is known of whom it reaches.
        let mut routes = Vec::new();
        for route in &via.routes {
            let channel = &route.channel;
            let expires = hand_over_by(program, campaign, channel, group.due).expires;
            let usable =
                *channel != group.pending.channel && takes_one(channel) && not_before <= expires;
            let planned = PlannedMessage {
                channel,
                template: program.template(template),
                at: not_before,
            };
            let open = history.open(&planned, &users)?;
            routes.push((
                usable,
                SendWindow {
                    not_before,
                    expires,
                },
                history.barred(&channel.account, &users)?,
                open,
            ));
        }
        let usable = |route: usize| routes.get(route).is_some_and(|(usable, ..)| *usable);
        let open = |route: usize, user: UserNo, address: &str| {
            let known = |open: &Option<OpenWindows>| {
                open.as_ref().is_none_or(|open| open.users.contains(user))
            };
            routes
                .get(route)
                .is_some_and(|(_, _, barred, open)| known(open) && !barred.holds(user, address))
        };
        let Some((route, address)) = reach(self.scope, id, via, &users, usable, open)?
            .pop()
            .flatten()
        else {
            return Ok(None);
        };
        let Some((channel, (_, window, ..))) = via
            .routes
            .get(route)
            .map(|r| &r.channel)
            .zip(routes.get(route))
        else {
            return Ok(None);
        };
        if ContentCheck::new(self.words, program.template(template), channel)
            .judge(message)
            .is_some()
            || is_taken(channel, &address)?
        {
            return Ok(None);
        }
        let day = program.policy.zone.date(not_before);
        let (foreign, history) = (self.foreign, self.history);
        let slots = self
            .slots
            .entry(day)
            .or_insert_with(|| DayRecheck::new(program, foreign, day, users.len(), history));
        let no_slot = slots.without_slot(&group.pending, (channel, not_before), &[user])?;
        Ok(no_slot.is_empty().then(|| NewRoute {
            channel: channel.clone(),
            address,
            window: *window,
        }))
    }

    /// What the program sends there now, and by which channels.
    fn send_of(
        &self,
        campaign: &'a Campaign,
        step: usize,
        group: &PlannedGroup,
    ) -> Option<(TemplateId, &'a Via)> {
        let step = step.checked_sub(1).map(|n| campaign.steps.get(n));
        let actions = match step {
            None => vec![&campaign.action],
            Some(step) => step
                .into_iter()
                .flat_map(|step| [Some(&step.action), step.otherwise.as_ref()])
                .flatten()
                .collect(),
        };
        let mut sends = Vec::new();
        actions
            .into_iter()
            .for_each(|action| sends_of(action, group.arm.as_deref(), &mut sends));
        let sends = sends
            .into_iter()
            .map(|send| (send.template, send.via.as_ref().unwrap_or(&campaign.via)));
        let is_it = |(template, via): &(TemplateId, &Via)| {
            via.takes != Takes::All
                && self.scope.program.template(*template).declared.name == group.pending.template
                && via
                    .routes
                    .iter()
                    .any(|route| route.channel == group.pending.channel)
        };
        sends.into_iter().find(is_it)
    }
}

/// What an arm of an action may send; without an arm, what is outside of a split.
fn sends_of<'a>(action: &'a Action, arm: Option<&str>, out: &mut Vec<&'a Send>) {
    match action {
        Action::Send(send) => out.push(send),
        Action::Nothing => {}
        Action::Split(arms) => arms
            .iter()
            .filter(|of| Some(&*of.name) == arm)
            .for_each(|of| sends_of(&of.action, None, out)),
        Action::Choose(arms) => arms.iter().for_each(|of| sends_of(&of.action, arm, out)),
    }
}

/// Whether a channel takes a message to one user.
fn takes_one(channel: &ChannelName) -> bool {
    match platform::endpoint(&channel.platform, &channel.endpoint).map(|e| e.hand_over) {
        Some(HandOver::List { min, .. }) => min <= 1,
        Some(HandOver::Single { .. }) | None => true,
    }
}
