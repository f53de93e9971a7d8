//! Accounts in `tagcast.toml`, by the command itself: a real send, a rehearsal, and secrets that
//! stay secret.

use std::path::Path;
use std::process::{Command, Output};

use super::bench::{APP, SECRET};
use crate::platforms::Server;
use crate::platforms::wechat::WeChat;

const PROGRAM: &str = r#"tag openid address(service_account)
template hello "双十一满300减50"
campaign now_all {
  when everyone
  send template hello
  via service_account.mass
  at now
}
"#;

fn tagcast(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagcast"));
    command
        .args(args)
        .current_dir(folder)
        .env("TAGCAST_TEST_SECRET", SECRET)
        .output()
        .unwrap()
}

fn shown(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn folder(url: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n[accounts.service_account]\napp_id = \"{APP}\"\nsecret_env = \"TAGCAST_TEST_SECRET\"\nbase_url = \"{url}\"\n"
    );
    std::fs::write(dir.path().join("tagcast.toml"), config).unwrap();
    std::fs::write(dir.path().join("p.campaign"), PROGRAM).unwrap();
    let users: String = (0..50).map(|i| format!("u{i},o{i}\n")).collect();
    std::fs::write(dir.path().join("users.csv"), format!("id,openid\n{users}")).unwrap();
    dir
}

/// `run` leaves what it has found out: whoever asks later is told why messages wait and what to do,
/// until that is done.
#[test]
fn status_after_a_run_says_what_is_wrong_with_an_account() {
    let server = Server::start(WeChat::new(APP, SECRET));
    let dir = folder(&server.url);
    server.with(|p: &mut WeChat| p.secret = "another".into());
    let failed = tagcast(dir.path(), &["run"]);
    assert_eq!(failed.status.code(), Some(1), "{}", shown(&failed));
    let status = tagcast(dir.path(), &["status"]);
    let what = "`service_account` stops: the app id or its secret is wrong: check `[accounts]` in `tagcast.toml`";
    assert_eq!(status.status.code(), Some(1));
    for part in [
        "50 messages have been waiting since",
        what,
        "; run again when it is put right",
    ] {
        assert!(shown(&status).contains(part), "{part}: {}", shown(&status));
    }
    let chinese = tagcast(dir.path(), &["status", "--lang", "zh"]);
    assert!(
        shown(&chinese).contains("起等待：`service_account` 已停止：appid 或密钥错误"),
        "{}",
        shown(&chinese)
    );
    let json = tagcast(dir.path(), &["status", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let held_up = &said["campaigns"][0]["held_up"][0];
    assert_eq!(
        (held_up["account"].as_str(), held_up["endpoint"].as_str()),
        (Some("service_account"), None)
    );
    assert!(
        held_up["why"]["en"].as_str().unwrap().starts_with(what) && held_up["until"].is_string(),
        "{held_up}"
    );
    for output in [&failed, &status, &chinese, &json] {
        assert!(!shown(output).contains(SECRET));
    }
    server.with(|p: &mut WeChat| p.secret = SECRET.into());
    let run = tagcast(dir.path(), &["run"]);
    assert!(
        run.status.success() && server.received().len() == 50,
        "{}",
        shown(&run)
    );
    let status = tagcast(dir.path(), &["status"]);
    assert!(
        status.status.success() && !shown(&status).contains("been waiting since"),
        "{}",
        shown(&status)
    );
    assert!(tagcast(dir.path(), &["audit", "verify"]).status.success());
}

#[test]
fn a_bound_account_is_sent_to_and_a_rehearsal_is_not() {
    let server = Server::start(WeChat::new(APP, SECRET));
    let dir = folder(&server.url);
    let plan = tagcast(dir.path(), &["plan"]);
    assert!(
        plan.status.success() && !shown(&plan).contains("not bound"),
        "{}",
        shown(&plan)
    );
    let rehearsal = tagcast(
        dir.path(),
        &[
            "run",
            "--store",
            "rehearsal",
            "--now",
            "2026-11-11T10:00",
            "--until",
            "11:00",
        ],
    );
    assert!(
        shown(&rehearsal).contains("a rehearsal"),
        "{}",
        shown(&rehearsal)
    );
    assert_eq!(server.requests("/"), 0);
    let run = tagcast(dir.path(), &["run"]);
    assert!(run.status.success(), "{}", shown(&run));
    assert!(
        shown(&run).contains("50  accepted by service_account.mass"),
        "{}",
        shown(&run)
    );
    assert_eq!((server.log().len(), server.received().len()), (1, 50));
    let again = tagcast(dir.path(), &["run"]);
    assert!(again.status.success());
    assert_eq!(server.log().len(), 1);
    let why = tagcast(dir.path(), &["why", "u7", "now_all"]);
    for output in [&plan, &rehearsal, &run, &again, &why] {
        assert!(!shown(output).contains(SECRET));
    }
    // Nor is it anywhere on the disk.
    for entry in std::fs::read_dir(dir.path().join(".tagcast")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()),
                "{}",
                path.display()
            );
        }
    }
}

