//! Several workers at one PostgreSQL ledger: what one has, no other takes; what a dead one had is
//! unknown and settled; quotas and pauses hold for all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::delivery::{
    self, DUE, OF, Place, Wanted, at, ids, recount, users, verified, world,
};
use crate::support::postgres;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Elapsed, Instant};
use tagcast::deliver::channel::{Channel, Reply};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::ledger::{
    Batch, BatchOutcome, ClaimAttempt, Console, HoldScope, Ledger, LedgerError, LedgerReader,
    State, Verdict, Worker,
};
use tagcast::program::platform::{self, Endpoint};
use tagcast::program::typed::ChannelName as Name;

/// A platform that keeps keys, and counts what it sees. Some workers die in the middle of a call.
#[derive(Default)]
struct Platform {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Accepted messages by key.
    accepted: BTreeMap<String, usize>,
    calls: usize,
    by_minute: BTreeMap<i64, usize>,
}

/// How one worker reaches it.
struct Line {
    platform: Arc<Platform>,
    /// Dies at this call of its own, before or after the platform has accepted.
    dies: Option<(usize, bool)>,
    calls: Mutex<usize>,
    most: usize,
}

impl Line {
    fn to(platform: &Arc<Platform>, dies: Option<(usize, bool)>, most: usize) -> Arc<Line> {
        Arc::new(Line {
            platform: platform.clone(),
            dies,
            calls: Mutex::new(0),
            most,
        })
    }
}

impl Channel for Line {
    fn endpoint(&self) -> &Endpoint {
        platform::endpoint("sandbox", "file").unwrap()
    }

    fn max_batch(&self) -> usize {
        self.most
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed(0)
    }

    fn send(&self, batch: &Batch) -> Reply {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        let dies = self.dies.filter(|(n, _)| *n == call);
        if dies.is_some_and(|(_, after)| !after) {
            panic!("killed before the request");
        }
        {
            let mut seen = self.platform.seen.lock().unwrap();
            seen.calls += 1;
            for message in &batch.messages {
                if seen.accepted.insert(message.key.clone(), 1).is_none() {
                    *seen.by_minute.entry(batch.at.0 / 60_000_000).or_default() += 1;
                }
            }
        }
        assert!(dies.is_none(), "killed after the request");
        let taken = batch
            .messages
            .iter()
            .map(|m| Verdict::Accepted { id: m.key.clone() });
        BatchOutcome::Taken(taken.collect()).into()
    }
}

/// `None` when PostgreSQL is not installed.
fn place() -> Option<Place> {
    Some(Place {
        url: Some(postgres::database()?),
        ..Place::new()
    })
}

/// Runs what is due with a worker of its own thread; whether it came through.
fn work(place: &Place, line: Arc<Line>, until: &'static str) -> thread::JoinHandle<()> {
    let place = place.at();
    thread::spawn(move || {
        let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(DUE)));
        let mut worker = Worker::open(place, world.clone()).unwrap();
        DispatchLoop::new(&mut worker, Channels::all_by(line), ids(&users(OF)), world)
            .up_to(at(until), &mut ())
            .unwrap();
    })
}

#[test]
fn four_workers_and_one_is_killed() {
    for after in [false, true] {
        let Some(place) = place() else { return };
        let mut decider = place.open();
        let a = Wanted {
            of: 40_000,
            ..place.wanted("a")
        };
        let b = Wanted {
            of: 40_000,
            ..place.wanted("b")
        };
        decider
            .planner()
            .plan_runs(&[(&a.to(0..30_000), a.info()), (&b.to(0..10_000), b.info())])
            .unwrap();
        let platform = Arc::new(Platform::default());
        let lines: Vec<_> = (0..4)
            .map(|n| Line::to(&platform, (n == 2).then_some((2, after)), 512))
            .collect();
        let threads: Vec<_> = lines
            .iter()
            .map(|line| work(&place, line.clone(), DUE))
            .collect();
        let died = threads
            .into_iter()
            .map(|t| t.join().is_err())
            .filter(|died| *died)
            .count();
        assert_eq!(died, 1, "one worker is killed");
        // Whoever comes next settles what it left.
        work(&place, Line::to(&platform, None, 512), DUE)
            .join()
            .unwrap();
        let seen = platform.seen.lock().unwrap();
        assert_eq!(seen.accepted.len(), 40_000, "nothing lost");
        let batches = postgres::number(
            place.url.as_ref().unwrap(),
            "SELECT count(*) FROM tagcast.batch",
        );
        assert_eq!(
            seen.calls as i64,
            batches + i64::from(after),
            "nothing is sent twice but what was unknown"
        );
        let reports = decider.reader().reports(None).unwrap();
        assert!(
            reports
                .iter()
                .all(|r| r.in_state(State::Accepted) == r.planned && r.finished_at.is_some()),
            "{reports:?}"
        );
        assert!(decider.reader().stuck().unwrap().is_empty());
        let verified = decider.reader().verify().unwrap();
        assert_eq!(verified.problems, []);
        assert!(
            verified.heads.len() >= 4,
            "a chain for each writer: {:?}",
            verified.heads
        );
    }
}

