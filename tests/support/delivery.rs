//! Programs, decisions and worlds for tests of the ledger and of running.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Bitmap, Date, Instant, UserNo, Zone};
use tagcast::decide::decision::{Contents, Decision, Gate, MessageGroup, Rendered};
use tagcast::decide::history::{CapScope, History, NoHistory};
use tagcast::decide::platform_caps::ForeignUse;
use tagcast::decide::recheck::DayRecheck;
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::{DispatchLoop, DispatchSummary};
use tagcast::deliver::platforms::sandbox::{Fault, FaultEffect, SandboxFile};
use tagcast::diag::{Findings, Sources};
use tagcast::ledger;
use tagcast::ledger::{
    Ledger, LedgerReader, MessageProgress, Occasion, PlannedFilter, PlannedMessages, RunInfo, State,
};
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::typed::{Action, ChannelName, Program};
use tagcast::store::{Snapshot, SnapshotBuilder, Users};
use tagcast::syntax::parse::parse;

use super::postgres;

pub const ZONE: Zone = Zone::SHANGHAI;

pub fn at(text: &str) -> Instant {
    ZONE.parse_instant(text).expect("an instant")
}

pub fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

/// The typed program of a text that checks.
pub fn program(text: &str) -> Program {
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let file = sources.add("test.campaign", text);
    let tree = parse(file, text, &mut findings);
    let options = CheckOptions {
        now: ZONE.parse_instant("2026-11-01"),
        ..CheckOptions::default()
    };
    let program = check(&sources, &[tree], &options, &mut findings);
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

/// What is planned and not claimed, a segment each.
pub fn planned(ledger: &LedgerReader) -> Vec<PlannedMessages> {
    let mut planned = ledger
        .planned_messages(PlannedFilter::All, Instant(0))
        .expect("a readable ledger");
    planned.retain(|of| !of.group.users.is_empty());
    planned
}

/// Moves what is due on another day than planned to that day, as the decider does where no cap is
/// in the way; gives how many messages.
pub fn reschedule(ledger: &mut Ledger, now: Instant) -> usize {
    let planned = ledger
        .reader()
        .planned_messages(PlannedFilter::OnAnotherDay, now)
        .expect("a readable ledger");
    let (program, foreign) = (Program::default(), ForeignUse::new());
    let mut changes = Vec::new();
    for of in &planned {
        let day = of.group.zone.date(now);
        let mut slots = DayRecheck::new(&program, &foreign, day, 0, &NoHistory);
        changes.push((of, slots.check(&of.group, now).expect("no history")));
    }
    ledger
        .planner()
        .replan(&changes, now)
        .expect("nobody claims");
    planned.iter().map(|of| of.group.users.len()).sum()
}

/// Users `u0` to `u{n-1}` with those numbers.
pub fn users(n: u32) -> Snapshot {
    let mut builder = SnapshotBuilder::new();
    (0..n).for_each(|i| {
        builder.user(&format!("u{i}"));
    });
    builder.build()
}

pub fn sandbox() -> ChannelName {
    ChannelName {
        account: "sandbox".into(),
        platform: "sandbox".into(),
        endpoint: "file".into(),
    }
}

pub fn mass() -> ChannelName {
    ChannelName {
        account: "service_account".into(),
        platform: "service_account".into(),
        endpoint: "mass".into(),
    }
}

/// Messages of a campaign to some users, on the sandbox, from the due time for an hour; the rest
/// did not match.
pub struct Wanted<'a> {
    pub program: &'a Program,
    pub campaign: &'a str,
    pub due: Instant,
    pub of: u32,
}

pub fn text(body: &str) -> Arc<Rendered> {
    Arc::new(Rendered {
        parts: vec![("body".into(), body.into())],
    })
}

