//! A service in trouble: the clock jumps, the database is gone, the disk is full. It waits and says
//! so, and continues by itself when the trouble is over; nothing is sent twice, and nothing is lost.

use crate::support;
use crate::support::postgres;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment};

use tagcast::base::Msg;
use tagcast::base::world::World;
use tagcast::base::{Elapsed, Instant, Zone};
use tagcast::engine::Failure;
use tagcast::ledger::{LedgerLocation, LedgerReader, State};
use tagcast::serve::{Journal, ServeOptions, serve};

/// A world whose clock can be moved, whose disk can be full, and that ends when told to.
struct TestWorld {
    began: Moment,
    moved: AtomicI64,
    full: AtomicBool,
    stop: AtomicBool,
    counter: AtomicI64,
}

impl TestWorld {
    fn new() -> Arc<Self> {
        Arc::new(TestWorld {
            began: Moment::now(),
            moved: AtomicI64::new(0),
            full: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            counter: AtomicI64::new(1),
        })
    }

    fn jump(&self, by: Elapsed) {
        self.moved.fetch_add(by.0, Ordering::SeqCst);
    }
}

impl World for TestWorld {
    /// A second after a full minute when the test begins: the next one is far.
    fn now(&self) -> Instant {
        let start = Zone::SHANGHAI.parse_instant("2026-11-11 10:00:01").unwrap();
        let passed = i64::try_from(self.began.elapsed().as_micros()).unwrap();
        Instant(start.0 + passed + self.moved.load(Ordering::SeqCst))
    }

    fn unique(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst) as u64
    }

    fn about_to_write(&self, _: &str) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn has(&self, what: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(what))
    }
}

impl Journal for Told {
    fn info(&self, what: Msg) {
        self.0.lock().unwrap().push(what.en);
    }

    fn retrying(&self, why: &Failure, _: Duration) {
        self.0.lock().unwrap().push(why.message.en.clone());
    }
}

struct Service {
    _dir: tempfile::TempDir,
    folder: PathBuf,
    place: LedgerLocation,
    world: Arc<TestWorld>,
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Five users and a program; the ledger in a file, or in a database.
    fn start(program: &str, database: Option<&str>) -> Service {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_path_buf();
        std::fs::write(
            folder.join("users.csv"),
            "user_id,age\nu1,20\nu2,30\nu3,40\nu4,50\nu5,60\n",
        )
        .unwrap();
        std::fs::write(
            folder.join("tagcast.toml"),
            "[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n",
        )
        .unwrap();
        std::fs::write(
            folder.join("a.campaign"),
            format!("tag age int base\n{program}"),
        )
        .unwrap();
        let (code, _, err) = support::run(&folder, &["plan"]);
        assert_eq!(code, 0, "{err}");
        let store = folder.join(".tagcast");
        let place = match database {
            None => LedgerLocation::File(store.join("ledger.db")),
            Some(url) => LedgerLocation::Server {
                url: url.into(),
                beside: store.clone(),
            },
        };
        let (world, told) = (TestWorld::new(), Arc::new(Told::default()));
        let options = ServeOptions {
            program: folder.clone(),
            store,
            ledger: place.clone(),
            listen: None,
        };
        let (in_world, journal) = (world.clone(), told.clone());
        let thread = std::thread::spawn(move || {
            serve(options, in_world, journal)
                .map_err(|f| f.message.en)
                .unwrap()
        });
        Service {
            _dir: dir,
            folder,
            place,
            world,
            told,
            thread: Some(thread),
        }
    }

    /// Template and user of each message, in the order of the sends.
    fn sent(&self) -> Vec<String> {
        support::service::sent(&self.folder)
    }

