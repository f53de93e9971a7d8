//! One turn of the engine. The order of its steps is stated here and nowhere else: `run` repeats
//! the turn on a simulated clock, `serve` on the real one.
//!
//! 1. Receive: reports of platforms are applied, the newest state of the store is taken over.
//! 2. Replan: planned messages that may not be sent any more are withdrawn or take another channel.
//! 3. Dispatch: what is due is sent. `run` sends here; `serve` sends on a thread of its own and
//!    takes in here what that has reported.
//! 4. Events: campaigns that wait for them see those that have arrived.
//! 5. Timers: follow-ups of what has been sent get their time.
//! 6. Decide: campaigns, waits and follow-ups that are due are decided and planned.
//!
//! A turn ends with the instant at which there is more to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decider::{CycleOutcome, Decider, IncomingEvent, ReplanReason};
use super::eval_data::EvalData;
use super::go_live::make_live;
use super::{Failure, Project};
use crate::base::world::World;
use crate::base::{CampaignId, Instant};
use crate::ledger::{Ledger, PlannedMessages};
use crate::store::Snapshot;

/// What differs between `run` and `serve`: where reports and events come from, and who sends.
pub trait CycleDriver {
    /// The writing side of the ledger. A driver that shares it with other threads holds it from the
    /// first call on until the turn has ended.
    fn ledger(&mut self) -> &mut Ledger;

    /// Applies the reports of platforms and reads what is new in the store.
    ///
    /// # Errors
    /// A store or a ledger that cannot be read or written.
    fn receive(&mut self) -> Result<Received, Failure>;

    /// Sends what is due by `until`, or gives what another thread has sent since it was asked last.
    /// Asked again until no list is below its minimum.
    ///
    /// # Errors
    /// Those of the ledger. A channel's failure is no error: it stops its campaign.
    fn dispatch(&mut self, until: Instant) -> Result<DispatchReport, Failure>;

    /// The next events up to `until`, oldest first; those of one source and instant come together.
    fn next_events(&mut self, until: Instant) -> Option<EventBatch>;

    /// What the last batch of events has led to is durable.
    fn events_decided(&mut self);

    /// The instant of the next event that has not been taken yet.
    fn next_event_at(&self) -> Option<Instant>;
}

/// What is new at the beginning of a turn.
#[derive(Default)]
pub struct Received {
    /// The newest state of the store, where it is another than before; it holds all events that are
    /// to be decided.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Users opted out, or slots of caps were given back.
    pub history_changed: bool,
}

/// What has been sent.
#[derive(Default)]
pub struct DispatchReport {
    /// What counts of the past is not what it was when this was planned.
    pub history_changed: bool,
    /// Lists that have fewer members than their channel takes.
    pub below_min: Vec<PlannedMessages>,
    /// Someone asked to stop; what is left stays planned.
    pub interrupted: bool,
    /// When there is more to send.
    pub next: Option<Instant>,
}

/// Events that are looked at in one transaction.
#[derive(Default)]
pub struct EventBatch {
    pub events: Vec<IncomingEvent>,
    /// By source, how far its events have been dealt with after these: a position or an instant.
    pub fed: Vec<(String, i64)>,
    /// Campaigns that have seen the events up to an instant in an earlier run.
    pub seen: BTreeMap<CampaignId, Instant>,
}

/// What came of a turn.
pub struct TurnReport {
    pub outcome: CycleOutcome,
    /// Planned messages that were withdrawn for want of consent.
    pub withdrawn: usize,
    /// Lists below their minimum were replanned: some messages may go by another channel now.
    pub rerouted: bool,
    pub interrupted: bool,
    /// When there is more to do.
    pub next: Option<Instant>,
}

/// The decider of a loaded program with the order in which it is asked.
pub struct Cycle {
    decider: Decider,
}

impl Cycle {
    /// Makes the project's campaigns live and puts what is planned already under its rules; gives
    /// how many planned messages were withdrawn by that, too.
    ///
    /// # Errors
    /// A ledger or files that cannot be read or written.
    pub fn start(
        project: Arc<Project>,
        data: EvalData,
        now: Instant,
        ledger: &mut Ledger,
        world: Arc<dyn World>,
    ) -> Result<(Self, usize), Failure> {
        let campaigns = project.campaigns();
        make_live(&project, &campaigns, now, None, &mut ledger.planner())?;
        let mut decider = Decider::new(project, data, &campaigns, ledger.reader(), world)?;
        let withdrawn = decider.replan(ReplanReason::NewProgram, now, &mut ledger.planner())?;
        Ok((Cycle { decider }, withdrawn))
    }

    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// Evaluates on another state of the store, of lists and of lookups from now on.
    pub fn set_data(&mut self, data: EvalData) {
        self.decider.set_data(data);
    }

    /// Evaluates on another state of the store from now on; lists and lookups stay.
    pub fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.decider.set_snapshot(snapshot);
    }

    /// Does all that is due by `at`. What is beyond its deadline at `now` is missed; on the real
    /// clock the two are one.
    ///
    /// # Errors
    /// Data that does not fit the program, a ledger that cannot be read or written.
    pub fn turn(
        &mut self,
        at: Instant,
        now: Instant,
        driver: &mut impl CycleDriver,
    ) -> Result<TurnReport, Failure> {
        let received = driver.receive()?;
        if let Some(snapshot) = received.snapshot {
            self.decider.set_snapshot(snapshot);
        }
        if received.history_changed {
            self.decider.forget();
        }

        let withdrawn =
            self.decider
                .replan(ReplanReason::Consent, at, &mut driver.ledger().planner())?;
        // A list that is too short is planned anew, and what takes another channel is sent in turn.
        let mut rerouted = false;
        let dispatched = loop {
            let dispatched = driver.dispatch(at)?;
            if dispatched.history_changed {
                self.decider.forget();
            }
            if dispatched.below_min.is_empty() {
                break dispatched;
            }
            rerouted = true;
            let lists = ReplanReason::BelowListMin(&dispatched.below_min);
            self.decider
                .replan(lists, at, &mut driver.ledger().planner())?;
        };

        let mut outcome = CycleOutcome::default();
        while let Some(batch) = driver.next_events(at) {
            let EventBatch { events, fed, seen } = batch;
            let skip = |campaign: CampaignId, event: &IncomingEvent| {
                seen.get(&campaign).is_some_and(|seen| event.at <= *seen)
            };
            outcome.and(self.decider.arrive(
                &events,
                fed,
                &skip,
                now,
                &mut driver.ledger().planner(),
            )?);
            driver.events_decided();
        }
        self.decider
            .set_timers(at, &mut driver.ledger().planner())?;
        outcome.and(
            self.decider
                .up_to(at, now, &mut driver.ledger().planner())?,
        );

        let next = self.decider.next(driver.ledger().reader(), now)?;
        Ok(TurnReport {
            outcome,
            withdrawn,
            rerouted,
            interrupted: dispatched.interrupted,
            next: next
                .into_iter()
                .chain(driver.next_event_at())
                .chain(dispatched.next)
                .min(),
        })
    }

    /// Ends runs of which nothing is left, and forgets those that are older than the project keeps.
    ///
    /// # Errors
    /// A ledger that cannot be written, or a time that cannot be computed.
    pub fn clean_up(&self, now: Instant, ledger: &mut Ledger) -> Result<(), Failure> {
        ledger.dispatcher().finish(now)?;
        if let Some(before) = self.decider.project().config.kept_since(now)? {
            ledger.planner().forget_before(before, now)?;
        }
        Ok(())
    }
}
