//! The thread that decides. It waits for commands or for the next instant at which something is
//! due, and does a turn of the engine's cycle; from time to time it takes over changed files and
//! imports.
//!
//! After a failure (a full disk, a ledger that cannot be written) it waits and tries again with a
//! cycle made anew from the ledger.

use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};
use std::time::{Duration, Instant as Moment};

use super::call_reader::CallReader;
use super::commands::{CommandQueue, CommandSender};
use super::fetch::MailNotice;
use super::intake::Intake;
use super::loaded_program::{self, LoadedProgram, ProgramChange};
use super::service_state::ServiceState;
use super::steady_clock;
use super::store_feed::StoreFeed;
use super::turn_driver::TurnDriver;
use crate::base::Msg;
use crate::engine::cycle::{Cycle, TurnReport};
use crate::engine::{Failure, Project};
use crate::msg;
use crate::store::live::LiveWriter;

/// How long it waits at most, so that it notices a request to stop, changed files and clocks.
const TICK: Duration = Duration::from_millis(250);
/// How often it looks for changed files and imports.
const LOOK: Duration = Duration::from_secs(1);
/// How long work is put off after a failure, at first and at most.
const RETRY: Duration = Duration::from_secs(1);
const MOST_RETRY: Duration = Duration::from_secs(30);
/// How often waits are counted: of two million that takes a tenth of a second.
const COUNT: Duration = Duration::from_secs(10);
/// How often runs are looked for that are old enough to be forgotten.
const CLEAN_UP: Duration = Duration::from_secs(3600);
/// How often lists and lookups are read again when the store has changed.
const READ_TABLES: Duration = Duration::from_secs(30);

pub struct Scheduler {
    service: Arc<ServiceState>,
    queue: CommandQueue,
    /// Wakes the sender; one wake-up may wait.
    wake_sender: SyncSender<()>,
    loaded: LoadedProgram,
    feed: StoreFeed,
    calls: CallReader,
    /// `None` after a failure: made anew from the ledger.
    cycle: Option<Cycle>,
    /// Where events and changes of tags come in, where they do.
    intake: Option<Arc<Intake>>,
    tables_read: Moment,
    looked: Moment,
    counted: Moment,
    cleaned_up: Option<Moment>,
}

impl Scheduler {
    /// # Errors
    /// Lists, lookups or forbidden words that cannot be read; a ledger that cannot be written.
    pub fn new(
        service: Arc<ServiceState>,
        queue: CommandQueue,
        wake_sender: SyncSender<()>,
        mail: Sender<MailNotice>,
        loaded: LoadedProgram,
        feed: StoreFeed,
    ) -> Result<Self, Failure> {
        let started = Moment::now();
        let cycle = loaded_program::start_cycle(&loaded.project, feed.snapshot(), &service)?;
        Ok(Scheduler {
            service,
            queue,
            wake_sender,
            loaded,
            feed,
            calls: CallReader::new(mail),
            cycle: Some(cycle),
            intake: None,
            tables_read: started,
            looked: started,
            counted: started,
            cleaned_up: None,
        })
    }

    /// Opens the way in for events and changes of tags.
    ///
    /// # Errors
    /// A store that another process changes.
    pub fn open_intake(&mut self, commands: CommandSender) -> Result<Arc<Intake>, Failure> {
        let program = &self.loaded.project.program;
        let intake = Arc::new(Intake::new(
            LiveWriter::open(self.feed.store(), program.schema.clone())?,
            &program.schema,
            program.policy.zone,
            self.service.world.clone(),
            commands,
        ));
        self.intake = Some(intake.clone());
        Ok(intake)
    }

    /// Works until the world asks to stop. The channel of commands is closed then, so that nobody
    /// waits for it.
    pub fn run(mut self) {
        let service = self.service.clone();
        let mut retry = RETRY;
        while !service.world.stopping() {
            match self.step() {
                Ok(idle) => {
                    retry = RETRY;
                    service.metrics.retrying.set(0);
                    self.queue.wait(idle.min(TICK));
                }
                Err(failure) => {
                    service.metrics.failures.add(1);
                    service.metrics.retrying.set(1);
                    service.journal.retrying(&failure, retry);
                    self.cycle = None;
                    self.feed.start_anew();
                    self.queue.calls = true;
                    self.rest(retry);
                    retry = (retry * 2).min(MOST_RETRY);
                }
            }
        }
    }

