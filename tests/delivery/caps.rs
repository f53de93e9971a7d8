//! Who has a user's slots: what comes later and matters more takes them from what nobody has begun
//! to send, and a message counts in the period of its send. Numbers are the cases of the
//! delivery design.

use std::collections::BTreeSet;

use crate::support::campaigns::{self, Bench};
use crate::support::delivery::{self, Place, Wanted, at, day, users, verified};
use tagcast::base::{Instant, UserNo};
use tagcast::decide::decision::Decision;
use tagcast::decide::history::{CapScope, History};
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
use tagcast::eval::{EvalScope, MessageLog, PreparedProgram, Tables};
use tagcast::ledger::{
    BatchOutcome, Claim, ClaimAttempt, DueSegment, Ledger, LedgerError, LedgerReader,
    MessageProgress, State, Verdict,
};
use tagcast::program::typed::Program;

fn bench(program: &str, users: usize) -> Bench {
    let mut bench = Bench::new(&format!("template T \"满300减50\"\n{program}"));
    (0..users).for_each(|n| {
        bench.user(&format!("u{n}"));
    });
    bench
}

/// Who got a campaign's messages, as numbers.
fn got(bench: &Bench, campaign: &str) -> BTreeSet<usize> {
    bench
        .got_of(campaign, "T")
        .iter()
        .map(|user| user[1..].parse().unwrap())
        .collect()
}

/// Who has a user's slot instead of a campaign.
fn winner(ledger: &LedgerReader, user: usize, campaign: &str) -> Option<String> {
    let outcomes = ledger.outcomes(UserNo(user as u32), campaign).unwrap();
    match &outcomes.last()?.happened {
        MessageProgress::Stopped { reason, detail } if reason == "capped" => detail.clone(),
        _ => None,
    }
}

const EARLIER: &str = "policy { cap 1 per day }
    campaign low { when everyone send template T at 2026-11-11 09:00 pace 2 per minute }
    campaign high { when everyone send template T at 2026-11-11 09:02 priority 80 }";

/// Case 34: what was claimed keeps its slot; what was not loses it to the more important campaign,
/// and its name is kept.
#[test]
fn case_34_a_slot_is_taken_until_it_is_claimed() {
    let bench = bench(EARLIER, 20);
    bench.run("2026-11-11 08:00", "2026-11-11 12:00");
    let (low, high) = (got(&bench, "low"), got(&bench, "high"));
    assert_eq!(low.len() + high.len(), 20);
    assert!(low.is_disjoint(&high));
    // 09:00, 09:01 and 09:02, two a minute.
    assert_eq!(low, (0..6).collect());
    let ledger = bench.ledger();
    for user in 0..20 {
        let (of_low, of_high) = (winner(&ledger, user, "low"), winner(&ledger, user, "high"));
        let expected = if user < 6 {
            (None, Some("low"))
        } else {
            (Some("high"), None)
        };
        assert_eq!((of_low.as_deref(), of_high.as_deref()), expected, "{user}");
    }
    let report = &ledger.reports(Some("low")).unwrap()[0];
    assert_eq!((report.planned, report.in_state(State::Accepted)), (6, 6));
    assert!(report.finished_at.is_some());
    let capped: i64 = report
        .stopped
        .iter()
        .filter(|s| s.detail.as_deref() == Some("high"))
        .map(|s| s.users)
        .sum();
    assert_eq!(capped, 14);
    bench.verified();
}

/// An equal one takes nothing, and one that has waited long enough is not less important any more.
#[test]
fn what_has_risen_by_waiting_keeps_its_slot() {
    for (priority, rising, takes) in [
        ("80", "", true),
        ("0", "", false),
        ("80", "priority 0 rising 39 per hour", true),
        ("80", "priority 0 rising 50 per hour", false),
    ] {
        let program = format!(
            "policy {{ cap 1 per day }}
             campaign low {{ when everyone send template T at 2026-11-11 09:00 pace 1 per minute deadline 6h {rising} }}
             campaign high {{ when everyone send template T at 2026-11-11 11:00 priority {priority} }}"
        );
        let bench = bench(&program, 200);
        bench.run("2026-11-11 08:00", "2026-11-11 16:00");
        assert_eq!(
            !got(&bench, "high").is_empty(),
            takes,
            "{priority} {rising}"
        );
        assert_eq!(got(&bench, "low").len() + got(&bench, "high").len(), 200);
        bench.verified();
    }
}

