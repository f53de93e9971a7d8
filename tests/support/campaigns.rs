//! A program, a store in memory and a ledger, for tests that let time pass.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{EventSchema, FieldSchema, Instant, TagSchema, Type, Value, Zone};
use tagcast::engine::eval_data::EvalData;
use tagcast::engine::run_until::{self, RunSummary};
use tagcast::engine::{Failure, Project, ProjectOptions};
use tagcast::eval::{MessageLog, Tables};
use tagcast::ledger::{
    Ledger, LedgerLocation, LedgerReader, MessageKey, MessageNews, MessageProgress, State,
};
use tagcast::store::{Snapshot, SnapshotBuilder, Store};

use super::postgres;

pub const ZONE: Zone = Zone::SHANGHAI;

/// As people write it; also with milliseconds.
pub fn at(text: &str) -> Instant {
    match text.split_once('.') {
        Some((whole, millis)) => {
            Instant(at(whole).0 + millis.parse::<i64>().expect("milliseconds") * 1_000)
        }
        None => ZONE.parse_instant(text).expect("an instant"),
    }
}

/// A line of the outbox.
#[derive(Clone, Debug)]
pub struct Sent {
    pub campaign: String,
    pub template: String,
    pub user: String,
    pub channel: String,
    pub body: String,
    pub at: String,
}

pub struct Bench {
    pub dir: tempfile::TempDir,
    users: Vec<String>,
    events: Vec<(String, String, Instant, Vec<Option<Value>>)>,
    /// Tags that hold an address for some users: by tag and user.
    addresses: BTreeMap<String, BTreeMap<String, String>>,
    /// Values of tags, by user.
    tags: BTreeMap<String, BTreeMap<String, Value>>,
    /// Where the ledger is a database: in the tests that `tests/on_server/main.rs` repeats.
    url: Option<String>,
}

impl Bench {
    pub fn new(program: &str) -> Self {
        let url = module_path!()
            .starts_with("on_server")
            .then(postgres::database)
            .flatten();
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench {
            dir,
            users: Vec::new(),
            events: Vec::new(),
            addresses: BTreeMap::new(),
            tags: BTreeMap::new(),
            url,
        };
        std::fs::create_dir_all(bench.store()).unwrap();
        if let Some(url) = &bench.url {
            std::fs::write(
                bench.dir.path().join("tagcast.toml"),
                format!("[ledger]\nurl = \"{url}\"\n"),
            )
            .unwrap();
        }
        bench.program(program);
        bench
    }

    /// Another program in the place of the one there.
    pub fn program(&self, text: &str) {
        std::fs::write(self.dir.path().join("test.campaign"), text).unwrap();
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join(".tagcast")
    }

    /// Where the ledger is.
    pub fn place(&self) -> LedgerLocation {
        match &self.url {
            None => LedgerLocation::File(Store::ledger_path_in(&self.store())),
            Some(url) => LedgerLocation::Server {
                url: url.clone(),
                beside: self.store(),
            },
        }
    }

    pub fn user(&mut self, name: &str) -> usize {
        self.users
            .iter()
            .position(|u| u == name)
            .unwrap_or_else(|| {
                self.users.push(name.into());
                self.users.len() - 1
            })
    }

    pub fn addressed(&mut self, name: &str, tag: &str) {
        self.addressed_at(name, tag, name);
    }

    pub fn addressed_at(&mut self, name: &str, tag: &str, address: &str) {
        self.user(name);
        self.addresses
            .entry(tag.into())
            .or_default()
            .insert(name.into(), address.into());
    }

    /// The user has no such address any more.
    pub fn unaddressed(&mut self, name: &str, tag: &str) {
        self.addresses.entry(tag.into()).or_default().remove(name);
    }

    /// The user's value of a tag from now on; `None` takes it away.
    pub fn set(&mut self, user: &str, tag: &str, value: Option<Value>) {
        self.user(user);
        let of_tag = self.tags.entry(tag.into()).or_default();
        match value {
            Some(value) => of_tag.insert(user.into(), value),
            None => of_tag.remove(user),
        };
    }

    pub fn event(&mut self, kind: &str, user: &str, when: &str, values: Vec<Option<Value>>) {
        self.user(user);
        self.events
            .push((kind.into(), user.into(), at(when), values));
    }

