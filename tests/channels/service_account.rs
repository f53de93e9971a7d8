//! WeChat: mass sends, template messages, notices, customer service.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tagcast::base::Elapsed;
use tagcast::decide::decision::Rendered;
use tagcast::deliver::channel::{Channel, Recalled};
use tagcast::ledger::{BatchOutcome, ReceiptKind, Refusal, Verdict};

use super::bench::{
    APP, Account, SECRET, batch, content, letters, openids, stops, verdicts, waits,
};
use crate::platforms::wechat::WeChat;
use crate::platforms::{Server, What};

fn server() -> Server {
    Server::start(WeChat::new(APP, SECRET))
}

fn account(server: &Server) -> Account {
    Account::new("service_account", &server.url)
}

fn text() -> Arc<Rendered> {
    content(&[("body", "双十一 👍 满300减50")])
}

fn template() -> Arc<Rendered> {
    content(&[
        ("platform", "TM1"),
        ("field thing1", "会员专享"),
        ("field amount2", "¥50"),
    ])
}

fn notice() -> Arc<Rendered> {
    content(&[
        ("platform", "SN1"),
        ("field thing1", "会员专享"),
        ("field phrase2", "已发货"),
    ])
}

#[test]
fn a_list_becomes_one_job() {
    let server = server();
    let mass = account(&server).channel("mass");
    let reply = mass.send(&batch(7, &openids(1000), &text()));
    assert_eq!(letters(&reply), "a".repeat(1000));
    let log = server.log();
    assert_eq!(
        (log.len(), log[0].users.len(), log[0].key.len()),
        (1, 1000, 32)
    );
    assert_eq!(log[0].content, json!({"content": "双十一 👍 满300减50"}));
    assert!(verdicts(&reply).iter().all(|v| v.id() == log[0].id));
    // An article goes to the draft box once, and its page can be taken back; the text of a message
    // cannot.
    let article = content(&[
        ("title", "双十一"),
        ("body", "满300减50\n<全场>"),
        ("image", "cover1"),
    ]);
    let reply = mass.send(&batch(8, &openids(10), &article));
    mass.send(&batch(9, &openids(10), &article));
    assert_eq!((server.requests("draft/add"), server.log().len()), (1, 3));
    assert_eq!(
        mass.recall(verdicts(&reply)[0].id(), &article),
        Recalled::Done
    );
    let seen = mass
        .look_up(
            &batch(8, &openids(10), &article),
            Some(verdicts(&reply)[0].id()),
        )
        .unwrap();
    assert_eq!(seen.all, Some(ReceiptKind::Recalled));
    assert!(matches!(
        mass.recall(&log[0].id, &text()),
        Recalled::Cannot { .. }
    ));
    // Without a cover there is no article, and nothing was sent.
    let bare = content(&[("title", "双十一"), ("body", "满300减50")]);
    let reply = mass.send(&batch(10, &openids(10), &bare));
    assert!(
        matches!(&reply.answer, BatchOutcome::Refused { reason } if reason.contains("`cover`")),
        "{reply:?}"
    );
}

/// Many calls at once are refused for their token: one renewal, and each call is repeated once.
#[test]
fn failure_mode_01_and_case_17_token_race() {
    let server = server();
    let template_channel = account(&server).channel("template");
    assert_eq!(
        letters(&template_channel.send(&batch(1, &openids(2), &template()))),
        "aa"
    );
    server.with(WeChat::evict);
    server.latency(Duration::from_millis(3));
    assert_eq!(
        letters(&template_channel.send(&batch(2, &openids(40), &template()))),
        "a".repeat(40)
    );
    assert_eq!(server.with(|p: &mut WeChat| p.renewals), 2);
    assert_eq!(server.requests("template/send"), 2 + 80);
    assert!(
        server.received().values().all(|n| *n <= 2),
        "nobody twice in a batch"
    );
}

/// Near its end a token is renewed by one call while the others continue with it.
#[test]
fn failure_mode_02_the_old_token_serves_during_the_renewal() {
    let server = server();
    let account = account(&server);
    let channel = account.channel("template");
    channel.send(&batch(1, &openids(1), &template()));
    // 116 minutes later, by both clocks.
    account
        .world
        .advance_to(account.world_now().plus(Elapsed::minutes(116)));
    server.advance(Duration::from_secs(116 * 60));
    server.latency(Duration::from_millis(10));
    assert_eq!(
        letters(&channel.send(&batch(2, &openids(30), &template()))),
        "a".repeat(30)
    );
    assert_eq!(server.with(|p: &mut WeChat| p.renewals), 2);
    assert_eq!(server.requests("template/send"), 31, "none was refused");
}

