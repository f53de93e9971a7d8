//! Each gate alone, then their order.

use super::memory::Memory;
use super::{Bench, stopped};
use tagcast::base::{Elapsed, Value};
use tagcast::decide::ForbiddenWords;
use tagcast::decide::decision::Gate;
use tagcast::decide::history::NoHistory;

const SIMPLE: &str = "campaign first { when age >= 18 send template hi at 10:00 }";

fn shown(bench: &Bench) -> Vec<(String, String)> {
    bench.outcomes().into_iter().collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(u, o)| (u.to_string(), o.to_string()))
        .collect()
}

#[test]
fn unknown_is_not_matched_and_has_a_reason() {
    let bench = Bench::new(
        SIMPLE,
        "user u1 { age: 20 } user u2 { age: 10 } user u3 { }",
    );
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "hi by sandbox.file to u1"),
            ("u2", "not_matched"),
            ("u3", "unknown")
        ])
    );
    let decision = bench
        .decide(&["first"], bench.at("2027-01-01 10:00"), &NoHistory)
        .remove(0);
    assert_eq!(
        decision.unknown_because,
        [(bench.program.schema.tag_named("age").unwrap(), 1)]
    );
}

#[test]
fn top_takes_the_largest_and_breaks_ties_by_id() {
    let users = "user b { spent: ¥5 } user a { spent: ¥5 } user c { spent: ¥9 } user d { }";
    let top = |n: u32| {
        let bench = Bench::new(
            &format!(
                "campaign first {{ when everyone top {n} by spent send template hi at 10:00 }}"
            ),
            users,
        );
        shown(&bench)
            .into_iter()
            .filter(|(_, o)| o != "below_top")
            .map(|(u, _)| u)
            .collect::<String>()
    };
    assert_eq!(
        [top(1), top(2), top(3), top(4), top(9)],
        ["c", "ac", "abc", "abcd", "abcd"]
    );
}

#[test]
fn consent_is_needed_and_silence_is_none() {
    let program = format!("policy {{ consent ok }} {SIMPLE}");
    let bench = Bench::new(
        &program,
        "user u1 { age: 20, ok: true } user u2 { age: 20, ok: false } user u3 { age: 20 }",
    );
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "hi by sandbox.file to u1"),
            ("u2", "no_consent"),
            ("u3", "no_consent")
        ])
    );
}

#[test]
fn a_sensitive_tag_needs_its_own_consent_where_it_is_read() {
    let program = "template sick { body \"{illness ?? '您'}\" entry \"客服 400-000-0000\" }
        campaign first { when everyone choose { when age > 50 send template sick otherwise send template hi } at 10:00 }
        campaign second { when illness is known send template hi at 10:00 }";
    let users = "user u1 { age: 60, health_ok: true, illness: \"x\" } user u2 { age: 60, illness: \"x\" } user u3 { age: 20, illness: \"x\" }";
    let bench = Bench::new(program, users);
    // Only who would get the message that reads it must have consented …
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "sick by sandbox.file to u1"),
            ("u2", "no_consent"),
            ("u3", "hi by sandbox.file to u3")
        ])
    );
    // … or who is selected by it.
    let second = bench
        .decide(&["second"], bench.at("2027-01-01 10:00"), &NoHistory)
        .remove(0);
    assert_eq!(
        (second.planned(), stopped(&second, &Gate::NoConsent)),
        (1, 2)
    );
}

#[test]
fn exclusions_keep_those_of_whom_nothing_is_known() {
    let program = format!("policy {{ exclude banned \"blacklist\" }} {SIMPLE}");
    let bench = Bench::new(
        &program,
        "user u1 { age: 20, banned: true } user u2 { age: 20, banned: false } user u3 { age: 20 }",
    );
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "excluded: blacklist"),
            ("u2", "hi by sandbox.file to u2"),
            ("u3", "hi by sandbox.file to u3")
        ])
    );
}