impl Wanted<'_> {
    /// A decision without messages.
    pub fn nobody(&self) -> Decision {
        let of = self.of as usize;
        Decision {
            campaign: self
                .program
                .campaign_named(self.campaign)
                .expect("a campaign of the program"),
            step: 0,
            due: self.due,
            users: of,
            not_matched: Bitmap::all(of),
            unknown: Bitmap::none(of),
            unknown_because: Vec::new(),
            below_top: Bitmap::none(of),
            not_sampled: Bitmap::none(of),
            stopped: Vec::new(),
            arms: Vec::new(),
            choose_unknown: 0,
            messages: Vec::new(),
            takes: Vec::new(),
        }
    }

    /// One group of messages, all with the same text.
    pub fn to(&self, users: impl IntoIterator<Item = u32>) -> Decision {
        let mut decision = self.nobody();
        let users: Vec<UserNo> = users.into_iter().map(UserNo).collect();
        users.iter().for_each(|u| decision.not_matched.remove(*u));
        decision.messages = vec![self.group(users, Contents::Same(text(self.campaign)))];
        decision
    }

    /// One group of messages, each with its own text.
    pub fn personal(&self, users: impl IntoIterator<Item = u32>) -> Decision {
        let mut decision = self.to(users);
        for group in &mut decision.messages {
            group.contents = Contents::Each(
                group
                    .users
                    .iter()
                    .map(|u| text(&format!("尊敬的{u},满300减50")))
                    .collect(),
            );
        }
        decision
    }

    /// Stops users at a gate.
    pub fn stop(decision: &mut Decision, gate: Gate, users: impl IntoIterator<Item = u32>) {
        let map = Bitmap::from_users(decision.users, users.into_iter().map(UserNo));
        decision.not_matched = decision.not_matched.minus(&map);
        decision.stopped.push((gate, map));
    }

    fn group(&self, users: Vec<UserNo>, contents: Contents) -> MessageGroup {
        let campaign = self.program.campaign(
            self.program
                .campaign_named(self.campaign)
                .expect("a campaign"),
        );
        let Action::Send(send) = &campaign.action else {
            panic!("a campaign that sends one template")
        };
        MessageGroup {
            arm: None,
            leg: 0,
            leads: true,
            template: send.template,
            channel: sandbox(),
            not_before: self.due,
            expires: Instant(self.due.0 + 3_600_000_000),
            addresses: users
                .iter()
                .map(|u| format!("address of {u}").into())
                .collect(),
            priorities: vec![0; users.len()],
            users,
            contents,
            defaulted: None,
        }
    }

    pub fn info(&self) -> RunInfo<'_> {
        RunInfo {
            program: self.program,
            program_digest: "program 1",
            snapshot_digest: "snapshot 1",
            seed: 7,
            occasion: Occasion::Due(self.due),
            now: self.due,
        }
    }
}

/// A world whose durable writes fail from the nth on, as if the process were gone.
pub struct Dying {
    clock: SimulatedWorld,
    left: AtomicUsize,
    /// Ends the process instead.
    abort: bool,
    kind: io::ErrorKind,
}

impl Dying {
    pub fn after(now: Instant, writes: usize) -> Arc<Dying> {
        Arc::new(Dying {
            clock: SimulatedWorld::at(now),
            left: AtomicUsize::new(writes),
            abort: false,
            kind: io::ErrorKind::Other,
        })
    }

    pub fn aborting_after(now: Instant, writes: usize) -> Arc<Dying> {
        Arc::new(Dying {
            clock: SimulatedWorld::at(now),
            left: AtomicUsize::new(writes),
            abort: true,
            kind: io::ErrorKind::Other,
        })
    }

    pub fn failing_after(now: Instant, writes: usize, kind: io::ErrorKind) -> Arc<Dying> {
        Arc::new(Dying {
            clock: SimulatedWorld::at(now),
            left: AtomicUsize::new(writes),
            abort: false,
            kind,
        })
    }

    /// How many writes there were, for a world that was given `writes`.
    pub fn used(&self, writes: usize) -> usize {
        writes - self.left.load(Ordering::SeqCst)
    }
}

impl World for Dying {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn unique(&self) -> u64 {
        self.clock.unique()
    }

    fn about_to_write(&self, _: &str) -> io::Result<()> {
        let alive = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok();
        if !alive && self.abort {
            std::process::abort();
        }
        if alive { Ok(()) } else { Err(self.kind.into()) }
    }
}

/// What the sandbox file holds: the user and the text of each line, by campaign; panics on a line
/// that is no JSON and on a repeated key.
pub fn outbox(path: &Path) -> BTreeMap<String, Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (mut found, mut keys) = (BTreeMap::new(), std::collections::BTreeSet::new());
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let field = |name: &str| line[name].as_str().expect("a text").to_owned();
        assert!(keys.insert(field("key")), "written twice: {line}");
        let entry: &mut Vec<(String, String)> = found.entry(field("campaign")).or_default();
        entry.push((field("user"), line["parts"].to_string()));
    }
    found.values_mut().for_each(|list| list.sort());
    found
}

