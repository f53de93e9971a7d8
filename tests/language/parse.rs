//! Text to tree: what parses, what is broken and how it is said, and that time and stack stay
//! bounded.

use std::time::{Duration, Instant};

use tagcast::base::FileId;
use tagcast::base::Lang;
use tagcast::diag::{Findings, Sources};
use tagcast::syntax::ast::{ExprKind, File, ItemKind};
use tagcast::syntax::parse;

fn parsed(text: &str) -> (File, Vec<String>) {
    let mut findings = Findings::default();
    let mut sources = Sources::default();
    let id = sources.add("t.campaign", text);
    let file = parse::parse(id, text, &mut findings);
    let said = findings
        .sorted()
        .iter()
        .map(|f| {
            let (line, column) = sources.line_column(id, f.span.start);
            format!(
                "{line}:{column} {} {}",
                f.code.name,
                f.message.get(Lang::En)
            )
        })
        .collect();
    (file, said)
}

#[track_caller]
fn sound(text: &str) -> File {
    let (file, said) = parsed(text);
    assert_eq!(said, Vec::<String>::new(), "{text}");
    file
}

#[test]
fn the_tour_parses() {
    let file = sound(include_str!("programs/tour.campaign"));
    assert_eq!(file.items.len(), 27);
}

#[test]
fn the_first_sentence_in_both_languages() {
    let en = sound("when region==\"Shanghai\" and coupon_rate>0.3 send template X at 10:00");
    let zh = sound("当 region==\"Shanghai\" 且 coupon_rate>0.3 发送 模板 X 于 10:00");
    let clauses = |f: &File| match &f.items[0].kind {
        ItemKind::Campaign(c) => c.clauses.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((clauses(&en), clauses(&zh)), (3, 3));
}

#[test]
fn full_width_punctuation_is_read_as_its_twin() {
    sound("人群 甲 ＝ （年龄 ＞＝ 18） 且 地域 属于 ［“上海”，“北京”］");
    sound("当 使用率 ＞ 30％ 且 金额 ≥ ￥１００ 发送 模板 X 于 10：00");
}

#[test]
fn clause_words_are_names_where_an_expression_stands() {
    sound(
        "tag priority int base\ntag top int base\naudience at = priority > 3 and top in 1..5 or send == 2",
    );
    sound(
        "event e { category text(3), at money }\ncampaign campaign { when at send template template at at }",
    );
}

#[test]
fn every_clause_has_its_form() {
    sound(
        "campaign c \"t\" {
  goal purchase where amount > ¥5 within 72h
  purpose service
  when everyone
  top 50万 by least(a, b)
  sample 5%
  split { a 45% send template x b 45% choose { when p > 1 send y via wecom.kf otherwise nothing } control 10% nothing }
  holdout 10% as \"2026Q4\"
  via service_account.mass weight 2, wecom.group weight w ?? 0
  every month on 1, 15, last at 9:00 from 2026-01-01 until 2026-12-31
  again per event.sku
  priority level * 10 rising 5 per hour
  cap wecom.group 4 per month keep 1 for priority >= 80
  cap 9 per rolling 30 days
  quiet 22:00..08:00
  deadline 2h
  pace 1000 per minute
  recall 24h
  second: after 3 days from start at 10:00 if not opened send template y via a.b else send z
  leave when did(purchase, last 3 days)
  target delivered >= 95%, opened >= 25%
}",
    );
    sound(
        "campaign c { on cart_add where price > ¥100 wait 30min from last unless purchase where amount > 1 again after 7 days send x }",
    );
    sound(
        "r: when a == 1 send x every day at 10:00\ns: on e send x\nu: when b every 3天 at 9:00 from 2026-01-01 send x\nv: when b 每周一 于 9:00 发送 x",
    );
    sound("w: when b every hour 7:00..21:00 send x at 10:00 on 30, 7, 1 days before plan_end");
}

#[test]
fn expressions_of_every_kind() {
    for text in [
        "a or b and not c",
        "a except (b or c)",
        "x in 18..30 and y not in [1, 2] and d in last 30 days",
        "tags contains any [\"a\"] and t starts with \"x\" and s contains \"y\"",
        "x is missing or y is known or (z ?? 0) > 1",
        "count(purchase where amount > ¥100, last 30 days) >= 3",
        "did(cart_add then no purchase within 30min, this week)",
        "sum(purchase.amount where category == \"food\", 2026-11-01..2026-11-11) > ¥5",
        "since(purchase) > 72h and did(sent, since 2026-01-01) and count(e, ever) == 0",
        "weather(region).uv * 2 + -1 mod 3 >= 5 / 2",
        "distance(home, (31.2, 121.4)) < 3公里",
        "yearly(birthday) in next 7 days",
        "nearest(store.spot, home within 5km).name == \"x\"",
        "年龄 >= 18 且 非 (地域 == '上海' 或 金额 > 99.5元)",
    ] {
        let mut findings = Findings::default();
        let expr = parse::parse_condition(FileId(0), text, &mut findings);
        assert!(
            findings.is_empty() && expr.is_some(),
            "{text}: {findings:?}"
        );
    }
}

