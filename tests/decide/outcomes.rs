//! Properties over random people: one outcome each, whatever the order of the inputs; arms that
//! stay; shares that hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::Bench;
use super::memory::Memory;
use tagcast::base::{Bitmap, Instant};
use tagcast::decide::decision::{Decision, Gate};
use tagcast::decide::history::NoHistory;
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};

const PROGRAM: &str = r#"
policy { consent ok exclude banned "b" holdout 20% as "k" for marketing { cap 1 per day cap service_account.chat 2 per month keep 1 for priority >= 50 quiet 22:00..8:00 } for service { cap 2 per week no holdout } }
campaign first { when age >= 18 top 30 by spent sample 80% split { control 20% nothing x 40% send template named y 40% choose { when region == "Shanghai" send template hi otherwise nothing } }
    via service_account.chat, wecom.kf every day at 10:00 again after 2 days priority age }
campaign second { when region == "Shanghai" or age > 60 send template named via wecom.kf weight age, service_account.chat weight 30 every day at 10:00 again always priority 50 }
campaign third { purpose service when everyone send template hi via all of service_account.chat, wecom.kf every day at 10:00 again never }
"#;

fn people() -> impl Strategy<Value = String> {
    let flag = |name: &'static str| {
        prop::option::of(any::<bool>())
            .prop_map(move |b| b.map_or(String::new(), |b| format!("{name}: {b}, ")))
    };
    let person = (
        prop::option::of(0..90u32),
        prop::option::of(any::<bool>()),
        prop::option::of(0..5u32),
        prop::option::of(0..12u32),
        prop::option::of(0..12u32),
        prop::option::weighted(0.8, any::<bool>()),
        flag("banned"),
        prop::option::of(0..3u32),
    )
        .prop_map(|(age, shanghai, spent, openid, wecom, ok, banned, name)| {
            let mut out = String::new();
            if let Some(age) = age {
                let _ = write!(out, "age: {age}, ");
            }
            if let Some(shanghai) = shanghai {
                let _ = write!(
                    out,
                    "region: \"{}\", ",
                    if shanghai { "Shanghai" } else { "Beijing" }
                );
            }
            if let Some(spent) = spent {
                let _ = write!(out, "spent: ¥{spent}, ");
            }
            if let Some(openid) = openid {
                let _ = write!(out, "openid: \"o{openid}\", ");
            }
            if let Some(wecom) = wecom {
                let _ = write!(out, "wecom_id: \"w{wecom}\", ");
            }
            if let Some(ok) = ok {
                let _ = write!(out, "ok: {ok}, ");
            }
            if let Some(name) = name {
                let _ = write!(out, "name: \"{}\", ", ["王", "坏", "李"][name as usize]);
            }
            out + &banned
        });
    prop::collection::vec(person, 1..60).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .fold(String::new(), |mut text, (i, person)| {
                let _ = writeln!(text, "user u{i} {{ {person} }}");
                text
            })
    })
}

fn as_lines(bench: &Bench, decisions: &[Decision]) -> BTreeMap<(String, String), String> {
    let lines = decisions.iter().flat_map(|d| {
        let name = bench.program.campaign(d.campaign).declared.name.clone();
        bench
            .shown(d)
            .into_iter()
            .map(move |(user, outcome)| ((name.clone(), user), outcome))
    });
    lines.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_order_of_inputs_changes_nothing(people in people(), seed in 0..4u64, bound in any::<bool>(), days in 1..4u32) {
        let mut bench = Bench::new(PROGRAM, &people);
        (bench.seed, bench.bound) = (seed, bound);
        bench.words = ForbiddenWords::of(["坏"]).unwrap();
        let mut history = Memory::default();
        for day in 1..=days {
            let due = bench.at(&format!("2027-01-{day:02} 10:00"));
            // Each decision is checked for being disjoint and complete as it is made.
            let forward = bench.decide(&["first", "second", "third"], due, &history);
            let backward = bench.decide(&["third", "second", "first"], due, &history);
            prop_assert_eq!(as_lines(&bench, &forward), as_lines(&bench, &backward));
            forward.iter().for_each(|d| history.record(&bench.program, d, None));
        }
    }

    #[test]
    fn a_few_users_are_decided_as_among_all(people in people(), few in prop::collection::vec(0..60u32, 1..3)) {
        let bench = Bench::new(PROGRAM, &people);
        let due = bench.at("2027-01-01 10:00");
        let all = bench.decide(&["second"], due, &NoHistory).remove(0);
        let users = bench.snapshot.user_count();
        let only = Bitmap::from_users(users, few.into_iter().map(tagcast::base::UserNo));
        let scope = bench.scope(due);
        let input = DecideInput::scheduled(bench.campaign("second"), due, &scope, 0, &bench.words).for_only(0, &only);
        let some = decide_all(&[input], &NoHistory).unwrap().remove(0);
        super::check_complete(&some);
        for user in only.iter() {
            let (whole, part) = (bench.outcome(&all, user), bench.outcome(&some, user));
            // With fewer people there are fewer duplicates; nothing else can differ.
            prop_assert!(whole == part || whole == "duplicate_address", "{} {}", whole, part);
        }
    }
}