/// Case 13, its last part: four writers, four chains.
#[test]
fn case_13_changed_byte_is_named_among_four_chains() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let a = Wanted {
        of: 20_000,
        ..place.wanted("a")
    };
    decider
        .planner()
        .plan_run(&a.to(0..20_000), &a.info())
        .unwrap();
    let platform = Arc::new(Platform::default());
    let threads: Vec<_> = (0..3)
        .map(|_| work(&place, Line::to(&platform, None, 256), DUE))
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    verified(decider.reader());
    let url = place.url.as_ref().unwrap();
    let writers = postgres::number(url, "SELECT count(DISTINCT writer) FROM tagcast.audit");
    assert!(writers >= 3, "{writers}");
    let n = postgres::number(
        url,
        "SELECT max(n) FROM tagcast.audit WHERE writer = 'worker 1' AND kind = 'claim'",
    );
    postgres::execute(
        url,
        &format!(
            "UPDATE tagcast.audit SET payload = payload || ' ' WHERE writer = 'worker 1' AND n = {n}"
        ),
    );
    let problems = decider.reader().verify().unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|p| p.en == format!("record {n} of worker 1 is not what was written")),
        "{problems:?}"
    );
}

/// Case 16: four workers share one quota of 60 a minute, also when one of them is killed.
#[test]
fn case_16_a_quota_is_shared() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let program = delivery::program(
        "template T \"满300减50\" campaign slow { when everyone send template T at 2026-11-11 10:00 pace 60 per minute }",
    );
    let slow = Wanted {
        program: &program,
        campaign: "slow",
        due: at(DUE),
        of: OF,
    };
    decider
        .planner()
        .plan_run(&slow.to(0..300), &slow.info())
        .unwrap();
    let platform = Arc::new(Platform::default());
    for (minute, until) in [
        "2026-11-11 10:00",
        "2026-11-11 10:01",
        "2026-11-11 10:02",
        "2026-11-11 10:04",
    ]
    .into_iter()
    .enumerate()
    {
        let lines =
            (0..4).map(|n| Line::to(&platform, (minute == 1 && n == 0).then_some((1, true)), 7));
        let threads: Vec<_> = lines.map(|line| work(&place, line, until)).collect();
        threads.into_iter().for_each(|t| drop(t.join()));
    }
    work(&place, Line::to(&platform, None, 7), "2026-11-11 10:05")
        .join()
        .unwrap();
    let seen = platform.seen.lock().unwrap();
    assert!(
        seen.by_minute.values().all(|n| *n <= 60),
        "{:?}",
        seen.by_minute
    );
    assert_eq!(seen.accepted.len(), 300);
    verified(decider.reader());
}

/// A machine whose clock is minutes off, or right.
struct Off {
    time: SimulatedWorld,
    by: Elapsed,
}

impl World for Off {
    fn now(&self) -> Instant {
        self.time.now().plus(self.by)
    }

    fn unique(&self) -> u64 {
        self.time.unique()
    }

    fn wall(&self) -> Option<Instant> {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Some(Instant(i64::try_from(since.as_micros()).unwrap()).plus(self.by))
    }
}

