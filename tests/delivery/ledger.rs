//! The ledger as those who plan, send and ask see it. Numbers are the cases of the delivery
//! design.

use crate::support::postgres;
use std::path::Path;
use std::sync::Arc;

use crate::support::delivery::{
    self, DUE, Dying, OF, Place, Wanted, at, day, ids, on_server, outbox, program, recount, users,
    verified, world,
};
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Instant, UserNo};
use tagcast::decide::decision::Gate;
use tagcast::decide::history::{CapScope, History};
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::platforms::sandbox::{Fault, FaultEffect, SandboxFile};
use tagcast::eval::{EvalScope, MessageLog, PreparedProgram, ReceiptStatus, Tables};
use tagcast::ledger::{
    Applied, Ledger, LedgerError, LedgerReader, LiveCampaign, LiveProgram, MessageNews,
    MessageProgress, Occasion, ReceiptKind, RunId, State,
};
use tagcast::program::typed_expr::OwnEvent;
use tagcast::store::Store;
use tagcast::store::import::TagImport;

// ------------------------------------------------------------------ planning

/// Case 2: a changed program is loaded while a run is half claimed.
#[test]
fn case_02_a_run_that_is_planned_is_not_planned_again() {
    let place = Place::new();
    let mut ledger = place.open();
    let slow = place.wanted("slow");
    let first = ledger
        .planner()
        .plan_run(&slow.to(0..100), &slow.info())
        .unwrap();
    assert!(!first.before);
    let (carried, _) = place.carry(&mut ledger, "2026-11-11 10:01", &[]);
    assert!((1..100).contains(&carried.accepted), "{carried:?}");
    drop(ledger);
    // Another text, other people, another program: the occasion is the same.
    let mut ledger = place.open();
    let mut info = slow.info();
    info.program_digest = "program 2";
    let again = ledger
        .planner()
        .plan_run(&slow.personal(50..200), &info)
        .unwrap();
    assert_eq!((again.run, again.before), (first.run, true));
    place.carry(&mut ledger, "2026-11-11 10:30", &[]);
    let sent = outbox(&place.outbox());
    assert_eq!(sent["slow"].len(), 100);
    assert!(
        sent["slow"]
            .iter()
            .all(|(_, text)| text == r#"{"body":"slow"}"#)
    );
    verified(ledger.reader());
}

/// Case 4: users that sort before all others come in during a planned run.
#[test]
fn case_04_an_import_moves_nobody() {
    let place = Place::new();
    let store = Store::create_or_open(place.dir.path().join("store"), world()).unwrap();
    let import = |names: std::ops::Range<u32>, prefix: &str| {
        let file = place.dir.path().join(format!("{prefix}.csv"));
        let rows: Vec<String> = names.map(|i| format!("{prefix}{i:05},{i}")).collect();
        std::fs::write(&file, format!("id,age\n{}\n", rows.join("\n"))).unwrap();
        let mut writer = store.writer().unwrap();
        import_tags(&mut writer, &file);
    };
    import(0..OF, "m");
    let mut ledger = place.open();
    let slow = place.wanted("slow");
    ledger
        .planner()
        .plan_run(&slow.to(0..100), &slow.info())
        .unwrap();
    let go = |ledger: &mut Ledger, until: &str| {
        let channels = Channels::sandbox(&place.outbox(), world()).unwrap();
        let snapshot = store.snapshot().unwrap();
        DispatchLoop::new(ledger, channels, snapshot.users().clone(), world())
            .up_to(at(until), &mut ())
            .unwrap()
    };
    go(&mut ledger, "2026-11-11 10:01");
    import(0..1000, "a");
    go(&mut ledger, "2026-11-11 10:30");
    let names: Vec<String> = outbox(&place.outbox())["slow"]
        .iter()
        .map(|(user, _)| user.clone())
        .collect();
    assert_eq!(
        names,
        (0..100).map(|i| format!("m{i:05}")).collect::<Vec<_>>()
    );
    assert_eq!(ledger.reader().last_planned("slow").unwrap().len(), 100);
}

fn import_tags(writer: &mut tagcast::store::StoreWriter, file: &Path) {
    let import = TagImport::of(file, "id");
    import
        .run(writer, &program("tag age int base").schema, &mut |_| ())
        .unwrap();
    writer.commit().unwrap();
}

/// Case 14: the same plan is applied twice, and the scheduler meets a plan; a kill during `apply`
/// leaves it to be done.
#[test]
fn case_14_a_plan_is_applied_once() {
    let place = Place::new();
    let sources = [("a.campaign".to_owned(), "when …".to_owned())];
    let campaigns = [LiveCampaign {
        name: "a",
        fixed: Some(at(DUE)),
    }];
    let live = LiveProgram {
        digest: "program 1",
        sources: &sources,
        campaigns: &campaigns,
        plan: Some("plan 1"),
    };
    let now = at("2026-11-11 09:00");
    for writes in 0..3 {
        // Making the ledger takes two writes; the third is that of `apply`.
        let dying = Ledger::open(place.at(), Dying::after(now, writes))
            .and_then(|mut ledger| ledger.planner().make_live(&live, now));
        assert!(dying.is_err() || writes > 0, "{writes}");
    }
    let mut ledger = place.open();
    let applied = ledger.planner().make_live(&live, now).unwrap();
    let before = matches!(applied, Applied::Before { .. });
    assert!(applied == Applied::Now || before);
    assert_eq!(
        ledger
            .planner()
            .make_live(&live, at("2026-11-11 09:30"))
            .unwrap(),
        Applied::Before { at: now }
    );
    assert_eq!(ledger.reader().plan_used("plan 1").unwrap(), Some(now));
    let stored = ledger.reader().program("program 1").unwrap().unwrap();
    assert_eq!(stored.sources, sources);
    // The instant stays what it was when the campaign became live first.
    let moved = [LiveCampaign {
        name: "a",
        fixed: Some(at("2026-12-12 10:00")),
    }];
    ledger
        .planner()
        .make_live(
            &LiveProgram {
                digest: "program 2",
                campaigns: &moved,
                plan: None,
                ..live
            },
            at("2026-11-11 09:40"),
        )
        .unwrap();
    let standing = ledger.reader().live("a").unwrap();
    assert_eq!(
        (standing.fixed, standing.since, standing.program.as_deref()),
        (Some(at(DUE)), Some(now), Some("program 2"))
    );
    assert_eq!(standing.handled, None);
    // Plan against scheduler: one run for the occasion.
    let a = place.wanted("a");
    let first = ledger.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    assert_eq!(
        ledger
            .planner()
            .plan_run(&a.to(0..20), &a.info())
            .unwrap()
            .run,
        first.run
    );
    assert_eq!(ledger.reader().live("a").unwrap().handled, Some(at(DUE)));
    assert_eq!(ledger.reader().reports(None).unwrap().len(), 1);
    verified(ledger.reader());
}

/// Case 19: lists of every awkward size are cut in equal shares, and each message is claimed once.
/// A list of one is not sent.
#[test]
fn case_19_lists_of_every_size() {
    for (size, shares) in [
        (0u32, vec![]),
        (1, vec![]),
        (2, vec![2]),
        (9_999, vec![9_999]),
        (10_001, vec![5_001, 5_000]),
    ] {
        let place = Place::new();
        let mut ledger = place.open();
        let wanted = Wanted {
            of: 20_001,
            ..place.wanted("a")
        };
        let mut decision = wanted.to(0..size);
        decision
            .messages
            .iter_mut()
            .for_each(|group| group.channel = delivery::mass());
        ledger
            .planner()
            .plan_run(&decision, &wanted.info())
            .unwrap();
        struct Sizes(std::sync::Mutex<Vec<usize>>, SandboxFile);
        impl tagcast::deliver::channel::Channel for Sizes {
            fn endpoint(&self) -> &tagcast::program::platform::Endpoint {
                tagcast::program::platform::endpoint("service_account", "mass").unwrap()
            }
            fn max_batch(&self) -> usize {
                10_000
            }
            fn settles_after(&self) -> tagcast::base::Elapsed {
                tagcast::base::Elapsed::minutes(1)
            }
            fn send(&self, batch: &tagcast::ledger::Batch) -> tagcast::deliver::channel::Reply {
                self.0.lock().unwrap().push(batch.messages.len());
                self.1.send(batch)
            }
        }
        let channel = Arc::new(Sizes(
            Vec::new().into(),
            SandboxFile::with_faults(&place.outbox(), world(), Vec::new()),
        ));
        let channels = Channels::all_by(channel.clone());
        let mut carry = DispatchLoop::new(&mut ledger, channels, ids(&users(1)), world());
        let sent: usize = shares.iter().sum();
        assert_eq!(
            carry
                .up_to(at("2026-11-11 10:10"), &mut ())
                .unwrap()
                .accepted,
            sent
        );
        assert_eq!(*channel.0.lock().unwrap(), shares);
        assert_eq!(place.sent("a"), sent);
        assert!(
            ledger.reader().reports(None).unwrap()[0]
                .finished_at
                .is_some()
        );
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let mut short = a.to(0..5);
    short.messages[0].addresses.pop();
    let mut twice = a.to(0..5);
    let again = twice.messages[0].clone();
    twice.messages.push(again);
    let mut late = a.to(0..5);
    late.step = 3;
    for wrong in [short, twice, late] {
        assert!(matches!(
            ledger.planner().plan_run(&wrong, &a.info()),
            Err(LedgerError::Plan(_))
        ));
    }
    assert!(ledger.reader().reports(None).unwrap().is_empty());
}

/// Case 33, one worker: who wins the last slot does not depend on the order in which campaigns are
/// given.
#[test]
fn case_33_the_last_slot_goes_by_priority_then_name() {
    let text = "tag vip bool
         template T \"满300减50\"
         policy { cap 1 per month }
         campaign low { when everyone send template T at 2026-11-11 10:00 }
         campaign high { when everyone send template T at 2026-11-11 10:00 priority 80 }
         campaign also_low { when everyone send template T at 2026-11-11 10:00 }";
    let mut seen = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let place = Place {
            program: program(text),
            ..Place::new()
        };
        let snapshot = users(40);
        let (tables, own, words) = (
            Tables::default(),
            MessageLog::default(),
            ForbiddenWords::default(),
        );
        let scope = EvalScope {
            snapshot: &snapshot,
            program: &place.program,
            prepared: &PreparedProgram::new(&place.program),
            tables: &tables,
            own: &own,
            now: at(DUE),
            trigger: None,
            outcomes: None,
        };
        let names = ["low", "high", "also_low"];
        let inputs = order.map(|i| {
            DecideInput::scheduled(
                place.program.campaign_named(names[i]).unwrap(),
                at(DUE),
                &scope,
                7,
                &words,
            )
        });
        let mut ledger = place.open();
        let decisions = decide_all(&inputs, ledger.reader()).unwrap();
        let wanted = place.wanted("low");
        let info = wanted.info();
        let together: Vec<_> = decisions.iter().map(|d| (d, info.clone())).collect();
        ledger.planner().plan_runs(&together).unwrap();
        place.carry(&mut ledger, "2026-11-11 10:10", &[]);
        seen.push(outbox(&place.outbox()));
        let counted = ledger
            .reader()
            .counted(
                &CapScope {
                    campaign: None,
                    purpose: None,
                    channel: None,
                },
                day("2026-11-01"),
                day("2026-11-30"),
            )
            .unwrap();
        assert!(
            counted
                .values()
                .all(|c| c.messages == 1 && c.latest_campaign == "high")
        );
        let lost = &ledger.reader().outcomes(UserNo(3), "low").unwrap()[0].happened;
        assert_eq!(
            lost,
            &MessageProgress::Stopped {
                reason: "capped".into(),
                detail: Some("high".into())
            }
        );
    }
    assert_eq!(seen[0].keys().collect::<Vec<_>>(), ["high"]);
    assert!(seen.windows(2).all(|w| w[0] == w[1]));
}

// ------------------------------------------------------------------ asking

#[test]
fn own_messages_know_what_is_known() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let mut decision = a.to(0..6);
    // On a channel that reports each user's receipts but cannot see opening.
    decision.messages[0].channel = tagcast::program::typed::ChannelName {
        endpoint: "template".into(),
        ..delivery::mass()
    };
    let run = ledger.planner().plan_run(&decision, &a.info()).unwrap().run;
    place.carry(&mut ledger, DUE, &[]);
    let key = |user: u32| {
        ledger
            .reader()
            .message_key(run, 0, UserNo(user))
            .unwrap()
            .unwrap()
    };
    let news = |user: u32, kind, when: &str| MessageNews {
        message: key(user),
        kind,
        when: at(when),
        source: "test".into(),
    };
    let all = [
        news(1, ReceiptKind::Delivered, "2026-11-11 10:01"),
        news(2, ReceiptKind::Opened, "2026-11-11 10:05"),
        news(3, ReceiptKind::Failed, "2026-11-11 10:02"),
    ];
    ledger
        .operator()
        .learn(&all, at("2026-11-11 10:06"))
        .unwrap();
    ledger
        .operator()
        .opt_out(&[UserNo(4)], "callback", at("2026-11-11 10:07"))
        .unwrap();
    let log = ledger.reader().message_log().unwrap();
    let of = |user: u32, event: OwnEvent| log.of(UserNo(user))[0].receipt(event);
    let yes = |when: &str| ReceiptStatus::Yes(at(when));
    use OwnEvent::{Clicked, Delivered, Failed, Opened, OptedOut, Sent};
    assert_eq!(
        [of(0, Sent), of(0, Delivered), of(0, Opened)],
        [yes(DUE), ReceiptStatus::Unknown, ReceiptStatus::Unknown]
    );
    assert_eq!(
        [of(1, Delivered), of(1, Opened), of(1, Failed)],
        [
            yes("2026-11-11 10:01"),
            ReceiptStatus::Unknown,
            ReceiptStatus::No
        ]
    );
    assert_eq!(
        [of(2, Delivered), of(2, Opened), of(2, Clicked)],
        [
            yes("2026-11-11 10:05"),
            yes("2026-11-11 10:05"),
            ReceiptStatus::Unknown
        ]
    );
    assert_eq!(
        [of(3, Sent), of(3, Failed), of(3, Opened)],
        [yes(DUE), yes("2026-11-11 10:02"), ReceiptStatus::No]
    );
    assert_eq!(
        [of(4, OptedOut), of(0, OptedOut)],
        [yes("2026-11-11 10:07"), ReceiptStatus::Unknown]
    );
    let message = &log.of(UserNo(1))[0];
    assert_eq!(
        (
            &*message.campaign,
            &*message.step,
            &*message.channel,
            &*message.template
        ),
        ("a", "a", "service_account.template", "T")
    );
    assert!(log.of(UserNo(9)).is_empty());
}