/// Case 36: what is kept for important messages is seen by no other; one of them finds it also when
/// it comes last.
#[test]
fn case_36_a_slot_is_kept_for_what_matters() {
    let program = "policy { cap 4 per month keep 1 for priority >= 80 }
        campaign daily { when everyone send template T every day at 10:00 again always }
        campaign important { when everyone send template T at 2026-11-20 12:00 priority 80 }
        campaign also { when everyone send template T at 2026-11-21 12:00 priority 90 }";
    let bench = bench(program, 3);
    bench.run("2026-11-10 09:00", "2026-11-30 23:00");
    assert_eq!(bench.got("daily").len(), 3 * 3);
    assert_eq!(bench.got("important").len(), 3);
    assert!(bench.got("also").is_empty());
    assert_eq!(
        winner(&bench.ledger(), 0, "also").as_deref(),
        Some("important")
    );
    // Others are told that nobody has the kept slot, only that it is not theirs.
    assert_eq!(bench.stopped("daily", "u1").len(), 18);
    bench.verified();
}

/// A campaign that waits at the end of a day is counted on the next one, or has no slot there.
#[test]
fn what_comes_to_its_turn_on_another_day_needs_a_slot_there() {
    let program = "policy { cap 1 per day }
        campaign slow { when everyone send template T at 2026-11-11 23:58 pace 2 per minute deadline 3h }
        campaign early { when everyone send template T at 2026-11-12 00:00 priority 5 }
        campaign late { when everyone send template T at 2026-11-12 09:00 }";
    let bench = bench(program, 10);
    bench.run("2026-11-11 23:00", "2026-11-12 12:00");
    let (slow, early, late) = (
        got(&bench, "slow"),
        got(&bench, "early"),
        got(&bench, "late"),
    );
    let ledger = bench.ledger();
    // Four continued the 11th; the others had their turn on the 12th, on which `early` had a slot for
    // each.
    let of_day = |d: &str| {
        let counted = ledger
            .counted(
                &CapScope {
                    campaign: None,
                    purpose: None,
                    channel: None,
                },
                day(d),
                day(d),
            )
            .unwrap();
        assert!(counted.values().all(|c| c.messages <= 1), "{counted:?}");
        counted
            .into_iter()
            .filter(|(_, c)| c.messages > 0)
            .map(|(user, _)| user.0 as usize)
            .collect::<BTreeSet<_>>()
    };
    let sent = |campaign: &str, d: &str| {
        bench
            .sent()
            .iter()
            .filter(|m| m.campaign == campaign && m.at.starts_with(d))
            .map(|m| m.user[1..].parse().unwrap())
            .collect::<BTreeSet<usize>>()
    };
    assert_eq!(sent("slow", "2026-11-11").len(), 4);
    assert_eq!(of_day("2026-11-11"), sent("slow", "2026-11-11"));
    let second: BTreeSet<usize> = sent("slow", "2026-11-12").union(&early).copied().collect();
    assert_eq!(
        sent("slow", "2026-11-12").len() + early.len(),
        second.len(),
        "nobody got two on one day"
    );
    assert_eq!(second.len() + late.len(), 10);
    assert_eq!(of_day("2026-11-12").len(), 10);
    assert_eq!(
        slow.len()
            + (0..10)
                .filter(|u| winner(&ledger, *u, "slow").is_some())
                .count(),
        10
    );
    bench.verified();
}

/// Case 37, its first part: planned at 23:50 on a month's last day and held by quiet hours, it
/// counts in the new month only.
#[test]
fn case_37_a_held_message_counts_in_the_new_month_only() {
    let program = "policy { cap 1 per month quiet 22:00..08:00 }
        campaign held { when everyone send template T at 2026-11-30 23:50 deadline 12h }
        campaign before { when everyone send template T at 2026-11-30 12:00 }
        campaign after { when everyone send template T at 2026-12-15 12:00 }";
    let bench = bench(program, 3);
    bench.run("2026-11-30 09:00", "2026-12-20 12:00");
    assert_eq!(
        (
            bench.got("before").len(),
            bench.got("held").len(),
            bench.got("after").len()
        ),
        (3, 3, 0)
    );
    assert_eq!(winner(&bench.ledger(), 2, "after").as_deref(), Some("held"));
    bench.verified();
}

