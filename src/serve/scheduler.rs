//! The thread that decides. It waits for the next due instant or for the bell, lets events arrive,
//! plans what follows, and takes over changed programs and imported data.
//!
//! A trouble (disk full, a ledger that cannot be written) puts the work off and is told to the
//! journal; all that the scheduler remembers is made anew from the ledger when it goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as Moment};

use super::intake::Intake;
use super::steady_clock;
use super::watch::FileWatch;
use super::{AllCallbacks, ServiceState, held};
use crate::base::value::count_of;
use crate::base::{Lang, Msg};
use crate::base::{Type, UserNo};
use crate::deliver::callback::{self, CallbackEvent, CallbackKind, CallbackSubject, Incoming};
use crate::deliver::channels;
use crate::diag::Level;
use crate::engine::binding::AccountBindings;
use crate::engine::decider::{CycleOutcome, Decider, IncomingEvent};
use crate::engine::eval_data::EvalData;
use crate::engine::go_live::make_live;
use crate::engine::{Failure, Project, ProjectOptions, store_events};
use crate::eval::{MessageLog, Tables};
use crate::ledger::{NewCall, Receipt, ReceiptContent};
use crate::msg;
use crate::store::live::LiveWriter;
use crate::store::{Snapshot, Store, TextIndex, Users};

/// How long it waits at most, so that it notices a wish to stop, changed files and changed clocks.
const TICK: Duration = Duration::from_millis(250);
/// How often it looks for changed files and imports.
const LOOK: Duration = Duration::from_secs(1);
/// How long work is put off after a trouble, at first and at most.
const TROUBLE: Duration = Duration::from_secs(1);
const MOST_TROUBLE: Duration = Duration::from_secs(30);

/// Events that arrive in one go.
const MOST_EVENTS: usize = 1_000;
/// How often waits are counted: of two million that takes a tenth of a second.
const COUNT: Duration = Duration::from_secs(10);
/// How often runs are looked for that are old enough to be forgotten.
const FORGET: Duration = Duration::from_secs(3600);
/// How often lists and lookups are read again when the store has changed.
const READ_TABLES: Duration = Duration::from_secs(30);
/// The name of the log of live changes in the ledger.
const LIVE: &str = "live";
/// Callbacks that are applied before the ledger is asked for more.
const MOST_CALLS: usize = 200;

pub struct Scheduler {
    office: Arc<ServiceState>,
    /// A folder or a file.
    program: PathBuf,
    store: Store,
    project: Arc<Project>,
    snapshot: Arc<Snapshot>,
    /// `None` after a trouble: made anew from the ledger.
    decider: Option<Decider>,
    /// How far the ledger has the log of live changes; `None` until it is asked.
    fed: Option<u64>,
    /// The accounts that messages leave by, and that call back.
    bound: AccountBindings,
    /// Whom an account's platform knows by which name, by tag and platform.
    addresses: RefCell<BTreeMap<(String, String), TextIndex>>,
    /// Where events come in, if they do.
    intake: Option<Arc<Intake>>,
    /// When lists and tables were read.
    tables_read: Moment,
    watch: FileWatch,
    looked: Moment,
    /// When waits and strays were counted.
    counted: Moment,
    /// When it was looked whether runs are to be forgotten.
    forgot: Option<Moment>,
}

impl Scheduler {
    /// # Errors
    /// A program with errors, a store that cannot be opened.
    pub fn new(office: Arc<ServiceState>, program: PathBuf, store: &Path) -> Result<Self, Failure> {
        let store = Store::create_or_open(store, office.world.clone())?;
        let snapshot = store.snapshot()?;
        let watch = FileWatch::of(&crate::engine::project::folder_of(&program)?, Vec::new())?;
        let project = load(&program, &office, &snapshot)?;
        if project.has_errors() {
            return Err(Failure::refused(errors(&project))
                .help(msg!("run `tagcast check`", "请运行 `tagcast check`")));
        }
        let bound = AccountBindings::new(&project, store.dir(), &office.world)?;
        *held(&office.callbacks) = Arc::new(callbacks(&bound)?);
        office.mail.set_channels(bound.channels());
        let started = Moment::now();
        let mut scheduler = Scheduler {
            office,
            program,
            bound,
            addresses: RefCell::default(),
            intake: None,
            tables_read: started,
            store,
            project: Arc::new(project),
            snapshot,
            decider: None,
            fed: None,
            watch,
            looked: started,
            counted: started,
            forgot: None,
        };
        scheduler.decider = Some(scheduler.make_decider()?);
        Ok(scheduler)
    }

    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    pub fn bound(&self) -> &AccountBindings {
        &self.bound
    }

