//! `tagcast serve` as a process: it decides on time, is killed and continues, stops cleanly, takes
//! over a changed program.

use crate::support;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::service::{
    SERVE, Service, address, call, log, metric, sent, until, until_sent, with_token,
};

fn folder(program: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    std::fs::write(path.join("users.csv"), "user_id,age\nu1,20\nu2,30\nu3,40\n").unwrap();
    std::fs::write(
        path.join("tagcast.toml"),
        "[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n",
    )
    .unwrap();
    write(&path, program);
    (dir, path)
}

fn write(folder: &Path, program: &str) {
    std::fs::write(
        folder.join("a.campaign"),
        format!("tag age int base\n{program}"),
    )
    .unwrap();
}

const SERIES: &str = "template first \"a\" template second \"b\" template third \"c\"
    campaign c { when everyone at now send template first
        after 2s send template second
        after 2s send template third }";

#[test]
fn killed_and_started_again_it_goes_on_with_every_wait() {
    let (_dir, folder) = folder(SERIES);
    let mut service = Service::start(&folder, &["--no-http"]);
    until_sent(&folder, 3);
    // The timer of the follow-up is set, or will be: either way it is not lost.
    service.kill();
    assert_eq!(sent(&folder).len(), 3);
    let mut service = Service::start(&folder, &["--no-http"]);
    until_sent(&folder, 6);
    service.kill();
    let mut service = Service::start(&folder, &["--no-http"]);
    let mut all = until_sent(&folder, 9);
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    all.sort();
    let expected: Vec<String> = ["first", "second", "third"]
        .iter()
        .flat_map(|t| (1..=3).map(move |n| format!("{t} u{n}")))
        .collect();
    assert_eq!(all, expected);
    // Started once more there is nothing left to do.
    let mut service = Service::start(&folder, &["--no-http"]);
    until(&folder, "start", || {
        (log(&folder).matches("serving 1 campaign").count() == 4).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(service.stop(), Some(0));
    assert_eq!(sent(&folder).len(), 9);
}

#[test]
fn a_changed_program_is_taken_over_and_a_wrong_one_is_not() {
    let (_dir, folder) = folder(SERIES);
    let mut service = Service::start(&folder, &["--no-http"]);
    until_sent(&folder, 3);
    write(&folder, "this is no program {");
    until(&folder, "refusal", || {
        log(&folder).contains("is not loaded").then_some(())
    });
    // The one before it continues.
    until_sent(&folder, 6);
    write(
        &folder,
        &format!("{SERIES} campaign d {{ when age > 25 at now send template third }}"),
    );
    until(&folder, "reload", || {
        log(&folder)
            .contains("took over the changed program: 2 campaigns")
            .then_some(())
    });
    let all = until_sent(&folder, 11);
    assert_eq!(all.iter().filter(|m| m.starts_with("third")).count(), 5);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn two_services_do_not_share_a_ledger() {
    let (_dir, folder) = folder(SERIES);
    let mut service = Service::start(&folder, &["--no-http"]);
    until_sent(&folder, 3);
    let (code, _, err) = support::run(&folder, &["serve", "--no-http"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("ledger"), "{err}");
    assert_eq!(service.stop(), Some(0));
    let (code, _, err) = support::run(&folder, &["serve", "--no-http", "--now", "2026-11-11"]);
    assert_eq!((code, err.contains("real clock")), (2, true), "{err}");
}

// ------------------------------------------------------------------ HTTP

#[test]
fn only_the_holder_of_the_token_is_let_in() {
    let (_dir, folder) = folder("template t \"a\"");
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    assert_eq!(
        call(&at, "GET", "/healthz", &[], ""),
        (200, "{\"status\":\"ok\"}".into())
    );
    for path in ["/metrics", "/openapi.json"] {
        let (status, body) = call(&at, "GET", path, &[], "");
        assert_eq!(
            (status, body.contains("Authorization: Bearer")),
            (401, true),
            "{body}"
        );
        assert_eq!(
            call(&at, "GET", path, &[("authorization", "Bearer wrong")], "").0,
            401
        );
        assert_eq!(with_token(&at, "GET", path, "").0, 200);
    }
    let (status, body) = call(
        &at,
        "GET",
        "/v1/nothing",
        &[("accept-language", "zh-CN")],
        "",
    );
    assert_eq!((status, body.contains("不存在")), (404, true), "{body}");
    assert_eq!(call(&at, "POST", "/v1/callbacks/sandbox", &[], "").0, 403);
    assert_eq!(with_token(&at, "POST", "/v1/callbacks/nobody", "").0, 404);
    for path in ["/v1/callbacks/sandbox", "/v1/events", "/v1/tags"] {
        let (status, why) = with_token(&at, "POST", path, &"x".repeat(9 << 20));
        assert_eq!(
            (
                status,
                why.contains(r#"{"error":"the body has more than 8 MiB"#)
            ),
            (413, true),
            "{path}: {why}"
        );
    }
    let (status, why) = with_token(&at, "DELETE", "/healthz", "");
    assert_eq!(
        (
            status,
            why.contains(r#"{"error":"this path does not know the method"#)
        ),
        (405, true),
        "{why}"
    );
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    // Not for everybody without a token, and not with one that could be guessed.
    for (listen, token) in [("0.0.0.0:0", ""), ("127.0.0.1:0", "short")] {
        let mut command = support::tagcast(&folder);
        command
            .args(["serve", "--listen", listen])
            .env_remove("TAGCAST_TOKEN");
        if !token.is_empty() {
            command.env("TAGCAST_TOKEN", token);
        }
        let (code, _, err) = support::parts(command.output().unwrap());
        assert_eq!((code, err.contains("token")), (2, true), "{err}");
    }
}

/// Case 9 with the process killed in between: what was acknowledged is applied, once, however often
/// it is told.
#[test]
fn callbacks_are_kept_and_count_once() {
    let (_dir, folder) = folder(
        "template first \"a\" template second \"b\"
        campaign c { when everyone at now send template first  after 3s if delivered send template second }",
    );
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    until_sent(&folder, 3);
    // The sandbox's id of a message is the number of its line.
    let key = |user: &str| {
        1 + sent(&folder)
            .iter()
            .position(|m| *m == format!("first {user}"))
            .unwrap()
    };
    let told =
        |user: &str, kind: &str| format!("{{\"id\":\"{}\",\"kind\":\"{kind}\"}}\n", key(user));
    let tell = |at: &str, body: &str| with_token(at, "POST", "/v1/callbacks/sandbox", body);
    assert_eq!(tell(&at, &told("u1", "delivered")), (200, "ok".into()));
    assert_eq!(tell(&at, &told("u2", "failed")).0, 200);
    service.kill();
    let mut service = Service::start(&folder, &SERVE);
    until(&folder, "second start", || {
        (log(&folder).matches("on http://").count() == 2).then_some(())
    });
    let at = address(&folder);
    // Again, in another order, with one that nobody knows, and one that nobody can read.
    let again = format!(
        "{}{}{{\"id\":\"from before\",\"kind\":\"opened\"}}\n",
        told("u2", "failed"),
        told("u1", "delivered")
    );
    assert_eq!(tell(&at, &again).0, 200);
    let (status, why) = tell(&at, "{\"id\":\"x\",\"kind\":\"eaten\"}");
    assert_eq!(
        (
            status,
            why.contains("line 1: `eaten` is no kind of receipt")
        ),
        (400, true),
        "{why}"
    );
    let all = until_sent(&folder, 4);
    assert_eq!(all[3], "second u1");
    until(&folder, "stray", || {
        (metric(&at, "tagcast_unmatched_receipts ") == 1).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sent(&folder).len(), 4);
    assert_eq!(service.stop(), Some(0));
    let (_, out, _) = support::run(&folder, &["why", "u2", "c", "--format", "json"]);
    assert!(out.contains("failed"), "{out}");
}

/// A burst of callbacks, each pushed three times, several at a time: every push is answered, before
/// anything is done about it; what they say counts once.
#[test]
fn failure_mode_09_a_burst_of_callbacks_is_kept_first() {
    const STRAYS: usize = 150;
    let (_dir, folder) =
        folder("template t \"a\" campaign c { when everyone at now send template t }");
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    until_sent(&folder, 3);
    let mut calls: Vec<String> = (0..STRAYS)
        .map(|i| format!("{{\"id\":\"of another {i}\",\"kind\":\"opened\"}}\n"))
        .collect();
    calls.extend((1..=3).flat_map(|id| {
        ["delivered", "opened"].map(|kind| format!("{{\"id\":\"{id}\",\"kind\":\"{kind}\"}}\n"))
    }));
    std::thread::scope(|scope| {
        for push in 0..3 {
            let (calls, at) = (&calls, &at);
            scope.spawn(move || {
                for i in 0..calls.len() {
                    // Each push in another order.
                    let call = &calls[(i * [1, 5, 7][push]) % calls.len()];
                    assert_eq!(with_token(at, "POST", "/v1/callbacks/sandbox", call).0, 200);
                }
            });
        }
    });
    until(&folder, "strays", || {
        (metric(&at, "tagcast_unmatched_receipts ") == STRAYS as i64).then_some(())
    });
    assert_eq!(
        metric(&at, "tagcast_callbacks_total "),
        3 * calls.len() as i64,
        "each push is kept"
    );
    assert_eq!(service.stop(), Some(0));
    let (_, out, _) = support::run(&folder, &["why", "u1", "c", "--format", "json"]);
    assert!(out.contains("delivered"), "{out}");
}

/// An opt-out comes before the next send, even of what is planned already.
#[test]
fn an_opt_out_is_heard_at_once() {
    let (_dir, folder) = folder(
        "template t \"a\"
        campaign slow { when everyone at now pace 1 per minute deadline 2h send template t }
        campaign later { when everyone every day at 0:00 again always send template t }",
    );
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    let first = until_sent(&folder, 1)[0].replace("t ", "");
    let others: Vec<&str> = ["u1", "u2", "u3"]
        .into_iter()
        .filter(|u| *u != first)
        .collect();
    let body: String = others
        .iter()
        .map(|u| format!("{{\"user\":\"{u}\",\"kind\":\"opted_out\"}}\n"))
        .collect();
    assert_eq!(
        with_token(&at, "POST", "/v1/callbacks/sandbox", &body).0,
        200
    );
    until(&folder, "opt-outs", || {
        (metric(&at, "tagcast_opt_outs_total ") == 2).then_some(())
    });
    assert_eq!(service.stop(), Some(0));
    let (_, out, _) = support::run(&folder, &["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        plan["campaigns"][1]["funnel"]
            .to_string()
            .contains("opted_out"),
        "{out}"
    );
}

// ------------------------------------------------------------------ events and tag changes

const RESCUE: &str = "event cart_add { sku text(40), price money }
    event purchase { amount money }
    template reminder for cart_add { body \"{event.sku}\" }
    template thanks \"thanks\"
    campaign rescue { on cart_add where price > ¥100 wait 3s unless purchase again always when age < 35 send template reminder }
    campaign thank { on purchase again always send template thanks }";

fn cart(user: &str, id: &str, price: u32) -> String {
    format!(
        "{{\"event\":\"cart_add\",\"user\":\"{user}\",\"id\":\"{id}\",\"sku\":\"{id}\",\"price\":{price}}}\n"
    )
}

fn bodies(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(".tagcast/outbox.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(format!(
            "{}: {}",
            json["user"].as_str()?,
            json["parts"]["body"].as_str()?
        ))
    };
    text.lines().filter_map(line).collect()
}

/// Cases 40 to 42 with the process killed between the acknowledgement and the end of the wait.
#[test]
fn an_event_that_was_acknowledged_is_waited_after_whatever_dies() {
    let (_dir, folder) = folder(RESCUE);
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    let body = format!(
        "{}{}{}{}not JSON\n{{\"event\":\"sneeze\",\"user\":\"u1\"}}\n{}",
        cart("u1", "a", 200),
        cart("u1", "a", 200),
        cart("u2", "b", 50),
        cart("u3", "c", 300),
        cart("new", "d", 300),
    );
    let (status, answer) = with_token(&at, "POST", "/v1/events", &body);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (answer["accepted"].as_u64(), answer["new"].as_u64()),
        (Some(5), Some(4)),
        "{answer}"
    );
    let lines: Vec<i64> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["line"].as_i64())
        .collect();
    assert_eq!(lines, [5, 6], "{answer}");
    service.kill();
    let mut service = Service::start(&folder, &SERVE);
    until(&folder, "second start", || {
        (log(&folder).matches("on http://").count() == 2).then_some(())
    });
    let at = address(&folder);
    // The same event again counts no more; `age` of the new user is not known, so that it selects
    // nobody; u3 is too old.
    let (_, answer) = with_token(&at, "POST", "/v1/events", &cart("u1", "a", 200));
    assert!(answer.contains("\"new\":0"), "{answer}");
    assert_eq!(until_sent(&folder, 1), ["reminder u1"]);
    // What is known now decides: a tag changes, an event cancels a wait.
    let (status, answer) = with_token(
        &at,
        "POST",
        "/v1/tags",
        "{\"user\":\"u3\",\"tags\":{\"age\":30}}\n",
    );
    assert_eq!(status, 200, "{answer}");
    with_token(
        &at,
        "POST",
        "/v1/events",
        &format!("{}{}", cart("u3", "e", 300), cart("u2", "f", 300)),
    );
    let bought = "{\"event\":\"purchase\",\"user\":\"u2\",\"amount\":10}\n";
    with_token(&at, "POST", "/v1/events", bought);
    until(&folder, "messages", || {
        (bodies(&folder).len() >= 3).then_some(())
    });
    std::thread::sleep(Duration::from_millis(700));
    let mut got = bodies(&folder);
    got.sort();
    assert_eq!(got, ["u1: a", "u2: thanks", "u3: e"]);
    assert_eq!(metric(&at, "tagcast_events_total "), 3);
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let (code, _, err) = support::run(&folder, &["audit", "verify"]);
    assert_eq!(code, 0, "{err}");
    // What came over the network is not taken for an import by a run afterwards.
    let (code, out, err) = support::run(&folder, &["run"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(bodies(&folder).len(), 3, "{out}");
}

#[test]
fn lines_that_are_no_changes_are_named() {
    let (_dir, folder) = folder(RESCUE);
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    for (path, body, why) in [
        ("/v1/events", "[]", "not a JSON object"),
        (
            "/v1/events",
            "{\"event\":\"purchase\",\"user\":\"u1\",\"amount\":\"much\"}",
            "amount",
        ),
        (
            "/v1/events",
            "{\"event\":\"purchase\",\"user\":\"u1\",\"amount\":1,\"at\":\"2099-01-01T00:00:00Z\"}",
            "5 minutes",
        ),
        (
            "/v1/tags",
            "{\"user\":\"u1\",\"tags\":{\"height\":3}}",
            "height",
        ),
        (
            "/v1/tags",
            "{\"user\":\"u1\",\"tags\":{\"age\":3,\"age\":4}}",
            "`age` is there twice",
        ),
        (
            "/v1/tags",
            "{\"user\":\"u1\",\"tags\":{}}",
            "`tags` says nothing",
        ),
        ("/v1/tags", "{\"user\":\"u1\",", "ends before its JSON does"),
    ] {
        let (status, answer) = with_token(&at, "POST", path, body);
        assert_eq!(
            (status, answer.contains(why)),
            (400, true),
            "{body}: {answer}"
        );
    }
    assert_eq!(call(&at, "POST", "/v1/events", &[], "{}").0, 401);
    assert_eq!(with_token(&at, "POST", "/v1/events", "").0, 200);
    assert_eq!(service.stop(), Some(0));
}

/// What a user writes to an account, signed by the platform, opens its window for him, and for
/// nobody else.
#[test]
fn a_users_message_opens_the_window() {
    let (_dir, folder) = folder(
        "tag wx address(service_account) template t \"a\"
        campaign c { when everyone at 2099-01-01 10:00 send template t via service_account.chat }",
    );
    std::fs::write(
        folder.join("users.csv"),
        "user_id,age,wx\nu1,20,o1\nu2,30,o2\nu3,40,o3\n",
    )
    .unwrap();
    std::fs::write(folder.join("secret"), "hush-hush-hush-hush").unwrap();
    std::process::Command::new("chmod")
        .args(["600", "secret"])
        .current_dir(&folder)
        .status()
        .unwrap();
    let account = "[accounts.service_account]\napp_id = \"wx1\"\nsecret_file = \"secret\"\ncallback_token_file = \"secret\"\n";
    std::fs::write(
        folder.join("tagcast.toml"),
        format!("[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n{account}"),
    )
    .unwrap();
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    let tell = |body: &str| {
        let mut parts = ["hush-hush-hush-hush", "1", "2"];
        parts.sort_unstable();
        let signature = hex::encode(ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            parts.concat().as_bytes(),
        ));
        let path =
            format!("/v1/callbacks/service_account?signature={signature}&timestamp=1&nonce=2");
        call(&at, "POST", &path, &[], body)
    };
    let message = |user: &str, id: u32, when: i64| {
        format!(
            "<xml><FromUserName><![CDATA[{user}]]></FromUserName><CreateTime>{when}</CreateTime><MsgType>text</MsgType>\
             <Content>hi</Content><MsgId>{id}</MsgId></xml>"
        )
    };
    // A day before what is planned.
    let eve = 4_070_829_600;
    assert_eq!(tell(&message("o2", 1, eve)), (200, "success".into()));
    assert_eq!(tell(&message("o2", 1, eve)).0, 200, "told twice");
    assert_eq!(tell(&message("nobody", 2, eve)).0, 200);
    assert_eq!(
        call(
            &at,
            "POST",
            "/v1/callbacks/service_account?signature=0&timestamp=1&nonce=2",
            &[],
            &message("o1", 3, eve)
        )
        .0,
        403
    );
    let why = |user: &str| support::run(&folder, &["why", user, "c", "--format", "json"]).1;
    until(&folder, "a window", || {
        why("u2")
            .contains("message by service_account.chat")
            .then_some(())
    });
    let other = until(&folder, "no other", || {
        Some(why("u1")).filter(|why| why.contains("passed_over"))
    });
    assert!(
        other.contains("unreachable")
            && other.contains("it is not open: a message of the user would open it"),
        "{other}"
    );
    assert_eq!(service.stop(), Some(0));
}
