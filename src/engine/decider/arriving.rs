//! Events as they arrive: waits begin, and what needs no wait is decided at once.

use std::collections::{BTreeMap, BTreeSet};

use super::due_decision::{DecisionBatch, DueDecision};
use super::incoming::{IncomingEvent, trigger};
use super::{CycleOutcome, Decider, cancelled};
use crate::base::{CampaignId, Instant, StoredEvent, UserNo};
use crate::engine::Failure;
use crate::engine::triggers::{self, Arming};
use crate::ledger::{DeciderChanges, EndReason, LedgerReader, NewWait, Planner};

/// The waits that begin with the events of one transaction, as the campaigns ask for them.
#[derive(Default)]
struct NewWaits {
    /// By campaign, the events that have one.
    events: BTreeSet<(CampaignId, String)>,
    /// The end of the last one of a user.
    ends: BTreeMap<(CampaignId, UserNo), Instant>,
}

impl NewWaits {
    fn add(&mut self, id: CampaignId, wait: &NewWait) {
        self.events.insert((id, wait.event.clone()));
        let end = self.ends.entry((id, wait.user)).or_insert(wait.due);
        *end = (*end).max(wait.due);
    }
}

impl Decider {
    /// Looks at events that arrived: those that a campaign waits after get a wait, those without
    /// `wait` are decided at once. `fed` says how far the arrivals have been dealt with after this.
    /// Campaigns for which `skip` is true leave an event alone.
    ///
    /// # Errors
    /// Data that does not fit, a ledger that cannot be written.
    pub fn arrive(
        &mut self,
        arrived: &[IncomingEvent],
        fed: Vec<(String, i64)>,
        skip: &dyn Fn(CampaignId, &IncomingEvent) -> bool,
        now: Instant,
        ledger: &mut Planner,
    ) -> Result<CycleOutcome, Failure> {
        self.cancelled = cancelled(ledger.reader())?;
        // What a part of it has planned the ledger knows.
        self.unless_overtaken(ledger, |decider, ledger| {
            decider.let_arrive(arrived, fed.clone(), skip, now, ledger)
        })
    }

    fn let_arrive(
        &mut self,
        arrived: &[IncomingEvent],
        fed: Vec<(String, i64)>,
        skip: &dyn Fn(CampaignId, &IncomingEvent) -> bool,
        now: Instant,
        ledger: &mut Planner,
    ) -> Result<CycleOutcome, Failure> {
        self.refresh_own(ledger.reader())?;
        let mut batch = DecisionBatch::default();
        let mut done = CycleOutcome {
            events: arrived.len(),
            ..CycleOutcome::default()
        };
        let ready = self.arm_all(arrived, skip, &mut batch.later, ledger.reader())?;
        for (at, asked) in ready {
            self.decide(at, asked, now, &mut batch, ledger, &mut done)?;
            if batch.is_full() {
                self.plan(&mut batch, now, ledger, &mut done)?;
            }
        }
        batch.later.fed = fed;
        self.plan(&mut batch, now, ledger, &mut done)?;
        Ok(done)
    }

    /// What events mean: waits in `later`, and what is to be decided at which instant.
    fn arm_all(
        &self,
        arrived: &[IncomingEvent],
        skip: &dyn Fn(CampaignId, &IncomingEvent) -> bool,
        later: &mut DeciderChanges,
        ledger: &LedgerReader,
    ) -> Result<BTreeMap<Instant, Vec<DueDecision>>, Failure> {
        let mut triggers = self.triggers.bind(&self.data.scope(self.program()));
        let mut waits = NewWaits::default();
        let mut ready: BTreeMap<Instant, Vec<DueDecision>> = BTreeMap::new();
        for one in arrived {
            for id in triggers.triggered(one)? {
                if !skip(id, one)
                    && let Some(due) = self.arm(id, one, &mut waits, later, ledger)?
                {
                    ready.entry(one.at).or_default().push(due);
                }
            }
        }
        Ok(ready)
    }

    /// What an event means for a campaign that it triggers: a wait in `later`, something to be
    /// decided at once, or nothing.
    fn arm(
        &self,
        id: CampaignId,
        one: &IncomingEvent,
        waits: &mut NewWaits,
        later: &mut DeciderChanges,
        ledger: &LedgerReader,
    ) -> Result<Option<DueDecision>, Failure> {
        let campaign = self.program().campaign(id);
        let Some((trigger, event)) = trigger(campaign) else {
            return Ok(None);
        };
        let name = &campaign.declared.name;
        if self.cancelled.contains(name)
            || waits.events.contains(&(id, one.id.clone()))
            || ledger.knows_event(name, &one.id)?
        {
            return Ok(None);
        }
        let here = waits.ends.get(&(id, one.user)).copied();
        let stored = if trigger.wait.is_some() {
            ledger.waiting(name, one.user)?
        } else {
            None
        };
        let stored =
            stored.filter(|(number, _)| !later.waits_over.iter().any(|(over, _)| over == number));
        let pending = here.into_iter().chain(stored.map(|(_, due)| due)).max();
        let wait = |due| NewWait {
            campaign: name.clone(),
            user: one.user,
            event: one.id.clone(),
            armed: one.at,
            due,
            values: StoredEvent::new(self.program().schema.event(event), &one.values),
        };
        match triggers::arming(campaign, trigger, self.zone(), one.at, pending) {
            Arming::Starts(_) if trigger.wait.is_none() => {
                return Ok(Some(DueDecision::Event {
                    campaign: id,
                    number: None,
                    event: one.clone(),
                }));
            }
            Arming::Starts(due) => {
                let wait = wait(due);
                waits.add(id, &wait);
                later.waits.push(wait);
            }
            Arming::Restarts(due) => {
                let of_user = |w: &NewWait| w.user == one.user && w.campaign == *name;
                for gone in later.waits.extract_if(.., |w| of_user(w)) {
                    waits.events.remove(&(id, gone.event));
                }
                waits.ends.remove(&(id, one.user));
                later
                    .waits_over
                    .extend(stored.map(|(number, _)| (number, EndReason::Restarted)));
                let wait = wait(due);
                waits.add(id, &wait);
                later.waits.push(wait);
            }
            Arming::Ignored => {}
        }
        Ok(None)
    }
}
