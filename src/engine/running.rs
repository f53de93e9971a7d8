//! Plan, apply and carry out: everything that is due up to an instant, in the order of the clock.
//!
//! Due instants come one after another: what is due is decided and written to the ledger; then what
//! may be handed over is handed over, and what comes after a hand-over gets its timer. Nothing here
//! remembers anything: a run that is killed and started again asks the ledger.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use super::agenda::{self, SchedulePosition};
use super::decider::{CycleOutcome, Decider, IncomingEvent};
use super::eval_data::EvalData;
use super::planning::position;
use super::{Failure, Project, binding, store_events};
use crate::base::Msg;
use crate::base::world::{ClockWorld, World};
use crate::base::{CampaignId, Instant};
use crate::deliver::channel::Channels;
use crate::deliver::dispatch::{DispatchLoop, DispatchProgress, DispatchSummary};
use crate::ledger::{Ledger, LiveCampaign, LiveProgram, RunId, RunReport, Writer};
use crate::program::typed::{OwnDays, Schedule, UserTime};
use crate::schedule::calendar;

/// Events that are looked at in one transaction.
const MOST_EVENTS: usize = 1_000;

/// How one campaign came out of a run.
pub struct CampaignSummary {
    pub campaign: CampaignId,
    /// What was planned in this run, an entry for each instant that was due.
    pub runs: Vec<RunReport>,
    /// Due instants that nobody was there for in time.
    pub missed: Vec<Instant>,
    /// When it is due next; of a campaign that waits for events, when its next wait ends.
    pub next: Option<Instant>,
    /// Users whose event it waits after.
    pub waits: i64,
    /// It was carried out in an earlier run, and nothing is left.
    pub over: bool,
    /// Why it was not carried out, or not to the end; what was sent the ledger knows.
    pub stopped: Option<Msg>,
}

pub struct RunSummary {
    pub campaigns: Vec<CampaignSummary>,
    /// Ctrl-C came: what was not handed over stays planned.
    pub interrupted: bool,
    /// Messages handed over without an answer.
    pub unknown: usize,
    /// The clock was simulated, so that accounts that are bound were not used.
    pub rehearsal: bool,
}

