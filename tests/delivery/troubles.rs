//! What goes wrong around a send: the disk is full, the database is gone, a worker stands
//! still. Nothing is sent twice, no answer is lost, and the message says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Moment};

use crate::platforms::Server;
use crate::platforms::wechat::WeChat;
use crate::support::delivery::{DUE, OF, Place, at, ids, state, users, verified};
use crate::support::postgres;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Elapsed, Instant};
use tagcast::decide::decision::{Contents, Decision};
use tagcast::deliver::account::AccountSettings;
use tagcast::deliver::channel::{Channel, Reply};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::{DispatchLoop, LedgerAccess};
use tagcast::deliver::http::client::Http;
use tagcast::deliver::http::secret::Secret;
use tagcast::deliver::platforms::open_account;
use tagcast::ledger::{
    Batch, BatchOutcome, Ledger, LedgerError, LedgerReader, State, Verdict, Worker,
};
use tagcast::program::platform::{self, Endpoint};
use tagcast::program::typed::ChannelName as Name;

// ------------------------------------------------------------------ a channel without keys

/// Accepts everything, counts what it was handed, and lets something happen in the middle of a
/// call. It knows no keys: an answer that is lost is unknown for ever.
struct Keyless {
    handed: AtomicUsize,
    during: Mutex<Box<dyn FnMut(usize) + Send>>,
}

impl Keyless {
    fn new(during: impl FnMut(usize) + Send + 'static) -> Arc<Keyless> {
        Arc::new(Keyless {
            handed: AtomicUsize::new(0),
            during: Mutex::new(Box::new(during)),
        })
    }

    fn handed(&self) -> usize {
        self.handed.load(Ordering::SeqCst)
    }

    fn send(&self, batch: &Batch) -> Reply {
        let before = self
            .handed
            .fetch_add(batch.messages.len(), Ordering::SeqCst);
        (self.during.lock().unwrap())(before / 20);
        accept_all(batch)
    }
}

/// Plays a channel that takes twenty messages at a time.
struct Twenty<F>(&'static Endpoint, F);

impl<F: Fn(&Batch) -> Reply + Send + Sync> Channel for Twenty<F> {
    fn endpoint(&self) -> &Endpoint {
        self.0
    }

    fn max_batch(&self) -> usize {
        20
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
        (self.1)(batch)
    }
}

fn accept_all(batch: &Batch) -> Reply {
    BatchOutcome::Taken(
        batch
            .messages
            .iter()
            .map(|m| Verdict::Accepted { id: m.key.clone() })
            .collect(),
    )
    .into()
}

fn carry<'l>(
    ledger: &'l mut Ledger,
    channel: &Arc<Keyless>,
    world: Arc<dyn World>,
) -> DispatchLoop<&'l mut Ledger> {
    let channel = channel.clone();
    let twenty = Twenty(
        platform::endpoint("service_account", "chat").unwrap(),
        move |batch: &Batch| channel.send(batch),
    );
    DispatchLoop::new(
        ledger,
        Channels::all_by(Arc::new(twenty)),
        ids(&users(OF)),
        world,
    )
}

fn all_accepted(ledger: &LedgerReader, n: i64) {
    let report = &ledger.reports(None).unwrap()[0];
    assert_eq!(
        (report.planned, report.in_state(State::Accepted)),
        (n, n),
        "{report:?}"
    );
    assert!(ledger.stuck().unwrap().is_empty());
    verified(ledger);
}

// ------------------------------------------------------------------ a full disk

/// A disk that may be full: then nothing can be written, but an answer in the room that the ballast
/// has left.
struct Disk {
    clock: SimulatedWorld,
    full: AtomicBool,
    /// Not even in that room.
    broken: AtomicBool,
    ballast: PathBuf,
}

impl Disk {
    fn of(place: &Place) -> Arc<Disk> {
        let ballast = place.ledger().with_extension("ballast");
        Arc::new(Disk {
            clock: SimulatedWorld::at(at(DUE)),
            full: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            ballast,
        })
    }

    fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }
}

impl World for Disk {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn unique(&self) -> u64 {
        self.clock.unique()
    }

