//! Whom a channel reaches, as the past says: an address that a platform has refused for good is
//! passed over until the user gives a sign of life, or has another address.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::campaigns::{Bench, ZONE, at};
use tagcast::base::Lang;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Elapsed, UserNo, Value};
use tagcast::ledger::{
    Ledger, MessageKey, MessageNews, NewCall, Page, Receipt, ReceiptContent, ReceiptKind, State,
};
use tagcast::program::platform::{self, Contact, ContactKind};

const TWO_WAYS: &str = r#"
    tag wx address(service_account)
    template T { platform "TM1" field thing1 = "hi" }
    campaign first { when everyone purpose service send template T via service_account.template at 2026-11-11 10:00 }
    campaign second { when everyone purpose service send template T via service_account.template, sandbox.file at 2026-11-12 10:00 }
    campaign third { when everyone purpose service send template T via service_account.template at 2026-11-13 10:00 }
"#;

fn bench(program: &str, users: usize) -> Bench {
    let mut bench = Bench::new(program);
    (0..users).for_each(|n| bench.addressed(&format!("u{n}"), "wx"));
    bench
}

/// The platform refuses what a campaign sends, for the addresses.
fn bar(bench: &Bench, campaign: &str) {
    let control = format!("[[fault]]\ndo = \"bar\"\ncampaign = \"{campaign}\"\n");
    std::fs::write(bench.store().join("outbox.jsonl.control"), control).unwrap();
}

/// What the platform tells of a user, at an instant.
fn tell(bench: &Bench, account: &str, kind: ContactKind, users: &[u32], when: &str) {
    tell_of(bench, account, kind, "", users, when);
}

/// The same of a subscription to a template.
fn tell_of(
    bench: &Bench,
    account: &str,
    kind: ContactKind,
    topic: &str,
    users: &[u32],
    when: &str,
) {
    let users = users.iter().copied().map(UserNo).collect();
    told(
        bench,
        account,
        when,
        &format!("{kind:?} {topic}"),
        ReceiptContent::Contact {
            users,
            kind,
            topic: topic.into(),
        },
    );
}

/// What the platform tells at an instant, kept and applied.
fn told(bench: &Bench, account: &str, when: &str, key: &str, what: ReceiptContent) {
    let when = at(when);
    let mut ledger = Ledger::open(bench.place(), Arc::new(SimulatedWorld::at(when))).unwrap();
    let call = NewCall {
        account: account.into(),
        at: when,
        query: String::new(),
        signature: String::new(),
        body: String::new(),
    };
    ledger.dispatcher().receive(&[call], when).unwrap();
    for call in ledger.reader().calls(10).unwrap() {
        ledger
            .dispatcher()
            .apply(
                &call,
                Some(&[Receipt {
                    key: format!("{key} {}", when.0),
                    when,
                    what: what.clone(),
                }]),
                when,
            )
            .unwrap();
    }
}

/// The platform refuses what a campaign sends until the user does something.
fn close(bench: &Bench, campaign: &str) {
    let control = format!("[[fault]]\ndo = \"close\"\ncampaign = \"{campaign}\"\ntimes = 1\n");
    std::fs::write(bench.store().join("outbox.jsonl.control"), control).unwrap();
}

/// By which channel each user got a campaign's message.
fn by(bench: &Bench, campaign: &str) -> BTreeSet<(String, String)> {
    bench
        .sent()
        .into_iter()
        .filter(|m| m.campaign == campaign)
        .map(|m| (m.user, m.channel))
        .collect()
}

fn pairs(of: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    of.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn a_refused_address_is_passed_over_from_then_on() {
    let bench = bench(TWO_WAYS, 2);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!(bench.ledger().refused(UserNo(0)).unwrap().len(), 1);
    bench.run("2026-11-12 09:00", "2026-11-13 12:00");
    assert_eq!(
        by(&bench, "second"),
        pairs(&[("u0", "sandbox.file"), ("u1", "sandbox.file")])
    );
    assert_eq!(by(&bench, "third"), pairs(&[]));
    assert_eq!(bench.stopped("third", "u1"), ["third: unreachable"]);
    bench.verified();
}

#[test]
fn why_names_the_channel_that_is_passed_over() {
    let bench = bench(TWO_WAYS, 1);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    let (text, json) = why(&bench, "second", 0, "2026-11-12 09:00");
    let line = "passed over: service_account.template, the address was refused on 2026-11-11 10:00: told to refuse the address\n";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains("at 2026-11-12 10:00 it would be: message by sandbox.file"),
        "{text}"
    );
    assert_eq!(
        json["passed_over"][0]["channel"],
        "service_account.template"
    );
    let (text, _) = why(&bench, "third", 0, "2026-11-12 09:00");
    assert!(
        text.contains(line) && text.contains("it would be: unreachable"),
        "{text}"
    );
}

