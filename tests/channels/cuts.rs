//! Connections that are cut and processes that die, at every point: compared with what the
//! platforms themselves accepted, nobody gets a message twice, nobody is lost, and what cannot be
//! known is listed.

use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Elapsed, Instant};
use tagcast::decide::decision::{Contents, Decision};
use tagcast::deliver::account::AccountSettings;
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::http::client::Http;
use tagcast::deliver::http::secret::Secret;
use tagcast::deliver::platforms::open_account;
use tagcast::ledger::{Ledger, State};
use tagcast::program::typed::ChannelName as Name;

use super::bench::{APP, SECRET, content};
use crate::platforms::wechat::WeChat;
use crate::platforms::wecom::WeCom;
use crate::platforms::{Server, What};
use crate::support::delivery::{DUE, Dying, OF, Place, at, ids, state, users, verified};

pub struct Platforms {
    pub wechat: Server,
    pub wecom: Server,
}

/// `users` may be written to by customer service.
pub fn platforms(users: u32) -> Platforms {
    let wechat = Server::start(WeChat::new(APP, SECRET));
    wechat.with(|p: &mut WeChat| {
        p.windows
            .extend((0..users).map(|i| (format!("o{i}"), (99, i64::MAX))))
    });
    let wecom = Server::start(WeCom::new(APP, SECRET));
    // What is looked for is looked for around the time of its claim.
    wecom.clock_at(at(DUE).0 / 1_000_000);
    Platforms { wechat, wecom }
}

impl Platforms {
    fn channels(&self, world: &Arc<dyn World>) -> Channels {
        channels_at([&self.wechat.url, &self.wecom.url], 16, world)
    }
}

/// The channels of two accounts, at WeChat and at WeCom.
pub fn channels_at(
    [wechat, wecom]: [&str; 2],
    together: usize,
    world: &Arc<dyn World>,
) -> Channels {
    let http = Http::new().unwrap();
    let settings = |platform: &str, url: &str| {
        AccountSettings::new(platform, platform)
            .with("app_id", APP)
            .with("secret", Secret::new(SECRET))
            .with("base_url", url)
            .with("concurrency", i64::try_from(together).unwrap())
    };
    let mut all =
        Channels::sandbox(std::path::Path::new("/nowhere/outbox.jsonl"), world.clone()).unwrap();
    for (platform, url) in [("service_account", wechat), ("wecom", wecom)] {
        for (endpoint, channel) in open_account(settings(platform, url), &http, world).unwrap() {
            all = all.bind(platform, endpoint, channel);
        }
    }
    all
}

/// Users 0 to 99 by mass send, 100 to 199 by customer service messages, 200 to 299 by group send.
fn decisions(place: &Place) -> Vec<(&'static str, Decision)> {
    let to = |campaign: &'static str, from: u32, platform: &str, endpoint: &str, head: &str| {
        let mut decision = place.wanted(campaign).to(from..from + 100);
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
        group.contents = Contents::Same(content(&[
            ("body", "满300减50"),
            ("link", "https://shop.example/a"),
        ]));
        (campaign, decision)
    };
    vec![
        to("a", 0, "service_account", "mass", "o"),
        to("b", 100, "service_account", "chat", "o"),
        to("slow", 200, "wecom", "group", "wm"),
    ]
}

/// Opens the ledger and works, in a world whose durable writes end after so many; until the process
/// dies or nothing is left to do.
fn work(place: &Place, platforms: &Platforms, writes: usize, until: &str) -> usize {
    let dying = Dying::after(at("2026-11-11 09:59"), writes);
    let world: Arc<dyn World> = dying.clone();
    if let Ok(mut ledger) = Ledger::open(&place.ledger(), world.clone()) {
        let mut carry = DispatchLoop::new(
            &mut ledger,
            platforms.channels(&world),
            ids(&users(OF)),
            world,
        );
        let _ = carry.up_to(at(until), &mut ());
    }
    dying.used(writes)
}

fn compare(place: &Place, platforms: &Platforms, what: &str) {
    let ledger = place.open();
    verified(ledger.reader());
    let (wechat, wecom) = (platforms.wechat.received(), platforms.wecom.received());
    let mut unknown = 0;
    for user in 0..OF {
        let (campaign, got) = match user {
            0..100 => ("a", wechat.get(&format!("o{user}"))),
            100..200 => ("b", wechat.get(&format!("o{user}"))),
            _ => ("slow", wecom.get(&format!("wm{user}"))),
        };
        let got = got.copied().unwrap_or(0);
        let state = state(ledger.reader(), user, campaign);
        match state {
            State::Accepted | State::Waiting => {
                assert_eq!(got, 1, "{what}: user {user} is {state:?}")
            }
            State::Unknown => {
                unknown += 1;
                assert!(got <= 1, "{what}: user {user}");
                assert_ne!(campaign, "a", "{what}: a key settles it");
                assert!(
                    campaign != "slow" || got == 0,
                    "{what}: a task that is there is found by its mark"
                );
            }
            other => panic!("{what}: user {user} ended as {other:?}, the platform accepted {got}"),
        }
    }
    let listed: i64 = ledger
        .reader()
        .stuck()
        .unwrap()
        .iter()
        .map(|s| s.messages)
        .sum();
    assert!(
        listed >= unknown,
        "{what}: {unknown} unknown, {listed} listed"
    );
}