    fn about_to_write(&self, what: &str) -> io::Result<()> {
        let has_room =
            what == "answer" && !self.ballast.exists() && !self.broken.load(Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) && !has_room {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

fn says_disk_full(result: Result<impl std::fmt::Debug, LedgerError>) {
    let message = result.unwrap_err().message();
    assert!(
        message.en.contains("disk is full") && message.en.contains("free some space"),
        "{message:?}"
    );
    assert!(
        message.zh.contains("磁盘已满") && message.zh.contains("请腾出空间"),
        "{message:?}"
    );
}

#[test]
fn case_12_disk_full_before_a_claim_nothing_is_sent() {
    let place = Place::new();
    let disk = Disk::of(&place);
    let mut ledger = Ledger::open(place.at(), disk.clone()).unwrap();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..60), &a.info()).unwrap();
    let channel = Keyless::new(|_| {});
    let mut carry = carry(&mut ledger, &channel, disk.clone());
    disk.fill(true);
    for _ in 0..2 {
        says_disk_full(carry.up_to(at(DUE), &mut ()));
        assert_eq!(channel.handed(), 0);
    }
    disk.fill(false);
    assert_eq!(carry.up_to(at(DUE), &mut ()).unwrap().accepted, 60);
    assert_eq!(channel.handed(), 60);
    all_accepted(ledger.reader(), 60);
}

#[test]
fn case_12_disk_full_at_an_answer_the_answer_is_kept() {
    let place = Place::new();
    let disk = Disk::of(&place);
    let mut ledger = Ledger::open(place.at(), disk.clone()).unwrap();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..60), &a.info()).unwrap();
    let fills = disk.clone();
    let channel = Keyless::new(move |call| fills.fill(call == 1));
    let mut carry = carry(&mut ledger, &channel, disk.clone());
    // The second answer is written in the room of the ballast; then nothing more is sent.
    says_disk_full(carry.up_to(at(DUE), &mut ()));
    assert_eq!(channel.handed(), 40);
    assert_eq!(
        carry.ledger().reader().reports(None).unwrap()[0].in_state(State::Accepted),
        40
    );
    assert!(!disk.ballast.exists());
    disk.fill(false);
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert!(disk.ballast.exists(), "there is room for the next answer");
    assert_eq!(channel.handed(), 60);
    all_accepted(ledger.reader(), 60);
}

/// Where even that room is gone, an answer is kept in memory, and is not lost while the process
/// lives.
#[test]
fn an_answer_that_cannot_be_written_at_all_waits() {
    let place = Place::new();
    let disk = Disk::of(&place);
    let mut ledger = Ledger::open(place.at(), disk.clone()).unwrap();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..60), &a.info()).unwrap();
    let fills = disk.clone();
    disk.broken.store(true, Ordering::SeqCst);
    let channel = Keyless::new(move |call| fills.fill(call == 1));
    let mut carry = carry(&mut ledger, &channel, disk.clone());
    for _ in 0..3 {
        says_disk_full(carry.up_to(at(DUE), &mut ()));
        assert_eq!(channel.handed(), 40);
    }
    disk.fill(false);
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(channel.handed(), 60);
    all_accepted(ledger.reader(), 60);
}

/// The ledger cannot be written, the file beside it can; and the process ends before it is better.
#[test]
fn an_answer_in_the_spool_outlives_the_process() {
    struct Refusing(SimulatedWorld);
    impl World for Refusing {
        fn now(&self) -> Instant {
            self.0.now()
        }
        fn unique(&self) -> u64 {
            self.0.unique()
        }
        fn about_to_write(&self, what: &str) -> io::Result<()> {
            if what == "answer" {
                Err(io::Error::other("the disk makes trouble"))
            } else {
                Ok(())
            }
        }
    }
    let place = Place::new();
    let world: Arc<dyn World> = Arc::new(Refusing(SimulatedWorld::at(at(DUE))));
    let mut ledger = Ledger::open(place.at(), world.clone()).unwrap();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..60), &a.info()).unwrap();
    let channel = Keyless::new(|_| {});
    assert!(
        carry(&mut ledger, &channel, world.clone())
            .up_to(at(DUE), &mut ())
            .is_err()
    );
    let spool = place.ledger().with_extension("spool");
    let files = || std::fs::read_dir(&spool).unwrap().count();
    assert_eq!((channel.handed(), files()), (20, 1));
    drop(ledger);
    // What is no answer of this ledger is left alone.
    std::fs::write(spool.join("7-note.json"), "{\"made\": \"by hand\"}").unwrap();
    let good: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(DUE)));
    let mut ledger = Ledger::open(place.at(), good.clone()).unwrap();
    assert_eq!(state(ledger.reader(), 5, "a"), State::Accepted);
    assert_eq!(files(), 1);
    carry(&mut ledger, &channel, good)
        .up_to(at(DUE), &mut ())
        .unwrap();
    assert_eq!(channel.handed(), 60);
    all_accepted(ledger.reader(), 60);
}

