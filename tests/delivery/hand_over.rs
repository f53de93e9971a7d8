//! Sending: pace, quiet hours, deadlines and priorities, channels that misbehave, opt-outs,
//! and what is learned afterwards. Numbers are the cases of the delivery design.

use std::sync::Arc;

use crate::support::delivery::{
    DUE, OF, Place, Wanted, always, at, day, ids, mass, on_server, planned, recount, reschedule,
    state, users, verified, world,
};
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Instant, UserNo};
use tagcast::decide::decision::Gate;
use tagcast::decide::history::{CapScope, History};
use tagcast::decide::recheck::Recheck;
use tagcast::deliver::channel::{Channel, NextAction, Reply};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::deliver::platforms::sandbox::{Fault, FaultEffect, SandboxFile};
use tagcast::eval::ReceiptStatus;
use tagcast::ledger::{
    Batch, BatchOutcome, ClaimAttempt, DeliveryCounts, Ledger, LedgerError, LedgerReader,
    MessageKey, MessageNews, MessageProgress, NewCall, PlannedMessages, Receipt, ReceiptContent,
    ReceiptKind, Refusal, State, Verdict,
};
use tagcast::program::typed_expr::OwnEvent;

#[test]
fn pace_quiet_hours_deadline_and_priority() {
    let place = Place::new();
    let mut ledger = place.open();
    // 100 at 30 a minute are four minutes.
    let slow = place.wanted("slow");
    ledger
        .planner()
        .plan_run(&slow.to(0..100), &slow.info())
        .unwrap();
    let (carried, _) = place.carry(&mut ledger, "2026-11-11 10:01", &[]);
    assert_eq!(
        (carried.accepted, carried.next),
        (60, Some(at("2026-11-11 10:02")))
    );
    let (carried, _) = place.carry(&mut ledger, "2026-11-11 10:02", &[]);
    assert_eq!(carried.accepted, 30);
    // The deadline passes before the rest.
    let (carried, _) = place.carry(&mut ledger, "2026-11-11 10:02", &[]);
    assert_eq!(carried.accepted, 0);
    drop(ledger);
    let late: Arc<dyn World> = Arc::new(SimulatedWorld::at(at("2026-11-11 11:00:01")));
    let mut ledger = Ledger::open(place.at(), late.clone()).unwrap();
    let mut carry = DispatchLoop::new(
        &mut ledger,
        Channels::sandbox(&place.outbox(), late.clone()).unwrap(),
        ids(&users(OF)),
        late,
    );
    assert_eq!(
        carry
            .up_to(at("2026-11-11 11:00:01"), &mut ())
            .unwrap()
            .expired,
        10
    );
    assert_eq!(
        (
            state(ledger.reader(), 95, "slow"),
            state(ledger.reader(), 5, "slow")
        ),
        (State::Expired, State::Accepted)
    );
    // A message that waited into quiet hours waits for their end.
    let evening = Wanted {
        due: at("2026-11-11 21:59"),
        ..slow
    };
    let mut decision = evening.to(0..60);
    decision.messages[0].expires = at("2026-11-12 09:00");
    ledger
        .planner()
        .plan_run(&decision, &evening.info())
        .unwrap();
    let (carried, _) = place.carry(&mut ledger, "2026-11-12 07:59", &[]);
    assert_eq!(
        (carried.accepted, carried.next),
        (30, Some(at("2026-11-12 08:00")))
    );
    // It has become another day: it is planned again for that first.
    assert_eq!(
        place.carry(&mut ledger, "2026-11-12 08:00", &[]).0.accepted,
        0
    );
    assert_eq!(reschedule(&mut ledger, at("2026-11-12 08:00")), 30);
    assert_eq!(
        place.carry(&mut ledger, "2026-11-12 08:00", &[]).0.accepted,
        30
    );
    // The higher priority leaves first.
    let (a, b) = (place.wanted("a"), place.wanted("b"));
    let mut high = b.to(0..10);
    high.messages[0].priorities = vec![10; 10];
    ledger
        .planner()
        .plan_runs(&[(&a.to(0..10), a.info()), (&high, b.info())])
        .unwrap();
    place.carry(&mut ledger, DUE, &[]);
    let text = std::fs::read_to_string(place.outbox()).unwrap();
    let order: Vec<&str> = text
        .lines()
        .filter_map(|l| {
            ["\"a\"", "\"b\""]
                .into_iter()
                .find(|c| l.contains(&format!("\"campaign\":{c}")))
        })
        .collect();
    assert_eq!(order, [["\"b\""; 10], ["\"a\""; 10]].concat());
    verified(ledger.reader());
}