    /// Waits, but not through a request to stop. Commands are taken meanwhile, so that nobody waits
    /// for a scheduler that waits itself.
    fn rest(&mut self, long: Duration) {
        let until = Moment::now() + long;
        while Moment::now() < until && !self.service.world.stopping() {
            let left = until.saturating_duration_since(Moment::now());
            self.queue.wait(TICK.min(left));
        }
    }

    /// Does all that is to be done now; gives how long there is nothing to do.
    fn step(&mut self) -> Result<Duration, Failure> {
        if self.looked.elapsed() >= LOOK {
            self.look()?;
            self.looked = Moment::now();
            // Users may be known now that calls spoke of before.
            self.queue.calls = true;
        }
        if !self.clock_is_right() {
            return Ok(TICK);
        }
        let service = self.service.clone();
        let project = self.loaded.project.clone();
        let now = service.world.now();
        // After a failure it does not come back.
        let mut cycle = match self.cycle.take() {
            Some(cycle) => cycle,
            None => loaded_program::start_cycle(&project, self.feed.snapshot(), &service)?,
        };
        let mut driver = TurnDriver::new(
            &service,
            &project,
            &mut self.feed,
            &mut self.calls,
            &mut self.queue,
            now,
        );
        let turn = cycle.turn(now, now, &mut driver)?;
        drop(driver);
        self.cycle = Some(cycle);
        self.report(&turn);
        let idle = turn
            .next
            .map_or(i64::MAX, |next| next.since(service.world.now()).0.max(0));
        Ok(Duration::from_micros(u64::try_from(idle).unwrap_or(0)))
    }

    fn report(&self, turn: &TurnReport) {
        let metrics = &self.service.metrics;
        metrics.runs.add(turn.outcome.runs.len());
        metrics.missed.add(turn.outcome.missed.len());
        metrics.events_decided.add(turn.outcome.events);
        metrics.withdrawn.add(turn.withdrawn);
        if !turn.outcome.runs.is_empty() || turn.rerouted {
            self.wake_sender();
        }
    }

    /// A sender that is woken already need not be woken twice.
    fn wake_sender(&self) {
        let _ = self.wake_sender.try_send(());
    }

    /// Whether the wall clock can be believed.
    fn clock_is_right(&self) -> bool {
        let service = &self.service;
        let jumped = service.clock.jumped();
        let before = service.metrics.clock_jumped.get() == 1;
        service
            .metrics
            .clock_jumped
            .set(i64::from(jumped.is_some()));
        match jumped {
            Some(by) if !before => service.journal.info(steady_clock::jumped(by)),
            None if before => service.journal.info(steady_clock::right_again()),
            Some(_) | None => {}
        }
        jumped.is_none()
    }

    /// Takes over a changed program and imported data; counts and cleans up from time to time.
    fn look(&mut self) -> Result<(), Failure> {
        let service = self.service.clone();
        if let Some(why) = self
            .intake
            .as_ref()
            .and_then(|intake| intake.fold_failure())
        {
            service.metrics.failures.add(1);
            service.journal.retrying(&Failure::new(why), Duration::ZERO);
        }
        let word_files = self
            .cycle
            .as_ref()
            .map_or_else(Vec::new, |cycle| cycle.decider().word_files());
        let changed = self.loaded.files_changed(word_files)?;
        let imported = self.feed.refresh(&service)?;
        if changed {
            self.reload()?;
        }
        if imported && let Some(cycle) = &mut self.cycle {
            let snapshot = self.feed.snapshot();
            if self.tables_read.elapsed() >= READ_TABLES {
                let data = loaded_program::read_data(&self.loaded.project, snapshot, &service)?;
                self.tables_read = Moment::now();
                cycle.set_data(data);
            } else {
                cycle.set_snapshot(snapshot.clone());
            }
        }
        if self.counted.elapsed() >= COUNT {
            self.counted = Moment::now();
            self.clean_up()?;
            self.count()?;
        }
        Ok(())
    }

