//! The command line where the world is unkind: interrupts, disks that are full or may not be
//! written, readers that leave, another process that writes, stores from the future.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{parts, run, tagcast};

/// A program that sends to everyone at once, beside a store of so many users.
fn folder(users: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let rows: String = (0..users)
        .map(|i| format!("u{i},{}\n", if i % 3 == 0 { "Shanghai" } else { "Beijing" }))
        .collect();
    fs::write(d.join("users.csv"), format!("id,region\n{rows}")).unwrap();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::write(
        d.join("p.campaign"),
        "tag region enum(\"Shanghai\", \"Beijing\") base\ntemplate hello \"你好\"\ncampaign all { when everyone send template hello at now }\n",
    )
    .unwrap();
    let (code, _, err) = run(d, &["tags", "import", "users.csv", "--id", "id"]);
    assert_eq!(code, 0, "{err}");
    dir
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// The keys of the messages that were sent, one a line of the outbox.
fn delivered(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join(".tagcast/outbox.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["key"]
                .as_str()
                .unwrap()
                .to_string()
        })
        .collect()
}

fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

// ------------------------------------------------------------------ interrupts, and another
// process that writes

/// Ctrl-C in the middle of a run: it ends cleanly with 1 and says so; the next run sends the rest,
/// and nothing twice. While the first writes, a second one is turned away.
#[test]
fn an_interrupted_run_loses_and_doubles_nothing() {
    const USERS: usize = 60_000;
    let dir = folder(USERS);
    let d = dir.path();
    let outbox = d.join(".tagcast/outbox.jsonl");
    let mut first = tagcast(d)
        .arg("run")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(
        wait_until(|| fs::metadata(&outbox).is_ok_and(|m| m.len() > 0)),
        "the run sends"
    );
    let (second, _, turned_away) = run(d, &["run"]);
    let still_running = first.try_wait().unwrap().is_none();
    interrupt(&first);
    let (code, out, err) = parts(first.wait_with_output().unwrap());
    assert!(!err.contains("panicked"), "{err}");
    if still_running {
        assert_eq!(second, 2, "{turned_away}");
        assert!(
            turned_away.contains("another tagcast is running campaigns"),
            "{turned_away}"
        );
    }
    let got = delivered(d).len();
    if got < USERS {
        assert_eq!(code, 1, "{out}{err}");
        assert!(err.contains("stopped on request"), "{err}");
    } else {
        // It was faster than the signal.
        assert!(code == 0 || code == 1, "{err}");
    }
    let (code, _, err) = run(d, &["run"]);
    assert_eq!(code, 0, "{err}");
    let keys = delivered(d);
    assert_eq!(keys.len(), USERS, "nothing is lost");
    assert_eq!(
        keys.iter().collect::<BTreeSet<_>>().len(),
        USERS,
        "nothing is sent twice"
    );
}

// ------------------------------------------------------------------ disks

/// A shell that lets the command write files of at most so many blocks: as a disk that fills up,
/// without one.
fn on_a_small_disk(dir: &Path, blocks: usize, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new("sh");
    command
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env_remove("LANG");
    command
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(env!("CARGO_BIN_EXE_tagcast"))
        .args(args);
    parts(command.output().unwrap())
}

#[test]
fn a_disk_that_fills_up_is_told_and_nothing_is_lost() {
    let dir = folder(2_000);
    let d = dir.path();
    let more: String = (0..50_000)
        .map(|i| format!("v{i}-with-a-long-name,Beijing\n"))
        .collect();
    fs::write(d.join("more.csv"), format!("id,region\n{more}")).unwrap();
    let (code, _, err) = on_a_small_disk(d, 16, &["tags", "import", "more.csv", "--id", "id"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("could not") && !err.contains("panicked"),
        "{err}"
    );
    let (_, out, _) = run(d, &["query", "everyone", "--count"]);
    assert!(out.contains("2,000"), "{out}");

    // A run whose ledger, then whose outbox has no room: what was not sent stays planned,
    // and the next run continues.
    for blocks in [200, 800] {
        let (code, out, err) = on_a_small_disk(d, blocks, &["run"]);
        assert!(code == 1 || code == 2, "{code} {out}{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    let (code, out, err) = run(d, &["run"]);
    assert_eq!(code, 0, "{out}{err}");
    let keys = delivered(d);
    assert_eq!(
        (keys.len(), keys.iter().collect::<BTreeSet<_>>().len()),
        (2_000, 2_000),
        "{out}"
    );

    // A result that cannot be written.
    let (code, _, err) = on_a_small_disk(
        d,
        80,
        &[
            "query",
            "everyone",
            "--out",
            "out.csv",
            "--columns",
            "region,region",
        ],
    );
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("out.csv"), "{err}");
    let (code, _, err) = on_a_small_disk(d, 1, &["sample-data", "sample", "--users", "1000"]);
    assert_eq!(code, 2, "{err}");
    assert!(!err.contains("panicked"), "{err}");
}

/// The command as someone who may write nothing here; `None` where that cannot be arranged.
fn as_nobody(dir: &Path, args: &[&str]) -> Option<(i32, String, String)> {
    let mut command = tagcast(dir);
    command.args(args);
    let is_root = fs::metadata("/proc/self")
        .ok()
        .is_some_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    command.output().ok().map(parts)
}

fn read_only(dir: &Path, is: bool) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_only(&path, is);
        } else {
            fs::set_permissions(
                &path,
                fs::Permissions::from_mode(if is { 0o444 } else { 0o644 }),
            )
            .unwrap();
        }
    }
    fs::set_permissions(
        dir,
        fs::Permissions::from_mode(if is { 0o555 } else { 0o755 }),
    )
    .unwrap();
}