#[test]
fn a_wish_to_stop_is_heard_between_batches() {
    struct Stopping(SimulatedWorld, std::sync::atomic::AtomicUsize);
    impl World for Stopping {
        fn now(&self) -> Instant {
            self.0.now()
        }
        fn unique(&self) -> u64 {
            self.0.unique()
        }
        fn stopping(&self) -> bool {
            self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 2
        }
    }
    let place = Place::new();
    let mut ledger = place.open();
    let a = Wanted {
        of: 10_000,
        ..place.wanted("a")
    };
    ledger
        .planner()
        .plan_run(&a.to(0..10_000), &a.info())
        .unwrap();
    let world: Arc<dyn World> = Arc::new(Stopping(SimulatedWorld::at(at(DUE)), 0.into()));
    let channels = Channels::sandbox(&place.outbox(), world.clone()).unwrap();
    let carried = DispatchLoop::new(&mut ledger, channels, ids(&users(1)), world)
        .up_to(at(DUE), &mut ())
        .unwrap();
    assert!(carried.interrupted);
    assert_eq!((carried.accepted, place.sent("a")), (8_192, 8_192));
    let report = &ledger.reader().reports(None).unwrap()[0];
    assert_eq!(
        (report.in_state(State::Planned), report.finished_at.as_ref()),
        (1_808, None)
    );
    assert_eq!(place.carry(&mut ledger, DUE, &[]).0.accepted, 1_808);
    assert_eq!(place.sent("a"), 10_000);
}

/// A channel that fails, hangs or lies: its campaign stops alone, nothing is doubled, and what is
/// not known is listed.
#[test]
fn a_channel_that_misbehaves_stops_its_campaign_alone() {
    for (does, after_trouble, in_file) in [
        (FaultEffect::Fail, State::Planned, 0),
        (FaultEffect::Refuse, State::Refused, 0),
        (FaultEffect::Hang, State::Unknown, 0),
        (FaultEffect::HangAfter, State::Unknown, 10),
        (FaultEffect::LieError, State::Refused, 10),
        (FaultEffect::LieOk, State::Accepted, 0),
        (FaultEffect::Bar, State::Refused, 0),
        (FaultEffect::Close, State::Refused, 0),
    ] {
        let place = Place::new();
        let mut ledger = place.open();
        let (a, b) = (place.wanted("a"), place.wanted("b"));
        ledger
            .planner()
            .plan_runs(&[(&a.personal(0..10), a.info()), (&b.to(0..10), b.info())])
            .unwrap();
        let faults = [Fault {
            does,
            campaign: Some("a".into()),
            after: 0,
            times: None,
        }];
        let (_, stopped) = place.carry(&mut ledger, DUE, &faults);
        assert_eq!(
            stopped,
            if matches!(
                does,
                FaultEffect::LieOk | FaultEffect::Bar | FaultEffect::Close
            ) {
                vec![]
            } else {
                vec!["a"]
            },
            "{does:?}"
        );
        assert_eq!(
            (place.sent("a"), place.sent("b")),
            (in_file, 10),
            "{does:?}"
        );
        assert_eq!(
            (
                state(ledger.reader(), 3, "a"),
                state(ledger.reader(), 3, "b")
            ),
            (after_trouble, State::Accepted),
            "{does:?}"
        );
        let counted = ledger.reader().counted(
            &CapScope {
                campaign: Some("a".into()),
                purpose: None,
                channel: None,
            },
            day("2026-11-11"),
            day("2026-11-11"),
        );
        assert_eq!(
            counted.unwrap().len(),
            if after_trouble == State::Refused {
                0
            } else {
                10
            },
            "{does:?}"
        );
        let unknown = ledger.reader().stuck().unwrap();
        assert_eq!(
            unknown.iter().map(|s| s.messages).sum::<i64>(),
            if after_trouble == State::Unknown {
                10
            } else {
                0
            }
        );
        drop(ledger);
        // The next run continues with a channel that works.
        let mut ledger = place.open();
        place.carry(&mut ledger, DUE, &[]);
        let (at_last, in_file) = match does {
            FaultEffect::Refuse | FaultEffect::Bar | FaultEffect::Close => (State::Refused, 0),
            FaultEffect::LieError => (State::Refused, 10),
            // What the platform says is all that anybody knows.
            FaultEffect::LieOk => (State::Accepted, 0),
            FaultEffect::Fail | FaultEffect::Hang | FaultEffect::HangAfter => (State::Accepted, 10),
        };
        assert_eq!(
            (state(ledger.reader(), 3, "a"), place.sent("a")),
            (at_last, in_file),
            "{does:?}"
        );
        assert!(ledger.reader().stuck().unwrap().is_empty());
        let report = ledger.reader().reports(Some("a")).unwrap().remove(0);
        assert_eq!(
            (report.planned, report.planned_again),
            (10, if does == FaultEffect::Fail { 10 } else { 0 })
        );
        assert!(report.finished_at.is_some());
        verified(ledger.reader());
    }
}

