//! What is due is decided and planned: campaigns by the calendar, waits that are over, follow-ups,
//! and events as they arrive. The clock may be the wall's or a simulated one; nothing is remembered
//! but what the ledger can tell again.
//!
//! Whatever a decision is for ends in the same transaction that plans it, so that a process killed
//! at any instant decides each thing once.

mod arriving;
mod deciding;
mod due_decision;
mod incoming;
mod replan;
mod replan_reason;
mod trigger_index;
mod user_times;

pub use incoming::{IncomingEvent, awaited};

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use self::due_decision::{DecisionBatch, DueDecision};
use self::replan_reason::ConsentCursor;
pub use self::replan_reason::ReplanReason;
use self::trigger_index::TriggerIndex;
use super::agenda::{self, SchedulePosition, ScheduleRecord};
use super::eval_data::EvalData;
use super::history_cache::HistoryCache;
use super::own_messages::asks_own;
use super::{Failure, Project, follow_ups};
use crate::base::world::World;
use crate::base::{CampaignId, EventId, Instant, Zone};
use crate::decide::ForbiddenWords;
use crate::ledger::{
    CampaignNames, DeciderChanges, Hold, HoldScope as Held, LedgerError, LedgerReader, Occasion,
    Planner, RunId, RunInfo,
};
use crate::program::typed::Program;
use crate::schedule::hand_over;
use crate::store::Snapshot;

/// Waits that are decided in one go.
const MOST_WAITS: usize = 1_000;

/// What came of a turn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CycleOutcome {
    /// Runs in which something was planned.
    pub runs: Vec<(CampaignId, RunId)>,
    /// Calendar instants for which nobody was there in time.
    pub missed: Vec<(CampaignId, Instant)>,
    /// Events that were looked at.
    pub events: usize,
    /// Waits, follow-ups and calendar instants that were dealt with.
    pub dealt: usize,
}

impl CycleOutcome {
    pub fn is_nothing(&self) -> bool {
        self.runs.is_empty() && self.missed.is_empty() && self.events == 0 && self.dealt == 0
    }

    pub fn and(&mut self, other: CycleOutcome) {
        self.runs.extend(other.runs);
        self.missed.extend(other.missed);
        self.events += other.events;
        self.dealt += other.dealt;
    }
}

pub struct Decider {
    project: Arc<Project>,
    data: EvalData,
    words: ForbiddenWords,
    /// The live campaigns, with how far each has come on the calendar.
    campaigns: BTreeMap<CampaignId, ScheduleRecord>,
    triggers: TriggerIndex,
    names: CampaignNames,
    /// Of those whose users have their own times: as the data are now, nobody's time comes before.
    nobody_until: BTreeMap<CampaignId, Instant>,
    /// Those that a person has cancelled: nothing is planned for them.
    cancelled: BTreeSet<String>,
    past: HistoryCache,
    consent: ConsentCursor,
    /// The last plan came too late: what it would have taken was claimed in the meantime.
    overtaken: Cell<bool>,
    /// Whether any condition asks about the program's own messages: then they are read before each
    /// turn.
    asks_own: bool,
    world: Arc<dyn World>,
}

/// The campaigns that a person has cancelled.
fn cancelled(ledger: &LedgerReader) -> Result<BTreeSet<String>, Failure> {
    let name = |hold: Hold| match hold.scope {
        Held::Campaign(name) if hold.cancelled => Some(name),
        _ => None,
    };
    Ok(ledger.holds()?.into_iter().filter_map(name).collect())
}

impl Decider {
    /// For campaigns that are live.
    ///
    /// # Errors
    /// A ledger or files that cannot be read.
    pub fn new(
        project: Arc<Project>,
        data: EvalData,
        campaigns: &[CampaignId],
        ledger: &LedgerReader,
        world: Arc<dyn World>,
    ) -> Result<Self, Failure> {
        let program = &project.program;
        let words = ForbiddenWords::load(program, &project.folder, world.as_ref())?;
        let mut positions = BTreeMap::new();
        for id in campaigns {
            positions.insert(
                *id,
                super::planning::schedule_record(ledger, &program.campaign(*id).declared.name)?,
            );
        }
        let names = CampaignNames::of(
            campaigns
                .iter()
                .map(|id| program.campaign(*id).declared.name.as_str()),
        );
        let triggers = TriggerIndex::new(program, campaigns)?;
        // Lowered now, so that no event waits for it.
        let scope = data.scope(program);
        campaigns.iter().for_each(|id| _ = scope.campaign(*id));
        let asks_own = asks_own(program);
        Ok(Decider {
            project,
            data,
            words,
            campaigns: positions,
            triggers,
            names,
            nobody_until: BTreeMap::new(),
            cancelled: cancelled(ledger)?,
            past: HistoryCache::default(),
            consent: ConsentCursor::default(),
            overtaken: Cell::new(false),
            asks_own,
            world,
        })
    }

    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// Evaluates on another state of the store from now on.
    pub fn set_data(&mut self, data: EvalData) {
        self.data = data;
        self.nobody_until.clear();
    }