#[test]
fn one_address_gets_one_message() {
    let program = "campaign first { when everyone send template hi via service_account.mass, wecom.group at 10:00 }";
    let users = "user u1 { openid: \"o\" } user u2 { openid: \"o\" } user u3 { wecom_id: \"o\" } user u4 { openid: \"p\" } user u5 { openid: \"\" }";
    let bench = Bench::new(program, users);
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "hi by service_account.mass to o"),
            ("u2", "duplicate_address"),
            ("u3", "hi by wecom.group to o"),
            ("u4", "hi by service_account.mass to p"),
            ("u5", "unreachable"),
        ])
    );
}

#[test]
fn again_counts_from_the_last_message() {
    let program = |again: &str| {
        format!(
            "campaign first {{ when everyone send template hi every day at 10:00 again {again} }}"
        )
    };
    let planned = |again: &str, days: u32| {
        let bench = Bench::new(&program(again), "user u1 { }");
        let mut history = Memory::default();
        (1..=days)
            .filter(|day| {
                let decision = bench
                    .decide(
                        &["first"],
                        bench.at(&format!("2027-03-{day:02} 10:00")),
                        &history,
                    )
                    .remove(0);
                history.record(&bench.program, &decision, None);
                decision.planned() == 1
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(planned("never", 5), [1]);
    assert_eq!(planned("always", 3), [1, 2, 3]);
    assert_eq!(planned("after 3 days", 8), [1, 4, 7]);
    assert_eq!(planned("after 73h", 9), [1, 5, 9]);
}

#[test]
fn again_per_value_of_the_event() {
    let program = "template t for buy { body \"{event.amount}\" entry \"客服 400-000-0000\" }
        campaign first { on buy again per event.sku send template t }";
    let bench = Bench::new(program, "user u1 { } user u2 { }");
    let mut history = Memory::default();
    let mut buy = |user: &str, sku: Option<&str>| {
        let values = [Some(Value::Money(100)), sku.map(Value::text)];
        let decision = bench.event("first", user, &values, "2027-03-01 10:00", &history);
        let scope = tagcast::eval::EvalScope {
            trigger: Some(&values),
            ..bench.scope(decision.due)
        };
        let value = tagcast::decide::again_value(&scope, bench.program.campaign(decision.campaign));
        history.record(&bench.program, &decision, value.as_deref());
        bench.outcome(&decision, bench.user(user))
    };
    let goes = "t by sandbox.file to u1";
    assert_eq!(
        [
            buy("u1", Some("a")),
            buy("u1", Some("a")),
            buy("u1", Some("b"))
        ],
        [goes, "again", goes]
    );
    // Which value it is nobody knows, so it may be one of those.
    assert_eq!(buy("u1", None), "again");
    assert_eq!(
        [buy("u2", None), buy("u2", None)],
        ["t by sandbox.file to u2", "again"]
    );
}

#[test]
fn weights_choose_among_channels_that_reach() {
    let program = "campaign first { when everyone send template hi via service_account.mass weight 10, wecom.group weight age at 10:00 }";
    let users = "user u1 { openid: \"a\", wecom_id: \"b\", age: 20 } user u2 { openid: \"c\", wecom_id: \"d\", age: 5 }
        user u3 { openid: \"e\", wecom_id: \"f\" } user u4 { wecom_id: \"g\" } user u5 { openid: \"h\", wecom_id: \"i\", age: 10 }";
    assert_eq!(
        shown(&Bench::new(program, users)),
        pairs(&[
            ("u1", "hi by wecom.group to b"),
            ("u2", "hi by service_account.mass to c"),
            ("u3", "hi by service_account.mass to e"),
            ("u4", "hi by wecom.group to g"),
            ("u5", "hi by service_account.mass to h"),
        ])
    );
}

#[test]
fn choose_takes_the_first_that_is_true() {
    let program = "campaign first { when everyone choose { when age > 50 send template hi when region == \"Shanghai\" send template named otherwise nothing } at 10:00 }";
    let users = "user u1 { age: 60 } user u2 { age: 20, region: \"Shanghai\" } user u3 { region: \"Shanghai\" } user u4 { age: 20, region: \"Beijing\" } user u5 { }";
    let bench = Bench::new(program, users);
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "hi by sandbox.file to u1"),
            ("u2", "named by sandbox.file to u2"),
            ("u3", "named by sandbox.file to u3"),
            ("u4", "nothing"),
            ("u5", "nothing"),
        ])
    );
    let decision = bench
        .decide(&["first"], bench.at("2027-01-01 10:00"), &NoHistory)
        .remove(0);
    assert_eq!(decision.choose_unknown, 2);
}

