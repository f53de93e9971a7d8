//! Quiet hours, deadlines and forbidden words count as they are at the send: a program that
//! changes after the plan changes what is planned.

use crate::support;
use crate::support::postgres;
use std::path::{Path, PathBuf};

use crate::support::service::{SERVE, Service, address, log, metric, sent, until, until_sent};

const PROGRAM: &str = "template t \"a sale\"\ncampaign c { when everyone at 2026-11-11 10:00 pace 1 per minute deadline 5h send template t }\n";

/// One message a minute, so that the others wait.
fn folder(program: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    std::fs::write(
        path.join("users.csv"),
        "user_id,vip\nu1,true\nu2,true\nu3,true\nu4,true\n",
    )
    .unwrap();
    // The tests in `tests/on_server/main.rs` have their ledgers in a database.
    let url = module_path!()
        .starts_with("on_server")
        .then(postgres::database)
        .flatten();
    let ledger = url.map_or(String::new(), |url| format!("[ledger]\nurl = \"{url}\"\n"));
    std::fs::write(
        path.join("tagcast.toml"),
        format!("{ledger}[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n"),
    )
    .unwrap();
    std::fs::write(path.join("words.txt"), "# none\nnothing\n").unwrap();
    write(&path, program);
    (dir, path)
}

fn write(folder: &Path, program: &str) {
    std::fs::write(
        folder.join("a.campaign"),
        format!("tag vip bool base\n{program}"),
    )
    .unwrap();
}

fn run(folder: &Path, args: &[&str]) {
    let (code, out, err) = support::run(folder, &[&["run"], args].concat());
    assert_eq!(code, 0, "{out}{err}");
}

fn outcomes(folder: &Path) -> Vec<String> {
    let outcome = |user: &str| {
        let (code, out, err) = support::run(folder, &["why", user, "c", "--format", "json"]);
        assert_eq!(code, 0, "{err}");
        let why: serde_json::Value = serde_json::from_str(&out).unwrap();
        why["runs"][0]["outcome"]
            .as_str()
            .unwrap_or_default()
            .split(':')
            .next()
            .unwrap_or_default()
            .to_string()
    };
    let mut all: Vec<String> = ["u1", "u2", "u3", "u4"].map(outcome).into();
    all.sort();
    all
}

fn verified(folder: &Path) {
    let (code, out, err) = support::run(folder, &["audit", "verify"]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn quiet_hours_of_now_hold_back_what_was_planned_without_them() {
    let (_dir, folder) = folder(PROGRAM);
    run(&folder, &["--now", "2026-11-11T10:00"]);
    assert_eq!(sent(&folder).len(), 1);
    write(
        &folder,
        &PROGRAM.replace("deadline", "quiet 10:00..12:00 deadline"),
    );
    run(&folder, &["--now", "2026-11-11T10:05", "--until", "11:59"]);
    assert_eq!(sent(&folder).len(), 1);
    run(&folder, &["--now", "2026-11-11T11:59", "--until", "12:30"]);
    assert_eq!(sent(&folder).len(), 4);
    verified(&folder);
}

#[test]
fn a_deadline_that_is_moved_counts_for_what_is_planned() {
    let (_dir, folder) = folder(PROGRAM);
    run(&folder, &["--now", "2026-11-11T10:00"]);
    // Earlier: two of three are in time.
    write(&folder, &PROGRAM.replace("5h", "2min"));
    run(&folder, &["--now", "2026-11-11T10:01", "--until", "10:30"]);
    assert_eq!(sent(&folder).len(), 3);
    assert_eq!(
        outcomes(&folder),
        ["accepted", "accepted", "accepted", "expired"]
    );
    verified(&folder);

    // Later: what would have expired continues.
    let (_dir, folder) = self::folder(&PROGRAM.replace("5h", "2min"));
    run(&folder, &["--now", "2026-11-11T10:00"]);
    write(&folder, PROGRAM);
    run(&folder, &["--now", "2026-11-11T10:30", "--until", "11:00"]);
    assert_eq!(sent(&folder).len(), 4);
    verified(&folder);
}

#[test]
fn words_that_are_forbidden_by_now_stop_what_is_planned() {
    let program = format!("policy {{ forbid words \"words.txt\" }}\n{PROGRAM}");
    let (_dir, folder) = folder(&program);
    run(&folder, &["--now", "2026-11-11T10:00"]);
    std::fs::write(folder.join("words.txt"), "Sale\n").unwrap();
    run(&folder, &["--now", "2026-11-11T10:01", "--until", "10:30"]);
    assert_eq!(sent(&folder).len(), 1);
    assert_eq!(
        outcomes(&folder),
        [
            "accepted",
            "blocked_words",
            "blocked_words",
            "blocked_words"
        ]
    );
    verified(&folder);
}

/// The rules of a plan stay for a campaign that the program does not have any more, and for one
/// whose rules did not change.
#[test]
fn what_did_not_change_keeps_the_rules_of_its_plan() {
    let (_dir, folder) = folder(PROGRAM);
    run(&folder, &["--now", "2026-11-11T10:00"]);
    let records = |folder: &Path| support::run(folder, &["audit", "verify", "--format", "json"]).1;
    let before = records(&folder);
    run(&folder, &["--now", "2026-11-11T10:00"]);
    assert_eq!(records(&folder), before, "nothing is written");
    write(&folder, "template other \"b\"\n");
    run(&folder, &["--now", "2026-11-11T10:01", "--until", "10:30"]);
    assert_eq!(sent(&folder).len(), 4);
    verified(&folder);
}

/// A service looks after its lists of words, too.
#[test]
fn a_service_takes_over_changed_words_for_what_is_planned() {
    let program = PROGRAM.replace("at 2026-11-11 10:00", "at now");
    let (_dir, folder) = folder(&format!(
        "policy {{ forbid words \"words.txt\" }}\n{program}"
    ));
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    until_sent(&folder, 1);
    std::fs::write(folder.join("words.txt"), "sale\n").unwrap();
    // A new minute may have begun just before, and with it one more message.
    until(&folder, "striking", || {
        (metric(&at, "tagcast_withdrawn_total ") >= 2).then_some(())
    });
    assert!(log(&folder).contains("took over the changed lists of forbidden words"));
    // A list that has gone forbids nothing: what was in force stays so, and the service says it.
    std::fs::remove_file(folder.join("words.txt")).unwrap();
    until(&folder, "refusal", || {
        (metric(&at, "tagcast_reloads_refused_total ") >= 1).then_some(())
    });
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    std::fs::write(folder.join("words.txt"), "sale\n").unwrap();
    let blocked = outcomes(&folder)
        .iter()
        .filter(|outcome| *outcome == "blocked_words")
        .count();
    assert_eq!(blocked + sent(&folder).len(), 4);
    verified(&folder);
}
