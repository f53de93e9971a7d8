//! Caps and who gets the last slot.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Bench;
use super::memory::Memory;
use tagcast::base::{Date, Elapsed, Instant, UserNo};
use tagcast::decide::history::{CapScope, History, NoHistory};
use tagcast::program::typed::CapPeriod;

fn together(
    bench: &Bench,
    names: &[&str],
    due: &str,
    history: &Memory,
) -> BTreeMap<String, Vec<String>> {
    let decisions = bench.decide(names, bench.at(due), history);
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for decision in &decisions {
        for (user, outcome) in bench.shown(decision) {
            out.entry(user).or_default().push(outcome);
        }
    }
    out
}

#[test]
fn the_last_slot_goes_by_priority_then_name() {
    let program = "policy { cap 1 per day }
        campaign first { when everyone send template hi at 10:00 priority age }
        campaign second { when everyone send template hi at 10:00 priority 30 }
        campaign a_third { when everyone send template hi at 10:00 priority 30 }";
    let bench = Bench::new(
        program,
        "user u1 { age: 40 } user u2 { age: 20 } user u3 { age: 30 } user u4 { }",
    );
    let goes = |user: &str| format!("hi by sandbox.file to {user}");
    let out = together(
        &bench,
        &["second", "first", "a_third"],
        "2027-01-01 10:00",
        &Memory::default(),
    );
    assert_eq!(
        out["u1"],
        [
            "capped by first".to_string(),
            goes("u1"),
            "capped by first".into()
        ]
    );
    for user in ["u2", "u3", "u4"] {
        assert_eq!(
            out[user],
            [
                "capped by a_third".to_string(),
                "capped by a_third".into(),
                goes(user)
            ],
            "{user}"
        );
    }
}

#[test]
fn a_slot_can_be_kept_for_what_matters() {
    let program = "policy { cap 2 per month keep 1 for priority >= 80 }
        campaign first { when everyone send template hi at 10:00 priority 10 }
        campaign second { when everyone send template hi at 10:00 priority 20 }
        campaign third { when everyone send template hi at 10:00 priority 80 }";
    let bench = Bench::new(program, "user u1 { }");
    let mut history = Memory::default();
    let mut run = |name: &str, due: &str| {
        let decision = bench.decide(&[name], bench.at(due), &history).remove(0);
        history.record(&bench.program, &decision, None);
        bench.outcome(&decision, UserNo(0))
    };
    let goes = "hi by sandbox.file to u1";
    assert_eq!(run("first", "2027-01-01 10:00"), goes);
    assert_eq!(run("second", "2027-01-02 10:00"), "capped by first");
    assert_eq!(run("third", "2027-01-03 10:00"), goes);
    assert_eq!(run("third", "2027-01-04 10:00"), "capped by third");
    assert_eq!(run("second", "2027-02-01 10:00"), goes);
    // A slot that is kept was taken by nobody.
    let bench = Bench::new(&program.replace("cap 2", "cap 1"), "user u1 { }");
    assert_eq!(
        together(&bench, &["first"], "2027-01-01 10:00", &Memory::default())["u1"],
        ["capped"]
    );
}

#[test]
fn a_purpose_counts_its_own_messages() {
    let program = "policy { for marketing { cap 1 per day } for transaction { no cap } }
        campaign first { when everyone send template hi every day at 10:00 again always }
        campaign order { purpose transaction when everyone send template hi every day at 9:00 again always }";
    let bench = Bench::new(program, "user u1 { }");
    let mut history = Memory::default();
    for due in ["2027-01-01 08:00", "2027-01-01 09:00"] {
        let order = bench.decide(&["order"], bench.at(due), &history).remove(0);
        assert_eq!(order.planned(), 1);
        history.record(&bench.program, &order, None);
    }
    let out = together(&bench, &["first", "order"], "2027-01-01 10:00", &history);
    assert_eq!(
        out["u1"],
        ["hi by sandbox.file to u1", "hi by sandbox.file to u1"]
    );
    // A cap that policy sets for all counts all, also those that it does not stop.
    let all = program.replace("for marketing { cap 1 per day }", "cap 1 per day");
    let bench = Bench::new(&all, "user u1 { }");
    let out = together(&bench, &["first", "order"], "2027-01-01 10:00", &history);
    assert_eq!(out["u1"], ["capped by order", "hi by sandbox.file to u1"]);
}

#[test]
fn a_message_that_is_stopped_for_its_words_takes_no_slot() {
    let program = "policy { cap 1 per day }
        campaign first { when everyone send template named at 10:00 priority 90 }
        campaign second { when everyone send template hi at 10:00 priority 10 }";
    let mut bench = Bench::new(program, "user u1 { name: \"坏\" } user u2 { name: \"好\" }");
    bench.words = tagcast::decide::ForbiddenWords::of(["坏"]).unwrap();
    let out = together(
        &bench,
        &["first", "second"],
        "2027-01-01 10:00",
        &Memory::default(),
    );
    assert_eq!(out["u1"], ["blocked_words", "hi by sandbox.file to u1"]);
    assert_eq!(
        out["u2"],
        ["named by sandbox.file to u2", "capped by first"]
    );
}