/// As `tagcast why` says it.
fn why(bench: &Bench, campaign: &str, user: u32, now: &str) -> (String, serde_json::Value) {
    let (project, world): (_, Arc<dyn World>) =
        (bench.project(), Arc::new(SimulatedWorld::at(at(now))));
    let data = bench.data(&project, at(now));
    let id = project.program.campaign_named(campaign).unwrap();
    let why = tagcast::engine::explain_user::why(
        &project,
        &data,
        &bench.store(),
        id,
        UserNo(user),
        &world,
    )
    .unwrap();
    (why.show(&project, Lang::En), why.json(&project))
}

#[test]
fn a_sign_of_life_opens_the_account_again() {
    let bench = bench(TWO_WAYS, 3);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    // Of another account, or from before the refusal but told late: neither says anything.
    tell(
        &bench,
        "subscription_account",
        ContactKind::Follow,
        &[0],
        "2026-11-11 13:00",
    );
    tell(
        &bench,
        "service_account",
        ContactKind::Message,
        &[0],
        "2026-11-11 09:30",
    );
    assert_eq!(bench.ledger().refused(UserNo(0)).unwrap().len(), 1);
    tell(
        &bench,
        "service_account",
        ContactKind::Follow,
        &[1],
        "2026-11-11 13:00",
    );
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    let expected = [
        ("u0", "sandbox.file"),
        ("u1", "service_account.template"),
        ("u2", "sandbox.file"),
    ];
    assert_eq!(by(&bench, "second"), pairs(&expected));
    bench.verified();
}

/// A receipt may say so after the message was taken, also before the answer to its send is
/// known.
#[test]
fn a_receipt_may_say_that_an_address_takes_nothing() {
    let bench = bench(TWO_WAYS, 3);
    let refused = |id: &str, when: &str| {
        told(
            &bench,
            "service_account",
            when,
            id,
            ReceiptContent::Refused {
                id: id.into(),
                reason: "user block".into(),
            },
        )
    };
    // The sandbox counts its lines: 2 is the second message.
    refused("2", "2026-11-11 09:59");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    let mut ledger = Ledger::open(
        bench.place(),
        Arc::new(SimulatedWorld::at(at("2026-11-11 13:00"))),
    )
    .unwrap();
    ledger
        .dispatcher()
        .apply_strays(at("2026-11-11 13:00"))
        .unwrap();
    drop(ledger);
    refused("3", "2026-11-11 13:00");
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    let expected = [
        ("u0", "service_account.template"),
        ("u1", "sandbox.file"),
        ("u2", "sandbox.file"),
    ];
    assert_eq!(by(&bench, "second"), pairs(&expected));
    assert_eq!(
        bench.ledger().refused(UserNo(1)).unwrap()[0].reason,
        "user block"
    );
    bench.verified();
}

#[test]
fn another_address_is_another_chance() {
    let mut bench = bench(TWO_WAYS, 2);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    bench.addressed_at("u1", "wx", "another");
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    assert_eq!(
        by(&bench, "second"),
        pairs(&[("u0", "sandbox.file"), ("u1", "service_account.template")])
    );
    bench.verified();
}

// ------------------------------------------------------------------ windows

/// A message that a channel takes.
fn fitting(channel: &str) -> &'static str {
    match channel {
        "service_account.notice" => "platform \"TM1\" field thing1 = \"hi\"",
        "service_account.chat" | "wecom.kf" | "douyin.message" => "body \"hi\"",
        other => {
            panic!("say here what `{other}` takes: it is open only after a user did something")
        }
    }
}

fn daily(platform: &str, channel: &str) -> Bench {
    let parts = fitting(channel);
    let program = format!(
        "tag wx address({platform})
        template T {{ {parts} }}
        campaign c {{ when everyone send template T via {channel} every day at 10:00 again always }}"
    );
    bench(&program, 3)
}

