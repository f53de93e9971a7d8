//! Tagcast as a service: the scheduler on the real clock, events and callbacks over HTTP, metrics.
//!
//! Several threads work at once. The [`scheduler`] decides: it waits for commands and for the next
//! instant at which something is due, and plans what follows. The [`sender`] sends what is planned,
//! so that a slow platform holds up no decision. [`http`] takes events, changes of tags and
//! callbacks in and makes them durable; [`fetch`] gets what platforms only give when asked. They
//! tell the scheduler by one channel of [`commands`]. What they share besides is the ledger's
//! writer, a transaction at a time, and read-only data: whatever dies, the ledger says how to go
//! on.

mod accounts;
mod call_inbox;
mod call_reader;
mod commands;
mod fetch;
pub mod http;
mod intake;
mod listener;
mod loaded_program;
pub mod metrics;
mod published;
mod scheduler;
mod sender;
mod service_state;
pub mod steady_clock;
mod store_feed;
mod turn_driver;
mod watch;

use std::path::PathBuf;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::base::world::World;
use crate::engine::Failure;
use crate::ledger::{Ledger, LedgerLocation};
use crate::msg;

pub use service_state::Journal;

use accounts::Accounts;
use http::{HttpServer, ListenOptions};
use loaded_program::LoadedProgram;
use metrics::Metrics;
use published::Published;
use scheduler::Scheduler;
use sender::Sender;
use service_state::ServiceState;
use steady_clock::SteadyWorld;
use store_feed::StoreFeed;

/// What is served, and from where.
pub struct ServeOptions {
    /// A folder or a file.
    pub program: PathBuf,
    pub store: PathBuf,
    pub ledger: LedgerLocation,
    /// `None`: nothing is taken in.
    pub listen: Option<ListenOptions>,
}

/// Serves until the world asks to stop.
///
/// # Errors
/// What keeps the service from starting: a program with errors, a ledger that another process
/// writes to. Later failures go to the journal, and work is tried again until it succeeds.
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
    let steady: Arc<dyn World> = world.clone();
    let ledger = Ledger::open(ledger, steady.clone())?;
    let feed = StoreFeed::open(&store, steady.clone())?;
    let loaded = LoadedProgram::load(program, feed.store().dir(), feed.snapshot(), &steady)?;
    let service = Arc::new(ServiceState {
        ledger: Arc::new(Mutex::new(ledger)),
        metrics: Metrics::default(),
        world: steady,
        clock: world,
        journal,
        accounts: Published::new(Accounts::new(&loaded.accounts)?),
        users: Published::new(feed.snapshot().users().clone()),
    });
    let (commands, queue) = commands::open();
    // One wake-up may wait: the sender looks for everything that is planned each time.
    let (wake_sender, woken) = sync_channel(1);
    // The scheduler must not wait for a slow platform, and the inbox limits how many there are.
    let (mail, notices) = channel();
    let mut scheduler = Scheduler::new(service.clone(), queue, wake_sender, mail, loaded, feed)?;
    let sender = Sender::new(service.clone(), commands.clone(), woken);
    let (inbox, calls) = call_inbox::open();
    let server = listen
        .map(|listen| {
            let intake = scheduler.open_intake(commands.clone())?;
            HttpServer::bind(listen, service.clone(), inbox, intake)
        })
        .transpose()?;
    let n = scheduler.project().campaigns().len();
    let of = if n == 1 { "campaign" } else { "campaigns" };
    match server.as_ref().and_then(HttpServer::address) {
        Some(at) => service.journal.info(msg!(
            "serving {n} {of} on http://{at}",
            "正在服务 {n} 个活动：http://{at}"
        )),
        None => service
            .journal
            .info(msg!("serving {n} {of}", "正在服务 {n} 个活动")),
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
        let (fetching, of_fetch) = (service.clone(), commands.clone());
        let mut working = vec![
            spawn("sender", Box::new(|| sender.run()))?,
            spawn(
                "fetch",
                Box::new(move || fetch::run(&fetching, &of_fetch, &notices)),
            )?,
        ];
        if let Some(server) = server {
            // The inbox ends when the server, who fills it, has ended.
            let (keeping, serving) = (service.clone(), service.clone());
            working.push(spawn(
                "inbox",
                Box::new(move || call_inbox::run(&keeping, &commands, &calls)),
            )?);
            working.push(spawn(
                "http",
                Box::new(move || {
                    if let Err(failure) = server.run() {
                        serving.journal.retrying(&failure, Duration::ZERO);
                    }
                }),
            )?);
        }
        scheduler.run();
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
    service.journal.info(msg!(
        "stopped on request; every wait continues when it is started again",
        "已按要求停止；再次启动时所有等待会继续"
    ));
    Ok(())
}