/// A claim that could not be confirmed is given up by the one who made it: nothing of it left, so
/// nobody has to be asked.
#[test]
fn a_claim_that_is_not_confirmed_is_planned_again() {
    struct Once(SimulatedWorld, AtomicBool);
    impl World for Once {
        fn now(&self) -> Instant {
            self.0.now()
        }
        fn unique(&self) -> u64 {
            self.0.unique()
        }
        fn about_to_write(&self, what: &str) -> io::Result<()> {
            // The claim is committed by then.
            if what == "highwater" && !self.1.swap(true, Ordering::SeqCst) {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        }
    }
    let place = Place::new();
    let world: Arc<dyn World> = Arc::new(Once(SimulatedWorld::at(at(DUE)), AtomicBool::new(false)));
    let mut ledger = Ledger::open(place.at(), world.clone()).unwrap();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..60), &a.info()).unwrap();
    let channel = Keyless::new(|_| {});
    let mut carry = carry(&mut ledger, &channel, world);
    says_disk_full(carry.up_to(at(DUE), &mut ()));
    assert_eq!(channel.handed(), 0);
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(channel.handed(), 60);
    all_accepted(ledger.reader(), 60);
}

/// On a disk that is really full: a small one of its own, where the machine lets a test have one.
#[test]
fn case_12_on_a_small_disk() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=72m tmpfs \"$TAGCAST_JOB_DIR\" || exit 77; exec \"$0\" --exact troubles::the_child --nocapture";
    let mut command = Command::new("unshare");
    command
        .args(["-r", "-m", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap());
    command
        .env("TAGCAST_JOB", "small disk")
        .env("TAGCAST_JOB_DIR", dir.path())
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}", String::from_utf8_lossy(&output.stderr))
        }
        other => eprintln!("left out, no disk of its own here: {other:?}"),
    }
}

fn on_a_small_disk(dir: &Path) {
    let place = Place::new();
    let ledger_file = dir.join("ledger.db");
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(DUE)));
    let mut ledger = Ledger::open(&ledger_file, world.clone()).unwrap();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..200), &a.info()).unwrap();
    let filler = dir.join("filler");
    let fill = filler.clone();
    let channel = Keyless::new(move |call| {
        if call == 2 {
            let some = vec![7u8; 4096];
            let mut file = std::fs::File::create(&fill).unwrap();
            while io::Write::write_all(&mut file, &some).is_ok() {}
        }
    });
    let mut carry = carry(&mut ledger, &channel, world);
    says_disk_full(carry.up_to(at(DUE), &mut ()));
    let handed = channel.handed();
    assert!((60..200).contains(&handed), "{handed}");
    // What was sent has its answer, and nothing else is sent.
    says_disk_full(carry.up_to(at(DUE), &mut ()));
    let report = &carry.ledger().reader().reports(None).unwrap()[0];
    assert_eq!(
        (channel.handed(), report.in_state(State::Accepted)),
        (handed, handed as i64)
    );
    std::fs::remove_file(filler).unwrap();
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(channel.handed(), 200);
    all_accepted(ledger.reader(), 200);
}

// ------------------------------------------------------------------ a database that is gone

/// `None` when PostgreSQL is not installed.
fn server_place() -> Option<Place> {
    Some(Place {
        url: Some(postgres::database()?),
        ..Place::new()
    })
}