/// Each thing that opens a channel of any platform opens it for whom it should, as long as it should,
/// for as many messages as it should.
#[test]
fn every_window_of_every_platform_is_kept() {
    let mut rules = 0;
    for platform in platform::all() {
        for endpoint in &platform.endpoints {
            for rule in &endpoint.contacts {
                rules += 1;
                let channel = format!("{}.{}", platform.name, endpoint.name);
                let bench = daily(&platform.name, &channel);
                let topic = if rule.by == ContactKind::Subscription {
                    "TM1"
                } else {
                    ""
                };
                // The first is half a minute before, of the second it has just ended, and the third
                // did nothing.
                tell_of(
                    &bench,
                    &platform.name,
                    rule.by,
                    topic,
                    &[0],
                    "2026-11-11 09:59:30",
                );
                if let Some(within) = rule.within {
                    let before = ZONE.show_rfc3339(at("2026-11-11 10:00").minus(within));
                    tell_of(&bench, &platform.name, rule.by, topic, &[1], &before);
                }
                bench.run("2026-11-11 09:59:40", "2026-11-20 12:00");
                let open = |day: &i64| {
                    rule.within
                        .is_none_or(|within| day * 86_400 + 30 < within.0 / 1_000_000)
                };
                let days = (0..10).filter(open).count();
                let expected = rule
                    .messages
                    .map_or(days, |messages| days.min(messages as usize));
                let sent = |user: &str| bench.sent().iter().filter(|m| m.user == user).count();
                // Who did what opens it for good before anybody listened, nobody knows.
                let (expected, others) = if endpoint.contacts.iter().any(Contact::lasts) {
                    (10, 10)
                } else {
                    (expected, 0)
                };
                assert_eq!(
                    [sent("u0"), sent("u1"), sent("u2")],
                    [expected, others, others],
                    "{channel} after {}",
                    rule.after.en
                );
                assert!(
                    bench
                        .stopped("c", "u2")
                        .iter()
                        .all(|s| s == "c: unreachable")
                );
                bench.verified();
            }
        }
    }
    assert!(rules > 0);
}

/// What is open for good is closed by the platform's refusal, until the user opens it again.
#[test]
fn what_lasts_is_closed_by_a_refusal() {
    let bench = daily("douyin", "douyin.message");
    tell(
        &bench,
        "douyin",
        ContactKind::Authorisation,
        &[0, 1],
        "2026-11-01 09:00",
    );
    close(&bench, "c");
    bench.run("2026-11-11 09:30", "2026-11-11 12:00");
    std::fs::remove_file(bench.store().join("outbox.jsonl.control")).unwrap();
    tell(
        &bench,
        "douyin",
        ContactKind::Authorisation,
        &[1],
        "2026-11-11 13:00",
    );
    bench.run("2026-11-12 09:30", "2026-11-12 12:00");
    assert_eq!(bench.got_of("c", "T"), ["u1", "u2"]);
    let (text, _) = why(&bench, "c", 0, "2026-11-12 12:00");
    assert!(text.contains("the user's authorisation in the mini program on 2026-11-01 09:00 counts no more, says the platform"), "{text}");
    let (text, _) = why(&bench, "c", 2, "2026-11-12 12:00");
    assert!(!text.contains("passed over"), "{text}");
    bench.verified();
}

/// Where nobody ever told of what users do, the platform's own refusal has to do.
#[test]
fn what_is_never_told_closes_nothing() {
    let bench = daily("service_account", "service_account.chat");
    tell(
        &bench,
        "subscription_account",
        ContactKind::Message,
        &[0],
        "2026-11-11 09:00",
    );
    tell_of(
        &bench,
        "service_account",
        ContactKind::Subscription,
        "TM1",
        &[0],
        "2026-11-11 09:00",
    );
    bench.run("2026-11-11 09:30", "2026-11-11 12:00");
    assert_eq!(bench.got("c").len(), 3);
}

#[test]
fn a_window_is_used_up_and_opened_again() {
    let program = r#"
        tag wx address(service_account)
        template T { body "hi" }
        campaign c { when everyone send template T via service_account.chat every hour 7:00..21:00 again always }
        campaign d { when everyone send template T via service_account.chat, sandbox.file at 2026-11-11 18:30 }
    "#;
    let bench = bench(program, 1);
    tell(
        &bench,
        "service_account",
        ContactKind::Message,
        &[0],
        "2026-11-11 06:00",
    );
    bench.run("2026-11-11 06:30", "2026-11-11 14:30");
    assert_eq!(bench.got("c").len(), 5);
    let (text, _) = why(&bench, "c", 0, "2026-11-11 14:30");
    let line = "passed over: service_account.chat, it is not open: a message of the user on 2026-11-11 06:00 allows no more messages\n";
    assert!(text.contains(line), "{text}");
    tell(
        &bench,
        "service_account",
        ContactKind::Message,
        &[0],
        "2026-11-11 14:45",
    );
    bench.run("2026-11-11 14:50", "2026-11-11 19:30");
    // 15:00 to 18:00, then the last one is another campaign's, and 19:00 finds none.
    assert_eq!(
        (bench.got("c").len(), by(&bench, "d")),
        (9, pairs(&[("u0", "service_account.chat")]))
    );
    bench.verified();
}

