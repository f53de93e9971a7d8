//! What the checker makes of small programs: types of expressions, presence, and the findings of
//! every theme.

use tagcast::base::Zone;
use tagcast::diag::{Findings, Sources};
use tagcast::program::check::{CheckOptions, MAX_CHAIN, MAX_EXPR_DEPTH, check, check_value};
use tagcast::program::definedness::{Definedness, can_be_missing};
use tagcast::program::typed::Program;
use tagcast::syntax::parse::{parse, parse_condition};

/// One of every type.
const WORLD: &str = r#"
tag region     enum("Shanghai", "Beijing", "Guangzhou") base
tag home_region enum("Shanghai", "Beijing", "Guangzhou") base
tag level      enum("gold", "silver") base
tag nickname   text(10) base
tag city       text(20) always
tag phone      text(20) private
tag home       place private
tag openid     address(service_account)
tag vip        bool
tag member     bool always
tag interests  set of enum("beauty", "food", "travel")
tag age        int 0..120
tag visits     int
tag score      number
tag rate       ratio
tag total      money
tag budget     money always
tag birthday   date
tag signup     instant
tag wakes      time
tag stay       elapsed
tag walk       distance
event purchase { amount money, category text(20), qty int 1..100, discount ratio, store text(20) optional }
event view { sku text(40) }
lookup weather(city text(20)) { uv number, rain bool } from "weather.csv" fresh 3h
place office = (31.2304, 121.4737)
list vips from "vips.csv"
partition tier {
  high when total >= ¥5000
  low  otherwise
}
audience savers = rate > 30%
tag orders = count(purchase, last 30 days)
tag spent = sum(purchase.amount, ever)
"#;

/// Checks files given as texts: the program, and each finding as `name: message [fix | fix]`.
fn check_files(files: &[(&str, &str)]) -> (Program, Sources, Vec<String>) {
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let mut trees = Vec::new();
    for (path, text) in files {
        let id = sources.add(*path, *text);
        trees.push(parse(id, text, &mut findings));
    }
    let options = CheckOptions {
        now: Zone::SHANGHAI.parse_instant("2026-11-01"),
        ..CheckOptions::default()
    };
    let program = check(&sources, &trees, &options, &mut findings);
    (program, sources, shown(findings))
}

fn shown(findings: Findings) -> Vec<String> {
    let show = |f: tagcast::diag::Finding| {
        let fixes: Vec<String> = f.fixes.iter().map(|fix| fix.title.en.clone()).collect();
        let fixes = if fixes.is_empty() {
            String::new()
        } else {
            format!(" [{}]", fixes.join(" | "))
        };
        format!("{}: {}{fixes}", f.code.name, f.message.en)
    };
    findings.sorted().into_iter().map(show).collect()
}

/// The type of an expression of the world, with `?` when it can be missing; or its findings.
fn type_of(program: &Program, sources: &Sources, text: &str) -> String {
    let mut sources = sources.clone();
    let mut findings = Findings::default();
    let file = sources.add("expression", text);
    let typed = parse_condition(file, text, &mut findings)
        .and_then(|e| check_value(program, &sources, &e, &mut findings));
    match typed {
        Some(e) if findings.is_empty() => {
            format!("{}{}", e.ty.describe(), if e.optional { "?" } else { "" })
        }
        _ => shown(findings).join("; "),
    }
}