    fn until(&self, what: &str, mut look: impl FnMut(&Service) -> bool) {
        let began = Moment::now();
        while !look(self) {
            let done = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let late = began.elapsed() > Duration::from_secs(90);
            assert!(
                !done && !late,
                "never: {what}; sent {:?}; told {:#?}",
                self.sent(),
                self.told.0.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        self.world.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }

    /// All messages of its runs are accepted, and the ledger is whole.
    fn all_accepted(&mut self, n: i64) {
        self.stop();
        let ledger = LedgerReader::open(&self.place).unwrap().unwrap();
        let accepted: i64 = ledger
            .reports(None)
            .unwrap()
            .iter()
            .map(|r| r.in_state(State::Accepted))
            .sum();
        assert_eq!(accepted, n);
        assert!(ledger.stuck().unwrap().is_empty());
        assert_eq!(ledger.verify().unwrap().problems, []);
        let mut sent = self.sent();
        assert_eq!(sent.len() as i64, n);
        sent.sort();
        sent.dedup();
        assert_eq!(sent.len() as i64, n, "nobody twice");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.world.stop.store(true, Ordering::SeqCst);
    }
}

/// Two messages a minute, and a second one half an hour after the first: an hour's jump would bring
/// a fresh minute and the end of the wait.
const SLOW: &str = "template first \"a\" template second \"b\"
    campaign c { when everyone at now pace 2 per minute deadline 5h send template first  after 30min send template second }";

#[test]
fn case_18_a_clock_that_jumps_makes_nothing_due() {
    let mut service = Service::start(SLOW, None);
    service.until("the first minute's messages", |s| s.sent().len() == 2);
    for (by, back) in [
        (Elapsed::hours(1), Elapsed(-Elapsed::hours(1).0)),
        (Elapsed(-Elapsed::hours(1).0), Elapsed::hours(1)),
    ] {
        service.told.0.lock().unwrap().clear();
        service.world.jump(by);
        service.until("a message about the clock", |s| {
            s.told
                .has("nothing is decided or sent until it is put right")
        });
        // Several rounds of scheduler and sender.
        std::thread::sleep(Duration::from_millis(1_500));
        assert_eq!(
            service.sent().len(),
            2,
            "no fresh minute, no early follow-up"
        );
        service.world.jump(back);
        service.until("a message that it is right", |s| {
            s.told.has("the clock is right again")
        });
    }
    // A clock that is off by less than a minute is believed: the next minute comes soon.
    service.world.jump(Elapsed::seconds(50));
    service.until("the next minute's messages", |s| s.sent().len() >= 4);
    assert!(service.sent().iter().all(|m| m.starts_with("first")));
    service.stop();
}

const SERIES: &str = "template first \"a\" template second \"b\"
    campaign c { when everyone at now send template first  after 2s send template second }";

/// Nobody can connect to the database for a while. The service says so and continues by itself.
#[test]
fn a_database_that_is_gone_is_waited_for() {
    let Some(url) = postgres::database() else {
        return;
    };
    let mut service = Service::start(SERIES, Some(&url));
    service.until("the first messages", |s| s.sent().len() == 5);
    postgres::lock_out(&url, true);
    service.until("a message about the database", |s| {
        s.told.has("could not be reached") || s.told.has("the ledger's database")
    });
    // Longer than the follow-up was to wait.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(service.sent().len(), 5, "nothing without the ledger");
    postgres::lock_out(&url, false);
    service.until("the follow-up", |s| s.sent().len() == 10);
    service.all_accepted(10);
}

/// The disk is full for a while.
#[test]
fn a_full_disk_is_waited_for() {
    let mut service = Service::start(SERIES, None);
    service.until("the first messages", |s| s.sent().len() == 5);
    service.world.full.store(true, Ordering::SeqCst);
    service.until("a message about the disk", |s| {
        s.told.has("the disk is full") && s.told.has("free some space")
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(service.sent().len(), 5, "nothing without the ledger");
    service.world.full.store(false, Ordering::SeqCst);
    service.until("the follow-up", |s| s.sent().len() == 10);
    service.all_accepted(10);
}
