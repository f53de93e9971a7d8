//! WeCom: tasks that employees confirm, members who share a call, customers who must have written.

use std::sync::Arc;

use serde_json::json;
use tagcast::base::Elapsed;
use tagcast::decide::decision::Rendered;
use tagcast::deliver::channel::Recalled;
use tagcast::ledger::{ReceiptKind, Refusal, Verdict};

use super::bench::{APP, Account, SECRET, batch, content, letters, stops, verdicts, waits};
use crate::platforms::wecom::WeCom;
use crate::platforms::{Server, What};

fn server() -> Server {
    Server::start(WeCom::new(APP, SECRET))
}

fn account(server: &Server) -> Account {
    Account::new("wecom", &server.url)
        .with("agent_id", 1_000_002)
        .with("open_kfid", "kf1")
}

fn text() -> Arc<Rendered> {
    content(&[("body", "双十一满300减50")])
}

fn linked() -> Arc<Rendered> {
    content(&[
        ("title", "双十一"),
        ("body", "满300减50"),
        ("link", "https://shop.example/a"),
    ])
}

fn customers(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("wm{i}")).collect()
}

fn members(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("m{i}")).collect()
}

fn outcomes(evidence: &tagcast::ledger::BatchEvidence) -> Vec<(usize, ReceiptKind)> {
    evidence
        .each
        .iter()
        .map(|(place, kind, _)| (*place, *kind))
        .collect()
}

/// Employees confirm, or do not: waiting until the platform says what each did. Case 30: who is
/// refused at once is named.
#[test]
fn failure_mode_16_people_have_to_confirm() {
    let server = server();
    let account = account(&server);
    let group = account.channel("group");
    let mut users = customers(6);
    users[4] = "nobody".into();
    let all = batch(1, &users, &linked());
    let reply = group.send(&all);
    assert_eq!(letters(&reply), "wwwwrw");
    let id = verdicts(&reply)[0].id().to_string();
    assert_eq!(outcomes(&group.look_up(&all, Some(&id)).unwrap()), []);
    // Customers 0 and 3 are of employee0, 1 is of employee1; 2 and 5 of employee2, who does not
    // confirm.
    server.with(|p: &mut WeCom| {
        p.left.insert("wm1".into());
        p.confirm("employee0");
        p.confirm("employee1");
    });
    let seen = group.look_up(&all, Some(&id)).unwrap();
    assert_eq!(
        outcomes(&seen),
        [
            (0, ReceiptKind::Delivered),
            (1, ReceiptKind::Failed),
            (3, ReceiptKind::Delivered)
        ]
    );
    // Three reminders in a day, the fourth is not even asked.
    for _ in 0..3 {
        group.remind(&id).unwrap();
    }
    assert!(group.remind(&id).unwrap_err().contains("3 times"));
    assert_eq!(server.requests("remind"), 3);
    account
        .world
        .advance_to(account.world_now().plus(Elapsed::hours(24)));
    // What has not been confirmed can be cancelled; after that nobody sends it.
    assert_eq!(group.recall(&id, &linked()), Recalled::Unsent);
    server.with(|p: &mut WeCom| p.confirm("employee2"));
    assert_eq!(
        outcomes(&group.look_up(&all, Some(&id)).unwrap()),
        outcomes(&seen)
    );
    assert!(account.channel("app").remind("x").is_err());
}

/// Case 31: a lost answer is found by the mark in the link; without it, or without a link, nothing
/// is proved and it stays unknown.
#[test]
fn case_31_a_task_is_found_by_its_mark_or_not_at_all() {
    let server = server();
    let wall = account(&server);
    // The platform's clock is the real one here: the question is about the time of the claim.
    let real = std::fs::metadata("/proc/self")
        .and_then(|m| m.modified())
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let at = |mut b: tagcast::ledger::Batch| {
        b.at = tagcast::base::Instant::from_seconds(real.as_secs() as i64);
        b
    };
    let group = wall.channel("group");
    let (lost, other) = (
        at(batch(1, &customers(5), &linked())),
        at(batch(2, &customers(5), &linked())),
    );
    server.fault("add_msg_template", What::CutAfter, 1);
    assert_eq!(letters(&group.send(&lost)), "U");
    assert_eq!(
        group.look_up(&lost, None).unwrap().found.as_deref(),
        Some("group1")
    );
    assert_eq!(
        group.look_up(&other, None).unwrap(),
        Default::default(),
        "another batch with the same text"
    );
    server.fault("add_msg_template", What::CutBefore, 1);
    assert_eq!(letters(&group.send(&other)), "U");
    assert_eq!(group.look_up(&other, None).unwrap().found, None);
    server.fault("add_msg_template", What::CutAfter, 1);
    let bare = at(batch(3, &customers(5), &text()));
    assert_eq!(letters(&group.send(&bare)), "U");
    assert_eq!(
        group.look_up(&bare, None).unwrap().found,
        None,
        "a text has no link to mark"
    );
    assert!(!group.knows_repeats());
}