/// Windows are counted by the database's clock: machines whose own clocks are apart share them all
/// the same.
#[test]
fn case_16_a_quota_is_shared_by_clocks_that_are_apart() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let program = delivery::program(
        "template T \"满300减50\" campaign slow { when everyone send template T at 2026-11-11 10:00 pace 60 per minute deadline 2h }",
    );
    let slow = Wanted {
        program: &program,
        campaign: "slow",
        due: at(DUE),
        of: OF,
    };
    let mut decision = slow.to(0..300);
    decision.messages[0].expires = at("2026-11-11 12:00");
    decider.planner().plan_run(&decision, &slow.info()).unwrap();
    let platform = Arc::new(Platform::default());
    // At the same moment, by three clocks.
    for minutes in [0, 7, 30] {
        let world: Arc<dyn World> = Arc::new(Off {
            time: SimulatedWorld::at(at(DUE)),
            by: Elapsed::minutes(minutes),
        });
        let mut worker = Worker::open(place.at(), world.clone()).unwrap();
        let channels = Channels::all_by(Line::to(&platform, None, 7));
        let now = world.now();
        let carried = DispatchLoop::new(&mut worker, channels, ids(&users(OF)), world)
            .up_to(now, &mut ())
            .unwrap();
        let seconds = carried.next.map(|next| next.since(now).0 / 1_000_000);
        assert!(
            seconds.is_some_and(|wait| (0..=60).contains(&wait)),
            "{minutes}: {seconds:?}"
        );
    }
    // The real clock passes while this runs: at most into the next minute.
    let sent = platform.seen.lock().unwrap().accepted.len();
    assert!(sent == 60 || sent == 120, "{sent}");
    verified(decider.reader());
}

#[test]
fn case_10_a_database_that_does_not_sync_is_refused() {
    let Some(place) = place() else { return };
    let url = place.url.clone().unwrap();
    let (_, name) = url.rsplit_once("dbname=").unwrap();
    postgres::execute(
        &url,
        &format!("ALTER DATABASE {name} SET synchronous_commit = off"),
    );
    let Err(LedgerError::NotDurable { setting, .. }) = Ledger::open(place.at(), world()) else {
        panic!("it is refused")
    };
    assert_eq!(setting, "synchronous_commit = off");
}

/// One decider; whoever loses its connection, and with it its lock, writes nothing more by it.
#[test]
fn case_15_a_decider_without_its_lock_writes_nothing() {
    let Some(place) = place() else { return };
    let mut first = place.open();
    assert!(matches!(
        Ledger::open(place.at(), world()),
        Err(LedgerError::Busy(_))
    ));
    postgres::cut(place.url.as_ref().unwrap());
    let mut second = place.open();
    let a = place.wanted("a");
    let error = first
        .planner()
        .plan_run(&a.to(0..10), &a.info())
        .unwrap_err();
    assert!(
        error.message().en.contains("could not be reached") || error.message().en.contains("57P01"),
        "{error}"
    );
    assert!(matches!(
        first.dispatcher().renew_if_lost(),
        Err(LedgerError::Busy(_))
    ));
    second.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    assert_eq!(second.reader().reports(None).unwrap().len(), 1);
    recount(second.reader(), &["a"]);
    drop((first, second));
    // In the middle of the work, too: what the one who comes after counts is what happened to each
    // user.
    let names = ["a", "b"];
    for round in 0..4u32 {
        let mut decider = place.open();
        let of = place.wanted(names[round as usize % 2]);
        let wanted = Wanted {
            due: Instant(of.due.0 + i64::from(round) * 3_600_000_000),
            ..of
        };
        let platform = Arc::new(Platform::default());
        decider
            .planner()
            .plan_run(&wanted.to(round * 5..round * 5 + 60), &wanted.info())
            .unwrap();
        let line = Line::to(&platform, (round % 2 == 1).then_some((2, round == 1)), 10);
        let mut carry = DispatchLoop::new(
            &mut decider,
            Channels::all_by(line),
            ids(&users(OF)),
            world(),
        );
        if round == 2 {
            postgres::cut(place.url.as_ref().unwrap());
        }
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            carry.up_to(wanted.due, &mut ())
        }));
        postgres::cut(place.url.as_ref().unwrap());
        drop(decider);
        recount(place.open().reader(), &names);
    }
}

