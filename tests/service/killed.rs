//! The service itself, as users start it, killed again and again while it sends to a platform: what
//! the platform accepted is compared with what the service says afterwards. Nobody twice, nobody
//! lost, every unknown listed.

use crate::support;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::platforms::wechat::WeChat;
use crate::platforms::{Blow, Server};

const USERS: usize = 600;
const APP: &str = "wx1";
const SECRET: &str = "s3cret-of-the-account";

/// A campaign on a channel with keys, and one on a channel that has none.
const PROGRAM: &str = r#"tag openid address(service_account) base
tag vip bool base
template keyed { platform "TM1" field thing1 = "会员专享" field amount2 = "¥50" }
template keyless "满300减50"
campaign by_template { purpose service when vip send template keyed via service_account.template at now }
campaign by_chat { purpose service when not vip send template keyless via service_account.chat at now }
"#;

fn prepared(url: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..USERS)
        .map(|i| format!("u{i},o{i},{}\n", i % 2 == 0))
        .collect();
    std::fs::write(
        dir.path().join("users.csv"),
        format!("id,openid,vip\n{rows}"),
    )
    .unwrap();
    let account = format!(
        "[accounts.service_account]\napp_id = \"{APP}\"\nsecret_env = \"TEST_SECRET\"\nbase_url = \"{url}\"\nconcurrency = 16\n"
    );
    std::fs::write(
        dir.path().join("tagcast.toml"),
        format!("{account}[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n"),
    )
    .unwrap();
    std::fs::write(dir.path().join("a.campaign"), PROGRAM).unwrap();
    dir
}

fn serve(dir: &Path) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut command = support::tagcast(dir);
    command
        .args(["serve", "--no-http"])
        .env("TEST_SECRET", SECRET)
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

fn status(dir: &Path) -> serde_json::Value {
    let output = support::tagcast(dir)
        .args(["status", "--format", "json"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// How many messages of the latest runs are in each state.
fn states(status: &serde_json::Value) -> BTreeMap<String, u64> {
    let mut states = BTreeMap::new();
    let runs = status["runs"].as_array().into_iter().flatten();
    for messages in runs.flat_map(|run| run["messages"].as_array().into_iter().flatten()) {
        for (state, n) in messages["states"].as_object().into_iter().flatten() {
            *states.entry(state.clone()).or_default() += n.as_u64().unwrap_or(0);
        }
    }
    states
}

#[test]
fn case_01_a_service_that_is_killed_while_it_sends() {
    let server = Server::start(WeChat::new(APP, SECRET));
    server.with(|p: &mut WeChat| {
        p.windows
            .extend((0..USERS).map(|i| (format!("o{i}"), (99, i64::MAX))))
    });
    let dir = prepared(&server.url);
    // Killed in the middle of these requests, before or after the platform has accepted them.
    for (n, accepted) in [(0, true), (40, false), (90, true), (30, true), (70, false)] {
        let process = Arc::new(AtomicU32::new(0));
        let kills = process.clone();
        let falls = Box::new(move || {
            while kills.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            let _ = std::process::Command::new("kill")
                .args(["-KILL", &kills.load(Ordering::SeqCst).to_string()])
                .status();
        });
        server.blow(Blow {
            path: "/send".into(),
            after: n,
            accepted,
            falls,
        });
        let mut service = serve(dir.path());
        process.store(service.id(), Ordering::SeqCst);
        wait(dir.path(), "the kill", || {
            service.try_wait().unwrap().is_some()
        });
        assert!(!server.blow_is_due());
    }
    let mut service = serve(dir.path());
    // What is unknown is looked after a minute later; everything else goes out now.
    wait(dir.path(), "the rest", || {
        let states = states(&status(dir.path()));
        !states.is_empty()
            && states
                .keys()
                .all(|s| matches!(s.as_str(), "accepted" | "unknown"))
    });
    let _ = std::process::Command::new("kill")
        .args(["-TERM", &service.id().to_string()])
        .status();
    assert!(service.wait().unwrap().success());
    let received = server.received();
    assert!(received.values().all(|n| *n == 1), "nobody twice");
    let status = status(dir.path());
    let (states, listed) = (states(&status), status["unknown"].as_array().unwrap());
    let of = |state: &str| states.get(state).copied().unwrap_or(0) as usize;
    assert_eq!(
        of("accepted") + of("unknown"),
        USERS,
        "nobody lost: {states:?}"
    );
    assert!(
        of("unknown") <= 5 * 16,
        "no more than the calls under way at each kill: {states:?}"
    );
    assert!(
        of("accepted") <= received.len() && received.len() <= USERS,
        "what is accepted was accepted: {states:?}"
    );
    assert!(
        listed
            .iter()
            .map(|u| u["messages"].as_u64().unwrap() as usize)
            .sum::<usize>()
            >= of("unknown"),
        "every unknown is listed"
    );
    let audit = support::run(dir.path(), &["audit", "verify"]);
    assert_eq!(audit.0, 0, "{audit:?}");
}

fn wait(dir: &Path, what: &str, mut look: impl FnMut() -> bool) {
    let began = Instant::now();
    while !look() {
        let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "never: {what}; log:\n{}",
            log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