#[test]
fn one_outcome_for_each_user() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let mut decision = a.personal(10..20);
    Wanted::stop(&mut decision, Gate::Holdout, 20..25);
    Wanted::stop(&mut decision, Gate::Excluded("staff".into()), 25..26);
    decision.unknown = tagcast::base::Bitmap::from_users(OF as usize, [UserNo(30)]);
    decision.not_matched.remove(UserNo(30));
    decision.arms = vec![(
        "x".into(),
        tagcast::base::Bitmap::from_users(OF as usize, (10..26).map(UserNo)),
    )];
    ledger.planner().plan_run(&decision, &a.info()).unwrap();
    place.carry(&mut ledger, DUE, &[]);
    let happened = |user: u32| {
        ledger
            .reader()
            .outcomes(UserNo(user), "a")
            .unwrap()
            .remove(0)
    };
    let stopped = |reason: &str, detail: Option<&str>| MessageProgress::Stopped {
        reason: reason.into(),
        detail: detail.map(Into::into),
    };
    assert_eq!(happened(5).happened, MessageProgress::NotMatched);
    assert_eq!(happened(30).happened, stopped("unknown", None));
    assert_eq!(happened(22).happened, stopped("holdout", None));
    assert_eq!(happened(25).happened, stopped("excluded", Some("staff")));
    let reached = happened(12);
    assert_eq!((reached.arm.as_deref(), reached.due), (Some("x"), at(DUE)));
    let MessageProgress::Message(message) = reached.happened else {
        panic!("a message")
    };
    assert_eq!(message.content.parts[0].1, "尊敬的12,满300减50");
    assert_eq!(
        (message.state, message.claimed_at),
        (State::Accepted, Some(at(DUE)))
    );
    assert!(
        ledger
            .reader()
            .outcomes(UserNo(OF + 1), "a")
            .unwrap()
            .is_empty()
    );
    let report = &ledger.reader().reports(Some("a")).unwrap()[0];
    assert_eq!(
        (report.matched(), report.planned, report.arms.as_slice()),
        (16, 10, &[("x".to_owned(), 16)][..])
    );
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["messages"][0]["states"]["accepted"], 10);
}