/// A platform that refuses every token: one renewal (and one forced), one repeat, then a person.
#[test]
fn failure_mode_03_no_endless_renewal() {
    let server = server();
    server.with(|p: &mut WeChat| p.refuses_tokens = true);
    let reply = account(&server)
        .channel("mass")
        .send(&batch(1, &openids(2), &text()));
    assert_eq!(letters(&reply), "N");
    assert!(
        stops(&reply)
            .unwrap()
            .contains("its new token is refused too"),
        "{reply:?}"
    );
    assert_eq!(server.requests("mass/send"), 2);
    assert!(server.requests("stable_token") <= 3);
    assert!(server.log().is_empty());
}

/// Time-out or -1 after the job was accepted: unknown; the same key brings the first id, and
/// nothing is sent twice. Case 22.
#[test]
fn failure_mode_04_an_answer_that_is_lost_after_acceptance() {
    for what in [
        What::CutAfter,
        What::After(200, json!({"errcode": -1, "errmsg": "system error"})),
        What::After(502, json!({})),
    ] {
        let server = server();
        let mass = account(&server).channel("mass");
        server.fault("mass/send", what.clone(), 1);
        let all = batch(1, &openids(10), &text());
        assert_eq!(letters(&mass.send(&all)), "U", "{what:?}");
        assert_eq!(
            (server.log().len(), server.requests("mass/send")),
            (1, 1),
            "nothing repeats by itself: {what:?}"
        );
        let reply = mass.send(&all);
        assert_eq!(letters(&reply), "a".repeat(10), "{what:?}");
        assert_eq!(
            (server.log().len(), verdicts(&reply)[0].id()),
            (1, server.log()[0].id.as_str())
        );
        // Messages that go one by one have keys of their own.
        let channel = account(&server).channel("template");
        server.fault("template/send", what.clone(), 5);
        let all = batch(2, &openids(5), &template());
        assert_eq!(letters(&channel.send(&all)), "uuuuu");
        assert_eq!(letters(&channel.send(&all)), "aaaaa");
        assert_eq!(
            server
                .log()
                .iter()
                .filter(|a| a.endpoint == "template")
                .count(),
            5
        );
    }
}

/// 45065 says that the job is there, also at the first attempt: accepted under the id that it
/// names.
#[test]
fn failure_mode_05_a_key_that_is_known_is_no_failure() {
    let server = server();
    let mass = account(&server).channel("mass");
    let known = json!({"errcode": 45065, "errmsg": "clientmsgid exist", "msg_id": 42});
    server.fault("mass/send", What::After(200, known), 1);
    let reply = mass.send(&batch(1, &openids(3), &text()));
    assert_eq!(letters(&reply), "aaa");
    assert_eq!(verdicts(&reply)[0].id(), "42");
    // Too fast a repeat (45066) says that it may be there.
    server.fault(
        "mass/send",
        What::Instead(200, json!({"errcode": 45066, "errmsg": "too fast"})),
        1,
    );
    assert_eq!(letters(&mass.send(&batch(2, &openids(3), &text()))), "U");
}

/// The same text to the same people on purpose: another batch has another key, and is another job.
#[test]
fn failure_mode_06_a_key_is_always_there() {
    let server = server();
    let mass = account(&server).channel("mass");
    for n in 1..=3 {
        assert_eq!(
            letters(&mass.send(&batch(n, &openids(5), &text()))),
            "aaaaa"
        );
    }
    let keys: std::collections::BTreeSet<String> =
        server.log().into_iter().map(|a| a.key).collect();
    assert_eq!(keys.len(), 3);
    assert!(
        keys.iter().all(|k| k.len() == 32),
        "not longer than what the platform takes"
    );
}

/// Nothing in the adapter can say "everyone": no list, an empty list or a list of one is never a
/// send to all.
#[test]
fn failure_mode_07_no_list_is_not_everybody() {
    let server = server();
    let mass = account(&server).channel("mass");
    assert_eq!(letters(&mass.send(&batch(1, &[], &text()))), "");
    assert_eq!(letters(&mass.send(&batch(2, &openids(1), &text()))), "R");
    assert_eq!(
        letters(&mass.send(&batch(3, &["".into(), "".into()], &text()))),
        "rr"
    );
    assert!(server.log().is_empty());
    assert_eq!(server.requests("sendall"), 0);
    let source = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/deliver/platforms/wechat/send.rs"
    ))
    .unwrap();
    let code: String = source
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect();
    assert!(!code.contains("is_to_all") && !code.contains("sendall"));
}