#[test]
fn messages_with_forbidden_words_stay() {
    let mut bench = Bench::new(
        "campaign first { when everyone send template named at 10:00 }",
        "user u1 { name: \"最佳\" } user u2 { name: \"王\" }",
    );
    bench.words = ForbiddenWords::of(["最佳"]).unwrap();
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "blocked_words"),
            ("u2", "named by sandbox.file to u2")
        ])
    );
}

#[test]
fn quiet_hours_delay_and_the_deadline_counts_from_their_end() {
    let program = "policy { for marketing { quiet 22:00..8:00 } }
        campaign first { when everyone send template hi at 23:00 deadline 2h }
        campaign person { when everyone send template hi via wecom.group at 10:00 }
        campaign order { when everyone purpose transaction send template hi at 23:00 }";
    let bench = Bench::new(program, "user u1 { wecom_id: \"a\" }");
    let window = |name: &str, due: &str| {
        let group = bench
            .decide(&[name], bench.at(due), &NoHistory)
            .remove(0)
            .messages
            .remove(0);
        (group.not_before, group.expires.since(group.not_before))
    };
    assert_eq!(
        window("first", "2027-01-01 23:00"),
        (bench.at("2027-01-02 08:00"), Elapsed::hours(2))
    );
    assert_eq!(
        window("first", "2027-01-01 12:00"),
        (bench.at("2027-01-01 12:00"), Elapsed::hours(2))
    );
    // An employee has to confirm: the channel brings its own deadline.
    assert_eq!(
        window("person", "2027-01-01 10:00"),
        (bench.at("2027-01-01 10:00"), Elapsed::hours(24))
    );
    assert_eq!(
        window("order", "2027-01-01 23:00"),
        (bench.at("2027-01-01 23:00"), Elapsed::hours(1))
    );
}

#[test]
fn a_list_too_short_goes_by_the_next_channel_or_stays() {
    let program = "campaign first { when everyone send template hi via service_account.mass, wecom.group at 10:00 }";
    let users = "user u1 { openid: \"a\", wecom_id: \"b\" } user u2 { wecom_id: \"c\" }";
    let mut bench = Bench::new(program, users);
    // The sandbox takes one user as well as many.
    assert_eq!(shown(&bench)[0].1, "hi by service_account.mass to a");
    bench.bound = true;
    assert_eq!(
        shown(&bench),
        pairs(&[
            ("u1", "hi by wecom.group to b"),
            ("u2", "hi by wecom.group to c")
        ])
    );
    // With nowhere to go, or where the address is taken, it stays.
    let mut bench = Bench::new(
        program,
        "user u1 { openid: \"a\" } user u2 { wecom_id: \"c\" }",
    );
    bench.bound = true;
    assert_eq!(shown(&bench)[0].1, "too_few_for_list");
    let mut bench = Bench::new(
        program,
        "user u1 { openid: \"a\", wecom_id: \"c\" } user u2 { wecom_id: \"c\" }",
    );
    bench.bound = true;
    assert_eq!(shown(&bench)[0].1, "too_few_for_list");
    // Two are enough, unless one of them has no slot left.
    let users = "user u1 { openid: \"a\" } user u2 { openid: \"b\" }";
    let mut bench = Bench::new(
        &format!(
            "{program} campaign before {{ when everyone send template hi at 9:00 }} policy {{ cap 1 per day }}"
        ),
        users,
    );
    bench.bound = true;
    assert!(
        shown(&bench)
            .iter()
            .all(|(_, o)| o.starts_with("hi by service_account.mass"))
    );
    let mut history = Memory::default();
    let scope = bench.scope(bench.at("2027-01-01 09:00"));
    let only = tagcast::base::Bitmap::from_users(2, [bench.user("u2")]);
    let input = tagcast::decide::DecideInput::scheduled(
        bench.campaign("before"),
        scope.now,
        &scope,
        0,
        &bench.words,
    )
    .for_only(0, &only);
    let before = tagcast::decide::decide_all(&[input], &history)
        .unwrap()
        .remove(0);
    history.record(&bench.program, &before, None);
    assert_eq!(
        bench
            .outcomes_with(&history)
            .into_iter()
            .collect::<Vec<_>>(),
        pairs(&[("u1", "too_few_for_list"), ("u2", "capped by before")])
    );
}