#[test]
fn a_folder_that_may_not_be_written_is_read_all_the_same() {
    let dir = folder(30);
    let d = dir.path();
    read_only(d, true);
    let answers = [
        (&["check"][..], 0),
        (&["query", "region == \"Shanghai\"", "--count"], 0),
        (&["plan"], 0),
        (&["tags", "import", "users.csv", "--id", "id"], 2),
        (&["run"], 2),
        (&["query", "everyone", "--out", "ids.csv"], 2),
        (&["sample-data", "sample", "--users", "10"], 2),
    ]
    .map(|(args, exit)| (args, exit, as_nobody(d, args)));
    read_only(d, false);
    for (args, exit, answer) in answers {
        let Some((code, out, err)) = answer else {
            continue;
        };
        assert_eq!(code, exit, "{args:?}: {out}{err}");
        assert!(!err.contains("panicked"), "{args:?}: {err}");
        if exit == 2 {
            assert!(err.contains("permission"), "{args:?}: {err}");
        }
    }
}

// ------------------------------------------------------------------ readers that leave

#[test]
fn messages_that_nobody_reads_stop_nothing() {
    let dir = folder(3);
    let d = dir.path();
    fs::write(d.join("broken.campaign"), "audience a = nothing_here\n").unwrap();
    for (args, exit) in [
        (&["check"][..], 1),
        (&["run"], 1),
        (&["fmt", "--check"], 1),
        (&["query", "regoin == 1"], 1),
        (&["query"], 2),
        (&["tags", "import", "users.csv", "--id", "id"], 0),
        (&["check", "nowhere.campaign"], 2),
    ] {
        // Standard error is a pipe whose reader has gone, then a full disk.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = tagcast(d)
            .args(args)
            .stdout(Stdio::null())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(exit), "{args:?}");
        if let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") {
            let status = tagcast(d)
                .args(args)
                .stdout(Stdio::null())
                .stderr(full)
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(exit), "{args:?}");
        }
    }
}

#[test]
fn results_that_nobody_reads_end_the_command_quietly() {
    let dir = folder(3);
    for args in [
        &["--help"][..],
        &["explain"],
        &["completions", "bash"],
        &["query", "everyone", "--ids"],
        &["plan"],
        &["plan", "--format", "json"],
        &["why", "u1", "all"],
        &["tags", "stats"],
        &["test"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = tagcast(dir.path())
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), err.as_str()), (Some(0), ""), "{args:?}");
    }
}

// ------------------------------------------------------------------ other versions

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let dir = folder(3);
    let d = dir.path();
    let manifest = d.join(".tagcast/manifest.json");
    let before = fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&before).unwrap();
    json["version"] = 999.into();
    fs::write(&manifest, json.to_string()).unwrap();
    let later = fs::read_to_string(&manifest).unwrap();
    for args in [
        &["query", "everyone"][..],
        &["tags", "import", "users.csv", "--id", "id"],
        &["plan"],
        &["run"],
    ] {
        let (code, _, err) = run(d, args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(
            err.contains("999") && err.contains("version"),
            "{args:?}: {err}"
        );
        assert_eq!(fs::read_to_string(&manifest).unwrap(), later, "{args:?}");
    }
    // Checking needs no store.
    assert_eq!(run(d, &["check"]).0, 0);
    fs::write(&manifest, "{ half").unwrap();
    let (code, _, err) = run(d, &["query", "everyone"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("manifest.json"), "{err}");
}
