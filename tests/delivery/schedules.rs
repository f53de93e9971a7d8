//! Random faults, one schedule a seed: processes that die at some write, disks that refuse some
//! writes and then take them again, databases that are cut off, channels with and without keys that
//! fail, hang or lose their answer, opt-outs, pauses and cancellations in between. Whatever
//! happens: nobody gets anything twice, nobody is lost, and the audit holds.
//!
//! 200 schedules here; `TAGCAST_SCHEDULES=10000` runs more, `TAGCAST_SCHEDULE=17` replays one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::delivery::{Dying, OF, Place, at, ids, on_server, outbox, users};
use crate::support::postgres;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Elapsed, Instant, UserNo};
use tagcast::deliver::channel::{Channel, Reply};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::platforms::sandbox::{Fault, FaultEffect, SandboxFile};
use tagcast::ledger::{
    Batch, BatchOutcome, Console, HoldScope, Ledger, LedgerError, LedgerReader, Message,
    MessageProgress, State, Verdict,
};
use tagcast::program::platform::{self, Endpoint};
use tagcast::program::typed::ChannelName as Name;

/// Numbers that follow from a seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn faults(&mut self) -> Vec<Fault> {
        let n = self.roll(3);
        let fault = |dice: &mut Dice| Fault {
            does: [FaultEffect::Fail, FaultEffect::Hang, FaultEffect::HangAfter][dice.roll(3)],
            campaign: [None, Some("a".into()), Some("b".into())][dice.roll(3)].clone(),
            after: dice.roll(3) as u32,
            times: Some(1 + dice.roll(2) as u32),
        };
        (0..n).map(|_| fault(self)).collect()
    }
}

/// A platform without keys, the worst there is: what is sent to it twice is sent twice. It
/// outlives every process.
#[derive(Clone)]
struct Keyless(Arc<Mutex<Log>>);

struct Log {
    /// How often each user got a message.
    received: BTreeMap<String, usize>,
    /// The database that is cut off from everybody in the middle of some calls.
    database: Option<String>,
    dice: Dice,
    is_good: bool,
}

impl Keyless {
    fn new(dice: &mut Dice, database: Option<String>) -> Self {
        let dice = Dice(dice.roll(usize::MAX >> 1) as u64 | 1);
        Keyless(Arc::new(Mutex::new(Log {
            received: BTreeMap::new(),
            database,
            dice,
            is_good: false,
        })))
    }
}

impl Channel for Keyless {
    fn endpoint(&self) -> &Endpoint {
        platform::endpoint("service_account", "chat").expect("a known channel")
    }

    fn max_batch(&self) -> usize {
        7
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    /// Of each message the answer may be lost, before or after it is accepted; or the connection is
    /// refused.
    fn send(&self, batch: &Batch) -> Reply {
        let mut log = self.0.lock().expect("nobody panics with it");
        let Log {
            received,
            database,
            dice,
            is_good,
        } = &mut *log;
        let good = *is_good || dice.roll(3) > 0;
        let verdict = |m: &Message| {
            let fate = if good { 9 } else { dice.roll(10) };
            if fate < 2 {
                return Verdict::NotSent {
                    reason: "connection refused".into(),
                };
            }
            if fate > 2 {
                *received.entry(m.user_id.to_string()).or_default() += 1;
            }
            if fate < 5 {
                Verdict::Unknown {
                    reason: "reset".into(),
                }
            } else {
                Verdict::Accepted { id: m.key.clone() }
            }
        };
        let verdicts = batch.messages.iter().map(verdict).collect();
        if let Some(url) = database.as_ref().filter(|_| !*is_good && dice.roll(3) == 0) {
            postgres::cut(url);
        }
        BatchOutcome::Taken(verdicts).into()
    }
}

/// A world in which some durable writes fail, and those after them do not.
struct Flaky {
    clock: SimulatedWorld,
    writes: AtomicUsize,
    fail: Range<usize>,
}

impl Flaky {
    fn at(now: Instant, fail: Range<usize>) -> Arc<Flaky> {
        Arc::new(Flaky {
            clock: SimulatedWorld::at(now),
            writes: AtomicUsize::new(0),
            fail,
        })
    }
}

impl World for Flaky {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn unique(&self) -> u64 {
        self.clock.unique()
    }