/// The database was gone for a moment: the process connects anew and continues, and what was under
/// way is settled.
#[test]
fn a_lost_connection_is_made_anew() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let a = place.wanted("a");
    decider
        .planner()
        .plan_run(&a.to(0..100), &a.info())
        .unwrap();
    postgres::cut(place.url.as_ref().unwrap());
    let platform = Arc::new(Platform::default());
    let mut carry = DispatchLoop::new(
        &mut decider,
        Channels::all_by(Line::to(&platform, None, 10)),
        ids(&users(OF)),
        world(),
    );
    // The service tries again and again; how many of these meet the dying connection is the
    // server's affair.
    let tries = (0..5)
        .map(|_| carry.up_to(at(DUE), &mut ()))
        .take_while(Result::is_err)
        .count();
    assert!(tries < 5, "never connected anew");
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(platform.seen.lock().unwrap().accepted.len(), 100);
    verified(decider.reader());
}

/// A person beside them pauses: no worker claims anything more.
#[test]
fn a_pause_holds_for_all_workers() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let a = place.wanted("a");
    decider
        .planner()
        .plan_run(&a.to(0..100), &a.info())
        .unwrap();
    let mut console = Console::open(place.at(), world()).unwrap().unwrap();
    assert_eq!(
        console
            .operator()
            .pause(&HoldScope::Campaign("a".into()), "li", at(DUE))
            .unwrap(),
        100
    );
    let platform = Arc::new(Platform::default());
    let run = || {
        (0..3)
            .map(|_| work(&place, Line::to(&platform, None, 10), DUE))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|t| t.join().unwrap())
    };
    run();
    assert_eq!(platform.seen.lock().unwrap().calls, 0);
    assert!(
        console
            .operator()
            .resume(&HoldScope::Campaign("a".into()), "li", at(DUE))
            .unwrap()
    );
    run();
    assert_eq!(platform.seen.lock().unwrap().accepted.len(), 100);
    let Ok(Some(reading)) = LedgerReader::open(place.at()) else {
        panic!("a ledger")
    };
    assert!(reading.is_at_work().unwrap() && !reading.is_fenced().unwrap());
    verified(decider.reader());
}

/// Case 11: a database that was put back from an old copy is behind the file that each process
/// keeps.
#[test]
fn case_11_an_old_database_is_fenced() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let a = place.wanted("a");
    decider.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    let platform = Arc::new(Platform::default());
    DispatchLoop::new(
        &mut decider,
        Channels::all_by(Line::to(&platform, None, 5)),
        ids(&users(OF)),
        world(),
    )
    .up_to(at(DUE), &mut ())
    .unwrap();
    drop(decider);
    postgres::execute(
        place.url.as_ref().unwrap(),
        "DELETE FROM tagcast.audit WHERE seq >= (SELECT min(seq) FROM tagcast.audit WHERE kind = 'claim')",
    );
    assert!(matches!(
        Ledger::open(place.at(), world()),
        Err(LedgerError::Fenced { .. })
    ));
    assert!(matches!(
        Worker::open(place.at(), world()),
        Err(LedgerError::Fenced { .. })
    ));
}

#[test]
fn claims_of_others_are_left_alone() {
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let a = place.wanted("a");
    decider.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    let due = decider
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = decider
        .dispatcher()
        .claim(due, 1..=5, &[], at(DUE))
        .unwrap()
    else {
        panic!("a claim")
    };
    // While the decider lives, its claim is its own, and the rest of its segment, too.
    let platform = Arc::new(Platform::default());
    work(&place, Line::to(&platform, None, 5), DUE)
        .join()
        .unwrap();
    assert_eq!(platform.seen.lock().unwrap().calls, 0);
    drop(claim);
    drop(decider);
    work(&place, Line::to(&platform, None, 5), DUE)
        .join()
        .unwrap();
    assert_eq!(platform.seen.lock().unwrap().accepted.len(), 10);
}

