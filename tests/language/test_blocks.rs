//! `test` blocks: what each kind of expectation holds a program to, and what is told when it does
//! not hold.

use std::fs;
use std::sync::Arc;

use crate::support::{parts, root, run, tagcast};
use ::tagcast::base::Zone;
use ::tagcast::base::world::{SimulatedWorld, World};
use ::tagcast::engine::{Project, ProjectOptions, testing};

const WORLD: &str = r#"
tag region enum("Shanghai", "Beijing") base
tag spent  money behavior
tag vip    bool base
tag openid address(service_account) base
tag ok     bool consent base

event purchase { amount money }
event cart_add { sku text(40), price money }

template hello "你好"
template bye   "再见"
template more  "还有"
template cart for cart_add { body "{event.sku}还在购物车里" }
"#;

/// Runs a program whose last item is one test: what does not hold, as `message / what happened
/// instead`, a line each.
#[track_caller]
fn unmet(program: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.campaign");
    fs::write(dir.path().join("tagcast.toml"), "").unwrap();
    fs::write(&path, format!("{WORLD}\n{program}")).unwrap();
    let now = Zone::SHANGHAI.parse_instant("2030-03-01 09:00").unwrap();
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(now));
    let options = ProjectOptions {
        now: Some("2030-03-01 09:00".into()),
        ..ProjectOptions::default()
    };
    let project = Project::load(&[path], &options, world.as_ref())
        .unwrap_or_else(|e| panic!("{}", e.message.en));
    assert!(!project.has_errors(), "{program}\n{:#?}", project.findings);
    let [test] = &project.program.tests[..] else {
        panic!("one test")
    };
    let unmet = testing::run_test(&project, test, now, &world)
        .unwrap_or_else(|e| panic!("{}", e.message.en));
    unmet
        .into_iter()
        .map(|u| format!("{} / {}", u.message.en, u.instead.en))
        .collect()
}

/// The same with the steps of a test; all of it must hold.
#[track_caller]
fn holds(campaigns: &str, steps: &str) {
    let unmet = unmet(&format!("{campaigns}\ntest \"t\" {{\n{steps}\n}}\n"));
    assert!(unmet.is_empty(), "{steps}\n{unmet:#?}");
}

/// None of these holds; each expectation with the words that its answer contains.
#[track_caller]
fn fails(campaigns: &str, steps: &str, expectations: &[(&str, &str)]) {
    for (expectation, wanted) in expectations {
        let unmet = unmet(&format!(
            "{campaigns}\ntest \"t\" {{\n{steps}\n{expectation}\n}}\n"
        ));
        assert_eq!(unmet.len(), 1, "{expectation}: {unmet:?}");
        assert!(unmet[0].contains(wanted), "{expectation}: {}", unmet[0]);
    }
}

// ------------------------------------------------------------------ kinds of expectations

const SHANGHAI: &str = "campaign shanghai { when region == \"Shanghai\" and spent > ¥100 send template hello at 2030-03-01 10:00 }";

const PEOPLE: &str = r#"
  now 2030-03-01 09:00
  user one { region: "Shanghai", spent: ¥500 }
  user out { region: "Beijing", spent: ¥500 }
  user poor { spent: ¥5 }
  user open { spent: ¥500 }
"#;

#[test]
fn what_holds() {
    holds(
        SHANGHAI,
        &format!(
            "{PEOPLE}
  expect one matches shanghai
  expect open unknown in shanghai
  expect open unknown in shanghai because region
  expect one receives template hello
  expect one receives hello at 2030-03-01 10:00
  expect one receives template hello at 10:00
  expect one receives template hello via sandbox.file
  expect one receives template hello at 10:00 via sandbox.file
  expect out receives nothing
  expect poor receives nothing
  expect open receives nothing
  expect shanghai reaches 1"
        ),
    );
}