/// Wrong credentials: the campaign stops with what to do, and the next run continues when it is
/// mended.
#[test]
fn wrong_credentials_stop_the_campaign_with_what_to_do() {
    let server = Server::start(WeChat::new(APP, "the right one"));
    let dir = folder(&server.url);
    let run = tagcast(dir.path(), &["run"]);
    assert_eq!(run.status.code(), Some(1), "{}", shown(&run));
    assert!(
        shown(&run).contains("check `[accounts]` in `tagcast.toml`"),
        "{}",
        shown(&run)
    );
    assert!(!shown(&run).contains(SECRET), "{}", shown(&run));
    server.with(|p: &mut WeChat| p.secret = SECRET.into());
    let run = tagcast(dir.path(), &["run"]);
    assert!(run.status.success(), "{}", shown(&run));
    assert_eq!(
        server.received().values().copied().collect::<Vec<_>>(),
        [1; 50]
    );
}

#[test]
fn accounts_that_make_no_sense() {
    let dir = folder("http://127.0.0.1:9");
    let with = |accounts: &str| {
        std::fs::write(
            dir.path().join("tagcast.toml"),
            format!("[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n{accounts}"),
        )
        .unwrap();
        let run = tagcast(dir.path(), &["run", "--store", "other"]);
        assert_eq!(run.status.code(), Some(2), "{}", shown(&run));
        shown(&run)
    };
    assert!(
        with("[accounts.service_account]\nsecret = \"x\"")
            .contains("a secret does not belong here")
    );
    assert!(
        with("[accounts.service_account]\nsecret_env = \"TAGCAST_NO_SUCH\"")
            .contains("`TAGCAST_NO_SUCH` is not set")
    );
    assert!(
        with("[accounts.rose]\nplatform = \"service_account\"")
            .contains("the program has no account of this name")
    );
    assert!(
        with("[accounts.service_account]\nplatform = \"wecom\"")
            .contains("the program says that `service_account` is a `service_account`")
    );
    assert!(
        with("[accounts.service_account]\nsecret_env = \"TAGCAST_TEST_SECRET\"")
            .contains("`app_id` is missing")
    );
    let said = with(
        "[accounts.service_account]\napp_id = \"a\"\nsecret_env = \"TAGCAST_TEST_SECRET\"\nbase_url = \"ftp://x\"",
    );
    assert!(said.contains("must begin with `https://`"), "{said}");
    std::fs::write(
        dir.path().join("tagcast.toml"),
        "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n",
    )
    .unwrap();
    let plan = tagcast(dir.path(), &["plan", "--store", "other"]);
    assert!(
        shown(&plan).contains("`service_account` is not bound in `tagcast.toml`"),
        "{}",
        shown(&plan)
    );
}

/// One real message to a named person: claimed and answered in the ledger, outside runs and caps,
/// by the platform's preview.
#[test]
fn a_test_message_goes_to_one_person_and_counts_for_nobody() {
    let server = Server::start(WeChat::new(APP, SECRET));
    let dir = folder(&server.url);
    let test = tagcast(
        dir.path(),
        &["send-test", "now_all", "--to", "u7", "--by", "li"],
    );
    assert!(
        test.status.success() && shown(&test).contains("accepted by `service_account.mass`"),
        "{}",
        shown(&test)
    );
    let log = server.log();
    assert_eq!(
        (log.len(), log[0].endpoint, log[0].users.as_slice()),
        (1, "preview", &["o7".to_string()][..])
    );
    // An address that is no user's, and one that the platform does not know.
    assert!(
        tagcast(
            dir.path(),
            &["send-test", "now_all", "--to", "o-of-a-colleague"]
        )
        .status
        .success()
    );
    let wrong = tagcast(
        dir.path(),
        &["send-test", "now_all", "--to", "x", "--format", "json"],
    );
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        shown(&wrong).contains("\"state\": \"refused\"")
            || shown(&wrong).contains("\"state\":\"refused\""),
        "{}",
        shown(&wrong)
    );
    for (args, exit, says) in [
        (
            &["send-test", "now_all", "--to", "u7", "--now", "2026-11-11"][..],
            2,
            "leave out --now",
        ),
        (
            &["send-test", "now_all", "--to", "u7", "--arm", "b"],
            1,
            "there are: now_all",
        ),
        (
            &[
                "send-test",
                "now_all",
                "--to",
                "u7",
                "--via",
                "sandbox.file",
            ],
            1,
            "no channel of `now_all` reaches",
        ),
        (
            &["send-test", "now_al", "--to", "u7"],
            1,
            "did you mean `now_all`",
        ),
    ] {
        let output = tagcast(dir.path(), args);
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{args:?}: {}",
            shown(&output)
        );
        assert!(
            shown(&output).contains(says),
            "{args:?}: {}",
            shown(&output)
        );
    }
    // The campaign still reaches everyone, the test person too; and the ledger is whole.
    let run = tagcast(dir.path(), &["run"]);
    assert!(
        shown(&run).contains("50  accepted by service_account.mass"),
        "{}",
        shown(&run)
    );
    assert!(tagcast(dir.path(), &["audit", "verify"]).status.success());
    let ledger = tagcast::ledger::LedgerReader::open(&dir.path().join(".tagcast/ledger.db"))
        .unwrap()
        .unwrap();
    let trials = ledger.trials().unwrap();
    assert_eq!(
        (trials.len(), trials[0].who.as_str(), trials[2].state.name()),
        (3, "li", "refused")
    );
}
