//! The next channel for those who are left alone on a list when their turn comes, because opt-outs
//! have made it too short since the plan.
//!
//! As for lists that are too short at the plan ([`super::lists`]) it is the next one of their `via`
//! that reaches them; what it asks (addresses, windows, lengths, caps, quiet hours, deadline) is
//! asked as of now. Only channels that take single messages come into question.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DecideError;
use super::ask;
use super::content::ContentCheck;
use super::decision::Rendered;
use super::gates::HistoryAnswers;
use super::history::{History, PendingMessages};
use super::platform_caps::ForeignUse;
use super::reach::reach;
use super::reschedule::Reschedule;
use super::windows::{OpenWindows, PlannedMessage};
use super::words::ForbiddenWords;
use crate::base::{CampaignId, Date, Instant, TemplateId, UserNo};
use crate::eval::EvalScope;
use crate::program::platform::{self, HandOver};
use crate::program::typed::{Action, Campaign, ChannelName, Send, Takes, Via};
use crate::schedule::quiet::end_of_quiet;
use crate::schedule::{SendWindow, hand_over_by};

/// A message as it was planned.
pub struct StrandedMessage<'a> {
    pub campaign: CampaignId,
    /// 0 is the campaign's first message, n the nth follow-up.
    pub step: usize,
    pub arm: Option<&'a str>,
    pub template: &'a str,
    pub due: Instant,
    pub standing: &'a PendingMessages,
}

/// Where a user is reached, and when.
pub type FallbackTarget = (ChannelName, Arc<str>, SendWindow);

/// Looks for it; `now` of the scope is when it is looked for.
pub struct FallbackSearch<'a, H> {
    scope: &'a EvalScope<'a>,
    words: &'a ForbiddenWords,
    foreign: &'a ForeignUse,
    history: &'a H,
    slots: BTreeMap<Date, Reschedule<'a, H>>,
}

impl<'a, H: History> FallbackSearch<'a, H> {
    pub fn new(
        scope: &'a EvalScope<'a>,
        words: &'a ForbiddenWords,
        foreign: &'a ForeignUse,
        history: &'a H,
    ) -> Self {
        FallbackSearch {
            scope,
            words,
            foreign,
            history,
            slots: BTreeMap::new(),
        }
    }

    /// Where a user gets the message instead; `None` where nothing else of its `via` takes it.
    /// `is_taken` are addresses that the run goes to already.
    ///
    /// # Errors
    /// Those of evaluation and of the history.
    pub fn place(
        &mut self,
        alone: &StrandedMessage,
        user: UserNo,
        message: &Rendered,
        is_taken: impl Fn(&ChannelName, &str) -> Result<bool, DecideError>,
    ) -> Result<Option<FallbackTarget>, DecideError> {
        let (program, now) = (self.scope.program, self.scope.now);
        let campaign = program.campaign(alone.campaign);
        let Some((template, via)) = self.send(campaign, alone) else {
            return Ok(None);
        };
        let quiet = program.rules(campaign).quiet;
        let not_before = quiet
            .and_then(|quiet| end_of_quiet(quiet, program.policy.zone, now))
            .unwrap_or(now);
        let users = ask::only(self.scope.snapshot.user_count(), user);
        let mut past = HistoryAnswers::new(self.history);
        // By route: until when it takes the message, and what is known of whom it reaches.
        let mut routes = Vec::new();
        for route in &via.routes {
            let channel = &route.channel;
            let expires = hand_over_by(program, campaign, channel, alone.due).expires;
            let usable =
                *channel != alone.standing.channel && takes_one(channel) && not_before <= expires;
            let planned = PlannedMessage {
                channel,
                template: program.template(template),
                at: not_before,
            };
            let open = past.open(&planned, &users)?;
            routes.push((
                usable,
                SendWindow {
                    not_before,
                    expires,
                },
                past.barred(&channel.account, &users)?,
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
        let Some((route, address)) = reach(self.scope, alone.campaign, via, &users, usable, open)?
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
            .or_insert_with(|| Reschedule::new(program, foreign, day, users.len(), history));
        let has_none = slots.without_slot(alone.standing, (channel, not_before), &[user])?;
        Ok(has_none
            .is_empty()
            .then(|| (channel.clone(), address, *window)))
    }

    /// What the program sends there now, and by which channels.
    fn send(
        &self,
        campaign: &'a Campaign,
        alone: &StrandedMessage,
    ) -> Option<(TemplateId, &'a Via)> {
        let step = alone.step.checked_sub(1).map(|n| campaign.steps.get(n));
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
            .for_each(|action| sends_of(action, alone.arm, &mut sends));
        let sends = sends
            .into_iter()
            .map(|send| (send.template, send.via.as_ref().unwrap_or(&campaign.via)));
        let is_it = |(template, via): &(TemplateId, &Via)| {
            via.takes != Takes::All
                && self.scope.program.template(*template).declared.name == alone.template
                && via
                    .routes
                    .iter()
                    .any(|route| route.channel == alone.standing.channel)
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