/// The finish event is lost: the status can still be asked for; a job that the platform does not
/// know proves nothing.
#[test]
fn failure_mode_08_a_lost_finish_event_is_asked_for() {
    let server = server();
    let mass = account(&server).channel("mass");
    let all = batch(1, &openids(3), &text());
    let reply = mass.send(&all);
    let id = verdicts(&reply)[0].id();
    let seen = mass.look_up(&all, Some(id)).unwrap();
    assert_eq!(
        (seen.found.as_deref(), seen.all, seen.over),
        (Some(id), None, true),
        "the counts came with the event only"
    );
    assert!(mass.look_up(&all, Some("77")).is_err());
    assert_eq!(mass.look_up(&all, None).unwrap(), Default::default());
}

/// A quota that is used up holds the channel back until it comes again; nothing spins, and nothing
/// counts as sent.
#[test]
fn failure_mode_10_a_quota_is_waited_for() {
    let server = server();
    let account = account(&server).with("concurrency", 4);
    server.with(|p: &mut WeChat| p.calls_left.insert("template", 10));
    let reply = account
        .channel("template")
        .send(&batch(1, &openids(40), &template()));
    assert_eq!(letters(&reply).matches('a').count(), 10);
    assert_eq!(letters(&reply).matches('n').count(), 30);
    assert_eq!(
        waits(&reply).as_deref(),
        Some("2026-11-12 00:02"),
        "the platform's next day"
    );
    assert!(
        server.requests("template/send") <= 10 + 4,
        "{}",
        server.requests("template/send")
    );
    // Too fast is a minute, twice as long the next time; then it goes well again.
    let mass = account.channel("mass");
    for expected in ["10:01", "10:03"] {
        server.fault(
            "mass/send",
            What::Instead(
                200,
                json!({"errcode": 45011, "errmsg": "api minute-quota reach limit"}),
            ),
            1,
        );
        let reply = mass.send(&batch(2, &openids(2), &text()));
        assert_eq!(
            (letters(&reply).as_str(), waits(&reply)),
            ("N", Some(format!("2026-11-11 {expected}")))
        );
        account.world.advance_to(
            account
                .world_now()
                .plus(Elapsed::minutes(if expected == "10:01" { 1 } else { 2 })),
        );
    }
    assert_eq!(letters(&mass.send(&batch(3, &openids(2), &text()))), "aa");
}

/// No mass send left: until the month rolls over on a service account, until tomorrow on a
/// subscription account.
#[test]
fn mass_quotas_roll_over_with_the_platforms_calendar() {
    let server = Server::start(WeChat::subscription(APP, SECRET));
    let article = Account::new("subscription_account", &server.url).channel("article");
    assert_eq!(
        letters(&article.send(&batch(1, &openids(2), &text()))),
        "aa"
    );
    let reply = article.send(&batch(2, &openids(2), &text()));
    assert_eq!(
        (letters(&reply).as_str(), waits(&reply).as_deref()),
        ("N", Some("2026-11-12 00:02"))
    );
    let server = crate::platforms::Server::start(WeChat::new(APP, SECRET));
    server.fault(
        "mass/send",
        What::Instead(
            200,
            json!({"errcode": 45028, "errmsg": "has no masssend quota"}),
        ),
        1,
    );
    let reply = account(&server)
        .channel("mass")
        .send(&batch(2, &openids(2), &text()));
    assert_eq!(waits(&reply).as_deref(), Some("2026-12-01 00:02"));
}

/// Text is sent as it is: no escapes, emoji and all. A rule of a typed field that is broken is that
/// message's, not the account's.
#[test]
fn failure_mode_12_lengths_and_characters() {
    let server = server();
    server.with(|p: &mut WeChat| p.windows.insert("o0".into(), (5, i64::MAX)));
    let chat = account(&server).channel("chat");
    let emoji = content(&[("body", "你好 \"👍\" \n 100%")]);
    assert_eq!(letters(&chat.send(&batch(1, &openids(1), &emoji))), "a");
    assert_eq!(server.log()[0].content["content"], "你好 \"👍\" \n 100%");
    let long = content(&[
        ("platform", "TM1"),
        (
            "field thing1",
            "这一段文字比平台规定的二十个字符的上限还要更长一些",
        ),
        ("field amount2", "¥50"),
    ]);
    let mut mixed = batch(2, &openids(3), &template());
    mixed.messages[1].content = long.clone();
    let reply = account(&server).channel("template").send(&mixed);
    assert_eq!(letters(&reply), "ara");
    let Verdict::Refused {
        reason,
        because: Refusal::Message,
    } = &verdicts(&reply)[1]
    else {
        panic!("{reply:?}")
    };
    assert!(reason.contains("thing1"), "{reason}");
    // Where all are wrong the template is: the batch is refused, which stops the campaign.
    let all = account(&server)
        .channel("template")
        .send(&batch(3, &openids(3), &long));
    assert_eq!(letters(&all), "R");
}