/// Case 37: what is planned at 23:50 on the last day of a month and held by quiet hours counts in
/// the new month.
#[test]
fn a_message_counts_on_the_day_of_its_hand_over() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = Wanted {
        due: at("2026-11-30 23:50"),
        ..place.wanted("a")
    };
    let mut decision = a.to(0..3);
    decision.messages[0].not_before = at("2026-12-01 08:00");
    decision.messages[0].expires = at("2026-12-01 09:00");
    ledger.planner().plan_run(&decision, &a.info()).unwrap();
    let scope = CapScope {
        campaign: None,
        purpose: None,
        channel: None,
    };
    let month = |ledger: &LedgerReader, from: &str, to: &str| {
        ledger.counted(&scope, day(from), day(to)).unwrap().len()
    };
    assert_eq!(
        (
            month(ledger.reader(), "2026-11-01", "2026-11-30"),
            month(ledger.reader(), "2026-12-01", "2026-12-31")
        ),
        (0, 3)
    );
    assert_eq!(
        ledger.reader().last_planned("a").unwrap()[&UserNo(0)],
        at("2026-11-30 23:50")
    );
}

#[test]
fn a_trigger_remembers_the_values_it_was_for() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    for (n, value) in [(0, "sku-1"), (1, "sku-2"), (2, "sku-1")] {
        let mut info = a.info();
        info.occasion = Occasion::Event {
            id: format!("event-{n}"),
            value: Some(value.into()),
        };
        ledger.planner().plan_run(&a.to([7, 8 + n]), &info).unwrap();
    }
    let reached = ledger.reader().reached_values("a").unwrap();
    assert_eq!(reached[&UserNo(7)], ["sku-1", "sku-2"]);
    assert_eq!(reached[&UserNo(9)], ["sku-2"]);
    assert_eq!(ledger.reader().live("a").unwrap().handled, None);
}

