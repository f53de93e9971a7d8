//! One run on its way: everything up to the last slots.

use std::sync::Arc;

use rayon::prelude::*;

use super::assignments::{Assignment, Assignments, Leaf};
use super::content::{ContentCheck, Problem};
use super::decision::{Decision, Gate};
use super::gates::{self, Gates, HistoryAnswers};
use super::history::{BlockedAddresses, History, Unclaimed};
use super::lottery::Lottery;
use super::population::{Population, who};
use super::reach::{duplicates, reach};
use super::render::{self, Texts};
use super::windows::{OpenWindows, PlannedMessage, WindowQuota};
use super::{DecideError, DecideInput, ask};
use crate::base::{Bitmap, TemplateId, UserNo};
use crate::eval::EvalError;
use crate::program::platform::{self, HandOver};
use crate::program::typed::{Campaign, ChannelName, Takes};
use crate::schedule::{SendWindow, hand_over_by};

/// A user whom a channel reaches, on the way to a message.
pub struct Candidate {
    pub user: UserNo,
    pub priority: i32,
    /// Position in [`RunState::ways`].
    pub way: usize,
    /// Position in [`RunState::outlets`].
    pub outlet: usize,
    pub address: Arc<str>,
    /// 0, or of a user who gets a message on each channel of the `via` which of them, counted from
    /// 1.
    pub leg: u16,
    /// Position in [`RunState::written`].
    pub written: usize,
    /// Position among those texts; `None` when a hole has no value.
    pub text: Option<u32>,
    pub problem: Option<Problem>,
    /// No slot is left; with the campaign that has the last one.
    pub capped: Option<Option<Arc<str>>>,
}

/// A channel that the run can take.
pub struct ChannelSlot<'a> {
    pub channel: &'a ChannelName,
    pub window: SendWindow,
    /// The fewest users that the platform takes in one list.
    pub list_min: u32,
    /// Whom its account does not reach any more.
    barred: Arc<BlockedAddresses>,
    /// For whom it is open, by template; `None`: nothing is known, or it always is.
    open: Vec<(TemplateId, Option<OpenWindows>)>,
}

impl ChannelSlot<'_> {
    /// Whether it reaches the user at this address with a message of a template, as far as the past
    /// says.
    fn is_open(&self, template: TemplateId, user: UserNo, address: &str) -> bool {
        self.open(template)
            .is_none_or(|open| open.users.contains(user))
            && !self.barred.holds(user, address)
    }

    fn open(&self, template: TemplateId) -> Option<&OpenWindows> {
        self.open
            .iter()
            .find(|(of, _)| *of == template)
            .and_then(|(_, open)| open.as_ref())
    }

    /// What is left to a user of a template's messages, where that is known and limited.
    fn left(&self, template: TemplateId, user: UserNo) -> Option<WindowQuota> {
        self.open(template).and_then(|open| open.left(user))
    }
}

/// A user's window on a channel; of one that is open by template, with its name.
pub type WindowKey<'a> = (UserNo, &'a ChannelName, Option<&'a str>);

/// The messages of one template.
pub struct WrittenTemplate {
    pub template: TemplateId,
    pub texts: Texts,
    /// In whose messages a default stands for a missing value.
    pub with_defaults: Bitmap,
}

pub struct RunState<'a> {
    pub input: DecideInput<'a>,
    pub campaign: &'a Campaign,
    pub ways: Vec<Assignment<'a>>,
    pub outlets: Vec<ChannelSlot<'a>>,
    pub written: Vec<WrittenTemplate>,
    pub candidates: Vec<Candidate>,
    /// What the gates before the candidates stopped; no messages yet.
    pub decision: Decision,
}