/// Case 38: thirty days back and today, on both sides of a change of the clock.
#[test]
fn case_38_rolling_days_count_days_not_hours() {
    // New York's clocks go back on 2026-11-01.
    for (second, goes) in [
        ("2026-11-09 09:00", false), // 29 days and 23 hours by the clock of the day, with the hour that came twice
        ("2026-11-09 10:00", false),
        ("2026-11-10 09:00", false), // one hour short of 31 days: still the thirtieth day after
        ("2026-11-10 23:59", false),
        ("2026-11-11 00:00", true), // the thirty-first day after
        ("2026-11-11 10:00", true),
    ] {
        let program = format!(
            "policy {{ timezone \"America/New_York\" cap 1 per rolling 30 days }}
             campaign first {{ when everyone send template T at 2026-10-11 10:00 }}
             campaign second {{ when everyone send template T at {second} }}"
        );
        let bench = bench(&program, 1);
        bench.run("2026-10-10 00:00", "2026-11-20 00:00");
        assert_eq!(
            (bench.got("first").len(), bench.got("second").len()),
            (1, usize::from(goes)),
            "{second}"
        );
    }
}

/// One round of case 35: what is planned for three users, and who gets which message in the end.
struct Round<'a> {
    program: &'a Program,
    low: Wanted<'a>,
    high: Wanted<'a>,
    users: std::ops::Range<u32>,
    got: Vec<(UserNo, String)>,
}

impl Round<'_> {
    fn decide(&self, ledger: &Ledger, snapshot: &tagcast::store::Snapshot) -> Decision {
        let (tables, own, words) = (
            Tables::default(),
            MessageLog::default(),
            ForbiddenWords::default(),
        );
        let now = self.high.due;
        let scope = EvalScope {
            snapshot,
            program: self.program,
            prepared: &PreparedProgram::new(self.program),
            tables: &tables,
            own: &own,
            now,
            trigger: None,
            outcomes: None,
        };
        let only = tagcast::base::Bitmap::from_users(
            snapshot.user_count(),
            self.users.clone().map(UserNo),
        );
        let high = self.program.campaign_named("high").unwrap();
        let input = DecideInput::scheduled(high, now, &scope, 7, &words).for_only(0, &only);
        decide_all(&[input], ledger.reader()).unwrap().remove(0)
    }

    fn now(&self) -> Instant {
        self.high.due
    }

    fn claim(&mut self, ledger: &mut Ledger, due: DueSegment, most: usize) {
        if let ClaimAttempt::Claim(claim) = ledger
            .dispatcher()
            .claim(due, 1..=most, &[], self.now())
            .unwrap()
        {
            self.hand_over(ledger, claim);
        }
    }

    fn hand_over(&mut self, ledger: &mut Ledger, claim: Claim) {
        let batch = claim.batch(&delivery::ids(&users(0)));
        self.got.extend(
            batch
                .messages
                .iter()
                .map(|m| (m.user, batch.campaign.clone())),
        );
        if self.got.len().is_multiple_of(2) {
            let taken = batch
                .messages
                .iter()
                .map(|m| Verdict::Accepted { id: m.key.clone() });
            ledger
                .dispatcher()
                .answer(claim, &BatchOutcome::Taken(taken.collect()), self.now())
                .unwrap();
        }
    }
}

