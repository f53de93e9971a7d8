//! What the reference lists of the language is what the tables of the checker say. `BLESS=1 cargo
//! test --test house reference` writes it anew.

use crate::support::bless;
use std::fmt::Write as _;

use tagcast::diag::{Findings, Sources};
use tagcast::program::builtins::BUILTINS;
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::reserved::RESERVED;
use tagcast::program::run_outcome::{OUTCOMES, OutcomeStage};
use tagcast::syntax::parse::parse;

fn compare(name: &str, expected: &str) {
    bless::part("docs/language.md", name, expected);
}

#[test]
fn the_reference_lists_every_function_and_every_reserved_form() {
    let mut functions = String::from("| function | gives |\n| --- | --- |\n");
    for usage in BUILTINS.iter().map(|b| b.usage()) {
        let _ = writeln!(
            functions,
            "| `{}` | {} |",
            usage.signature.replace('|', "\\|"),
            usage.en
        );
    }
    compare("functions", &functions);
    let mut reserved = String::from("| form | meaning |\n| --- | --- |\n");
    for r in RESERVED {
        let _ = writeln!(reserved, "| `{}` | {} |", r.form.replace('|', "\\|"), r.en);
    }
    compare("reserved", &reserved);
}

#[test]
fn the_reference_lists_every_outcome() {
    let mut outcomes = String::from(
        "| outcome | in words | Chinese | users | in a test |\n| --- | --- | --- | --- | --- |\n",
    );
    for o in OUTCOMES {
        let users = match o.stage {
            OutcomeStage::Selection => "not matched",
            OutcomeStage::Gate => "matched",
        };
        let (en, zh) = o.words;
        let test = o
            .not_in_tests
            .map_or("yes".to_owned(), |(why, _)| format!("no: {why}"));
        let _ = writeln!(
            outcomes,
            "| `{}` | {en} | {zh} | {users} | {test} |",
            o.name
        );
    }
    compare("outcomes", &outcomes);
}

#[test]
fn the_examples_of_the_functions_check() {
    let mut program = String::from(
        "event purchase { amount money, category text(20) }\nevent cart_add { sku text(40) }\ntag birthday date\n",
    );
    for (i, b) in BUILTINS.iter().enumerate() {
        let _ = writeln!(program, "audience example_{i} = {}", b.usage().example);
    }
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let file = sources.add("examples.campaign", program.as_str());
    let tree = parse(file, &program, &mut findings);
    check(&sources, &[tree], &CheckOptions::default(), &mut findings);
    let shown: Vec<String> = findings
        .sorted()
        .into_iter()
        .map(|f| format!("`{}` {}", sources.slice(f.span), f.message.en))
        .collect();
    assert_eq!(shown, Vec::<String>::new());
}

/// Each reserved form, written as a program or a clause would, ends in its own finding and nothing
/// else.
#[test]
fn every_reserved_form_is_refused_by_name() {
    let campaign = |clauses: &str| {
        format!(
            "tag vip bool\ntag best_time time\ntag plan_end date\ntemplate t \"您好\"\ncampaign c {{\n when vip\n send template t\n {clauses}\n}}\n"
        )
    };
    let at = |clause: &str| campaign(&format!("{clause}\n at 2099-11-11 10:00"));
    let programs = [
        ("nearest", "tag home place\nlookup store(id text(9)) { spot place, name text(9) } from \"s.csv\"\naudience a = nearest(store.spot, home within 5km).name == \"x\"".to_owned()),
        ("pool", "pool coupons { size 1000 }".to_owned()),
        ("page", "page sale { url \"https://shop.example\" }".to_owned()),
        ("rollout", at("rollout 1%, 10% after 4h, 100% after 24h")),
        ("stop if", at("stop if opted_out > 0.5% of at least 500")),
        ("review", "policy { review everything }".to_owned()),
        (
            "event opened",
            campaign("at 2099-11-11 10:00")
                + "test \"x\" {\n now 2099-11-11 09:00\n user u1 { }\n event u1 opened { campaign: \"c\" } at 2099-11-11 11:00\n expect u1 matches c\n}",
        ),
        (
            "then … then",
            "event v { sku text(9) }\naudience a = did(v then v within 1h then v within 1h, ever)".to_owned(),
        ),
    ];
    assert_eq!(
        programs.iter().map(|p| p.0).collect::<Vec<_>>(),
        RESERVED.iter().map(|r| r.name).collect::<Vec<_>>()
    );
    for (name, text) in programs {
        let mut sources = Sources::default();
        let mut findings = Findings::default();
        let file = sources.add("a.campaign", text.as_str());
        let tree = parse(file, &text, &mut findings);
        check(&sources, &[tree], &CheckOptions::default(), &mut findings);
        let shown: Vec<String> = findings
            .sorted()
            .into_iter()
            .map(|f| format!("{}: {}", f.code.name, f.message.en))
            .collect();
        assert_eq!(
            shown,
            [format!("not-supported-yet: `{name}` is not supported yet")],
            "{text}"
        );
    }
}
