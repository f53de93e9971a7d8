//! The thread that sends what is planned, campaign by campaign, as quickly as the channels let it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Moment};

use super::accounts::Accounts;
use super::commands::{CommandSender, SchedulerCommand};
use super::service_state::ServiceState;
use crate::deliver::dispatch::{DispatchLoop, DispatchSummary};
use crate::engine::cycle::DispatchReport;
use crate::ledger::Ledger;
use crate::msg;
use crate::store::Users;

/// How long it waits at most, so that it notices a request to stop and changed accounts.
const TICK: Duration = Duration::from_millis(250);
/// How often it tries a channel again that stopped its campaigns.
const TRY_STOPPED: Duration = Duration::from_secs(60);
/// How long work is put off when the ledger cannot be written, at first and at most.
const RETRY: Duration = Duration::from_secs(1);
const MOST_RETRY: Duration = Duration::from_secs(30);

pub struct Sender {
    service: Arc<ServiceState>,
    /// To the scheduler.
    commands: CommandSender,
    /// The scheduler has planned something.
    woken: Receiver<()>,
    dispatcher: DispatchLoop<Arc<Mutex<Ledger>>>,
    accounts: Arc<Accounts>,
    users: Arc<Users>,
    /// Campaigns whose stop is in the journal.
    reported: BTreeSet<String>,
}

impl Sender {
    pub fn new(service: Arc<ServiceState>, commands: CommandSender, woken: Receiver<()>) -> Self {
        let (accounts, users) = (service.accounts.get(), service.users.get());
        let dispatcher = DispatchLoop::new(
            service.ledger.clone(),
            accounts.channels.clone(),
            Users::clone(&users),
            service.world.clone(),
        )
        .with_decider();
        Sender {
            service,
            commands,
            woken,
            dispatcher,
            accounts,
            users,
            reported: BTreeSet::new(),
        }
    }

    /// Works until the world asks to stop.
    pub fn run(mut self) {
        let service = self.service.clone();
        let (mut tried, mut retry) = (Moment::now(), RETRY);
        while !service.world.stopping() {
            self.take_over();
            if service.clock.jumped().is_some() {
                self.wait(TICK);
                continue;
            }
            if tried.elapsed() >= TRY_STOPPED {
                self.dispatcher.try_stopped();
                tried = Moment::now();
            }
            match self.dispatcher.up_to(service.world.now(), &mut ()) {
                Ok(sent) => {
                    retry = RETRY;
                    self.report(&sent);
                    let idle = sent.next.map_or(TICK, |next| {
                        Duration::from_micros(
                            u64::try_from(next.since(service.world.now()).0).unwrap_or(0),
                        )
                        .min(TICK)
                    });
                    self.wait(idle);
                }
                Err(error) => {
                    service.metrics.failures.add(1);
                    service.journal.retrying(&error.into(), retry);
                    let until = Moment::now() + retry;
                    while Moment::now() < until && !service.world.stopping() {
                        std::thread::sleep(TICK);
                    }
                    retry = (retry * 2).min(MOST_RETRY);
                }
            }
        }
    }

    /// Takes over accounts and users that are newer than those it sends with.
    fn take_over(&mut self) {
        let users = self.service.users.get();
        if !Arc::ptr_eq(&users, &self.users) {
            self.dispatcher.set_users(Users::clone(&users));
            self.users = users;
        }
        let accounts = self.service.accounts.get();
        if accounts.version != self.accounts.version {
            self.dispatcher.set_channels(
                accounts.channels.clone(),
                &accounts.changed_since(self.accounts.version),
            );
            self.reported.clear();
            self.accounts = accounts;
        }
    }

    /// Waits until the scheduler has planned something, at most so long.
    fn wait(&self, most: Duration) {
        match self.woken.recv_timeout(most) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(most),
        }
    }

    fn report(&mut self, sent: &DispatchSummary) {
        let metrics = &self.service.metrics;
        metrics.accepted.add(sent.accepted);
        metrics.refused.add(sent.refused);
        metrics.unknown.add(sent.unknown);
        metrics
            .expired
            .add(usize::try_from(sent.expired).unwrap_or(0));
        let report = DispatchReport {
            history_changed: sent.changes_the_past(),
            below_min: self.dispatcher.lists_below_min(),
            ..DispatchReport::default()
        };
        // The scheduler sets the timers of follow-ups for what has been sent.
        let handled = sent.accepted + sent.refused + sent.unknown > 0 || sent.expired > 0;
        if handled || report.history_changed || !report.below_min.is_empty() {
            self.commands.send(SchedulerCommand::Dispatched(report));
        }
        let stopped = self.dispatcher.stopped();
        metrics
            .campaigns_stopped
            .set(i64::try_from(stopped.len()).unwrap_or(i64::MAX));
        for (campaign, why) in stopped {
            if self.reported.insert(campaign.clone()) {
                let (en, zh) = (&why.en, &why.zh);
                self.service.journal.info(msg!(
                    "`{campaign}` is stopped: {en}",
                    "`{campaign}` 已停止：{zh}"
                ));
            }
        }
        self.reported
            .retain(|campaign| stopped.contains_key(campaign));
    }
}
