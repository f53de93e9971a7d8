//! What campaigns, templates and policies come out as once they are checked: the typed program that
//! later stages read.

use tagcast::base::{Calendar, Date, Elapsed, TimeOfDay, Zone};
use tagcast::diag::{Findings, Sources};
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::typed::{
    Action, Again, Campaign, CapPeriod, EveryPeriod, Once, PartKind, Piece, Program, Purpose,
    Requirement, Schedule, Share, Takes,
};
use tagcast::program::typed_expr::{ExprKind, Length, StepOutcome};
use tagcast::syntax::parse::parse;

const DECLARATIONS: &str = r#"
tag vip bool base
tag age int 0..120 base
tag region enum("Shanghai", "Beijing") base
tag order_total money behavior
tag churn_risk ratio predicted
tag marketing_ok bool consent base
tag wecom_id address(wecom) base
tag openid address(service_account) base
tag rose_id address(rose) base
account rose service_account "玫瑰"
event purchase { amount money }
event cart_add { sku text(40), price money, note text(20) optional }
template hello "满300减50"
template local "{region}门店满{{300}}减50"
template back for cart_add { body "{event.sku}: {event.note}" entry "客服" }
template paid { platform "TM1" field thing1 = "购物车" }
"#;

/// The typed program of a text beside the declarations, which must have no findings.
fn program(text: &str) -> Program {
    let text = format!("{DECLARATIONS}{text}");
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let file = sources.add("spring.campaign", text.as_str());
    let tree = parse(file, &text, &mut findings);
    let options = CheckOptions {
        now: Zone::SHANGHAI.parse_instant("2030-01-01"),
        ..CheckOptions::default()
    };
    let program = check(&sources, &[tree], &options, &mut findings);
    let shown: Vec<String> = findings
        .sorted()
        .into_iter()
        .map(|f| format!("{}: {}", f.code.name, f.message.en))
        .collect();
    assert_eq!(shown, Vec::<String>::new());
    program
}

fn campaign(clauses: &str) -> Campaign {
    program(&format!("campaign spring {{\n{clauses}\n}}"))
        .campaigns
        .remove(0)
}

fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn a_bare_rule_is_named_by_its_file() {
    let p = program("when vip send template hello at 10:00");
    let c = &p.campaigns[0];
    assert_eq!(
        (c.declared.name.as_str(), c.purpose),
        ("spring", Purpose::Marketing)
    );
    assert!(matches!(c.schedule, Schedule::Once(Once::TimeOfDay(t)) if t == time("10:00")));
    assert_eq!(c.via.routes[0].channel.to_string(), "sandbox.file");
    assert_eq!(c.via.routes[0].address, None);
    assert_eq!(c.deadline(), Length::Elapsed(Elapsed::hours(1)));
}

#[test]
fn arms_keep_shares_and_their_own_channels() {
    let c = campaign(
        "when vip\nsplit {\n a 45% send template hello\n b 45.5% choose {\n when region == \"Shanghai\" send template local via rose.chat\n otherwise nothing\n }\n control 9.5% nothing\n}\n\
         via wecom.kf weight age, sandbox.file weight churn_risk\nat 2030-03-01 10:00\nholdout 10% as \"K\"\nsample 5%\ntop 100 by order_total",
    );
    let Action::Split(arms) = &c.action else {
        panic!("a split")
    };
    assert_eq!(
        arms.iter().map(|a| a.share.0).collect::<Vec<_>>(),
        [450_000, 455_000, 95_000]
    );
    let Action::Choose(choice) = &arms[1].action else {
        panic!("a choose")
    };
    let Action::Send(send) = &choice[0].action else {
        panic!("a send")
    };
    let via = send.via.as_ref().unwrap();
    assert_eq!(
        (
            via.routes[0].channel.account.as_str(),
            via.routes[0].channel.platform.as_str()
        ),
        ("rose", "service_account")
    );
    assert!(choice[1].when.is_none() && matches!(choice[1].action, Action::Nothing));
    assert!(c.via.takes == Takes::Heaviest && c.via.routes.iter().all(|r| r.weight.is_some()));
    assert_eq!(
        c.holdout.as_ref().map(|h| (h.share, h.key.as_deref())),
        Some((Share(100_000), Some("K")))
    );
    assert_eq!(
        (c.sample, c.top.as_ref().map(|t| t.n)),
        (Some(Share(50_000)), Some(100))
    );
    assert!(
        matches!(c.schedule, Schedule::Once(Once::At(d, t)) if d == date("2030-03-01") && t == time("10:00"))
    );
}

