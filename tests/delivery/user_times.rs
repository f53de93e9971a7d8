//! Times that are each user's own: days counted from a date of theirs, and times of day.

use crate::support;
use std::collections::BTreeMap;

use crate::support::campaigns::{Bench, at};
use proptest::prelude::*;
use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Calendar, Date, Instant, UserNo, Value, Zone};
use tagcast::engine::{Project, ProjectOptions};
use tagcast::eval::{self, EvalScope, MessageLog, Prepared, PreparedProgram, Tables};
use tagcast::program::typed::{Program, Schedule};
use tagcast::program::typed_expr::ExprKind;
use tagcast::schedule::date_offset;
use tagcast::store::SnapshotBuilder;

const RENEW: &str = "tag plan_end date base
    tag vip bool base
    template t \"您的套餐将于{plan_end}到期\"
    campaign renew { when not (vip ?? false) send template t at 10:00 on 30, 7, 1 days before plan_end }";

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn on(text: &str) -> Option<Value> {
    Some(Value::Date(date(text)))
}

/// `user day time` of each message of a campaign, in the zone, sorted.
fn days(bench: &Bench, campaign: &str, zone: Zone) -> Vec<String> {
    let show = |text: &str| zone.show(zone.parse_instant(text).unwrap());
    let sent = bench.sent();
    let mut days: Vec<String> = sent
        .iter()
        .filter(|m| m.campaign == campaign)
        .map(|m| format!("{} {}", m.user, show(&m.at)))
        .collect();
    days.sort();
    days
}

fn bench() -> Bench {
    let mut bench = Bench::new(RENEW);
    bench.set("a", "plan_end", on("2027-03-31"));
    bench.set("b", "plan_end", on("2027-03-08"));
    bench.set("c", "plan_end", on("2027-03-02"));
    bench.set("none", "vip", Some(Value::Bool(false)));
    bench.set("vip", "plan_end", on("2027-03-08"));
    bench.set("vip", "vip", Some(Value::Bool(true)));
    bench
}

/// How many writes are skipped before the next death: more where the ledger is a database, which
/// takes its time.
fn step(n: usize) -> usize {
    if module_path!().starts_with("on_server") {
        4 * n + 1
    } else {
        n
    }
}

const FROM: &str = "2027-03-01 08:00";

#[test]
fn each_user_hears_on_their_own_days() {
    let bench = bench();
    bench.run(FROM, "2027-04-02");
    let expected = [
        "a 2027-03-01 10:00",
        "a 2027-03-24 10:00",
        "a 2027-03-30 10:00",
        // Thirty days before lies before the campaign.
        "b 2027-03-01 10:00",
        "b 2027-03-07 10:00",
        "c 2027-03-01 10:00",
    ];
    assert_eq!(days(&bench, "renew", Zone::SHANGHAI), expected);
    assert_eq!(bench.got("renew")[0], "a: 您的套餐将于2027-03-31到期");
    bench.verified();
    bench.run("2027-04-02", "2027-04-20");
    assert_eq!(
        days(&bench, "renew", Zone::SHANGHAI).len(),
        expected.len(),
        "nothing more"
    );
}

#[test]
fn a_date_that_moves_is_another_occasion_and_one_that_comes_back_is_not() {
    let mut bench = bench();
    bench.run(FROM, "2027-03-01 20:00");
    // Renewed for a month, on the day of the message.
    bench.set("b", "plan_end", on("2027-04-08"));
    bench.run("2027-03-01 20:00", "2027-03-05");
    bench.set("b", "plan_end", on("2027-03-08"));
    bench.run("2027-03-05", "2027-03-20");
    let of_b: Vec<String> = days(&bench, "renew", Zone::SHANGHAI)
        .into_iter()
        .filter(|d| d.starts_with('b'))
        .collect();
    assert_eq!(of_b, ["b 2027-03-01 10:00", "b 2027-03-07 10:00"]);
    bench.set("b", "plan_end", on("2027-04-19"));
    bench.run("2027-03-20 08:00", "2027-03-20 12:00");
    assert!(
        days(&bench, "renew", Zone::SHANGHAI).contains(&"b 2027-03-20 10:00".to_string()),
        "thirty days before the new date"
    );
}

