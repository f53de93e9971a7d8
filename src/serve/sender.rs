//! The thread that hands over what the ledger holds, campaign by campaign, as quickly as the
//! channels let it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Moment};

use super::scheduler::Scheduler;
use super::{ServiceState, held};
use crate::deliver::dispatch::{DispatchLoop, DispatchSummary};
use crate::engine::Failure;
use crate::ledger::Writer;
use crate::msg;

/// How long it waits at most, so that it notices a wish to stop.
const TICK: Duration = Duration::from_millis(250);
/// How often it tries a channel again that stopped its campaigns.
const TRY_STOPPED: Duration = Duration::from_secs(60);
/// How long work is put off when the ledger cannot be written, at first and at most.
const TROUBLE: Duration = Duration::from_secs(1);
const MOST_TROUBLE: Duration = Duration::from_secs(30);

pub struct Sender {
    office: Arc<ServiceState>,
    carry: DispatchLoop<Arc<Mutex<Writer>>>,
}

impl Sender {
    /// # Errors
    /// Channels that cannot be set up.
    pub fn new(office: Arc<ServiceState>, scheduler: &Scheduler) -> Result<Self, Failure> {
        let channels = scheduler.bound().channels().clone();
        let carry = DispatchLoop::new(
            office.ledger.clone(),
            channels,
            scheduler.users(),
            office.world.clone(),
        )
        .with_decider();
        Ok(Sender { office, carry })
    }

    /// Works until the world asks to stop.
    pub fn run(mut self) {
        let office = self.office.clone();
        let (mut tried, mut trouble) = (Moment::now(), TROUBLE);
        let mut told: BTreeSet<String> = BTreeSet::new();
        while !office.world.stopping() {
            if let Some(users) = held(&office.new_users).take() {
                self.carry.set_users(users);
            }
            if let Some((channels, changed)) = held(&office.new_channels).take() {
                self.carry.set_channels(channels, &changed);
                told.clear();
            }
            if office.clock.jumped().is_some() {
                office.hand_over.wait(TICK);
                continue;
            }
            if tried.elapsed() >= TRY_STOPPED {
                self.carry.try_stopped();
                tried = Moment::now();
            }
            let now = office.world.now();
            match self.carry.up_to(now, &mut ()) {
                Ok(carried) => {
                    trouble = TROUBLE;
                    self.account(&carried, &mut told);
                    let left = self.carry.left_alone();
                    if !left.is_empty() {
                        held(&office.left_alone).extend(left);
                        office.decide.ring();
                    }
                    let rest = carried.next.map_or(TICK, |next| {
                        Duration::from_micros(
                            u64::try_from(next.since(office.world.now()).0).unwrap_or(0),
                        )
                        .min(TICK)
                    });
                    office.hand_over.wait(rest);
                }
                Err(error) => {
                    office.metrics.troubles.add(1);
                    office.journal.trouble(&error.into(), trouble);
                    let until = Moment::now() + trouble;
                    while Moment::now() < until && !office.world.stopping() {
                        std::thread::sleep(TICK);
                    }
                    trouble = (trouble * 2).min(MOST_TROUBLE);
                }
            }
        }
    }

    fn account(&self, carried: &DispatchSummary, told: &mut BTreeSet<String>) {
        let office = &self.office;
        let metrics = &office.metrics;
        metrics.accepted.add(carried.accepted);
        metrics.refused.add(carried.refused);
        metrics.unknown.add(carried.unknown);
        metrics
            .expired
            .add(usize::try_from(carried.expired).unwrap_or(0));
        if carried.changes_the_past() {
            office.forget_past();
        }
        if carried.accepted + carried.refused + carried.unknown > 0 || carried.expired > 0 {
            // Follow-ups come after hand-overs: their timers are the scheduler's.
            office.decide.ring();
        }
        let stopped = self.carry.stopped();
        metrics
            .campaigns_stopped
            .set(i64::try_from(stopped.len()).unwrap_or(i64::MAX));
        for (campaign, why) in stopped {
            if told.insert(campaign.clone()) {
                let (en, zh) = (&why.en, &why.zh);
                office.journal.say(msg!(
                    "`{campaign}` is stopped: {en}",
                    "`{campaign}` 已停止：{zh}"
                ));
            }
        }
        told.retain(|campaign| stopped.contains_key(campaign));
    }
}
