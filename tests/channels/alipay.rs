//! Alipay: signatures both ways, labels that act tomorrow, refusals by name.

use std::sync::Arc;

use serde_json::json;
use tagcast::base::Elapsed;
use tagcast::decide::decision::Rendered;
use tagcast::deliver::channel::Recalled;
use tagcast::deliver::http::secret::Secret;
use tagcast::ledger::{ReceiptKind, Refusal, Verdict};

use super::bench::{APP, Account, batch, content, letters, stops, verdicts, waits};
use crate::platforms::alipay::{APP_PRIVATE, Alipay, PLATFORM_PUBLIC};
use crate::platforms::{Server, What};

fn server() -> Server {
    Server::start(Alipay::new(APP))
}

fn account(server: &Server) -> Account {
    Account::new("alipay", &server.url)
        .with("secret", Secret::new(APP_PRIVATE))
        .with("platform_key", PLATFORM_PUBLIC)
}

fn users(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("ali{i}")).collect()
}

fn template() -> Arc<Rendered> {
    content(&[
        ("platform", "T1"),
        ("field first", "您好"),
        ("field keyword1", "已发货"),
        ("link", "https://a.example"),
    ])
}

fn text() -> Arc<Rendered> {
    content(&[("title", "双十一"), ("body", "满300减50")])
}

#[test]
fn single_messages_are_signed_and_refusals_have_names() {
    let server = server();
    server.with(|p: &mut Alipay| {
        p.unfollowed.insert("ali1".into());
        p.singles_left.insert("ali2".into(), 0);
    });
    let single = account(&server).channel("single");
    let mut to = users(4);
    to[3] = "nobody".into();
    let reply = single.send(&batch(1, &to, &template()));
    assert_eq!(letters(&reply), "arrr");
    let because: Vec<_> = verdicts(&reply)
        .iter()
        .map(|v| {
            if let Verdict::Refused { because, .. } = v {
                Some(*because)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        because,
        [
            None,
            Some(Refusal::Address),
            Some(Refusal::ForNow),
            Some(Refusal::Address)
        ]
    );
    assert_eq!(server.log()[0].content["keyword1"]["value"], "已发货");
    // The platform fails without a key to repeat under: unknown, a person decides.
    server.fault(
        "single/send",
        What::After(500, json!({"code": "SYSTEM_ERROR", "message": "busy"})),
        1,
    );
    assert_eq!(
        letters(&single.send(&batch(2, &users(1), &template()))),
        "u"
    );
    assert!(!single.knows_repeats());
}

/// A wrong key, a wrong clock, an answer that somebody else signed.
#[test]
fn signatures_are_checked_both_ways() {
    let server = server();
    let other = include_str!("../platforms/keys/alipay_private.pem");
    let wrong = Account::new("alipay", &server.url).with("secret", Secret::new(other));
    let reply = wrong
        .channel("single")
        .send(&batch(1, &users(2), &template()));
    assert!(
        stops(&reply).unwrap().contains("check the private key"),
        "{reply:?}"
    );
    server.with(|p: &mut Alipay| p.tolerance = 60);
    let reply = account(&server)
        .channel("single")
        .send(&batch(1, &users(2), &template()));
    assert!(stops(&reply).unwrap().contains("clock"), "{reply:?}");
    assert!(server.log().is_empty());
    server.with(|p: &mut Alipay| (p.tolerance, p.forged) = (i64::MAX, true));
    let reply = account(&server)
        .channel("single")
        .send(&batch(1, &users(2), &template()));
    assert_eq!(letters(&reply), "uu", "nobody knows what the platform said");
}

/// A label that is set today selects nobody until tomorrow: the users are labelled, the batch
/// waits, and the rest of them get it the next day, once. Whom the platform does not know is left
/// out by name.
#[test]
fn failure_mode_18_labels_act_a_day_late() {
    let server = server();
    let account = account(&server);
    let broadcast = account.channel("broadcast");
    let mut to = users(25);
    to[7] = "nobody".into();
    let reply = broadcast.send(&batch(1, &to, &text()));
    let expected: String = (0..25).map(|i| if i == 7 { 'r' } else { 'n' }).collect();
    assert_eq!(
        (letters(&reply), waits(&reply).as_deref()),
        (expected, Some("2026-11-12 00:02"))
    );
    to.remove(7);
    // Too early: it keeps waiting, without labelling them again.
    let calls = server.requests("matchuser");
    let reply = broadcast.send(&batch(2, &to, &text()));
    assert_eq!(
        (letters(&reply), server.requests("matchuser")),
        ("n".repeat(24), calls)
    );
    server.advance(std::time::Duration::from_secs(86_400));
    account
        .world
        .advance_to(account.world_now().plus(Elapsed::hours(24)));
    // A former user leaves between plan and send: the platform filters him, and counts say
    // nothing of it.
    server.with(|p: &mut Alipay| p.unfollowed.insert("ali3".into()));
    let reply = broadcast.send(&batch(3, &to, &text()));
    assert_eq!(letters(&reply), "a".repeat(24));
    assert_eq!((server.log().len(), server.log()[0].users.len()), (1, 23));
    assert_eq!(
        server.with(|p: &mut Alipay| p.labels()),
        0,
        "the account has room for a hundred labels"
    );
    let id = verdicts(&reply)[0].id().to_string();
    assert_eq!(
        broadcast
            .look_up(&batch(3, &to, &text()), Some(&id))
            .unwrap()
            .all,
        None
    );
    assert_eq!(broadcast.recall(&id, &text()), Recalled::Done);
    assert_eq!(
        broadcast
            .look_up(&batch(3, &to, &text()), Some(&id))
            .unwrap()
            .all,
        Some(ReceiptKind::Recalled)
    );
}

/// The quota of the week; and a send whose answer is lost after all preparation.
#[test]
fn a_broadcast_waits_for_next_week_or_is_unknown() {
    let server = server();
    let account = account(&server);
    let broadcast = account.channel("broadcast");
    broadcast.send(&batch(1, &users(5), &text()));
    server.advance(std::time::Duration::from_secs(86_400));
    server.with(|p: &mut Alipay| p.broadcasts_left = 0);
    let reply = broadcast.send(&batch(2, &users(5), &text()));
    assert_eq!(
        (letters(&reply).as_str(), waits(&reply).as_deref()),
        ("N", Some("2026-11-16 00:02"))
    );
    server.with(|p: &mut Alipay| p.broadcasts_left = 9);
    // Nothing was sent as long as only the preparation was cut.
    server.fault("group/create", What::CutAfter, 1);
    assert_eq!(letters(&broadcast.send(&batch(3, &users(5), &text()))), "N");
    server.fault("group/send", What::CutAfter, 1);
    assert_eq!(letters(&broadcast.send(&batch(4, &users(5), &text()))), "U");
    assert_eq!(server.log().len(), 1);
}