#[test]
fn precedence() {
    let mut findings = Findings::default();
    let mut shape = |text: &str| {
        let e = parse::parse_condition(FileId(0), text, &mut findings).unwrap();
        fn show(e: &tagcast::syntax::ast::Expr) -> String {
            match e.kind.as_ref() {
                ExprKind::Name(n) => n.name.clone(),
                ExprKind::Literal(l) => format!("{:?}", l.kind).chars().take(3).collect(),
                ExprKind::Binary {
                    op, left, right, ..
                } => format!("({} {op:?} {})", show(left), show(right)),
                ExprKind::Not { of, .. } => format!("!{}", show(of)),
                ExprKind::Neg(of) => format!("-{}", show(of)),
                ExprKind::Is { of, .. } => format!("?{}", show(of)),
                ExprKind::Paren(of) => show(of),
                other => format!("{other:?}"),
            }
        }
        show(&e)
    };
    assert_eq!(shape("a or b and c"), "(a Or (b And c))");
    assert_eq!(shape("not a == b and c"), "(!(a Eq b) And c)");
    assert_eq!(shape("not not a or b"), "(!!a Or b)");
    assert_eq!(
        shape("a + b * c == d ?? e"),
        "((a Add (b Mul c)) Eq (d Coalesce e))"
    );
    assert_eq!(shape("-a + b"), "(-a Add b)");
    assert_eq!(shape("a is missing or b"), "(?a Or b)");
    assert_eq!(shape("a - b - c"), "((a Sub b) Sub c)");
}

#[test]
fn one_mistake_hides_nothing_else() {
    let (file, said) = parsed(
        "tag a int base\naudience x = a >=\ntag b int base\ncampaign c {\n  when a >\n  top 5 by b\n  at 10:00\n}\naudience y = b == = 1\n",
    );
    assert_eq!(file.items.len(), 5);
    assert_eq!(
        said,
        [
            "2:17 syntax something is missing here: expected a condition or value",
            "5:10 syntax something is missing here: expected a condition or value",
            "9:19 syntax expected a condition or value, found `=`",
        ]
    );
}

#[test]
fn foreign_spellings_are_read_and_answered() {
    let (_, said) = parsed(
        "audience x = a = 1 && b <> 2 || c is not null AND d between 1 and 2 and e like \"x\" and !f",
    );
    let names: Vec<&str> = said.iter().map(|s| s.split(' ').nth(1).unwrap()).collect();
    assert_eq!(names, ["wrong-spelling"; 9], "{said:#?}");
}

#[test]
fn glued_chinese_words_get_their_space() {
    let (_, said) = parsed("当地域 == \"上海\" 发送 模板 X 于 10:00");
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn unclosed_things_are_said_once() {
    for text in [
        "campaign c {\n  when a == 1\n",
        "audience a = (b",
        "tag t enum(\"a\", \"b)\n",
        "audience a = b)\n",
        "template t { body \"{x\" }",
    ] {
        let (_, said) = parsed(text);
        assert_eq!(said.len(), 1, "{text}: {said:?}");
    }
}

/// Generous deadlines: exponential behaviour would take longer than the age of the universe.
#[test]
fn time_and_stack_stay_bounded() {
    let (start, before) = (Instant::now(), on_the_processor());
    for (open, close, depth) in [
        ("(", ")", 60),
        ("x in (", ")", 60),
        ("f(", ")", 60),
        ("not (", ")", 60),
        ("[", "]", 60),
        ("if(a, ", ", b)", 60),
    ] {
        sound(&format!(
            "audience a = {}b{}",
            open.repeat(depth),
            close.repeat(depth)
        ));
    }
    for text in [
        "(".repeat(10 << 20),
        "{".repeat(1 << 20),
        "not ".repeat(200_000),
        "-".repeat(1_000_000),
        "a == ".repeat(100_000),
        "x in (".repeat(100_000),
    ] {
        parsed(&format!("audience a = {text}"));
        parsed(&text);
    }
    let took = match (before, on_the_processor()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed(),
    };
    assert!(took < Duration::from_secs(60), "{took:?}");
}

/// How long this thread was at work, whatever else the machine does; where the system tells.
fn on_the_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[test]
fn doc_comments_belong_to_the_item_below() {
    let file = sound(
        "# a comment\n## Who shops.\n## Often.\naudience a = b\n\n## lost\n\naudience c = d\n",
    );
    assert_eq!(file.items[0].doc, ["Who shops.", "Often."]);
    assert!(file.items[1].doc.is_empty());
    assert_eq!(file.comments.len(), 4);
}

#[test]
fn a_file_far_too_large_is_refused_unread() {
    let mut findings = Findings::default();
    assert_eq!(
        parse::decode(FileId(0), &vec![b'('; 10 << 20], &mut findings),
        ""
    );
    let said = findings.sorted();
    assert_eq!((said.len(), said[0].code.name), (1, "too-large"));
    assert_eq!(
        said[0].message.en,
        "this file has 10 MiB; a program file has at most 4 MiB"
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for bytes in [&b"\xFF\xFEw\0h\0"[..], b"\x00\x01\x02", b"abc\xFFdef"] {
        let mut findings = Findings::default();
        assert_eq!(parse::decode(FileId(0), bytes, &mut findings), "");
        assert_eq!(findings.len(), 1);
    }
}