    pub fn project(&self) -> Arc<Project> {
        let world = SimulatedWorld::at(at("2026-11-01"));
        let options = ProjectOptions {
            now: Some("2026-11-01".into()),
            ..ProjectOptions::default()
        };
        let project = Project::load(&[self.dir.path().to_path_buf()], &options, &world).unwrap();
        assert!(
            !project.has_errors(),
            "{:?}",
            project
                .findings
                .iter()
                .map(|f| (&f.code.name, &f.message.en))
                .collect::<Vec<_>>()
        );
        Arc::new(project)
    }

    pub fn snapshot(&self, project: &Project) -> Snapshot {
        let mut builder = SnapshotBuilder::new();
        let numbers: BTreeMap<&str, _> = self
            .users
            .iter()
            .map(|u| (u.as_str(), builder.user(u)))
            .collect();
        for (tag, of) in &self.addresses {
            let schema: TagSchema = project
                .program
                .schema
                .tags
                .iter()
                .find(|t| t.name == *tag)
                .expect("a tag")
                .clone();
            builder.tag(
                schema,
                self.users
                    .iter()
                    .map(|u| of.get(u).map(|address| Value::text(address)))
                    .collect(),
            );
        }
        for (tag, values) in &self.tags {
            let schema: TagSchema = project
                .program
                .schema
                .tags
                .iter()
                .find(|t| t.name == *tag)
                .expect("a tag")
                .clone();
            builder.tag(
                schema,
                self.users.iter().map(|u| values.get(u).cloned()).collect(),
            );
        }
        let mut kinds: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (kind, user, when, values) in &self.events {
            kinds
                .entry(kind)
                .or_default()
                .push((numbers[user.as_str()], *when, values.clone()));
        }
        for (kind, rows) in kinds {
            let known = project
                .program
                .schema
                .event_named(kind)
                .map(|id| project.program.schema.event(id).clone());
            builder.event(known.unwrap_or_else(|| untyped(kind, &rows[0].2)), rows);
        }
        builder.build()
    }

    pub fn data(&self, project: &Project, now: Instant) -> EvalData {
        let snapshot = Arc::new(self.snapshot(project));
        let world = SimulatedWorld::at(now);
        let tables =
            Tables::load(&project.program, &project.folder, &world, &snapshot, now).unwrap();
        EvalData {
            prepared: project.prepared(),
            snapshot,
            tables,
            own: MessageLog::default(),
            now,
        }
    }

    /// Lets time pass from one instant to another.
    pub fn run(&self, from: &str, until: &str) -> RunSummary {
        self.go(from, until, Arc::new(SimulatedWorld::at(at(from))))
            .unwrap()
    }

    /// The same in a world where the process dies after so many durable writes.
    pub fn run_dying(&self, from: &str, until: &str, writes: usize) -> Result<RunSummary, Failure> {
        self.go(
            from,
            until,
            Arc::new(Dying {
                clock: SimulatedWorld::at(at(from)),
                left: AtomicUsize::new(writes),
            }),
        )
    }

    fn go(&self, from: &str, until: &str, world: Arc<dyn World>) -> Result<RunSummary, Failure> {
        let project = self.project();
        let data = self.data(&project, at(from));
        run_until::run(
            project,
            data,
            &self.store(),
            Some(at(until)),
            &world,
            &mut (),
        )
    }

    /// The channel gives no answer to what a campaign sends.
    pub fn hang(&self, campaign: &str) {
        let control = format!("[[fault]]\ndo = \"hang\"\ncampaign = \"{campaign}\"\n");
        std::fs::write(self.store().join("outbox.jsonl.control"), control).unwrap();
    }