/// One accepted prompt is one message of that template, and a refusal for now takes what is left.
#[test]
fn subscriptions_add_up_by_template() {
    let program = r#"
        tag wx address(service_account)
        template T { platform "TM1" field thing1 = "hi" }
        template S { platform "TM2" field thing1 = "hi" }
        campaign c { when everyone send template T via service_account.notice every day at 10:00 again always }
        campaign d { when everyone send template S via service_account.notice every day at 11:00 again always }
    "#;
    let bench = bench(program, 3);
    let accept = |topic, users: &[u32], when| {
        tell_of(
            &bench,
            "service_account",
            ContactKind::Subscription,
            topic,
            users,
            when,
        )
    };
    accept("TM1", &[0, 1], "2026-11-11 08:00");
    accept("TM1", &[0], "2026-11-11 08:01");
    accept("TM2", &[2], "2026-11-11 08:02");
    bench.run("2026-11-11 09:00", "2026-11-14 12:00");
    assert_eq!(
        (bench.got_of("c", "T"), bench.got_of("d", "S")),
        (
            vec!["u0".into(), "u0".into(), "u1".into()],
            vec!["u2".to_owned()]
        )
    );
    accept("TM1", &[1], "2026-11-14 13:00");
    accept("TM1", &[1], "2026-11-14 13:01");
    close(&bench, "c");
    bench.run("2026-11-15 09:00", "2026-11-17 12:00");
    assert_eq!(
        bench.got("c").len(),
        3,
        "the platform knows better than the count"
    );
    std::fs::remove_file(bench.store().join("outbox.jsonl.control")).unwrap();
    accept("TM1", &[1], "2026-11-17 13:00");
    bench.run("2026-11-18 09:00", "2026-11-19 12:00");
    assert_eq!(bench.got("c").len(), 4);
    bench.verified();
}

/// What waited until its channel had closed is not sent.
#[test]
fn a_window_that_closes_before_the_turn_is_kept() {
    let program = r#"
        tag wx address(service_account)
        template T { body "hi" }
        campaign c { when everyone send template T via service_account.chat at 2026-11-13 10:00 pace 1 per minute }
    "#;
    let bench = bench(program, 6);
    tell(
        &bench,
        "service_account",
        ContactKind::Message,
        &[0, 1, 2, 3, 4],
        "2026-11-11 10:02:30",
    );
    tell(
        &bench,
        "service_account",
        ContactKind::Message,
        &[5],
        "2026-11-12 10:00",
    );
    bench.run("2026-11-13 09:00", "2026-11-13 12:00");
    assert_eq!(bench.got_of("c", "T"), ["u0", "u1", "u2", "u5"]);
    assert_eq!(bench.state("c", "u3"), State::Expired);
    let (text, _) = why(&bench, "c", 4, "2026-11-13 12:00");
    assert!(text.contains("expired (unreachable)"), "{text}");
    assert!(
        bench.ledger().reports(Some("c")).unwrap()[0]
            .finished_at
            .is_some()
    );
    bench.verified();
}

/// Events that come together compete for what is left.
#[test]
fn events_use_up_a_window_one_by_one() {
    let program = r#"
        tag wx address(service_account)
        event cart { item text }
        template T { body "hi" }
        campaign c { on cart again always send template T via service_account.chat }
    "#;
    let mut bench = bench(program, 2);
    for n in 0..8 {
        bench.event(
            "cart",
            &format!("u{}", n % 2),
            &format!("2026-11-11 10:00:{n:02}"),
            vec![Some(Value::text("x"))],
        );
    }
    tell(
        &bench,
        "service_account",
        ContactKind::Follow,
        &[0],
        "2026-11-11 09:59:30",
    );
    bench.run("2026-11-11 09:59:40", "2026-11-11 12:00");
    assert_eq!(bench.got_of("c", "T"), ["u0"; 3]);
    bench.verified();
}

// ------------------------------------------------------------------ mailboxes

fn fetch(bench: &Bench, from: &str, page: &Page, when: &str) -> bool {
    let when = at(when);
    let mut ledger = Ledger::open(bench.place(), Arc::new(SimulatedWorld::at(when))).unwrap();
    ledger
        .dispatcher()
        .fetched("wecom", "kf1", from, page, when)
        .unwrap()
}

fn page(body: Option<&str>, mark: &str, more: bool) -> Page {
    Page {
        body: body.map(str::to_owned),
        mark: mark.into(),
        more,
    }
}

