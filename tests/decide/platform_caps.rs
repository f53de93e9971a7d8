//! The platforms' own caps for a user: counted in their calendar, beside those of the policy.
//! Numbers are the cases of the delivery design.

use crate::support;
use std::collections::BTreeMap;

use crate::support::delivery::{self, at, verified, world};
use tagcast::base::{Instant, UserNo, Value};
use tagcast::decide::decision::{Decision, Gate};
use tagcast::decide::history::History;
use tagcast::decide::platform_caps::ForeignUse;
use tagcast::decide::recheck::{DayRecheck, NewDay, Recheck};
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
use tagcast::eval::{EvalScope, MessageLog, PreparedProgram, Tables};
use tagcast::ledger::{Ledger, Occasion, PlannedFilter, RunInfo};
use tagcast::program::platform::{self, Amount, AmountWord, Holder, Per};
use tagcast::program::typed::{ChannelName, Program};
use tagcast::store::{Snapshot, SnapshotBuilder};

const USERS: usize = 3;

/// An account that is bound, three users of it, and a ledger.
struct Bench {
    _dir: tempfile::TempDir,
    program: Program,
    snapshot: Snapshot,
    ledger: Ledger,
    foreign: ForeignUse,
}

impl Bench {
    fn new(policy: &str, platform: &str, channel: &str, foreign: u32) -> Bench {
        let parts = match channel {
            "alipay.single" | "service_account.template" => "platform \"T1\" field first = \"hi\"",
            _ => "body \"hi\"",
        };
        let program = delivery::program(&format!(
            "{policy}
             tag wx address({platform})
             template T {{ {parts} }}
             campaign c {{ when everyone send template T via {channel} every day at 10:00 again always }}
             campaign other {{ when everyone send template T via {channel} every day at 10:00 again always priority 80 }}"
        ));
        let mut builder = SnapshotBuilder::new();
        let names: Vec<String> = (0..USERS).map(|n| format!("u{n}")).collect();
        for name in &names {
            builder.user(name);
        }
        builder.tag(
            program.schema.tags[0].clone(),
            names.iter().map(|name| Some(Value::text(name))).collect(),
        );
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&dir.path().join("ledger.db"), world()).unwrap();
        let foreign = ForeignUse::from([(platform.to_owned(), foreign)]);
        Bench {
            _dir: dir,
            program,
            snapshot: builder.build(),
            ledger,
            foreign,
        }
    }

    /// Of the WeChat service account's mass sends: four a month.
    fn mass() -> Bench {
        Bench::new("", "service_account", "service_account.mass", 0)
    }

    fn channel(&self) -> ChannelName {
        self.program.campaigns[0].via.routes[0].channel.clone()
    }

    fn decide(&self, campaign: &str, due: Instant) -> Decision {
        let (tables, own, words) = (
            Tables::default(),
            MessageLog::default(),
            ForbiddenWords::default(),
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
        let id = self.program.campaign_named(campaign).unwrap();
        let input = DecideInput {
            foreign: &self.foreign,
            ..DecideInput::scheduled(id, due, &scope, 7, &words)
        };
        decide_all(&[input], self.ledger.reader())
            .unwrap()
            .remove(0)
    }

    /// Decides and plans; says how many messages that were, and what stopped the others.
    fn go(&mut self, campaign: &str, due: Instant) -> (usize, Vec<Gate>) {
        let decision = self.decide(campaign, due);
        let info = RunInfo {
            program: &self.program,
            program_digest: "p",
            snapshot_digest: "s",
            seed: 7,
            occasion: Occasion::Due(due),
            now: due,
        };
        self.ledger.planner().plan_run(&decision, &info).unwrap();
        (
            decision.planned(),
            decision.stopped.into_iter().map(|(gate, _)| gate).collect(),
        )
    }

    fn planned(&mut self, due: &str) -> usize {
        self.go("c", at(due)).0
    }
}

fn capped(by: &str) -> (usize, Vec<Gate>) {
    (0, vec![Gate::Capped(Some(by.into()))])
}

