//! The commands that a person operates campaigns with: status, pause, resume, cancel, recall,
//! resolve, audit; what they print, their exit codes, and that they work beside a process that is
//! at work.

use crate::support::postgres;
use std::path::Path;

use crate::support::{self, run};
use serde_json::Value;

const CAMPAIGNS: &str = "tag region enum(\"Shanghai\", \"Beijing\") base
template T \"满300减50\"
campaign now { when everyone send template T at 2026-11-20 10:00 pace 10 per minute deadline 3h }
campaign other { when region == \"Shanghai\" send template T at 2026-11-20 10:00 pace 10 per minute deadline 3h }
";

/// The tests in `tests/on_server/main.rs` have their ledgers in a database.
fn on_server() -> bool {
    module_path!().starts_with("on_server")
}

/// `tagcast.toml` with these lines before the tables.
fn config(dir: &Path, lines: &str) {
    let ledger = on_server()
        .then(postgres::database)
        .flatten()
        .map_or(String::new(), |url| format!("[ledger]\nurl = \"{url}\"\n"));
    let text = format!("{lines}{ledger}[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n");
    std::fs::write(dir.join("tagcast.toml"), text).unwrap();
}

/// A program with forty users, run up to a time.
fn place(until: &str) -> tempfile::TempDir {
    let dir = prepared();
    go(dir.path(), until);
    dir
}

fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..40)
        .map(|i| {
            format!(
                "u{i:02},{}",
                if i % 2 == 0 { "Shanghai" } else { "Beijing" }
            )
        })
        .collect();
    std::fs::write(
        dir.path().join("users.csv"),
        format!("id,region\n{}\n", rows.join("\n")),
    )
    .unwrap();
    config(dir.path(), "");
    std::fs::write(dir.path().join("a.campaign"), CAMPAIGNS).unwrap();
    dir
}

fn go(dir: &Path, until: &str) {
    let (_, out, err) = run(dir, &["run", "--now", "2026-11-20T09:59", "--until", until]);
    assert!(out.contains("now"), "{out}{err}");
}

fn sent(dir: &Path, campaign: &str) -> usize {
    let text = std::fs::read_to_string(dir.join(".tagcast/outbox.jsonl")).unwrap_or_default();
    text.lines()
        .filter(|l| l.contains(&format!("\"campaign\":\"{campaign}\"")))
        .count()
}

fn json(dir: &Path, args: &[&str]) -> (i32, Value) {
    let (code, out, err) = run(dir, &[args, &["--format", "json"]].concat());
    (
        code,
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")),
    )
}

#[test]
fn a_pause_holds_one_campaign_and_a_resume_lets_it_go_on() {
    let dir = place("10:00");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (10, 10)
    );
    let (code, out, err) = run(dir.path(), &["pause", "now", "--by", "li"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        err.contains("paused campaign `now`: 30 planned messages wait"),
        "{err}"
    );
    let (code, status) = json(dir.path(), &["status", "--now", "2026-11-20T10:00:30"]);
    assert_eq!(code, 0);
    assert_eq!(
        status["holds"][0]["of"],
        serde_json::json!({"scope": "campaign", "name": "now"})
    );
    assert_eq!(
        (
            status["holds"][0]["by"].as_str(),
            status["holds"][0]["cancelled"].as_bool()
        ),
        (Some("li"), Some(false))
    );
    let (_, out, _) = run(dir.path(), &["status", "--now", "2026-11-20T10:00:30"]);
    for line in [
        "paused: campaign `now`, by li",
        "run 1, due 2026-11-20 10:00: open; 40 messages: 30 planned, 10 accepted",
        "40 messages left",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    go(dir.path(), "10:10");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (10, 20)
    );
    assert_eq!(run(dir.path(), &["resume", "now"]).0, 0);
    let (code, _, err) = run(dir.path(), &["resume", "now"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("campaign `now` is not paused or cancelled"),
        "{err}"
    );
    go(dir.path(), "10:20");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (40, 20)
    );
    assert_eq!(run(dir.path(), &["audit", "verify"]).0, 0);
}

