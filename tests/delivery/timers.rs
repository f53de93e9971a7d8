//! Waits, follow-ups and missed instants, as `run` and `serve` run them. Numbers are the
//! cases of the delivery design.

use crate::support::campaigns::{Bench, at};
use tagcast::base::Value;
use tagcast::ledger::{MessageNews, ReceiptKind, State};

const CART: &str = r#"
event cart_add { sku text(40), price money }
event purchase { amount money }
template reminder for cart_add { body "{event.sku}" }
template hint "看看这个"
template thanks "谢谢"
"#;

const RESCUE: &str = "campaign rescue { on cart_add where price > ¥100 wait 30min unless purchase again after 7 days when everyone send template reminder }";

fn cart(sku: &str) -> Vec<Option<Value>> {
    vec![Some(Value::text(sku)), Some(Value::Money(20_000))]
}

fn bought() -> Vec<Option<Value>> {
    vec![Some(Value::Money(100))]
}

/// Case 40: `unless` looks at the time after the trigger up to the end of the wait, that instant
/// included.
#[test]
fn case_40_a_purchase_at_either_end_of_the_wait() {
    let mut bench = Bench::new(&format!("{CART}{RESCUE}"));
    for (user, purchase) in [
        ("before", "2026-11-11 09:59:59.999"),
        ("arming", "2026-11-11 10:00"),
        ("inside", "2026-11-11 10:00:00.001"),
        ("due", "2026-11-11 10:30"),
        ("after", "2026-11-11 10:30:00.001"),
    ] {
        bench.event("cart_add", user, "2026-11-11 10:00", cart(user));
        bench.event("purchase", user, purchase, bought());
    }
    bench.event("cart_add", "never", "2026-11-11 10:00", cart("never"));
    // The same event twice is one; one that `where` leaves out is none.
    bench.event("cart_add", "never", "2026-11-11 10:00", cart("never"));
    bench.event(
        "cart_add",
        "cheap",
        "2026-11-11 10:00",
        vec![Some(Value::text("cheap")), Some(Value::Money(10_000))],
    );
    bench.run("2026-11-11 09:00", "2026-11-11 12:00");
    assert_eq!(
        bench.got("rescue"),
        [
            "after: after",
            "arming: arming",
            "before: before",
            "never: never"
        ]
    );
    assert!(
        bench
            .sent()
            .iter()
            .all(|m| m.at == "2026-11-11T10:30:00+08:00"),
        "{:?}",
        bench.sent()
    );
    bench.verified();
    // Again on the same store: nothing is sent twice.
    bench.run("2026-11-11 12:00", "2026-11-11 18:00");
    assert_eq!(bench.got("rescue").len(), 4);
}

/// Case 41: whatever write the process dies at, each event is armed once and each message sent
/// once.
#[test]
fn case_41_killed_between_an_event_and_its_wait() {
    let program = format!(
        "{CART}{RESCUE}
         campaign now {{ on purchase again always send template thanks }}"
    );
    let scene = |bench: &mut Bench| {
        for n in 0..5 {
            bench.event(
                "cart_add",
                &format!("u{n}"),
                &format!("2026-11-11 10:0{n}"),
                cart("a"),
            );
        }
        bench.event("purchase", "u1", "2026-11-11 10:20", bought());
        bench.event("purchase", "u2", "2026-11-11 11:20", bought());
    };
    let mut whole = Bench::new(&program);
    scene(&mut whole);
    whole.run("2026-11-11 09:00", "2026-11-11 12:00");
    let (expected, all) = (whole.got("rescue"), whole.got("now"));
    assert_eq!((expected.len(), all.len()), (4, 2));
    let mut writes = 0;
    loop {
        let mut bench = Bench::new(&program);
        scene(&mut bench);
        let died = bench
            .run_dying("2026-11-11 09:00", "2026-11-11 12:00", writes)
            .is_err();
        bench.run("2026-11-11 09:00", "2026-11-11 12:00");
        assert_eq!(
            (bench.got("rescue"), bench.got("now")),
            (expected.clone(), all.clone()),
            "killed at write {writes}"
        );
        bench.verified();
        if !died {
            break;
        }
        writes += 1;
    }
    assert!(writes > 20, "{writes}");
}

