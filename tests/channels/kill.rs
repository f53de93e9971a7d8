//! Processes that are killed, really: by SIGKILL at every commit of the ledger, and before and
//! after every HTTP exchange of a run of a thousand messages on three channels of different
//! classes. The next process is killed, too, a few writes further on; the third continues, and the
//! platforms' own logs are compared with the ledger: nobody twice, nobody lost, every unknown
//! listed.
//!
//! A few points here, chosen by a seed; `TAGCAST_KILLS=all` is killed at each of them,
//! `TAGCAST_KILLS=300` at so many, `TAGCAST_KILLS="from 800"` at those after the first 800, and
//! `TAGCAST_KILL="wechat template/send 17 after then 3"` at the one that a failure names.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Instant, UserNo};
use tagcast::decide::decision::{Contents, Decision};
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::ledger::{Ledger, LedgerReader, State};
use tagcast::program::typed::ChannelName as Name;

use super::bench::content;
use super::cuts::{Platforms, channels_at, platforms};
use crate::platforms::{Blow, Server};
use crate::support::delivery::{Dying, Place, Wanted, at, ids, program, state, users, verified};

const N: u32 = 1_000;
/// Calls of an account that are under way at once: so many may be unknown after a kill, where there
/// are no keys.
const TOGETHER: usize = 64;
const START: &str = "2026-11-11 10:00";

/// Campaign, users, platform, endpoint, what their addresses begin with: a key, nothing at all,
/// positive proof.
type Part = (
    &'static str,
    std::ops::Range<u32>,
    &'static str,
    &'static str,
    &'static str,
);
const PARTS: [Part; 3] = [
    ("keyed", 0..400, "service_account", "template", "o"),
    ("keyless", 400..800, "service_account", "chat", "o"),
    ("proved", 800..1_000, "wecom", "group", "wm"),
];

/// Where the process is killed.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Point {
    /// At this durable write, before it is committed.
    Write(usize),
    /// In the middle of the nth request to this path of a platform; the platform has accepted it by
    /// then, or never looks at it.
    Request {
        wecom: bool,
        path: String,
        n: usize,
        accepted: bool,
    },
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Point::Write(n) => write!(f, "write {n}"),
            Point::Request {
                wecom,
                path,
                n,
                accepted,
            } => {
                write!(
                    f,
                    "{} {path} {n} {}",
                    if *wecom { "wecom" } else { "wechat" },
                    if *accepted { "after" } else { "before" }
                )
            }
        }
    }
}

impl Point {
    fn parse(text: &str) -> Option<Point> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["write", n] => Some(Point::Write(n.parse().ok()?)),
            [platform, path, n, when] => Some(Point::Request {
                wecom: platform == "wecom",
                path: path.into(),
                n: n.parse().ok()?,
                accepted: when == "after",
            }),
            _ => None,
        }
    }
}

fn decision(place: &Place, part: Part) -> Decision {
    let (campaign, range, platform, endpoint, head) = part;
    let mut decision = Wanted {
        of: N,
        ..place.wanted(campaign)
    }
    .to(range);
    let group = &mut decision.messages[0];
    group.channel = Name {
        account: platform.into(),
        platform: platform.into(),
        endpoint: endpoint.into(),
    };
    group.addresses = group
        .users
        .iter()
        .map(|u| format!("{head}{}", u.0).into())
        .collect();
    group.expires = at("2026-11-13 10:00");
    group.contents = Contents::Same(match endpoint {
        "template" => content(&[
            ("platform", "TM1"),
            ("field thing1", "会员专享"),
            ("field amount2", "¥50"),
        ]),
        _ => content(&[("body", "满300减50"), ("link", "https://shop.example/a")]),
    });
    decision
}

fn planned() -> Place {
    let text = PARTS
        .map(|(name, ..)| format!("campaign {name} {{ when everyone send template T at {START} }}"))
        .join("\n");
    let place = Place {
        program: program(&format!("template T \"满300减50\"\n{text}")),
        ..Place::new()
    };
    let mut ledger = place.open();
    for part in PARTS {
        let info = place.wanted(part.0);
        ledger
            .planner()
            .plan_run(&decision(&place, part), &info.info())
            .unwrap();
    }
    drop(ledger);
    place
}