/// Case 35: deciding, planning, looking for what is due and claiming it in every order, 10,000
/// times: each user gets one message, and which follows from whose commit came first.
#[test]
fn case_35_taking_against_claiming() {
    const ROUNDS: u32 = 10;
    let program = delivery::program(
        "template T \"满300减50\"
         policy { cap 1 per day }
         campaign low { when everyone send template T at 2026-11-11 10:00 }
         campaign high { when everyone send template T at 2026-11-11 10:00 priority 80 }",
    );
    let mut place = Place::new();
    if let Ok(fast) = tempfile::tempdir_in("/dev/shm") {
        place.dir = fast;
    }
    let snapshot = users(3 * ROUNDS);
    let mut ledger = place.open();
    let mut random = 88_172_645_463_325_252u64;
    let mut roll = |sides: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % sides as u64) as usize
    };
    let (mut overtaken, mut took, mut kept) = (0, 0, 0);
    for of_day in 0..1_000 {
        let due = |round: u32, later: i64| {
            Instant(
                at("2026-11-11 10:00").0
                    + of_day * 86_400_000_000
                    + i64::from(round) * 10_000_000
                    + later,
            )
        };
        let mut rounds: Vec<Round> = (0..ROUNDS)
            .map(|n| {
                let of = |campaign, later| Wanted {
                    program: &program,
                    campaign,
                    due: due(n, later),
                    of: 3 * ROUNDS,
                };
                Round {
                    program: &program,
                    low: of("low", 0),
                    high: of("high", 1_000_000),
                    users: 3 * n..3 * n + 3,
                    got: Vec::new(),
                }
            })
            .collect();
        let plans: Vec<Decision> = rounds
            .iter()
            .map(|round| round.low.to(round.users.clone()))
            .collect();
        let plans: Vec<_> = plans
            .iter()
            .zip(&rounds)
            .map(|(plan, round)| (plan, round.low.info()))
            .collect();
        ledger.planner().plan_runs(&plans).unwrap();
        drop(plans);
        for round in &mut rounds {
            // What is left of the deciding and of the claiming side, in an order by lot.
            let (mut decision, mut planned, mut dues, mut claims) =
                (None, false, Vec::new(), 1 + roll(3));
            while !planned || claims > 0 || !dues.is_empty() {
                match roll(4) {
                    0 if decision.is_none() && !planned => {
                        decision = Some(round.decide(&ledger, &snapshot))
                    }
                    1 if !planned && let Some(ready) = decision.take() => {
                        match ledger.planner().plan_run(&ready, &round.high.info()) {
                            Ok(_) => planned = true,
                            // A claim was first: it is decided anew.
                            Err(LedgerError::Overtaken(_)) => overtaken += 1,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    2 if claims > 0 => {
                        claims -= 1;
                        dues.extend(
                            ledger
                                .dispatcher()
                                .due(round.now(), &Default::default())
                                .unwrap(),
                        );
                    }
                    3 if let Some(due) = dues.pop() => round.claim(&mut ledger, due, 1 + roll(3)),
                    _ => {}
                }
            }
            while let Some(due) = ledger
                .dispatcher()
                .due(round.now(), &Default::default())
                .unwrap()
            {
                round.claim(&mut ledger, due, 3);
            }
            let who: BTreeSet<UserNo> = round.got.iter().map(|(user, _)| *user).collect();
            assert_eq!((who.len(), round.got.len()), (3, 3), "{:?}", round.got);
            let high = round
                .got
                .iter()
                .filter(|(_, campaign)| campaign == "high")
                .count();
            (took, kept) = (took + high, kept + 3 - high);
        }
        let date = tagcast::base::Date(day("2026-11-11").0 + of_day as i32);
        let counted = ledger
            .reader()
            .counted(
                &CapScope {
                    campaign: None,
                    purpose: None,
                    channel: None,
                },
                date,
                date,
            )
            .unwrap();
        assert!(counted.len() == 3 * ROUNDS as usize && counted.values().all(|c| c.messages == 1));
    }
    assert!(
        overtaken > 100 && took > 1_000 && kept > 1_000,
        "{overtaken} {took} {kept}"
    );
    verified(ledger.reader());
}

/// Case 39: 256 priorities over 500,000 users on a channel that takes lists: the lists are as few
/// as they can be.
#[test]
fn case_39_many_priorities_make_no_more_lists() {
    let place = Place::new();
    let mut ledger = place.open();
    let a = Wanted {
        of: 500_000,
        ..place.wanted("a")
    };
    let mut decision = a.to(0..500_000);
    let group = &mut decision.messages[0];
    group.channel = delivery::mass();
    group.priorities = (0..500_000).map(|n| 255 - n * 256 / 500_000).collect();
    ledger.planner().plan_run(&decision, &a.info()).unwrap();
    let backlog = ledger.reader().backlog().unwrap();
    let lists = &backlog[0].segments;
    assert_eq!(
        (backlog.len(), lists.len(), lists.iter().sum::<usize>()),
        (1, 50, 500_000)
    );
    // The most important leave first.
    let first = ledger
        .dispatcher()
        .due(at(delivery::DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = ledger
        .dispatcher()
        .claim(first, 1..=10_000, &[], at(delivery::DUE))
        .unwrap()
    else {
        panic!("a claim")
    };
    assert!(
        claim
            .batch(&delivery::ids(&users(0)))
            .messages
            .iter()
            .all(|m| m.user.0 < 10_000)
    );
}

/// Case 32: random runs, failures, withdrawals and kills: at every step what caps count is what a
/// recount message by message says, and nobody is above a cap.
#[test]
fn case_32_random_runs_keep_their_caps() {
    const USERS: u32 = 24;
    let program = "policy { cap 2 per day cap 5 per rolling 3 days }
        campaign morning { when everyone send template T every day at 09:00 again always pace 5 per minute }
        campaign noon { when everyone send template T every day at 09:02 again always pace 7 per minute priority 20 }
        campaign night { when everyone send template T every day at 23:58 again always pace 6 per minute deadline 3h priority 40 }
        campaign own { when everyone send template T every day at 12:00 again always cap 2 per week priority 60 }";
    let names = ["morning", "noon", "night", "own"];
    let mut random = 362_436_069_362_436_069u64;
    let mut roll = move |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    for _ in 0..4 {
        let bench = bench(program, USERS as usize);
        let mut now = at("2026-11-11 08:00");
        while now < at("2026-11-15 08:00") {
            let until = Instant(now.0 + (1 + roll(600) as i64) * 60_000_000);
            let (from, to) = (campaigns::ZONE.show(now), campaigns::ZONE.show(until));
            let hang = format!(
                "[[fault]]\ndo = \"{}\"\nafter = {}\ntimes = 2\n",
                ["fail", "refuse", "hang"][roll(3) as usize],
                roll(3)
            );
            std::fs::write(bench.store().join("outbox.jsonl.control"), hang).unwrap();
            if roll(2) == 0 {
                // Killed at some write; what it did not come to is done by the next one.
                let _ = bench.run_dying(&from, &to, 3 + roll(40) as usize);
            } else {
                bench.run(&from, &to);
            }
            let world = std::sync::Arc::new(tagcast::base::world::SimulatedWorld::at(until));
            let mut ledger = Ledger::open(
                &tagcast::store::Store::ledger_path_in(&bench.store()),
                world,
            )
            .unwrap();
            if roll(4) == 0
                && let Some(run) = ledger.reader().reports(None).unwrap().last().map(|r| r.run)
            {
                ledger.operator().withdraw(run, until).unwrap();
            }
            recount(ledger.reader(), &names, USERS);
            now = until;
        }
        assert!(bench.sent().len() > 50, "{}", bench.sent().len());
        let reports = bench.ledger().reports(None).unwrap();
        assert!(
            reports
                .iter()
                .any(|r| r.stopped.iter().any(|s| s.reason == "capped"))
        );
        bench.verified();
    }
}

/// Compares what caps ask for with what happened to each user.
fn recount(ledger: &LedgerReader, names: &[&str], users: u32) {
    let zone = campaigns::ZONE;
    let days: Vec<tagcast::base::Date> = (0..6)
        .map(|n| tagcast::base::Date(day("2026-11-11").0 + n))
        .collect();
    for user in (0..users).map(UserNo) {
        let mut by_day = std::collections::BTreeMap::<_, u32>::new();
        for name in names {
            for outcome in ledger.outcomes(user, name).unwrap() {
                if let MessageProgress::Message(message) = outcome.happened
                    && message.state.counts()
                {
                    // It counts on the day of its send; what waits, on the one that it is
                    // planned for.
                    *by_day
                        .entry(zone.date(message.claimed_at.unwrap_or(message.not_before)))
                        .or_default() += 1;
                }
            }
        }
        for day in &days {
            assert!(
                by_day.get(day).copied().unwrap_or(0) <= 2,
                "{user} {by_day:?}"
            );
            let rolling: u32 = by_day
                .range(tagcast::base::Date(day.0 - 3)..=*day)
                .map(|(_, n)| n)
                .sum();
            assert!(rolling <= 5, "{user} {by_day:?}");
        }
        let scope = CapScope {
            campaign: None,
            purpose: None,
            channel: None,
        };
        for day in &days {
            let column = ledger
                .counted(&scope, *day, *day)
                .unwrap()
                .get(&user)
                .map_or(0, |c| c.messages);
            assert_eq!(
                column,
                by_day.get(day).copied().unwrap_or(0),
                "{user} on {day:?}: {by_day:?}"
            );
        }
    }
}