/// An unknown send of this process is repeated under its key after a while, and its campaign
/// continues.
#[test]
fn an_unknown_is_looked_up_later() {
    let place = Place::new();
    let mut ledger = place.open();
    let slow = place.wanted("slow");
    ledger
        .planner()
        .plan_run(&slow.to(0..60), &slow.info())
        .unwrap();
    let faults = vec![Fault {
        times: Some(1),
        ..always(FaultEffect::HangAfter)
    }];
    let channels = Channels::all_by(Arc::new(SandboxFile::with_faults(
        &place.outbox(),
        world(),
        faults,
    )));
    let mut carry = DispatchLoop::new(&mut ledger, channels, ids(&users(OF)), world());
    assert_eq!(carry.up_to(at(DUE), &mut ()).unwrap().unknown, 30);
    assert_eq!(carry.stopped().len(), 1);
    assert_eq!(
        carry
            .up_to(at("2026-11-11 10:00:59"), &mut ())
            .unwrap()
            .accepted,
        0
    );
    // The thirty that were unknown, and the next thirty.
    assert_eq!(
        carry
            .up_to(at("2026-11-11 10:01"), &mut ())
            .unwrap()
            .accepted,
        60
    );
    assert!(carry.stopped().is_empty());
    assert_eq!(place.sent("slow"), 60);
}

/// Case 20: who opts out before the claim is struck. Case 21: who opts out after it changes no byte
/// of a repeat.
#[test]
fn case_20_21_an_opt_out_counts_until_the_claim() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    ledger
        .operator()
        .opt_out(&[UserNo(3), UserNo(4)], "console", at("2026-11-11 09:59"))
        .unwrap();
    place.carry(&mut ledger, DUE, &[always(FaultEffect::HangAfter)]);
    assert_eq!(place.sent("a"), 8);
    let before = std::fs::read(place.outbox()).unwrap();
    ledger
        .operator()
        .opt_out(&[UserNo(5)], "console", at("2026-11-11 10:01"))
        .unwrap();
    std::fs::remove_file(place.outbox()).unwrap();
    drop(ledger);
    let mut ledger = place.open();
    assert_eq!(place.carry(&mut ledger, DUE, &[]).0.accepted, 8);
    assert_eq!(std::fs::read(place.outbox()).unwrap(), before);
    let states = [3, 5, 6].map(|user| state(ledger.reader(), user, "a"));
    assert_eq!(states, [State::Struck, State::Accepted, State::Accepted]);
    assert_eq!(
        ledger
            .reader()
            .opted_out(OF as usize)
            .unwrap()
            .iter()
            .map(|u| u.0)
            .collect::<Vec<_>>(),
        [3, 4, 5]
    );
    let report = &ledger.reader().reports(None).unwrap()[0];
    assert_eq!((report.planned, report.in_state(State::Struck)), (10, 2));
    // A segment of nothing but opted-out users is claimed without a send.
    let b = place.wanted("b");
    ledger.planner().plan_run(&b.to(3..6), &b.info()).unwrap();
    place.carry(&mut ledger, DUE, &[]);
    assert_eq!(place.sent("b"), 0);
    assert!(
        ledger.reader().reports(Some("b")).unwrap()[0]
            .finished_at
            .is_some()
    );
    verified(ledger.reader());
}

/// Who is left alone on a list stands in one list with the others of the run; what is claimed of
/// that is claimed once.
#[test]
fn case_20_lists_are_joined_once() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = Wanted {
        of: 10_001,
        ..place.wanted("a")
    };
    let mut decision = a.to(0..10_001);
    decision.messages[0].channel = mass();
    ledger.planner().plan_run(&decision, &a.info()).unwrap();
    let all_but_one = planned(ledger.reader())[0].group.users.clone().split_off(1);
    ledger
        .operator()
        .opt_out(&all_but_one, "console", at("2026-11-11 09:59"))
        .unwrap();
    let due = ledger
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    assert!(matches!(
        ledger
            .dispatcher()
            .claim(due, 2..=10_000, &[], at(DUE))
            .unwrap(),
        ClaimAttempt::Joined
    ));
    let due = ledger
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = ledger
        .dispatcher()
        .claim(due, 2..=10_000, &[], at(DUE))
        .unwrap()
    else {
        panic!("a claim")
    };
    let mut taken: Vec<u32> = claim
        .batch(users(10_001).users())
        .messages
        .iter()
        .map(|m| m.user.0)
        .collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 5_001);
    drop(claim);
    assert!(
        ledger
            .dispatcher()
            .due(at(DUE), &Default::default())
            .unwrap()
            .is_none()
    );
    verified(ledger.reader());
}

