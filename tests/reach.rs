//! Whom a channel reaches, as the past says: an address that a platform has refused for good is passed over until the user gives a sign of
//! life, or has another address.

#![allow(clippy::duplicate_mod, reason = "each of them brings what it needs")]

#[path = "support/campaigns.rs"]
mod campaigns;

use std::collections::BTreeSet;
use std::sync::Arc;

use campaigns::{Bench, at};
use tagcast::base::UserNo;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::deliver::ledger::{Ledger, NewCall, Told, What};
use tagcast::diag::Lang;
use tagcast::program::pack::ContactKind;

const TWO_WAYS: &str = r#"
    tag wx address(service_account)
    template T { body "hi" }
    campaign first { when everyone send template T via service_account.chat at 2026-11-11 10:00 }
    campaign second { when everyone send template T via service_account.chat, sandbox.file at 2026-11-12 10:00 }
    campaign third { when everyone send template T via service_account.chat at 2026-11-13 10:00 }
"#;

fn bench(program: &str, users: usize) -> Bench {
    let mut bench = Bench::new(program);
    (0..users).for_each(|n| bench.addressed(&format!("u{n}"), "wx"));
    bench
}

/// The platform refuses what a campaign hands over, for the addresses.
fn bar(bench: &Bench, campaign: &str) {
    let control = format!("[[fault]]\ndo = \"bar\"\ncampaign = \"{campaign}\"\n");
    std::fs::write(bench.store().join("outbox.jsonl.control"), control).unwrap();
}

/// What the platform tells of a user, at an instant.
fn tell(bench: &Bench, account: &str, kind: ContactKind, users: &[u32], when: &str) {
    let when = at(when);
    let mut ledger = Ledger::open(bench.place(), Arc::new(SimulatedWorld::at(when))).unwrap();
    let call = NewCall { account: account.into(), at: when, query: String::new(), signature: String::new(), body: format!("{users:?}") };
    ledger.receive(&[call], when).unwrap();
    for call in ledger.calls(10).unwrap() {
        let users = users.iter().copied().map(UserNo).collect();
        let what = What::Contact { users, kind, topic: String::new() };
        ledger.apply(&call, Some(&[Told { key: format!("{kind:?} {}", when.0), when, what }]), when).unwrap();
    }
}

/// By which channel each user got a campaign's message.
fn by(bench: &Bench, campaign: &str) -> BTreeSet<(String, String)> {
    bench.sent().into_iter().filter(|m| m.campaign == campaign).map(|m| (m.user, m.channel)).collect()
}

fn pairs(of: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_refused_address_is_passed_over_from_then_on() {
    let bench = bench(TWO_WAYS, 2);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!(bench.ledger().refused(UserNo(0)).unwrap().len(), 1);
    bench.run("2026-11-12 09:00", "2026-11-13 12:00");
    assert_eq!(by(&bench, "second"), pairs(&[("u0", "sandbox.file"), ("u1", "sandbox.file")]));
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
    let line = "passed over: service_account.chat, the address was refused on 2026-11-11 10:00: told to refuse the address\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("at 2026-11-12 10:00 it would be: message by sandbox.file"), "{text}");
    assert_eq!(json["passed_over"][0]["channel"], "service_account.chat");
    let (text, _) = why(&bench, "third", 0, "2026-11-12 09:00");
    assert!(text.contains(line) && text.contains("it would be: unreachable"), "{text}");
}

/// As `tagcast why` says it.
fn why(bench: &Bench, campaign: &str, user: u32, now: &str) -> (String, serde_json::Value) {
    let (project, world): (_, Arc<dyn World>) = (bench.project(), Arc::new(SimulatedWorld::at(at(now))));
    let data = bench.data(&project, at(now));
    let id = project.program.campaign_named(campaign).unwrap();
    let why = tagcast::engine::why::why(&project, &data, &bench.store(), id, UserNo(user), &world).unwrap();
    (why.show(&project, Lang::En), why.json(&project))
}

#[test]
fn a_sign_of_life_opens_the_account_again() {
    let bench = bench(TWO_WAYS, 3);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    // Of another account, or from before the refusal but told late: neither says anything.
    tell(&bench, "subscription_account", ContactKind::Follow, &[0], "2026-11-11 13:00");
    tell(&bench, "service_account", ContactKind::Message, &[0], "2026-11-11 09:30");
    assert_eq!(bench.ledger().refused(UserNo(0)).unwrap().len(), 1);
    tell(&bench, "service_account", ContactKind::Follow, &[1], "2026-11-11 13:00");
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    let expected = [("u0", "sandbox.file"), ("u1", "service_account.chat"), ("u2", "sandbox.file")];
    assert_eq!(by(&bench, "second"), pairs(&expected));
    bench.verified();
}

#[test]
fn another_address_is_another_chance() {
    let mut bench = bench(TWO_WAYS, 2);
    bar(&bench, "first");
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    bench.addressed_at("u1", "wx", "another");
    bench.run("2026-11-12 09:00", "2026-11-12 12:00");
    assert_eq!(by(&bench, "second"), pairs(&[("u0", "sandbox.file"), ("u1", "service_account.chat")]));
    bench.verified();
}
