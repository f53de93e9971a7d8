//! `test` blocks: users and events of the block as a store in memory, the clock from `now` to
//! `until`, everything that is due run with the same deciding as a real run, triggers and
//! follow-ups included; then the expectations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agenda::{self, ScheduleRecord};
use super::simulated_history::{SimulatedHistory, SimulatedMessage};
use super::triggers::{self, Arming};
use super::{Failure, Project, follow_ups};
use crate::base::world::World;
use crate::base::{Bitmap, CampaignId, Elapsed, Instant, UserNo, Value};
use crate::base::{Lang, Msg};
use crate::decide::decision::Decision;
use crate::decide::{DecideInput, ForbiddenWords, again_value, decide_all, meant};
use crate::diag::Span;
use crate::eval::{
    self, EvalScope, MessageLog, PreparedProgram, ReceiptStatus, StepOutcomes, Tables,
};
use crate::msg;
use crate::program::run_outcome::RunOutcome;
use crate::program::typed::{Campaign, Expect, ExpectKind, Program, Schedule, Test, Trigger};
use crate::program::typed_expr::EventSource;
use crate::schedule::{calendar, date_offset};
use crate::store::{Snapshot, SnapshotBuilder};

/// A campaign that is due more often than this within one test is a mistake in the test.
const MAX_DUES: usize = 10_000;

/// A test looks at every minute for this long where users have times of their own.
const MOST_OWN_TIMES: Elapsed = Elapsed::hours(60 * 24);

/// An expectation that does not hold.
pub struct FailedExpectation {
    pub span: Span,
    pub message: Msg,
    /// What happened instead.
    pub instead: Msg,
}

/// Runs one test; empty when all expectations hold.
///
/// # Errors
/// Data that does not fit the program, files that cannot be read.
pub fn run_test(
    project: &Project,
    test: &Test,
    default_now: Instant,
    world: &Arc<dyn World>,
) -> Result<Vec<FailedExpectation>, Failure> {
    let now = test.now.unwrap_or(default_now);
    let until = test.until.unwrap_or(now.plus(Elapsed::hours(24)));
    let snapshot = snapshot(&project.program, test, now);
    let tables = Tables::load_leniently(
        &project.program,
        &project.folder,
        world.as_ref(),
        &snapshot,
        now,
    )?;
    // Words whose files are not there block nothing in a test.
    let words =
        ForbiddenWords::load(&project.program, &project.folder, world.as_ref()).unwrap_or_default();
    let mut bench = Bench {
        project,
        program: &project.program,
        test,
        snapshot,
        prepared: project.prepared(),
        tables,
        words,
        memory: SimulatedHistory {
            sent: Vec::new(),
            zone: project.program.policy.zone,
        },
        decisions: Vec::new(),
        agenda: BTreeMap::new(),
        started: now,
        until,
        order: 0,
    };
    bench.fill_agenda();
    bench.carry_out()?;
    let mut unmet = Vec::new();
    for expect in &test.expects {
        unmet.extend(bench.judge(expect)?);
    }
    Ok(unmet)
}

/// The users and events of the block; what it does not give is missing.
fn snapshot(program: &Program, test: &Test, now: Instant) -> Snapshot {
    let mut builder = SnapshotBuilder::new();
    let users: Vec<UserNo> = test.users.iter().map(|u| builder.user(&u.name)).collect();
    for (i, tag) in program
        .schema
        .tags
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.derived)
    {
        let value = |user: &crate::program::typed::TestUser| {
            user.values
                .iter()
                .rev()
                .find(|(id, _)| id.index() == i)
                .and_then(|(_, v)| v.clone())
                .map(|v| (v, Some(now)))
        };
        builder.tag_written(tag.clone(), test.users.iter().map(value).collect());
    }
    for (i, event) in program.schema.events.iter().enumerate() {
        let rows = test.events.iter().filter(|e| e.event.index() == i);
        let rows = rows
            .filter_map(|e| Some((*users.get(e.user)?, e.at, e.values.clone())))
            .collect();
        builder.event(event.clone(), rows);
    }
    builder.build()
}

/// Something that is due.
#[derive(Clone)]
enum Due {
    Campaign(CampaignId),
    /// A trigger's wait is over.
    Wait {
        campaign: CampaignId,
        user: usize,
        event: usize,
        armed: Instant,
    },
    /// A follow-up: the step and who got the message before it.
    Step {
        campaign: CampaignId,
        step: usize,
        users: Bitmap,
        handed_over: Instant,
    },
}