    /// The same with another state of users, tags and events alone; lists and lookups stay.
    pub fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.data.snapshot = snapshot;
        self.nobody_until.clear();
    }

    /// Whether a program forbids the same words; not where they cannot be read.
    pub fn forbids_as(&self, project: &Project) -> bool {
        ForbiddenWords::load(&project.program, &project.folder, self.world.as_ref())
            .is_ok_and(|words| words.same_as(&self.words))
    }

    /// The files of its forbidden words; none where some are not there.
    pub fn word_files(&self) -> Vec<PathBuf> {
        ForbiddenWords::files(
            &self.project.program,
            &self.project.folder,
            self.world.as_ref(),
        )
        .unwrap_or_default()
    }

    /// Slots were given back, or users opted out: the past is read anew.
    pub fn forget(&mut self) {
        self.past.forget();
    }

    fn program(&self) -> &Program {
        &self.project.program
    }

    fn zone(&self) -> Zone {
        self.program().policy.zone
    }

    /// When something is due next, as of `now`.
    ///
    /// # Errors
    /// Those of the ledger.
    pub fn next(&self, ledger: &LedgerReader, now: Instant) -> Result<Option<Instant>, Failure> {
        let calendar = self
            .campaigns
            .keys()
            .filter_map(|id| self.next_on_calendar(*id, now))
            .min();
        Ok(ledger
            .next_later(&self.names)?
            .into_iter()
            .chain(calendar)
            .min())
    }

    /// When a campaign is due next on the calendar.
    pub fn next_on_calendar(&self, id: CampaignId, now: Instant) -> Option<Instant> {
        let campaign = self.program().campaign(id);
        if self.cancelled.contains(&campaign.declared.name) {
            return None;
        }
        match agenda::schedule_position(self.program(), campaign, *self.campaigns.get(&id)?, now) {
            SchedulePosition::Next(at) => Some(
                self.nobody_until
                    .get(&id)
                    .map_or(at, |until| at.max(*until)),
            ),
            SchedulePosition::Over | SchedulePosition::Triggered => None,
        }
    }

    /// The campaigns that wait for events, and on which kind.
    pub fn triggers(&self) -> Vec<(CampaignId, EventId)> {
        self.triggers.campaigns().collect()
    }

    /// Does a part of the work anew from what the ledger says by then, whenever a claim came before
    /// a plan that wanted its slots.
    fn unless_overtaken(
        &mut self,
        ledger: &mut Planner,
        mut work: impl FnMut(&mut Self, &mut Planner) -> Result<CycleOutcome, Failure>,
    ) -> Result<CycleOutcome, Failure> {
        loop {
            self.overtaken.set(false);
            match work(self, ledger) {
                Err(_) if self.overtaken.get() && !self.world.stopping() => {
                    self.past.forget();
                    let program = &self.project.program;
                    for (id, standing) in &mut self.campaigns {
                        *standing = super::planning::schedule_record(
                            ledger.reader(),
                            &program.campaign(*id).declared.name,
                        )?;
                    }
                }
                other => return other,
            }
        }
    }

    /// Sets the timers of follow-ups for what has been sent.
    ///
    /// # Errors
    /// A ledger that cannot be written.
    pub fn set_timers(&mut self, now: Instant, ledger: &mut Planner) -> Result<(), Failure> {
        let mut later = DeciderChanges::default();
        for segment in ledger.reader().handed_over()? {
            let Some(campaign) = self
                .live_campaign(&segment.campaign)
                .map(|id| self.program().campaign(id))
            else {
                continue;
            };
            let from = match &segment.step {
                None => Some(0),
                Some(name) => campaign
                    .steps
                    .iter()
                    .position(|s| s.name == *name)
                    .map(|i| i + 1),
            };
            let after = campaign.steps.iter().filter(|s| Some(s.from) == from);
            let timers = match segment.last {
                Some(last) => after
                    .map(|s| (s.name.clone(), follow_ups::due(s, self.zone(), last)))
                    .collect(),
                None => Vec::new(),
            };
            later.timed.push((segment, timers));
        }
        if !later.is_empty() {
            ledger.plan_later(&[], &later, now)?;
        }
        Ok(())
    }

    /// Decides and plans all that is due up to `at`, in the order of the clock. What is beyond its
    /// deadline at `now` is missed.
    ///
    /// # Errors
    /// Data that does not fit, a ledger that cannot be written.
    pub fn up_to(
        &mut self,
        at: Instant,
        now: Instant,
        ledger: &mut Planner,
    ) -> Result<CycleOutcome, Failure> {
        let mut done = CycleOutcome::default();
        self.cancelled = cancelled(ledger.reader())?;
        while !self.world.stopping() {
            let turn =
                self.unless_overtaken(ledger, |decider, ledger| decider.turn(at, now, ledger))?;
            if turn.is_nothing() {
                break;
            }
            done.and(turn);
        }
        Ok(done)
    }

    /// The next calendar instant or follow-up with the waits that end before it.
    fn turn(
        &mut self,
        at: Instant,
        now: Instant,
        ledger: &mut Planner,
    ) -> Result<CycleOutcome, Failure> {
        let again = self.replan(ReplanReason::AnotherDay, at, ledger)?;
        if again > 0 {
            return Ok(CycleOutcome {
                dealt: again,
                ..CycleOutcome::default()
            });
        }
        let mut done = CycleOutcome::default();
        self.pass_over_nobody(at, now, ledger, &mut done)?;
        let due: BTreeMap<CampaignId, Instant> = self
            .campaigns
            .keys()
            .filter_map(|id| Some((*id, self.next_on_calendar(*id, now)?)))
            .filter(|(_, due)| *due <= at)
            .collect();
        let timers = ledger.reader().timers_due(&self.names, at)?;
        let bound = due
            .values()
            .copied()
            .chain(timers.iter().map(|t| t.due))
            .min()
            .unwrap_or(at);
        let waits = ledger.reader().waits_due(&self.names, bound, MOST_WAITS)?;
        let all_waits = waits.len() < MOST_WAITS;
        if due.is_empty() && timers.is_empty() && waits.is_empty() {
            return Ok(done);
        }
        self.refresh_own(ledger.reader())?;
        let mut batch = DecisionBatch::default();
        let mut asked: BTreeMap<Instant, Vec<DueDecision>> = BTreeMap::new();
        for wait in waits {
            done.dealt += 1;
            let due = wait.wait.due;
            asked
                .entry(due)
                .or_default()
                .extend(self.wait_over(wait, &mut batch.later));
        }
        // More waits may come before the calendar's turn.
        if all_waits {
            for (id, due) in due.into_iter().filter(|(_, due)| *due == bound) {
                done.dealt += 1;
                let campaign = self.program().campaign(id);
                if hand_over(self.program(), campaign, due).missed(now) {
                    ledger.record_missed(&campaign.declared.name, due, self.world.now())?;
                    self.handled(id, due);
                    done.missed.push((id, due));
                } else {
                    asked
                        .entry(due)
                        .or_default()
                        .push(DueDecision::Scheduled(id));
                }
            }
            for timer in timers.into_iter().filter(|t| t.due == bound) {
                done.dealt += 1;
                asked.entry(bound).or_default().extend(self.follow_up(
                    timer,
                    &mut batch.later,
                    ledger.reader(),
                )?);
            }
        }
        for (at, asked) in asked {
            self.decide(at, asked, now, &mut batch, ledger, &mut done)?;
            if batch.is_full() {
                self.plan(&mut batch, now, ledger, &mut done)?;
            }
        }
        self.plan(&mut batch, now, ledger, &mut done)?;
        Ok(done)
    }

    /// The number of a campaign that is live here.
    fn live_campaign(&self, name: &str) -> Option<CampaignId> {
        self.program()
            .campaign_named(name)
            .filter(|id| self.campaigns.contains_key(id))
    }

    fn handled(&mut self, id: CampaignId, due: Instant) {
        if let Some(position) = self.campaigns.get_mut(&id) {
            position.handled = position.handled.max(Some(due));
        }
    }

    /// Makes a batch durable.
    fn plan(
        &self,
        batch: &mut DecisionBatch,
        now: Instant,
        ledger: &mut Planner,
        done: &mut CycleOutcome,
    ) -> Result<(), Failure> {
        let DecisionBatch {
            decisions, later, ..
        } = std::mem::take(batch);
        if decisions.is_empty() && later.is_empty() {
            return Ok(());
        }
        let now = now.max(self.world.now());
        let info = |occasion: &Occasion| RunInfo {
            program: &self.project.program,
            program_digest: self.project.digest(),
            snapshot_digest: self.data.snapshot.digest(),
            seed: self.project.config.seed,
            occasion: occasion.clone(),
            now,
        };
        let together: Vec<_> = decisions
            .iter()
            .map(|(decision, occasion)| (decision, info(occasion)))
            .collect();
        let runs = ledger
            .plan_later(&together, &later, now)
            .inspect_err(|e| self.overtaken.set(matches!(e, LedgerError::Overtaken(_))))?;
        self.past.committed();
        for ((decision, _), run) in decisions.iter().zip(runs) {
            if !run.before {
                done.runs.push((decision.campaign, run.run));
            }
        }
        Ok(())
    }

    fn refresh_own(&mut self, ledger: &LedgerReader) -> Result<(), Failure> {
        if self.asks_own {
            self.data.own = ledger.message_log()?;
        }
        Ok(())
    }
}