/// Case 33: two campaigns want each user's last slot at the same instant; who gets it does not
/// depend on how many send.
#[test]
fn case_33_the_last_slot_with_one_two_and_four_workers() {
    use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
    use tagcast::eval::{EvalScope as Asking, MessageLog, PreparedProgram, Tables};
    let program = "template T \"满300减50\"
        policy { cap 1 per month }
        campaign low { when everyone send template T at 2026-11-11 10:00 }
        campaign high { when everyone send template T at 2026-11-11 10:00 priority 80 }";
    let mut seen = Vec::new();
    for workers in [1, 2, 4] {
        let Some(place) = place() else { return };
        let place = Place {
            program: delivery::program(program),
            ..place
        };
        let snapshot = users(OF);
        let (tables, own, words) = (
            Tables::default(),
            MessageLog::default(),
            ForbiddenWords::default(),
        );
        let scope = Asking {
            snapshot: &snapshot,
            program: &place.program,
            prepared: &PreparedProgram::new(&place.program),
            tables: &tables,
            own: &own,
            now: at(DUE),
            trigger: None,
            outcomes: None,
        };
        let inputs = ["low", "high"].map(|c| {
            DecideInput::scheduled(
                place.program.campaign_named(c).unwrap(),
                at(DUE),
                &scope,
                7,
                &words,
            )
        });
        let mut decider = place.open();
        let decisions = decide_all(&inputs, decider.reader()).unwrap();
        let wanted = place.wanted("low");
        let info = wanted.info();
        decider
            .planner()
            .plan_runs(
                &decisions
                    .iter()
                    .map(|d| (d, info.clone()))
                    .collect::<Vec<_>>(),
            )
            .unwrap();
        let platform = Arc::new(Platform::default());
        let threads: Vec<_> = (0..workers)
            .map(|_| work(&place, Line::to(&platform, None, 16), DUE))
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(platform.seen.lock().unwrap().accepted.len(), OF as usize);
        let reports = decider.reader().reports(None).unwrap();
        seen.push(
            reports
                .iter()
                .map(|r| {
                    (
                        r.campaign.clone(),
                        r.planned,
                        r.in_state(State::Accepted),
                        r.stopped.clone(),
                    )
                })
                .collect::<Vec<_>>(),
        );
        verified(decider.reader());
    }
    assert!(seen.windows(2).all(|w| w[0] == w[1]), "{seen:?}");
}