struct Bench<'a> {
    project: &'a Project,
    program: &'a Program,
    test: &'a Test,
    snapshot: Snapshot,
    prepared: Arc<PreparedProgram>,
    tables: Tables,
    words: ForbiddenWords,
    memory: SimulatedHistory,
    decisions: Vec<Decision>,
    /// By instant, then in the order in which it was put in.
    agenda: BTreeMap<(Instant, u64), Due>,
    started: Instant,
    until: Instant,
    order: u64,
}

impl Bench<'_> {
    fn zone(&self) -> crate::base::Zone {
        self.program.policy.zone
    }

    fn put(&mut self, at: Instant, due: Due) {
        if at <= self.until {
            self.order += 1;
            self.agenda.insert((at, self.order), due);
        }
    }

    fn fill_agenda(&mut self) {
        let program = self.program;
        let (zone, now, until) = (self.zone(), self.started, self.until);
        for (i, campaign) in program.campaigns.iter().enumerate() {
            let id = CampaignId(i as u32);
            match &campaign.schedule {
                Schedule::Once(once) => {
                    let at = calendar::fix_once(*once, zone, now);
                    if at >= now {
                        self.put(at, Due::Campaign(id));
                    }
                }
                Schedule::Every(every) => {
                    for at in
                        calendar::dues_between(every, zone, Instant(now.0.saturating_sub(1)), until)
                            .take(MAX_DUES)
                    {
                        self.put(at, Due::Campaign(id));
                    }
                }
                Schedule::Dated(of) => {
                    let next = |handled| date_offset::next_due(of.at, zone, handled, now);
                    let days = std::iter::successors(next(None), |due| next(Some(*due)))
                        .take_while(|due| *due <= until);
                    for at in days.take(MAX_DUES) {
                        self.put(at, Due::Campaign(id));
                    }
                }
                Schedule::OwnTime(_) => self.put_next_minute(id, Instant(now.0.saturating_sub(1))),
                Schedule::Trigger(trigger) => self.arm(id, campaign, trigger),
            }
        }
    }

    /// The next occasion of a campaign whose users have times of their own.
    fn put_next_minute(&mut self, id: CampaignId, after: Instant) {
        let program = self.program;
        let live = ScheduleRecord {
            fixed: Some(self.started),
            handled: Some(after),
            live_since: Some(self.started),
        };
        let times = agenda::own_times(program, program.campaign(id), live, self.started);
        let most = self.started.plus(MOST_OWN_TIMES);
        if let Some(next) = times
            .and_then(|(times, after)| times.next(after))
            .filter(|next| *next <= most)
        {
            self.put(next, Due::Campaign(id));
        }
    }

    /// Waits of a trigger.
    fn arm(&mut self, id: CampaignId, campaign: &Campaign, trigger: &Trigger) {
        let EventSource::Declared(kind) = trigger.event.source else {
            return;
        };
        let zone = self.zone();
        let mut events: Vec<usize> = (0..self.test.events.len())
            .filter(|i| {
                self.test.events[*i].event == kind && self.test.events[*i].at >= self.started
            })
            .collect();
        events.sort_by_key(|i| self.test.events[*i].at);
        // The end of each user's last wait, and its place on the agenda.
        let mut pending: BTreeMap<usize, (Instant, u64)> = BTreeMap::new();
        for i in events {
            let event = &self.test.events[i];
            if !self.fits(id, &event.values, event.at) {
                continue;
            }
            let key = pending.get(&event.user).copied();
            let due = match triggers::arming(
                campaign,
                trigger,
                zone,
                event.at,
                key.map(|(end, _)| end),
            ) {
                Arming::Starts(due) => due,
                Arming::Restarts(due) => {
                    key.map(|key| self.agenda.remove(&key));
                    due
                }
                Arming::Ignored => continue,
            };
            self.put(
                due,
                Due::Wait {
                    campaign: id,
                    user: event.user,
                    event: i,
                    armed: event.at,
                },
            );
            pending.insert(event.user, (due, self.order));
        }
    }

    fn fits(&self, id: CampaignId, values: &[Option<Value>], now: Instant) -> bool {
        let own = MessageLog::default();
        let scope = self.scope(now, &own, None, None);
        scope.campaign(id).takes(&scope, values).unwrap_or(false)
    }

    fn scope<'s>(
        &'s self,
        now: Instant,
        own: &'s MessageLog,
        trigger: Option<&'s [Option<Value>]>,
        outcomes: Option<&'s StepOutcomes>,
    ) -> EvalScope<'s> {
        EvalScope {
            snapshot: &self.snapshot,
            program: self.program,
            prepared: &self.prepared,
            tables: &self.tables,
            own,
            now,
            trigger,
            outcomes,
        }
    }

    fn carry_out(&mut self) -> Result<(), Failure> {
        while let Some((&(at, _), _)) = self.agenda.first_key_value() {
            // Campaigns due at one instant compete for the same slots, so they are decided
            // together.
            let mut group = Vec::new();
            while let Some(entry) = self.agenda.first_entry().filter(|e| e.key().0 == at) {
                match entry.remove() {
                    Due::Campaign(id)
                        if matches!(self.program.campaign(id).schedule, Schedule::OwnTime(_)) =>
                    {
                        self.put_next_minute(id, at);
                        let own = self.memory.log(at);
                        // At most minutes no user is due.
                        if !meant(
                            &self.scope(at, &own, None, None),
                            self.program.campaign(id),
                            at,
                        )?
                        .is_empty()
                        {
                            group.push(id);
                        }
                    }
                    Due::Campaign(id) => group.push(id),
                    Due::Wait {
                        campaign,
                        user,
                        event,
                        armed,
                    } => self.wait_over(campaign, user, event, armed, at)?,
                    Due::Step {
                        campaign,
                        step,
                        users,
                        handed_over,
                    } => self.step_due(campaign, step, &users, handed_over, at)?,
                }
            }
            if !group.is_empty() {
                let own = self.memory.log(at);
                let scope = self.scope(at, &own, None, None);
                let inputs: Vec<DecideInput> = group
                    .iter()
                    .map(|id| {
                        DecideInput::scheduled(
                            *id,
                            at,
                            &scope,
                            self.project.config.seed,
                            &self.words,
                        )
                    })
                    .collect();
                let decisions = decide_all(&inputs, &self.memory)?;
                decisions.into_iter().for_each(|d| self.record(d, None));
            }
        }
        Ok(())
    }

    fn wait_over(
        &mut self,
        id: CampaignId,
        user: usize,
        event: usize,
        armed: Instant,
        at: Instant,
    ) -> Result<(), Failure> {
        let campaign = self.program.campaign(id);
        let values = &self.test.events[event].values;
        let only = Bitmap::from_users(self.snapshot.user_count(), [UserNo(user as u32)]);
        let own = self.memory.log(at);
        let (decision, again_value) = {
            let scope = self.scope(at, &own, Some(values), None);
            if triggers::came_meanwhile(&scope, id, armed, UserNo(user as u32))? {
                return Ok(());
            }
            let input =
                DecideInput::scheduled(id, at, &scope, self.project.config.seed, &self.words)
                    .for_only(0, &only);
            (
                decide_all(&[input], &self.memory)?,
                again_value(&scope, campaign),
            )
        };
        decision
            .into_iter()
            .for_each(|d| self.record(d, again_value.clone()));
        Ok(())
    }

    fn step_due(
        &mut self,
        id: CampaignId,
        step: usize,
        users: &Bitmap,
        handed_over: Instant,
        at: Instant,
    ) -> Result<(), Failure> {
        let own = self.memory.log(at);
        let from = self
            .program
            .campaign(id)
            .steps
            .get(step - 1)
            .map_or(0, |s| s.from);
        // A test has no receipts; it knows whether the goal was reached.
        let reached: Vec<_> = users
            .iter()
            .map(|user| (user, [ReceiptStatus::Unknown; 7]))
            .collect();
        let outcomes = follow_ups::outcomes(
            &self.scope(at, &own, None, None),
            id,
            from,
            handed_over,
            &reached,
        )?;
        let decision = {
            let scope = self.scope(at, &own, None, Some(&outcomes));
            let input =
                DecideInput::scheduled(id, at, &scope, self.project.config.seed, &self.words)
                    .for_only(step, users);
            decide_all(&[input], &self.memory)?
        };
        decision.into_iter().for_each(|d| self.record(d, None));
        Ok(())
    }

    /// Keeps a decision, its messages, and the timers of the follow-ups that come after it.
    fn record(&mut self, decision: Decision, again_value: Option<String>) {
        let campaign = self.program.campaign(decision.campaign);
        let step_name = decision
            .step
            .checked_sub(1)
            .and_then(|i| campaign.steps.get(i))
            .map_or("start", |s| s.name.as_str());
        let mut reached = Bitmap::none(decision.users);
        let mut last = decision.due;
        for group in &decision.messages {
            last = last.max(group.not_before);
            for user in &group.users {
                reached.insert(*user);
                self.memory.sent.push(SimulatedMessage {
                    user: *user,
                    campaign: campaign.declared.name.clone(),
                    purpose: campaign.purpose,
                    step: decision.step,
                    step_name: step_name.to_string(),
                    arm: group.arm.clone(),
                    template: self.program.template(group.template).declared.name.clone(),
                    channel: group.channel.clone(),
                    due: decision.due,
                    at: group.not_before,
                    again_value: again_value.clone(),
                });
            }
        }
        if !reached.is_empty() {
            for (i, step) in campaign
                .steps
                .iter()
                .enumerate()
                .filter(|(_, s)| s.from == decision.step)
            {
                let at = follow_ups::due(step, self.zone(), last);
                self.put(
                    at,
                    Due::Step {
                        campaign: decision.campaign,
                        step: i + 1,
                        users: reached.clone(),
                        handed_over: last,
                    },
                );
            }
        }
        self.decisions.push(decision);
    }

    fn judge(&self, expect: &Expect) -> Result<Option<FailedExpectation>, Failure> {
        let user_name = |user: usize| self.test.users.get(user).map_or("", |u| u.name.as_str());
        let campaign_name = |id: CampaignId| self.program.campaign(id).declared.name.as_str();
        let number = |user: usize| UserNo(user as u32);
        let unmet = |message: Msg, instead: Msg| {
            Ok(Some(FailedExpectation {
                span: expect.span,
                message,
                instead,
            }))
        };
        match &expect.kind {
            ExpectKind::Matches { user, campaign } => {
                let (name, campaign_shown) = (user_name(*user), campaign_name(*campaign));
                if self.audience_of(*campaign)?.0.contains(number(*user)) {
                    return Ok(None);
                }
                unmet(
                    msg!(
                        "`{name}` does not match `{campaign_shown}`",
                        "`{name}` 不匹配 `{campaign_shown}`"
                    ),
                    self.why(*user, *campaign)?,
                )
            }
            ExpectKind::Unknown {
                user,
                campaign,
                because,
            } => {
                let (name, campaign_shown) = (user_name(*user), campaign_name(*campaign));
                let (_, unknown, at) = self.audience_of(*campaign)?;
                let own = self.memory.log(at);
                let scope = self.scope(at, &own, None, None);
                let when = &scope.campaign(*campaign).when;
                let tags = when.unknown_tags(&scope, number(*user))?;
                let is_unknown = unknown.contains(number(*user));
                let message = match because.filter(|tag| !tags.contains(tag)) {
                    Some(tag) if is_unknown => {
                        let tag = &self.program.schema.tag(tag).name;
                        msg!(
                            "`{name}` is unknown in `{campaign_shown}`, but not because of `{tag}`",
                            "`{name}` 在 `{campaign_shown}` 中未知，但不是因为 `{tag}`"
                        )
                    }
                    None if is_unknown => return Ok(None),
                    Some(_) | None => msg!(
                        "`{name}` is not unknown in `{campaign_shown}`",
                        "`{name}` 在 `{campaign_shown}` 中并非未知"
                    ),
                };
                unmet(message, self.why(*user, *campaign)?)
            }
            ExpectKind::Receives {
                user,
                template,
                at,
                via,
            } => {
                let name = user_name(*user);
                let template_shown = &self.program.template(*template).declared.name;
                let fits = |s: &&SimulatedMessage| {
                    s.template == *template_shown
                        && at.is_none_or(|at| s.at == at)
                        && via.as_ref().is_none_or(|c| *c == s.channel)
                };
                if self.sent_to(*user).any(|s| fits(&s)) {
                    return Ok(None);
                }
                unmet(
                    msg!(
                        "`{name}` does not receive `{template_shown}` so",
                        "`{name}` 没有这样收到 `{template_shown}`"
                    ),
                    self.happened(*user)?,
                )
            }
            ExpectKind::Nothing { user, because } => {
                let name = user_name(*user);
                let none = self.sent_to(*user).next().is_none();
                let stopped = because.is_none_or(|wanted| {
                    let outcomes = self.decisions.iter().map(|d| d.outcome(number(*user)));
                    outcomes.flatten().any(|outcome| outcome == wanted)
                });
                if none && stopped {
                    return Ok(None);
                }
                let message = match because.map(RunOutcome::name) {
                    Some(gate) if none => msg!(
                        "`{name}` is not stopped by `{gate}`",
                        "`{name}` 不是被 `{gate}` 拦下的"
                    ),
                    _ => msg!("`{name}` receives something", "`{name}` 收到了消息"),
                };
                unmet(message, self.happened(*user)?)
            }
            ExpectKind::Reaches { campaign, n } => {
                let name = campaign_name(*campaign);
                let of = self
                    .memory
                    .sent
                    .iter()
                    .filter(|s| s.campaign == name && s.step == 0 && s.at <= self.until);
                // Several messages at one instant reach a user once.
                let reached = of.map(|s| (s.user, s.due)).collect::<BTreeSet<_>>().len();
                if reached as u64 == *n {
                    return Ok(None);
                }
                unmet(
                    msg!("`{name}` does not reach {n}", "`{name}` 没有触达 {n} 人"),
                    msg!("it reaches {reached}", "触达了 {reached} 人"),
                )
            }
        }
    }

    fn sent_to(&self, user: usize) -> impl Iterator<Item = &SimulatedMessage> {
        self.memory
            .sent
            .iter()
            .filter(move |s| s.user.index() == user && s.at <= self.until)
    }

    /// Who matched a campaign in any of its runs, for whom it was unknown, and when; as of the
    /// start where it never ran.
    fn audience_of(&self, id: CampaignId) -> Result<(Bitmap, Bitmap, Instant), Failure> {
        let runs: Vec<&Decision> = self
            .decisions
            .iter()
            .filter(|d| d.campaign == id && d.step == 0)
            .collect();
        let Some(last) = runs.last() else {
            let own = self.memory.log(self.started);
            let scope = self.scope(self.started, &own, None, None);
            let audience = scope.campaign(id).when.audience(&scope)?;
            return Ok((audience.yes, audience.known.complement(), self.started));
        };
        let none = Bitmap::none(self.snapshot.user_count());
        let matched = runs
            .iter()
            .fold(none.clone(), |all, d| all.or(&super::planning::matched(d)));
        let unknown = runs.iter().fold(none, |all, d| all.or(&d.unknown));
        Ok((matched, unknown, last.due))
    }

    /// The campaign's condition with this user's values.
    fn why(&self, user: usize, id: CampaignId) -> Result<Msg, Failure> {
        let (_, _, at) = self.audience_of(id)?;
        let own = self.memory.log(at);
        let scope = self.scope(at, &own, None, None);
        let trace = eval::explain(&scope, &self.program.campaign(id).when, UserNo(user as u32))?;
        let text = |lang| {
            trace
                .show(&self.project.sources, lang)
                .trim_end()
                .to_string()
        };
        Ok(Msg {
            en: text(Lang::En),
            zh: text(Lang::Zh),
        })
    }

    /// What a user got, and where each campaign stopped them.
    fn happened(&self, user: usize) -> Result<Msg, Failure> {
        let zone = self.zone();
        let (mut en, mut zh) = (Vec::new(), Vec::new());
        for s in self.sent_to(user) {
            let at = zone.show(s.at);
            en.push(format!(
                "receives template {} at {at} via {}",
                s.template, s.channel
            ));
            zh.push(format!("在 {at} 经 {} 收到模板 {}", s.channel, s.template));
        }
        let number = UserNo(user as u32);
        for d in &self.decisions {
            let name = &self.program.campaign(d.campaign).declared.name;
            if let Some(gate) = d.stopped_by(number) {
                en.push(format!("{name}: stopped by {gate}"));
                zh.push(format!("{name}：被 {gate} 拦下"));
            } else if let Some(outcome) = d.outcome(number) {
                let words = outcome.msg();
                en.push(format!("{name}: {}", words.en));
                zh.push(format!("{name}：{}", words.zh));
            }
        }
        if en.is_empty() {
            return Ok(msg!("no campaign was due", "没有活动到期"));
        }
        Ok(Msg {
            en: en.join("\n"),
            zh: zh.join("\n"),
        })
    }
}