#[test]
fn everything_or_an_account_is_held_and_a_cancellation_withdraws() {
    let dir = place("10:00");
    assert_eq!(run(dir.path(), &["pause", "--all"]).0, 0);
    go(dir.path(), "10:05");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (10, 10)
    );
    assert_eq!(run(dir.path(), &["resume", "--all"]).0, 0);
    let (code, paused) = json(dir.path(), &["pause", "--account", "sandbox"]);
    assert_eq!((code, paused["messages"].as_i64()), (0, Some(40)));
    go(dir.path(), "10:06");
    assert_eq!(sent(dir.path(), "now"), 10);
    run(dir.path(), &["resume", "--account", "sandbox"]);
    let (code, cancelled) = json(dir.path(), &["cancel", "now", "--by", "li"]);
    assert_eq!(
        (
            code,
            cancelled["messages"].as_i64(),
            cancelled["did"].as_str()
        ),
        (0, Some(30), Some("cancelled"))
    );
    go(dir.path(), "10:20");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (10, 20)
    );
    let (_, out, _) = run(dir.path(), &["status", "--now", "2026-11-20T10:30"]);
    assert!(
        out.contains("cancelled: campaign `now`, by li")
            && out.contains("30 withdrawn, 10 accepted"),
        "{out}"
    );
    let (_, out, _) = run(
        dir.path(),
        &["status", "--now", "2026-11-20T10:30", "--lang", "zh"],
    );
    assert!(
        out.contains("已取消：活动 `now`") && out.contains("没有持久化的认领就不发送"),
        "{out}"
    );
    let (code, verified) = json(dir.path(), &["audit", "verify"]);
    assert_eq!(
        (
            code,
            verified["whole"].as_bool(),
            verified["heads"].as_array().unwrap().len()
        ),
        (0, Some(true), 2)
    );
}