    fn about_to_write(&self, _: &str) -> io::Result<()> {
        let n = self.writes.fetch_add(1, Ordering::SeqCst);
        if self.fail.contains(&n) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

/// Plans and runs up to a time with a process that may die at any write, or tries again
/// where a write failed.
fn go(
    place: &Place,
    world: Arc<dyn World>,
    faults: Vec<Fault>,
    keyless: &Keyless,
    sizes: (u32, u32),
    until: Instant,
    tries: usize,
) -> Result<(), LedgerError> {
    let mut ledger = Ledger::open(place.at(), world.clone())?;
    let (a, b, slow) = (place.wanted("a"), place.wanted("b"), place.wanted("slow"));
    let mut by_chat = slow.to(0..sizes.1);
    by_chat.messages[0].channel = Name {
        account: "rose".into(),
        platform: "service_account".into(),
        endpoint: "chat".into(),
    };
    ledger.planner().plan_runs(&[
        (&a.personal(0..sizes.0), a.info()),
        (&b.to(0..sizes.1), b.info()),
        (&by_chat, slow.info()),
    ])?;
    let channels = Channels::all_by(Arc::new(SandboxFile::with_faults(
        &place.outbox(),
        world.clone(),
        faults,
    )));
    let channels = channels.bind("rose", "chat", Arc::new(keyless.clone()));
    let mut carry = DispatchLoop::new(&mut ledger, channels, ids(&users(OF)), world);
    for _ in 1..tries {
        if carry.up_to(until, &mut ()).is_ok() {
            break;
        }
    }
    carry.up_to(until, &mut ())?;
    Ok(())
}

/// What a person does in between.
fn meddle(
    place: &Place,
    dice: &mut Dice,
    world: Arc<dyn World>,
    now: Instant,
) -> Result<(), LedgerError> {
    let Some(mut console) = Console::open(place.at(), world)? else {
        return Ok(());
    };
    let campaign = HoldScope::Campaign(["a", "b", "slow"][dice.roll(3)].into());
    match dice.roll(6) {
        0 => console
            .operator()
            .opt_out(&[UserNo(dice.roll(40) as u32)], "console", now),
        1 => console.operator().pause(&campaign, "li", now).map(drop),
        2 => console.operator().resume(&campaign, "li", now).map(drop),
        3 if dice.roll(4) == 0 => console.operator().cancel(&campaign, "li", now).map(drop),
        _ => Ok(()),
    }
}

fn schedule(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let place = Place::new();
    let sizes = (1 + dice.roll(40) as u32, 1 + dice.roll(40) as u32);
    let keyless = Keyless::new(&mut dice, place.url.clone());
    let mut now = at("2026-11-11 10:00");
    for _ in 0..2 + dice.roll(6) {
        let (world, tries): (Arc<dyn World>, _) = match dice.roll(4) {
            0 | 1 => (Dying::after(now, dice.roll(14)), 1),
            2 => (
                Flaky::at(now, {
                    let first = dice.roll(20);
                    first..first + 1 + dice.roll(3)
                }),
                4,
            ),
            _ => (Dying::after(now, usize::MAX), 4),
        };
        let faults = dice.faults();
        let _ = go(&place, world, faults, &keyless, sizes, now, tries);
        let _ = meddle(&place, &mut dice, Dying::after(now, usize::MAX), now);
        now = Instant(now.0 + 1_000_000 * (1 + dice.roll(240) as i64));
    }
    // In the end everything works, and nothing is held back.
    let good = || Dying::after(now, usize::MAX);
    if let Some(mut console) = Console::open(place.at(), good()).unwrap() {
        for scope in ["a", "b", "slow"].map(|name| HoldScope::Campaign(name.into())) {
            console.operator().resume(&scope, "li", now).unwrap();
        }
    }
    keyless.0.lock().expect("nobody panics with it").is_good = true;
    // Twice the time that its pace takes, but not beyond the deadline of what is left.
    for minutes in [0, 3] {
        let then = now.plus(Elapsed::minutes(minutes));
        go(
            &place,
            Dying::after(then, usize::MAX),
            Vec::new(),
            &keyless,
            sizes,
            then,
            1,
        )
        .unwrap();
    }
    check(&place, &keyless, sizes);
}

fn check(place: &Place, keyless: &Keyless, sizes: (u32, u32)) {
    let ledger = LedgerReader::open(place.at()).unwrap().expect("a ledger");
    // A key that is there twice is refused here.
    let sent = outbox(&place.outbox());
    for (campaign, size) in [("a", sizes.0), ("b", sizes.1)] {
        let mut accepted = BTreeSet::new();
        for user in 0..size {
            let outcomes = ledger.outcomes(UserNo(user), campaign).unwrap();
            let [outcome] = &outcomes[..] else {
                panic!("{campaign}: {outcomes:?}")
            };
            let MessageProgress::Message(message) = &outcome.happened else {
                panic!("{campaign} lost {user}: {outcome:?}")
            };
            match message.state {
                State::Accepted => drop(accepted.insert(format!("u{user}"))),
                State::Refused | State::Struck | State::Expired | State::Withdrawn => {}
                other => panic!("{campaign}, user {user}: {other:?} is no end"),
            }
        }
        let lines = sent.get(campaign).map(Vec::as_slice).unwrap_or_default();
        let reached: BTreeSet<String> = lines.iter().map(|(user, _)| user.clone()).collect();
        assert_eq!(
            reached.len(),
            lines.len(),
            "{campaign}: somebody got it twice"
        );
        assert_eq!(
            reached, accepted,
            "{campaign}: the file and the ledger say different things"
        );
    }
    // What has no key is sent once or listed.
    let received = &keyless.0.lock().expect("nobody panics with it").received;
    let mut unknown = 0;
    for user in 0..sizes.1 {
        let got = received.get(&format!("u{user}")).copied().unwrap_or(0);
        let outcomes = ledger.outcomes(UserNo(user), "slow").unwrap();
        let [outcome] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        let MessageProgress::Message(message) = &outcome.happened else {
            panic!("lost {user}: {outcome:?}")
        };
        match message.state {
            State::Accepted => assert_eq!(got, 1, "user {user} is lost"),
            State::Unknown => {
                assert!(got <= 1, "user {user} got it {got} times");
                unknown += 1;
            }
            State::Struck | State::Expired | State::Withdrawn => {
                assert_eq!(got, 0, "user {user} got what was not sent")
            }
            other => panic!("user {user}: {other:?} is no end"),
        }
    }
    let stuck = ledger.stuck().unwrap();
    assert!(
        stuck.iter().all(|s| s.campaign == "slow"),
        "a key settles it"
    );
    assert!(
        stuck.iter().map(|s| s.messages).sum::<i64>() >= unknown,
        "every unknown is listed"
    );
    assert!(
        ledger
            .reports(None)
            .unwrap()
            .iter()
            .all(|r| r.finished_at.is_some() || r.campaign == "slow" && unknown > 0)
    );
    assert_eq!(ledger.verify().unwrap().problems, []);
}

#[test]
fn case_01_random_faults_double_nothing_and_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    if let Some(seed) = number("TAGCAST_SCHEDULE") {
        return schedule(seed);
    }
    for seed in 0..number("TAGCAST_SCHEDULES").unwrap_or(if on_server() { 8 } else { 200 }) {
        let result = std::panic::catch_unwind(|| schedule(seed));
        assert!(
            result.is_ok(),
            "TAGCAST_SCHEDULE={seed} cargo test --test delivery schedules"
        );
        if seed % 1_000 == 999 {
            eprintln!("{} schedules", seed + 1);
        }
    }
}