/// An address that is not on the whitelist: the account stops, and the message names the address
/// that the platform saw.
#[test]
fn failure_mode_13_the_whitelist() {
    let server = server();
    server.with(|p: &mut WeChat| p.whitelisted = false);
    let reply = account(&server)
        .channel("mass")
        .send(&batch(1, &openids(2), &text()));
    assert_eq!(letters(&reply), "N");
    let why = stops(&reply).unwrap();
    assert!(
        why.contains("203.0.113.7") && why.contains("whitelist"),
        "{why}"
    );
    assert_eq!(server.requests("mass/send"), 0);
}

/// Ids of another account or another feature.
#[test]
fn failure_mode_14_ids_of_another_space() {
    let server = server();
    let account = account(&server);
    let channel = account.channel("template");
    let reply = channel.send(&batch(
        1,
        &["o1".into(), "x-of-another-account".into()],
        &template(),
    ));
    assert_eq!(letters(&reply), "ar");
    assert!(matches!(
        verdicts(&reply)[1],
        Verdict::Refused {
            because: Refusal::Address,
            ..
        }
    ));
    // A template of another feature: a hiccup once, the second time a person is asked.
    let wrong = content(&[("platform", "SN1"), ("field thing1", "会员专享")]);
    let reply = channel.send(&batch(2, &openids(2), &wrong));
    assert_eq!(
        (letters(&reply).as_str(), waits(&reply).as_deref()),
        ("nn", Some("2026-11-11 10:01"))
    );
    account
        .world
        .advance_to(account.world_now().plus(Elapsed::minutes(1)));
    let reply = channel.send(&batch(3, &openids(2), &wrong));
    assert!(stops(&reply).unwrap().contains("template"), "{reply:?}");
    assert!(server.log().iter().all(|a| a.users == ["o1"]));
}

/// Consents and windows: used up means not now, blocked means not at all.
#[test]
fn failure_mode_15_consents_and_windows() {
    let server = server();
    server.with(|p: &mut WeChat| {
        p.consents.insert(("o0".into(), "SN1".into()), 1);
        p.windows.insert("o0".into(), (1, i64::MAX));
        p.windows.insert("o2".into(), (5, 0));
        p.blockers.insert("o3".into());
    });
    let account = account(&server);
    let because = |reply: &tagcast::deliver::channel::Reply| -> Vec<Option<Refusal>> {
        let why = |v: &Verdict| {
            if let Verdict::Refused { because, .. } = v {
                Some(*because)
            } else {
                None
            }
        };
        verdicts(reply).iter().map(why).collect()
    };
    let reply = account
        .channel("notice")
        .send(&batch(1, &openids(2), &notice()));
    assert_eq!(because(&reply), [None, Some(Refusal::ForNow)]);
    let reply = account
        .channel("notice")
        .send(&batch(2, &openids(1), &notice()));
    assert_eq!(
        because(&reply),
        [Some(Refusal::ForNow)],
        "one consent is one message"
    );
    let reply = account
        .channel("chat")
        .send(&batch(3, &openids(4), &text()));
    assert_eq!(
        because(&reply),
        [
            None,
            Some(Refusal::ForNow),
            Some(Refusal::ForNow),
            Some(Refusal::Address)
        ]
    );
    let reply = account
        .channel("chat")
        .send(&batch(4, &openids(1), &text()));
    assert_eq!(because(&reply), [Some(Refusal::ForNow)]);
}