#[test]
fn a_misspelt_name_is_refused_with_the_right_one() {
    let dir = place("10:00");
    let (code, _, err) = run(dir.path(), &["pause", "othr"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("the ledger knows no campaign `othr`")
            && err.contains("did you mean `other`?"),
        "{err}"
    );
    let (code, _, err) = run(dir.path(), &["cancel", "--account", "sandbux"]);
    assert!(
        code == 1 && err.contains("did you mean `sandbox`?"),
        "{err}"
    );
    for wrong in [
        &["pause"][..],
        &["pause", "now", "--all"],
        &["resolve", "3"],
        &["resolve", "3", "--sent"],
        &["resolve", "--after-restore"],
    ] {
        assert_eq!(run(dir.path(), wrong).0, 2, "{wrong:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("a.campaign"), CAMPAIGNS).unwrap();
    for (command, code) in [
        (&["pause", "--all"][..], 1),
        (&["audit", "verify"], 1),
        (&["resolve"], 1),
        (&["status"], 0),
    ] {
        let (found, _, err) = run(empty.path(), command);
        assert!(
            found == code && err.contains("nothing was ever planned"),
            "{command:?}: {err}"
        );
    }
}

#[test]
fn a_recall_takes_back_what_is_sent_and_what_is_not() {
    let dir = place("10:00");
    let (code, report) = json(
        dir.path(),
        &["recall", "1", "--by", "li", "--now", "2026-11-20T10:01"],
    );
    assert_eq!(
        (
            code,
            report["withdrawn"].as_i64(),
            report["users"].as_array().unwrap().len()
        ),
        (0, Some(30), 10)
    );
    assert!(
        report["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|u| u["outcome"] == "recalled" && u["user"].as_str().unwrap().starts_with('u'))
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join(".tagcast/outbox.jsonl.recalled"))
            .unwrap()
            .lines()
            .count(),
        10
    );
    go(dir.path(), "10:20");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (10, 20)
    );
    let (code, out, _) = run(dir.path(), &["recall", "1", "--now", "2026-11-20T10:30"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("run 1: withdrawn before they were sent: 0 messages")
            && out.contains("10 taken back"),
        "{out}"
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join(".tagcast/outbox.jsonl.recalled"))
            .unwrap()
            .lines()
            .count(),
        10
    );
    let (code, _, err) = run(dir.path(), &["recall", "99"]);
    assert!(code == 1 && err.contains("there is no run 99"), "{err}");
    let (_, out, _) = run(dir.path(), &["status", "--now", "2026-11-20T10:30"]);
    assert!(out.contains("30 withdrawn, 10 recalled"), "{out}");
    assert_eq!(run(dir.path(), &["audit", "verify"]).0, 0);
}

#[test]
fn a_person_settles_what_nobody_knows() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".tagcast")).unwrap();
    std::fs::remove_dir(dir.path().join(".tagcast")).unwrap();
    let rows: Vec<String> = (0..10).map(|i| format!("u{i:02},Shanghai")).collect();
    std::fs::write(
        dir.path().join("users.csv"),
        format!("id,region\n{}\n", rows.join("\n")),
    )
    .unwrap();
    config(dir.path(), "outbox = \"out.jsonl\"\n");
    std::fs::write(
        dir.path().join("out.jsonl.control"),
        "[[fault]]\ndo = \"hang_after\"\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("a.campaign"), CAMPAIGNS).unwrap();
    go(dir.path(), "10:00");
    let (code, list) = json(dir.path(), &["resolve"]);
    assert_eq!((code, list["unknown"].as_array().unwrap().len()), (1, 2));
    assert_eq!(
        (
            list["unknown"][0]["number"].as_i64(),
            list["unknown"][0]["messages"].as_i64()
        ),
        (Some(1), Some(10))
    );
    let (code, out, _) = run(dir.path(), &["status", "--now", "2026-11-20T10:01"]);
    assert!(
        code == 1
            && out.contains("unknown: sent or not")
            && out.contains("number 1: 10 messages of"),
        "{out}"
    );
    let (code, _, err) = run(dir.path(), &["resolve", "1", "--sent", "--by", "li"]);
    assert!(
        code == 0 && err.contains("10 messages count as sent, says li"),
        "{err}"
    );
    let (code, _, err) = run(dir.path(), &["resolve", "1", "--not-sent", "--by", "li"]);
    assert!(
        code == 1 && err.contains("no unknown send has the number 1"),
        "{err}"
    );
    assert_eq!(
        run(
            dir.path(),
            &["resolve", "2", "--not-sent", "--by", "li", "--lang", "zh"]
        )
        .0,
        0
    );
    let (code, _, err) = run(dir.path(), &["resolve"]);
    assert!(code == 0 && err.contains("nothing is unknown"), "{err}");
    assert_eq!(run(dir.path(), &["audit", "verify"]).0, 0);
}

