//! How quickly `tagcast serve` decides on events under load: starts the service in a temporary
//! folder, sends events at a steady rate over several connections, and prints how long
//! acknowledgements took, how long decisions took by the service's own histogram, and whether every
//! event was acknowledged, decided and, where a campaign wants it, sent once.
//!
//! `cargo run --release --example load -- [EVENTS A SECOND] [SECONDS] [CONNECTIONS]`, 10,000 for 60
//! s over 32 unless said.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USERS: u64 = 100_000;
/// One event in so many is one that a campaign sends a message after.
const WANTED: u64 = 200;
const TOKEN: &str = "a token for measuring only";
/// Events of one call: what a collector sends together in 10 ms.
const A_CALL: u64 = 10;

/// Ten campaigns that look at each event; one of them answers at once.
fn program() -> String {
    let mut text = String::from(
        "tag age int base\nevent view { page int, price money }\ntemplate t for view { body \"{event.price}\" }\ntemplate plain \"a\"\n\
         campaign wanted { on view where price > ¥1000 again always when age < 200 send template t }\n",
    );
    for n in 0..9 {
        text.push_str(&format!(
            "campaign page{n} {{ on view where page == {n} and price > ¥2000 wait 10min again after 1 day send template plain }}\n"
        ));
    }
    text
}

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|n| n.parse::<u64>().expect("a number"));
    let (rate, seconds, connections) = (
        numbers.next().unwrap_or(10_000),
        numbers.next().unwrap_or(60),
        numbers.next().unwrap_or(32),
    );
    let folder = folder();
    let (service, at) = start(&folder);
    let (sent, wanted) = (AtomicU64::new(0), AtomicU64::new(0));
    let calls_a_second = rate / A_CALL;
    let began = Instant::now();
    let mut took: Vec<Duration> = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                let (at, sent, wanted) = (&at, &sent, &wanted);
                threads.spawn(move || {
                    let mut stream = connect(at);
                    let mut took = Vec::new();
                    let mut call = worker;
                    while call < calls_a_second * seconds {
                        // Every call has its moment, so that a slow answer delays no other
                        // worker's.
                        let due = Duration::from_nanos(call * 1_000_000_000 / calls_a_second);
                        std::thread::sleep(due.saturating_sub(began.elapsed()));
                        let mut body = String::new();
                        for n in call * A_CALL..(call + 1) * A_CALL {
                            let price = if n % WANTED == 0 { 1_500 } else { n % 1_000 };
                            wanted.fetch_add(u64::from(n % WANTED == 0), Ordering::Relaxed);
                            let user = n.wrapping_mul(2_654_435_761) % USERS;
                            body.push_str(&format!(
                                "{{\"event\":\"view\",\"user\":\"u{user}\",\"id\":\"e{n}\",\"page\":{},\"price\":{price}}}\n",
                                n % 10
                            ));
                        }
                        let start = Instant::now();
                        post(&mut stream, at, &body);
                        took.push(start.elapsed());
                        sent.fetch_add(A_CALL, Ordering::Relaxed);
                        call += connections;
                    }
                    took
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().expect("a worker"))
            .collect()
    });
    let (sent, wanted, lasted) = (
        sent.load(Ordering::Relaxed),
        wanted.load(Ordering::Relaxed),
        began.elapsed(),
    );
    took.sort();
    let at_most = |share: f64| {
        took.get(((took.len() - 1) as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{sent} events in {lasted:.1?}: {:.0} a second",
        sent as f64 / lasted.as_secs_f64()
    );
    println!(
        "acknowledged: p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, most {:.1?}",
        at_most(0.5),
        at_most(0.99),
        at_most(0.999),
        at_most(1.0)
    );
    let start = Instant::now();
    while metric(&at, "tagcast_events_decided_total") < sent
        && start.elapsed() < Duration::from_secs(60)
    {
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "decided {} of {sent} events, {:.1?} after the last",
        metric(&at, "tagcast_events_decided_total"),
        start.elapsed()
    );
    for line in metrics(&at)
        .lines()
        .filter(|l| l.starts_with("tagcast_decision_seconds"))
    {
        println!("  {line}");
    }
    while metric(&at, "tagcast_messages_accepted_total") < wanted
        && start.elapsed() < Duration::from_secs(120)
    {
        std::thread::sleep(Duration::from_millis(100));
    }
    let outbox = std::fs::read_to_string(folder.join(".tagcast/outbox.jsonl")).unwrap_or_default();
    println!(
        "wanted {wanted} messages, {} in the outbox",
        outbox.lines().count()
    );
    drop(service);
    let _ = std::fs::remove_dir_all(&folder);
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tagcast-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let users: String = (0..USERS).map(|n| format!("u{n},{}\n", n % 90)).collect();
    std::fs::write(folder.join("users.csv"), format!("user_id,age\n{users}")).expect("users");
    std::fs::write(
        folder.join("tagcast.toml"),
        "[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n",
    )
    .expect("settings");
    std::fs::write(folder.join("load.campaign"), program()).expect("a program");
    folder
}

/// The service, from the binary beside this example, and where it listens.
fn start(folder: &Path) -> (Service, String) {
    let own = std::env::current_exe().expect("a path");
    let binary = own
        .parent()
        .and_then(Path::parent)
        .expect("a target folder")
        .join("tagcast");
    let mut command = Command::new(&binary);
    command
        .current_dir(folder)
        .args(["serve", "--listen", "127.0.0.1:0", "--lang", "en"])
        .env("TAGCAST_TOKEN", TOKEN);
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; build it first", binary.display()));
    let mut lines = BufReader::new(child.stderr.take().expect("its journal")).lines();
    let at = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|l| Some(l.split("http://").nth(1)?.to_owned()))
        .expect("where it listens");
    std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .for_each(|line| eprintln!("{line}"))
    });
    (Service(child), at)
}

fn connect(at: &str) -> TcpStream {
    let stream = TcpStream::connect(at).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream
}

fn post(stream: &mut TcpStream, at: &str, body: &str) {
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .expect("a call");
    let answer = answer(stream);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"new\":{A_CALL}")),
        "{answer}"
    );
}

/// Head and body of one answer.
fn answer(stream: &mut TcpStream) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).expect("an answer");
        all.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&all);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|l| {
                l.strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            if length.is_some_and(|length| body.len() >= length) || n == 0 {
                return text.into_owned();
            }
        }
        assert!(n > 0, "the connection was closed");
    }
}

fn metrics(at: &str) -> String {
    let mut stream = connect(at);
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n").expect("a call");
    answer(&mut stream)
}

fn metric(at: &str, name: &str) -> u64 {
    let prefix = format!("{name} ");
    metrics(at)
        .lines()
        .find_map(|l| l.strip_prefix(&prefix)?.trim().parse().ok())
        .unwrap_or(0)
}