/// Case 35 with processes: workers claim while the decider plans what matters more; each user gets
/// one message, and the ledger says which.
#[test]
fn case_35_slots_are_taken_while_workers_claim() {
    use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
    use tagcast::eval::{EvalScope as Asking, MessageLog, PreparedProgram, Tables};
    let program = "template T \"满300减50\"
        policy { cap 1 per month }
        campaign low { when everyone send template T at 2026-11-11 10:00 }
        campaign high { when everyone send template T at 2026-11-11 10:00 priority 80 }";
    let Some(place) = place() else { return };
    let place = Place {
        program: delivery::program(program),
        ..place
    };
    let mut decider = place.open();
    let low = place.wanted("low");
    decider
        .planner()
        .plan_run(&low.to(0..OF), &low.info())
        .unwrap();
    let platform = Arc::new(Platform::default());
    let threads: Vec<_> = (0..3)
        .map(|_| work(&place, Line::to(&platform, None, 3), DUE))
        .collect();
    let snapshot = users(OF);
    let (tables, own, words) = (
        Tables::default(),
        MessageLog::default(),
        ForbiddenWords::default(),
    );
    let scope = Asking {
        snapshot: &snapshot,
        program: &place.program,
        prepared: &PreparedProgram::new(&place.program),
        tables: &tables,
        own: &own,
        now: at(DUE),
        trigger: None,
        outcomes: None,
    };
    // As the decider does: whenever a claim came first, it decides anew.
    for _ in 0..10_000 {
        let input = DecideInput::scheduled(
            place.program.campaign_named("high").unwrap(),
            at(DUE),
            &scope,
            7,
            &words,
        );
        let decision = decide_all(&[input], decider.reader()).unwrap().remove(0);
        match decider
            .planner()
            .plan_run(&decision, &place.wanted("high").info())
        {
            Ok(_) => break,
            Err(LedgerError::Overtaken(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    work(&place, Line::to(&platform, None, 512), DUE)
        .join()
        .unwrap();
    assert_eq!(platform.seen.lock().unwrap().accepted.len(), OF as usize);
    let planned: Vec<i64> = decider
        .reader()
        .reports(None)
        .unwrap()
        .iter()
        .map(|r| r.planned)
        .collect();
    assert_eq!(planned.iter().sum::<i64>(), i64::from(OF), "{planned:?}");
    verified(decider.reader());
}

// ------------------------------------------------------------------ chaos

/// A platform that several workers send to, each of which may die, lose its answer or its database
/// in the middle of a call. It shows what each address got, whatever the key.
struct Chaos {
    log: Mutex<ChaosLog>,
    url: String,
}

struct ChaosLog {
    keys: BTreeSet<String>,
    got: BTreeMap<String, usize>,
    random: u64,
    is_good: bool,
}

impl ChaosLog {
    fn roll(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % sides
    }
}

/// By a channel that keeps keys, or by one that knows none.
struct ChaosLine(Arc<Chaos>, bool);

impl Channel for ChaosLine {
    fn endpoint(&self) -> &Endpoint {
        let (platform, endpoint) = if self.1 {
            ("sandbox", "file")
        } else {
            ("service_account", "chat")
        };
        platform::endpoint(platform, endpoint).unwrap()
    }

    fn max_batch(&self) -> usize {
        9
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
        let Chaos { log, url } = &*self.0;
        let dies = || std::panic::resume_unwind(Box::new("killed"));
        let (fate, cut) = {
            let mut log = log.lock().unwrap();
            let (fate, cut) = if log.is_good {
                (9, false)
            } else {
                (log.roll(10), log.roll(8) == 0)
            };
            if (2..10).contains(&fate) {
                for message in &batch.messages {
                    if !self.1 || log.keys.insert(message.key.clone()) {
                        *log.got.entry(message.address.to_string()).or_default() += 1;
                    }
                }
            }
            (fate, cut)
        };
        if cut {
            postgres::cut(url);
        }
        match fate {
            0 => BatchOutcome::NotSent {
                reason: "connection refused".into(),
            }
            .into(),
            1 | 2 => dies(),
            3 => BatchOutcome::Unknown {
                reason: "reset".into(),
            }
            .into(),
            _ => BatchOutcome::Taken(
                batch
                    .messages
                    .iter()
                    .map(|m| Verdict::Accepted { id: m.key.clone() })
                    .collect(),
            )
            .into(),
        }
    }
}

/// Three workers in a wild world, several times over, each with a folder of its own; then one in a
/// good world. With a key everybody gets one message; without one nobody gets two, and who is not
/// accepted is unknown and listed.
fn chaos(seed: u64) {
    let Some(place) = place() else { return };
    let url = place.url.clone().unwrap();
    let mut decider = place.open();
    let (a, b) = (place.wanted("a"), place.wanted("b"));
    let mut by_chat = b.to(100..160);
    by_chat.messages[0].channel = Name {
        account: "rose".into(),
        platform: "service_account".into(),
        endpoint: "chat".into(),
    };
    decider
        .planner()
        .plan_runs(&[(&a.to(0..100), a.info()), (&by_chat, b.info())])
        .unwrap();
    drop(decider);
    let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let log = ChaosLog {
        keys: BTreeSet::new(),
        got: BTreeMap::new(),
        random,
        is_good: false,
    };
    let chaos = Arc::new(Chaos {
        log: Mutex::new(log),
        url: url.clone(),
    });
    let folders: Vec<tempfile::TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let work = |folder: &tempfile::TempDir, minutes: i64| {
        let there = tagcast::ledger::LedgerLocation::Server {
            url: url.clone(),
            beside: folder.path().into(),
        };
        let channels = Channels::all_by(Arc::new(ChaosLine(chaos.clone(), true)));
        let channels = channels.bind("rose", "chat", Arc::new(ChaosLine(chaos.clone(), false)));
        thread::spawn(move || {
            let now = at(DUE).plus(Elapsed::minutes(minutes));
            let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(now));
            // Its connection may be cut at any moment, this one included.
            let Ok(mut worker) = Worker::open(&there, world.clone()) else {
                return;
            };
            let mut carry = DispatchLoop::new(&mut worker, channels, ids(&users(OF)), world);
            (0..4).any(|_| carry.up_to(now, &mut ()).is_ok());
        })
    };
    for round in 0..4 {
        let threads: Vec<_> = folders
            .iter()
            .map(|folder| work(folder, 2 * round))
            .collect();
        threads.into_iter().for_each(|t| drop(t.join()));
    }
    chaos.log.lock().unwrap().is_good = true;
    for (n, folder) in folders.iter().enumerate() {
        work(folder, 20 + 5 * n as i64).join().unwrap();
    }
    let ledger = LedgerReader::open(place.at()).unwrap().unwrap();
    let got = &chaos.log.lock().unwrap().got;
    let mut unknown = 0;
    for user in 0..160 {
        let campaign = if user < 100 { "a" } else { "b" };
        let n = got.get(&format!("address of {user}")).copied().unwrap_or(0);
        match delivery::state(&ledger, user, campaign) {
            State::Accepted => assert_eq!(n, 1, "seed {seed}: user {user} of {campaign}"),
            State::Unknown if campaign == "b" => {
                unknown += 1;
                assert!(n <= 1, "seed {seed}: user {user} got it {n} times");
            }
            other => panic!(
                "seed {seed}: user {user} of {campaign} ended as {other:?}, the platform accepted {n}"
            ),
        }
    }
    assert_eq!(
        ledger
            .stuck()
            .unwrap()
            .iter()
            .map(|s| s.messages)
            .sum::<i64>(),
        unknown,
        "seed {seed}: every unknown is listed"
    );
    verified(&ledger);
}

/// Wrong settings on one machine are said for as long as no other one shows that the account works.
#[test]
fn a_worker_that_gets_through_ends_what_another_has_said() {
    struct Stops;
    impl Channel for Stops {
        fn endpoint(&self) -> &Endpoint {
            platform::endpoint("sandbox", "file").unwrap()
        }
        fn max_batch(&self) -> usize {
            10
        }
        fn settles_after(&self) -> Elapsed {
            Elapsed(0)
        }
        fn send(&self, _: &Batch) -> Reply {
            let why = tagcast::base::Msg {
                en: "wrong secret".into(),
                zh: "密钥错误".into(),
            };
            Reply {
                answer: BatchOutcome::NotSent {
                    reason: "40125".into(),
                },
                then: tagcast::deliver::channel::NextAction::Stop { why },
            }
        }
    }
    let Some(place) = place() else { return };
    let mut decider = place.open();
    let world = || -> Arc<dyn World> { Arc::new(SimulatedWorld::at(at(DUE))) };
    let (mut a, mut b) = (
        Worker::open(place.at(), world()).unwrap(),
        Worker::open(place.at(), world()).unwrap(),
    );
    let mut wrong = DispatchLoop::new(
        &mut a,
        Channels::all_by(Arc::new(Stops)),
        ids(&users(OF)),
        world(),
    );
    let line = Line::to(&Arc::new(Platform::default()), None, 10);
    let mut right = DispatchLoop::new(&mut b, Channels::all_by(line), ids(&users(OF)), world());
    // Both have looked, and found nothing.
    assert_eq!(
        wrong.up_to(at(DUE), &mut ()).unwrap().accepted
            + right.up_to(at(DUE), &mut ()).unwrap().accepted,
        0
    );
    let wanted = place.wanted("a");
    decider
        .planner()
        .plan_run(&wanted.to(0..20), &wanted.info())
        .unwrap();
    wrong.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(
        decider.reader().troubles().unwrap()[0].0.why.en,
        "wrong secret"
    );
    assert_eq!(
        right
            .up_to(at("2026-11-11 10:01"), &mut ())
            .unwrap()
            .accepted,
        20
    );
    assert_eq!(decider.reader().troubles().unwrap(), []);
    wrong.try_stopped();
    wrong.up_to(at("2026-11-11 10:02"), &mut ()).unwrap();
    assert_eq!(decider.reader().troubles().unwrap(), []);
    verified(decider.reader());
}

/// `TAGCAST_CHAOS=500` for more; `TAGCAST_CHAOS_SEED=17` for one of them, as far as threads repeat
/// themselves.
#[test]
fn workers_that_die_and_lose_their_database_double_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    if let Some(seed) = number("TAGCAST_CHAOS_SEED") {
        return chaos(seed);
    }
    (0..number("TAGCAST_CHAOS").unwrap_or(4)).for_each(chaos);
}