/// A person who writes another time of day, or moves the policy to another zone, does not make the
/// day come again.
#[test]
fn another_time_of_day_sends_nothing_twice() {
    let bench = bench();
    bench.run(FROM, "2027-03-01 11:00");
    let before = days(&bench, "renew", Zone::SHANGHAI);
    for program in [
        RENEW.replace("at 10:00", "at 14:00"),
        format!("policy {{ timezone \"Europe/Berlin\" }}\n{RENEW}"),
    ] {
        bench.program(&program);
        bench.run("2027-03-01 11:00", "2027-03-02 06:00");
        assert_eq!(days(&bench, "renew", Zone::SHANGHAI), before, "{program}");
    }
    bench.verified();
}

/// Whatever write the process dies at, and however often it is started again: once for each user,
/// date and offset.
#[test]
fn a_process_that_dies_doubles_nothing_and_loses_nothing() {
    let until = "2027-03-08 12:00";
    let whole = bench();
    whole.run(FROM, until);
    let expected = days(&whole, "renew", Zone::SHANGHAI);
    assert_eq!(expected.len(), 4);
    let mut writes = 0;
    loop {
        let bench = bench();
        let died = bench.run_dying(FROM, until, writes).is_err();
        let _ = bench.run_dying(FROM, until, 1 + writes % 5);
        bench.run(FROM, until);
        assert_eq!(
            days(&bench, "renew", Zone::SHANGHAI),
            expected,
            "killed at write {writes}"
        );
        bench.verified();
        if !died {
            break;
        }
        writes += step(1);
    }
    assert!(writes > 10, "{writes}");
}

#[test]
fn a_day_for_which_nobody_was_there_is_missed_and_the_next_one_is_not() {
    let bench = bench();
    bench.run(FROM, "2027-03-01 09:00");
    bench.run("2027-03-01 11:30", "2027-03-08");
    assert_eq!(
        days(&bench, "renew", Zone::SHANGHAI),
        ["b 2027-03-07 10:00"]
    );
    assert_eq!(bench.missed(), ["renew 2027-03-01 10:00"]);
    // Within the deadline it is made good.
    let patient = self::bench();
    patient.program(&RENEW.replace("send", "deadline 12h send"));
    patient.run(FROM, "2027-03-01 09:00");
    patient.run("2027-03-01 11:30", "2027-03-02");
    assert_eq!(
        days(&patient, "renew", Zone::SHANGHAI),
        [
            "a 2027-03-01 11:30",
            "b 2027-03-01 11:30",
            "c 2027-03-01 11:30"
        ]
    );
}