/// Each cap a user of every platform lets through what it says, in its own period, and what others send
/// counts. Caps a minute or an hour are the platform's to keep.
#[test]
fn every_cap_of_every_platform_is_kept() {
    let mut left_to_the_platform = Vec::new();
    for platform in platform::all() {
        for endpoint in &platform.endpoints {
            let channel = format!("{}.{}", platform.name, endpoint.name);
            for quota in endpoint
                .quotas
                .iter()
                .filter(|quota| quota.of == Holder::User)
            {
                // The last day of a month, a Monday.
                let (unit, next) = match quota.per {
                    Per::Minute | Per::Hour => {
                        left_to_the_platform.push(channel.clone());
                        continue;
                    }
                    Per::Day => ("day", "2026-12-01 10:00"),
                    Per::Week => ("week", "2026-12-07 10:00"),
                    Per::Month => ("month", "2026-12-01 10:00"),
                };
                let n = match quota.n {
                    Amount::Number(n) => n as usize,
                    Amount::Word(AmountWord::DaysOfMonth) => 30,
                };
                for foreign in [0, 1] {
                    let mut bench = Bench::new("", &platform.name, &channel, foreign);
                    let due = |minute: usize| {
                        Instant(at("2026-11-30 10:00").0 + minute as i64 * 60_000_000)
                    };
                    let left = n - foreign as usize;
                    for minute in 0..left {
                        assert_eq!(
                            bench.go("c", due(minute)),
                            (USERS, vec![]),
                            "{channel}, {minute} of {left}"
                        );
                    }
                    let name = format!("{channel} {n} per {unit}");
                    // However important it is: what is claimed would be lost to it, what is not is
                    // taken.
                    assert_eq!(bench.go("c", due(left)), capped(&name));
                    assert_eq!(bench.go("c", at(next)).0 == 0, left == 0, "{channel}");
                    verified(bench.ledger.reader());
                }
            }
        }
    }
    assert_eq!(
        left_to_the_platform,
        ["wecom.app", "wecom.app"],
        "say so in docs/channels.md, too"
    );
}

/// Case 37, its second part: at 23:58 of a month's last day it counts in both months of the
/// platform.
#[test]
fn case_37_in_the_last_hour_of_a_platforms_period_it_counts_in_both() {
    let mut bench = Bench::mass();
    let november = [
        "2026-11-02 10:00",
        "2026-11-03 10:00",
        "2026-11-30 22:59",
        "2026-11-30 23:58",
    ];
    assert_eq!(november.map(|due| bench.planned(due)), [USERS; 4]);
    assert_eq!(
        bench.go("c", at("2026-11-30 23:59")),
        capped("service_account.mass 4 per month")
    );
    // The one at 23:58 has a slot of December, too.
    let december = [
        "2026-12-01 00:00",
        "2026-12-02 10:00",
        "2026-12-31 10:00",
        "2026-12-31 11:00",
    ];
    assert_eq!(
        december.map(|due| bench.planned(due)),
        [USERS, USERS, USERS, 0]
    );
    assert_eq!(bench.planned("2027-01-01 10:00"), USERS);
    // And what finds no slot in the new month has none in its last hour either.
    let mut bench = Bench::mass();
    bench.foreign = ForeignUse::from([("service_account".into(), 3)]);
    assert_eq!(bench.planned("2026-11-30 23:30"), USERS);
    assert_eq!(bench.planned("2026-12-01 10:00"), 0);
}

/// Whoever's turn comes on another day of the platform than that of the plan is counted there,
/// wherever the policy is.
#[test]
fn what_waits_past_the_platforms_midnight_counts_after_it() {
    let mut bench = Bench::new(
        "policy { timezone \"America/New_York\" }",
        "service_account",
        "service_account.mass",
        3,
    );
    assert_eq!(bench.planned("2026-11-30 23:30"), USERS);
    let (midnight, late) = (at("2026-12-01 00:00"), at("2026-12-01 00:10"));
    assert_eq!(
        bench
            .ledger
            .dispatcher()
            .due(at("2026-11-30 23:50"), &Default::default())
            .unwrap()
            .map(|d| d.campaign().to_owned()),
        Some("c".into())
    );
    assert!(
        bench
            .ledger
            .dispatcher()
            .due(late, &Default::default())
            .unwrap()
            .is_none(),
        "it is planned again first"
    );
    let planned = bench
        .ledger
        .reader()
        .planned_messages(PlannedFilter::OnAnotherDay, late)
        .unwrap();
    let group = &planned[0].group;
    let day = group.zone.date(late);
    let mut slots = DayRecheck::new(
        &bench.program,
        &bench.foreign,
        day,
        USERS,
        bench.ledger.reader(),
    );
    let change = slots.check(group, late).unwrap();
    drop(slots);
    let expected = Recheck::Reschedule {
        day: NewDay {
            day,
            not_before: midnight,
        },
        no_slot: Vec::new(),
    };
    assert_eq!(change, expected);
    bench
        .ledger
        .planner()
        .replan(&[(&planned[0], change)], late)
        .unwrap();
    assert!(
        bench
            .ledger
            .dispatcher()
            .due(late, &Default::default())
            .unwrap()
            .is_some()
    );
    let sent = bench
        .ledger
        .reader()
        .sent_since(&bench.channel(), at("2026-11-01 00:00"))
        .unwrap();
    assert_eq!(
        sent,
        (0..USERS as u32)
            .map(|user| (UserNo(user), midnight))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        (
            bench.planned("2026-12-02 10:00"),
            verified(bench.ledger.reader())
        ),
        (0, ())
    );
}