fn planned() -> Place {
    let place = Place::new();
    let mut ledger = place.open();
    for (campaign, decision) in decisions(&place) {
        ledger
            .planner()
            .plan_run(&decision, &place.wanted(campaign).info())
            .unwrap();
    }
    drop(ledger);
    place
}

#[test]
fn nobody_twice_and_nobody_lost_whenever_the_process_dies() {
    let place = planned();
    let whole = platforms(OF);
    let writes = work(&place, &whole, 100_000, "2026-11-11 10:05");
    compare(&place, &whole, "undisturbed");
    for dies_after in 0..writes {
        let (place, platforms) = (planned(), platforms(OF));
        work(&place, &platforms, dies_after, "2026-11-11 10:05");
        for until in ["2026-11-11 10:07", "2026-11-11 10:15", "2026-11-11 12:00"] {
            work(&place, &platforms, 100_000, until);
        }
        compare(
            &place,
            &platforms,
            &format!("died after {dies_after} of {writes} writes"),
        );
    }
}

#[test]
fn nobody_twice_and_nobody_lost_wherever_a_connection_is_cut() {
    let mut random = 88_172_645_463_325_252u64;
    let mut next = |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    for seed in 0..12 {
        let (place, platforms) = (planned(), platforms(OF));
        for path in ["mass/send", "custom/send", "add_msg_template", "token"] {
            let server = if path == "add_msg_template" {
                &platforms.wecom
            } else {
                &platforms.wechat
            };
            for _ in 0..=next(3) {
                let what = if next(2) == 0 {
                    What::CutBefore
                } else {
                    What::CutAfter
                };
                server.fault_after(
                    path,
                    what,
                    next(if path == "custom/send" { 90 } else { 2 }) as usize,
                    1 + next(2) as usize,
                );
            }
        }
        for round in 0..6 {
            work(
                &place,
                &platforms,
                100_000,
                &format!("2026-11-11 {}:0{round}", 10 + round),
            );
        }
        platforms.wechat.clear_faults();
        platforms.wecom.clear_faults();
        work(&place, &platforms, 100_000, "2026-11-11 20:00");
        compare(&place, &platforms, &format!("schedule {seed}"));
    }
}

/// Case 21: a repeat of a list is the same bytes. Case 23: after 23 hours there is none, and it is
/// listed for a person.
#[test]
fn case_21_and_23_a_repeat_is_the_same_bytes_or_none_at_all() {
    let (place, platforms) = (planned(), platforms(OF));
    platforms.wechat.fault("mass/send", What::CutAfter, 2);
    work(&place, &platforms, 100_000, DUE);
    assert_eq!(state(place.open().reader(), 5, "a"), State::Unknown);
    work(&place, &platforms, 100_000, "2026-11-11 10:05");
    let bodies = platforms.wechat.bodies("mass/send");
    assert!(
        bodies.len() >= 2 && bodies.windows(2).all(|w| w[0] == w[1]),
        "{} requests",
        bodies.len()
    );
    // The answers were lost each time. A day later nobody repeats it.
    let before = platforms.wechat.requests("mass/send");
    if state(place.open().reader(), 5, "a") == State::Unknown {
        let late: Arc<dyn World> = Arc::new(SimulatedWorld::at(
            Instant(at(DUE).0).plus(Elapsed::hours(24)),
        ));
        let mut ledger = Ledger::open(&place.ledger(), late.clone()).unwrap();
        let mut carry = DispatchLoop::new(
            &mut ledger,
            platforms.channels(&late),
            ids(&users(OF)),
            late.clone(),
        );
        carry.up_to(late.now(), &mut ()).unwrap();
        assert_eq!(platforms.wechat.requests("mass/send"), before);
        assert_eq!(
            ledger
                .reader()
                .stuck()
                .unwrap()
                .iter()
                .filter(|s| s.campaign == "a")
                .count(),
            1
        );
    }
    assert_eq!(
        platforms
            .wechat
            .log()
            .iter()
            .filter(|a| a.endpoint == "mass")
            .count(),
        1
    );
}
