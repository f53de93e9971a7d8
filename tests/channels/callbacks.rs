//! Callbacks end to end: what a platform pushes to `tagcast serve`, as often and in what order it
//! likes, and what comes of it.

use std::path::{Path, PathBuf};

use super::bench::{APP, SECRET};
use crate::platforms::alipay::{APP_PRIVATE, Alipay, PLATFORM_PUBLIC};
use crate::platforms::douyin::{Douyin, OPEN_ID, REFRESH};
use crate::platforms::wechat::WeChat;
use crate::platforms::wecom::{CALLBACK_KEY, WeCom};
use crate::platforms::{Callback, Calls, Platform, Server};
use crate::support;
use crate::support::service::{SERVE, Service, address, call, log, metric, until, with_token};

/// A second of the clock that the program's runs are far from.
const NOW: i64 = 1_790_000_000;

/// Four users with addresses, an account with its secrets in files, and a message at each purchase.
pub fn folder(
    platform: &str,
    head: &str,
    account: &str,
    template: &str,
    via: &str,
) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let users: String = (0..4).map(|i| format!("u{i},{head}{i}\n")).collect();
    std::fs::write(path.join("users.csv"), format!("id,at\n{users}")).unwrap();
    let program = format!(
        "tag at address({platform}) base\nevent purchase {{ amount money }}\ntemplate hello {{ {template} }}\n\
         campaign thank {{ purpose service on purchase again always send template hello via {via} }}\n"
    );
    std::fs::write(path.join("a.campaign"), program).unwrap();
    let config = format!(
        "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n[accounts.{platform}]\napp_id = \"{APP}\"\n{account}"
    );
    std::fs::write(path.join("tagcast.toml"), config).unwrap();
    (dir, path)
}

pub fn secret(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(folder.join(name), text).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A service that a platform calls back; gives where it listens.
pub fn served(folder: &Path, server: &Server, account: &str) -> (Service, String) {
    let service = Service::start(folder, &SERVE);
    let at = address(folder);
    server.call_back(&format!("http://{at}/v1/callbacks/{account}"), Calls::Twice);
    (service, at)
}

/// Pushes what the platform makes, and expects that it is taken at the first try.
pub fn push<P: Platform + 'static>(
    server: &Server,
    make: impl FnOnce(&mut P) -> Callback,
) -> String {
    let callback = server.with(make);
    let mut answers = server.push(&callback);
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (status, body) = answers.remove(0);
    assert_eq!(status, 200, "{body}");
    body
}

pub fn purchases(at: &str, users: &[&str]) {
    let events: String = users
        .iter()
        .map(|u| format!("{{\"event\":\"purchase\",\"user\":\"{u}\",\"amount\":5}}\n"))
        .collect();
    assert_eq!(with_token(at, "POST", "/v1/events", &events).0, 200);
}

/// Calls are applied in the order of their arrival: when this many users have opted out, all that
/// was told before them is known.
fn until_opted_out(folder: &Path, at: &str, n: i64) {
    until(folder, "opt-outs", || {
        (metric(at, "tagcast_opt_outs_total ") == n).then_some(())
    });
}

