//! Deciding, planning and sending: 500,000 messages by lists of 10,000, and messages one by
//! one, to a server on this machine that answers at once; the ledger in a file, and in PostgreSQL
//! where that is installed. Every claim is durable before its send.
//!
//! `cargo bench --bench deliver`. `USERS=500000 SINGLE=20000` are how many; `LedgerReader=file` or
//! `LedgerReader=server` does only one.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured takes real time"
)]

#[path = "../tests/support/postgres.rs"]
mod postgres;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use tagcast::base::world::World;
use tagcast::base::{Instant, TagSchema, Value};
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
use tagcast::deliver::account::AccountSettings;
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::http::client::Http;
use tagcast::deliver::http::secret::Secret;
use tagcast::deliver::platforms::open_account;
use tagcast::diag::{Findings, Sources};
use tagcast::eval::{EvalScope, MessageLog, PreparedProgram, Tables};
use tagcast::ledger::{Ledger, LedgerLocation, Occasion, RunInfo, State};
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::typed::Program;
use tagcast::store::{Snapshot, SnapshotBuilder};
use tagcast::syntax::parse::parse;

const PROGRAM: &str = r#"
tag openid address(service_account)
tag name text(18)
template sale "双十一满300减50"
template parcel {
  platform "TPL"
  field thing1 = "{name ?? '您'}"
}
campaign lists { when everyone send template sale via service_account.mass at 2026-11-11 10:00 }
campaign single { purpose service when everyone send template parcel via service_account.template at 2026-11-11 10:00 }
"#;

struct Wall(AtomicU64);

impl World for Wall {
    fn now(&self) -> Instant {
        Instant(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_micros() as i64),
        )
    }

    fn unique(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What the server has seen.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    users: AtomicU64,
    first: Mutex<Option<Clock>>,
}

/// A platform that takes everything, a thread for each connection.
fn serve(seen: Arc<Seen>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            std::thread::spawn(move || answer_all(stream, &seen));
        }
    });
    url
}

