//! What messages say, and the funnel that shows them.

use super::Bench;
use tagcast::base::Lang;
use tagcast::decide::decision::Contents;
use tagcast::decide::funnel::{Funnel, SampleKind};
use tagcast::decide::history::NoHistory;

fn bodies(bench: &Bench) -> Vec<(String, String)> {
    let decision = bench
        .decide(&["first"], bench.at("2027-01-01 10:00"), &NoHistory)
        .remove(0);
    let mut out: Vec<(String, String)> = Vec::new();
    for group in &decision.messages {
        for (i, user) in group.users.iter().enumerate() {
            let id = bench.snapshot.user_id(*user).unwrap().to_string();
            out.push((id, group.contents.of(i).unwrap().parts[0].1.clone()));
        }
    }
    out.sort();
    out
}

#[test]
fn holes_show_values_as_people_write_them() {
    let program = r#"
tag rate  ratio base
tag born  date base
tag likes set of enum("tea", "rice") base
tag phone text(20) private base
template all { body "{name ?? '您'} {region ?? '全国'} {spent ?? ¥0} {rate ?? 0%} {born ?? 2000-01-01} {likes ?? []} {mask(phone) ?? '-'} {{x}}" entry "客服 400-000-0000" }
campaign first { when everyone send template all at 10:00 }"#;
    let program = program.replace("{likes ?? []}", "");
    let users = "user u1 { name: \"王\", region: \"Shanghai\", spent: ¥1234.50, rate: 30%, born: 1990-02-03, phone: \"13812345678\" } user u2 { }";
    let bench = Bench::new(&program, users);
    let expected = [
        (
            "u1",
            "王 Shanghai ¥1,234.50 30% 1990-02-03  1*********8 {x}",
        ),
        ("u2", "您 全国 ¥0 0% 2000-01-01  - {x}"),
    ];
    assert_eq!(
        bodies(&bench),
        expected.map(|(u, t)| (u.to_string(), t.to_string()))
    );
}

#[test]
fn equal_texts_are_one() {
    let users =
        "user u1 { name: \"王\" } user u2 { name: \"李\" } user u3 { name: \"王\" } user u4 { }";
    let program = "campaign first { when everyone send template named at 10:00 } campaign plain { when everyone send template hi at 10:00 }";
    let bench = Bench::new(program, users);
    let due = bench.at("2027-01-01 10:00");
    let decisions = bench.decide(&["first", "plain"], due, &NoHistory);
    let Contents::Each(each) = &decisions[0].messages[0].contents else {
        panic!()
    };
    assert!(
        std::sync::Arc::ptr_eq(&each[0], &each[2]) && !std::sync::Arc::ptr_eq(&each[0], &each[1])
    );
    assert!(matches!(
        decisions[1].messages[0].contents,
        Contents::Same(_)
    ));
    assert_eq!(
        (
            decisions[0].messages[0].defaulted,
            decisions[1].messages[0].defaulted
        ),
        (Some(3), None)
    );
}

#[test]
fn the_funnel_shows_samples_and_counts() {
    let program = "policy { consent ok }
        campaign first { when age >= 18 holdout 1% split { a 50% send template named b 50% send template hi } via service_account.mass, wecom.kf at 10:00 }";
    let mut users = String::from(
        "user old { } user kid { age: 3 } user no { age: 20, openid: \"no\" } user far { age: 20, ok: true }\n",
    );
    for i in 0..40 {
        let name = if i == 7 {
            String::new()
        } else {
            format!(", name: \"{}\"", "名".repeat(1 + i % 5))
        };
        users += &format!("user u{i} {{ age: 20, ok: true, openid: \"{i}\"{name} }}\n");
    }
    let program = program.replace("service_account.mass, wecom.kf", "service_account.chat");
    let bench = Bench::new(&program, &users);
    let decision = bench
        .decide(&["first"], bench.at("2027-01-01 10:00"), &NoHistory)
        .remove(0);
    let funnel = Funnel::of(&decision, &bench.program);
    assert_eq!(
        (
            funnel.users,
            funnel.not_matched,
            funnel.unknown,
            funnel.matched
        ),
        (44, 1, 1, 42)
    );
    assert_eq!(funnel.unknown_because[0].tag, "age");
    assert_eq!(funnel.messages, decision.planned());
    assert_eq!(
        funnel.arms.iter().map(|a| a.messages).sum::<usize>(),
        funnel.messages
    );
    assert_eq!(
        funnel.matched,
        funnel.messages + funnel.stopped.iter().map(|s| s.users).sum::<usize>()
    );
    let body = |kind: SampleKind| {
        funnel
            .samples
            .iter()
            .find(|s| s.kind == kind)
            .map(|s| s.message.parts[0].1.as_str())
    };
    assert_eq!(
        [body(SampleKind::Shortest), body(SampleKind::Longest)],
        [Some("名好"), Some("你好")]
    );
    assert!(matches!(body(SampleKind::Default), None | Some("您好")));
    let json = funnel.json();
    assert_eq!(json["matched"], 42);
    assert_eq!(
        json["stopped"]
            .as_array()
            .map(|s| s
                .iter()
                .map(|s| s["gate"].as_str().unwrap())
                .collect::<Vec<_>>())
            .unwrap()[0],
        "no_consent"
    );
    assert!(json["samples"][0]["message"]["body"].is_string());
    for (lang, word) in [
        (Lang::En, "unknown, for want of age 1"),
        (Lang::Zh, "未知，缺少 age 1"),
    ] {
        assert!(funnel.show(lang).contains(word), "{}", funnel.show(lang));
    }
}

#[test]
fn a_later_and_higher_campaign_is_a_rival() {
    let program = "policy { cap 1 per day }
        campaign first { when everyone send template hi at 9:00 priority 10 }
        campaign second { when age > 30 send template hi at 10:00 priority 80 }
        campaign third { when everyone send template hi at 11:00 priority 5 }";
    let bench = Bench::new(
        program,
        "user u1 { age: 40 } user u2 { age: 20 } user u3 { age: 50 }",
    );
    let decide = |name: &str, at: &str| bench.decide(&[name], bench.at(at), &NoHistory).remove(0);
    let decisions = [
        decide("first", "2027-01-01 09:00"),
        decide("second", "2027-01-01 10:00"),
        decide("third", "2027-01-01 11:00"),
    ];
    let funnels = Funnel::of_all(&decisions.iter().collect::<Vec<_>>(), &bench.program);
    let rivals: Vec<Vec<(&str, usize)>> = funnels
        .iter()
        .map(|f| {
            f.rivals
                .iter()
                .map(|r| (r.campaign.as_str(), r.users))
                .collect()
        })
        .collect();
    assert_eq!(rivals, [vec![("second", 2)], vec![], vec![]]);
    assert!(
        funnels[0]
            .show(Lang::En)
            .contains("also wanted by second, later (2027-01-01 10:00) and higher")
    );
}