#[test]
fn douyin_tells_who_allows_messages_and_who_does_not_any_more() {
    let server = Server::start(Douyin::new(APP));
    let account = format!(
        "open_id = \"{OPEN_ID}\"\nsecret_file = \"secret\"\nrefresh_token_file = \"refresh\"\ncard = \"c\"\nbase_url = \"{}\"\n",
        server.url
    );
    let template = "body \"谢谢\" miniprogram \"tt1/pages/sale?id=1\"";
    let (_dir, folder) = folder("douyin", "dy", &account, template, "douyin.message");
    secret(&folder, "secret", "client-secret");
    secret(&folder, "refresh", REFRESH);
    let (mut service, at) = served(&folder, &server, "douyin");
    assert_eq!(
        push(&server, |p: &mut Douyin| p.tries(12_345)),
        "{\"challenge\":12345}"
    );
    // Two allow messages, one of them twice, and one not any more; and somebody whom nobody knows
    // writes.
    let allowed: Vec<Callback> = ["dy0", "dy1", "dy0"]
        .iter()
        .map(|u| server.with(|p: &mut Douyin| p.allows(u, true, NOW)))
        .collect();
    for callback in &allowed {
        assert_eq!(server.push(callback), [(200, "{\"err_no\":0}".to_string())]);
    }
    push(&server, |p: &mut Douyin| p.writes("a stranger", "@m1", NOW));
    // Who is refused for good is not tried again until he gives a sign of life; later than the
    // refusal, whenever this test runs.
    server.with(|p: &mut Douyin| p.banned.insert("dy2".into()));
    purchases(&at, &["u2"]);
    until(&folder, "refusal", || {
        (metric(&at, "tagcast_messages_refused_total ") == 1).then_some(())
    });
    server.with(|p: &mut Douyin| p.banned.clear());
    push(&server, |p: &mut Douyin| {
        p.allows("dy2", true, NOW + 1_000_000_000)
    });
    // Nobody believes a call whose signature is wrong, however often it comes.
    let mut forged = server.with(|p: &mut Douyin| p.allows("dy3", false, NOW));
    forged.body = forged.body.replace("dy3", "dy0");
    let answers = server.push(&forged);
    assert_eq!(
        answers
            .iter()
            .map(|(status, _)| *status)
            .collect::<Vec<_>>(),
        [403; 3],
        "{answers:?}"
    );
    for _ in 0..2 {
        push(&server, |p: &mut Douyin| p.allows("dy1", false, NOW + 60));
    }
    until_opted_out(&folder, &at, 1);
    purchases(&at, &["u0", "u1", "u2"]);
    until(&folder, "messages", || {
        (server.log().len() >= 2).then_some(())
    });
    // The platform tells twice of each that it sent.
    until(&folder, "word of it", || {
        (metric(&at, "tagcast_callbacks_total ") == 12).then_some(())
    });
    assert_eq!(
        server.received().into_iter().collect::<Vec<_>>(),
        [("dy0".to_string(), 1), ("dy2".to_string(), 1)]
    );
    assert_eq!(
        (
            metric(&at, "tagcast_opt_outs_total "),
            metric(&at, "tagcast_callbacks_refused_total ")
        ),
        (1, 3)
    );
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let (_, out, _) = support::run(&folder, &["why", "u1", "thank", "--format", "json"]);
    assert!(out.contains("opted_out"), "{out}");
    assert_eq!(support::run(&folder, &["audit", "verify"]).0, 0);
}

/// The address of an answer names a conversation and a message, too; the platform names the user
/// alone.
#[test]
fn douyin_answers_whom_it_tells_of() {
    let server = Server::start(Douyin::new(APP));
    let account = format!(
        "open_id = \"{OPEN_ID}\"\nsecret_file = \"secret\"\nrefresh_token_file = \"refresh\"\nbase_url = \"{}\"\n",
        server.url
    );
    let (_dir, folder) = folder("douyin", "dy", &account, "body \"谢谢\"", "douyin.message");
    secret(&folder, "secret", "client-secret");
    secret(&folder, "refresh", REFRESH);
    let (mut service, at) = served(&folder, &server, "douyin");
    let tags: String = (0..2)
        .map(|i| format!("{{\"user\":\"u{i}\",\"tags\":{{\"at\":\"dy{i} @c @m{i}\"}}}}\n"))
        .collect();
    assert_eq!(with_token(&at, "POST", "/v1/tags", &tags).0, 200);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    for i in 0..2 {
        push(&server, |p: &mut Douyin| {
            p.writes(&format!("dy{i}"), &format!("@m{i}"), now)
        });
    }
    push(&server, |p: &mut Douyin| p.allows("dy1", false, now));
    until_opted_out(&folder, &at, 1);
    purchases(&at, &["u0", "u1"]);
    until(&folder, "message", || {
        (metric(&at, "tagcast_messages_accepted_total ") == 1).then_some(())
    });
    assert_eq!(
        server.received().into_iter().collect::<Vec<_>>(),
        [("dy0".to_string(), 1)]
    );
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let (_, out, _) = support::run(&folder, &["why", "u1", "thank", "--format", "json"]);
    assert!(out.contains("opted_out"), "{out}");
}