/// Case 42: five events in one wait are one message; with `from last` it counts from the last, with
/// `again always` each has its own.
#[test]
fn case_42_many_events_in_one_wait() {
    let wait = |clauses: &str| {
        format!("{CART}campaign c {{ on cart_add wait 30min {clauses} send template reminder }}")
    };
    let scene = |bench: &mut Bench| {
        for n in 0..5 {
            bench.event(
                "cart_add",
                "u",
                &format!("2026-11-11 10:{}", 10 + 10 * n),
                cart(&format!("s{n}")),
            );
        }
    };
    for (program, expected) in [
        // 10:10 waits until 10:40, at which the fourth event still falls into it; the fifth waits
        // anew but `again` spares the user.
        (wait("again after 1 day"), vec!["u: s0"]),
        (
            wait("again always"),
            vec!["u: s0", "u: s1", "u: s2", "u: s3", "u: s4"],
        ),
        (wait("from last again after 1 day"), vec!["u: s4"]),
    ] {
        let mut bench = Bench::new(&program);
        scene(&mut bench);
        bench.run("2026-11-11 09:00", "2026-11-11 14:00");
        assert_eq!(bench.got("c"), expected, "{program}");
    }
}

/// Case 43: many users after three days: a timer a segment, nobody early, nobody more than a minute
/// late, the same people as an oracle says.
#[test]
fn case_43_follow_ups_of_many_have_few_timers() {
    let mut bench = Bench::new(
        "tag age int base
         event purchase { amount money }
         template first \"a\" template second \"b\"
         campaign c { when everyone send template first at 2026-11-11 10:00 goal purchase
            after 72h if not converted send template second }",
    );
    let users = 20_000;
    for n in 0..users {
        bench.user(&format!("u{n:05}"));
        if n % 3 == 0 {
            bench.event(
                "purchase",
                &format!("u{n:05}"),
                if n % 2 == 0 {
                    "2026-11-12 10:00"
                } else {
                    "2026-11-14 10:00:01"
                },
                bought(),
            );
        }
    }
    bench.run("2026-11-11 09:00", "2026-11-13 12:00");
    assert!((1..=200).contains(&bench.timers()), "{}", bench.timers());
    bench.run("2026-11-13 12:00", "2026-11-15 12:00");
    let sent: Vec<_> = bench
        .sent()
        .into_iter()
        .filter(|m| m.template == "second")
        .collect();
    let expected: Vec<String> = (0..users)
        .filter(|n| n % 6 != 0)
        .map(|n| format!("u{n:05}"))
        .collect();
    assert_eq!(
        sent.iter().map(|m| m.user.clone()).collect::<Vec<_>>(),
        expected
    );
    assert!(sent.iter().all(|m| {
        ("2026-11-14T10:00:00+08:00".."2026-11-14T10:01:00+08:00").contains(&m.at.as_str())
    }));
    assert_eq!(bench.timers(), 0);
    bench.verified();
}