/// Case 32, as far as one process goes: at every step of random runs what caps count equals a
/// recount message by message.
#[test]
fn counting_equals_a_recount() {
    let mut random = 88_172_645_463_325_252u64;
    let mut next = |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    for _ in 0..6 {
        let place = Place::new();
        let mut ledger = place.open();
        let names = ["a", "b", "slow"];
        for hour in 0..8 {
            let due = Instant(at(DUE).0 + hour * 3_600_000_000);
            let wanted = Wanted {
                due,
                ..place.wanted(names[next(3) as usize])
            };
            let from = next(200) as u32;
            let decision = if next(2) == 0 {
                wanted.to(from..from + 90)
            } else {
                wanted.personal(from..from + 90)
            };
            let run = ledger
                .planner()
                .plan_run(&decision, &wanted.info())
                .unwrap()
                .run;
            recount(ledger.reader(), &names);
            let does = [
                FaultEffect::Fail,
                FaultEffect::Refuse,
                FaultEffect::Hang,
                FaultEffect::HangAfter,
                FaultEffect::LieError,
            ][next(5) as usize];
            let faults = [Fault {
                does,
                campaign: None,
                after: next(3) as u32,
                times: Some(next(3) as u32),
            }];
            let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(due));
            let channels = Channels::all_by(Arc::new(SandboxFile::with_faults(
                &place.outbox(),
                world.clone(),
                faults.to_vec(),
            )));
            DispatchLoop::new(&mut ledger, channels, ids(&users(OF)), world)
                .up_to(due, &mut ())
                .unwrap();
            recount(ledger.reader(), &names);
            for _ in 0..20 {
                let user = UserNo(next(u64::from(OF)) as u32);
                let kind = ReceiptKind::ALL[next(13) as usize];
                let Some(message) = ledger.reader().message_key(run, 0, user).unwrap() else {
                    continue;
                };
                // What is proved not to have been sent cannot be learned of.
                let superseded = ledger
                    .reader()
                    .reports(None)
                    .unwrap()
                    .iter()
                    .any(|r| r.run == run && r.planned_again > 0);
                if !superseded {
                    ledger
                        .operator()
                        .learn(
                            &[MessageNews {
                                message,
                                kind,
                                when: due,
                                source: "x".into(),
                            }],
                            due,
                        )
                        .unwrap();
                }
            }
            if next(4) == 0 {
                ledger
                    .operator()
                    .withdraw(RunId(next(8) as i64), due)
                    .unwrap();
            }
            if next(3) == 0 {
                ledger
                    .operator()
                    .opt_out(&[UserNo(next(u64::from(OF)) as u32)], "x", due)
                    .unwrap();
            }
            recount(ledger.reader(), &names);
        }
        verified(ledger.reader());
    }
}