/// Carries out the project's campaigns up to `until`; an `until` after now passes on a simulated
/// clock.
///
/// # Errors
/// A ledger that is in use or cannot be written, data that does not fit. A channel's failure stops
/// its campaign and is reported there.
pub fn run(
    project: Arc<Project>,
    data: EvalData,
    store: &Path,
    until: Option<Instant>,
    world: &Arc<dyn World>,
    progress: &mut dyn DispatchProgress,
) -> Result<RunSummary, Failure> {
    let now = data.now;
    let rehearsal = until.is_some() || project.now.is_some();
    let until = until.unwrap_or(now).max(now);
    let clock = Arc::new(ClockWorld::new(world.clone(), now));
    let (real, world): (_, Arc<dyn World>) = (world, clock.clone());
    let mut ledger = Ledger::open(project.config.ledger(store)?, world.clone())?;
    // What a simulated clock carries out is a rehearsal: nobody hears of it.
    let channels = if rehearsal {
        Channels::sandbox(&project.outbox(store), world.clone())?
    } else {
        binding::channels(&project, store, real)?
    };
    let campaigns = project.campaigns();
    project.config.kept_since(now)?;
    make_live(&project, &campaigns, now, None, &mut ledger)?;
    let mut imported = Imported::load(&project, &data, until, &ledger)?;
    let users = data.snapshot.users().clone();
    let mut decider = Decider::new(project.clone(), data, &campaigns, &ledger, world.clone())?;
    // What an earlier run has left.
    decider.rule_planned(now, &mut ledger)?;
    let mut carry = DispatchLoop::new(&mut ledger, channels, users, world.clone()).with_decider();

    let mut done = CycleOutcome::default();
    let mut unknown = 0;
    let mut at = now;
    let last = loop {
        decider.ask_consent(at, carry.ledger_mut())?;
        // What an earlier instant left comes first: it is handed over before anything new is
        // decided.
        let carried = hand_over(&mut carry, &mut decider, at, &mut unknown, progress)?;
        let mut turn = imported.arrive(at, &mut decider, now, carry.ledger_mut())?;
        turn.and(decider.up_to(at, now, carry.ledger_mut())?);
        let decided = !turn.is_nothing();
        done.and(turn);
        if carried.interrupted || world.stopping() {
            break carried;
        }
        if decided {
            continue;
        }
        let next = decider
            .next(carry.ledger(), now)?
            .into_iter()
            .chain(imported.next())
            .chain(carried.next)
            .min();
        match next.filter(|next| *next <= until) {
            Some(next) => at = at.max(next),
            None if at < until => at = until,
            None => break carried,
        }
        clock.advance_to(at);
    };
    carry.ledger_mut().finish(world.now())?;
    if let Some(before) = project.config.kept_since(world.now())? {
        carry.ledger_mut().forget_before(before, world.now())?;
    }

    let mut planned: BTreeMap<CampaignId, BTreeSet<RunId>> = BTreeMap::new();
    for (campaign, run) in done.runs {
        planned.entry(campaign).or_default().insert(run);
    }
    let mut ended = Vec::new();
    for id in campaigns {
        let campaign = project.program.campaign(id);
        let name = &campaign.declared.name;
        let mut runs = Vec::new();
        for run in planned.remove(&id).unwrap_or_default() {
            runs.extend(carry.ledger().report(run)?);
        }
        let missed: Vec<Instant> = done
            .missed
            .iter()
            .filter(|(missed, _)| *missed == id)
            .map(|(_, at)| *at)
            .collect();
        let standing = agenda::standing(
            &project.program,
            campaign,
            position(carry.ledger(), name)?,
            until,
        );
        let (waits, wait_ends) = carry.ledger().waits(name)?;
        ended.push(CampaignSummary {
            campaign: id,
            over: standing == SchedulePosition::Over && runs.is_empty() && missed.is_empty(),
            next: match standing {
                // The decider knows whose time comes next.
                SchedulePosition::Next(_) if matches!(campaign.schedule, Schedule::OwnTime(_)) => {
                    decider.next_on_calendar(id, now)
                }
                SchedulePosition::Next(at) => Some(at),
                SchedulePosition::Over => None,
                SchedulePosition::Triggered => wait_ends,
            },
            waits,
            runs,
            missed,
            stopped: carry
                .stopped()
                .get(name)
                .or_else(|| carry.held(name))
                .cloned(),
        });
    }
    let rehearsal = rehearsal && !project.config.accounts.is_empty();
    Ok(RunSummary {
        campaigns: ended,
        interrupted: last.interrupted || world.stopping(),
        unknown,
        rehearsal,
    })
}

/// Hands over what may be by then, and sets the timers of what comes after it.
fn hand_over(
    carry: &mut DispatchLoop<&mut Writer>,
    decider: &mut Decider,
    at: Instant,
    unknown: &mut usize,
    progress: &mut dyn DispatchProgress,
) -> Result<DispatchSummary, Failure> {
    let carried = loop {
        let carried = carry.up_to(at, progress)?;
        *unknown += carried.unknown;
        if carried.changes_the_past() {
            decider.forget();
        }
        let left = carry.left_alone();
        if left.is_empty() {
            break carried;
        }
        decider.move_on(&left, at, carry.ledger_mut())?;
    };
    decider.set_timers(at, carry.ledger_mut())?;
    Ok(carried)
}

/// Events of the store that campaigns wait for, those ahead of the clock.
struct Imported {
    ahead: VecDeque<IncomingEvent>,
    /// Of each campaign that waits for events: up to when it has seen them.
    seen: BTreeMap<CampaignId, Instant>,
}