/// An account whose mailbox was read to its end has told of everybody who wrote; one that has more,
/// or is not understood yet, has not.
#[test]
fn an_empty_mailbox_says_that_nobody_wrote() {
    let bench = daily("wecom", "wecom.kf");
    assert!(fetch(
        &bench,
        "",
        &page(Some("[]"), "1", true),
        "2026-11-11 08:00"
    ));
    assert_eq!(bench.ledger().mailboxes().unwrap()[0].read_at, None);
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!(bench.sent().len(), 3);
    // To its end, but the page is not understood yet.
    assert!(fetch(
        &bench,
        "1",
        &page(Some("[]"), "2", false),
        "2026-11-12 08:00"
    ));
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    assert_eq!(bench.sent().len(), 6);
    let mut ledger = Ledger::open(
        bench.place(),
        Arc::new(SimulatedWorld::at(at("2026-11-12 13:00"))),
    )
    .unwrap();
    for call in ledger.reader().calls(10).unwrap() {
        ledger
            .dispatcher()
            .apply(&call, Some(&[]), at("2026-11-12 13:00"))
            .unwrap();
    }
    drop(ledger);
    bench.run("2026-11-13 09:00", "2026-11-13 12:00");
    assert_eq!(bench.sent().len(), 6);
    assert_eq!(
        bench.stopped("c", "u1").last().map(String::as_str),
        Some("c: unreachable")
    );
    tell(
        &bench,
        "wecom",
        ContactKind::Message,
        &[1],
        "2026-11-13 20:00",
    );
    bench.run("2026-11-14 09:00", "2026-11-14 12:00");
    assert_eq!(bench.sent().len(), 7);
    bench.verified();
}

/// Of two processes that fetch the same page one keeps it.
#[test]
fn a_page_is_kept_once() {
    let bench = daily("wecom", "wecom.kf");
    assert!(fetch(
        &bench,
        "",
        &page(Some("[1]"), "1", false),
        "2026-11-11 08:00"
    ));
    assert!(!fetch(
        &bench,
        "",
        &page(Some("[1]"), "1", false),
        "2026-11-11 08:00"
    ));
    // Nothing new: the mark stays, and it is known when that was.
    assert!(fetch(
        &bench,
        "1",
        &page(None, "1", false),
        "2026-11-11 08:10"
    ));
    let ledger = bench.ledger();
    assert_eq!(
        (
            ledger.calls(10).unwrap().len(),
            ledger.mark("wecom", "kf1").unwrap().as_str()
        ),
        (1, "1")
    );
    assert_eq!(
        ledger.mailboxes().unwrap()[0].read_at,
        Some(at("2026-11-11 08:10"))
    );
    bench.verified();
}

// ------------------------------------------------------------------ all of several channels

/// `u0` has both addresses, `u1` and `u2` one each, `u3` none.
fn two_channels(clauses: &str) -> Bench {
    let program = format!(
        "tag wx address(service_account)\ntag wc address(wecom)\ntag age int 0..120\ntemplate T {{ body \"hi\" }}\ntemplate U {{ body \"again\" }}
        campaign c {{ when everyone send template T via all of service_account.chat, wecom.app at 2026-11-11 10:00 {clauses} }}"
    );
    let mut bench = Bench::new(&program);
    ["u0", "u1", "u2", "u3"]
        .iter()
        .for_each(|u| _ = bench.user(u));
    ["u0", "u1"].iter().for_each(|u| bench.addressed(u, "wx"));
    ["u0", "u2"].iter().for_each(|u| bench.addressed(u, "wc"));
    bench
}

const ON_EACH: [(&str, &str); 4] = [
    ("u0", "service_account.chat"),
    ("u0", "wecom.app"),
    ("u1", "service_account.chat"),
    ("u2", "wecom.app"),
];

#[test]
fn all_of_is_one_message_on_each_channel_that_reaches() {
    let bench = two_channels("");
    let (text, _) = why(&bench, "c", 0, "2026-11-11 09:00");
    assert!(
        text.contains("it would be: message by service_account.chat and by wecom.app"),
        "{text}"
    );
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!((by(&bench, "c"), bench.sent().len()), (pairs(&ON_EACH), 4));
    assert_eq!(bench.stopped("c", "u3"), ["c: unreachable"]);
    let report = &bench.ledger().reports(None).unwrap()[0];
    assert_eq!((report.planned, report.in_state(State::Accepted)), (4, 4));
    let (text, _) = why(&bench, "c", 0, "2026-11-11 13:00");
    for channel in ["service_account.chat", "wecom.app"] {
        assert!(
            text.contains(&format!("accepted: template T by {channel}")),
            "{text}"
        );
    }
    // The same run again is the same messages.
    bench.run("2026-11-11 13:00", "2026-11-11 14:00");
    assert_eq!(bench.sent().len(), 4);
    bench.verified();
}