// ------------------------------------------------------------------ the file

#[test]
fn one_writer_and_many_readers() {
    if on_server() {
        return; // It is about a file.
    }
    let place = Place::new();
    assert!(LedgerReader::open(place.at()).unwrap().is_none());
    let mut ledger = place.open();
    let Err(LedgerError::Busy(_)) = Ledger::open(place.at(), world()) else {
        panic!("a second writer")
    };
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    let reader = LedgerReader::open(place.at()).unwrap().unwrap();
    assert_eq!(reader.reports(None).unwrap().len(), 1);
    place.carry(&mut ledger, DUE, &[]);
    assert_eq!(
        reader.reports(None).unwrap()[0].in_state(State::Accepted),
        10
    );
    drop(ledger);
    assert!(Ledger::open(place.at(), world()).is_ok());
}

#[test]
fn other_files_are_refused_and_kept() {
    if on_server() {
        return; // It is about a file.
    }
    let place = Place::new();
    drop(place.open());
    let db = rusqlite::Connection::open(place.ledger()).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    for error in [
        Ledger::open(place.at(), world()).err(),
        LedgerReader::open(place.at()).err(),
    ] {
        assert!(
            matches!(error, Some(LedgerError::OtherVersion { found: 99, .. })),
            "{error:?}"
        );
    }
    let place = Place::new();
    let db = rusqlite::Connection::open(place.ledger()).unwrap();
    db.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    drop(db);
    assert!(
        Ledger::open(place.at(), world())
            .err()
            .unwrap()
            .message()
            .en
            .contains("another program")
    );
    for junk in [
        &b"not a database at all, but long enough to look"[..],
        &[0u8; 4096],
    ] {
        std::fs::write(place.ledger(), junk.repeat(40)).unwrap();
        let error = Ledger::open(place.at(), world()).err().unwrap();
        assert!(error.message().en.contains("damaged"), "{error}");
        assert!(LedgerReader::open(place.at()).is_err());
        assert_eq!(std::fs::read(place.ledger()).unwrap(), junk.repeat(40));
    }
    assert!(Ledger::open(&place.dir.path().join("no/such/folder/ledger.db"), world()).is_err());
}

