//! `tagcast serve` as a process: it decides on time, is killed and goes on, stops cleanly, takes over a changed program.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

struct Service {
    child: Child,
}

impl Service {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = support::tagcast(folder);
        command.arg("serve").args(args).stdout(Stdio::null()).stderr(log);
        Service { child: command.spawn().unwrap() }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; gives its exit code.
    fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder(program: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    std::fs::write(path.join("users.csv"), "user_id,age\nu1,20\nu2,30\nu3,40\n").unwrap();
    std::fs::write(path.join("tagcast.toml"), "[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n").unwrap();
    write(&path, program);
    (dir, path)
}

fn write(folder: &Path, program: &str) {
    std::fs::write(folder.join("a.campaign"), format!("tag age int base\n{program}")).unwrap();
}

/// Template and user of each message, in the order of the hand-overs.
fn sent(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(".tagcast/outbox.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(format!("{} {}", json["template"].as_str()?, json["user"].as_str()?))
    };
    text.lines().filter_map(line).collect()
}

/// Waits until so many messages are sent.
fn until_sent(folder: &Path, n: usize) -> Vec<String> {
    until(folder, &format!("{n} messages"), || Some(sent(folder)).filter(|s| s.len() >= n))
}

fn until<T>(folder: &Path, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no {what} in time; sent {:?}; log:\n{}", sent(folder), log(folder));
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
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
    let expected: Vec<String> = ["first", "second", "third"].iter().flat_map(|t| (1..=3).map(move |n| format!("{t} u{n}"))).collect();
    assert_eq!(all, expected);
    // Started once more there is nothing left to do.
    let mut service = Service::start(&folder, &["--no-http"]);
    until(&folder, "start", || (log(&folder).matches("serving 1 campaigns").count() == 4).then_some(()));
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
    until(&folder, "refusal", || log(&folder).contains("is not taken over").then_some(()));
    // The one before it goes on.
    until_sent(&folder, 6);
    write(&folder, &format!("{SERIES} campaign d {{ when age > 25 at now send template third }}"));
    until(&folder, "reload", || log(&folder).contains("took over the changed program: 2 campaigns").then_some(()));
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
