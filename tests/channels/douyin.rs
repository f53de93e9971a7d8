//! Douyin: users who allowed messages, users who wrote, and what the platform may say.

use std::sync::Arc;

use serde_json::json;
use tagcast::decide::decision::Rendered;
use tagcast::deliver::http::secret::Secret;
use tagcast::ledger::{Refusal, Verdict};

use super::bench::{APP, Account, batch, content, letters, stops, verdicts, waits};
use crate::platforms::douyin::{Douyin, OPEN_ID, REFRESH};
use crate::platforms::{Server, What};

fn server() -> Server {
    Server::start(Douyin::new(APP))
}

fn account(server: &Server) -> Account {
    Account::new("douyin", &server.url)
        .with("open_id", OPEN_ID)
        .with("refresh_token", Secret::new(REFRESH))
        .with("card", "card-template")
}

fn card() -> Arc<Rendered> {
    content(&[
        ("body", "双十一满300减50"),
        ("miniprogram", "tt1/pages/sale?id=1"),
    ])
}

fn users(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("dy{i}")).collect()
}

#[test]
fn users_who_allowed_it_get_a_card() {
    let server = server();
    server.with(|p: &mut Douyin| p.banned.insert("dy1".into()));
    let message = account(&server).channel("message");
    let mut to = users(3);
    to[2] = "stranger".into();
    let reply = message.send(&batch(1, &to, &card()));
    assert_eq!(letters(&reply), "arr");
    assert!(matches!(
        verdicts(&reply)[1],
        Verdict::Refused {
            because: Refusal::Address,
            ..
        }
    ));
    let sent = &server.log()[0].content;
    assert_eq!(
        sent[0],
        json!({"msg_type": 1, "text": {"text": "双十一满300减50"}})
    );
    assert_eq!(
        sent[1]["applet_card"],
        json!({"app_id": "tt1", "path": "pages/sale", "query": "id=1", "card_template_id": "card-template"})
    );
    // The day's call to a user is used up.
    let reply = message.send(&batch(2, &users(1), &card()));
    assert_eq!(
        (letters(&reply).as_str(), waits(&reply).as_deref()),
        ("n", Some("2026-11-12 00:02"))
    );
}

/// An answer needs the message that it answers; without it nothing is sent.
#[test]
fn an_answer_names_what_it_answers() {
    let server = server();
    server.with(|p: &mut Douyin| {
        p.written
            .insert(("@conversation".into(), "@message".into()))
    });
    let message = account(&server).channel("message");
    let text = content(&[("body", "您好")]);
    let to = ["dy1 @conversation @message".into(), "dy2".into()];
    assert_eq!(letters(&message.send(&batch(1, &to, &text))), "ar");
    assert_eq!(
        (server.log().len(), server.log()[0].users[0].as_str()),
        (1, "dy1")
    );
}

#[test]
fn tokens_and_rights() {
    let server = server();
    let account = account(&server);
    let message = account.channel("message");
    assert_eq!(letters(&message.send(&batch(1, &users(1), &card()))), "a");
    server.with(Douyin::evict);
    assert_eq!(
        letters(&message.send(&batch(2, &users(20)[1..], &card()))),
        "a".repeat(19)
    );
    assert_eq!(server.with(|p: &mut Douyin| p.renewals), 2);
    // Busy: without a key a repeat could double it.
    server.fault(
        "im/send",
        What::After(200, json!({"data": {"error_code": 28001005, "description": "busy"}, "extra": {"error_code": 28001005}})),
        1,
    );
    assert_eq!(
        letters(&message.send(&batch(3, &users(21)[20..], &card()))),
        "u"
    );
    assert!(!message.knows_repeats());
    server.with(|p: &mut Douyin| p.granted = false);
    let reply = message.send(&batch(4, &users(23)[22..], &card()));
    assert!(stops(&reply).unwrap().contains("apply for it"), "{reply:?}");
    server.with(|p: &mut Douyin| {
        p.ended = true;
        p.evict();
    });
    let reply = message.send(&batch(5, &users(25)[24..], &card()));
    assert!(
        stops(&reply).unwrap().contains("authorise again"),
        "{reply:?}"
    );
    assert!(!format!("{reply:?}").contains(REFRESH));
}