/// Case 11: an old copy is put back. It opens for reading, and sends nothing.
#[test]
fn case_11_an_old_copy_is_fenced() {
    if on_server() {
        return; // It is about a file.
    }
    let place = Place::new();
    let mut ledger = place.open();
    let slow = place.wanted("slow");
    ledger
        .planner()
        .plan_run(&slow.to(0..60), &slow.info())
        .unwrap();
    place.carry(&mut ledger, DUE, &[]);
    drop(ledger);
    let old = std::fs::read(place.ledger()).unwrap();
    let mut ledger = place.open();
    place.carry(&mut ledger, "2026-11-11 10:01", &[]);
    drop(ledger);
    std::fs::write(place.ledger(), &old).unwrap();
    let fenced = |place: &Place| {
        matches!(
            Ledger::open(place.at(), world()),
            Err(LedgerError::Fenced { .. })
        )
    };
    assert!(fenced(&place));
    assert_eq!(
        LedgerReader::open(place.at())
            .unwrap()
            .unwrap()
            .reports(None)
            .unwrap()
            .len(),
        1
    );
    // Nor is a new ledger begun where one with sends was.
    std::fs::remove_file(place.ledger()).unwrap();
    assert!(fenced(&place));
    // Nor does an old copy pass a fence that nobody can read.
    std::fs::write(place.ledger(), &old).unwrap();
    std::fs::write(place.ledger().with_extension("highwater"), "garbage").unwrap();
    assert!(fenced(&place));
    assert!(
        LedgerReader::open(place.at())
            .unwrap()
            .unwrap()
            .is_fenced()
            .unwrap()
    );
    // A person takes the fence away.
    std::fs::remove_file(place.ledger().with_extension("highwater")).unwrap();
    let mut ledger = place.open();
    place.carry(&mut ledger, "2026-11-11 10:01", &[]);
    assert_eq!(place.sent("slow"), 60);
}