impl<'a> RunState<'a> {
    pub fn new<H: History>(
        input: &DecideInput<'a>,
        past: &mut HistoryAnswers<H>,
    ) -> Result<Self, DecideError> {
        let scope = input.scope;
        let campaign = scope.program.campaign(input.campaign);
        let step = input
            .step
            .checked_sub(1)
            .and_then(|i| campaign.steps.get(i));
        let users = scope.snapshot.user_count();

        let Population {
            matched,
            otherwise,
            not_matched,
            unknown,
            unknown_because,
            below_top,
            not_sampled,
        } = who(input, campaign, step)?;
        let mut gates = Gates::new(matched.or(&otherwise));
        let held = match scope.program.rules(campaign).holdout {
            Some(holdout) => Lottery::holdout(input.seed, campaign, &holdout).drawn(
                scope.snapshot,
                &gates.open,
                holdout.share,
            ),
            None => Bitmap::none(users),
        };
        let mut ways = Assignments::default();
        ways.lead(
            input,
            campaign,
            step.map_or(&campaign.action, |s| &s.action),
            matched,
        )?;
        if let Some(action) = step.and_then(|s| s.otherwise.as_ref()) {
            ways.lead(input, campaign, action, otherwise)?;
        }
        let mut draft = RunState {
            input: *input,
            campaign,
            outlets: Vec::new(),
            written: Vec::new(),
            candidates: Vec::new(),
            decision: Decision {
                campaign: input.campaign,
                step: input.step,
                due: input.due,
                users,
                not_matched,
                unknown,
                unknown_because,
                below_top,
                not_sampled,
                stopped: Vec::new(),
                arms: arms(&ways.all, &held),
                choose_unknown: ways.choose_unknown,
                messages: Vec::new(),
                takes: Vec::new(),
            },
            ways: ways.all,
        };

        gates.stop(Gate::OptedOut, past.opted_out(users)?);
        gates::consent(input, campaign, step, &draft.ways, &mut gates)?;
        gates::exclusions(input, &mut gates)?;
        let unreachable = draft.find_channels(&gates.open, past)?;
        gates.stop(Gate::DuplicateAddress, &draft.drop_duplicates());
        if step.is_none() {
            gates.stop(Gate::Again, &past.spared(input, campaign)?);
        }
        gates.stop(Gate::Holdout, &held);
        for way in &draft.ways {
            match way.leaf {
                Leaf::Control => gates.stop(Gate::Control, &way.users),
                Leaf::Nothing => gates.stop(Gate::Nothing, &way.users),
                Leaf::Send { .. } => {}
            }
        }
        gates.stop(Gate::Unreachable, &unreachable);
        draft.candidates.retain(|c| gates.open.contains(c.user));
        draft.decision.stopped = gates.stopped;

        draft.set_priorities(&gates.open)?;
        draft.write()?;
        draft.judge();
        Ok(draft)
    }

    /// Makes candidates of those of the open users whom a channel reaches, and gives the others.
    fn find_channels<H: History>(
        &mut self,
        open: &Bitmap,
        past: &mut HistoryAnswers<H>,
    ) -> Result<Bitmap, DecideError> {
        let mut unreachable = Bitmap::none(open.len());
        for number in 0..self.ways.len() {
            let Some(Assignment {
                leaf: Leaf::Send { template, via },
                users,
                ..
            }) = self.ways.get(number)
            else {
                continue;
            };
            let (template, via, users) = (*template, *via, users.and(open));
            let written = self.template(template);
            let mut outlets = Vec::new();
            for route in &via.routes {
                outlets.push(self.outlet(&route.channel, template, open, past)?);
            }
            // Which routes a message may take, one entry for each message of a user.
            let legs: Vec<Option<usize>> = match via.takes {
                Takes::First | Takes::Heaviest => vec![None],
                Takes::All => (0..outlets.len()).map(Some).collect(),
            };
            let mut reached = Bitmap::none(open.len());
            for only in legs {
                let usable = |route: usize| only.is_none_or(|only| route == only);
                let places = reach(
                    self.input.scope,
                    self.input.campaign,
                    via,
                    &users,
                    usable,
                    self.is_open(&outlets, template),
                )?;
                // A program has far fewer routes.
                let leg = only.map_or(0, |route| u16::try_from(route + 1).unwrap_or(u16::MAX));
                for (user, place) in users.iter().zip(places) {
                    let Some((outlet, address)) =
                        place.and_then(|(route, address)| Some((*outlets.get(route)?, address)))
                    else {
                        continue;
                    };
                    reached.insert(user);
                    let (way, text, problem, capped) = (number, None, None, None);
                    self.candidates.push(Candidate {
                        user,
                        priority: 0,
                        way,
                        outlet,
                        address,
                        leg,
                        written,
                        text,
                        problem,
                        capped,
                    });
                }
            }
            unreachable = unreachable.or(&users.minus(&reached));
        }
        Ok(unreachable)
    }

    /// Takes away the candidates whose address another user has on the same channel; gives those
    /// users who are left with none.
    fn drop_duplicates(&mut self) -> Bitmap {
        let mut dropped = Bitmap::none(self.decision.users);
        let places = duplicates(
            self.candidates
                .iter()
                .map(|c| (c.user, c.outlet, &*c.address)),
        );
        if places.is_empty() {
            return dropped;
        }
        let mut place = 0..;
        self.candidates.retain(|c| {
            let stays = place
                .next()
                .is_some_and(|place: usize| places.binary_search(&place).is_err());
            if !stays {
                dropped.insert(c.user);
            }
            stays
        });
        self.candidates.iter().for_each(|c| dropped.remove(c.user));
        dropped
    }