#[test]
fn alipay_tells_who_follows_and_who_does_not_any_more() {
    let server = Server::start(Alipay::new(APP));
    let account = format!(
        "secret_file = \"key\"\nplatform_key = \"platform.pem\"\nbase_url = \"{}\"\n",
        server.url
    );
    let (_dir, folder) = folder(
        "alipay",
        "ali",
        &account,
        "platform \"T1\" field first = \"谢谢\"",
        "alipay.single",
    );
    secret(&folder, "key", APP_PRIVATE);
    std::fs::write(folder.join("platform.pem"), PLATFORM_PUBLIC).unwrap();
    let (mut service, at) = served(&folder, &server, "alipay");
    // Answers are signed with the application's key.
    let answer = |body: &str| {
        server
            .with(|p: &mut Alipay| p.believes(body))
            .unwrap_or_else(|| panic!("{body}"))
    };
    assert!(
        answer(&push(&server, |p: &mut Alipay| p.tries(NOW)))
            .starts_with("<success>true</success><biz_content>MII")
    );
    assert!(
        answer(&push(&server, |p: &mut Alipay| p.writes("ali0", "m1", NOW)))
            .contains("<ToUserId><![CDATA[ali0]]></ToUserId>")
    );
    // Who does not follow is refused, and not tried again until he follows.
    server.with(|p: &mut Alipay| p.unfollowed.insert("ali2".into()));
    purchases(&at, &["u2"]);
    until(&folder, "refusal", || {
        (metric(&at, "tagcast_messages_refused_total ") == 1).then_some(())
    });
    // Later than the refusal, whenever this test runs.
    push(&server, |p: &mut Alipay| {
        p.follows("ali2", true, NOW + 1_000_000_000)
    });
    let mut forged = server.with(|p: &mut Alipay| p.follows("ali3", false, NOW));
    forged.body = forged.body.replace("ali3", "ali0");
    assert_eq!(server.push(&forged).len(), 3, "refused each time");
    for _ in 0..2 {
        push(&server, |p: &mut Alipay| p.follows("ali1", false, NOW));
    }
    until_opted_out(&folder, &at, 1);
    purchases(&at, &["u0", "u1", "u2"]);
    until(&folder, "messages", || {
        (server.log().len() >= 2).then_some(())
    });
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let received: Vec<String> = server.received().into_keys().collect();
    assert_eq!(received, ["ali0", "ali2"]);
    let (_, out, _) = support::run(&folder, &["why", "u1", "thank", "--format", "json"]);
    assert!(out.contains("opted_out"), "{out}");
}

/// Tries an address as WeChat and WeCom do: a GET whose encrypted echo must come back in clear.
fn try_address(at: &str, account: &str, query: &str) -> (u16, String) {
    call(
        at,
        "GET",
        &format!("/v1/callbacks/{account}?{query}"),
        &[],
        "",
    )
}