/// Tries as the service does, again and again; some tries meet the dying connection.
fn until_it_goes_well<D: LedgerAccess>(carry: &mut DispatchLoop<D>, until: Instant) {
    for _ in 0..100 {
        if carry.up_to(until, &mut ()).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("never connected anew");
}

#[test]
fn case_06_an_answer_that_finds_no_database_is_spooled() {
    let Some(place) = server_place() else { return };
    let url = place.url.clone().unwrap();
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(DUE)));
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..60), &a.info()).unwrap();
    let cut = url.clone();
    let channel = Keyless::new(move |call| {
        if call == 1 {
            postgres::lock_out(&cut, true)
        }
    });
    let mut carry = carry(&mut ledger, &channel, world);
    // The database stays away for a while: nothing is sent, and it says why.
    for _ in 0..3 {
        let error = carry.up_to(at(DUE), &mut ()).unwrap_err();
        assert!(!error.message().en.is_empty());
        assert_eq!(channel.handed(), 40);
    }
    assert_eq!(
        std::fs::read_dir(place.dir.path().join("ledger.spool"))
            .unwrap()
            .count(),
        1
    );
    postgres::lock_out(&url, false);
    // Another worker takes the claim for unknown in the meantime; the answer settles it all the
    // same.
    let elsewhere = tempfile::tempdir().unwrap();
    let there = tagcast::ledger::LedgerLocation::Server {
        url,
        beside: elsewhere.path().into(),
    };
    drop(Worker::open(&there, Arc::new(SimulatedWorld::at(at(DUE)))).unwrap());
    until_it_goes_well(&mut carry, at("2026-11-11 10:05"));
    assert_eq!(channel.handed(), 60, "no repeat");
    assert_eq!(
        std::fs::read_dir(place.dir.path().join("ledger.spool"))
            .unwrap()
            .count(),
        0
    );
    all_accepted(ledger.reader(), 60);
}

/// The same with a process that ends while the database is away, and a worker elsewhere that has
/// taken its claim for unknown.
#[test]
fn case_06_a_spooled_answer_settles_what_others_took_for_unknown() {
    let Some(place) = server_place() else { return };
    let url = place.url.clone().unwrap();
    let world = || -> Arc<dyn World> { Arc::new(SimulatedWorld::at(at(DUE))) };
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..20), &a.info()).unwrap();
    let cut = url.clone();
    let channel = Keyless::new(move |_| postgres::lock_out(&cut, true));
    assert!(
        carry(&mut ledger, &channel, world())
            .up_to(at(DUE), &mut ())
            .is_err()
    );
    drop(ledger);
    postgres::lock_out(&url, false);
    let elsewhere = tempfile::tempdir().unwrap();
    let there = tagcast::ledger::LedgerLocation::Server {
        url,
        beside: elsewhere.path().into(),
    };
    let worker = Worker::open(&there, world()).unwrap();
    assert_eq!(
        worker
            .reader()
            .stuck()
            .unwrap()
            .iter()
            .filter(|s| !s.in_flight)
            .count(),
        1,
        "unknown"
    );
    let ledger = place.open();
    assert_eq!(channel.handed(), 20);
    all_accepted(ledger.reader(), 20);
}

/// Recognises a repeated message, and shows what each address got.
struct Keyed {
    keys: Mutex<BTreeSet<String>>,
    got: Mutex<BTreeMap<String, usize>>,
}

/// How a worker fares with it.
enum Fate {
    /// Its database goes away, and it never reaches the platform.
    GivesUp(String),
    /// It dies when the platform has accepted, before it can say so.
    Dies,
    Works,
}

struct Line(Arc<Keyed>, Fate);

impl Line {
    fn send(&self, batch: &Batch) -> Reply {
        if let Fate::GivesUp(url) = &self.1 {
            postgres::lock_out(url, true);
            return BatchOutcome::NotSent {
                reason: "given up".into(),
            }
            .into();
        }
        for message in &batch.messages {
            if self.0.keys.lock().unwrap().insert(message.key.clone()) {
                *self
                    .0
                    .got
                    .lock()
                    .unwrap()
                    .entry(message.address.to_string())
                    .or_default() += 1;
            }
        }
        if matches!(self.1, Fate::Dies) {
            std::panic::resume_unwind(Box::new("killed after the request"));
        }
        accept_all(batch)
    }
}