/// Each message takes a slot; who gets one of them is not stopped.
#[test]
fn each_of_all_takes_a_slot() {
    let bench = two_channels("cap 1 per day");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    let expected = [
        ("u0", "service_account.chat"),
        ("u1", "service_account.chat"),
        ("u2", "wecom.app"),
    ];
    assert_eq!(by(&bench, "c"), pairs(&expected));
    let report = &bench.ledger().reports(None).unwrap()[0];
    assert_eq!(
        report
            .stopped
            .iter()
            .map(|s| s.reason.as_str())
            .collect::<Vec<_>>(),
        ["unreachable"]
    );
    bench.verified();
    // Of whom every message finds its slot taken.
    let first = "campaign b { when everyone send template T via sandbox.file at 2026-11-11 09:30 }";
    let none = two_channels(&format!("}} {first} policy {{ cap 1 per day"));
    none.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!(
        (by(&none, "c").len(), none.stopped("c", "u0")),
        (0, vec!["c: capped".to_owned()])
    );
}

/// Two ids with one address on one channel: the second has the message on the other one alone.
#[test]
fn an_address_of_somebody_else_stops_one_of_all() {
    let mut bench = two_channels("");
    bench.addressed_at("u2", "wx", "u0");
    bench.addressed_at("u1", "wx", "u0");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!(
        by(&bench, "c"),
        pairs(&[
            ("u0", "service_account.chat"),
            ("u0", "wecom.app"),
            ("u2", "wecom.app")
        ])
    );
    assert_eq!(bench.stopped("c", "u1"), ["c: duplicate_address"]);
    bench.verified();
}

/// What comes after it comes once, and asks about all of them.
#[test]
fn a_follow_up_of_all_comes_once() {
    let bench = two_channels("remind: after 1 day send template U via sandbox.file");
    bench.run("2026-11-11 09:00", "2026-11-12 12:00");
    assert_eq!(bench.got_of("c", "U"), ["u0", "u1", "u2"]);
    bench.verified();
}

/// A follow-up that asks what users did asks it of all their messages.
#[test]
fn what_was_done_with_any_of_all_counts() {
    let mut bench = Bench::new(
        "template T { body \"hi\" }\ntemplate U { body \"again\" }
        campaign c { when everyone send template T via all of webhook.post, sandbox.file at 2026-11-11 10:00
            remind: after 1 day if clicked send template U via sandbox.file }",
    );
    ["u0", "u1"].iter().for_each(|u| _ = bench.user(u));
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    let first = bench.key("c", "u0");
    assert_eq!(first.fanout_index, 1);
    let clicked = MessageNews {
        message: MessageKey {
            fanout_index: 2,
            ..first
        },
        kind: ReceiptKind::Clicked,
        when: at("2026-11-11 13:00"),
        source: "test".into(),
    };
    bench.learn(&[clicked]);
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    assert_eq!(bench.got_of("c", "U"), ["u0"]);
    bench.verified();
}

/// Killed at every write and begun again: nobody gets a message twice, and nobody misses one.
#[test]
fn all_of_outlives_a_crash_at_every_write() {
    for writes in 0.. {
        let bench = two_channels("remind: after 1h send template U via sandbox.file");
        let whole = bench
            .run_dying("2026-11-11 09:00", "2026-11-11 12:00", writes)
            .is_ok();
        bench.run("2026-11-11 09:00", "2026-11-11 12:00");
        let of = |template: &str| {
            bench
                .sent()
                .iter()
                .filter(|m| m.template == template)
                .count()
        };
        assert_eq!(
            (by(&bench, "c").len() >= 4, of("T"), of("U")),
            (true, 4, 3),
            "{writes}"
        );
        bench.verified();
        if whole {
            return;
        }
    }
}

// ------------------------------------------------------------------ the last message of a window

/// A window of a platform that is open for so many messages: its account, its channel, its rule and how
/// many.
type Window = (&'static str, String, &'static Contact, u32);

/// Each of them.
fn limited() -> Vec<Window> {
    let mut all = Vec::new();
    for platform in platform::all() {
        for endpoint in &platform.endpoints {
            // What opens a channel for good may have been before anybody listened: there nothing is
            // limited.
            let rules = endpoint
                .contacts
                .iter()
                .filter(|_| !endpoint.contacts.iter().any(Contact::lasts));
            let channel = format!("{}.{}", platform.name, endpoint.name);
            all.extend(
                rules.filter_map(|rule| {
                    Some((&*platform.name, channel.clone(), rule, rule.messages?))
                }),
            );
        }
    }
    assert!(all.len() >= 3, "{all:?}");
    all
}