/// Users who end their consent lose their slots until the claim; what is claimed meanwhile is not
/// struck, and nothing else then either.
#[test]
fn consent_that_ends_counts_until_the_claim() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..10), &a.info()).unwrap();
    let before = planned(ledger.reader());
    let group = &before[0].group;
    assert_eq!(
        (
            before.len(),
            group.pending.campaign.as_str(),
            group.users.len()
        ),
        (1, "a", 10)
    );
    let withdraw = |ledger: &mut Ledger, of: &[PlannedMessages], users: &[u32]| {
        let position = |user: &u32| {
            let found = of[0].group.users.iter().position(|known| known.0 == *user);
            (found.unwrap(), Gate::NoConsent)
        };
        ledger.planner().replan(
            &[(
                &of[0],
                Recheck::Withdraw(users.iter().map(position).collect()),
            )],
            at("2026-11-11 09:59"),
        )
    };
    assert_eq!(withdraw(&mut ledger, &before, &[7, 8]).unwrap(), 2);
    // The first three are claimed; who has looked before that strikes nobody.
    let due = ledger
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = ledger.dispatcher().claim(due, 2..=3, &[], at(DUE)).unwrap()
    else {
        panic!("a claim")
    };
    let claimed: Vec<u32> = claim
        .batch(&ids(&users(OF)))
        .messages
        .iter()
        .map(|m| m.user.0)
        .collect();
    assert!(matches!(
        withdraw(&mut ledger, &before, &[claimed[0], 9]),
        Err(LedgerError::Overtaken(_))
    ));
    let all = BatchOutcome::Taken(
        claimed
            .iter()
            .map(|user| Verdict::Accepted {
                id: user.to_string(),
            })
            .collect(),
    );
    ledger.dispatcher().answer(claim, &all, at(DUE)).unwrap();
    let now = planned(ledger.reader());
    let mut left: Vec<u32> = now[0].group.users.iter().map(|user| user.0).collect();
    left.sort_unstable();
    assert_eq!(
        left,
        (0..10)
            .filter(|user| !claimed.contains(user) && ![7, 8].contains(user))
            .collect::<Vec<_>>()
    );
    assert_eq!(withdraw(&mut ledger, &now, &left[..1]).unwrap(), 1);
    recount(ledger.reader(), &["a"]);
    place.carry(&mut ledger, DUE, &[]);
    assert_eq!(place.sent("a"), 10 - 3 - claimed.len());
    let report = &ledger.reader().reports(None).unwrap()[0];
    assert_eq!((report.planned, report.in_state(State::Accepted)), (7, 7));
    let stopped: i64 = report
        .stopped
        .iter()
        .filter(|s| s.reason == "no_consent")
        .map(|s| s.users)
        .sum();
    assert_eq!((stopped, report.finished_at.is_some()), (3, true));
    assert!(planned(ledger.reader()).is_empty());
    recount(ledger.reader(), &["a"]);
    verified(ledger.reader());
}

/// Case 9: answers and receipts in every order, twice, and of unknown messages: the end is the
/// same.
#[test]
fn case_09_evidence_merges_in_any_order() {
    let kinds = [
        ReceiptKind::Delivered,
        ReceiptKind::Opened,
        ReceiptKind::Failed,
        ReceiptKind::SaidNotSent,
    ];
    let mut ends = Vec::new();
    // A database for each order takes its time: some of them will do there.
    let some = if on_server() { 15 } else { 1 };
    for order in permutations(&[0, 1, 2, 3, 4]).into_iter().step_by(some) {
        let place = Place::new();
        let mut ledger = place.open();
        let a = place.wanted("a");
        let run = ledger
            .planner()
            .plan_run(&a.to(0..2), &a.info())
            .unwrap()
            .run;
        let due = ledger
            .dispatcher()
            .due(at(DUE), &Default::default())
            .unwrap()
            .unwrap();
        let ClaimAttempt::Claim(claim) = ledger
            .dispatcher()
            .claim(due, 2..=100, &[], at(DUE))
            .unwrap()
        else {
            panic!("a claim")
        };
        let news = |user: u32, i: usize| MessageNews {
            message: MessageKey {
                run,
                step: 0,
                fanout_index: 0,
                user: UserNo(user),
                attempt: 0,
            },
            kind: kinds[i],
            when: Instant(at(DUE).0 + i as i64),
            source: format!("callback {i}"),
        };
        let mut claim = Some(claim);
        for what in order {
            match kinds.get(what) {
                None => {
                    let taken = BatchOutcome::Taken(
                        ["x", "y"]
                            .map(|id| Verdict::Accepted { id: id.into() })
                            .to_vec(),
                    );
                    ledger
                        .dispatcher()
                        .answer(claim.take().unwrap(), &taken, at(DUE))
                        .unwrap();
                }
                Some(_) => {
                    assert_eq!(
                        ledger
                            .operator()
                            .learn(&[news(1, what), news(1, what), news(77, what)], at(DUE))
                            .unwrap(),
                        2
                    );
                }
            }
        }
        verified(ledger.reader());
        let MessageProgress::Message(message) = ledger
            .reader()
            .outcomes(UserNo(1), "a")
            .unwrap()
            .remove(0)
            .happened
        else {
            panic!("a message")
        };
        assert_eq!(
            (message.state, message.platform_id.as_deref()),
            (State::Delivered, Some("y"))
        );
        assert_eq!(state(ledger.reader(), 0, "a"), State::Accepted);
        let log = ledger.reader().message_log().unwrap();
        ends.push((
            message,
            log.of(UserNo(1)).to_vec(),
            ledger.reader().reports(None).unwrap(),
        ));
    }
    assert_eq!(ends.len(), 120 / some);
    assert!(ends.windows(2).all(|w| w[0] == w[1]));
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let with = |first: usize| {
        let rest: Vec<usize> = of.iter().copied().filter(|x| *x != first).collect();
        permutations(&rest)
            .into_iter()
            .map(move |p| [vec![first], p].concat())
    };
    of.iter().flat_map(|first| with(*first)).collect()
}