/// That nothing was sent is worth nothing any more when others have taken the batch for unknown:
/// one of them repeated it and died.
#[test]
fn a_late_word_that_nothing_was_sent_is_not_believed() {
    let Some(place) = server_place() else { return };
    let url = place.url.clone().unwrap();
    let platform = Arc::new(Keyed {
        keys: Mutex::default(),
        got: Mutex::default(),
    });
    let channels = |fate: Fate| {
        let line = Line(platform.clone(), fate);
        Channels::all_by(Arc::new(Twenty(
            platform::endpoint("sandbox", "file").unwrap(),
            move |batch: &Batch| line.send(batch),
        )))
    };
    let world = |now: &str| -> Arc<dyn World> { Arc::new(SimulatedWorld::at(at(now))) };
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..20), &a.info()).unwrap();
    let first = channels(Fate::GivesUp(url.clone()));
    assert!(
        DispatchLoop::new(&mut ledger, first, ids(&users(OF)), world(DUE))
            .up_to(at(DUE), &mut ())
            .is_err()
    );
    postgres::lock_out(&url, false);
    let elsewhere = tempfile::tempdir().unwrap();
    let there = tagcast::ledger::LedgerLocation::Server {
        url,
        beside: elsewhere.path().into(),
    };
    let (dies, then) = (channels(Fate::Dies), world("2026-11-11 10:02"));
    let killed = std::thread::spawn(move || {
        let mut worker = Worker::open(&there, then.clone()).unwrap();
        let _ = DispatchLoop::new(&mut worker, dies, ids(&users(OF)), then.clone())
            .up_to(then.now(), &mut ());
    });
    assert!(killed.join().is_err(), "it dies");
    assert_eq!(platform.got.lock().unwrap().len(), 20);
    // The first comes back with its word.
    let mut carry = DispatchLoop::new(
        &mut ledger,
        channels(Fate::Works),
        ids(&users(OF)),
        world("2026-11-11 10:05"),
    );
    until_it_goes_well(&mut carry, at("2026-11-11 10:20"));
    assert!(
        platform.got.lock().unwrap().values().all(|n| *n == 1),
        "{:?}",
        platform.got.lock().unwrap()
    );
    all_accepted(ledger.reader(), 20);
}

// ------------------------------------------------------------------ a worker that stands still

const APP: &str = "wx1";
const SECRET: &str = "s3cret-of-the-account";

fn wechat(url: &str, world: &Arc<dyn World>, endpoint: &str) -> Arc<dyn Channel> {
    let settings = AccountSettings::new("service_account", "service_account")
        .with("app_id", APP)
        .with("secret", Secret::new(SECRET))
        .with("base_url", url);
    let all = open_account(settings, &Http::new().unwrap(), world).unwrap();
    all.into_iter()
        .find(|(name, _)| *name == endpoint)
        .unwrap()
        .1
}

fn by_wechat(place: &Place, endpoint: &str, n: u32) -> Decision {
    let mut decision = place.wanted("a").to(0..n);
    let group = &mut decision.messages[0];
    group.channel = Name {
        account: "service_account".into(),
        platform: "service_account".into(),
        endpoint: endpoint.into(),
    };
    group.addresses = (0..n).map(|i| format!("o{i}").into()).collect();
    let parts = [
        ("platform", "TM1"),
        ("field thing1", "会员专享"),
        ("field amount2", "¥50"),
        ("body", "满300减50"),
    ];
    let parts = parts
        .iter()
        .filter(|(name, _)| (*name == "body") == (endpoint == "chat"));
    let text = tagcast::decide::decision::Rendered {
        parts: parts.map(|(n, t)| ((*n).into(), (*t).into())).collect(),
    };
    group.contents = Contents::Same(Arc::new(text));
    decision
}

/// Stands still between the claim and the request.
struct StandsStill(Arc<dyn Channel>, AtomicBool);

impl Channel for StandsStill {
    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    fn max_batch(&self) -> usize {
        self.0.max_batch()
    }

    fn settles_after(&self) -> Elapsed {
        self.0.settles_after()
    }

    fn send(&self, batch: &Batch) -> Reply {
        if !self.1.swap(true, Ordering::SeqCst) {
            signal(std::process::id(), "STOP");
        }
        self.0.send(batch)
    }
}

fn signal(process: u32, name: &str) {
    assert!(
        Command::new("kill")
            .arg(format!("-{name}"))
            .arg(process.to_string())
            .status()
            .unwrap()
            .success()
    );
}