/// The ids of users, as a snapshot has them.
pub fn ids(snapshot: &Snapshot) -> Users {
    snapshot.users().clone()
}

pub const OF: u32 = 300;
pub const DUE: &str = "2026-11-11 10:00";

pub fn campaigns() -> Program {
    program(
        "template T \"满300减50\"
         campaign a { when everyone send template T at 2026-11-11 10:00 }
         campaign b { when everyone send template T at 2026-11-11 10:00 priority 10 }
         campaign slow { when everyone send template T at 2026-11-11 10:00 pace 30 per minute quiet 22:00..08:00 }",
    )
}

/// The tests in `tests/on_server/main.rs` have their ledgers in a database.
pub fn on_server() -> bool {
    module_path!().starts_with("on_server")
}

/// A folder with a ledger and a sandbox file.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub program: Program,
    /// Where the ledger is a database.
    pub url: Option<String>,
}

impl Place {
    pub fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
            program: campaigns(),
            url: on_server().then(postgres::database).flatten(),
        }
    }

    /// Where the ledger is.
    pub fn at(&self) -> ledger::LedgerLocation {
        match &self.url {
            None => (&self.ledger()).into(),
            Some(url) => ledger::LedgerLocation::Server {
                url: url.clone(),
                beside: self.dir.path().into(),
            },
        }
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger.db")
    }

    pub fn outbox(&self) -> PathBuf {
        self.dir.path().join("outbox.jsonl")
    }

    pub fn open(&self) -> Ledger {
        Ledger::open(self.at(), world()).unwrap()
    }

    pub fn wanted(&self, campaign: &'static str) -> Wanted<'_> {
        Wanted {
            program: &self.program,
            campaign,
            due: at(DUE),
            of: OF,
        }
    }

    /// Runs what is planned up to an instant, with a channel that misbehaves as told.
    pub fn carry(
        &self,
        ledger: &mut Ledger,
        until: &str,
        faults: &[Fault],
    ) -> (DispatchSummary, Vec<String>) {
        let world = world();
        let channels = Channels::all_by(Arc::new(SandboxFile::with_faults(
            &self.outbox(),
            world.clone(),
            faults.to_vec(),
        )));
        let mut carry = DispatchLoop::new(ledger, channels, ids(&users(OF)), world);
        let carried = carry.up_to(at(until), &mut ()).unwrap();
        (carried, carry.stopped().keys().cloned().collect())
    }

    /// How many lines a campaign has in the file; none is there twice.
    pub fn sent(&self, campaign: &str) -> usize {
        outbox(&self.outbox()).get(campaign).map_or(0, Vec::len)
    }
}

pub fn world() -> Arc<dyn World> {
    Arc::new(SimulatedWorld::at(at("2026-11-11 09:59")))
}

pub fn always(does: FaultEffect) -> Fault {
    Fault {
        does,
        campaign: None,
        after: 0,
        times: None,
    }
}

pub fn verified(ledger: &LedgerReader) {
    assert_eq!(ledger.verify().unwrap().problems, []);
}

pub fn state(ledger: &LedgerReader, user: u32, campaign: &str) -> State {
    let outcomes = ledger.outcomes(UserNo(user), campaign).unwrap();
    match &outcomes.last().expect("a run").happened {
        MessageProgress::Message(message) => message.state,
        other => panic!("{other:?}"),
    }
}

/// Compares what caps ask for with what happened to each user.
pub fn recount(ledger: &LedgerReader, names: &[&str]) {
    for name in names {
        let scope = CapScope {
            campaign: Some((*name).into()),
            purpose: None,
            channel: None,
        };
        let counted = ledger
            .counted(&scope, day("2026-11-11"), day("2026-11-12"))
            .unwrap();
        let (mut reported, mut planned) = (0, 0);
        for user in (0..OF).map(UserNo) {
            let outcomes = ledger.outcomes(user, name).unwrap();
            let messages = outcomes.iter().filter_map(|o| {
                if let MessageProgress::Message(m) = &o.happened {
                    Some(m)
                } else {
                    None
                }
            });
            planned += messages.clone().count() as i64;
            let counts = messages.filter(|m| m.state.counts()).count() as u32;
            assert_eq!(
                counted.get(&user).map_or(0, |c| c.messages),
                counts,
                "{name} {user}"
            );
        }
        for report in ledger.reports(Some(name)).unwrap() {
            reported += report.planned;
        }
        assert_eq!(reported, planned, "{name}");
    }
}