#[test]
fn some_of_a_batch_may_be_refused() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let mut decision = a.to(0..10);
    decision.messages[0].addresses[4] = "".into();
    ledger.planner().plan_run(&decision, &a.info()).unwrap();
    let (carried, stopped) = place.carry(&mut ledger, DUE, &[]);
    assert_eq!(
        (carried.accepted, carried.refused, stopped.len()),
        (9, 1, 0)
    );
    assert_eq!(
        (
            state(ledger.reader(), 4, "a"),
            state(ledger.reader(), 5, "a")
        ),
        (State::Refused, State::Accepted)
    );
    let MessageProgress::Message(fifth) = ledger
        .reader()
        .outcomes(UserNo(5), "a")
        .unwrap()
        .remove(0)
        .happened
    else {
        panic!("a message")
    };
    assert_eq!(fifth.platform_id.as_deref(), Some("5"));
    assert_eq!(ledger.reader().last_planned("a").unwrap().len(), 9);
    let report = &ledger.reader().reports(None).unwrap()[0];
    assert_eq!(
        (
            report.planned,
            report.in_state(State::Accepted),
            report.in_state(State::Refused)
        ),
        (10, 9, 1)
    );
    let log = ledger.reader().message_log().unwrap();
    let sent = |user: u32, event: OwnEvent| log.of(UserNo(user))[0].receipt(event);
    assert_eq!(
        (sent(4, OwnEvent::Sent), sent(4, OwnEvent::Failed)),
        (ReceiptStatus::No, ReceiptStatus::Yes(at(DUE)))
    );
    assert_eq!(
        (sent(5, OwnEvent::Sent), sent(5, OwnEvent::Failed)),
        (ReceiptStatus::Yes(at(DUE)), ReceiptStatus::Unknown)
    );
    verified(ledger.reader());
}

/// A person's word settles an unknown send; what the platform says later is worth more.
#[test]
fn a_person_settles_what_nobody_knows() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let run = ledger
        .planner()
        .plan_run(&a.to(0..4), &a.info())
        .unwrap()
        .run;
    place.carry(&mut ledger, DUE, &[always(FaultEffect::HangAfter)]);
    let batch = ledger.reader().stuck().unwrap()[0].batch;
    ledger
        .operator()
        .settle_by_hand(batch, false, "li", at("2026-11-11 10:10"))
        .unwrap();
    assert!(
        ledger
            .operator()
            .settle_by_hand(batch, true, "li", at("2026-11-11 10:11"))
            .is_err()
    );
    assert_eq!(state(ledger.reader(), 2, "a"), State::SaidNotSent);
    let counted = |ledger: &LedgerReader| ledger.last_planned("a").unwrap().len();
    assert_eq!(counted(ledger.reader()), 0);
    let message = ledger
        .reader()
        .message_key(run, 0, UserNo(2))
        .unwrap()
        .unwrap();
    let news = MessageNews {
        message,
        kind: ReceiptKind::Delivered,
        when: at("2026-11-11 10:12"),
        source: "callback".into(),
    };
    ledger
        .operator()
        .learn(&[news], at("2026-11-11 10:12"))
        .unwrap();
    assert_eq!(
        (state(ledger.reader(), 2, "a"), counted(ledger.reader())),
        (State::Delivered, 1)
    );
    ledger.dispatcher().finish(at("2026-11-11 10:13")).unwrap();
    assert!(
        ledger.reader().reports(None).unwrap()[0]
            .finished_at
            .is_some()
    );
    verified(ledger.reader());
}