fn crowd(n: usize) -> String {
    (0..n).fold(String::new(), |mut text, i| {
        let _ = writeln!(text, "user p{i} {{ age: {} }}", 18 + i % 60);
        text
    })
}

const SPLIT: &str = "campaign first { when age >= 18 holdout 10% split { a 50% send template hi b 30% send template named control 20% nothing } every day at 10:00 again always }";

fn arms_at(bench: &Bench, due: Instant) -> Decision {
    bench.decide(&["first"], due, &NoHistory).remove(0)
}

#[test]
fn shares_hold_and_arms_stay() {
    let bench = Bench::new(SPLIT, &crowd(4000));
    let first = arms_at(&bench, bench.at("2027-01-01 10:00"));
    let held = super::stopped(&first, &Gate::Holdout);
    assert!((330..=470).contains(&held), "{held}");
    let sizes: Vec<usize> = first.arms.iter().map(|(_, users)| users.count()).collect();
    assert_eq!(sizes.iter().sum::<usize>() + held, 4000);
    for (size, share) in sizes.iter().zip([0.5, 0.3, 0.2]) {
        let expected = (4000 - held) as f64 * share;
        assert!((*size as f64 - expected).abs() < 110.0, "{sizes:?}");
    }
    // The same people a month later, and when the share of `a` grows at the cost of the others,
    // those in `a` stay.
    let later = arms_at(&bench, bench.at("2027-02-01 10:00"));
    assert_eq!(first.arms, later.arms);
    let grown = Bench::new(
        &SPLIT.replace("a 50%", "a 60%").replace("b 30%", "b 20%"),
        &crowd(4000),
    );
    let grown = arms_at(&grown, grown.at("2027-01-01 10:00"));
    assert!(first.arms[0].1.minus(&grown.arms[0].1).is_empty());
    assert_eq!(first.arms[2], grown.arms[2]);
    // Another seed is another drawing.
    let mut other = Bench::new(SPLIT, &crowd(4000));
    other.seed = 1;
    assert_ne!(
        first.arms,
        arms_at(&other, other.at("2027-01-01 10:00")).arms
    );
}

#[test]
fn users_keep_their_arms_when_the_store_is_filled_in_another_order() {
    let forward = Bench::new(SPLIT, &crowd(300));
    let reversed: String = crowd(300).lines().rev().collect::<Vec<_>>().join("\n");
    let backward = Bench::new(SPLIT, &reversed);
    assert_eq!(forward.outcomes(), backward.outcomes());
}

#[test]
fn campaigns_that_share_a_key_share_the_people() {
    let program = "campaign first { when everyone holdout 20% as \"q\" send template hi at 10:00 }
        campaign second { when everyone holdout 20% as \"q\" send template hi at 10:00 }
        campaign third { when everyone holdout 20% send template hi at 10:00 }";
    let bench = Bench::new(program, &crowd(500));
    let decisions = bench.decide(
        &["first", "second", "third"],
        bench.at("2027-01-01 10:00"),
        &NoHistory,
    );
    let held = |d: &Decision| {
        d.stopped
            .iter()
            .find(|(g, _)| *g == Gate::Holdout)
            .map(|(_, u)| u.clone())
            .unwrap()
    };
    assert_eq!(held(&decisions[0]), held(&decisions[1]));
    assert_ne!(held(&decisions[0]), held(&decisions[2]));
}