#[test]
fn schedules() {
    let every = |text: &str| match campaign(&format!(
        "when vip\nsend template hello\nagain never\nevery {text}"
    ))
    .schedule
    {
        Schedule::Every(e) => e,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        every("thursday, monday at 20:00").period,
        EveryPeriod::Weekdays {
            days: vec![1, 4],
            at: time("20:00")
        }
    );
    assert_eq!(
        every("month on last, 15, 1 at 9:00").period,
        EveryPeriod::Month {
            days: vec![1, 15],
            last: true,
            at: time("9:00")
        }
    );
    let e = every("2 weeks at 9:00 from 2030-02-01 until 2030-03-01");
    assert_eq!(
        (e.period, e.from, e.until),
        (
            EveryPeriod::Days {
                n: 14,
                at: time("9:00")
            },
            Some(date("2030-02-01")),
            Some(date("2030-03-01"))
        )
    );
    assert_eq!(
        every("hour 7:00..21:00").period,
        EveryPeriod::Hour {
            from: time("7:00"),
            to: time("21:00")
        }
    );
    assert_eq!(
        every("hour").period,
        EveryPeriod::Hour {
            from: time("0:00"),
            to: time("23:59:59")
        }
    );
    assert_eq!(
        every("day at 8:30").period,
        EveryPeriod::Day { at: time("8:30") }
    );
}

#[test]
fn triggers_and_their_series() {
    let c = campaign(
        "goal purchase within 24h\non cart_add where price > ¥100 and note is known wait 30min from last unless purchase where amount > event.price\n\
         again per event.sku\nsend template back via wecom.kf\nremind: after 3 days at 10:00 if not converted send template back else nothing\n\
         after 1 week from spring send template hello\nafter 24h from remind send template hello via sandbox.file\nleave when vip",
    );
    let Schedule::Trigger(t) = &c.schedule else {
        panic!("a trigger")
    };
    assert_eq!(
        (t.wait, t.from_last, t.unless.is_some()),
        (Some(Length::Elapsed(Elapsed::minutes(30))), true, true)
    );
    assert!(matches!(c.again, Some(Again::Per { field: 0 })));
    assert!(
        matches!(c.when.kind, ExprKind::Everyone),
        "a trigger without `when` is for everyone"
    );
    // `send T via c` at the top holds for the follow-ups too.
    assert_eq!(c.via.routes[0].channel.to_string(), "wecom.kf");
    assert_eq!(c.deadline(), Length::Elapsed(Elapsed::hours(24)));
    assert_eq!(
        c.steps
            .iter()
            .map(|s| (s.name.as_str(), s.from))
            .collect::<Vec<_>>(),
        [("remind", 0), ("after2", 0), ("after3", 1)]
    );
    assert_eq!(c.steps[0].at, Some(time("10:00")));
    assert!(matches!(c.steps[0].otherwise, Some(Action::Nothing)));
    assert!(c.leave_when.is_some());
}