/// What a channel says, batch after batch; then it accepts all.
struct Says(SandboxFile, std::sync::Mutex<Vec<Reply>>);

impl Channel for Says {
    fn endpoint(&self) -> &tagcast::program::platform::Endpoint {
        self.0.endpoint()
    }
    fn max_batch(&self) -> usize {
        100
    }
    fn settles_after(&self) -> tagcast::base::Elapsed {
        tagcast::base::Elapsed(0)
    }
    fn send(&self, batch: &Batch) -> Reply {
        self.1
            .lock()
            .unwrap()
            .pop()
            .unwrap_or_else(|| self.0.send(batch))
    }
}

/// Messages of one batch may fare differently: each has its own state, only those that are unknown
/// are repeated, and those that were not sent are planned again.
#[test]
fn each_message_of_a_batch_has_its_own_verdict() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..5), &a.info()).unwrap();
    let verdicts = vec![
        Verdict::Accepted { id: "x".into() },
        Verdict::Waiting { id: "y".into() },
        Verdict::Refused {
            reason: "not a follower".into(),
            because: Refusal::Address,
        },
        Verdict::Unknown {
            reason: "reset".into(),
        },
        Verdict::NotSent {
            reason: "quota".into(),
        },
    ];
    let why = || tagcast::base::Msg {
        en: "quota used up".into(),
        zh: "配额用尽".into(),
    };
    let reply = Reply {
        answer: BatchOutcome::Taken(verdicts),
        then: NextAction::Wait {
            until: at("2026-11-11 10:05"),
            why: why(),
        },
    };
    let says = Says(
        SandboxFile::with_faults(&place.outbox(), world(), vec![]),
        vec![reply].into(),
    );
    let mut carry = DispatchLoop::new(
        &mut ledger,
        Channels::all_by(Arc::new(says)),
        ids(&users(OF)),
        world(),
    );
    let carried = carry.up_to(at("2026-11-11 10:04"), &mut ()).unwrap();
    assert_eq!(
        (
            carried.accepted,
            carried.refused,
            carried.unknown,
            carried.next
        ),
        (2, 1, 1, Some(at("2026-11-11 10:05")))
    );
    let states = |ledger: &LedgerReader| {
        (0..5)
            .map(|user| state(ledger, user, "a"))
            .collect::<Vec<_>>()
    };
    let first = [
        State::Accepted,
        State::Waiting,
        State::Refused,
        State::Unknown,
        State::Planned,
    ];
    assert_eq!(states(carry.ledger().reader()), first);
    assert_eq!(place.sent("a"), 0, "the channel is held back");
    let [(trouble, since), (of_a, _)] = &carry.ledger().reader().troubles().unwrap()[..] else {
        panic!("the channel waits, and the campaign")
    };
    assert!(
        of_a.campaign.as_deref() == Some("a")
            && of_a.why.en.contains("gave no answer for 1 message"),
        "{of_a:?}"
    );
    assert_eq!(
        (
            trouble.endpoint.as_deref(),
            trouble.until,
            trouble.needs_a_person
        ),
        (Some("file"), Some(at("2026-11-11 10:05")), false)
    );
    assert_eq!((trouble.why.zh.as_str(), *since), ("配额用尽", at(DUE)));
    let carried = carry.up_to(at("2026-11-11 10:06"), &mut ()).unwrap();
    assert_eq!(
        (carried.accepted, place.sent("a")),
        (2, 2),
        "the unknown one and the one that was not sent"
    );
    assert_eq!(
        states(carry.ledger().reader()),
        [
            State::Accepted,
            State::Waiting,
            State::Refused,
            State::Accepted,
            State::Accepted
        ]
    );
    let id = |user: u32| match ledger
        .reader()
        .outcomes(UserNo(user), "a")
        .unwrap()
        .remove(0)
        .happened
    {
        MessageProgress::Message(message) => message.platform_id.map(|id| id.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [0, 1, 2].map(id),
        [Some("x".into()), Some("y".into()), None]
    );
    assert!(id(3).is_some());
    verified(ledger.reader());
}