/// What stops a campaign is said by `status`, with since when and what to do, until it is over.
#[test]
fn status_says_why_a_campaign_waits() {
    let dir = prepared();
    config(dir.path(), "outbox = \"out.jsonl\"\n");
    let control = dir.path().join("out.jsonl.control");
    std::fs::write(&control, "[[fault]]\ndo = \"fail\"\ncampaign = \"now\"\n").unwrap();
    go(dir.path(), "10:05");
    let (code, status) = json(dir.path(), &["status", "--now", "2026-11-20T10:06"]);
    let campaigns = &status["campaigns"];
    let held_up = &campaigns[0]["held_up"][0];
    assert_eq!(
        (
            code,
            held_up["messages"].as_i64(),
            held_up["account"].as_str()
        ),
        (1, Some(40), Some("sandbox")),
        "{status:#}"
    );
    assert_eq!(
        (
            held_up["since"].as_str(),
            held_up["needs_a_person"].as_bool()
        ),
        (Some("2026-11-20T10:00:00+08:00"), Some(true))
    );
    assert!(
        held_up["why"]["zh"]
            .as_str()
            .unwrap()
            .contains("恢复后请重新运行"),
        "{held_up}"
    );
    assert_eq!(
        (
            campaigns[1]["campaign"].as_str(),
            campaigns[1]["held_up"].as_array().map(Vec::len)
        ),
        (Some("other"), Some(0))
    );
    let (code, out, _) = run(dir.path(), &["status", "--now", "2026-11-20T10:06"]);
    let line = "  40 messages have been waiting since 2026-11-20 10:00: `sandbox.file` could not be reached";
    assert!(
        code == 1
            && out.contains(line)
            && out.contains("what is left stays planned; run again when it can be"),
        "{out}"
    );
    let (_, out, _) = run(
        dir.path(),
        &["status", "--now", "2026-11-20T10:06", "--lang", "zh"],
    );
    assert!(
        out.contains("  40 条消息自 2026-11-20 10:00 起等待：无法连接 `sandbox.file`"),
        "{out}"
    );
    std::fs::remove_file(&control).unwrap();
    go(dir.path(), "10:20");
    let (code, status) = json(dir.path(), &["status", "--now", "2026-11-20T10:20"]);
    assert_eq!(
        (
            code,
            status["campaigns"][0]["held_up"].as_array().map(Vec::len)
        ),
        (0, Some(0))
    );
    let (code, out, _) = run(dir.path(), &["status", "--now", "2026-11-20T10:20"]);
    assert!(
        code == 0 && !out.contains("been waiting since") && out.contains("40 accepted"),
        "{out}"
    );
    assert_eq!(run(dir.path(), &["audit", "verify"]).0, 0);
}

