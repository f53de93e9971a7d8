//! What it costs to decide for 500,000 users whom their past concerns: addresses that were refused,
//! windows that are open, platforms' caps that earlier runs have used. `cargo bench --bench reach`;
//! `USERS=500000` is how many.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured takes real time"
)]

use std::sync::Arc;
use std::time::Instant as Clock;

use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Instant, UserNo, Value, Zone};
use tagcast::decide::decision::Decision;
use tagcast::decide::platform_caps::ForeignUse;
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::platforms::sandbox::{Fault, FaultEffect, SandboxFile};
use tagcast::diag::{Findings, Sources};
use tagcast::eval::{EvalScope, MessageLog, PreparedProgram, Tables};
use tagcast::ledger::{Ledger, NewCall, Occasion, Receipt, ReceiptContent, RunInfo};
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::platform::ContactKind;
use tagcast::program::typed::Program;
use tagcast::store::{Snapshot, SnapshotBuilder};
use tagcast::syntax::parse::parse;

const PROGRAM: &str = r#"
tag openid address(service_account)
tag n int base
template sale "双十一满300减50"
campaign few { when n < 100000 send template sale via service_account.mass at 2026-11-11 10:00 }
campaign mass { when everyone send template sale via service_account.mass every day at 10:00 again always }
campaign chat { when everyone send template sale via service_account.chat, sandbox.file every day at 10:00 again always }
"#;

struct Bench {
    program: Program,
    snapshot: Snapshot,
    ledger: Ledger,
    world: Arc<SimulatedWorld>,
}

fn at(text: &str) -> Instant {
    Zone::SHANGHAI.parse_instant(text).expect("an instant")
}

impl Bench {
    fn decide(&self, campaign: &str, due: &str, foreign: &ForeignUse) -> Decision {
        let (tables, own, words, due) = (
            Tables::default(),
            MessageLog::default(),
            ForbiddenWords::default(),
            at(due),
        );
        let scope = EvalScope {
            snapshot: &self.snapshot,
            program: &self.program,
            prepared: &PreparedProgram::new(&self.program),
            tables: &tables,
            own: &own,
            now: due,
            trigger: None,
            outcomes: None,
        };
        let id = self.program.campaign_named(campaign).expect("a campaign");
        let input = DecideInput {
            bound: true,
            foreign,
            ..DecideInput::scheduled(id, due, &scope, 7, &words)
        };
        decide_all(&[input], self.ledger.reader())
            .expect("a decision")
            .remove(0)
    }

    fn plan(&mut self, decision: &Decision) {
        let due = decision.due;
        let info = RunInfo {
            program: &self.program,
            program_digest: "p",
            snapshot_digest: "s",
            seed: 7,
            occasion: Occasion::Due(due),
            now: due,
        };
        self.ledger
            .planner()
            .plan_run(decision, &info)
            .expect("planned");
    }

    fn say(&self, what: &str, campaign: &str, due: &str, foreign: &ForeignUse) {
        let mut best = (std::time::Duration::MAX, 0);
        for _ in 0..3 {
            let began = Clock::now();
            let decision = self.decide(campaign, due, foreign);
            best = best.min((began.elapsed(), decision.planned()));
        }
        println!("{what:>60}: {} messages decided in {:.2?}", best.1, best.0);
    }
}

fn main() {
    let users: u32 = std::env::var("USERS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(500_000);
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let file = sources.add("bench.campaign", PROGRAM);
    let tree = parse(file, PROGRAM, &mut findings);
    let program = check(&sources, &[tree], &CheckOptions::default(), &mut findings);
    assert!(!findings.has_errors());
    let mut builder = SnapshotBuilder::new();
    for n in 0..users {
        builder.user(&format!("u{n}"));
    }
    builder.tag(
        program.schema.tags[0].clone(),
        (0..users)
            .map(|n| Some(Value::text(&format!("oid-{n:024}"))))
            .collect(),
    );
    builder.tag(
        program.schema.tags[1].clone(),
        (0..users).map(|n| Some(Value::Int(n.into()))).collect(),
    );
    let dir = tempfile::tempdir().expect("a folder");
    let world = Arc::new(SimulatedWorld::at(at("2026-11-11 10:00")));
    let ledger = Ledger::open(&dir.path().join("ledger.db"), world.clone()).expect("a ledger");
    let mut bench = Bench {
        program,
        snapshot: builder.build(),
        ledger,
        world,
    };
    let (nothing, bound) = (
        ForeignUse::new(),
        ForeignUse::from([("service_account".to_owned(), 0)]),
    );

    bench.say("nothing has happened", "mass", "2026-11-12 10:00", &nothing);
    bench.say(
        "a platform's cap that nobody has used",
        "mass",
        "2026-11-12 10:00",
        &bound,
    );

    let few = bench.decide("few", "2026-11-11 10:00", &nothing);
    bench.plan(&few);
    let faults = vec![Fault {
        does: FaultEffect::Bar,
        campaign: None,
        after: 0,
        times: None,
    }];
    let channels = Channels::all_by(Arc::new(SandboxFile::with_faults(
        &dir.path().join("outbox"),
        bench.world.clone(),
        faults,
    )));
    let mut carry = DispatchLoop::new(
        &mut bench.ledger,
        channels,
        bench.snapshot.users().clone(),
        bench.world.clone(),
    );
    carry
        .up_to(at("2026-11-11 10:30"), &mut ())
        .expect("refused");
    bench.say(
        "100,000 addresses were refused",
        "mass",
        "2026-11-12 10:00",
        &nothing,
    );

    for day in ["2026-11-13 10:00", "2026-11-14 10:00", "2026-11-15 10:00"] {
        let decision = bench.decide("mass", day, &nothing);
        bench.plan(&decision);
    }
    bench.say(
        "and three runs of this month count on the platform's cap",
        "mass",
        "2026-11-16 10:00",
        &bound,
    );

    let when = at("2026-11-16 09:00");
    for first in (0..users).step_by(10_000) {
        let call = NewCall {
            account: "service_account".into(),
            at: when,
            query: String::new(),
            signature: String::new(),
            body: String::new(),
        };
        bench
            .ledger
            .dispatcher()
            .receive(&[call], when)
            .expect("kept");
        for call in bench.ledger.reader().calls(10).expect("calls") {
            let users = (first..users.min(first + 10_000))
                .filter(|n| n % 2 == 0)
                .map(UserNo)
                .collect();
            let what = ReceiptContent::Contact {
                users,
                kind: ContactKind::Message,
                topic: String::new(),
            };
            bench
                .ledger
                .dispatcher()
                .apply(
                    &call,
                    Some(&[Receipt {
                        key: format!("{first}"),
                        when,
                        what,
                    }]),
                    when,
                )
                .expect("applied");
        }
    }
    bench.say(
        "every second user has written within 48 hours",
        "chat",
        "2026-11-16 10:00",
        &bound,
    );
    let decision = bench.decide("chat", "2026-11-16 10:00", &nothing);
    bench.plan(&decision);
    bench.say(
        "and has had a message since",
        "chat",
        "2026-11-16 11:00",
        &bound,
    );
}
