//! An account that cannot send: its campaign waits or stops, and says what to do; the campaign
//! beside it continues; and when somebody has done it, what was left goes out, once.

use std::sync::Arc;

use serde_json::json;
use tagcast::base::Msg;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::decide::decision::Contents;
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::platforms::sandbox::SandboxFile;
use tagcast::ledger::{Ledger, State};
use tagcast::program::typed::ChannelName as Name;

use super::bench::{APP, SECRET, content};
use super::cuts::channels_at;
use crate::platforms::wechat::WeChat;
use crate::platforms::{Server, What};
use crate::support::delivery::{DUE, OF, Place, at, ids, reschedule, state, users, verified};

/// `a` goes by template messages, `b` into the sandbox's file.
fn planned(place: &Place) -> Ledger {
    let (a, b) = (place.wanted("a"), place.wanted("b"));
    let mut by_template = a.to(0..20);
    let group = &mut by_template.messages[0];
    group.channel = Name {
        account: "service_account".into(),
        platform: "service_account".into(),
        endpoint: "template".into(),
    };
    group.addresses = (0..20).map(|i| format!("o{i}").into()).collect();
    group.expires = at("2026-11-14 10:00");
    group.contents = Contents::Same(content(&[
        ("platform", "TM1"),
        ("field thing1", "会员专享"),
        ("field amount2", "¥50"),
    ]));
    let mut ledger = place.open();
    ledger
        .planner()
        .plan_runs(&[(&by_template, a.info()), (&b.to(0..20), b.info())])
        .unwrap();
    ledger
}

/// Works from one instant to another with new channels, as a process does that was just started.
/// Gives what is said of `a`.
fn work(
    ledger: &mut Ledger,
    place: &Place,
    server: &Server,
    from: &str,
    until: &str,
) -> Option<Msg> {
    server.clock_at(at(from).0 / 1_000_000);
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(from)));
    let sandbox = Arc::new(SandboxFile::with_faults(
        &place.outbox(),
        world.clone(),
        Vec::new(),
    ));
    reschedule(ledger, at(from));
    let channels: Channels = channels_at([&server.url, "http://127.0.0.1:9"], 4, &world)
        .bind("sandbox", "file", sandbox);
    let mut carry = DispatchLoop::new(ledger, channels, ids(&users(OF)), world);
    carry.up_to(at(until), &mut ()).unwrap();
    carry
        .stopped()
        .get("a")
        .or_else(|| carry.held("a"))
        .cloned()
}

/// The trouble, what ends it, and until when the campaign waits if nobody has to do anything.
fn trouble(
    begins: impl FnOnce(&Server),
    says: [&str; 2],
    ends: impl FnOnce(&Server),
    goes_on_at: &str,
) {
    let (place, server) = (Place::new(), Server::start(WeChat::new(APP, SECRET)));
    let mut ledger = planned(&place);
    begins(&server);
    let said =
        work(&mut ledger, &place, &server, DUE, "2026-11-11 10:30").expect("it says something");
    assert!(
        said.en.contains(says[0]) && said.zh.contains(says[1]),
        "{said:?}"
    );
    assert!(!said.en.contains(SECRET));
    let troubles = ledger.reader().troubles().unwrap();
    assert_eq!(
        troubles
            .iter()
            .map(|(trouble, _)| &trouble.why)
            .collect::<Vec<_>>(),
        [&said],
        "others can read why"
    );
    assert_eq!(place.sent("b"), 20, "the other continues: {said:?}");
    assert_eq!(
        server.received().len() as i64,
        ledger.reader().reports(Some("a")).unwrap()[0].in_state(State::Accepted)
    );
    assert_eq!(state(ledger.reader(), 19, "a"), State::Planned);
    assert!(
        ledger.reader().stuck().unwrap().is_empty(),
        "nothing is unknown"
    );
    assert!(
        server.requests("template/send") <= 20,
        "it does not hammer at the door: {}",
        server.requests("template/send")
    );
    ends(&server);
    assert_eq!(
        work(&mut ledger, &place, &server, goes_on_at, goes_on_at),
        None
    );
    assert_eq!(server.received().len(), 20);
    assert!(server.received().values().all(|n| *n == 1));
    assert_eq!(
        ledger.reader().reports(Some("a")).unwrap()[0].in_state(State::Accepted),
        20
    );
    assert_eq!(ledger.reader().troubles().unwrap(), [], "it is over");
    verified(ledger.reader());
}

#[test]
fn wrong_credentials_stop_and_ask_for_the_right_ones() {
    trouble(
        |server| server.with(|p: &mut WeChat| p.secret = "another".into()),
        [
            "the app id or its secret is wrong: check `[accounts]` in `tagcast.toml`",
            "appid 或密钥错误：请检查 tagcast.toml",
        ],
        |server| server.with(|p: &mut WeChat| p.secret = SECRET.into()),
        "2026-11-11 10:40",
    );
}

#[test]
fn revoked_access_stops_and_names_where_to_look() {
    let revoked = What::Instead(200, json!({"errcode": 48001, "errmsg": "api unauthorized"}));
    trouble(
        |server| server.fault_after("template/send", revoked, 6, 99),
        [
            "may not use this endpoint: look at its rights in the console",
            "无此接口权限：请在后台查看权限",
        ],
        Server::clear_faults,
        "2026-11-11 10:40",
    );
}

#[test]
fn a_blocked_address_stops_and_says_which_to_add() {
    trouble(
        |server| server.with(|p: &mut WeChat| p.whitelisted = false),
        [
            "not on the account's IP whitelist: add the address that the platform names to it (40164 invalid ip 203.0.113.7",
            "请把平台提示的地址加入白名单（40164 invalid ip 203.0.113.7",
        ],
        |server| server.with(|p: &mut WeChat| p.whitelisted = true),
        "2026-11-11 10:40",
    );
}

#[test]
fn a_quota_that_is_gone_is_waited_for_until_it_comes_again() {
    trouble(
        |server| {
            server.with(|p: &mut WeChat| p.calls_left.insert("template", 6));
        },
        [
            "waits until 2026-11-12 00:02: the quota of this day is used up",
            "等待至 2026-11-12 00:02：当日调用配额已用尽",
        ],
        |server| {
            server.with(|p: &mut WeChat| p.calls_left.remove("template"));
        },
        "2026-11-12 00:03",
    );
}