impl Imported {
    /// A campaign sees the events since it became live, each once.
    fn load(
        project: &Project,
        data: &EvalData,
        until: Instant,
        ledger: &Ledger,
    ) -> Result<Self, Failure> {
        let program = &project.program;
        let mut seen = BTreeMap::new();
        let mut kinds = BTreeSet::new();
        for id in project.campaigns() {
            let campaign = program.campaign(id);
            let Some(event) = super::decider::awaited(campaign) else {
                continue;
            };
            let name = &campaign.declared.name;
            let before = ledger
                .live(name)?
                .since
                .map(|since| Instant(since.0.saturating_sub(1)));
            seen.insert(
                id,
                ledger
                    .fed(&store_events::source(name))?
                    .map(Instant)
                    .or(before)
                    .unwrap_or(data.now),
            );
            kinds.insert(event);
        }
        let after = seen.values().min().copied().unwrap_or(until);
        Ok(Imported {
            ahead: store_events::between(program, &data.snapshot, &kinds, after, until)?.into(),
            seen,
        })
    }

    fn next(&self) -> Option<Instant> {
        self.ahead.front().map(|a| a.at)
    }

    /// Lets the events up to an instant arrive.
    fn arrive(
        &mut self,
        at: Instant,
        decider: &mut Decider,
        now: Instant,
        ledger: &mut Writer,
    ) -> Result<CycleOutcome, Failure> {
        let mut done = CycleOutcome::default();
        while self.next().is_some_and(|next| next <= at) {
            // All of one instant go together, so that no place between them has to be kept.
            let mut some: Vec<IncomingEvent> = Vec::new();
            while let Some(next) = self.ahead.front().filter(|a| a.at <= at) {
                if some.len() >= MOST_EVENTS && some.last().is_some_and(|last| last.at < next.at) {
                    break;
                }
                some.extend(self.ahead.pop_front());
            }
            let Some(through) = some.last().map(|a| a.at) else {
                break;
            };
            let program = &decider.project().clone().program;
            let fed = self
                .seen
                .keys()
                .map(|id| {
                    (
                        store_events::source(&program.campaign(*id).declared.name),
                        through.0,
                    )
                })
                .collect();
            let skip = |id: CampaignId, one: &IncomingEvent| {
                self.seen.get(&id).is_some_and(|seen| one.at <= *seen)
            };
            done.and(decider.arrive(&some, fed, &skip, now, ledger)?);
        }
        Ok(done)
    }
}

/// Makes campaigns live: the instant of a one-off campaign is fixed the first time, and never
/// computed again.
///
/// # Errors
/// A ledger that cannot be written.
pub fn make_live(
    project: &Project,
    campaigns: &[CampaignId],
    now: Instant,
    plan: Option<&str>,
    ledger: &mut Writer,
) -> Result<crate::ledger::Applied, Failure> {
    let zone = project.program.policy.zone;
    let digest = project.digest();
    let sources: Vec<(String, String)> = project
        .sources
        .iter()
        .map(|(_, f)| (f.path.to_string_lossy().into_owned(), f.text.clone()))
        .collect();
    let live: Vec<LiveCampaign> = campaigns
        .iter()
        .map(|id| project.program.campaign(*id))
        .map(|c| LiveCampaign {
            name: &c.declared.name,
            fixed: match &c.schedule {
                Schedule::Once(once) => Some(calendar::fix_once(*once, zone, now)),
                Schedule::OwnTime(UserTime {
                    days: OwnDays::Once,
                    ..
                }) => Some(now),
                Schedule::OwnTime(_)
                | Schedule::Every(_)
                | Schedule::Dated(_)
                | Schedule::Trigger(_) => None,
            },
        })
        .collect();
    Ok(ledger.make_live(
        &LiveProgram {
            digest: &digest,
            sources: &sources,
            campaigns: &live,
            plan,
        },
        now,
    )?)
}