/// An account that needs a person stops its campaigns with what to do; those of other accounts go
/// on, and what is left stays planned.
#[test]
fn an_account_that_needs_a_person_is_asked_once() {
    let place = Place::new();
    let mut ledger = place.open();
    let (a, slow) = (place.wanted("a"), place.wanted("slow"));
    ledger
        .planner()
        .plan_runs(&[(&a.to(0..3), a.info()), (&slow.to(0..3), slow.info())])
        .unwrap();
    let why = tagcast::base::Msg {
        en: "wrong secret".into(),
        zh: "密钥错误".into(),
    };
    let reply = Reply {
        answer: BatchOutcome::NotSent {
            reason: "40125".into(),
        },
        then: NextAction::Stop { why },
    };
    let says = Says(
        SandboxFile::with_faults(&place.outbox(), world(), vec![]),
        vec![reply].into(),
    );
    let mut carry = DispatchLoop::new(
        &mut ledger,
        Channels::all_by(Arc::new(says)),
        ids(&users(OF)),
        world(),
    );
    carry.up_to(at(DUE), &mut ()).unwrap();
    let stopped: Vec<&str> = carry.stopped().values().map(|m| m.en.as_str()).collect();
    assert_eq!(stopped, ["wrong secret", "wrong secret"]);
    let whys = |ledger: &LedgerReader| {
        ledger
            .troubles()
            .unwrap()
            .into_iter()
            .map(|(t, since)| (t.endpoint, t.campaign, t.why.en, since))
            .collect::<Vec<_>>()
    };
    let said = [(None, None, "wrong secret".to_string(), at(DUE))];
    assert_eq!(whys(carry.ledger().reader()), said, "it is the account's");
    // It is not asked again every minute, but after an hour: by then somebody may have put it
    // right.
    carry.try_stopped();
    carry.up_to(at("2026-11-11 11:00"), &mut ()).unwrap();
    assert_eq!((carry.stopped().len(), place.sent("a")), (2, 0));
    assert_eq!(whys(carry.ledger().reader()), said);
    carry.try_stopped();
    carry.up_to(at("2026-11-11 11:00"), &mut ()).unwrap();
    assert_eq!(
        (carry.stopped().len(), place.sent("a"), place.sent("slow")),
        (0, 3, 3)
    );
    assert_eq!(whys(carry.ledger().reader()), []);
    verified(ledger.reader());
}

/// Why messages wait outlives the process that found it out; it goes with what is planned, with a
/// send that goes well, and with the settings.
#[test]
fn why_messages_wait_is_kept_until_it_is_over() {
    let place = Place::new();
    let mut ledger = place.open();
    let (a, b) = (place.wanted("a"), place.wanted("b"));
    ledger
        .planner()
        .plan_runs(&[(&a.to(0..10), a.info()), (&b.to(0..10), b.info())])
        .unwrap();
    let of_a = |does| Fault {
        campaign: Some("a".into()),
        ..always(does)
    };
    let whys = |ledger: &LedgerReader| {
        ledger
            .troubles()
            .unwrap()
            .into_iter()
            .map(|(t, _)| (t.campaign, t.why.en))
            .collect::<Vec<_>>()
    };
    // What goes wrong for one campaign is not said of another one on the same channel, and not
    // ended by it.
    place.carry(&mut ledger, DUE, &[of_a(FaultEffect::Fail)]);
    assert_eq!(place.sent("b"), 10);
    let [(of, why)] = &whys(ledger.reader())[..] else {
        panic!("one")
    };
    assert!(
        of.as_deref() == Some("a") && why.contains("could not be reached"),
        "{why}"
    );
    place.carry(&mut ledger, DUE, &[of_a(FaultEffect::Fail)]);
    let [(_, again)] = &whys(ledger.reader())[..] else {
        panic!("one")
    };
    assert_eq!(again, why);
    // A new process finds that it works again.
    place.carry(&mut ledger, DUE, &[]);
    assert_eq!((whys(ledger.reader()), place.sent("a")), (vec![], 10));
    // What is taken back or expires waits for nothing any more.
    let next = Wanted {
        due: at("2026-11-12 10:00"),
        ..place.wanted("a")
    };
    ledger
        .planner()
        .plan_run(&next.to(10..20), &next.info())
        .unwrap();
    place.carry(&mut ledger, "2026-11-12 10:00", &[of_a(FaultEffect::Fail)]);
    assert_eq!(whys(ledger.reader()).len(), 1);
    place.carry(&mut ledger, "2026-11-20 10:00", &[of_a(FaultEffect::Fail)]);
    assert_eq!(whys(ledger.reader()), []);
    verified(ledger.reader());
}