/// Too many questions at once are asked again, few at a time; long answers come in pages.
#[test]
fn failure_mode_20_questions_have_limits() {
    let server = server();
    server.with(|p: &mut WeCom| p.page = 7);
    let group = account(&server).channel("group");
    let all = batch(1, &customers(100), &linked());
    let reply = group.send(&all);
    server.with(|p: &mut WeCom| (0..3).for_each(|i| p.confirm(&format!("employee{i}"))));
    server.fault(
        "get_groupmsg_task",
        What::Instead(
            200,
            json!({"errcode": 45033, "errmsg": "api concurrent out of limit"}),
        ),
        1,
    );
    let seen = group.look_up(&all, Some(verdicts(&reply)[0].id())).unwrap();
    assert_eq!(seen.each.len(), 100);
    assert!(server.requests("get_groupmsg_send_result") >= 3 * 5);
    assert!(server.most_at_once() <= 4, "{}", server.most_at_once());
}

#[test]
fn members_with_the_same_text_share_a_call() {
    let server = server();
    let app = account(&server).channel("app");
    let mut all = batch(1, &members(900), &text());
    for message in all.messages.iter_mut().skip(600) {
        message.content = content(&[("body", "另一段文字")]);
    }
    all.messages[3].address = "Nobody".into();
    let reply = app.send(&all);
    let expected: String = (0..900).map(|i| if i == 3 { 'r' } else { 'a' }).collect();
    assert_eq!(letters(&reply), expected);
    assert!(matches!(
        verdicts(&reply)[3],
        Verdict::Refused {
            because: Refusal::Address,
            ..
        }
    ));
    let sizes: Vec<usize> = server.log().iter().map(|a| a.users.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 899);
    assert_eq!(sizes.len(), 2);
    // The same bytes again are the same message; it can be taken back.
    server.fault("message/send", What::CutAfter, 1);
    let again = batch(2, &members(1), &text());
    assert_eq!(letters(&app.send(&again)), "u");
    let reply = app.send(&again);
    assert_eq!((letters(&reply).as_str(), server.log().len()), ("a", 3));
    assert_eq!(
        app.recall(verdicts(&reply)[0].id(), &text()),
        Recalled::Done
    );
    let all_wrong = app.send(&batch(3, &["x".into(), "y".into()], &text()));
    assert_eq!(letters(&all_wrong), "rr");
}

/// Above 30 a minute the platform drops messages and says nothing: they are not sent in the first
/// place. Two sends of the same text to the same members are held apart, for the platform
/// would take them for one.
#[test]
fn failure_mode_11_silent_loss() {
    let server = server();
    let account = account(&server);
    let app = account.channel("app");
    for n in 0..30 {
        let each = content(&[("body", &format!("消息 {n}"))]);
        assert_eq!(letters(&app.send(&batch(n, &members(2), &each))), "aa");
    }
    let reply = app.send(&batch(30, &members(3), &content(&[("body", "第三十一条")])));
    assert_eq!(
        (letters(&reply).as_str(), waits(&reply).as_deref()),
        ("nna", Some("2026-11-11 10:01"))
    );
    assert_eq!(server.with(|p: &mut WeCom| p.shown["m0"]), 30);
    assert_eq!(server.received()["m0"], 30, "what was accepted was shown");
    account
        .world
        .advance_to(account.world_now().plus(Elapsed::minutes(1)));
    let equal = content(&[("body", "消息 0")]);
    let reply = app.send(&batch(31, &members(2), &equal));
    assert_eq!(
        (letters(&reply).as_str(), waits(&reply).as_deref()),
        ("nn", Some("2026-11-11 10:30"))
    );
    account
        .world
        .advance_to(account.world_now().plus(Elapsed::minutes(30)));
    server.advance(std::time::Duration::from_secs(31 * 60));
    assert_eq!(letters(&app.send(&batch(32, &members(2), &equal))), "aa");
}

#[test]
fn customers_who_have_to_write_first() {
    let server = server();
    server.with(|p: &mut WeCom| p.windows.insert("wm0".into(), 1));
    let kf = account(&server).channel("kf");
    let reply = kf.send(&batch(1, &customers(2), &text()));
    assert_eq!(letters(&reply), "ar");
    assert!(matches!(
        verdicts(&reply)[1],
        Verdict::Refused {
            because: Refusal::ForNow,
            ..
        }
    ));
    assert_eq!(verdicts(&reply)[0].id().len(), 32);
    assert!(!kf.knows_repeats());
}

#[test]
fn an_account_that_lacks_something_asks_for_it() {
    let server = server();
    let bare = Account::new("wecom", &server.url);
    let reply = bare.channel("app").send(&batch(1, &members(2), &text()));
    assert!(
        stops(&reply)
            .unwrap()
            .contains("needs `agent_id` in `[accounts.wecom]`"),
        "{reply:?}"
    );
    assert_eq!(server.requests("/"), 0);
    server.with(|p: &mut WeCom| p.trusted = false);
    let reply = account(&server)
        .channel("kf")
        .send(&batch(1, &customers(1), &text()));
    assert!(stops(&reply).unwrap().contains("203.0.113.7"), "{reply:?}");
}