/// Each user fails at one gate and all later ones; the first is the reason.
#[test]
fn the_first_gate_is_the_reason() {
    let program = "policy { consent ok exclude banned \"b\" cap 1 per month }
        campaign first { when age >= 18 holdout 50% as \"k\" split { control 50% nothing x 50% send template named }
            via service_account.chat every day at 10:00 again never }
        campaign earlier { when age >= 18 send template hi every day at 9:00 again always }";
    let user = |id: &str, rest: &str| {
        format!("user {id} {{ age: 20, openid: \"{id}\", name: \"坏\", {rest} }}\n")
    };
    let mut users = String::new();
    users += &user("optout", "ok: false, banned: true");
    users += &user("noconsent", "ok: false, banned: true");
    users += &user("excluded", "ok: true, banned: true");
    for i in 0..64 {
        users += &user(&format!("u{i}"), "ok: true");
        users += &format!("user n{i} {{ age: 20, ok: true, name: \"坏\" }}\n");
    }
    let mut bench = Bench::new(program, &users);
    bench.words = ForbiddenWords::of(["坏"]).unwrap();
    let mut history = Memory::default();
    history.opt_out(bench.user("optout"));
    let run = |history: &Memory| {
        bench
            .decide(&["first"], bench.at("2027-01-01 10:00"), history)
            .remove(0)
    };
    let first = run(&history);
    let names = |d: &tagcast::decide::decision::Decision| {
        d.stopped.iter().map(|(g, _)| g.name()).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&first),
        [
            "opted_out",
            "no_consent",
            "excluded",
            "holdout",
            "control",
            "unreachable",
            "blocked_words"
        ]
    );
    let held = stopped(&first, &Gate::Holdout);
    // Everybody has used up the cap: that comes before what the message says, and after everything
    // else.
    let earlier = bench
        .decide(&["earlier"], bench.at("2027-01-01 09:00"), &history)
        .remove(0);
    history.record(&bench.program, &earlier, None);
    let second = run(&history);
    assert_eq!(
        names(&second),
        [
            "opted_out",
            "no_consent",
            "excluded",
            "holdout",
            "control",
            "unreachable",
            "capped"
        ]
    );
    // Whoever was reached is spared before the lottery is asked.
    bench.words = ForbiddenWords::default();
    let run = |history: &Memory| {
        bench
            .decide(&["first"], bench.at("2027-01-01 10:00"), history)
            .remove(0)
    };
    let mut history = Memory::default();
    let sent = run(&history);
    history.record(&bench.program, &sent, None);
    let after = run(&history);
    assert_eq!(stopped(&after, &Gate::Again), sent.planned());
    assert_eq!(
        (after.planned(), stopped(&after, &Gate::Holdout)),
        (0, held)
    );
    assert_eq!(stopped(&after, &Gate::OptedOut), 0);
}
