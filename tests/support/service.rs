//! `tagcast serve` as a process, and what can be seen of it: what it sent to the sandbox, what it
//! says, what it answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub const TOKEN: &str = "a token for tests, 32 characters";

pub struct Service {
    pub child: Child,
}

impl Service {
    pub fn start(folder: &Path, args: &[&str]) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        let mut command = super::tagcast(folder);
        command
            .arg("serve")
            .args(args)
            .env("TAGCAST_TOKEN", TOKEN)
            .stdout(Stdio::null())
            .stderr(log);
        Service {
            child: command.spawn().unwrap(),
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Template and user of each message, in the order of the sends.
pub fn sent(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(".tagcast/outbox.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(format!(
            "{} {}",
            json["template"].as_str()?,
            json["user"].as_str()?
        ))
    };
    text.lines().filter_map(line).collect()
}

/// Waits until so many messages are sent.
pub fn until_sent(folder: &Path, n: usize) -> Vec<String> {
    until(folder, &format!("{n} messages"), || {
        Some(sent(folder)).filter(|s| s.len() >= n)
    })
}

pub fn until<T>(folder: &Path, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!(
        "no {what} in time; sent {:?}; log:\n{}",
        sent(folder),
        log(folder)
    );
}

pub fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Where a service says that it listens.
pub fn address(folder: &Path) -> String {
    until(folder, "address", || {
        let log = log(folder);
        let line = log.lines().rev().find(|l| l.contains("on http://"))?;
        Some(line.split("http://").nth(1)?.trim().to_owned())
    })
}

/// Status and body of a call.
pub fn call(
    at: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    headers
        .iter()
        .for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    // A body that is too large is answered before all of it is read.
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (
        head.split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0),
        body.to_owned(),
    )
}

pub fn with_token(at: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    call(
        at,
        method,
        path,
        &[("authorization", &format!("Bearer {TOKEN}"))],
        body,
    )
}

pub fn metric(at: &str, name: &str) -> i64 {
    let (_, text) = with_token(at, "GET", "/metrics", "");
    text.lines()
        .find_map(|l| l.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or(-1)
}

pub const SERVE: [&str; 2] = ["--listen", "127.0.0.1:0"];
