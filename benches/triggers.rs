//! What an event costs where many campaigns wait for events.
//!
//! `cargo bench --bench triggers`. Each event arrives alone, as at a low rate in `serve`: a new snapshot, one
//! call, one transaction. `CAMPAIGNS=1000 EVENTS=50 USERS=10000` are how many.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured takes real time"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant as Clock;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Elapsed, Instant, UserNo, Value, Zone};
use tagcast::engine::decider::{Decider, IncomingEvent};
use tagcast::engine::eval_data::EvalData;
use tagcast::engine::go_live::make_live;
use tagcast::engine::{Project, ProjectOptions, store_events};
use tagcast::ledger::Ledger;
use tagcast::store::{Snapshot, SnapshotBuilder};

const DECLARED: &str = r#"
tag region enum("Guangdong", "Shanghai", "Beijing", "Jiangsu") base
tag age int 0..120 base
tag churn_risk ratio predicted
event purchase { amount money }
event view { page int }
template t for purchase { body "{event.amount}" }
template seen "x"
"#;

/// What the campaigns wait for.
#[derive(Clone, Copy, PartialEq)]
enum Waiting {
    /// All for purchases.
    Same,
    /// Ten for purchases, the others for another kind of event.
    Other,
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual)
}

/// Half of the campaigns take an event by its amount; hardly any of those means its user.
fn program(campaigns: usize, waiting: Waiting) -> String {
    let mut text = DECLARED.to_owned();
    for i in 0..campaigns {
        let region = ["Guangdong", "Shanghai", "Beijing", "Jiangsu"][i % 4];
        let (age, times) = (18 + i % 40, 1 + i % 5);
        let (trigger, template) = if waiting == Waiting::Other && i >= 10 {
            (format!("on view where page == {i}"), "seen")
        } else {
            (format!("on purchase where amount > ¥{}", i % 100 * 10), "t")
        };
        writeln!(
            text,
            "campaign c{i} {{ {trigger} again always \
             when region == \"{region}\" and age > {age} and churn_risk > 0.99{:02} and count(purchase, last 30 days) >= {times} \
             send template {template} via sandbox.file }}",
            i % 100
        )
        .expect("a text");
    }
    text
}

/// Numbers that look random and are the same every time.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn made_up(project: &Project, users: usize, now: Instant) -> Snapshot {
    let schema = &project.program.schema;
    let mut builder = SnapshotBuilder::new();
    (0..users).for_each(|i| _ = builder.user(&i.to_string()));
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for tag in &schema.tags {
        let value = |_: usize| {
            Some(match tag.name.as_str() {
                "region" => Value::Enum(rng.below(4) as u16),
                "age" => Value::Int(rng.below(90) as i64),
                _ => Value::Ratio(rng.below(1_000_000) as f32 / 1e6),
            })
        };
        builder.tag(tag.clone(), (0..users).map(value).collect());
    }
    let purchase = schema.event_named("purchase").expect("declared");
    let mut row = |_: usize| {
        (
            UserNo(rng.below(users as u64) as u32),
            now.minus(Elapsed::minutes(rng.below(60 * 1_440) as i64)),
            vec![Some(Value::Money(rng.below(100_000) as i64))],
        )
    };
    builder.event(
        schema.event(purchase).clone(),
        (0..5 * users).map(&mut row).collect(),
    );
    builder.build()
}

fn open(folder: &Path, program: &str, world: &dyn World) -> Arc<Project> {
    std::fs::write(folder.join("triggers.campaign"), program).expect("a folder to write to");
    let project = Project::load(&[folder.to_path_buf()], &ProjectOptions::default(), world)
        .expect("a program");
    assert!(!project.has_errors(), "the program checks");
    Arc::new(project)
}

/// Milliseconds an event, and how many runs there were.
fn measure(campaigns: usize, waiting: Waiting, users: usize, events: usize) -> (f64, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let now = Zone::SHANGHAI
        .parse_instant("2026-05-27 10:00")
        .expect("an instant");
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(now));
    let project = open(folder.path(), &program(campaigns, waiting), world.as_ref());
    let snapshot = Arc::new(made_up(&project, users, now));
    let store = folder.path().join(".tagcast");
    std::fs::create_dir_all(&store).expect("a folder to write to");
    let data = EvalData::gather(&project, snapshot.clone(), &store, now, &world).expect("data");
    let mut ledger = Ledger::open(
        project.config.ledger(&store).expect("a place"),
        world.clone(),
    )
    .expect("a ledger");
    let all = project.campaigns();
    make_live(&project, &all, now, None, &mut ledger.planner()).expect("live");
    let mut decider =
        Decider::new(project.clone(), data, &all, ledger.reader(), world).expect("a decider");
    let purchase = project
        .program
        .schema
        .event_named("purchase")
        .expect("declared");
    let mut rng = Rng(0x2545_f491_4f6c_dd1d);
    let (mut runs, mut took) = (0, 0.0);
    // The first warms up.
    for number in 0..=events {
        let at = Instant(now.0 + number as i64 * 1_000_000);
        let event = IncomingEvent {
            id: format!("e{number}"),
            event: purchase,
            user: UserNo(rng.below(users as u64) as u32),
            at,
            values: vec![Some(Value::Money(rng.below(100_000) as i64))],
        };
        let mut fed = store_events::all_seen(&project, at);
        fed.push(("live".to_owned(), number as i64));
        let began = Clock::now();
        decider.set_snapshot(snapshot.clone());
        let done = decider
            .arrive(&[event], fed, &|_, _| false, at, &mut ledger.planner())
            .expect("decided");
        if number > 0 {
            took += began.elapsed().as_secs_f64();
            runs += done.runs.len();
        }
    }
    (took * 1e3 / events as f64, runs)
}

fn main() {
    let (campaigns, users, events) = (
        number("CAMPAIGNS", 1_000),
        number("USERS", 10_000),
        number("EVENTS", 50),
    );
    for (what, campaigns, waiting) in [
        ("no campaign", 0, Waiting::Same),
        ("10, all for this event", 10, Waiting::Same),
        ("all for this event", campaigns, Waiting::Same),
        (
            "10 for this event, the others for another",
            campaigns,
            Waiting::Other,
        ),
    ] {
        let (ms, runs) = measure(campaigns, waiting, users, events);
        println!(
            "{campaigns} campaigns, {what}: {ms:.3} ms an event; {runs} runs of {events} events"
        );
    }
}