/// What can be taken back is the page behind an article or a video; a second send of the same
/// article shares the draft, not the job.
#[test]
fn failure_mode_17_what_a_recall_can_do() {
    let server = server();
    let mass = account(&server).channel("mass");
    let article = content(&[
        ("title", "双十一"),
        ("body", "满300减50"),
        ("image", "cover1"),
    ]);
    let first = mass.send(&batch(1, &openids(3), &article));
    let second = mass.send(&batch(2, &openids(3), &article));
    let (first, second) = (
        verdicts(&first)[0].id().to_string(),
        verdicts(&second)[0].id().to_string(),
    );
    assert_eq!(mass.recall(&first, &article), Recalled::Done);
    let look = |id: &str| {
        mass.look_up(&batch(1, &openids(3), &article), Some(id))
            .unwrap()
            .all
    };
    assert_eq!(
        (look(&first), look(&second)),
        (Some(ReceiptKind::Recalled), None)
    );
    assert!(
        matches!(mass.recall(&first, &article), Recalled::Cannot { .. }),
        "only what was sent can be taken back"
    );
    let plain = mass.send(&batch(3, &openids(3), &text()));
    assert!(matches!(
        mass.recall(verdicts(&plain)[0].id(), &text()),
        Recalled::Cannot { .. }
    ));
    server.fault("mass/delete", What::CutAfter, 1);
    assert!(matches!(
        mass.recall(&second, &article),
        Recalled::Unknown { .. }
    ));
    assert!(matches!(
        account(&server).channel("chat").recall("1", &text()),
        Recalled::Cannot { .. }
    ));
}

/// A review says no after the job was accepted: rejected, whatever its number, and never sent again
/// by itself. Case 25, as far as the status can be asked for.
#[test]
fn failure_mode_19_a_review_after_acceptance() {
    let server = server();
    let mass = account(&server).channel("mass");
    for verdict in ["err(20008)", "err(20431)"] {
        server.with(|p: &mut WeChat| p.verdict = Some(verdict.into()));
        let all = batch(1 + server.log().len() as u32, &openids(3), &text());
        let reply = mass.send(&all);
        assert_eq!(letters(&reply), "aaa", "accepted is not delivered");
        assert_eq!(
            mass.look_up(&all, Some(verdicts(&reply)[0].id()))
                .unwrap()
                .all,
            Some(ReceiptKind::Rejected)
        );
    }
    assert_eq!(server.requests("mass/send"), 2);
}

/// Case 27: one openid of another account refuses the list as a whole. It is found by asking, never
/// by sending; the rest goes once more, and if that is refused too a person is asked.
#[test]
fn case_27_a_bad_openid_in_a_list() {
    let server = server();
    let mass = account(&server).channel("mass");
    let mut users = openids(250);
    users[77] = "x-of-another-account".into();
    let reply = mass.send(&batch(1, &users, &text()));
    let expected: String = (0..250).map(|i| if i == 77 { 'r' } else { 'n' }).collect();
    assert_eq!(letters(&reply), expected);
    assert!(waits(&reply).is_some());
    assert_eq!((server.requests("mass/send"), server.log().len()), (1, 0));
    users.remove(77);
    // The platform keeps refusing the list: it is not looked at again.
    server.fault(
        "mass/send",
        What::Instead(200, json!({"errcode": 40003, "errmsg": "invalid openid"})),
        1,
    );
    let asked = server.requests("batchget");
    let reply = mass.send(&batch(2, &users, &text()));
    assert_eq!(letters(&reply), "N");
    assert!(stops(&reply).is_some());
    assert_eq!(server.requests("batchget"), asked);
    assert_eq!(
        letters(&mass.send(&batch(3, &users, &text()))),
        "a".repeat(249)
    );
}

/// A wrong secret, however the platform quotes it, is never shown.
#[test]
fn a_secret_is_never_shown() {
    let server = Server::start(WeChat::new(APP, "the right one"));
    let account = account(&server);
    let reply = account
        .channel("mass")
        .send(&batch(1, &openids(2), &text()));
    let shown = format!("{reply:?}");
    assert!(
        shown.contains("invalid appsecret …") && !shown.contains(SECRET),
        "{shown}"
    );
    server.with(|p: &mut WeChat| p.secret = SECRET.into());
    let channel = account.channel("chat");
    server.fault(
        "custom/send",
        What::Instead(
            200,
            json!({"errcode": 123456, "errmsg": format!("odd {}", SECRET)}),
        ),
        1,
    );
    let shown = format!("{:?}", channel.send(&batch(2, &openids(1), &text())));
    assert!(shown.contains("123456 odd …"), "{shown}");
}

/// A request is not begun long after its claim.
#[test]
fn case_05_a_request_that_is_late_is_given_up() {
    let server = server();
    let channel: Arc<dyn Channel> = account(&server).channel("chat");
    let mut late = batch(1, &openids(2), &text());
    late.begin_by = Some(std::time::Instant::now() - Duration::from_millis(1));
    assert_eq!(letters(&channel.send(&late)), "nn");
    assert_eq!(server.requests("custom/send"), 0);
}
