//! `run`: all that is due up to an instant is planned and sent, in the order of the clock.
//!
//! A [`Cycle`] does one turn after another, at the instants at which something is due. Nothing is
//! remembered besides the ledger: a run that is killed and started again asks that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::agenda::{self, SchedulePosition};
use super::cycle::{Cycle, CycleDriver, DispatchReport, EventBatch, Received};
use super::decider::CycleOutcome;
use super::eval_data::EvalData;
use super::planning::schedule_record;
use super::store_events::ImportedEvents;
use super::{Failure, Project, binding};
use crate::base::world::{ClockWorld, World};
use crate::base::{CampaignId, Instant, Msg};
use crate::deliver::channels::Channels;
use crate::deliver::dispatch::{DispatchLoop, DispatchProgress};

use crate::ledger::{Ledger, RunId, RunReport};
use crate::program::typed::Schedule;

/// How one campaign came out of a run.
pub struct CampaignSummary {
    pub campaign: CampaignId,
    /// What was planned in this run, an entry for each instant that was due.
    pub runs: Vec<RunReport>,
    /// Due instants whose deadline had passed.
    pub missed: Vec<Instant>,
    /// When it is due next; of a campaign that waits for events, when its next wait ends.
    pub next: Option<Instant>,
    /// Users who are in a wait after their event.
    pub waits: i64,
    /// It ended in an earlier run, and nothing is left.
    pub over: bool,
    /// Why it stopped; what was sent before is in the ledger.
    pub stopped: Option<Msg>,
}

pub struct RunSummary {
    pub campaigns: Vec<CampaignSummary>,
    /// Someone asked to stop: what was not sent stays planned.
    pub interrupted: bool,
    /// Messages sent without an answer.
    pub unknown: usize,
    /// The clock was simulated, so that accounts that are bound were not used.
    pub rehearsal: bool,
}

/// Runs the project's campaigns up to `until`; an `until` after now passes on a simulated clock.
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
    // A run on a simulated clock is a rehearsal: it sends to the sandbox.
    let channels = if rehearsal {
        Channels::sandbox(&project.outbox(store), world.clone())?
    } else {
        binding::channels(&project, store, real)?
    };
    project.config.kept_since(now)?;
    let snapshot = data.snapshot.clone();
    let (mut cycle, _) = Cycle::start(project.clone(), data, now, &mut ledger, world.clone())?;
    let mut driver = RunDriver {
        events: ImportedEvents::load(&project, &snapshot, now, until, ledger.reader())?,
        dispatcher: DispatchLoop::new(
            &mut ledger,
            channels,
            snapshot.users().clone(),
            world.clone(),
        )
        .with_decider(),
        unknown: 0,
        progress,
    };

    let mut done = CycleOutcome::default();
    let mut at = now;
    let interrupted = loop {
        let turn = cycle.turn(at, now, &mut driver)?;
        // What has been planned at this instant is sent before the clock continues.
        let planned = !turn.outcome.is_nothing();
        done.and(turn.outcome);
        if turn.interrupted || world.stopping() {
            break true;
        }
        if planned {
            continue;
        }
        match turn.next.filter(|next| *next <= until) {
            Some(next) => at = at.max(next),
            None if at < until => at = until,
            None => break false,
        }
        clock.advance_to(at);
    };
    cycle.clean_up(world.now(), driver.ledger())?;
    let (dispatcher, decider) = (&driver.dispatcher, cycle.decider());

    let mut planned: BTreeMap<CampaignId, BTreeSet<RunId>> = BTreeMap::new();
    for (campaign, run) in done.runs {
        planned.entry(campaign).or_default().insert(run);
    }
    let mut ended = Vec::new();
    for id in project.campaigns() {
        let campaign = project.program.campaign(id);
        let name = &campaign.declared.name;
        let mut runs = Vec::new();
        for run in planned.remove(&id).unwrap_or_default() {
            runs.extend(dispatcher.reader().report(run)?);
        }
        let missed: Vec<Instant> = done
            .missed
            .iter()
            .filter(|(missed, _)| *missed == id)
            .map(|(_, at)| *at)
            .collect();
        let standing = agenda::schedule_position(
            &project.program,
            campaign,
            schedule_record(dispatcher.reader(), name)?,
            until,
        );
        let (waits, wait_ends) = dispatcher.reader().waits(name)?;
        ended.push(CampaignSummary {
            campaign: id,
            over: standing == SchedulePosition::Over && runs.is_empty() && missed.is_empty(),
            next: match standing {
                // The decider knows the next time of any user.
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
            stopped: dispatcher
                .stopped()
                .get(name)
                .or_else(|| dispatcher.held(name))
                .cloned(),
        });
    }
    let rehearsal = rehearsal && !project.config.accounts.is_empty();
    Ok(RunSummary {
        campaigns: ended,
        interrupted: interrupted || world.stopping(),
        unknown: driver.unknown,
        rehearsal,
    })
}

/// Sends by itself, and takes events from what was imported into the store.
struct RunDriver<'a> {
    events: ImportedEvents,
    dispatcher: DispatchLoop<&'a mut Ledger>,
    /// Messages sent without an answer.
    unknown: usize,
    progress: &'a mut dyn DispatchProgress,
}

impl CycleDriver for RunDriver<'_> {
    fn ledger(&mut self) -> &mut Ledger {
        self.dispatcher.ledger()
    }

    /// No platform reports to a run, and the store stays as it was at the beginning.
    fn receive(&mut self) -> Result<Received, Failure> {
        Ok(Received::default())
    }

    fn dispatch(&mut self, until: Instant) -> Result<DispatchReport, Failure> {
        let sent = self.dispatcher.up_to(until, self.progress)?;
        self.unknown += sent.unknown;
        Ok(DispatchReport {
            history_changed: sent.changes_the_past(),
            below_min: self.dispatcher.lists_below_min(),
            interrupted: sent.interrupted,
            next: sent.next,
        })
    }

    fn next_events(&mut self, until: Instant) -> Option<EventBatch> {
        self.events.next_batch(until)
    }

    fn events_decided(&mut self) {}

    fn next_event_at(&self) -> Option<Instant> {
        self.events.next_at()
    }
}