/// Case 13: any change in any record or row is named; erasing a user is not one.
#[test]
fn case_13_the_audit_names_what_was_changed() {
    if on_server() {
        return; // It is about a file.
    }
    let place = Place::new();
    let mut ledger = place.open();
    let sources = [("a.campaign".to_owned(), "…".to_owned())];
    let live = [LiveCampaign {
        name: "a",
        fixed: Some(at(DUE)),
    }];
    ledger
        .planner()
        .make_live(
            &LiveProgram {
                digest: "p",
                sources: &sources,
                campaigns: &live,
                plan: Some("x"),
            },
            at(DUE),
        )
        .unwrap();
    let (a, slow) = (place.wanted("a"), place.wanted("slow"));
    let mut decision = a.personal(0..10);
    Wanted::stop(&mut decision, Gate::Holdout, 20..25);
    decision.unknown_because = Vec::new();
    decision.arms = vec![(
        "x".into(),
        tagcast::base::Bitmap::from_users(OF as usize, (0..10).map(UserNo)),
    )];
    ledger
        .planner()
        .plan_runs(&[(&decision, a.info()), (&slow.to(0..40), slow.info())])
        .unwrap();
    place.carry(&mut ledger, DUE, &[]);
    let message = ledger
        .reader()
        .message_key(RunId(1), 0, UserNo(2))
        .unwrap()
        .unwrap();
    ledger
        .operator()
        .learn(
            &[MessageNews {
                message,
                kind: ReceiptKind::Opened,
                when: at(DUE),
                source: "s".into(),
            }],
            at(DUE),
        )
        .unwrap();
    ledger
        .operator()
        .opt_out(&[UserNo(9)], "s", at(DUE))
        .unwrap();
    ledger
        .planner()
        .record_missed("b", at(DUE), at(DUE))
        .unwrap();
    verified(ledger.reader());
    drop(ledger);
    let whole = std::fs::read(place.ledger()).unwrap();
    let tables: Vec<(String, Vec<String>)> = {
        let db = rusqlite::Connection::open(place.ledger()).unwrap();
        let names = list(
            &db,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'unknown_because' ORDER BY name",
        );
        names
            .into_iter()
            .map(|t| {
                let columns = list(&db, &format!("SELECT name FROM pragma_table_info('{t}')"));
                (t, columns)
            })
            .collect()
    };
    assert!(tables.len() > 15);
    let mut changed = 0;
    for (table, columns) in &tables {
        for column in columns {
            std::fs::write(place.ledger(), &whole).unwrap();
            let db = rusqlite::Connection::open(place.ledger()).unwrap();
            // Another number, or another character at the end of a text.
            let sql = format!(
                "UPDATE {table} SET {column} = CASE typeof({column}) WHEN 'integer' THEN {column} + 1000 WHEN 'null' THEN 1
                    WHEN 'blob' THEN CAST(substr({column}, 2) AS BLOB) ELSE {column} || 'x' END
                 WHERE ({column} IS NULL OR 1) AND ({key}) = (SELECT max({key}) FROM {table})",
                key = columns[0],
            );
            let rows = db.execute(&sql, []).unwrap_or(0);
            drop(db);
            if rows == 0 {
                continue; // A constraint stood in the way.
            }
            changed += 1;
            let problems = LedgerReader::open(place.at())
                .unwrap()
                .map(|l| l.verify().unwrap().problems);
            assert!(
                problems.is_none_or(|p| !p.is_empty()),
                "{table}.{column} was changed unseen"
            );
        }
        std::fs::write(place.ledger(), &whole).unwrap();
        let db = rusqlite::Connection::open(place.ledger()).unwrap();
        let gone = db.execute(
            &format!("DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"),
            [],
        );
        drop(db);
        if gone.is_ok_and(|n| n > 0) {
            let problems = LedgerReader::open(place.at())
                .unwrap()
                .map(|l| l.verify().unwrap().problems);
            assert!(
                problems.is_none_or(|p| !p.is_empty()),
                "a row of {table} went unseen"
            );
        }
    }
    assert!(changed > 80, "{changed}");
    // A user is erased: the chain holds, and nothing of the user is left in the file.
    std::fs::write(place.ledger(), &whole).unwrap();
    assert!(holds(&place, "address of 3\u{c}"));
    let mut ledger = place.open();
    [3, 33].into_iter().for_each(|user| {
        ledger
            .operator()
            .erase(UserNo(user), at("2026-11-12 10:00"))
            .unwrap()
    });
    verified(ledger.reader());
    drop(ledger);
    assert!(!holds(&place, "address of 3\u{c}") && holds(&place, "address of 4\u{c}"));
    let mut ledger = place.open();
    assert_eq!(
        place.carry(&mut ledger, "2026-11-11 10:01", &[]).0.accepted,
        9
    );
    let MessageProgress::Message(message) = ledger
        .reader()
        .outcomes(UserNo(3), "a")
        .unwrap()
        .remove(0)
        .happened
    else {
        panic!("a message")
    };
    assert!(message.content.parts.is_empty());
    verified(ledger.reader());
}