/// These campaigns by a channel, and users who opened it just before.
fn opened(of: &Window, campaigns: &str, users: u32, when: &str) -> Bench {
    let (platform, channel, rule, _) = of;
    let bench = bench(
        &format!(
            "tag wx address({platform})\ntemplate T {{ {} }}\n{campaigns}",
            fitting(channel)
        ),
        users as usize,
    );
    let topic = if rule.by == ContactKind::Subscription {
        "TM1"
    } else {
        ""
    };
    tell_of(
        &bench,
        platform,
        rule.by,
        topic,
        &(0..users).collect::<Vec<_>>(),
        when,
    );
    bench
}

/// Whether a window stays open while messages wait.
fn is_long((_, _, rule, _): &Window) -> bool {
    rule.within
        .is_none_or(|within| within >= Elapsed::hours(24))
}

/// Of campaigns that are due at one instant no more messages are planned than a window is open for;
/// the more important ones have them, the others go by the next channel.
#[test]
fn the_last_messages_of_every_window_are_contested() {
    for window in limited() {
        let (_, channel, _, messages) = &window;
        let campaign = |n: u32| {
            format!(
                "campaign c{n} {{ when everyone send template T via {channel}, sandbox.file at 2026-11-11 10:00 priority {n} }}\n"
            )
        };
        let campaigns: String = (0..messages + 2).map(campaign).collect();
        let bench = opened(&window, &campaigns, 1, "2026-11-11 09:59:30");
        bench.run("2026-11-11 09:59:40", "2026-11-11 10:30");
        let by = |by: &str| -> BTreeSet<String> {
            bench
                .sent()
                .into_iter()
                .filter(|m| m.channel == by)
                .map(|m| m.campaign)
                .collect()
        };
        assert_eq!(
            by(channel),
            (2..messages + 2).map(|n| format!("c{n}")).collect(),
            "{channel}"
        );
        assert_eq!(
            by("sandbox.file"),
            BTreeSet::from(["c0".to_owned(), "c1".to_owned()]),
            "{channel}"
        );
        bench.verified();
    }
}

/// What is more important takes a message of a window from what still waits to be sent, and
/// not from what is.
#[test]
fn a_message_of_a_window_is_taken_until_it_is_claimed() {
    const USERS: u32 = 6;
    for window in limited().into_iter().filter(is_long) {
        let (_, channel, _, messages) = &window;
        let low = |n: u32| {
            format!(
                "campaign low{n} {{ when everyone send template T via {channel} at 2026-11-11 09:00 pace 1 per minute deadline 40min }}\n"
            )
        };
        let high = format!(
            "campaign high {{ when everyone send template T via {channel} at 2026-11-11 09:02 priority 80 }}\n"
        );
        let equal = format!(
            "campaign equal {{ when everyone send template T via {channel} at 2026-11-11 09:02 }}\n"
        );
        let campaigns: String = (0..*messages).map(low).chain([high, equal]).collect();
        let bench = opened(&window, &campaigns, USERS, "2026-11-11 08:59:30");
        bench.run("2026-11-11 08:59:40", "2026-11-11 12:00");
        let sent = bench.sent();
        let got = |campaign: &str| -> BTreeSet<&str> {
            sent.iter()
                .filter(|m| m.campaign.starts_with(campaign))
                .map(|m| m.user.as_str())
                .collect()
        };
        let high = got("high");
        assert!(
            !high.is_empty() && high.len() < USERS as usize,
            "{channel} {high:?}"
        );
        assert!(got("equal").is_empty(), "{channel}");
        for user in 0..USERS {
            let name = format!("u{user}");
            assert_eq!(
                sent.iter().filter(|m| m.user == name).count(),
                *messages as usize,
                "{channel} {name}"
            );
            let capped: Vec<u32> = (0..*messages)
                .filter(|n| bench.stopped(&format!("low{n}"), &name) == [format!("low{n}: capped")])
                .collect();
            assert_eq!(
                capped.len(),
                usize::from(high.contains(&*name)),
                "{channel} {name} {capped:?}"
            );
            let reason = if high.contains(&*name) {
                vec![]
            } else {
                vec!["high: unreachable".to_owned()]
            };
            assert_eq!(bench.stopped("high", &name), reason, "{channel}");
        }
        bench.verified();
    }
}

/// Long windows that are opened anew by the last of what the user did.
fn renewed() -> impl Iterator<Item = Window> {
    limited()
        .into_iter()
        .filter(|window| is_long(window) && !window.2.by.adds_up())
}

