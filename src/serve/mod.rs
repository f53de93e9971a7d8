//! Tagcast as a service: the scheduler on the real clock, events and callbacks over HTTP, metrics.
//!
//! Several things go on at once. The [`scheduler`] decides: it waits for the next due instant, the
//! end of the next wait, the next event, and plans what follows. The [`sender`] hands over what is
//! planned, so that a slow platform holds up no decision. [`http`] takes events, tag changes and
//! callbacks in, makes them durable and rings the scheduler's bell; [`fetch`] gets what platforms
//! do not tell of themselves. They share the ledger's writer, a transaction at a time, and nothing
//! else that matters: whatever dies, the ledger says how to go on.

pub mod call_inbox;
mod fetch;
pub mod http;
pub mod intake;
mod listener;
pub mod metrics;
pub mod notify;
pub mod scheduler;
pub mod sender;
pub mod steady_clock;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::base::Msg;
use crate::base::world::World;
use crate::deliver::callback::Callbacks;
use crate::deliver::channel::Channels;
use crate::engine::Failure;
use crate::ledger::{BelowListMin, Ledger, LedgerLocation, Writer};
use crate::msg;
use crate::store::Users;

use fetch::FetchQueue;
use http::{HttpServer, ListenOptions};
use metrics::Metrics;
use notify::Notify;
use scheduler::Scheduler;
use sender::Sender;
use steady_clock::SteadyWorld;

/// What is served, and from where.
pub struct ServeOptions {
    /// A folder or a file.
    pub program: PathBuf,
    pub store: PathBuf,
    pub ledger: LedgerLocation,
    /// `None`: nothing is taken in.
    pub listen: Option<ListenOptions>,
}

/// What the operator of the service is told as it happens.
pub trait Journal: Send + Sync {
    fn say(&self, what: Msg);

    /// Work was put off, and for how long.
    fn trouble(&self, why: &Failure, wait: Duration);
}

/// By account.
pub type AllCallbacks = BTreeMap<String, Arc<dyn Callbacks>>;

/// What the threads of the service have in common.
pub struct ServiceState {
    ledger: Arc<Mutex<Writer>>,
    /// Rung when there may be something to decide.
    pub decide: Notify,
    /// Rung when there may be something to hand over.
    pub hand_over: Notify,
    pub metrics: Metrics,
    pub world: Arc<dyn World>,
    /// The same, asked whether its clock can be believed.
    pub clock: Arc<SteadyWorld>,
    pub journal: Arc<dyn Journal>,
    /// Calls of platforms may be kept that are not applied yet.
    pub calls: AtomicBool,
    /// Slots were given back, or users opted out: what the scheduler remembers of the past is old.
    past_is_old: AtomicBool,
    /// Users that came in since the sender looked.
    new_users: Mutex<Option<Users>>,
    /// Lists that have become too short, for the scheduler to find other channels.
    left_alone: Mutex<Vec<BelowListMin>>,
    /// Channels for the sender, and the accounts that changed since it looked.
    new_channels: Mutex<Option<(Channels, BTreeSet<String>)>>,
    /// How each account's callbacks are read.
    callbacks: Mutex<Arc<AllCallbacks>>,
    /// What platforms keep until it is fetched.
    mail: FetchQueue,
}

impl ServiceState {
    fn new(ledger: Writer, world: Arc<SteadyWorld>, journal: Arc<dyn Journal>) -> Self {
        ServiceState {
            ledger: Arc::new(Mutex::new(ledger)),
            decide: Notify::default(),
            hand_over: Notify::default(),
            metrics: Metrics::default(),
            world: world.clone(),
            clock: world,
            journal,
            calls: AtomicBool::new(true),
            past_is_old: AtomicBool::new(false),
            new_users: Mutex::new(None),
            left_alone: Mutex::default(),
            new_channels: Mutex::new(None),
            callbacks: Mutex::default(),
            mail: FetchQueue::default(),
        }
    }

    /// The ledger, for one transaction.
    pub fn ledger(&self) -> MutexGuard<'_, Writer> {
        held(&self.ledger)
    }

    /// How each account's callbacks are read now.
    pub fn callbacks(&self) -> Arc<AllCallbacks> {
        held(&self.callbacks).clone()
    }

    /// The scheduler has to read the past anew.
    pub fn forget_past(&self) {
        self.past_is_old.store(true, Ordering::SeqCst);
    }
}

/// Who panicked while holding a lock of ours has left nothing half done: transactions end or never
/// were.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until the world asks to stop.
///
/// # Errors
/// What keeps the service from starting: a program with errors, a ledger that another process
/// writes to. Later troubles are told to the journal, and the service goes on as soon as they are
/// over.
pub fn serve(
    options: ServeOptions,
    world: Arc<dyn World>,
    journal: Arc<dyn Journal>,
) -> Result<(), Failure> {
    std::fs::create_dir_all(&options.store).map_err(|e| Failure::io(&options.store, &e))?;
    let ServeOptions {
        program,
        store,
        ledger,
        listen,
    } = options;
    let world = SteadyWorld::over(world);
    let office = Arc::new(ServiceState::new(
        Ledger::open(ledger, world.clone())?,
        world,
        journal,
    ));
    let mut scheduler = Scheduler::new(office.clone(), program, &store)?;
    let sender = Sender::new(office.clone(), &scheduler)?;
    let (slot, calls) = call_inbox::open();
    let server = listen
        .map(|listen| HttpServer::bind(listen, office.clone(), slot, scheduler.intake()?))
        .transpose()?;
    let n = scheduler.project().campaigns().len();
    let of = if n == 1 { "campaign" } else { "campaigns" };
    match server.as_ref().and_then(HttpServer::address) {
        Some(at) => office.journal.say(msg!(
            "serving {n} {of} on http://{at}",
            "正在服务 {n} 个活动：http://{at}"
        )),
        None => office
            .journal
            .say(msg!("serving {n} {of}", "正在服务 {n} 个活动")),
    }
    thread::scope(|threads| {
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = thread::Builder::new()
                .name(name.into())
                .spawn_scoped(threads, work);
            spawned.map_err(|e| {
                Failure::new(msg!(
                    "a thread could not be started: {e}",
                    "无法启动线程：{e}"
                ))
            })
        };
        let fetching = office.clone();
        let mut working = vec![
            spawn("sender", Box::new(|| sender.run()))?,
            spawn("fetch", Box::new(move || fetch::run(&fetching)))?,
        ];
        if let Some(server) = server {
            // The inbox ends when the server, who fills it, has ended.
            let (keeping, serving) = (office.clone(), office.clone());
            working.push(spawn(
                "inbox",
                Box::new(move || call_inbox::run(&keeping, &calls)),
            )?);
            working.push(spawn(
                "http",
                Box::new(move || {
                    if let Err(failure) = server.run() {
                        serving.journal.trouble(&failure, Duration::ZERO);
                    }
                }),
            )?);
        }
        scheduler.run();
        office.hand_over.ring();
        let stopped = || {
            Failure::new(msg!(
                "a thread stopped unexpectedly; the ledger is whole",
                "线程意外停止；账本完好"
            ))
        };
        working
            .into_iter()
            .try_for_each(|one| one.join().map_err(|_| stopped()))
    })?;
    office.journal.say(msg!(
        "stopped on request; every wait goes on when it is started again",
        "已按要求停止；再次启动时所有等待会继续"
    ));
    Ok(())
}