/// A more important message takes the last slot of a platform from one that nobody has begun to
/// send.
#[test]
fn the_platforms_last_slot_goes_to_what_matters_more() {
    let mut bench = Bench::new("", "service_account", "service_account.mass", 3);
    assert_eq!(bench.planned("2026-11-11 10:00"), USERS);
    assert_eq!(bench.go("other", at("2026-11-11 10:05")), (USERS, vec![]));
    let outcomes = bench.ledger.reader().outcomes(UserNo(0), "c").unwrap();
    assert!(format!("{outcomes:?}").contains("other"), "{outcomes:?}");
    assert_eq!(
        bench.go("c", at("2026-11-11 10:10")),
        capped("service_account.mass 4 per month")
    );
    verified(bench.ledger.reader());
}

/// Both kinds of cap hold, and the message names the one that has no slot left.
#[test]
fn policy_and_platform_are_both_asked() {
    let mut bench = Bench::new(
        "policy { cap 1 per day }",
        "service_account",
        "service_account.mass",
        2,
    );
    assert_eq!(bench.planned("2026-11-11 10:00"), USERS);
    assert_eq!(bench.go("c", at("2026-11-11 12:00")), capped("c"));
    assert_eq!(bench.planned("2026-11-12 10:00"), USERS);
    assert_eq!(
        bench.go("c", at("2026-11-13 10:00")),
        capped("service_account.mass 4 per month")
    );
    // An account that is not bound has no platform.
    bench.foreign.clear();
    assert_eq!(bench.planned("2026-11-14 10:00"), USERS);
}

#[test]
fn plan_and_why_name_the_platforms_cap() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("users.csv", "id,wx\nu1,o1\nu2,o2\n");
    let config = "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n[accounts.service_account]\napp_id = \"wx1\"\nsecret_env = \"NONE\"\n";
    file("tagcast.toml", &format!("{config}foreign = 4\n"));
    file(
        "a.campaign",
        "tag wx address(service_account)\ntemplate t \"hi\"\n\
         campaign c { when everyone send template t via service_account.mass at 2026-11-11 10:00 }\n",
    );
    let run = |args: &[&str]| support::run(dir.path(), args);
    let (_, out, err) = run(&["plan", "--now", "2026-11-11 09:00"]);
    assert!(
        out.contains("capped by the platform: service_account.mass 4 per month"),
        "{out}{err}"
    );
    let (_, out, _) = run(&["plan", "--now", "2026-11-11 09:00", "--lang", "zh"]);
    assert!(
        out.contains("平台频控：service_account.mass 4 per month"),
        "{out}"
    );
    let (_, out, _) = run(&["plan", "--now", "2026-11-11 09:00", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let stopped: BTreeMap<String, String> = json["campaigns"][0]["funnel"]["stopped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            (
                s["gate"].as_str().unwrap().to_owned(),
                s["by"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        stopped,
        BTreeMap::from([(
            "capped".to_owned(),
            "service_account.mass 4 per month".to_owned()
        )])
    );
    let (_, out, _) = run(&["why", "u1", "c", "--now", "2026-11-11 09:00"]);
    assert!(
        out.contains("it would be: capped by the platform: service_account.mass 4 per month"),
        "{out}"
    );
    file("tagcast.toml", &format!("{config}foreign = 3\n"));
    let (_, out, _) = run(&["plan", "--now", "2026-11-11 09:00"]);
    assert!(!out.contains("capped"), "{out}");
    file("tagcast.toml", &format!("{config}foreign = -1\n"));
    let (code, _, err) = run(&["plan"]);
    assert!(code == 2 && err.contains("tagcast.toml:7"), "{code} {err}");
}
