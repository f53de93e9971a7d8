//! Accounts in `tagcast.toml`, by the command itself: a real send, a rehearsal, and secrets that stay secret.

use std::path::Path;
use std::process::{Command, Output};

use super::bench::{APP, SECRET};
use super::platforms::Server;
use super::platforms::wechat::WeChat;

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
    command.args(args).current_dir(folder).env("TAGCAST_TEST_SECRET", SECRET).output().unwrap()
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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

#[test]
fn a_bound_account_is_sent_to_and_a_rehearsal_is_not() {
    let server = Server::start(WeChat::new(APP, SECRET));
    let dir = folder(&server.url);
    let plan = tagcast(dir.path(), &["plan"]);
    assert!(plan.status.success() && !shown(&plan).contains("not bound"), "{}", shown(&plan));
    let rehearsal = tagcast(dir.path(), &["run", "--store", "rehearsal", "--now", "2026-11-11T10:00", "--until", "11:00"]);
    assert!(shown(&rehearsal).contains("a rehearsal"), "{}", shown(&rehearsal));
    assert_eq!(server.requests("/"), 0);
    let run = tagcast(dir.path(), &["run"]);
    assert!(run.status.success(), "{}", shown(&run));
    assert!(shown(&run).contains("50  accepted by service_account.mass"), "{}", shown(&run));
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
            assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{}", path.display());
        }
    }
}

/// Wrong credentials: the campaign stops with what to do, and the next run goes on when it is mended.
#[test]
fn wrong_credentials_stop_the_campaign_with_what_to_do() {
    let server = Server::start(WeChat::new(APP, "the right one"));
    let dir = folder(&server.url);
    let run = tagcast(dir.path(), &["run"]);
    assert_eq!(run.status.code(), Some(1), "{}", shown(&run));
    assert!(shown(&run).contains("check `[accounts]` in `tagcast.toml`"), "{}", shown(&run));
    assert!(!shown(&run).contains(SECRET), "{}", shown(&run));
    server.with(|p: &mut WeChat| p.secret = SECRET.into());
    let run = tagcast(dir.path(), &["run"]);
    assert!(run.status.success(), "{}", shown(&run));
    assert_eq!(server.received().values().copied().collect::<Vec<_>>(), [1; 50]);
}

#[test]
fn accounts_that_make_no_sense() {
    let dir = folder("http://127.0.0.1:9");
    let with = |accounts: &str| {
        std::fs::write(dir.path().join("tagcast.toml"), format!("[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n{accounts}")).unwrap();
        let run = tagcast(dir.path(), &["run", "--store", "other"]);
        assert_eq!(run.status.code(), Some(2), "{}", shown(&run));
        shown(&run)
    };
    assert!(with("[accounts.service_account]\nsecret = \"x\"").contains("a secret does not belong here"));
    assert!(with("[accounts.service_account]\nsecret_env = \"TAGCAST_NO_SUCH\"").contains("`TAGCAST_NO_SUCH` is not set"));
    assert!(with("[accounts.rose]\nplatform = \"service_account\"").contains("the program has no account of this name"));
    assert!(
        with("[accounts.service_account]\nplatform = \"wecom\"").contains("the program says that `service_account` is a `service_account`")
    );
    assert!(with("[accounts.service_account]\nsecret_env = \"TAGCAST_TEST_SECRET\"").contains("`app_id` is missing"));
    let said = with("[accounts.service_account]\napp_id = \"a\"\nsecret_env = \"TAGCAST_TEST_SECRET\"\nbase_url = \"ftp://x\"");
    assert!(said.contains("must begin with `https://`"), "{said}");
    std::fs::write(dir.path().join("tagcast.toml"), "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n").unwrap();
    let plan = tagcast(dir.path(), &["plan", "--store", "other"]);
    assert!(shown(&plan).contains("`service_account` is not bound in `tagcast.toml`"), "{}", shown(&plan));
}