#[test]
fn what_does_not_hold_is_told_with_what_happened() {
    fails(
        SHANGHAI,
        PEOPLE,
        &[
            (
                "expect out matches shanghai",
                "`out` does not match `shanghai` / ",
            ),
            ("expect out matches shanghai", "Beijing"),
            // Unknown is not a match, and false is not unknown.
            ("expect open matches shanghai", "does not match"),
            (
                "expect one unknown in shanghai",
                "`one` is not unknown in `shanghai`",
            ),
            (
                "expect poor unknown in shanghai",
                "`poor` is not unknown in `shanghai`",
            ),
            (
                "expect open unknown in shanghai because spent",
                "not because of `spent`",
            ),
            (
                "expect out receives template hello",
                "`out` does not receive `hello`",
            ),
            (
                "expect out receives template hello",
                "shanghai: not matched",
            ),
            ("expect open receives template hello", "shanghai: unknown"),
            (
                "expect one receives template bye",
                "receives template hello at 2030-03-01 10:00 via sandbox.file",
            ),
            (
                "expect one receives template hello at 11:00",
                "receives template hello at 2030-03-01 10:00",
            ),
            (
                "expect one receives template hello at 2030-03-02 10:00",
                "receives template hello at 2030-03-01 10:00",
            ),
            (
                "expect one receives template hello via wecom.kf",
                "via sandbox.file",
            ),
            (
                "expect one receives nothing",
                "`one` receives something / receives template hello",
            ),
            (
                "expect shanghai reaches 2",
                "`shanghai` does not reach 2 / it reaches 1",
            ),
            (
                "expect shanghai reaches 0",
                "`shanghai` does not reach 0 / it reaches 1",
            ),
        ],
    );
}

#[test]
fn every_expectation_is_judged_by_itself() {
    let unmet = unmet(&format!(
        "{SHANGHAI}\ntest \"t\" {{\n{PEOPLE}\n expect out matches shanghai\n expect one matches shanghai\n expect shanghai reaches 7\n}}"
    ));
    assert_eq!(unmet.len(), 2, "{unmet:?}");
}

#[test]
fn users_in_a_table() {
    holds(
        SHANGHAI,
        "now 2030-03-01 09:00
  users (region, spent, vip) {
    a: \"Shanghai\", ¥500, true
    b: \"Shanghai\", missing, false
    c: missing, ¥500, missing
  }
  expect a receives template hello
  expect b unknown in shanghai because spent
  expect c unknown in shanghai because region
  expect shanghai reaches 1",
    );
}

// ------------------------------------------------------------------ the clock

#[test]
fn the_clock_runs_from_now_for_a_day_or_until_said() {
    let at = |due: &str| format!("campaign c {{ when vip send template hello at {due} }}");
    let user = "user u { vip: true }\n";
    // Due before the clock starts, at its first moment, at its last, and after it.
    for (due, steps, reaches) in [
        ("2030-03-01 09:59", "now 2030-03-01 10:00", 0),
        ("2030-03-01 10:00", "now 2030-03-01 10:00", 1),
        ("2030-03-02 10:00", "now 2030-03-01 10:00", 1),
        ("2030-03-02 10:01", "now 2030-03-01 10:00", 0),
        (
            "2030-03-02 10:01",
            "now 2030-03-01 10:00 until 2030-03-03 10:00",
            1,
        ),
        (
            "2030-03-01 12:00",
            "now 2030-03-01 10:00 until 2030-03-01 11:00",
            0,
        ),
        // A time of day is the next one; without `now` the clock of the command.
        ("8:00", "now 2030-03-01 10:00", 1),
        ("11:00", "", 1),
        ("now", "now 2030-03-01 10:00", 1),
    ] {
        holds(
            &at(due),
            &format!("{steps}\n{user}expect c reaches {reaches}"),
        );
    }
    holds(
        &at("8:00"),
        &format!(
            "now 2030-03-01 10:00\n{user}expect u receives template hello at 2030-03-02 08:00"
        ),
    );
}

#[test]
fn what_recurs_is_due_each_time() {
    let daily = |again: &str| {
        format!("campaign c {{ when vip send template hello every day at 10:00 again {again} }}")
    };
    let steps = "now 2030-03-01 09:00 until 2030-03-04 09:00\nuser u { vip: true }\n";
    holds(
        &daily("always"),
        &format!("{steps}expect c reaches 3\nexpect u receives template hello at 2030-03-03 10:00"),
    );
    holds(
        &daily("never"),
        &format!("{steps}expect c reaches 1\nexpect u receives template hello at 2030-03-01 10:00"),
    );
    holds(
        &daily("after 2 days"),
        &format!("{steps}expect c reaches 2\nexpect u receives template hello at 2030-03-03 10:00"),
    );
}