/// A year of days in a zone with clock changes, against a look at each user and day.
#[test]
fn a_year_in_berlin_is_what_the_dates_say() {
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let mut bench = Bench::new(
        "policy { timezone \"Europe/Berlin\" }
         tag joined instant base
         template t \"您好\"
         campaign months { when everyone send template t at 2:30 on 1, 6, 12 months after joined }
         campaign soon { when everyone send template t at 2:30 on 0, 3 weeks after joined }",
    );
    let mut joined: BTreeMap<String, Instant> = BTreeMap::new();
    let mut roll = 17u64;
    for n in 0..60 {
        roll = roll
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Around the ends of months, the leap day and both changes of the clocks.
        let near = [
            "2027-01-31",
            "2027-02-28",
            "2027-03-28",
            "2027-08-31",
            "2027-10-31",
            "2028-02-29",
        ][n % 6];
        let day = date(near).plus_days((roll >> 60) as i32 - 8);
        let when = Instant(berlin.start_of(day).0 + (roll >> 20) as i64 % (26 * 3_600_000_000));
        joined.insert(format!("u{n:02}"), when);
    }
    for (user, when) in &joined {
        bench.set(user, "joined", Some(Value::Instant(*when)));
    }
    bench.set("nobody", "joined", None);
    let (from, until) = ("2027-02-01T00:00:00+01:00", "2028-03-10T00:00:00+01:00");
    bench.run(from, until);
    let expected = |offsets: &[Calendar]| {
        let mut all = Vec::new();
        for (user, when) in &joined {
            for day in offsets
                .iter()
                .filter_map(|o| berlin.date(*when).checked_add(*o))
            {
                let due = berlin.instant(day, "2:30".parse().unwrap());
                if at(from) <= due && due <= at(until) {
                    all.push(format!("{user} {}", berlin.show(due)));
                }
            }
        }
        all.sort();
        all
    };
    assert_eq!(
        days(&bench, "months", berlin),
        expected(&[1, 6, 12].map(Calendar::months))
    );
    let weeks = expected(&[0, 21].map(Calendar::days));
    assert!(
        weeks.iter().any(|w| w.ends_with("2027-03-28 03:00")),
        "on the day on which 2:30 is skipped"
    );
    assert_eq!(days(&bench, "soon", berlin), weeks);
    bench.verified();
}

fn program_of(text: &str) -> Program {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.campaign"), text).unwrap();
    let world = SimulatedWorld::at(at("2027-01-01"));
    let project = Project::load(
        &[dir.path().to_path_buf()],
        &ProjectOptions::default(),
        &world,
    )
    .unwrap();
    assert!(!project.has_errors(), "{text}\n{:?}", project.findings);
    project.program
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whose day it is, by columns and user by user, is whom the plain calendar says.
    #[test]
    fn whose_day_it_is(
        zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/Nuuk", "Australia/Lord_Howe"]),
        unit in prop::sample::select(vec!["days", "weeks", "months"]),
        side in prop::sample::select(vec!["before", "after"]),
        counts in prop::collection::btree_set(0..13u32, 1..5),
        is_instant in any::<bool>(),
        minute in 0..24 * 60u32,
        // Two years and more around a leap day.
        occasion in 0..800i32,
        dates in prop::collection::vec(prop::option::weighted(0.9, (-400..400i32, 0..86_400_000_000i64)), 1..40),
    ) {
        let list = counts.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let (hour, minutes) = (minute / 60, minute % 60);
        let ty = if is_instant { "instant" } else { "date" };
        let program = program_of(&format!(
            "policy {{ timezone \"{zone}\" }}\ntag d {ty} base\ntemplate t \"x\"
             campaign c {{ when everyone send template t at {hour}:{minutes:02} on {list} {unit} {side} d }}"
        ));
        let Schedule::Dated(schedule) = &program.campaigns[0].schedule else { panic!("days of a date") };
        let zone = Zone::named(zone).unwrap();
        let day = date("2027-01-01").plus_days(occasion);
        let due = zone.instant(day, schedule.at);
        let (first, last) = date_offset::days_of(schedule.at, zone, due);
        prop_assert!(first <= day && day <= last);

        let mut builder = SnapshotBuilder::new();
        let mut column = Vec::new();
        for (n, date) in dates.iter().enumerate() {
            builder.user(&format!("u{n:02}"));
            let value = |(away, micros): (i32, i64)| {
                let on = day.plus_days(away);
                if is_instant { Value::Instant(Instant(zone.start_of(on).0 + micros)) } else { Value::Date(on) }
            };
            column.push(date.map(value));
        }
        builder.tag(program.schema.tags[0].clone(), column.clone());
        let (snapshot, tables, own) = (builder.build(), Tables::default(), MessageLog::default());
        let scope = EvalScope { snapshot: &snapshot, program: &program, prepared: &PreparedProgram::new(&program), tables: &tables, own: &own, now: due, trigger: None, outcomes: None };
        let condition = date_offset::condition(schedule, zone, due);
        let audience = eval::audience(&scope, &condition).unwrap();
        for (n, value) in column.iter().enumerate() {
            let user = UserNo(n as u32);
            let days: Vec<Date> = counts.iter().filter_map(|n| {
                let n = if side == "before" { -(*n as i32) } else { *n as i32 };
                let offset = match unit { "days" => Calendar::days(n), "weeks" => Calendar::days(7 * n), _ => Calendar::months(n) };
                date_offset::date_of(value.as_ref()?, zone)?.checked_add(offset)
            }).collect();
            let is_due = days.iter().any(|d| first <= *d && *d <= last);
            prop_assert_eq!(audience.yes.contains(user), is_due, "user {} with {:?} on {}", n, value, day);
            // Some days are nobody's, whatever the date: none is four months before the 31st of
            // March.
            let nobodys = matches!(condition.kind, ExprKind::Const(_));
            prop_assert_eq!(audience.known.contains(user), value.is_some() || nobodys);
            prop_assert_eq!(Prepared::new(&program, &condition).holds(&scope, user).unwrap(), (value.is_some() || nobodys).then_some(is_due));
        }
    }
}