    /// The position of a template among `written`, a new one at first sight.
    fn template(&mut self, template: TemplateId) -> usize {
        self.written
            .iter()
            .position(|w| w.template == template)
            .unwrap_or_else(|| {
                let texts = Texts {
                    all: Vec::new(),
                    of: Vec::new(),
                };
                self.written.push(WrittenTemplate {
                    template,
                    texts,
                    with_defaults: Bitmap::default(),
                });
                self.written.len() - 1
            })
    }

    /// Whether one of these outlets, that of a route, reaches a user at an address with a message
    /// of a template.
    pub fn is_open(
        &self,
        outlets: &[usize],
        template: TemplateId,
    ) -> impl Fn(usize, UserNo, &str) -> bool {
        move |route, user, address| {
            outlets
                .get(route)
                .and_then(|outlet| self.outlets.get(*outlet))
                .is_some_and(|outlet| outlet.is_open(template, user, address))
        }
    }

    /// Whether it has channels that are open for some users for so many messages.
    pub fn has_windows(&self) -> bool {
        self.opens().any(OpenWindows::is_limited)
    }

    /// Whether some of its messages can only go where others give way.
    pub fn wants_room(&self) -> bool {
        self.opens().any(OpenWindows::wants_room)
    }

    fn opens(&self) -> impl Iterator<Item = &OpenWindows> {
        self.outlets
            .iter()
            .flat_map(|outlet| &outlet.open)
            .filter_map(|(_, open)| open.as_ref())
    }

    /// The window that a candidate's message goes through, and what was left of it before this
    /// instant; `None` where there is no limit.
    pub fn window(&self, candidate: &Candidate) -> Option<(WindowKey<'a>, WindowQuota)> {
        let (outlet, written) = (
            self.outlets.get(candidate.outlet)?,
            self.written.get(candidate.written)?,
        );
        let left = outlet.left(written.template, candidate.user)?;
        let planned = self.planned(outlet, written.template);
        let of_template = planned
            .is_by_template()
            .then_some(&*planned.template.declared.name);
        Some(((candidate.user, outlet.channel, of_template), left))
    }