#[test]
fn days_counted_from_a_date_are_each_users_own() {
    let campaign = "tag plan_end date base
        campaign c { when not (vip ?? false) send template hello at 10:00 on 7, 1 days before plan_end }";
    let steps = "now 2030-03-01 09:00 until 2030-03-10 09:00
        user a { plan_end: 2030-03-08 }
        user b { plan_end: 2030-03-05 }
        user v { plan_end: 2030-03-08, vip: true }
        user n { vip: false }\n";
    holds(
        campaign,
        &format!(
            "{steps}expect a receives template hello at 2030-03-01 10:00
            expect a receives template hello at 2030-03-07 10:00
            expect b receives template hello at 2030-03-04 10:00
            expect v receives nothing
            expect n receives nothing
            expect c reaches 3"
        ),
    );
    fails(
        campaign,
        steps,
        &[(
            "expect b receives template hello at 2030-03-01 10:00",
            "receives template hello at 2030-03-04 10:00",
        )],
    );
    holds(
        &campaign.replace("before", "after"),
        &format!("{steps}expect b receives template hello at 2030-03-06 10:00"),
    );
}

#[test]
fn times_of_day_are_each_users_own() {
    let campaign = |clauses: &str| {
        format!(
            "tag best_time time behavior\ncampaign c {{ when not (vip ?? false) send template hello {clauses} }}"
        )
    };
    let steps = "now 2030-03-01 09:00
        user a { best_time: 8:30 }
        user b { best_time: 20:15 }
        user n { vip: false }
        user v { best_time: 10:00, vip: true }\n";
    let expects = "expect a receives template hello at 2030-03-02 08:30
        expect b receives template hello at 2030-03-01 20:15
        expect n receives template hello at 2030-03-01 18:00
        expect v receives nothing\n";
    holds(
        &campaign("at best_time ?? 18:00"),
        &format!("{steps}{expects}expect c reaches 3"),
    );
    let daily = campaign("every day at best_time ?? 18:00 again always");
    holds(
        &daily,
        &format!(
            "{}{expects}expect c reaches 6",
            steps.replacen("09:00", "09:00 until 2030-03-03 09:00", 1)
        ),
    );
}

#[test]
fn conditions_see_events_up_to_now_and_not_beyond() {
    let c =
        "campaign c { when did(purchase, last 7 days) send template hello at 2030-03-01 10:00 }";
    holds(
        c,
        "now 2030-03-01 09:00
  user before {}
  user meanwhile {}
  user later {}
  user long_ago {}
  event before purchase { amount: ¥1 } at 2030-02-27 10:00
  event meanwhile purchase { amount: ¥1 } at 2030-03-01 10:00
  event later purchase { amount: ¥1 } at 2030-03-01 10:01
  event long_ago purchase { amount: ¥1 } at 2030-02-01 10:00
  expect before receives template hello
  expect meanwhile receives template hello
  expect later receives nothing
  expect long_ago receives nothing",
    );
}

// ------------------------------------------------------------------ gates

