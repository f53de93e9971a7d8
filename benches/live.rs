//! Live events at a steady rate: how long each waits until it is durable.
//!
//! `cargo bench --bench live`. `RATE=10000 SECONDS=60` are the events a second and how long; every
//! event has an id of its own.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant as Clock};

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{EventSchema, FieldSchema, Instant, Schema, Type, Value};
use tagcast::store::Store;
use tagcast::store::live::{Change, LiveWriter};

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual)
}

fn main() {
    let (rate, seconds) = (number("RATE", 10_000), number("SECONDS", 10));
    let dir = tempfile::tempdir().expect("a folder");
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(Instant(0)));
    let store = Store::create_or_open(dir.path().join("store"), world).expect("a store");
    let field = FieldSchema {
        name: "amount".into(),
        ty: Type::Money,
        optional: false,
    };
    let schema = Schema {
        tags: Vec::new(),
        events: vec![EventSchema {
            name: "purchase".into(),
            fields: vec![field],
        }],
    };
    let live = LiveWriter::open(&store, schema).expect("the log");
    let event = |i: u64| Change::Event {
        user: format!("u{}", i % 50_000),
        event: "purchase".into(),
        at: Instant(i as i64),
        id: Some(format!("{i:016x}")),
        fields: vec![Some(Value::Money(i as i64))],
    };
    // All users are known before the clock starts.
    live.submit((0..50_000).map(|i| event(1 << 40 | i)).collect())
        .wait()
        .expect("durable");
    let (send, tickets) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let mut waits: Vec<f64> = Vec::new();
        for (began, ticket) in tickets {
            let ticket: tagcast::store::live::Ticket = ticket;
            ticket.wait().expect("durable");
            let began: Clock = began;
            waits.push(began.elapsed().as_secs_f64() * 1e3);
        }
        waits
    });
    let began = Clock::now();
    for i in 0..rate * seconds {
        let due = began + Duration::from_secs_f64(i as f64 / rate as f64);
        if let Some(early) = due.checked_duration_since(Clock::now()) {
            thread::sleep(early);
        }
        send.send((Clock::now(), live.submit(vec![event(i)])))
            .expect("the waiter");
    }
    drop(send);
    let took = began.elapsed().as_secs_f64();
    let mut waits = waiter.join().expect("the waiter");
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    let stored = store
        .snapshot()
        .expect("a snapshot")
        .event("purchase")
        .expect("events")
        .map_or(0, |t| t.len());
    println!(
        "{} events in {took:.1} s; durable after p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}, longest {:.1}; {} stored, {} lost",
        waits.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        stored - 50_000,
        waits.len() + 50_000 - stored,
    );
}
