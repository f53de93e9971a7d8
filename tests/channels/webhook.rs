//! A webhook: signed, keyed, one call a message.

use std::time::Duration;

use super::bench::{Account, SECRET, batch, content, letters, openids, stops, waits};
use crate::platforms::webhook::Receiver;
use crate::platforms::{Server, What};
use serde_json::json;

fn text() -> std::sync::Arc<tagcast::decide::decision::Rendered> {
    content(&[("title", "双十一"), ("body", "满300减50")])
}

#[test]
fn a_hundred_messages_several_at_once() {
    let server = Server::start(Receiver::new(SECRET));
    server.latency(Duration::from_millis(5));
    let account = Account::new("webhook", &server.url).with("concurrency", 16);
    let reply = account
        .channel("post")
        .send(&batch(1, &openids(100), &text()));
    assert_eq!(letters(&reply), "a".repeat(100));
    assert_eq!(server.received().values().sum::<usize>(), 100);
    assert_eq!(server.log()[0].content["body"], "满300减50");
    assert!(
        (2..=16).contains(&server.most_at_once()),
        "{}",
        server.most_at_once()
    );
}

/// A wrong secret stops the account at once: most of the batch is not even begun.
#[test]
fn a_wrong_secret_stops_the_account() {
    let server = Server::start(Receiver::new("another"));
    let account = Account::new("webhook", &server.url).with("concurrency", 4);
    let reply = account
        .channel("post")
        .send(&batch(1, &openids(50), &text()));
    assert_eq!(letters(&reply), "n".repeat(50));
    assert!(
        stops(&reply).unwrap().contains("check the secret"),
        "{reply:?}"
    );
    assert!(server.requests("/") <= 8, "{}", server.requests("/"));
}

/// Case 7: refused before any byte: not sent, tried again later. Reset after the body: unknown; the
/// same key settles it.
#[test]
fn case_07_what_a_lost_connection_proves() {
    let server = Server::start(Receiver::new(SECRET));
    let account = Account::new("webhook", &server.url).with("keeps_keys", true);
    let channel = account.channel("post");
    assert!(channel.knows_repeats());
    server.fault("/", What::CutAfter, 1);
    server.fault("/", What::CutBefore, 1);
    let all = batch(1, &openids(3), &text());
    let reply = channel.send(&all);
    let mut sorted: Vec<char> = letters(&reply).chars().collect();
    sorted.sort_unstable();
    assert_eq!(sorted, ['a', 'u', 'u']);
    assert_eq!(server.log().len(), 2);
    assert_eq!(letters(&channel.send(&all)), "aaa");
    assert_eq!(
        server.received().values().copied().collect::<Vec<_>>(),
        [1, 1, 1]
    );
    drop(server);
    // Its last connections end a moment later.
    std::thread::sleep(Duration::from_millis(200));
    let reply = channel.send(&batch(2, &openids(3), &text()));
    assert_eq!(letters(&reply), "nnn");
    assert_eq!(waits(&reply).as_deref(), Some("2026-11-11 10:00:30"));
}

/// Case 8: a redirect is not followed, and a pooled connection that is cut is not tried again:
/// exactly one request each.
#[test]
fn case_08_one_request_whatever_comes_back() {
    let server = Server::start(Receiver::new(SECRET));
    let channel = Account::new("webhook", &server.url).channel("post");
    for what in [
        What::Redirect,
        What::CutBefore,
        What::CutAfter,
        What::Instead(502, json!({})),
        What::Instead(503, json!({})),
    ] {
        // The connection is in the pool by now.
        assert_eq!(letters(&channel.send(&batch(1, &openids(1), &text()))), "a");
        let before = server.requests("/");
        server.fault("/", what.clone(), 1);
        assert_eq!(
            letters(&channel.send(&batch(2, &openids(1), &text()))),
            "u",
            "{what:?}"
        );
        assert_eq!(server.requests("/"), before + 1, "{what:?}");
    }
    assert!(
        !channel.knows_repeats(),
        "only where the receiver declares that it keeps keys"
    );
}

#[test]
fn what_the_receiver_may_say() {
    let server = Server::start(Receiver::new(SECRET));
    server.with(|r: &mut Receiver| r.gone.insert("o1".into()));
    let channel = Account::new("webhook", &server.url).channel("post");
    assert_eq!(
        letters(&channel.send(&batch(1, &openids(3), &text()))),
        "ara"
    );
    for (status, letter) in [
        (400, "r"),
        (409, "a"),
        (422, "r"),
        (429, "n"),
        (500, "u"),
        (301, "u"),
    ] {
        server.fault("/", What::Instead(status, json!({})), 1);
        assert_eq!(
            letters(&channel.send(&batch(status.into(), &openids(1), &text()))),
            letter,
            "{status}"
        );
    }
}