fn answer_all(mut stream: TcpStream, seen: &Seen) {
    stream.set_nodelay(true).expect("a socket");
    let (mut got, mut piece) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let Some(head) = got.windows(4).position(|w| w == b"\r\n\r\n") else {
            match stream.read(&mut piece) {
                Ok(n) if n > 0 => got.extend_from_slice(&piece[..n]),
                _ => return,
            }
            continue;
        };
        let text = String::from_utf8_lossy(&got[..head]).to_lowercase();
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|t| t.lines().next()?.trim().parse::<usize>().ok())
            .unwrap_or(0);
        while got.len() < head + 4 + length {
            match stream.read(&mut piece) {
                Ok(n) if n > 0 => got.extend_from_slice(&piece[..n]),
                _ => return,
            }
        }
        let body = &got[head + 4..head + 4 + length];
        let answer = if text.starts_with("post /cgi-bin/stable_token") {
            r#"{"access_token":"token","expires_in":7200}"#.to_owned()
        } else {
            seen.first
                .lock()
                .expect("a lock")
                .get_or_insert_with(Clock::now);
            let n = seen.calls.fetch_add(1, Ordering::Relaxed);
            seen.users.fetch_add(
                body.windows(5).filter(|w| w == b"\"oid-").count() as u64,
                Ordering::Relaxed,
            );
            format!(r#"{{"errcode":0,"errmsg":"ok","msg_id":{n},"msgid":{n}}}"#)
        };
        got.drain(..head + 4 + length);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream
            .write_all(format!("{head}{answer}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}

fn main() {
    let number = |name: &str, usual: u32| {
        std::env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(usual)
    };
    let program = program();
    let which = std::env::var("LedgerReader").unwrap_or_default();
    for (campaign, users) in [
        ("lists", number("USERS", 500_000)),
        ("single", number("SINGLE", 20_000)),
    ] {
        let snapshot = snapshot(&program, users);
        for server in [false, true] {
            if (server && which == "file") || (!server && which == "server") {
                continue;
            }
            let dir = tempfile::tempdir().expect("a folder");
            let place = match server.then(postgres::database) {
                None => LedgerLocation::File(dir.path().join("ledger.db")),
                Some(Some(url)) => LedgerLocation::Server {
                    url,
                    beside: dir.path().into(),
                },
                Some(None) => continue,
            };
            measure(
                &program,
                campaign,
                &snapshot,
                place,
                if server { "PostgreSQL" } else { "SQLite" },
            );
        }
    }
}

fn program() -> Program {
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let file = sources.add("bench.campaign", PROGRAM);
    let tree = parse(file, PROGRAM, &mut findings);
    let program = check(&sources, &[tree], &CheckOptions::default(), &mut findings);
    assert!(
        !findings.has_errors(),
        "{:?}",
        findings
            .sorted()
            .iter()
            .map(|f| &f.message.en)
            .collect::<Vec<_>>()
    );
    program
}

fn snapshot(program: &Program, users: u32) -> Snapshot {
    let mut builder = SnapshotBuilder::new();
    for n in 0..users {
        builder.user(&format!("u{n}"));
    }
    let schema = |name: &str| -> TagSchema {
        program
            .schema
            .tags
            .iter()
            .find(|t| t.name == name)
            .expect("a tag")
            .clone()
    };
    builder.tag(
        schema("openid"),
        (0..users)
            .map(|n| Some(Value::text(&format!("oid-{n:024}"))))
            .collect(),
    );
    builder.tag(
        schema("name"),
        (0..users)
            .map(|n| Some(Value::text(&format!("n{n}"))))
            .collect(),
    );
    builder.build()
}

fn measure(
    program: &Program,
    campaign: &str,
    snapshot: &Snapshot,
    place: LedgerLocation,
    ledger_name: &str,
) {
    let seen = Arc::new(Seen::default());
    let url = serve(seen.clone());
    let world: Arc<dyn World> = Arc::new(Wall(AtomicU64::new(1)));
    let settings = AccountSettings::new("service_account", "service_account")
        .with("app_id", "app")
        .with("secret", Secret::new("secret"))
        .with("base_url", url);
    let mut channels = Channels::sandbox(&std::env::temp_dir().join("unused.jsonl"), world.clone())
        .expect("channels");
    for (endpoint, channel) in
        open_account(settings, &Http::new().expect("HTTP"), &world).expect("an account")
    {
        channels = channels.bind("service_account", endpoint, channel);
    }
    let mut ledger = Ledger::open(place, world.clone()).expect("a ledger");
    let (tables, own, words) = (
        Tables::default(),
        MessageLog::default(),
        ForbiddenWords::default(),
    );

    let due = world.now();
    let began = Clock::now();
    let scope = EvalScope {
        snapshot,
        program,
        prepared: &PreparedProgram::new(program),
        tables: &tables,
        own: &own,
        now: due,
        trigger: None,
        outcomes: None,
    };
    let id = program.campaign_named(campaign).expect("a campaign");
    let input = DecideInput {
        bound: true,
        ..DecideInput::scheduled(id, due, &scope, 7, &words)
    };
    let decision = decide_all(&[input], ledger.reader())
        .expect("a decision")
        .remove(0);
    let decided = began.elapsed();
    let info = RunInfo {
        program,
        program_digest: "p",
        snapshot_digest: "s",
        seed: 7,
        occasion: Occasion::Due(due),
        now: due,
    };
    let users = decision.planned();
    ledger
        .planner()
        .plan_run(&decision, &info)
        .expect("planned");
    let planned = began.elapsed() - decided;

    let sending = Clock::now();
    DispatchLoop::new(
        &mut ledger,
        channels,
        snapshot.users().clone(),
        world.clone(),
    )
    .up_to(world.now(), &mut ())
    .expect("sent");
    let took = sending.elapsed();
    let first = seen
        .first
        .lock()
        .expect("a lock")
        .map_or(Duration::ZERO, |first| first - began);
    let report = &ledger.reader().reports(None).expect("a report")[0];
    let (calls, seen) = (
        seen.calls.load(Ordering::Relaxed),
        seen.users.load(Ordering::Relaxed),
    );
    assert_eq!(
        (seen as usize, report.in_state(State::Accepted) as usize),
        (users, users),
        "every message once"
    );
    println!(
        "{ledger_name:>10} {campaign:>7}: {users} messages decided in {decided:.2?}, planned durably in {planned:.2?}, first call {first:.2?} \
         after due; {calls} calls in {took:.2?}: {:.0} users/s, {:.0} calls/s",
        users as f64 / took.as_secs_f64(),
        calls as f64 / took.as_secs_f64()
    );
}
