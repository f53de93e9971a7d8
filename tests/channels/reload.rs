//! A service takes over changed accounts while it works: a secret, an address, a key of callbacks;
//! what is broken leaves all as it was.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::bench::{APP, SECRET};
use crate::platforms::Server;
use crate::platforms::wechat::WeChat;
use crate::support::run;
use crate::support::service::{SERVE, Service, address, call, log, until, with_token};

const PROGRAM: &str = r#"tag at address(service_account) base
event purchase { amount money }
template thanks { platform "TM1" field thing1 = "会员专享" field amount2 = "¥50" }
campaign thank { purpose service on purchase again always send template thanks via service_account.template }
"#;

fn secret(folder: &Path, name: &str, text: &str) {
    // In one step, as a careful operator does: never half written, never readable by others.
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(new, folder.join(name)).unwrap();
}

fn configure(folder: &Path, url: &str, more: &str) {
    let config = format!(
        "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n[accounts.service_account]\napp_id = \"{APP}\"\nsecret_file = \"secret\"\n\
         base_url = \"{url}\"\n{more}"
    );
    std::fs::write(folder.join("tagcast.toml"), config).unwrap();
}

#[test]
fn a_service_takes_over_changed_accounts_and_no_broken_ones() {
    let (first, second) = (
        Server::start(WeChat::new(APP, SECRET)),
        Server::start(WeChat::new(APP, SECRET)),
    );
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    std::fs::write(folder.join("a.campaign"), PROGRAM).unwrap();
    std::fs::write(
        folder.join("users.csv"),
        "id,at\nu0,o0\nu1,o1\nu2,o2\nu3,o3\n",
    )
    .unwrap();
    secret(folder, "secret", "a wrong one");
    configure(folder, &first.url, "");
    let mut service = Service::start(folder, &SERVE);
    let at = address(folder);
    let says = |what: &str, times: usize| {
        until(folder, what, || {
            (log(folder).matches(what).count() >= times).then_some(())
        })
    };
    let buys = |user: &str| {
        let event = format!("{{\"event\":\"purchase\",\"user\":\"{user}\",\"amount\":5}}\n");
        assert_eq!(with_token(&at, "POST", "/v1/events", &event).0, 200);
    };
    let sent = |server: &Server, n: usize| {
        until(folder, "messages", || {
            (server.log().len() == n).then_some(())
        })
    };
    // With the wrong secret the account stops; with the right one what is planned leaves at once,
    // not an hour later.
    buys("u0");
    says("`thank` is stopped", 1);
    let (code, out, _) = run(folder, &["status"]);
    assert!(
        code == 1
            && out.contains("1 message has been waiting since")
            && out.contains("the app id or its secret is wrong: check `[accounts]`"),
        "{out}"
    );
    assert!(
        out.contains("a service continues when the settings change, and tries again at"),
        "{out}"
    );
    secret(folder, "secret", SECRET);
    says("took over the changed accounts: `service_account`", 1);
    sent(&first, 1);
    until(folder, "status without troubles", || {
        Some(run(folder, &["status"]))
            .filter(|(code, out, _)| *code == 0 && !out.contains("been waiting since"))
    });
    // No TOML, an account that lacks a secret, one that others may read: nothing changes.
    configure(folder, &second.url, "concurrency = \n");
    says("the one before it continues", 1);
    configure(folder, &second.url, "callback_token_file = \"token\"\n");
    says("the one before it continues", 2);
    buys("u1");
    sent(&first, 2);
    std::fs::write(folder.join("token"), "callback-token").unwrap();
    std::fs::set_permissions(folder.join("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        call(&at, "POST", "/v1/callbacks/service_account", &[], "<xml/>").0,
        404,
        "the account has no callbacks yet"
    );
    // Put right, the account goes to another address and takes callbacks.
    secret(folder, "token", "callback-token");
    says("took over the changed accounts", 2);
    buys("u2");
    sent(&second, 1);
    assert_eq!(
        call(&at, "POST", "/v1/callbacks/service_account", &[], "<xml/>").0,
        403,
        "not signed"
    );
    // What is written anew as it was changes nothing.
    secret(folder, "secret", SECRET);
    buys("u3");
    sent(&second, 2);
    assert_eq!(service.stop(), Some(0), "{}", log(folder));
    assert_eq!(
        (first.log().len(), log(folder).matches("took over").count()),
        (2, 2),
        "{}",
        log(folder)
    );
    assert_eq!(
        second.requests("stable_token"),
        1,
        "an account that did not change keeps its token"
    );
    for text in [
        log(folder),
        std::fs::read_to_string(folder.join("tagcast.toml")).unwrap(),
    ] {
        assert!(
            !text.contains(SECRET) && !text.contains("a wrong one"),
            "{text}"
        );
    }
}