/// A folder with a program and users, for the command line.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.campaign"), RENEW).unwrap();
    let users = "user_id,plan_end,vip\nu1,2027-03-31,false\nu2,2027-03-08,false\nu3,,false\nu4,2027-03-08,true\nu5,2026-01-01,false\n";
    std::fs::write(dir.path().join("users.csv"), users).unwrap();
    let (code, out, err) = support::run(
        dir.path(),
        &["tags", "import", "users.csv", "--id", "user_id"],
    );
    assert_eq!(code, 0, "{out}{err}");
    dir
}

#[test]
fn plan_shows_the_days_of_users() {
    let dir = folder();
    let (code, out, err) = support::run(dir.path(), &["plan", "--now", FROM, "--lang", "en"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("due 2027-03-01 10:00\n    2027-03-01 10:00: the day of 3 users\n    2027-03-07 10:00: the day of 2 users\n"),
        "{out}"
    );
    assert!(
        out.contains("2027-03-24 10:00: the day of 1 user\n"),
        "{out}"
    );
    let (_, out, _) = support::run(dir.path(), &["plan", "--now", FROM, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let campaign = &json["campaigns"][0];
    assert_eq!(
        campaign["days"][0],
        serde_json::json!({"due": "2027-03-01T10:00:00+08:00", "users": 3}),
        "{out}"
    );
    assert_eq!(campaign["funnel"]["matched"], 2);
    let (_, out, _) = support::run(dir.path(), &["plan", "--now", FROM, "--lang", "zh"]);
    assert!(out.contains("2027-03-07 10:00：2 个用户的日子"), "{out}");
}

/// As many days as a campaign may have, each of them on the calendar.
#[test]
fn a_hundred_days_of_one_date() {
    let list = (1..=100)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let mut bench = Bench::new(&RENEW.replace("30, 7, 1 days", &format!("{list} days")));
    for n in 0..5 {
        bench.set(
            &format!("u{n}"),
            "plan_end",
            Some(Value::Date(date("2027-03-10").plus_days(n))),
        );
    }
    bench.run(FROM, "2027-03-03 12:00");
    assert_eq!(days(&bench, "renew", Zone::SHANGHAI).len(), 15);
}

/// Other days are other users': a plan of yesterday is not drift.
#[test]
fn a_plan_of_another_day_can_be_applied() {
    let dir = folder();
    let go = |args: &[&str]| support::run(dir.path(), args);
    let (code, _, err) = go(&["plan", "-o", "p.json", "--now", FROM]);
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = go(&[
        "apply",
        "p.json",
        "--now",
        "2027-03-03 08:00",
        "--max-drift",
        "0",
    ]);
    assert_eq!(code, 0, "{out}{err}");
    let (_, out, _) = go(&[
        "run",
        "--now",
        "2027-03-06 08:00",
        "--until",
        "2027-03-07 12:00",
        "--lang",
        "en",
    ]);
    assert!(out.contains("due 2027-03-07 10:00"), "{out}");
}

#[test]
fn why_says_the_users_own_days() {
    let dir = folder();
    let why = |user: &str, more: &[&str]| {
        let args = [&["why", user, "renew", "--now", FROM], more].concat();
        let (code, out, err) = support::run(dir.path(), &args);
        assert_eq!(code, 0, "{err}");
        out
    };
    let out = why("u1", &["--lang", "en"]);
    assert!(
        out.contains("`plan_end` is 2027-03-31; due:\n  2027-03-01 10:00  30 days before\n  2027-03-24 10:00  7 days before\n"),
        "{out}"
    );
    assert!(
        out.contains("at 2027-03-01 10:00 it would be: message by sandbox.file"),
        "{out}"
    );
    // The next day of this one is a later one.
    assert!(why("u2", &["--lang", "en"]).contains("at 2027-03-01 10:00 it would be: message"));
    let out = why("u3", &["--lang", "en"]);
    assert!(
        out.contains("never due: `plan_end` has no value") && !out.contains("it would be"),
        "{out}"
    );
    assert!(why("u4", &["--lang", "en"]).contains("at 2027-03-01 10:00 it would be: not_matched"));
    let out = why("u5", &["--lang", "zh"]);
    assert!(
        out.contains("`plan_end` 是 2026-01-01，到期：") && !out.contains("时将是"),
        "{out}"
    );
    let json: serde_json::Value = serde_json::from_str(&why("u1", &["--format", "json"])).unwrap();
    assert_eq!(
        json["turn"]["days"][1],
        serde_json::json!({"due": "2027-03-24T10:00:00+08:00", "offset": "7 days before"})
    );
    let (code, out, err) = support::run(
        dir.path(),
        &[
            "run",
            "--now",
            FROM,
            "--until",
            "2027-03-09",
            "--lang",
            "en",
        ],
    );
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("due 2027-03-01 10:00") && !out.contains("due 2027-03-02 10:00"),
        "days of nobody are not shown: {out}"
    );
    // Runs on the days of others are not told.
    let out = why("u1", &["--lang", "en"]);
    assert_eq!(out.matches("run of").count(), 1, "{out}");
    assert!(out.contains("run of 2027-03-01 10:00"), "{out}");
}

// ------------------------------------------------------------------ times of day

const TIMES: &str = "tag best_time time behavior
    tag vip bool base
    event purchase { amount money }
    template t \"您好\"";

fn time(text: &str) -> Option<Value> {
    Some(Value::Time(text.parse().unwrap()))
}

/// Users with times of their own; `plain` has none.
fn own(campaign: &str) -> Bench {
    let mut bench = Bench::new(&format!("{TIMES}\n{campaign}"));
    for (user, own) in [
        ("early", "7:15"),
        ("ten", "10:00"),
        ("ten2", "10:00:59"),
        ("late", "20:00"),
        ("night", "23:59"),
    ] {
        bench.set(user, "best_time", time(own));
    }
    bench.user("plain");
    bench
}

const ONCE: &str = "campaign c { when everyone send template t at best_time ?? 18:00 }";
const DAILY: &str =
    "campaign c { when everyone send template t every day at best_time ?? 18:00 again always }";

#[test]
fn once_is_the_next_time_of_each_user() {
    let bench = own(ONCE);
    let expected = [
        "early 2027-03-02 07:15",
        "late 2027-03-01 20:00",
        "night 2027-03-01 23:59",
        "plain 2027-03-01 18:00",
        "ten 2027-03-01 10:00",
        "ten2 2027-03-01 10:00",
    ];
    bench.run(FROM, "2027-03-01 19:00");
    assert_eq!(days(&bench, "c", Zone::SHANGHAI).len(), 3);
    bench.run("2027-03-01 19:00", "2027-03-05");
    assert_eq!(days(&bench, "c", Zone::SHANGHAI), expected);
    bench.run("2027-03-05", "2027-03-07");
    assert_eq!(days(&bench, "c", Zone::SHANGHAI), expected, "it was once");
    assert_eq!(bench.missed(), [] as [String; 0]);
    bench.verified();
}

#[test]
fn whose_time_changes_is_not_reached_twice_on_a_day_and_never_twice_by_what_is_once() {
    for (program, n) in [(ONCE, 1), (DAILY, 2)] {
        let mut bench = own(program);
        bench.run(FROM, "2027-03-01 11:00");
        bench.set("ten", "best_time", time("20:00"));
        bench.run("2027-03-01 11:00", "2027-03-02 22:00");
        let of_ten: Vec<String> = days(&bench, "c", Zone::SHANGHAI)
            .into_iter()
            .filter(|d| d.starts_with("ten "))
            .collect();
        assert_eq!(
            of_ten,
            ["ten 2027-03-01 10:00", "ten 2027-03-02 20:00"][..n],
            "{program}"
        );
        assert_eq!(bench.stopped("c", "ten"), ["c: again"]);
        bench.verified();
    }
}

/// The condition is asked at each user's own time.
#[test]
fn each_user_is_asked_at_their_time() {
    let mut bench = own(
        "campaign c { when not did(purchase, today) send template t every day at best_time ?? 18:00 again always }",
    );
    for user in ["ten", "late", "plain"] {
        bench.event(
            "purchase",
            user,
            "2027-03-01 12:00",
            vec![Some(Value::Money(100))],
        );
    }
    bench.run(FROM, "2027-03-02 06:00");
    let expected = [
        "night 2027-03-01 23:59",
        "ten 2027-03-01 10:00",
        "ten2 2027-03-01 10:00",
    ];
    assert_eq!(days(&bench, "c", Zone::SHANGHAI), expected);
}

/// A time that follows from what happens is looked at as the clock continues.
#[test]
fn a_time_may_depend_on_what_happens() {
    let mut bench = own(
        "campaign c { when everyone send template t every day at if(did(purchase, today), 21:00, 6:00) until 2027-03-01 again always }",
    );
    bench.event(
        "purchase",
        "ten",
        "2027-03-01 12:00",
        vec![Some(Value::Money(100))],
    );
    bench.run("2027-03-01 00:00", "2027-03-03");
    let got = days(&bench, "c", Zone::SHANGHAI);
    assert!(
        got.contains(&"late 2027-03-01 06:00".to_string())
            && got.contains(&"ten 2027-03-01 06:00".to_string()),
        "{got:?}"
    );
    assert_eq!(
        got.len(),
        6,
        "who was reached at six is not reached again: {got:?}"
    );
}

#[test]
fn a_process_that_dies_sends_at_no_time_twice() {
    let until = "2027-03-02 12:00";
    let whole = own(DAILY);
    whole.run(FROM, until);
    let expected = days(&whole, "c", Zone::SHANGHAI);
    assert_eq!(expected.len(), 8, "{expected:?}");
    let mut writes = 0;
    loop {
        let bench = own(DAILY);
        let died = bench.run_dying(FROM, until, writes).is_err();
        let _ = bench.run_dying(FROM, until, 1 + writes % 5);
        bench.run(FROM, until);
        assert_eq!(
            days(&bench, "c", Zone::SHANGHAI),
            expected,
            "killed at write {writes}"
        );
        bench.verified();
        if !died {
            break;
        }
        writes += step(3);
    }
    assert!(writes > 20, "{writes}");
}

#[test]
fn times_for_which_nobody_was_there_are_missed() {
    let bench = own(DAILY);
    bench.run(FROM, "2027-03-01 09:00");
    bench.run("2027-03-01 11:30", "2027-03-01 18:00");
    assert_eq!(
        days(&bench, "c", Zone::SHANGHAI),
        ["plain 2027-03-01 18:00"]
    );
    // The last minute that was too late stands for all of them.
    assert_eq!(bench.missed(), ["c 2027-03-01 10:29"]);
    // Where nobody's time was passed over, nothing was missed.
    bench.run("2027-03-01 19:55", "2027-03-01 20:10");
    assert_eq!(bench.missed().len(), 1);
    assert_eq!(days(&bench, "c", Zone::SHANGHAI).len(), 2);
    // Within the deadline it is made good; what is due in quiet hours waits for their end.
    let patient = own(
        "campaign c { when everyone send template t every day at best_time ?? 18:00 again always deadline 3h quiet 22:00..8:00 }",
    );
    patient.run(FROM, "2027-03-01 09:00");
    patient.run("2027-03-01 11:30", "2027-03-01 12:00");
    patient.run("2027-03-02 09:00", "2027-03-02 09:30");
    let expected = [
        "early 2027-03-02 09:00",
        "night 2027-03-02 09:00",
        "ten 2027-03-01 11:30",
        "ten2 2027-03-01 11:30",
    ];
    assert_eq!(days(&patient, "c", Zone::SHANGHAI), expected);
    assert_eq!(patient.missed(), ["c 2027-03-01 21:59"]);
}

/// Days on which the clocks change, against a look at each user and day.
#[test]
fn times_in_berlin_are_what_the_calendar_says() {
    let berlin = Zone::named("Europe/Berlin").unwrap();
    for (from, until) in [
        ("2027-03-26T00:00:00+01:00", "2027-03-31T00:00:00+02:00"),
        ("2027-10-29T00:00:00+02:00", "2027-11-03T00:00:00+01:00"),
    ] {
        let mut bench = Bench::new(&format!(
            "policy {{ timezone \"Europe/Berlin\" }}\n{TIMES}
             campaign c {{ when everyone send template t every day at best_time ?? 2:30 again always }}"
        ));
        let mut times: BTreeMap<String, tagcast::base::TimeOfDay> = BTreeMap::new();
        for n in 0..40u32 {
            let user = format!("u{n:02}");
            // Around the change, and all over the day.
            let minute = if n % 2 == 0 {
                100 + 4 * n
            } else {
                n * 36 % 1440
            };
            let own = if n == 39 {
                None
            } else {
                Some(tagcast::base::TimeOfDay(minute * 60 + n))
            };
            bench.set(&user, "best_time", own.map(Value::Time));
            times.insert(user, own.unwrap_or("2:30".parse().unwrap()));
        }
        bench.run(from, until);
        let mut expected = Vec::new();
        for (user, own) in &times {
            let first = berlin.date(at(from));
            let minute = tagcast::base::TimeOfDay(own.0 / 60 * 60);
            let due = (0..8)
                .map(|n| berlin.instant(first.plus_days(n), minute))
                .filter(|due| at(from) <= *due && *due <= at(until));
            expected.extend(due.map(|due| format!("{user} {}", berlin.show(due))));
        }
        expected.sort();
        assert_eq!(days(&bench, "c", berlin), expected);
        bench.verified();
    }
}

#[test]
fn plan_and_why_show_own_times() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.campaign"), format!("{TIMES}\n{ONCE}")).unwrap();
    std::fs::write(
        dir.path().join("users.csv"),
        "user_id,best_time,vip\nu1,10:00,true\nu2,20:30,true\nu3,,true\nu4,20:00,\n",
    )
    .unwrap();
    let go = |args: &[&str]| {
        let (code, out, err) = support::run(dir.path(), args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    };
    go(&["tags", "import", "users.csv", "--id", "user_id"]);
    let now = ["--now", "2027-03-01 15:00"];
    let out = go(&[&["plan", "--lang", "en"], &now[..]].concat());
    assert!(out.contains("due from 2027-03-01 15:00 on, each user at their own time\n    10:00..10:59: 1 message\n    18:00..18:59: 1 message\n    20:00..20:59: 2 messages\n"), "{out}");
    let json: serde_json::Value =
        serde_json::from_str(&go(&[&["plan", "--format", "json"], &now[..]].concat())).unwrap();
    assert_eq!(
        json["campaigns"][0]["hours"][2],
        serde_json::json!({"hour": 20, "messages": 2})
    );
    assert_eq!(json["campaigns"][0]["funnel"]["messages"], 4);
    let why = |user: &str, more: &[&str]| go(&[&["why", user, "c"], &now[..], more].concat());
    let out = why("u1", &["--lang", "en"]);
    assert!(
        out.contains("`best_time ?? 18:00` is 10:00; due next: 2027-03-02 10:00\n"),
        "{out}"
    );
    assert!(
        out.contains("at 2027-03-02 10:00 it would be: message by sandbox.file"),
        "{out}"
    );
    assert!(
        why("u3", &["--lang", "zh"])
            .contains("`best_time ?? 18:00` 是 18:00，下次到期：2027-03-01 18:00")
    );
    let json: serde_json::Value = serde_json::from_str(&why("u2", &["--format", "json"])).unwrap();
    assert_eq!(
        json["turn"],
        serde_json::json!({"of": "best_time ?? 18:00", "value": "20:30", "next": "2027-03-01T20:30:00+08:00"})
    );
    let out = go(&[&["run", "--until", "2027-03-03", "--lang", "en"], &now[..]].concat());
    assert!(out.contains("4 times of users\n"), "{out}");
    let (_, out, _) = support::run(
        dir.path(),
        &["why", "u2", "c", "--now", "2027-03-03", "--lang", "en"],
    );
    assert!(
        out.contains("not due any more") && out.contains("run of 2027-03-01 20:30: accepted"),
        "{out}"
    );
    assert_eq!(out.matches("run of").count(), 1, "{out}");
}

/// An old copy of the ledger that is put back: what was due by then is given up, and nobody gets
/// anything twice.
#[test]
fn an_old_copy_of_the_ledger_sends_at_no_turn_twice() {
    if module_path!().starts_with("on_server") {
        return; // It is about a file.
    }
    let mut bench = own(&format!(
        "tag plan_end date base
         {}
         campaign renew {{ when everyone send template t at 9:00 on 2, 1, 0 days before plan_end }}",
        DAILY
    ));
    bench.set("ten", "plan_end", on("2027-03-03"));
    let ledger = bench.store().join("ledger.db");
    bench.run(FROM, "2027-03-01 12:00");
    let old = std::fs::read(&ledger).unwrap();
    bench.run("2027-03-01 12:00", "2027-03-03 12:00");
    let before = (
        days(&bench, "c", Zone::SHANGHAI),
        days(&bench, "renew", Zone::SHANGHAI),
    );
    std::fs::write(&ledger, old).unwrap();
    let world: std::sync::Arc<dyn tagcast::base::world::World> =
        std::sync::Arc::new(SimulatedWorld::at(at("2027-03-03 12:05")));
    let given_up = tagcast::engine::restored_ledger::resume_after_restore(
        &bench.place(),
        &bench.project(),
        "li",
        &world,
    )
    .unwrap()
    .expect("it is behind");
    assert_eq!(
        given_up.missed,
        [("c".to_string(), 1), ("renew".to_string(), 2)]
    );
    bench.run("2027-03-03 12:05", "2027-03-03 21:00");
    let (times, dates) = (
        days(&bench, "c", Zone::SHANGHAI),
        days(&bench, "renew", Zone::SHANGHAI),
    );
    assert_eq!(dates, before.1);
    let new: Vec<&String> = times.iter().filter(|t| !before.0.contains(t)).collect();
    assert_eq!(new, ["late 2027-03-03 20:00", "plain 2027-03-03 18:00"]);
    assert_eq!(times.len(), before.0.len() + 2);
    // What comes after is another message for the channel, too, and not taken for one of the lost
    // ones.
    bench.verified();
}