    /// Opens the way in for events and tag changes.
    ///
    /// # Errors
    /// A store that another process changes.
    pub fn intake(&mut self) -> Result<Arc<Intake>, Failure> {
        let schema = &self.project.program.schema;
        let writer = LiveWriter::open(&self.store, schema.clone())?;
        let intake = Arc::new(Intake::new(
            writer,
            schema,
            self.project.program.policy.zone,
            self.office.world.clone(),
        ));
        self.intake = Some(intake.clone());
        Ok(intake)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn users(&self) -> Users {
        self.snapshot.users().clone()
    }

    /// Works until the world asks to stop.
    pub fn run(&mut self) {
        let office = self.office.clone();
        let mut trouble = TROUBLE;
        while !office.world.stopping() {
            let rest = match self.step() {
                Ok(rest) => {
                    trouble = TROUBLE;
                    office.metrics.put_off.set(0);
                    rest
                }
                Err(failure) => {
                    office.metrics.troubles.add(1);
                    office.metrics.put_off.set(1);
                    office.journal.trouble(&failure, trouble);
                    self.decider = None;
                    self.fed = None;
                    office.calls.store(true, Ordering::SeqCst);
                    let wait = trouble;
                    trouble = (trouble * 2).min(MOST_TROUBLE);
                    self.rest(wait);
                    continue;
                }
            };
            office.decide.wait(rest.min(TICK));
        }
    }

    /// Sleeps, but not through a wish to stop.
    fn rest(&self, long: Duration) {
        let until = Moment::now() + long;
        while Moment::now() < until && !self.office.world.stopping() {
            std::thread::sleep(TICK.min(until.saturating_duration_since(Moment::now())));
        }
    }

    /// Does all that is to be done now; gives how long there is nothing to do.
    fn step(&mut self) -> Result<Duration, Failure> {
        let office = self.office.clone();
        if self.looked.elapsed() >= LOOK {
            self.look()?;
            self.looked = Moment::now();
            // Ids may have become known that were spoken of before.
            office.calls.store(true, Ordering::SeqCst);
        }
        if !self.clock_is_right() {
            return Ok(TICK);
        }
        let now = self.office.world.now();
        if self.decider.is_none() {
            self.decider = Some(self.make_decider()?);
        }
        if office.calls.swap(false, Ordering::SeqCst) {
            self.apply_calls()?;
        }
        let (arrived, position, more) = self.arrived()?;
        let Some(decider) = &mut self.decider else {
            return Ok(TICK);
        };
        if office.past_is_old.swap(false, Ordering::SeqCst) {
            decider.forget();
        }
        // Held for all that follows: the sender waits for the disk under it, and each time it is
        // let go it may be the sender's.
        let (done, next) = {
            let mut ledger = office.ledger();
            let mut done = CycleOutcome::default();
            // Under the same lock as claims of this process: what is not struck here was claimed
            // before.
            office
                .metrics
                .struck
                .add(decider.ask_consent(now, &mut ledger)?);
            let left = std::mem::take(&mut *held(&office.left_alone));
            if !left.is_empty() {
                decider.move_on(&left, now, &mut ledger)?;
                office.hand_over.ring();
            }
            if let Some(position) = position {
                // What came this way, `run` must not take for an import that it has not seen.
                let campaigns = decider
                    .triggers()
                    .into_iter()
                    .map(|(id, _)| &self.project.program.campaign(id).declared.name);
                let names = campaigns.map(|name| (store_events::source(name), now.0));
                let fed = names
                    .chain([(LIVE.to_owned(), i64::try_from(position).unwrap_or(i64::MAX))])
                    .collect();
                done.and(decider.arrive(&arrived, fed, &|_, _| false, now, &mut ledger)?);
                self.fed = Some(position);
                for at in self
                    .intake
                    .iter()
                    .flat_map(|intake| intake.decided(position))
                {
                    office.metrics.decision.add(at.elapsed(), 1);
                }
            }
            decider.set_timers(now, &mut ledger)?;
            done.and(decider.up_to(now, now, &mut ledger)?);
            (done, decider.next(&ledger, now)?)
        };
        self.account(&done);
        if more {
            return Ok(Duration::ZERO);
        }
        let rest = next.map_or(i64::MAX, |next| next.since(office.world.now()).0.max(0));
        Ok(Duration::from_micros(u64::try_from(rest).unwrap_or(0)))
    }

    /// Events that were acknowledged since it looked, how far in the log of live changes they go if
    /// there is something new, and whether there are more.
    fn arrived(&mut self) -> Result<(Vec<IncomingEvent>, Option<u64>, bool), Failure> {
        let after = match self.fed {
            Some(fed) => fed,
            None => self
                .office
                .ledger()
                .fed(LIVE)?
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(0),
        };
        self.fed = Some(after);
        let (events, position) =
            self.store
                .live_events(&self.project.program.schema, after, MOST_EVENTS)?;
        if position <= after {
            return Ok((Vec::new(), None, false));
        }
        // Taken after the events were read, so that it holds them all.
        let snapshot = self.store.snapshot()?;
        self.see(snapshot);
        if let Some(decider) = &mut self.decider {
            decider.set_snapshot(self.snapshot.clone());
        }
        let more = events.len() >= MOST_EVENTS;
        let arrived = events.into_iter().map(|e| IncomingEvent {
            id: e.id.unwrap_or_else(|| format!("live {}", e.position)),
            event: e.event,
            user: e.user,
            at: e.at,
            values: e.values,
        });
        Ok((arrived.collect(), Some(position), more))
    }

    /// Evaluates on another state of the store from now on.
    fn see(&mut self, snapshot: Arc<Snapshot>) {
        if snapshot.user_count() > self.snapshot.user_count() {
            *held(&self.office.new_users) = Some(snapshot.users().clone());
        }
        self.snapshot = snapshot;
    }

    /// Applies what platforms have told, so that an opt-out holds from the next hand-over on.
    fn apply_calls(&self) -> Result<(), Failure> {
        let office = &self.office;
        let callbacks = office.callbacks();
        loop {
            let calls = office.ledger().calls(MOST_CALLS)?;
            for call in &calls {
                let NewCall {
                    account,
                    at,
                    query,
                    signature,
                    body,
                } = &call.call;
                let read = callbacks.get(account).map(|c| {
                    c.read(&Incoming {
                        query,
                        signature,
                        body,
                        at: *at,
                    })
                });
                let told = match read {
                    Some(Ok(said)) => Some(self.told(account, said)?),
                    Some(Err(_)) | None => None,
                };
                if told.is_none() {
                    let n = call.number;
                    office.journal.say(msg!(
                        "callback {n} of `{account}` cannot be read; it is kept",
                        "无法读取 `{account}` 的回调 {n}；已保留"
                    ));
                }
                let applied = office
                    .ledger()
                    .apply(call, told.as_deref(), office.world.now())?;
                office.metrics.opted_out.add(applied.opted_out);
                if applied.opted_out + applied.learned > 0 {
                    office.forget_past();
                }
            }
            if calls.len() < MOST_CALLS {
                break;
            }
        }
        let learned = office.ledger().apply_strays(office.world.now())?;
        if learned > 0 {
            office.forget_past();
        }
        Ok(())
    }

    /// In the words of the ledger: users by their numbers. Whom nobody knows cannot be reached
    /// either.
    fn told(&self, account: &str, said: Vec<CallbackEvent>) -> Result<Vec<Receipt>, Failure> {
        let mut told = Vec::new();
        for CallbackEvent { key, when, what } in said {
            let what = match what {
                CallbackKind::Message { id, kind } => ReceiptContent::Message { id, kind },
                CallbackKind::List { id, all, counts } => ReceiptContent::List { id, all, counts },
                CallbackKind::Refused { id, reason } => ReceiptContent::Refused { id, reason },
                CallbackKind::OptedOut { user } => {
                    ReceiptContent::OptedOut(self.snapshot.user_no(&user).into_iter().collect())
                }
                CallbackKind::OptedOutAt { address } => {
                    ReceiptContent::OptedOut(self.users_at(account, &address)?)
                }
                CallbackKind::Contact { who, kind, topic } => {
                    let users = match who {
                        CallbackSubject::At(address) => self.users_at(account, &address)?,
                        CallbackSubject::Id(user) => {
                            self.snapshot.user_no(&user).into_iter().collect()
                        }
                    };
                    ReceiptContent::Contact { users, kind, topic }
                }
                CallbackKind::Closed { address, kind } => ReceiptContent::Closed {
                    users: self.users_at(account, &address)?,
                    kind,
                },
                CallbackKind::Mail { mailbox, token } => {
                    self.office.mail.tell(account, &mailbox, &token, when);
                    continue;
                }
            };
            told.push(Receipt { key, when, what });
        }
        Ok(told)
    }

    /// Whom an account's platform knows by a name.
    fn users_at(&self, account: &str, address: &str) -> Result<Vec<UserNo>, Failure> {
        let mut users = Vec::new();
        if address.is_empty() {
            return Ok(users);
        }
        let declared = self
            .project
            .program
            .accounts
            .iter()
            .find(|a| *a.name == *account);
        let platform = declared.map_or(account, |a| &a.platform);
        for tag in self
            .project
            .program
            .schema
            .tags
            .iter()
            .filter(|t| matches!(&t.ty, Type::Address(of) if **of == *account))
        {
            let Some(column) = self.snapshot.tag(&tag.name)? else {
                continue;
            };
            let mut addresses = self.addresses.borrow_mut();
            let index = addresses
                .entry((tag.name.clone(), platform.to_string()))
                .or_insert_with(|| TextIndex::by(channels::who(platform)));
            users.extend(index.find(column, address));
        }
        Ok(users)
    }

    fn account(&self, done: &CycleOutcome) {
        let metrics = &self.office.metrics;
        metrics.runs.add(done.runs.len());
        metrics.missed.add(done.missed.len());
        metrics.events_decided.add(done.events);
        if !done.runs.is_empty() {
            self.office.hand_over.ring();
        }
    }

    /// Whether the wall clock can be believed.
    fn clock_is_right(&self) -> bool {
        let office = &self.office;
        let jumped = office.clock.jumped();
        let before = office.metrics.clock_jumped.get() == 1;
        office.metrics.clock_jumped.set(i64::from(jumped.is_some()));
        match jumped {
            Some(by) if !before => office.journal.say(steady_clock::jumped(by)),
            None if before => office.journal.say(steady_clock::right_again()),
            Some(_) | None => {}
        }
        jumped.is_none()
    }

    /// Takes over a changed program and imported data.
    fn look(&mut self) -> Result<(), Failure> {
        if let Some(why) = self.intake.as_ref().and_then(|intake| intake.trouble()) {
            self.office.metrics.troubles.add(1);
            self.office
                .journal
                .trouble(&Failure::new(why), Duration::ZERO);
        }
        let words = self
            .decider
            .as_ref()
            .map_or_else(Vec::new, Decider::word_files);
        let watch = FileWatch::of(&self.project.folder, words)?;
        let snapshot = self.store.snapshot()?;
        let imported = !Arc::ptr_eq(&snapshot, &self.snapshot);
        let changed = watch != self.watch;
        self.watch = watch;
        if imported {
            self.see(snapshot);
        }
        if changed {
            self.reload()?;
        } else if imported && self.tables_read.elapsed() >= READ_TABLES {
            let data = self.data()?;
            self.tables_read = Moment::now();
            if let Some(decider) = &mut self.decider {
                decider.set_data(data);
            }
        } else if let Some(decider) = self.decider.as_mut().filter(|_| imported) {
            decider.set_snapshot(self.snapshot.clone());
        }
        if self.counted.elapsed() < COUNT {
            return Ok(());
        }
        self.counted = Moment::now();
        self.forget_old()?;
        let waits = self
            .project
            .campaigns()
            .into_iter()
            .map(|id| &self.project.program.campaign(id).declared.name);
        let ledger = self.office.ledger();
        let waits: Result<i64, _> = waits
            .map(|name| Ok::<i64, Failure>(ledger.waits(name)?.0))
            .sum();
        self.office.metrics.waits.set(waits?);
        self.office.metrics.strays.set(ledger.strays()?);
        Ok(())
    }

    /// Forgets what is older than `keep_days`.
    fn forget_old(&mut self) -> Result<(), Failure> {
        if self.forgot.is_some_and(|at| at.elapsed() < FORGET) {
            return Ok(());
        }
        self.forgot = Some(Moment::now());
        let now = self.office.world.now();
        if let Some(before) = self.project.config.kept_since(now)? {
            self.office.ledger().forget_before(before, now)?;
        }
        Ok(())
    }

    /// Takes over what the files say now, the program and its accounts together. Where they have
    /// errors, all stays as it is.
    fn reload(&mut self) -> Result<(), Failure> {
        let office = self.office.clone();
        let project = match load(&self.program, &office, &self.snapshot) {
            Ok(project) if !project.has_errors() => Arc::new(project),
            refused => {
                self.not_taken_over(
                    refused.map_or_else(|failure| failure.message, |project| errors(&project)),
                );
                return Ok(());
            }
        };
        let accounts = self
            .bound
            .renewed(&project, &office.world)
            .and_then(|(bound, changed)| Ok((callbacks(&bound)?, bound, changed)));
        let (callbacks, bound, changed) = match accounts {
            Ok(accounts) => accounts,
            Err(failure) => {
                self.not_taken_over(failure.message);
                return Ok(());
            }
        };
        let same_program = project.digest() == self.project.digest();
        let same_words = self
            .decider
            .as_ref()
            .is_some_and(|decider| decider.forbids_as(&project));
        let same_config = project.config == self.project.config;
        if same_program && changed.is_empty() && same_config && same_words {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.project, project);
        match self.make_decider() {
            Ok(decider) => self.decider = Some(decider),
            Err(failure) => {
                // Words or lists that are not there: the program before it goes on.
                self.project = before;
                office.metrics.reloads_refused.add(1);
                office.journal.trouble(&failure, Duration::ZERO);
                return Ok(());
            }
        }
        self.bind(bound, callbacks, &changed);
        office.metrics.reloads.add(1);
        if same_program {
            if !same_words {
                office.journal.say(msg!(
                    "took over the changed lists of forbidden words",
                    "已采用修改后的禁用词表"
                ));
            }
            if changed.is_empty() && !same_config {
                office.journal.say(msg!(
                    "took over the changed `tagcast.toml`",
                    "已采用修改后的 tagcast.toml"
                ));
            }
            return Ok(());
        }
        self.withdraw_gone(&before)?;
        if let Some(intake) = &self.intake {
            intake.declare(
                &self.project.program.schema,
                self.project.program.policy.zone,
            );
        }
        let n = self.project.campaigns().len();
        let of = if n == 1 { "campaign" } else { "campaigns" };
        office.journal.say(msg!(
            "took over the changed program: {n} {of}",
            "已采用修改后的程序：{n} 个活动"
        ));
        Ok(())
    }

    fn not_taken_over(&self, why: Msg) {
        self.office.metrics.reloads_refused.add(1);
        let Msg { en, zh } = why;
        self.office.journal.say(msg!(
            "the changed program is not taken over, the one before it goes on: {en}",
            "未采用修改后的程序，继续使用之前的程序：{zh}"
        ));
    }

    /// Messages leave by these accounts from the next claim on, and these may call back.
    fn bind(
        &mut self,
        bound: AccountBindings,
        callbacks: AllCallbacks,
        changed: &BTreeSet<String>,
    ) {
        let office = &self.office;
        self.bound = bound;
        if changed.is_empty() {
            return;
        }
        *held(&office.callbacks) = Arc::new(callbacks);
        office.mail.set_channels(self.bound.channels());
        let mut new = held(&office.new_channels);
        let mut all = new.take().map(|(_, changed)| changed).unwrap_or_default();
        all.extend(changed.iter().cloned());
        *new = Some((self.bound.channels().clone(), all));
        drop(new);
        office.hand_over.ring();
        let names = changed
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        office.journal.say(msg!(
            "took over the changed accounts: {names}",
            "已采用修改后的账号：{names}"
        ));
    }

    /// Ends the waits and follow-ups of campaigns that the program had and has no more.
    fn withdraw_gone(&self, before: &Project) -> Result<(), Failure> {
        let name = |p: &Project, id| p.program.campaign(id).declared.name.clone();
        let here: BTreeSet<String> = self
            .project
            .campaigns()
            .into_iter()
            .map(|id| name(&self.project, id))
            .collect();
        let gone: Vec<String> = before
            .campaigns()
            .into_iter()
            .map(|id| name(before, id))
            .filter(|n| !here.contains(n))
            .collect();
        let now = self.office.world.now();
        Ok(self.office.ledger().withdraw_later(&gone, now)?)
    }

    fn make_decider(&self) -> Result<Decider, Failure> {
        let data = self.data()?;
        let campaigns = self.project.campaigns();
        let mut ledger = self.office.ledger();
        let now = self.office.world.now();
        make_live(&self.project, &campaigns, now, None, &mut ledger)?;
        self.office
            .metrics
            .campaigns
            .set(i64::try_from(campaigns.len()).unwrap_or(i64::MAX));
        let mut decider = Decider::new(
            self.project.clone(),
            data,
            &campaigns,
            &ledger,
            self.office.world.clone(),
        )?;
        self.office
            .metrics
            .struck
            .add(decider.rule_planned(now, &mut ledger)?);
        Ok(decider)
    }

    fn data(&self) -> Result<EvalData, Failure> {
        let (program, world, now) = (
            &self.project.program,
            self.office.world.as_ref(),
            self.office.world.now(),
        );
        let tables = Tables::load(program, &self.project.folder, world, &self.snapshot, now)?;
        // The decider reads the program's own messages itself, where they are asked about.
        Ok(EvalData {
            snapshot: self.snapshot.clone(),
            tables,
            own: MessageLog::default(),
            now,
        })
    }
}

/// How each account's callbacks are read; those of the sandbox whoever has the token may tell.
fn callbacks(bound: &AccountBindings) -> Result<AllCallbacks, Failure> {
    let mut all = AllCallbacks::from([("sandbox".to_owned(), callback::of_sandbox())]);
    for (name, settings) in bound.settings() {
        let at = |why: Msg| {
            Failure::new(Msg {
                en: format!("`[accounts.{name}]`: {}", why.en),
                zh: format!("`[accounts.{name}]`：{}", why.zh),
            })
        };
        all.extend(
            callback::of_account(settings)
                .map_err(at)?
                .map(|callbacks| (name.clone(), callbacks)),
        );
    }
    Ok(all)
}

fn load(program: &Path, office: &ServiceState, snapshot: &Snapshot) -> Result<Project, Failure> {
    let wanted = ProjectOptions {
        now: None,
        store_schema: Some(snapshot.schema().clone()),
    };
    Project::load(&[program.to_path_buf()], &wanted, office.world.as_ref())
}

/// The first error of a program, and how many there are.
fn errors(project: &Project) -> Msg {
    let errors: Vec<_> = project
        .findings
        .iter()
        .filter(|f| f.level == Level::Error)
        .collect();
    let n = errors.len();
    let first = |lang: Lang| {
        errors.first().map_or(String::new(), |f| {
            let (line, _) = project.sources.line_column(f.span.file, f.span.start);
            format!(
                "{}:{line}: {}",
                project.sources.path(f.span.file).display(),
                f.message.get(lang)
            )
        })
    };
    let (en, zh) = (first(Lang::En), first(Lang::Zh));
    let errors = count_of(n, "error");
    msg!(
        "the program has {errors}; the first: {en}",
        "程序有 {n} 个错误；第一个：{zh}"
    )
}