#[test]
fn quiet_hours_move_a_message_into_the_next_period() {
    let program = "policy { cap 1 per month quiet 22:00..8:00 }
        campaign first { when everyone send template hi every day at 10:00 again always }";
    let bench = Bench::new(program, "user u1 { }");
    let mut history = Memory::default();
    let mut run = |due: &str| {
        let decision = bench.decide(&["first"], bench.at(due), &history).remove(0);
        history.record(&bench.program, &decision, None);
        decision.planned()
    };
    // Due on the month's last evening, sent in the next: counted there only.
    assert_eq!(
        [
            "2027-01-15 10:00",
            "2027-01-31 23:50",
            "2027-02-10 10:00",
            "2027-03-01 10:00"
        ]
        .map(&mut run),
        [1, 1, 0, 1]
    );
}

const CAPPED: &str = r#"
policy { cap 3 per rolling 4 days cap service_account.chat 1 per day for service { cap 2 per week quiet 21:00..9:00 } }
campaign first { when age >= 18 send template hi via service_account.chat, wecom.kf every day at 10:00 again always priority age cap 4 per month }
campaign second { when region == "Shanghai" send template hi via all of wecom.kf, service_account.chat every day at 10:00 again always priority 40 quiet 20:00..8:00 }
campaign third { purpose service when everyone send template hi via service_account.chat weight age, wecom.kf weight 30 every day at 10:00 again always }
"#;

const USERS: &str = r#"
user u1 { age: 20, region: "Shanghai", openid: "o1", wecom_id: "w1" }
user u2 { age: 60, region: "Shanghai", openid: "o2", wecom_id: "w2" }
user u3 { age: 30, region: "Beijing", openid: "o3" }
user u4 { region: "Shanghai", wecom_id: "w4" }
user u5 { age: 40, region: "Shanghai", openid: "o5", wecom_id: "w5" }
"#;

/// Every window of a cap's length that a day of the record may lie in.
fn windows(per: CapPeriod, days: std::ops::RangeInclusive<i32>) -> Vec<(Date, Date)> {
    let all = days.map(Date);
    match per {
        CapPeriod::Day => all.map(|d| (d, d)).collect(),
        CapPeriod::Week => all
            .map(|d| (d.week_start(), d.week_start().plus_days(6)))
            .collect(),
        CapPeriod::Month => all.map(|d| (d.month_start(), d.month_end())).collect(),
        CapPeriod::RollingDays(n) => all.map(|d| (d.plus_days(-(n as i32)), d)).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is due when, no user is above any cap in any period.
    #[test]
    fn no_user_is_ever_above_a_cap(gaps in prop::collection::vec((0..40i64, 1..8u8), 1..14)) {
        let bench = Bench::new(CAPPED, USERS);
        let mut history = Memory::default();
        let start = bench.at("2027-01-29 06:00");
        let mut due = start;
        for (hours, which) in gaps {
            due = due.plus(Elapsed::hours(hours));
            let names: Vec<&str> = ["first", "second", "third"].into_iter().enumerate().filter(|(i, _)| which >> i & 1 == 1).map(|(_, n)| n).collect();
            for decision in bench.decide(&names, due, &history) {
                history.record(&bench.program, &decision, None);
            }
        }
        let days = bench.zone().date(start).0..=bench.zone().date(due).0 + 2;
        let policy = &bench.program.policy;
        // `third` has caps of its purpose, so that policy's own do not stop it and may be passed;
        // these two kinds hold.
        let caps = policy.purposes.values().flat_map(|p| &p.caps).map(|cap| (cap, CapScope::of_policy(cap, Some(tagcast::program::typed::Purpose::Service))));
        let own = bench.program.campaigns.iter().flat_map(|c| c.caps.iter().map(|cap| (cap, CapScope::of_campaign(cap, &c.declared.name))));
        for (cap, scope) in caps.chain(own) {
            for (from, to) in windows(cap.per, days.clone()) {
                for (user, counted) in history.counted(&scope, from, to).unwrap() {
                    prop_assert!(counted.messages <= cap.n, "user {} has {} of {} in {from}..{to}", user, counted.messages, cap.n);
                }
            }
        }
    }

    /// Without campaigns that the caps do not stop, policy's caps hold as they stand.
    #[test]
    fn policy_caps_hold_for_all(gaps in prop::collection::vec((0..30i64, 1..4u8), 1..16)) {
        let program = CAPPED.replace("purpose service", "");
        let bench = Bench::new(&program, USERS);
        let mut history = Memory::default();
        let start = bench.at("2027-01-29 06:00");
        let mut due: Instant = start;
        for (hours, which) in gaps {
            due = due.plus(Elapsed::hours(hours));
            let names: &[&str] = [&["first", "third"][..], &["second", "first"], &["third", "second", "first"]][usize::from(which) - 1];
            bench.decide(names, due, &history).iter().for_each(|d| history.record(&bench.program, d, None));
        }
        let days = bench.zone().date(start).0..=bench.zone().date(due).0 + 2;
        for cap in &bench.program.policy.caps {
            for (from, to) in windows(cap.per, days.clone()) {
                for (user, counted) in history.counted(&CapScope::of_policy(cap, None), from, to).unwrap() {
                    prop_assert!(counted.messages <= cap.n, "user {} has {} of {} in {from}..{to}", user, counted.messages, cap.n);
                }
            }
        }
    }
}

#[test]
fn nobody_is_capped_without_caps() {
    let bench = Bench::new(
        "campaign first { when everyone send template hi at 10:00 }",
        "user u1 { }",
    );
    assert_eq!(
        bench.decide(&["first"], bench.at("2027-01-01 10:00"), &NoHistory)[0].planned(),
        1
    );
}