fn list(db: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut select = db.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Whether the ledger's files hold a text anywhere.
fn holds(place: &Place, text: &str) -> bool {
    let data = std::fs::read(place.ledger()).unwrap();
    data.windows(text.len()).any(|w| w == text.as_bytes())
}

// ------------------------------------------------------------------ forgetting

/// Old runs lose what names people and keep what is counted: reports, caps, `again` and the audit
/// say what they said.
#[test]
fn old_runs_are_forgotten_but_for_their_counts() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let run = ledger
        .planner()
        .plan_run(&a.personal(0..100), &a.info())
        .unwrap()
        .run;
    place.carry(&mut ledger, DUE, &[]);
    let kinds = [
        ReceiptKind::Delivered,
        ReceiptKind::Failed,
        ReceiptKind::Opened,
    ];
    for user in 0..30 {
        let message = ledger
            .reader()
            .message_key(run, 0, UserNo(user))
            .unwrap()
            .unwrap();
        ledger
            .operator()
            .learn(
                &[MessageNews {
                    message,
                    kind: kinds[user as usize % 3],
                    when: at(DUE),
                    source: "x".into(),
                }],
                at(DUE),
            )
            .unwrap();
    }
    // One that is not over, and one with the same texts that is younger.
    let slow = place.wanted("slow");
    ledger
        .planner()
        .plan_run(&slow.to(0..100), &slow.info())
        .unwrap();
    let b = Wanted {
        due: at("2026-11-11 12:00"),
        ..place.wanted("b")
    };
    ledger
        .planner()
        .plan_run(&b.personal(0..100), &b.info())
        .unwrap();
    let said = |ledger: &LedgerReader| {
        let scope = CapScope {
            campaign: None,
            purpose: None,
            channel: None,
        };
        let counted = ledger
            .counted(&scope, day("2026-11-11"), day("2026-11-11"))
            .unwrap();
        (
            ledger.reports(None).unwrap(),
            counted,
            ledger.last_planned("a").unwrap(),
        )
    };
    let before = said(ledger.reader());
    assert!(before.2.len() == 90 && holds_anywhere(&place, "address of 77"));
    assert_eq!(
        ledger
            .planner()
            .forget_before(at("2026-11-11 11:00"), at("2026-12-31 10:00"))
            .unwrap(),
        1
    );
    assert_eq!(
        ledger
            .planner()
            .forget_before(at("2026-11-11 11:00"), at("2026-12-31 10:00"))
            .unwrap(),
        0
    );
    assert_eq!(said(ledger.reader()), before);
    verified(ledger.reader());
    let states = |user: u32| {
        ledger
            .reader()
            .outcomes(UserNo(user), "a")
            .unwrap()
            .remove(0)
            .happened
    };
    let MessageProgress::Message(message) = states(50) else {
        panic!("a message")
    };
    assert!(message.state == State::Accepted && message.content.parts.is_empty());
    let MessageProgress::Message(message) = states(1) else {
        panic!("a message")
    };
    assert_eq!(message.state, State::Failed);
    assert_eq!(states(200), MessageProgress::NotMatched);
    // What is forgotten is erased, too; the others continue.
    ledger
        .operator()
        .erase(UserNo(3), at("2026-12-31 11:00"))
        .unwrap();
    place.carry(&mut ledger, "2026-11-11 12:30", &[]);
    assert_eq!(
        ledger
            .planner()
            .forget_before(at("2027-01-01"), at("2027-01-02"))
            .unwrap(),
        2
    );
    assert!(!holds_anywhere(&place, "address of 77"));
    verified(ledger.reader());
}

/// Whether some column holds a text.
fn holds_anywhere(place: &Place, text: &str) -> bool {
    match &place.url {
        None => {
            let db = rusqlite::Connection::open(place.ledger()).unwrap();
            let found = db.query_row(
                "SELECT count(*) FROM blob WHERE instr(data, CAST(? AS BLOB)) > 0",
                [text],
                |row| row.get::<_, i64>(0),
            );
            found.unwrap() > 0
        }
        Some(url) => {
            let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
            let sql = format!(
                "SELECT count(*) FROM tagcast.blob WHERE position(decode('{hex}', 'hex') in data) > 0"
            );
            postgres::number(url, &sql) > 0
        }
    }
}