/// Copies the ledger; what is given puts the copy back in its place.
fn copied(dir: &Path) -> Box<dyn FnOnce()> {
    let config: toml::Table = std::fs::read_to_string(dir.join("tagcast.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let Some(url) = config
        .get("ledger")
        .and_then(|ledger| ledger["url"].as_str())
    else {
        let ledger = dir.join(".tagcast/ledger.db");
        let old = std::fs::read(&ledger).unwrap();
        return Box::new(move || std::fs::write(&ledger, &old).unwrap());
    };
    let (server, name) = url.rsplit_once("dbname=").unwrap();
    let (server, name) = (format!("{server}dbname=postgres"), name.to_string());
    postgres::execute(
        &server,
        &format!("CREATE DATABASE {name}_old TEMPLATE {name}"),
    );
    Box::new(move || {
        postgres::execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        postgres::execute(
            &server,
            &format!("ALTER DATABASE {name}_old RENAME TO {name}"),
        );
    })
}

/// Case 11, as a person meets it: an old copy is put back, and resumed on a person's word;
/// nobody gets anything twice.
#[test]
fn case_11_an_old_copy_is_gone_on_with_on_a_persons_word() {
    let dir = place("10:00");
    let put_back = copied(dir.path());
    go(dir.path(), "10:01");
    let before = (sent(dir.path(), "now"), sent(dir.path(), "other"));
    put_back();
    let (code, _, err) = run(dir.path(), &["run", "--now", "2026-11-20T10:02"]);
    assert!(
        code == 2 && err.contains("tagcast resolve --after-restore"),
        "{err}"
    );
    let (code, status) = json(dir.path(), &["status", "--now", "2026-11-20T10:02"]);
    assert_eq!((code, status["fenced"].as_bool()), (1, Some(true)));
    let (code, given_up) = json(
        dir.path(),
        &[
            "resolve",
            "--after-restore",
            "--by",
            "li",
            "--now",
            "2026-11-20T10:02",
        ],
    );
    assert_eq!((code, given_up["withdrawn"].as_i64()), (0, Some(40)));
    let (code, _, err) = run(
        dir.path(),
        &[
            "resolve",
            "--after-restore",
            "--by",
            "li",
            "--now",
            "2026-11-20T10:02",
        ],
    );
    assert!(code == 1 && err.contains("not behind"), "{err}");
    go(dir.path(), "10:30");
    assert_eq!((sent(dir.path(), "now"), sent(dir.path(), "other")), before);
    assert_eq!(run(dir.path(), &["audit", "verify"]).0, 0);
}

/// Case 13, as a person meets it.
#[test]
fn case_13_changed_byte_is_named_by_the_command() {
    if on_server() {
        return; // It is about a file.
    }
    let dir = place("10:00");
    let db = rusqlite::Connection::open(dir.path().join(".tagcast/ledger.db")).unwrap();
    db.execute("UPDATE audit SET payload = replace(payload, '\"size\":10', '\"size\":11') WHERE kind = 'claim' AND n = (SELECT min(n) FROM audit WHERE kind = 'claim')", []).unwrap();
    let n: i64 = db
        .query_row("SELECT min(n) FROM audit WHERE kind = 'claim'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(db);
    let (code, out, err) = run(dir.path(), &["audit", "verify"]);
    assert!(
        code == 1 && out.contains(&format!("record {n} is not what was written")),
        "{out}{err}"
    );
    let (code, found) = json(dir.path(), &["audit", "verify"]);
    assert_eq!((code, found["whole"].as_bool()), (1, Some(false)));
}

/// Commands that only look, and the test message to a person: none of them fails on what is there.
#[test]
fn whatever_is_asked_is_answered() {
    let dir = place("10:02");
    for args in [
        &["status"][..],
        &["why", "u00", "now"],
        &["why", "u01", "other"],
        &["plan"],
        &["resolve"],
        &["preview", "now"],
        &["audit", "verify"],
        &["query", "count(sent, last 30 days) >= 1", "--count"],
    ] {
        let (code, _, err) = run(dir.path(), &[args, &["--now", "2026-11-20T10:03"]].concat());
        assert_eq!(code, 0, "{args:?}: {err}");
    }
    let (code, _, err) = run(
        dir.path(),
        &["send-test", "now", "--to", "u00", "--by", "li"],
    );
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(dir.path(), &["audit", "verify"]);
    assert_eq!(code, 0, "{err}");
}

/// Two processes apply one plan at the same moment, while a third runs what is due: one of
/// them makes it live, and there is one run.
#[test]
fn case_14_one_plan_two_processes_and_the_scheduler() {
    let dir = prepared();
    let (code, _, err) = run(
        dir.path(),
        &["plan", "--now", "2026-11-20T09:50", "-o", "plan.json"],
    );
    assert_eq!(code, 0, "{err}");
    let start = |args: &[&str]| {
        let mut command = support::tagcast(dir.path());
        command
            .args(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let apply = ["apply", "plan.json", "--now", "2026-11-20T09:51"];
    let all = [
        start(&apply),
        start(&apply),
        start(&["run", "--now", "2026-11-20T09:59", "--until", "10:01"]),
    ];
    let [a, b, scheduler] = all.map(|child| support::parts(child.wait_with_output().unwrap()));
    for (code, _, err) in [&a, &b] {
        // Once the scheduler has sent to all of them, nobody of the plan's audience is left.
        let all = [
            "applied once",
            "another tagcast is running",
            "live: ",
            "has drifted by 100.0%",
        ];
        let said = all.iter().any(|why| err.contains(why));
        assert!(said, "{code}: {err}");
    }
    assert!(a.0 != 0 || b.0 != 0, "it is applied once: {a:?} {b:?}");
    assert!(
        scheduler.0 == 0 || scheduler.2.contains("another tagcast"),
        "{scheduler:?}"
    );
    go(dir.path(), "10:30");
    assert_eq!(
        (sent(dir.path(), "now"), sent(dir.path(), "other")),
        (40, 20)
    );
    let (_, status) = json(dir.path(), &["status", "--now", "2026-11-20T10:31"]);
    assert_eq!(
        status["runs"].as_array().unwrap().len(),
        2,
        "one run of each campaign: {status}"
    );
    assert_eq!(run(dir.path(), &["audit", "verify"]).0, 0);
}