/// Messages of `low` to four users wait for their turn, a minute after each other, when these users
/// open the window anew. Other campaigns follow.
fn waiting_from_before(
    window: &Window,
    opening: &[u32],
    others: impl Iterator<Item = String>,
) -> Bench {
    let (platform, channel, rule, _) = window;
    let low = format!(
        "campaign low {{ when everyone send template T via {channel} at 2026-11-11 09:00 pace 1 per minute deadline 40min }}\n"
    );
    let bench = opened(
        window,
        &others.chain([low]).collect::<String>(),
        4,
        "2026-11-11 08:59:30",
    );
    bench.run("2026-11-11 08:59:40", "2026-11-11 09:00:10");
    tell(&bench, platform, rule.by, opening, "2026-11-11 09:00:30");
    bench.run("2026-11-11 09:00:40", "2026-11-11 12:00");
    bench
}

/// What was planned before a user opened the window anew goes through the new one and counts there.
#[test]
fn what_waits_from_an_earlier_window_counts_in_the_new_one() {
    for window in renewed() {
        let (_, channel, _, messages) = &window;
        let other = |n: u32| {
            format!(
                "campaign other{n} {{ when everyone send template T via {channel} at 2026-11-11 09:02 priority 90 }}\n"
            )
        };
        let high = format!(
            "campaign high {{ when everyone send template T via {channel} at 2026-11-11 09:04 priority 80 }}\n"
        );
        // u1 and u2 have it from `low` before `other` comes, u3 after that.
        let bench = waiting_from_before(
            &window,
            &[1, 2, 3],
            (0..*messages - 1).map(other).chain([high]),
        );
        let sent = bench.sent();
        for user in ["u0", "u1", "u2", "u3"] {
            let got = |campaign: &str| {
                sent.iter()
                    .filter(|m| m.user == user && m.campaign.starts_with(campaign))
                    .count()
            };
            assert_eq!(
                (got("low"), got("other"), got("high")),
                (1, *messages as usize - 1, 0),
                "{channel} {user}"
            );
            assert_eq!(
                bench.stopped("high", user),
                ["high: unreachable"],
                "{channel} {user}"
            );
        }
        bench.verified();
    }
}

/// It ends where the new window is used up when its turn comes; what is planned for that one gives
/// it no room, nor takes any from it.
#[test]
fn what_waits_from_an_earlier_window_ends_where_the_new_one_is_used_up() {
    for window in renewed() {
        let (_, channel, _, messages) = &window;
        let other = |n: u32| {
            format!(
                "campaign other{n} {{ when everyone send template T via {channel} at 2026-11-11 09:01 priority 90 }}\n"
            )
        };
        let high = format!(
            "campaign high {{ when everyone send template T via {channel} at 2026-11-11 09:02 priority 99 }}\n"
        );
        let bench = waiting_from_before(&window, &[3], (0..*messages).map(other).chain([high]));
        let sent = bench.sent();
        let got = |campaign: &str| {
            sent.iter()
                .filter(|m| m.user == "u3" && m.campaign.starts_with(campaign))
                .count()
        };
        assert_eq!(
            (got("low"), got("other"), got("high")),
            (0, *messages as usize, 0),
            "{channel}"
        );
        assert_eq!(
            bench.stopped("high", "u3"),
            ["high: unreachable"],
            "{channel}"
        );
        assert_eq!(
            bench.ledger().reports(Some("low")).unwrap()[0].in_state(State::Expired),
            1,
            "{channel}"
        );
        bench.verified();
    }
}

/// Subscriptions count by template: those to one are no obstacle to another.
#[test]
fn the_last_subscription_is_contested_by_template() {
    let bench = bench(
        r#"tag wx address(service_account)
        template T { platform "TM1" field thing1 = "hi" }
        template U { platform "TM2" field thing1 = "hi" }
        campaign a { when everyone send template T via service_account.notice at 2026-11-11 10:00 priority 2 }
        campaign b { when everyone send template U via service_account.notice at 2026-11-11 10:00 priority 1 }
        campaign c { when everyone send template T via service_account.notice at 2026-11-11 10:00 }"#,
        1,
    );
    tell_of(
        &bench,
        "service_account",
        ContactKind::Subscription,
        "TM1",
        &[0],
        "2026-11-11 09:00",
    );
    tell_of(
        &bench,
        "service_account",
        ContactKind::Subscription,
        "TM2",
        &[0],
        "2026-11-11 09:00",
    );
    bench.run("2026-11-11 09:30", "2026-11-11 12:00");
    let had: BTreeSet<String> = bench.sent().into_iter().map(|m| m.campaign).collect();
    assert_eq!(had, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(bench.stopped("c", "u0"), ["c: capped"]);
    bench.verified();
}