    /// What a candidate's message is on its channel.
    pub fn planned_of(&self, candidate: &Candidate) -> Option<PlannedMessage<'a>> {
        Some(self.planned(
            self.outlets.get(candidate.outlet)?,
            self.written.get(candidate.written)?.template,
        ))
    }

    fn planned(&self, outlet: &ChannelSlot<'a>, template: TemplateId) -> PlannedMessage<'a> {
        PlannedMessage {
            channel: outlet.channel,
            template: self.input.scope.program.template(template),
            at: outlet.window.not_before,
        }
    }

    /// The position of a channel among `outlets`.
    pub fn outlet_of(&self, channel: &ChannelName) -> Option<usize> {
        self.outlets
            .iter()
            .position(|outlet| outlet.channel == channel)
    }

    /// The same, a new one at first sight, with what is to be known before a template goes by it.
    fn outlet<H: History>(
        &mut self,
        channel: &'a ChannelName,
        template: TemplateId,
        users: &Bitmap,
        past: &mut HistoryAnswers<H>,
    ) -> Result<usize, DecideError> {
        let program = self.input.scope.program;
        let number = match self.outlet_of(channel) {
            Some(known) => known,
            None => {
                let list_min = match platform::endpoint(&channel.platform, &channel.endpoint)
                    .map(|e| e.hand_over)
                {
                    Some(HandOver::List { min, .. }) if self.input.bound => min,
                    Some(HandOver::List { .. } | HandOver::Single { .. }) | None => 0,
                };
                let window = hand_over_by(program, self.campaign, channel, self.input.due);
                let barred = past.barred(&channel.account, users)?;
                self.outlets.push(ChannelSlot {
                    channel,
                    window,
                    list_min,
                    barred,
                    open: Vec::new(),
                });
                self.outlets.len() - 1
            }
        };
        if let Some(outlet) = self
            .outlets
            .get(number)
            .filter(|outlet| outlet.open.iter().all(|(known, _)| *known != template))
        {
            let planned = self.planned(outlet, template);
            let mut open = past.open(&planned, users)?;
            if let Some(open) = &mut open {
                self.let_through(open, &planned, users, past)?;
            }
            if let Some(outlet) = self.outlets.get_mut(number) {
                outlet.open.push((template, open));
            }
        }
        Ok(number)
    }

    /// Opens a channel for those for whom it is used up by what is less important and still waits
    /// to be sent.
    fn let_through<H: History>(
        &self,
        open: &mut OpenWindows,
        planned: &PlannedMessage,
        users: &Bitmap,
        past: &mut HistoryAnswers<H>,
    ) -> Result<(), DecideError> {
        let used_up = open.used_up(users);
        if used_up.is_empty() {
            return Ok(());
        }
        let priorities = self.priorities(&used_up)?;
        let highest = priorities.iter().copied().max().unwrap_or(0);
        let waiting = past.unclaimed(&used_up, i64::from(highest), self.input.due)?;
        for (user, priority) in used_up.iter().zip(priorities) {
            let gives_way = |left: WindowQuota, one: &Unclaimed| {
                one.standing.priority < i64::from(priority) && planned.shares(left, &one.standing)
            };
            if let (Some(left), Some(waiting)) = (open.left(user), waiting.get(&user))
                && waiting.iter().any(|one| gives_way(left, one))
            {
                open.users.insert(user);
            }
        }
        Ok(())
    }

    /// The priority of each of the users' messages, in their order.
    fn priorities(&self, users: &Bitmap) -> Result<Vec<i32>, EvalError> {
        let prepared = self.input.scope.campaign(self.input.campaign);
        let Some(priority) = &prepared.priority else {
            return Ok(vec![0; users.count()]);
        };
        // Beyond the range of i32 the nearest of its ends.
        Ok(ask::numbers(self.input.scope, priority, users)?
            .into_iter()
            .map(|number| number.round() as i32)
            .collect())
    }

    fn set_priorities(&mut self, users: &Bitmap) -> Result<(), EvalError> {
        if self.campaign.priority.value.is_none() {
            return Ok(());
        }
        let mut by_user = vec![0; self.decision.users];
        for (user, priority) in users.iter().zip(self.priorities(users)?) {
            if let Some(slot) = by_user.get_mut(user.index()) {
                *slot = priority;
            }
        }
        for candidate in &mut self.candidates {
            candidate.priority = by_user.get(candidate.user.index()).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// Fills the templates for all candidates.
    fn write(&mut self) -> Result<(), EvalError> {
        let scope = self.input.scope;
        // A user has one way, and so one template.
        let mut by_user: Vec<Option<u32>> = vec![None; self.decision.users];
        for (number, written) in self.written.iter_mut().enumerate() {
            let of_this = self
                .candidates
                .iter()
                .filter(|c| c.written == number)
                .map(|c| c.user);
            let readers = Bitmap::from_users(self.decision.users, of_this);
            written.texts = render::render(scope, written.template, &readers)?;
            written.with_defaults = render::with_defaults(scope, written.template, &readers)?;
            for (user, text) in readers.iter().zip(&written.texts.of) {
                if let Some(slot) = by_user.get_mut(user.index()) {
                    *slot = *text;
                }
            }
        }
        for candidate in &mut self.candidates {
            candidate.text = by_user.get(candidate.user.index()).copied().flatten();
        }
        Ok(())
    }

    /// Says of each candidate what is wrong with its message. A text is looked at once for each
    /// channel that it goes by.
    fn judge(&mut self) {
        for outlet in 0..self.outlets.len() {
            for number in 0..self.written.len() {
                let (Some(judge), Some(written)) =
                    (self.judge_of(number, outlet), self.written.get(number))
                else {
                    continue;
                };
                let mut used = vec![false; written.texts.all.len()];
                for c in self
                    .candidates
                    .iter()
                    .filter(|c| (c.outlet, c.written) == (outlet, number))
                {
                    if let Some(used) = c.text.and_then(|text| used.get_mut(text as usize)) {
                        *used = true;
                    }
                }
                let texts = written.texts.all.par_iter().zip(used);
                let problems: Vec<Option<Problem>> = texts
                    .map(|(text, used)| if used { judge.judge(text) } else { None })
                    .collect();
                for c in self
                    .candidates
                    .iter_mut()
                    .filter(|c| (c.outlet, c.written) == (outlet, number))
                {
                    c.problem = match c.text {
                        None => Some(Problem::MissingContent),
                        Some(text) => problems.get(text as usize).copied().flatten(),
                    };
                }
            }
        }
    }

    /// Who judges the messages of a template on a channel.
    pub fn judge_of(&self, written: usize, outlet: usize) -> Option<ContentCheck<'a>> {
        let template = self
            .input
            .scope
            .program
            .template(self.written.get(written)?.template);
        Some(ContentCheck::new(
            self.input.words,
            template,
            self.outlets.get(outlet)?.channel,
        ))
    }
}

/// Who is in which arm, whatever the gates do. The held out are in none.
fn arms(ways: &[Assignment], held: &Bitmap) -> Vec<(String, Bitmap)> {
    let mut out: Vec<(String, Bitmap)> = Vec::new();
    for way in ways {
        let Some(arm) = way.arm else { continue };
        let users = way.users.minus(held);
        match out.iter_mut().find(|(name, _)| name == arm) {
            Some((_, all)) => *all = all.or(&users),
            None => out.push((arm.to_string(), users)),
        }
    }
    out
}