#[test]
fn wecom_encrypts_what_it_tells() {
    let server = Server::start(WeCom::new(APP, SECRET));
    let account = format!(
        "agent_id = 1\nsecret_file = \"secret\"\ncallback_token_file = \"token\"\ncallback_key_file = \"key\"\nbase_url = \"{}\"\n",
        server.url
    );
    let (_dir, folder) = folder("wecom", "m", &account, "body \"谢谢\"", "wecom.app");
    for (name, text) in [
        ("secret", SECRET),
        ("token", "callback-token"),
        ("key", CALLBACK_KEY),
    ] {
        secret(&folder, name, text);
    }
    let (mut service, at) = served(&folder, &server, "wecom");
    let query = server.with(|p: &mut WeCom| p.seal.tries("9876543210", NOW));
    assert_eq!(
        try_address(&at, "wecom", &query),
        (200, "9876543210".into())
    );
    assert_eq!(
        try_address(&at, "wecom", &query.replace("timestamp=1", "timestamp=2")).0,
        403
    );
    assert_eq!(
        push(&server, |p: &mut WeCom| p.writes("m0", "1", NOW)),
        "success"
    );
    push(&server, |p: &mut WeCom| p.leaves("wm1", NOW));
    push(&server, |p: &mut WeCom| p.unsubscribes("nobody", NOW));
    // In clear, changed on the way, or for another corporation: not the platform.
    let good = server.with(|p: &mut WeCom| p.unsubscribes("m2", NOW));
    let clear = Callback {
        body: "<xml><FromUserName>m2</FromUserName><Event>unsubscribe</Event></xml>".into(),
        ..good.clone()
    };
    let changed = Callback {
        body: good
            .body
            .replace("<Encrypt><![CDATA[", "<Encrypt><![CDATA[AAAA"),
        ..good.clone()
    };
    let other = server.with(|p: &mut WeCom| {
        p.seal.receiver = "another corporation".into();
        let call = p.unsubscribes("m2", NOW);
        p.seal.receiver = APP.into();
        call
    });
    for wrong in [clear, changed, other] {
        assert_eq!(
            server
                .push(&wrong)
                .iter()
                .map(|(status, _)| *status)
                .collect::<Vec<_>>(),
            [403; 3]
        );
    }
    for _ in 0..2 {
        push(&server, |p: &mut WeCom| p.unsubscribes("m1", NOW));
    }
    until_opted_out(&folder, &at, 1);
    purchases(&at, &["u0", "u1", "u2"]);
    let all = || server.log().iter().map(|a| a.users.len()).sum::<usize>();
    until(&folder, "messages", || (all() >= 2).then_some(()));
    assert_eq!((service.stop(), all()), (Some(0), 2), "{}", log(&folder));
    assert!(!server.received().contains_key("m1"));
}

/// WeChat's safe mode: the same encryption, with a signature of the call beside that of its
/// content.
#[test]
fn wechat_in_its_safe_mode_tells_what_was_delivered() {
    let server = Server::start(WeChat::new(APP, SECRET));
    server.with(|p: &mut WeChat| p.callback_key = Some(CALLBACK_KEY.into()));
    let account = format!(
        "secret_file = \"secret\"\ncallback_token_file = \"token\"\ncallback_key_file = \"key\"\nbase_url = \"{}\"\n",
        server.url
    );
    let template = "platform \"TM1\" field thing1 = \"会员专享\" field amount2 = \"¥50\"";
    let (_dir, folder) = folder(
        "service_account",
        "o",
        &account,
        template,
        "service_account.template",
    );
    for (name, text) in [
        ("secret", SECRET),
        ("token", "callback-token"),
        ("key", CALLBACK_KEY),
    ] {
        secret(&folder, name, text);
    }
    let (mut service, at) = served(&folder, &server, "service_account");
    purchases(&at, &["u0", "u1", "u2"]);
    // Each event is pushed twice.
    until(&folder, "callbacks", || {
        (metric(&at, "tagcast_callbacks_total ") == 6).then_some(())
    });
    assert_eq!(
        (service.stop(), server.undelivered()),
        (Some(0), 0),
        "{}",
        log(&folder)
    );
    // What was kept and not applied yet is applied by whoever starts next.
    let (mut service, _) = served(&folder, &server, "service_account");
    until(&folder, "receipt", || {
        let (_, out, _) = support::run(&folder, &["why", "u1", "thank", "--format", "json"]);
        out.contains("delivered").then_some(())
    });
    assert_eq!(service.stop(), Some(0));
}