    fn clean_up(&mut self) -> Result<(), Failure> {
        if self.cleaned_up.is_some_and(|at| at.elapsed() < CLEAN_UP) {
            return Ok(());
        }
        if let Some(cycle) = &self.cycle {
            cycle.clean_up(self.service.world.now(), &mut self.service.ledger())?;
            self.cleaned_up = Some(Moment::now());
        }
        Ok(())
    }

    fn count(&self) -> Result<(), Failure> {
        let project = &self.loaded.project;
        let ledger = self.service.ledger();
        let mut waits = 0;
        for id in project.campaigns() {
            waits += ledger
                .reader()
                .waits(&project.program.campaign(id).declared.name)?
                .0;
        }
        self.service.metrics.waits.set(waits);
        self.service
            .metrics
            .unmatched_receipts
            .set(ledger.reader().strays()?);
        Ok(())
    }

    /// Takes over what the files say now, the program and its accounts together. Where they have
    /// errors, all stays as it is.
    fn reload(&mut self) -> Result<(), Failure> {
        let service = self.service.clone();
        let world = &service.world;
        let change = self
            .loaded
            .change(self.feed.snapshot(), self.cycle.as_ref(), world);
        let change = match change {
            Ok(Some(change)) => change,
            Ok(None) => return Ok(()),
            Err(why) => {
                self.refuse_reload(why);
                return Ok(());
            }
        };
        let accounts = service
            .accounts
            .get()
            .renewed(&change.accounts, &change.changed_accounts);
        let accounts = match accounts {
            Ok(accounts) => accounts,
            Err(failure) => {
                self.refuse_reload(failure.message);
                return Ok(());
            }
        };
        match loaded_program::start_cycle(&change.project, self.feed.snapshot(), &service) {
            Ok(cycle) => self.cycle = Some(cycle),
            Err(failure) => {
                // Words or lists that are not there: the program before it continues.
                service.metrics.reloads_refused.add(1);
                service.journal.retrying(&failure, Duration::ZERO);
                return Ok(());
            }
        }
        let ProgramChange {
            project,
            accounts: bound,
            changed_accounts,
            same_program,
            same_config,
            same_words,
        } = change;
        let before = self.loaded.replace(project, bound);
        if !changed_accounts.is_empty() {
            service.accounts.publish(accounts);
            self.wake_sender();
            let names = changed_accounts
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            service.journal.info(msg!(
                "took over the changed accounts: {names}",
                "已采用修改后的账号：{names}"
            ));
        }
        service.metrics.reloads.add(1);
        if same_program {
            if !same_words {
                service.journal.info(msg!(
                    "took over the changed lists of forbidden words",
                    "已采用修改后的禁用词表"
                ));
            }
            if changed_accounts.is_empty() && !same_config {
                service.journal.info(msg!(
                    "took over the changed `tagcast.toml`",
                    "已采用修改后的 tagcast.toml"
                ));
            }
            return Ok(());
        }
        let project = &self.loaded.project;
        loaded_program::withdraw_removed(&before, project, &service)?;
        if let Some(intake) = &self.intake {
            intake.declare(&project.program.schema, project.program.policy.zone);
        }
        let n = project.campaigns().len();
        let of = if n == 1 { "campaign" } else { "campaigns" };
        service.journal.info(msg!(
            "took over the changed program: {n} {of}",
            "已采用修改后的程序：{n} 个活动"
        ));
        Ok(())
    }

    fn refuse_reload(&self, why: Msg) {
        self.service.metrics.reloads_refused.add(1);
        let Msg { en, zh } = why;
        self.service.journal.info(msg!(
            "the changed program is not loaded, the one before it continues: {en}",
            "未采用修改后的程序，继续使用之前的程序：{zh}"
        ));
    }

    pub fn project(&self) -> &Project {
        &self.loaded.project
    }
}