/// What an account is bound to has changed: nothing is known any more of what keeps it.
#[test]
fn a_new_binding_ends_what_was_said_of_the_account() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    ledger.planner().plan_run(&a.to(0..3), &a.info()).unwrap();
    let why = tagcast::base::Msg {
        en: "wrong secret".into(),
        zh: "密钥错误".into(),
    };
    let reply = Reply {
        answer: BatchOutcome::NotSent {
            reason: "40125".into(),
        },
        then: NextAction::Stop { why },
    };
    let says = |replies: Vec<Reply>| {
        Channels::all_by(Arc::new(Says(
            SandboxFile::with_faults(&place.outbox(), world(), vec![]),
            replies.into(),
        )))
    };
    let mut carry = DispatchLoop::new(
        &mut ledger,
        says(vec![reply.clone()]),
        ids(&users(OF)),
        world(),
    );
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(carry.ledger().reader().troubles().unwrap().len(), 1);
    carry.set_channels(says(vec![]), &["another".to_string()].into());
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(
        (
            carry.ledger().reader().troubles().unwrap().len(),
            place.sent("a")
        ),
        (1, 0),
        "that of another account"
    );
    carry.set_channels(says(vec![]), &["sandbox".to_string()].into());
    carry.up_to(at(DUE), &mut ()).unwrap();
    assert_eq!(
        (
            carry.ledger().reader().troubles().unwrap().len(),
            place.sent("a")
        ),
        (0, 3)
    );
    verified(ledger.reader());
}

/// What platforms tell is kept as it came, applied once however often it is told, and kept for
/// later where nobody knows the id yet.
#[test]
fn calls_are_kept_and_count_once() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = place.wanted("a");
    let run = ledger
        .planner()
        .plan_run(&a.to(0..10), &a.info())
        .unwrap()
        .run;
    let id = |n: u32| format!("id {n}");
    let due = ledger
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = ledger
        .dispatcher()
        .claim(due, 2..=100, &[], at(DUE))
        .unwrap()
    else {
        panic!("a claim")
    };
    let counts = DeliveryCounts {
        total: 10,
        filtered: 1,
        delivered: 8,
        failed: 1,
    };
    let told = |key: &str, what: ReceiptContent| Receipt {
        key: key.into(),
        when: at(DUE),
        what,
    };
    let all = [
        told(
            "delivered 3",
            ReceiptContent::Message {
                id: id(3),
                kind: ReceiptKind::Delivered,
            },
        ),
        told(
            "delivered 3",
            ReceiptContent::Message {
                id: id(3),
                kind: ReceiptKind::Delivered,
            },
        ),
        told(
            "opened 4",
            ReceiptContent::Message {
                id: id(4),
                kind: ReceiptKind::Opened,
            },
        ),
        told(
            "counts",
            ReceiptContent::List {
                id: id(5),
                all: None,
                counts: Some(counts),
            },
        ),
        told("unsubscribe", ReceiptContent::OptedOut(vec![UserNo(9)])),
        told(
            "another's",
            ReceiptContent::Message {
                id: "of nobody".into(),
                kind: ReceiptKind::Failed,
            },
        ),
    ];
    let call = NewCall {
        account: "sandbox".into(),
        at: at(DUE),
        query: "q=1".into(),
        signature: "s".into(),
        body: "所有".into(),
    };
    let tell = |ledger: &mut Ledger| {
        ledger
            .dispatcher()
            .receive(std::slice::from_ref(&call), at(DUE))
            .unwrap();
        let [kept] = &ledger.reader().calls(10).unwrap()[..] else {
            panic!("one call")
        };
        assert_eq!(kept.call, call);
        let applied = ledger
            .dispatcher()
            .apply(kept, Some(&all), at(DUE))
            .unwrap();
        assert!(ledger.reader().calls(10).unwrap().is_empty());
        (
            applied.learned,
            applied.opted_out,
            applied.repeated,
            applied.unknown,
        )
    };
    // Before the answer nobody knows the ids.
    assert_eq!(tell(&mut ledger), (0, 1, 1, 4));
    let taken = BatchOutcome::Taken((0..10).map(|n| Verdict::Accepted { id: id(n) }).collect());
    ledger.dispatcher().answer(claim, &taken, at(DUE)).unwrap();
    assert_eq!(ledger.dispatcher().apply_strays(at(DUE)).unwrap(), 2);
    assert_eq!(tell(&mut ledger), (0, 0, 6, 0));
    assert_eq!(
        (
            state(ledger.reader(), 3, "a"),
            state(ledger.reader(), 4, "a"),
            state(ledger.reader(), 5, "a")
        ),
        (State::Delivered, State::Delivered, State::Accepted)
    );
    assert_eq!(ledger.reader().counted_by_platform(run).unwrap(), [counts]);
    assert_eq!(
        (
            ledger.reader().strays().unwrap(),
            ledger.reader().opted_out(10).unwrap().count()
        ),
        (1, 1)
    );
    // One that nobody can read stays.
    ledger
        .dispatcher()
        .receive(std::slice::from_ref(&call), at(DUE))
        .unwrap();
    let kept = ledger.reader().calls(10).unwrap().remove(0);
    ledger.dispatcher().apply(&kept, None, at(DUE)).unwrap();
    assert!(ledger.reader().calls(10).unwrap().is_empty());
    verified(ledger.reader());
}