#[test]
fn gates_stop_and_say_which() {
    let c = "campaign c { when spent > ¥100 send template hello via service_account.mass at 2030-03-01 10:00 }
policy { consent ok exclude region == \"Beijing\" \"not there\" }";
    let steps = "now 2030-03-01 09:00
  user fine { spent: ¥500, ok: true, openid: \"o1\" }
  user silent { spent: ¥500, openid: \"o2\" }
  user against { spent: ¥500, ok: false, openid: \"o3\" }
  user north { spent: ¥500, ok: true, openid: \"o4\", region: \"Beijing\" }
  user lost { spent: ¥500, ok: true }
  user poor { spent: ¥1, ok: true, openid: \"o5\" }
";
    holds(
        c,
        &format!(
            "{steps}
  expect fine receives template hello
  expect fine receives template hello via service_account.mass
  expect silent matches c
  expect silent receives nothing because no_consent
  expect against receives nothing because no_consent
  expect north receives nothing because excluded
  expect lost receives nothing because unreachable
  expect poor receives nothing
  expect c reaches 1"
        ),
    );
    fails(
        c,
        steps,
        &[
            (
                "expect silent receives nothing because excluded",
                "`silent` is not stopped by `excluded` / c: stopped by no_consent",
            ),
            (
                "expect poor receives nothing because no_consent",
                "`poor` is not stopped by `no_consent` / c: not matched",
            ),
            (
                "expect fine receives nothing because no_consent",
                "`fine` receives something",
            ),
        ],
    );
}

#[test]
fn who_is_not_matched_has_an_outcome_too() {
    let c =
        "campaign c { when spent > ¥100 top 1 by spent send template hello at 2030-03-01 10:00 }";
    let steps = "now 2030-03-01 09:00
  user rich { spent: ¥900 }
  user second { spent: ¥500 }
  user poor { spent: ¥1 }
  user unheard { }
";
    holds(
        c,
        &format!(
            "{steps}
  expect rich receives template hello
  expect second receives nothing because below_top
  expect poor receives nothing because not_matched
  expect unheard receives nothing because unknown"
        ),
    );
    fails(
        c,
        steps,
        &[(
            "expect second receives nothing because not_matched",
            "`second` is not stopped by `not_matched` / c: below top",
        )],
    );
}

#[test]
fn caps_and_quiet_hours_hold_over_the_whole_test() {
    let c = "campaign first { when vip send template hello at 2030-03-01 10:00 priority 5 }
campaign second { when vip send template bye at 2030-03-01 12:00 }
campaign late { when spent > ¥100 send template more at 2030-03-01 23:00 }
policy { for marketing { cap 1 per day quiet 22:00..8:00 } }";
    holds(
        c,
        "now 2030-03-01 09:00
  user u { vip: true }
  user owl { spent: ¥500 }
  expect u receives template hello at 10:00
  expect second reaches 0
  expect owl receives template more at 2030-03-02 08:00",
    );
    // A test starts from an empty ledger: what another test sent does not count.
    let both = format!(
        "{c}\ntest \"a\" {{ now 2030-03-01 09:00 user u {{ vip: true }} expect first reaches 1 }}
test \"b\" {{ now 2030-03-01 09:00 user u {{ vip: true }} expect first reaches 1 }}"
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tagcast.toml"), "").unwrap();
    fs::write(dir.path().join("t.campaign"), format!("{WORLD}\n{both}")).unwrap();
    let (code, out, err) = run(dir.path(), &["test"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "ok    a\nok    b\n2 passed, 0 failed\n"),
        "{err}"
    );
}

#[test]
fn arms_holdout_and_control() {
    let c = "campaign c { when vip split { a 50% send template hello b 50% send template bye } at 2030-03-01 10:00 }
campaign held { when spent > ¥100 holdout 99% send template more at 2030-03-01 10:00 }
campaign control { when region == \"Shanghai\" split { a 1% send template more none 99% nothing } at 2030-03-01 10:00 }";
    // The draw is stable: the same user has the same arm in every test and every run.
    let steps = "now 2030-03-01 09:00\n user u { vip: true }\n user wealthy { spent: ¥500 }\n user s { region: \"Shanghai\" }\n";
    holds(
        c,
        &format!(
            "{steps}
  expect c reaches 1
  expect wealthy matches held
  expect wealthy receives nothing because holdout
  expect s matches control
  expect s receives nothing because control"
        ),
    );
}

#[test]
fn choices_take_the_first_that_is_true() {
    let c = "campaign c {
  when everyone
  choose { when spent > ¥100 send template hello when vip send template bye otherwise send template more }
  at 2030-03-01 10:00
}";
    holds(
        c,
        "now 2030-03-01 09:00
  user rich { spent: ¥500, vip: true }
  user known { vip: true }
  user none {}
  expect rich receives template hello
  expect known receives template bye
  expect none receives template more
  expect c reaches 3",
    );
}

// ------------------------------------------------------------------ triggers and follow-ups

const RESCUE: &str = "campaign rescue { on cart_add where price > ¥100 wait 30min unless purchase again after 7 days when everyone send template cart }";

#[test]
fn a_trigger_waits_and_asks() {
    holds(
        RESCUE,
        "now 2030-03-01 09:00
  user waits {}
  user buys {}
  user cheap {}
  user before {}
  user twice {}
  event waits cart_add { sku: \"a\", price: ¥200 } at 2030-03-01 10:00
  event buys cart_add { sku: \"a\", price: ¥200 } at 2030-03-01 10:00
  event buys purchase { amount: ¥200 } at 2030-03-01 10:20
  event cheap cart_add { sku: \"a\", price: ¥100 } at 2030-03-01 10:00
  event before cart_add { sku: \"a\", price: ¥200 } at 2030-03-01 08:50
  event twice cart_add { sku: \"a\", price: ¥200 } at 2030-03-01 10:00
  event twice cart_add { sku: \"b\", price: ¥200 } at 2030-03-01 10:10
  event twice cart_add { sku: \"c\", price: ¥200 } at 2030-03-01 12:00
  expect waits receives template cart at 10:30
  expect buys receives nothing
  expect cheap receives nothing
  expect before receives nothing
  expect twice receives template cart at 10:30
  expect rescue reaches 2",
    );
    fails(
        RESCUE,
        "now 2030-03-01 09:00\nuser u {}\nevent u cart_add { sku: \"a\", price: ¥200 } at 2030-03-01 10:00",
        &[
            (
                "expect u receives template cart at 10:00",
                "receives template cart at 2030-03-01 10:30",
            ),
            ("expect u receives nothing", "receives something"),
        ],
    );
    // The wait ends after the clock stops.
    holds(
        RESCUE,
        "now 2030-03-01 09:00 until 2030-03-01 10:29\nuser u {}\nevent u cart_add { sku: \"a\", price: ¥200 } at 2030-03-01 10:00
  expect u receives nothing",
    );
}

#[test]
fn follow_ups_know_whether_the_goal_was_reached() {
    let c = "campaign series {
  goal purchase within 48h
  when vip
  send template hello
  at 2030-03-01 10:00
  remind: after 1 day if not converted send template bye else send template more
  leave when region == \"Beijing\"
}";
    let steps = "now 2030-03-01 09:00 until 2030-03-05 09:00
  user quiet_one { vip: true, region: \"Shanghai\" }
  user buyer { vip: true, region: \"Shanghai\" }
  user gone { vip: true, region: \"Beijing\" }
  event buyer purchase { amount: ¥9 } at 2030-03-01 15:00
";
    holds(
        c,
        &format!(
            "{steps}
  expect quiet_one receives template hello at 2030-03-01 10:00
  expect quiet_one receives template bye at 2030-03-02 10:00
  expect buyer receives template more at 2030-03-02 10:00
  expect gone receives template hello at 2030-03-01 10:00
  expect series reaches 3"
        ),
    );
    fails(
        c,
        steps,
        &[
            (
                "expect buyer receives template bye",
                "receives template more at 2030-03-02 10:00",
            ),
            (
                "expect gone receives template bye",
                "receives template hello at 2030-03-01 10:00",
            ),
            (
                "expect gone receives template more",
                "receives template hello at 2030-03-01 10:00",
            ),
            (
                "expect quiet_one receives template more",
                "receives template bye",
            ),
        ],
    );
}

#[test]
fn a_repeated_event_and_what_it_does_to_the_wait() {
    let on = |clause: &str, again: &str| {
        format!(
            "campaign c {{ on cart_add {clause} again {again} when everyone send template cart }}"
        )
    };
    let twice = "now 2030-03-01 09:00
  user u {}
  event u cart_add { sku: \"a\", price: ¥1 } at 2030-03-01 10:00
  event u cart_add { sku: \"a\", price: ¥1 } at 2030-03-01 10:20
  event u cart_add { sku: \"b\", price: ¥1 } at 2030-03-01 11:00
";
    for (clause, again, expected) in [
        (
            "wait 30min",
            "never",
            "expect c reaches 1 expect u receives template cart at 10:30",
        ),
        (
            "wait 30min from last",
            "never",
            "expect c reaches 1 expect u receives template cart at 10:50",
        ),
        (
            "wait 30min",
            "always",
            "expect c reaches 3 expect u receives template cart at 10:50",
        ),
        (
            "wait 30min",
            "per event.sku",
            "expect c reaches 2 expect u receives template cart at 11:30",
        ),
        (
            "",
            "always",
            "expect c reaches 3 expect u receives template cart at 10:20",
        ),
        (
            "",
            "never",
            "expect c reaches 1 expect u receives template cart at 10:00",
        ),
        (
            "",
            "per event.sku",
            "expect c reaches 2 expect u receives template cart at 11:00",
        ),
        (
            "",
            "after 30min",
            "expect c reaches 2 expect u receives template cart at 11:00",
        ),
        (
            "where sku == \"b\"",
            "always",
            "expect c reaches 1 expect u receives template cart at 11:00",
        ),
    ] {
        holds(
            &on(clause, again),
            &format!("{twice}{}", expected.replace(" expect", "\nexpect")),
        );
    }
}

#[test]
fn a_triggered_message_waits_for_the_end_of_quiet_hours() {
    let c = "campaign c { on cart_add again always when everyone send template cart }
policy { for marketing { quiet 22:00..8:00 } }";
    holds(
        c,
        "now 2030-03-01 21:00
  user early {}
  user night {}
  user border {}
  event early cart_add { sku: \"a\", price: ¥1 } at 2030-03-01 21:59
  event night cart_add { sku: \"a\", price: ¥1 } at 2030-03-01 23:30
  event border cart_add { sku: \"a\", price: ¥1 } at 2030-03-02 08:00
  expect early receives template cart at 21:59
  expect night receives template cart at 2030-03-02 08:00
  expect border receives template cart at 2030-03-02 08:00
  expect c reaches 3",
    );
}

#[test]
fn a_series_of_steps_by_name_and_time_of_day() {
    let c = "campaign series {
  goal purchase within 48h
  when vip
  send template hello
  at 2030-03-01 10:00
  second: after 1 day at 9:00 send template bye
  third: after 4h from second if not converted send template more
  leave when did(cart_add, last 7 days)
}";
    holds(
        c,
        "now 2030-03-01 09:00 until 2030-03-05 09:00
  user u { vip: true }
  user gone { vip: true }
  user buyer { vip: true }
  event gone cart_add { sku: \"a\", price: ¥1 } at 2030-03-01 12:00
  event buyer purchase { amount: ¥1 } at 2030-03-03 12:00
  expect u receives template hello at 2030-03-01 10:00
  expect u receives template bye at 2030-03-03 09:00
  expect u receives template more at 2030-03-03 13:00
  expect gone receives template hello
  expect buyer receives template bye at 2030-03-03 09:00
  expect series reaches 3",
    );
    fails(
        c,
        "now 2030-03-01 09:00 until 2030-03-05 09:00
  user u { vip: true }
  user gone { vip: true }
  user buyer { vip: true }
  event gone cart_add { sku: \"a\", price: ¥1 } at 2030-03-01 12:00
  event buyer purchase { amount: ¥1 } at 2030-03-03 12:00",
        &[
            ("expect gone receives template bye", "does not receive"),
            ("expect buyer receives template more", "does not receive"),
            (
                "expect u receives template bye at 2030-03-02 10:00",
                "receives template bye at 2030-03-03 09:00",
            ),
        ],
    );
}

#[test]
fn weights_fallbacks_and_templates_with_values() {
    let c = "tag wecom_id address(wecom) base
campaign c {
  when everyone
  send template hello
  via service_account.mass weight if(vip, 2, 0), wecom.kf weight 1
  at 2030-03-01 10:00
}
campaign d { when everyone send template bye via service_account.mass, wecom.kf at 2030-03-01 11:00 }";
    holds(
        c,
        "now 2030-03-01 09:00
  user both { vip: true, openid: \"o1\", wecom_id: \"w1\" }
  user plain { vip: false, openid: \"o2\", wecom_id: \"w2\" }
  user one { vip: true, wecom_id: \"w3\" }
  user none { vip: true }
  expect both receives template hello via service_account.mass
  expect plain receives template hello via wecom.kf
  expect one receives template hello via wecom.kf
  expect none receives nothing because unreachable
  expect plain receives template bye via service_account.mass
  expect one receives template bye via wecom.kf",
    );
}

#[test]
fn messages_of_the_test_are_events_for_later_campaigns() {
    let c = "campaign first { when vip send template hello at 2030-03-01 10:00 }
campaign second { when did(sent where campaign == \"first\", last 7 days) send template bye at 2030-03-01 12:00 }";
    holds(
        c,
        "now 2030-03-01 09:00
  user u { vip: true }
  user v {}
  expect u receives template hello
  expect u receives template bye
  expect v receives nothing
  expect v unknown in first",
    );
}

// ------------------------------------------------------------------ the command

#[test]
fn the_command_says_where_what_and_ends_in_1() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::write(
        d.join("t.campaign"),
        format!("{WORLD}\n{SHANGHAI}\ntest \"good\" {{ {PEOPLE} expect one matches shanghai }}\n"),
    )
    .unwrap();
    fs::write(
        d.join("u.campaign"),
        format!("test \"bad\" {{\n{PEOPLE}\n  expect out receives template hello\n}}\n"),
    )
    .unwrap();
    let (code, out, err) = run(d, &["test"]);
    assert_eq!(code, 1, "{err}");
    assert!(
        out.contains("ok    good\nFAILED  bad\n  ")
            && out.contains("u.campaign:9: `out` does not receive `hello`"),
        "{out}"
    );
    assert!(out.ends_with("1 passed, 1 failed\n"), "{out}");
    // Only the file that is given.
    let (code, out, _) = run(d, &["test", "t.campaign"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "ok    good\n1 passed, 0 failed\n")
    );
    let (code, out, _) = run(d, &["test", "--lang", "zh"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("失败  bad") && out.contains("没有这样收到"),
        "{out}"
    );
    // Tests of a program with errors do not run.
    fs::write(
        d.join("v.campaign"),
        "audience broken = regoin == \"Shanghai\"\n",
    )
    .unwrap();
    let (code, out, err) = run(d, &["test"]);
    assert_eq!(code, 1);
    assert!(
        !out.contains("good") && err.contains("regoin"),
        "{out}{err}"
    );
}

/// The tour of the language reference passes its own test, as it stands and in Chinese keywords.
#[test]
fn the_tour_passes_its_test_in_both_languages() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::copy(
        root().join("tests/language/programs/tour.campaign"),
        d.join("tour.campaign"),
    )
    .unwrap();
    for keywords in ["en", "zh"] {
        let (code, _, err) = parts(
            tagcast(d)
                .args(["fmt", "--keywords", keywords])
                .output()
                .unwrap(),
        );
        assert_eq!(code, 0, "{err}");
        let (code, out, err) = run(d, &["test", "--now", "2027-11-01", "--lang", "en"]);
        assert_eq!(code, 0, "{keywords}: {out}{err}");
        assert!(out.ends_with("1 passed, 0 failed\n"), "{out}");
        let (code, out, err) = run(
            d,
            &[
                "check",
                "--now",
                "2027-11-01",
                "--fail-level",
                "note",
                "--lang",
                "en",
            ],
        );
        assert_eq!(code, 0, "{keywords}: {out}{err}");
    }
    assert!(
        fs::read_to_string(d.join("tour.campaign"))
            .unwrap()
            .contains("活动 double11_shanghai")
    );
}

/// `all of`: a message on each channel, and one follow-up.
#[test]
fn all_of_several_channels() {
    let campaign = "tag wecom_id address(wecom)
campaign c {
  when everyone
  send template hello via all of service_account.chat, wecom.app
  at 2030-03-01 10:00
  later: after 1 day send template bye via sandbox.file
}";
    holds(
        campaign,
        "  now 2030-03-01 09:00 until 2030-03-03 09:00
  user both { openid: \"o\", wecom_id: \"w\" }
  user one { wecom_id: \"v\" }
  user none { vip: true }
  expect both receives template hello via service_account.chat
  expect both receives template hello via wecom.app
  expect one receives template hello via wecom.app
  expect none receives nothing because unreachable
  expect both receives template bye
  expect one receives template bye
  expect c reaches 2",
    );
}