/// Runs this test binary again as a process of its own.
fn job(name: &str, dir: &Path, more: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "troubles::the_child", "--nocapture"])
        .env("TAGCAST_JOB", name)
        .env("TAGCAST_JOB_DIR", dir);
    command
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: what [`job`] runs. Without a job it has nothing to do.
#[test]
fn the_child() {
    let (Ok(job), Some(dir)) = (
        std::env::var("TAGCAST_JOB"),
        std::env::var_os("TAGCAST_JOB_DIR"),
    ) else {
        return;
    };
    let (dir, var) = (PathBuf::from(dir), |name: &str| {
        std::env::var(name).unwrap()
    });
    match job.as_str() {
        "small disk" => on_a_small_disk(&dir),
        "stands still" => {
            let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(DUE)));
            let place = tagcast::ledger::LedgerLocation::Server {
                url: var("TAGCAST_JOB_DB"),
                beside: dir,
            };
            let mut worker = Worker::open(&place, world.clone()).unwrap();
            let inner = wechat(
                &var("TAGCAST_JOB_URL"),
                &world,
                &var("TAGCAST_JOB_ENDPOINT"),
            );
            let channels = Channels::all_by(Arc::new(StandsStill(inner, AtomicBool::new(false))));
            let mut carry = DispatchLoop::new(&mut worker, channels, ids(&users(OF)), world);
            // Its connection is gone when it wakes up; it tries again, as `tagcast work` does.
            assert!(carry.up_to(at(DUE), &mut ()).is_err());
            until_it_goes_well(&mut carry, at(DUE));
        }
        other => panic!("no job `{other}`"),
    }
}

/// Case 5: a worker stands still between claim and request, longer than a request may begin after
/// its claim; its connection ends, and others settle what it left. When it continues, it sends
/// nothing.
#[test]
fn case_05_a_worker_that_stands_still_sends_nothing_when_it_wakes() {
    for (endpoint, settled) in [("template", State::Accepted), ("chat", State::Unknown)] {
        let Some(place) = server_place() else { return };
        let url = place.url.clone().unwrap();
        let server = Server::start(WeChat::new(APP, SECRET));
        server.with(|p: &mut WeChat| {
            p.windows
                .extend((0..20).map(|i| (format!("o{i}"), (9, i64::MAX))))
        });
        let mut decider = place.open();
        decider
            .planner()
            .plan_run(&by_wechat(&place, endpoint, 20), &place.wanted("a").info())
            .unwrap();
        drop(decider);
        let elsewhere = tempfile::tempdir().unwrap();
        let more = [
            ("TAGCAST_JOB_DB", &*url),
            ("TAGCAST_JOB_URL", &*server.url),
            ("TAGCAST_JOB_ENDPOINT", endpoint),
        ];
        let mut child = job("stands still", elsewhere.path(), &more);
        until("it stands still", || {
            assert_eq!(child.try_wait().unwrap(), None, "the worker ended");
            let stat =
                std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        });
        // Longer than five seconds since its claim.
        std::thread::sleep(Duration::from_millis(5_500));
        postgres::cut(&url);
        let later: Arc<dyn World> = Arc::new(SimulatedWorld::at(at("2026-11-11 10:02")));
        let mut other = Worker::open(place.at(), later.clone()).unwrap();
        let channels = Channels::all_by(wechat(&server.url, &later, endpoint));
        DispatchLoop::new(&mut other, channels, ids(&users(OF)), later.clone())
            .up_to(later.now(), &mut ())
            .unwrap();
        assert_eq!(state(other.reader(), 7, "a"), settled, "{endpoint}");
        let sent = server.requests(&format!(
            "{}/send",
            if endpoint == "chat" {
                "custom"
            } else {
                endpoint
            }
        ));
        assert_eq!(sent, if settled == State::Accepted { 20 } else { 0 });
        signal(child.id(), "CONT");
        assert!(child.wait().unwrap().success(), "{endpoint}");
        assert_eq!(
            server.requests("/send"),
            sent,
            "{endpoint}: it sends nothing when it wakes"
        );
        assert!(server.received().values().all(|n| *n == 1));
        assert_eq!(state(other.reader(), 7, "a"), settled, "{endpoint}");
        assert_eq!(
            other.reader().stuck().unwrap().len(),
            usize::from(settled == State::Unknown),
            "an unknown one is listed"
        );
        verified(other.reader());
    }
}

fn until(what: &str, mut look: impl FnMut() -> bool) {
    let began = Moment::now();
    while !look() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