#[test]
fn limits_and_targets() {
    let c = campaign(
        "when vip\nsend template hello\nvia wecom.kf\nat now\npriority 10 + age rising 2 per hour\ncap 4 per month keep 1 for priority >= 80\ncap wecom.kf 2 per rolling 30 days\n\
         quiet 22:00..8:00\ndeadline 2 days\npace 100 per minute",
    );
    assert_eq!(c.priority.rising_per_hour, 2);
    let caps: Vec<_> = c
        .caps
        .iter()
        .map(|k| {
            (
                k.channel.as_ref().map(ToString::to_string),
                k.n,
                k.per,
                k.keep,
            )
        })
        .collect();
    assert_eq!(
        caps,
        [
            (None, 4, CapPeriod::Month, Some((1, 80))),
            (Some("wecom.kf".into()), 2, CapPeriod::RollingDays(30), None)
        ]
    );
    assert_eq!(
        c.quiet.map(|q| (q.from, q.to)),
        Some((time("22:00"), time("8:00")))
    );
    assert_eq!(
        (c.deadline(), c.pace),
        (Length::Calendar(Calendar::days(2)), Some(100))
    );
    let c = campaign(
        "goal purchase\nwhen vip\nsend template hello\nat now\nrecall 24h\ntarget delivered >= 95%, converted >= 8.5%",
    );
    assert_eq!(
        c.target,
        [
            (StepOutcome::Delivered, Share(950_000)),
            (StepOutcome::Converted, Share(85_000))
        ]
    );
    assert_eq!(c.recall, Some(Length::Elapsed(Elapsed::hours(24))));
    assert_eq!(
        c.goal.map(|g| g.within),
        Some(Length::Elapsed(Elapsed::hours(72)))
    );
}

#[test]
fn templates_keep_pieces_and_parts() {
    let p = program("");
    let local = p
        .templates
        .iter()
        .find(|t| t.declared.name == "local")
        .unwrap();
    assert_eq!(local.parts[0].kind, PartKind::Body);
    let [Piece::Hole(hole), Piece::Text(rest)] = &local.parts[0].text.pieces[..] else {
        panic!("{:?}", local.parts[0].text)
    };
    assert!(matches!(hole.kind, ExprKind::Tag(_)));
    assert_eq!(&**rest, "门店满{300}减50");
    let back = p
        .templates
        .iter()
        .find(|t| t.declared.name == "back")
        .unwrap();
    assert!(back.for_event.is_some());
    let paid = p
        .templates
        .iter()
        .find(|t| t.declared.name == "paid")
        .unwrap();
    assert_eq!(
        paid.parts
            .iter()
            .map(|p| p.kind.clone())
            .collect::<Vec<_>>(),
        [PartKind::Platform, PartKind::Field("thing1".into())]
    );
}

#[test]
fn policy_and_accounts() {
    let p = program(
        "policy {\n timezone \"Europe/Berlin\"\n currency \"EUR\"\n consent marketing_ok\n require goal, entry\n exclude age < 18 \"minors\"\n exclude vip\n holdout 5%\n\
         for marketing { cap 4 per month quiet 22:00..8:00 }\n for transaction { no cap no quiet no holdout }\n}",
    );
    let policy = &p.policy;
    assert_eq!(
        (policy.zone.name(), policy.currency.as_str()),
        ("Europe/Berlin", "EUR")
    );
    assert_eq!(policy.consent, p.schema.tag_named("marketing_ok"));
    assert_eq!(
        policy.require.iter().map(|(r, _)| *r).collect::<Vec<_>>(),
        [Requirement::Goal, Requirement::Entry]
    );
    assert_eq!(
        policy
            .excludes
            .iter()
            .map(|x| x.reason.as_str())
            .collect::<Vec<_>>(),
        ["minors", "vip"]
    );
    assert_eq!(
        policy.purposes[&Purpose::Marketing].caps[0].per,
        CapPeriod::Month
    );
    let transaction = &policy.purposes[&Purpose::Transaction];
    assert!(transaction.no_cap && transaction.no_quiet && transaction.no_holdout);
    let accounts: Vec<&str> = p.accounts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(
        accounts,
        [
            "service_account",
            "subscription_account",
            "wecom",
            "alipay",
            "douyin",
            "webhook",
            "sandbox",
            "rose"
        ]
    );
}