/// Case 44: what is not known selects nobody; of a message that nobody knows of, the follow-up
/// ends.
#[test]
fn case_44_follow_ups_of_what_is_half_known() {
    let program = "
        tag openid address(service_account) base
        template first { platform \"TM1\" field thing1 = \"a\" } template second { platform \"TM1\" field thing1 = \"b\" }
        template third { platform \"TM1\" field thing1 = \"c\" }
        campaign c { purpose service when everyone send template first via service_account.template at 2026-11-11 10:00
            failed: after 1h if not delivered send template second
            seen: after 2h from c if delivered send template third else send template second }
        campaign lost { purpose service when everyone send template first via service_account.template at 2026-11-11 10:00
            more: after 1h if not delivered send template second }";
    let mut bench = Bench::new(program);
    for user in ["delivered", "failed", "silent"] {
        bench.addressed(user, "openid");
    }
    bench.hang("lost");
    bench.run("2026-11-11 09:59", "2026-11-11 10:10");
    for (user, kind) in [
        ("delivered", ReceiptKind::Delivered),
        ("failed", ReceiptKind::Failed),
    ] {
        let message = bench.key("c", user);
        bench.learn(&[MessageNews {
            message,
            kind,
            when: at("2026-11-11 10:05"),
            source: "test".into(),
        }]);
    }
    bench.run("2026-11-11 10:10", "2026-11-11 13:00");
    assert_eq!(bench.got_of("c", "second"), ["failed", "failed"]);
    assert_eq!(bench.got_of("c", "third"), ["delivered"]);
    // Of the silent one the conditions were unknown; the answer of the other campaign's send
    // never came.
    assert_eq!(
        bench.stopped("c", "silent"),
        ["failed: unknown", "seen: unknown"]
    );
    assert_eq!(
        (bench.state("lost", "silent"), bench.got("lost").len()),
        (State::Unknown, 0)
    );
    assert_eq!(bench.stopped("lost", "silent"), ["more: outcome_unknown"]);
    bench.verified();
}

/// Case 45: the program changes during waits: the active one decides, and what it has no more is
/// withdrawn.
#[test]
fn case_45_a_changed_program_during_waits() {
    let campaign = |wait: &str, body: &str, steps: &str| {
        format!(
            "event cart_add {{ sku text(40), price money }}
             event purchase {{ amount money }}
             template reminder for cart_add {{ body \"{body} {{event.sku}}\" }}
             template hint \"hint\"
             campaign c {{ on cart_add wait {wait} unless purchase again always send template reminder {steps} }}"
        )
    };
    let mut bench = Bench::new(&campaign(
        "1h",
        "typo",
        "one: after 1h send template hint  two: after 2h from c send template hint",
    ));
    bench.event("cart_add", "u", "2026-11-11 10:00", cart("a"));
    bench.run("2026-11-11 09:00", "2026-11-11 10:30");
    assert_eq!(bench.waits("c"), 1);
    // Another wait and another text: the wait that runs keeps its end, the text is the new one.
    bench.program(&campaign(
        "5h",
        "fixed",
        "one: after 1h send template hint  two: after 2h from c send template hint",
    ));
    bench.event("cart_add", "v", "2026-11-11 10:40", cart("b"));
    bench.run("2026-11-11 10:30", "2026-11-11 11:30");
    assert_eq!(bench.got("c"), ["u: fixed a"]);
    assert_eq!(bench.sent()[0].at, "2026-11-11T11:00:00+08:00");
    assert_eq!(bench.timers(), 2);
    // One step is gone, the other has another place: the timer of the first is withdrawn, the
    // second is sent once.
    bench.program(&campaign(
        "5h",
        "fixed",
        "zero: after 9h send template hint  two: after 2h from c send template hint",
    ));
    bench.run("2026-11-11 11:30", "2026-11-11 14:00");
    assert_eq!(bench.got_of("c", "hint"), ["u"]);
    assert_eq!(bench.sent()[1].at, "2026-11-11T13:00:00+08:00");
    assert_eq!(bench.timers(), 0);
    // The campaign is gone: its wait is nobody's, and nothing else is hurt.
    bench.program("template hint \"hint\" campaign other { when everyone send template hint at 2026-11-11 15:00 }");
    bench.run("2026-11-11 14:00", "2026-11-11 18:00");
    assert_eq!((bench.got("c").len(), bench.got("other").len()), (2, 2));
    bench.verified();
}

/// A changed order of the steps in the middle of a run does not mix them up.
#[test]
fn steps_are_known_by_their_names() {
    let campaign = |steps: &str| {
        format!(
            "template ta \"a\" template tb \"b\" template tc \"c\" campaign c {{ when everyone send template ta at 2026-11-11 10:00 {steps} }}"
        )
    };
    let (b, c) = (
        "b: after 1h from c send template tb",
        "c2: after 2h from c send template tc",
    );
    let mut bench = Bench::new(&campaign(&format!("{b} {c}")));
    bench.user("u");
    bench.run("2026-11-11 09:00", "2026-11-11 11:30");
    bench.program(&campaign(&format!("{c} {b}")));
    bench.run("2026-11-11 11:30", "2026-11-11 13:30");
    assert_eq!(
        bench
            .sent()
            .iter()
            .map(|m| m.template.as_str())
            .collect::<Vec<_>>(),
        ["ta", "tb", "tc"]
    );
    bench.verified();
}

/// Case 46: nobody was there for three due instants: what is within its deadline is made up for,
/// the others are recorded as missed.
#[test]
fn case_46_down_for_three_instants() {
    let mut bench = Bench::new(
        "event cart_add { sku text(40), price money }
         template t \"t\" template r for cart_add { body \"{event.sku}\" }
         campaign hourly { when everyone every hour 7:00..21:00 again always deadline 90min send template t
            after 10min send template t }
         campaign waits { on cart_add wait 10min again always deadline 90min send template r }",
    );
    bench.user("u");
    bench.event("cart_add", "u", "2026-11-11 10:05", cart("early"));
    bench.event("cart_add", "v", "2026-11-11 12:05", cart("late"));
    bench.run("2026-11-11 10:00", "2026-11-11 10:07");
    assert_eq!(
        (bench.sent().len(), bench.timers(), bench.waits("waits")),
        (2, 1, 1)
    );
    // The process comes back at 13:10: the wait of 10:15 and the follow-up of 10:10 are too late,
    // as are the instants of 11:00.
    bench.run("2026-11-11 13:10", "2026-11-11 13:10");
    assert_eq!(bench.missed(), ["hourly 2026-11-11 11:00"]);
    assert_eq!(bench.got("waits"), ["v: late"]);
    assert_eq!(bench.stopped("waits", "u"), ["waits: missed"]);
    assert_eq!(bench.stopped("hourly", "u"), ["after1: missed"]);
    let hourly: Vec<String> = bench
        .sent()
        .into_iter()
        .filter(|m| m.campaign == "hourly" && m.user == "u")
        .map(|m| m.at)
        .collect();
    assert_eq!(
        hourly,
        [
            "2026-11-11T10:00:00+08:00",
            "2026-11-11T13:10:00+08:00",
            "2026-11-11T13:10:00+08:00"
        ]
    );
    bench.verified();
}

/// A series: `at` a time of day, `else`, and `leave when`.
#[test]
fn a_series_with_everything() {
    let mut bench = Bench::new(
        "tag region enum(\"Shanghai\", \"Beijing\") base
         event purchase { amount money }
         template first \"first\" template good \"good\" template bad \"bad\" template last \"last\"
         campaign c { when everyone send template first at 2026-11-11 10:00 goal purchase within 2h
            answer: after 1h at 20:00 if converted send template good else send template bad
            finale: after 1 day from answer send template last
            leave when did(purchase where amount > ¥500, ever) }",
    );
    for user in ["buys", "late", "leaves", "none"] {
        bench.user(user);
    }
    bench.event("purchase", "buys", "2026-11-11 11:00", bought());
    bench.event("purchase", "late", "2026-11-11 12:30", bought());
    bench.event(
        "purchase",
        "leaves",
        "2026-11-11 13:00",
        vec![Some(Value::Money(60_000))],
    );
    bench.run("2026-11-11 09:00", "2026-11-13 09:00");
    let got: Vec<(String, String, String)> = bench
        .sent()
        .into_iter()
        .map(|m| (m.template, m.user, m.at))
        .filter(|(t, ..)| t != "first")
        .collect();
    let expected = [
        ("good", "buys", "2026-11-11T20:00:00+08:00"),
        ("bad", "late", "2026-11-11T20:00:00+08:00"),
        ("bad", "none", "2026-11-11T20:00:00+08:00"),
        ("last", "buys", "2026-11-12T20:00:00+08:00"),
        ("last", "late", "2026-11-12T20:00:00+08:00"),
        ("last", "none", "2026-11-12T20:00:00+08:00"),
    ];
    assert_eq!(got.len(), expected.len(), "{got:?}");
    for (template, user, at) in expected {
        assert!(
            got.contains(&(template.into(), user.into(), at.into())),
            "{template} {user} {at}: {got:?}"
        );
    }
}