/// Every pair of types that an operator takes, and what comes of it; `?` where it can be missing or
/// unknown.
#[test]
fn types_of_expressions() {
    let (program, sources, findings) = check_files(&[("world.campaign", WORLD)]);
    assert_eq!(findings, Vec::<String>::new());
    let table = [
        // comparisons; literals take the type of the other side
        ("total > 500", "bool?"),
        ("500 < total", "bool?"),
        ("budget > ¥99.5", "bool"),
        ("rate > 0.3", "bool?"),
        ("30% < rate", "bool?"),
        ("age > 18.5", "bool?"),
        ("age > score", "bool?"),
        ("region == \"Shanghai\"", "bool?"),
        ("region == home_region", "bool?"),
        ("city == \"Shanghai\"", "bool"),
        ("city < nickname", "bool?"),
        ("vip == true", "bool?"),
        ("member", "bool"),
        ("tier == \"high\"", "bool?"),
        ("birthday > 2026-01-01", "bool?"),
        ("signup > 2026-01-01 10:00", "bool?"),
        ("wakes < 9:00", "bool?"),
        ("stay > 30min", "bool?"),
        ("walk < 3km", "bool?"),
        ("-age < -5", "bool?"),
        // in
        ("age in 18..30", "bool?"),
        ("age not in [1, 2, 3]", "bool?"),
        ("region in [\"Shanghai\", \"Beijing\"]", "bool?"),
        ("city in [\"Shanghai\"]", "bool"),
        ("total in 100..500", "bool?"),
        ("wakes in 6:00..9:00", "bool?"),
        ("birthday in 2026-01-01..2026-12-31", "bool?"),
        ("birthday in next 7 days", "bool?"),
        ("signup in 2026-01-01..2026-02-01", "bool?"),
        ("signup in previous month", "bool?"),
        ("yearly(birthday) in next 7 days", "bool?"),
        ("\"beauty\" in interests", "bool?"),
        // contains
        ("interests contains \"beauty\"", "bool?"),
        ("interests contains any [\"beauty\", \"food\"]", "bool?"),
        ("interests contains all [\"beauty\"]", "bool?"),
        ("city contains \"海\"", "bool"),
        ("city contains any [\"a\", \"b\"]", "bool"),
        ("city starts with \"上\"", "bool"),
        // conditions
        ("everyone", "bool"),
        ("savers except vips", "bool?"),
        ("vips except savers", "bool"),
        ("not vip", "bool?"),
        ("age is missing", "bool"),
        ("age is missing or age > 3", "bool"),
        ("age is known and age > 3", "bool"),
        ("not (age is missing or age > 3)", "bool"),
        ("age is known and visits > 3", "bool?"),
        ("openid is known", "bool"),
        // arithmetic
        ("total + 500", "money?"),
        ("total - budget", "money?"),
        ("2 * total", "money?"),
        ("total * 30%", "money?"),
        ("budget * rate", "money?"),
        ("total / 30", "money?"),
        ("total / budget", "number?"),
        ("age + 1", "int 1..121?"),
        ("(age ?? 0) * (age ?? 0)", "int 0..14400"),
        ("visits + 1", "int?"),
        ("age / 2", "number?"),
        ("age mod 7", "int 0..6?"),
        ("score * 2", "number?"),
        ("1 - rate", "number?"),
        ("round((rate ?? 0%) * 100)", "number"),
        ("10 / 4", "number"),
        ("10 / age", "number?"),
        ("birthday + 3 days", "date?"),
        ("1 month + birthday", "date?"),
        ("signup - 3h", "instant?"),
        ("signup + 2 weeks", "instant?"),
        ("signup - signup", "elapsed time?"),
        // functions
        ("distance(home, office) < 3km", "bool?"),
        ("days(birthday, 2026-11-01)", "int -4294967295..4294967295?"),
        ("month(2026-11-11)", "int 1..12"),
        ("lower(city)", "text"),
        ("length(interests)", "int 0..4294967295?"),
        ("abs(age)", "int 0..120?"),
        ("round(budget)", "money"),
        ("least(age, score)", "number?"),
        ("greatest(budget, 500)", "money"),
        ("if(vip, 10, 20)", "int 10..20?"),
        // A text literal is as long as it is, whatever stands beside it.
        ("if(vip, \"会员\", \"普通用户\")", "text(4)?"),
        ("nickname ?? \"longer than ten\"", "text(15)"),
        ("least(nickname, \"longer than ten\")", "text(15)?"),
        ("nickname < \"longer than ten\"", "bool?"),
        ("nickname in \"a\"..\"longer than ten\"", "bool?"),
        ("\"a\" in [\"ab\", \"abc\"]", "bool"),
        ("if(age is known, age, 0)", "int 0..120"),
        ("if(member, region, '城市')", "text(9)?"),
        ("mask(phone)", "text(20)?"),
        ("mask(openid)", "text?"),
        (
            "region ?? \"Beijing\"",
            "enum(\"Shanghai\", \"Beijing\", \"Guangzhou\")",
        ),
        ("region ?? '您的城市'", "text(9)"),
        ("(region ?? \"nowhere\") == \"nowhere\"", "bool"),
        ("age ?? 0.5", "number"),
        ("score ?? age", "number?"),
        ("weather(region).uv > 5", "bool?"),
        ("weather(city).rain", "bool?"),
        // events
        ("did(purchase, last 30 days)", "bool"),
        (
            "did(purchase where amount > 100 and store == \"a\", today)",
            "bool",
        ),
        (
            "did(view then no purchase within 30min, last 7 days)",
            "bool",
        ),
        (
            "count(view then purchase where amount > 3 within 1 day, this week)",
            "int 0..4294967295",
        ),
        ("sum(purchase.amount, this month)", "money"),
        ("sum(purchase.discount, ever)", "number"),
        ("avg(purchase.qty, ever)", "number?"),
        ("avg(purchase.discount, ever)", "ratio?"),
        (
            "max(purchase.qty where discount > 10%, ever)",
            "int 1..100?",
        ),
        ("first(purchase.store, since 2026-01-01)", "text(20)?"),
        (
            "latest(purchase.category, 2026-11-01..2026-11-11)",
            "text(20)?",
        ),
        (
            "distinct(purchase.category, last 90 days)",
            "int 0..4294967295",
        ),
        ("since(purchase)", "elapsed time?"),
        ("did(sent, last 7 days)", "bool"),
        // a receipt that is not known is unknown
        (
            "did(opened where channel == \"sandbox.file\", last 7 days)",
            "bool?",
        ),
        ("count(clicked, last 7 days)", "int 0..4294967295?"),
        ("orders > 3", "bool"),
        ("spent > 500", "bool"),
    ];
    let wrong: Vec<String> = table
        .iter()
        .map(|(text, expected)| (text, expected, type_of(&program, &sources, text)))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(text, expected, found)| format!("{text}: expected {expected}, found {found}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every operator between every two types, literals and columns: a type, or exactly one finding.
#[test]
fn every_pair_has_an_answer() {
    let (program, sources, _) = check_files(&[("world.campaign", WORLD)]);
    let operands = [
        "region",
        "level",
        "nickname",
        "home",
        "openid",
        "vip",
        "interests",
        "age",
        "score",
        "rate",
        "total",
        "birthday",
        "signup",
        "wakes",
        "stay",
        "walk",
        "tier",
        "savers",
        "vips",
        "office",
        "everyone",
        "since(purchase)",
        "count(view, ever)",
        "3",
        "0.5",
        "30%",
        "¥5",
        "\"Shanghai\"",
        "2026-11-11",
        "10:00",
        "2026-11-11 10:00",
        "30min",
        "3 days",
        "500m",
        "true",
        "(31, 121)",
        "[3]",
        "3..5",
        "purchase",
        "weather",
        "-total",
        "nosuch",
    ];
    let operators = [
        "==",
        "<",
        "+",
        "-",
        "*",
        "/",
        "mod",
        "??",
        "in",
        "contains",
        "starts with",
        "and",
        "except",
    ];
    let mut refused = 0;
    for left in operands {
        for right in operands {
            for op in operators {
                let text = format!("{left} {op} {right}");
                let answer = type_of(&program, &sources, &text);
                assert!(!answer.is_empty(), "{text}: no type and no finding");
                let findings = answer.split("; ").filter(|a| a.contains(": ")).count();
                refused += usize::from(findings > 0);
                // Two operands that are each wrong by themselves are two findings.
                assert!(findings <= 2, "{text}: {answer}");
            }
        }
    }
    assert!(refused > 15_000, "{refused}");
}

/// The tags that must be there where the condition is true.
fn proved(condition: &str) -> String {
    let world = format!("{WORLD}\naudience asked = {condition}");
    let (program, _, findings) = check_files(&[("world.campaign", &world)]);
    assert_eq!(findings, Vec::<String>::new(), "{condition}");
    let mut present = Definedness::default();
    let asked = program
        .audiences
        .iter()
        .find(|a| a.declared.name == "asked")
        .expect("declared above");
    present.assume(&program, &asked.when);
    let tags = present
        .tags
        .iter()
        .map(|id| program.schema.tag(*id).name.clone());
    tags.chain(
        present
            .partitions
            .iter()
            .map(|id| program.partition(*id).declared.name.clone()),
    )
    .collect::<Vec<_>>()
    .join(" ")
}

#[test]
fn what_a_condition_proves() {
    let table = [
        ("age > 3 and vip", "vip age"),
        ("age > 3 or vip", ""),
        ("age > 3 or age < 1", "age"),
        ("(age > 3 and vip) or (vip and rate > 30%)", "vip"),
        ("not (age > 3)", "age"),
        ("not (age > 3 or vip)", "vip age"),
        ("not (age > 3 and vip)", ""),
        ("age is known", "age"),
        ("not (age is missing)", "age"),
        ("age is missing", ""),
        ("(age ?? 0) > 3", ""),
        ("(age ?? visits) > 3", ""),
        ("(age ?? age) > 3", "age"),
        ("savers", "rate"),
        ("not savers", "rate"),
        ("savers except vip", "rate"),
        ("everyone except vip", ""),
        ("not (savers except vip)", ""),
        ("tier == \"high\"", "tier"),
        (
            "interests contains \"food\" and region in [\"Beijing\"]",
            "region interests",
        ),
        ("yearly(birthday) in next 7 days", "birthday"),
        (
            "distance(home, office) < 3km and weather(region).uv > 5",
            "region home",
        ),
        ("if(vip, age, visits) > 3", "vip"),
        ("total + budget > 500", "total budget"),
        ("did(purchase, last 30 days)", ""),
        ("orders > 3", "orders"),
    ];
    for (condition, tags) in table {
        assert_eq!(proved(condition), tags, "{condition}");
    }
}

/// Audiences that name each other twice a level: looked through once each, not 2^30 times.
#[test]
fn proofs_do_not_explode() {
    let mut world = String::from("tag vip bool\naudience a0 = vip\n");
    for i in 1..30 {
        world += &format!("audience a{i} = a{} and a{}\n", i - 1, i - 1);
    }
    let (program, _, findings) = check_files(&[("deep.campaign", &world)]);
    assert_eq!(findings, Vec::<String>::new());
    let mut present = Definedness::default();
    present.assume(&program, &program.audiences[29].when);
    assert_eq!(present.tags.len(), 1);
    assert_eq!(
        can_be_missing(
            &program,
            &program.audiences[29].when,
            &Definedness::default()
        )
        .len(),
        1
    );
    assert!(can_be_missing(&program, &program.audiences[29].when, &present).is_empty());
}

#[test]
fn names_go_across_files_in_any_order() {
    let (program, _, findings) = check_files(&[
        ("a.campaign", "audience grown = adult and tier == \"high\""),
        (
            "b.campaign",
            "partition tier { high when orders > 3 low otherwise }",
        ),
        (
            "c.campaign",
            "tag orders = count(purchase, ever)\naudience adult = age >= 18",
        ),
        (
            "d.campaign",
            "event purchase { amount money }\ntag age int 0..120",
        ),
    ]);
    assert_eq!(findings, Vec::<String>::new());
    assert!(program.audiences.iter().all(|a| !a.declared.failed));
    let (_, _, findings) = check_files(&[
        ("a.campaign", "tag vip bool"),
        ("b.campaign", "audience vip = everyone"),
    ]);
    assert_eq!(
        findings,
        ["duplicate-name: `vip` is declared twice: it is already a tag"]
    );
}

/// One mistake is one finding, however much depends on what is wrong.
#[test]
fn nothing_cascades() {
    let (_, _, findings) = check_files(&[(
        "a.campaign",
        r#"
        tag age itn
        audience adults = age > 18 and age in 3..5 and age == "x"
        audience both = adults and grown
        audience grown = nosuch > 3
        tag older = age + 1
        partition ages { a when older > 3 b otherwise }
        audience as = ages == "nosuch"
        event purchase { amount mony }
        audience buyers = sum(purchase.amount, ever) > ¥3 and did(purchase where nosuch > 3, ever)
        "#,
    )]);
    assert_eq!(
        findings,
        [
            "unknown-type: no type is named `itn` [did you mean `int`]",
            "unknown-name: no tag, audience, partition or list is named `nosuch`",
            "unknown-type: no type is named `mony` [did you mean `money`]",
        ]
    );
}

#[test]
fn circles_are_told_once() {
    let (program, _, findings) = check_files(&[(
        "a.campaign",
        "tag vip bool\naudience a = b and vip\naudience b = c\naudience c = a or d\naudience d = vip\naudience e = e\naudience f = a",
    )]);
    assert_eq!(
        findings,
        [
            "cyclic-definition: `a` is defined by itself: `a` → `b` → `c` → `a`",
            "cyclic-definition: `e` is defined by itself: `e` → `e`",
        ]
    );
    let failed: Vec<&str> = program
        .audiences
        .iter()
        .filter(|a| a.declared.failed)
        .map(|a| a.declared.name.as_str())
        .collect();
    assert_eq!(failed, ["a", "b", "c", "e", "f"]);
}

#[test]
fn the_store_gives_the_types_of_undeclared_tags() {
    let (store, _, _) = check_files(&[(
        "store.campaign",
        "tag age int 0..120\ntag ok bool consent\ntag hiv bool sensitive by ok\nevent view { sku text(40) }",
    )]);
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let text =
        "tag vip bool\naudience x = vip and age > 3 and hiv and did(view where sku == \"a\", ever)";
    let file = sources.add("a.campaign", text);
    let tree = parse(file, text, &mut findings);
    let options = CheckOptions {
        store_schema: Some(store.schema),
        ..CheckOptions::default()
    };
    let program = check(&sources, &[tree], &options, &mut findings);
    assert!(findings.is_empty(), "{:?}", shown(findings));
    let names: Vec<&str> = program
        .schema
        .tags
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(names, ["vip", "age", "ok", "hiv"]);
    let by = program.schema.tags[3].sensitive_by.expect("kept");
    assert_eq!(program.schema.tag(by).name, "ok");
}

/// A condition asked of a checked program: `query` and the REPL.
#[test]
fn conditions_are_checked_against_a_program() {
    let (program, sources, _) = check_files(&[("world.campaign", WORLD)]);
    assert_eq!(type_of(&program, &sources, "savers and age > 18"), "bool?");
    assert_eq!(
        type_of(&program, &sources, "saver and age > 18"),
        "unknown-name: no tag, audience, partition or list is named `saver` [did you mean `savers`]"
    );
}

#[test]
fn limits_hold() {
    let finding = |text: &str| {
        let (_, _, findings) = check_files(&[("a.campaign", text)]);
        findings.join("\n")
    };
    let chain = |n: usize| {
        (1..=n)
            .map(|i| format!("audience t{i} = t{}\n", i - 1))
            .collect::<String>()
    };
    assert_eq!(
        finding(&format!("tag t0 bool\n{}", chain(MAX_CHAIN as usize))),
        ""
    );
    assert!(
        finding(&format!("tag t0 bool\n{}", chain(MAX_CHAIN as usize + 9)))
            .starts_with("too-deep: `t33` stands on a chain")
    );
    let sum = |n: usize| {
        format!(
            "tag a int 0..1\naudience x = {} > 3",
            vec!["a"; n].join(" + ")
        )
    };
    assert_eq!(finding(&sum(MAX_EXPR_DEPTH as usize - 2)), "");
    assert!(finding(&sum(MAX_EXPR_DEPTH as usize + 2)).starts_with("too-deep: "));
    // A long chain of `or` is no depth.
    assert_eq!(
        finding(&format!(
            "tag a int 0..1\naudience x = {}",
            vec!["a > 0"; 240].join(" or ")
        )),
        ""
    );
    let members = |n: usize| {
        (0..n)
            .map(|i| format!("\"{i}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(finding(&format!("tag a enum({})", members(300))), "");
    assert!(
        finding(&format!("tag a enum({})", members(65_536)))
            .starts_with("unknown-type: an enum has 1 to 65535 members")
    );
}

/// What a channel that takes lists cannot do is an error before anything is sent: a text for each
/// user, an answer to one user's event, and a follow-up that would select nobody because the
/// platform counts and does not name.
#[test]
fn case_29_what_a_list_channel_cannot_do() {
    let head = "tag nickname text(10) base tag vip bool base tag openid address(service_account) base event cart_add { sku text(40) }
         template named \"{nickname ?? '您好'},满300减50\" template t \"满300减50\" template again \"最后一天\"";
    for (campaign, code) in [
        (
            "when vip send template named via service_account.mass at 10:00",
            "too-many-texts",
        ),
        (
            "on cart_add again after 7 days send template t via service_account.mass",
            "list-channel-on-trigger",
        ),
        (
            "when vip send template t via service_account.mass at 10:00 after 3 days if not delivered send template again",
            "outcome-not-observable",
        ),
    ] {
        let (_, findings) = findings_of(&format!("{head} campaign c {{ {campaign} }}"));
        let errors: Vec<&str> = findings
            .iter()
            .filter(|f| f.level == tagcast::diag::Level::Error)
            .map(|f| f.code.name)
            .collect();
        assert_eq!(errors, [code], "{campaign}");
    }
}

/// 1,000 files of 100 lines; the time limit is generous because it also holds for a debug build on
/// a busy machine.
#[test]
fn large_programs_check_quickly() {
    let mut files: Vec<(String, String)> = Vec::new();
    for i in 0..200 {
        let mut text = String::new();
        for j in 0..50 {
            text += &format!(
                "tag tag_{i}_{j} int 0..100\naudience aud_{i}_{j} = tag_{i}_{j} > 3 and tag_{}_{j} < 50\n",
                (i + 1) % 200
            );
        }
        files.push((format!("f{i}.campaign"), text));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let trees: Vec<_> = files
        .iter()
        .map(|(path, text)| parse(sources.add(*path, *text), text, &mut findings))
        .collect();
    let start = std::time::Instant::now();
    let program = check(&sources, &trees, &CheckOptions::default(), &mut findings);
    let took = start.elapsed();
    assert!(findings.is_empty());
    assert_eq!(program.audiences.len(), 10_000);
    assert!(took.as_secs() < 30, "{took:?}");
}

/// What a hostile file can make the checker compare is bounded: thousands of unknown names among
/// thousands, long lists of large enums.
#[test]
fn hostile_programs_check_quickly() {
    let mut text = String::from("event purchase { amount money }\n");
    for i in 0..3000 {
        text += &format!(
            "tag tag_{i} bool\naudience aud_{i} = tga_{i} and did(purchase where amuont_{i} > 3, ever)\n"
        );
    }
    let members = (0..20_000)
        .map(|i| format!("\"member {i}\""))
        .collect::<Vec<_>>()
        .join(",");
    text += &format!(
        "tag big enum({members})\naudience most = big in [{members}]\naudience none = big in [{}]",
        members.replace("ember", "ebmer")
    );
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let file = sources.add("a.campaign", text.as_str());
    let tree = parse(file, &text, &mut findings);
    let start = std::time::Instant::now();
    check(&sources, &[tree], &CheckOptions::default(), &mut findings);
    let took = start.elapsed();
    assert_eq!(findings.len(), 26_000);
    assert!(took.as_secs() < 60, "{took:?}");
}

fn findings_of(text: &str) -> (Sources, Vec<tagcast::diag::Finding>) {
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let file = sources.add("a.campaign", text);
    let tree = parse(file, text, &mut findings);
    check(
        &sources,
        &[tree],
        &CheckOptions {
            now: Zone::SHANGHAI.parse_instant("2026-11-01"),
            ..CheckOptions::default()
        },
        &mut findings,
    );
    (sources, findings.sorted())
}

/// Every fix that a case of `tests/ui/check` offers does away with its finding, and the text stays
/// readable.
#[test]
fn fixes_mend_what_they_say() {
    let mut fixes = 0;
    for entry in std::fs::read_dir("tests/ui/check").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "campaign") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, before) = findings_of(&text);
        let count = |all: &[tagcast::diag::Finding], code: &str| {
            all.iter().filter(|f| f.code.name == code).count()
        };
        for finding in &before {
            for fix in &finding.fixes {
                let mut edits = fix.edits.clone();
                edits.sort_by_key(|e| std::cmp::Reverse(e.span));
                let mut mended = text.clone();
                for edit in &edits {
                    mended.replace_range(edit.span.range(), &edit.text);
                }
                let (_, after) = findings_of(&mended);
                let place = format!(
                    "{}: {} [{}]",
                    path.display(),
                    finding.message.en,
                    fix.title.en
                );
                let code = finding.code.name;
                let again = after
                    .iter()
                    .filter(|f| f.code.name == code && f.message == finding.message)
                    .count();
                let same = before
                    .iter()
                    .filter(|f| f.code.name == code && f.message == finding.message)
                    .count();
                assert!(again < same, "{place} does not help:\n{mended}");
                assert!(
                    count(&after, "syntax") <= count(&before, "syntax"),
                    "{place} cannot be read:\n{mended}"
                );
                fixes += 1;
            }
        }
    }
    assert!(fixes > 80, "{fixes}");
}

/// A change to a program's text as an editor or an accident makes it.
#[derive(Clone, Debug)]
enum Change {
    Delete(usize, usize),
    Double(usize, usize),
    Swap(usize, usize),
    Insert(usize, &'static str),
}

fn change() -> impl proptest::strategy::Strategy<Value = Change> {
    use proptest::prelude::*;
    let pieces = prop::sample::select(vec![
        "(",
        ")",
        "{",
        "}",
        "\"",
        "'",
        "when",
        "where ",
        "not ",
        "except ",
        " or ",
        " in ",
        "..",
        "??",
        "¥1",
        "30%",
        "99999999999999999999",
        "-",
        "=",
        "[",
        "]",
        "event.",
        "missing",
        "非",
        "#",
        "\n",
        "last 30 days",
        "then ",
        "otherwise ",
        "1.5",
        "2026-11-11",
    ]);
    prop_oneof![
        (0usize..4000, 1usize..40).prop_map(|(a, n)| Change::Delete(a, n)),
        (0usize..4000, 1usize..60).prop_map(|(a, n)| Change::Double(a, n)),
        (0usize..4000, 1usize..200).prop_map(|(a, n)| Change::Swap(a, n)),
        (0usize..4000, pieces).prop_map(|(a, p)| Change::Insert(a, p)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for change in changes {
        let len = chars.len().max(1);
        match *change {
            Change::Delete(a, n) => {
                drop(chars.drain(a % len..(a % len + n).min(len).min(chars.len()).max(a % len)))
            }
            Change::Double(a, n) => {
                let piece: Vec<char> = chars.iter().skip(a % len).take(n).copied().collect();
                let at = (a % len).min(chars.len());
                chars.splice(at..at, piece);
            }
            Change::Swap(a, n) => {
                let (a, b) = (a % len, (a % len + n) % len);
                if a < chars.len() && b < chars.len() {
                    chars.swap(a, b);
                }
            }
            Change::Insert(a, piece) => {
                let at = (a % len).min(chars.len());
                chars.splice(at..at, piece.chars());
            }
        }
    }
    chars.into_iter().collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]

    /// Whatever happens to the text: no panic, every place inside the file and on character bounds,
    /// the same findings twice.
    #[test]
    fn any_text_gets_an_answer(changes in proptest::collection::vec(change(), 1..8)) {
        let text = changed(include_str!("programs/tour.campaign"), &changes);
        let (_, findings) = findings_of(&text);
        for f in &findings {
            let edits = f.fixes.iter().flat_map(|fix| fix.edits.iter().map(|e| e.span));
            for span in edits.chain(f.labels.iter().map(|l| l.span)).chain([f.span]) {
                proptest::prop_assert!(text.get(span.range()).is_some(), "{} {:?}", f.message.en, span);
            }
        }
        proptest::prop_assert_eq!(&findings_of(&text).1, &findings);
    }
}

/// The examples of every page that the parser and the checker answer for: the bad one gives exactly
/// this finding, the good one no error.
#[test]
fn pages_show_what_they_say() {
    let mut wrong = Vec::new();
    for code in tagcast::diag::catalog::ALL {
        let section = |title: &str| {
            let (_, rest) = code.page.split_once(title)?;
            let (_, block) = rest.split_once("```campaign\n")?;
            // A section without a block of its own must not take the next one's.
            let block = block.split("```").next()?;
            (!rest.split("```campaign").next()?.contains("\n## ")).then_some(block)
        };
        if let Some(bad) = section("## Bad") {
            let found: Vec<&str> = findings_of(bad).1.iter().map(|f| f.code.name).collect();
            if found != [code.name] {
                wrong.push(format!("{}: the bad example gives {found:?}", code.name));
            }
        }
        if let Some(good) = section("## Good") {
            let (_, found) = findings_of(good);
            if found.iter().any(|f| f.level == tagcast::diag::Level::Error) {
                wrong.push(format!(
                    "{}: the good example gives {:?}",
                    code.name, found[0].message.en
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