/// Works until nothing is left to do.
fn work(place: &Place, urls: [&str; 2], world: Arc<dyn World>, until: Instant) {
    let mut ledger = Ledger::open(place.at(), world.clone()).unwrap();
    DispatchLoop::new(
        &mut ledger,
        channels_at(urls, TOGETHER, &world),
        ids(&users(N)),
        world,
    )
    .up_to(until, &mut ())
    .unwrap();
}

fn urls(platforms: &Platforms) -> [&str; 2] {
    [&platforms.wechat.url, &platforms.wecom.url]
}

/// Kills its own process at a write.
struct Killed(SimulatedWorld, AtomicUsize);

impl World for Killed {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn unique(&self) -> u64 {
        self.0.unique()
    }

    fn about_to_write(&self, _: &str) -> std::io::Result<()> {
        if self.1.fetch_sub(1, Ordering::SeqCst) == 0 {
            kill(std::process::id());
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        Ok(())
    }
}

fn kill(process: u32) {
    let _ = Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status();
}

/// Not a test of its own: the process that is killed.
#[test]
fn the_child() {
    let (Some(dir), Ok(job)) = (
        std::env::var_os("TAGCAST_KILL_DIR"),
        std::env::var("TAGCAST_KILL_JOB"),
    ) else {
        return;
    };
    let [write, wechat, wecom, time] = job.splitn(4, ' ').collect::<Vec<_>>()[..] else {
        panic!("a write, two addresses and a time")
    };
    let (writes, now) = (write.parse().unwrap_or(usize::MAX), at(time));
    let world: Arc<dyn World> = Arc::new(Killed(SimulatedWorld::at(now), AtomicUsize::new(writes)));
    let mut ledger =
        Ledger::open(&std::path::Path::new(&dir).join("ledger.db"), world.clone()).unwrap();
    let channels = channels_at([wechat, wecom], TOGETHER, &world);
    DispatchLoop::new(&mut ledger, channels, ids(&users(N)), world)
        .up_to(now, &mut ())
        .unwrap();
}

fn child(place: &Place, urls: [&str; 2], write: Option<usize>, now: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let write = write.map_or("none".into(), |n| n.to_string());
    command
        .args(["--exact", "kill::the_child"])
        .env("TAGCAST_KILL_DIR", place.dir.path());
    command
        .env(
            "TAGCAST_KILL_JOB",
            format!("{write} {} {} {now}", urls[0], urls[1]),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.spawn().unwrap()
}

/// Kills the process there, and the next one a few writes further on.
fn killed_at(point: &Point, again: usize) {
    let (place, platforms) = (planned(), platforms(N));
    let process = Arc::new(AtomicU32::new(0));
    let server: Option<&Server> = match point {
        Point::Write(_) => None,
        Point::Request {
            wecom,
            path,
            n,
            accepted,
        } => {
            let server = if *wecom {
                &platforms.wecom
            } else {
                &platforms.wechat
            };
            let process = process.clone();
            let falls = Box::new(move || {
                while process.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                kill(process.load(Ordering::SeqCst));
            });
            server.blow(Blow {
                path: path.clone(),
                after: *n,
                accepted: *accepted,
                falls,
            });
            Some(server)
        }
    };
    let mut child = child(
        &place,
        urls(&platforms),
        if let Point::Write(n) = point {
            Some(*n)
        } else {
            None
        },
        START,
    );
    process.store(child.id(), Ordering::SeqCst);
    let ended = child.wait().unwrap();
    assert!(!ended.success(), "{point}: it is killed");
    assert!(
        !server.is_some_and(Server::blow_is_due),
        "{point}: there are fewer requests"
    );
    // What the first left is looked after a minute later; the second may come through before its
    // last write.
    self::child(&place, urls(&platforms), Some(again), "2026-11-11 10:02")
        .wait()
        .unwrap();
    for until in ["2026-11-11 10:04", "2026-11-11 10:06", "2026-11-11 12:00"] {
        work(
            &place,
            urls(&platforms),
            Dying::after(at(until), usize::MAX),
            at(until),
        );
    }
    compare(&place, &platforms, point);
}

/// The platforms' logs against the ledger: 0 doubled, 0 lost, every unknown listed.
fn compare(place: &Place, platforms: &Platforms, point: &Point) {
    let ledger = LedgerReader::open(place.at()).unwrap().expect("a ledger");
    verified(&ledger);
    let received = [platforms.wechat.received(), platforms.wecom.received()];
    let (mut unknown, mut keyless) = (0, 0);
    for (campaign, range, platform, endpoint, head) in PARTS {
        for user in range {
            let got = received[usize::from(platform == "wecom")]
                .get(&format!("{head}{user}"))
                .copied()
                .unwrap_or(0);
            assert!(
                got <= 1,
                "{point}: {endpoint} sent user {user} {got} messages"
            );
            match state(&ledger, user, campaign) {
                State::Accepted | State::Waiting => {
                    assert_eq!(got, 1, "{point}: {endpoint}, user {user} is lost")
                }
                State::Unknown => {
                    unknown += 1;
                    keyless += usize::from(endpoint == "chat");
                    assert_ne!(endpoint, "template", "{point}: a key settles it");
                    assert!(
                        endpoint != "group" || got == 0,
                        "{point}: a task that is there is found by its mark"
                    );
                    assert!(
                        ledger
                            .message_key(
                                ledger.outcomes(UserNo(user), campaign).unwrap()[0].run,
                                0,
                                UserNo(user)
                            )
                            .unwrap()
                            .is_some()
                    );
                }
                other => panic!(
                    "{point}: {endpoint}, user {user} ended as {other:?}, the platform accepted {got}"
                ),
            }
        }
    }
    let listed: i64 = ledger.stuck().unwrap().iter().map(|s| s.messages).sum();
    assert!(
        listed >= unknown,
        "{point}: {unknown} unknown, {listed} listed"
    );
    assert!(
        keyless <= 2 * TOGETHER,
        "{point}: {keyless} unknown, with {TOGETHER} calls under way at each of two kills"
    );
}

/// Every point of an undisturbed run.
fn points() -> Vec<Point> {
    let (place, platforms) = (planned(), platforms(N));
    let world = Dying::after(at(START), 100_000);
    work(&place, urls(&platforms), world.clone(), at(START));
    let mut points: Vec<Point> = (0..world.used(100_000)).map(Point::Write).collect();
    for (wecom, path) in [
        (false, "token"),
        (false, "template/send"),
        (false, "custom/send"),
        (true, "token"),
        (true, "add_msg_template"),
    ] {
        let requests = if wecom {
            platforms.wecom.requests(path)
        } else {
            platforms.wechat.requests(path)
        };
        assert!(requests > 0, "{path}");
        let both = |n| {
            [false, true].map(|accepted| Point::Request {
                wecom,
                path: path.into(),
                n,
                accepted,
            })
        };
        points.extend((0..requests).flat_map(both));
    }
    points
}

#[test]
fn case_01_killed_at_every_commit_and_around_every_request() {
    if let Ok(one) = std::env::var("TAGCAST_KILL") {
        let (point, again) = one.rsplit_once(" then ").expect("as a failure names it");
        return killed_at(
            &Point::parse(point).expect("a point"),
            again.parse().expect("a write"),
        );
    }
    let mut points = points();
    assert!(points.len() > 1_600, "{}", points.len());
    let wanted = std::env::var("TAGCAST_KILLS").unwrap_or_else(|_| "24".into());
    if let Some(from) = wanted.strip_prefix("from ") {
        points.drain(..from.parse::<usize>().expect("a number"));
    } else if wanted != "all" {
        // The two around the one group send, then a few of each kind.
        let mut random = 0x2545_f491_4f6c_dd1du64;
        let mut chosen = points.split_off(points.len() - 2);
        for n in 2..wanted.parse().expect("a number, or `all`") {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let writes = points
                .iter()
                .filter(|p| matches!(p, Point::Write(_)))
                .count();
            let of = if n % 3 == 0 && writes > 0 {
                0..writes
            } else {
                writes..points.len()
            };
            chosen.push(points.remove(of.start + (random % of.len() as u64) as usize));
        }
        points = chosen;
    }
    let all = points.len();
    for (n, point) in points.iter().enumerate() {
        let again = n * 7 % 12;
        let result = std::panic::catch_unwind(|| killed_at(point, again));
        assert!(
            result.is_ok(),
            "TAGCAST_KILL=\"{point} then {again}\" cargo test --test channels kill::case_01"
        );
        if n % 50 == 49 {
            eprintln!("killed at {} of {all} points", n + 1);
        }
    }
}