    /// What was sent, in the order of the sends.
    pub fn sent(&self) -> Vec<Sent> {
        let text = std::fs::read_to_string(self.store().join("outbox.jsonl")).unwrap_or_default();
        let line = |line: &str| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
            Sent {
                campaign: text("campaign"),
                template: text("template"),
                user: text("user"),
                channel: text("channel"),
                body: json["parts"]["body"].as_str().unwrap_or_default().into(),
                at: text("at"),
            }
        };
        text.lines().map(line).collect()
    }

    /// `user: text` of a campaign's messages, sorted.
    pub fn got(&self, campaign: &str) -> Vec<String> {
        let mut got: Vec<String> = self
            .sent()
            .iter()
            .filter(|m| m.campaign == campaign)
            .map(|m| format!("{}: {}", m.user, m.body))
            .collect();
        got.sort();
        got
    }

    /// Who got a template of a campaign, sorted.
    pub fn got_of(&self, campaign: &str, template: &str) -> Vec<String> {
        let of = |m: &&Sent| m.campaign == campaign && m.template == template;
        let mut got: Vec<String> = self
            .sent()
            .iter()
            .filter(of)
            .map(|m| m.user.clone())
            .collect();
        got.sort();
        got
    }

    pub fn ledger(&self) -> LedgerReader {
        LedgerReader::open(self.place()).unwrap().expect("a ledger")
    }

    fn count(&self, table: &str) -> usize {
        if let Some(url) = &self.url {
            return postgres::number(url, &format!("SELECT count(*) FROM tagcast.{table}"))
                as usize;
        }
        let db = rusqlite::Connection::open(Store::ledger_path_in(&self.store())).unwrap();
        let n: i64 = db
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        n as usize
    }

    pub fn timers(&self) -> usize {
        self.count("timer")
    }

    pub fn waits(&self, campaign: &str) -> i64 {
        self.ledger().waits(campaign).unwrap().0
    }

    pub fn missed(&self) -> Vec<String> {
        self.ledger()
            .missed()
            .unwrap()
            .iter()
            .map(|m| format!("{} {}", m.campaign, ZONE.show(m.due)))
            .collect()
    }

    fn number(&self, user: &str) -> tagcast::base::UserNo {
        tagcast::base::UserNo(self.users.iter().position(|u| u == user).expect("a user") as u32)
    }

    /// `step: reason` for each run in which a user was stopped.
    pub fn stopped(&self, campaign: &str, user: &str) -> Vec<String> {
        let outcomes = self.ledger().outcomes(self.number(user), campaign).unwrap();
        let reason = |h: &MessageProgress| {
            if let MessageProgress::Stopped { reason, .. } = h {
                Some(reason.clone())
            } else {
                None
            }
        };
        outcomes
            .iter()
            .filter_map(|o| Some(format!("{}: {}", o.step, reason(&o.happened)?)))
            .collect()
    }

    /// The state of a user's first message.
    pub fn state(&self, campaign: &str, user: &str) -> State {
        let outcomes = self.ledger().outcomes(self.number(user), campaign).unwrap();
        outcomes
            .iter()
            .find_map(|o| {
                if let MessageProgress::Message(m) = &o.happened {
                    Some(m.state)
                } else {
                    None
                }
            })
            .expect("a message")
    }

    /// The name of a user's first message.
    pub fn key(&self, campaign: &str, user: &str) -> MessageKey {
        let ledger = self.ledger();
        let outcome = ledger
            .outcomes(self.number(user), campaign)
            .unwrap()
            .remove(0);
        ledger
            .message_key(outcome.run, 0, self.number(user))
            .unwrap()
            .expect("a message")
    }

    pub fn learn(&self, news: &[MessageNews]) {
        let world = Arc::new(SimulatedWorld::at(news[0].when));
        let mut ledger = Ledger::open(self.place(), world).unwrap();
        assert_eq!(
            ledger.operator().learn(news, news[0].when).unwrap(),
            news.len()
        );
    }

    pub fn verified(&self) {
        assert_eq!(self.ledger().verify().unwrap().problems, []);
    }
}

fn untyped(kind: &str, row: &[Option<Value>]) -> EventSchema {
    let ty = |v: &Option<Value>| {
        if matches!(v, Some(Value::Text(_))) {
            Type::TEXT
        } else {
            Type::Money
        }
    };
    let field = |(i, v): (usize, &Option<Value>)| FieldSchema {
        name: format!("f{i}"),
        ty: ty(v),
        optional: true,
    };
    EventSchema {
        name: kind.into(),
        fields: row.iter().enumerate().map(field).collect(),
    }
}

/// A world whose durable writes fail from some point on, as if the process were gone.
struct Dying {
    clock: SimulatedWorld,
    left: AtomicUsize,
}

impl World for Dying {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn unique(&self) -> u64 {
        self.clock.unique()
    }

    fn about_to_write(&self, _: &str) -> io::Result<()> {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        left.map(drop)
            .map_err(|_| io::Error::other("the process is gone"))
    }
}
