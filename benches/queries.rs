//! Audiences in the process: what the REPL and the scheduler pay for a question.
//!
//! `cargo bench --bench queries` makes a million users of its own. `TAGCAST_BENCH_PROGRAM=folder`
//! asks a program's store instead; `benches/against.sh` does so at ten million users, beside other
//! engines.

mod questions;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use questions::{Bench, QUESTIONS};
use tagcast::base::{Elapsed, UserNo};
use tagcast::eval::{ChangeKind, RuleSet};
use tagcast::program::typed_expr::Expr;

const RULES: [usize; 3] = [100, 1_000, 10_000];

fn audiences(c: &mut Criterion) {
    let bench = Bench::open();
    let users = bench.data.snapshot.user_count();
    let mut group = c.benchmark_group("audience");
    group.sample_size(30);
    for (name, text, at_ten_million) in QUESTIONS {
        let condition = bench.condition(text);
        let count = bench.count(&condition);
        assert!(
            count > 0 && (users != 10_000_000 || count == at_ten_million),
            "{name}: {count}"
        );
        group.bench_function(name, |b| b.iter(|| black_box(bench.count(&condition))));
    }
    group.finish();
}

/// A question about derived tags that is asked again, at the same instant and each time a minute
/// later: of their columns that changes a few blocks.
fn derived(c: &mut Criterion) {
    let mut bench = Bench::open();
    let condition = bench.condition(QUESTIONS[3].1);
    let mut group = c.benchmark_group("derived");
    group.sample_size(30);
    (0..3).for_each(|_| _ = bench.count(&condition));
    group.bench_function("again", |b| b.iter(|| black_box(bench.count(&condition))));
    group.bench_function("a_minute_later", |b| {
        b.iter(|| {
            bench.data.now = bench.data.now.plus(Elapsed::minutes(1));
            black_box(bench.count(&condition))
        });
    });
    group.finish();
}

/// Rules for one user after another: what a trigger pays. A figure is for all rules of a user.
fn one_user(c: &mut Criterion) {
    let bench = Bench::open();
    let scope = bench.data.scope(&bench.project.program);
    let rules: Vec<Expr> = (0..*RULES.last().expect("some"))
        .map(|i| rule(&bench, i))
        .collect();
    let users = bench.data.snapshot.user_count() as u32;
    let mut user = 0u32;
    // Far from the user before, so that nothing of its row is near.
    let mut next = || {
        user = user.wrapping_add(2_654_435_761) % users;
        UserNo(user)
    };
    let mut group = c.benchmark_group("one_user");
    for count in RULES {
        let set = RuleSet::new(&bench.project.program, &rules[..count]).expect("rules");
        let bound = set.bind(&scope).expect("the store fits");
        bound.index_events();
        let mut asker = bound.asker();
        let mut ask = |rules: &mut dyn Iterator<Item = usize>| {
            let mut holding = 0;
            asker.ask(next(), rules, |_, truth| {
                holding += usize::from(truth == Some(true))
            });
            holding
        };
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count}_rules"), |b| {
            b.iter(|| ask(&mut (0..count)))
        });
        // What an event pays: only the rules that ask for it.
        let purchase = bench
            .project
            .program
            .schema
            .event_named("purchase")
            .expect("declared");
        let affected = set.affected_by(ChangeKind::Event(purchase));
        group.throughput(Throughput::Elements(affected.len() as u64));
        group.bench_function(format!("purchase_of_{count}_rules"), |b| {
            b.iter(|| ask(&mut affected.iter().copied()))
        });
    }
    group.finish();
}

/// No two the same; one in twenty asks for purchases.
fn rule(bench: &Bench, i: usize) -> Expr {
    let (region, age) = (
        ["Shanghai", "Beijing", "Zhejiang", "Sichuan"][i % 4],
        20 + i % 50,
    );
    let (share, risk) = (i * 7919 % 10_000, i * 104_729 % 10_000);
    bench.condition(&match i % 20 {
        0 => format!("region == \"{region}\" and count(purchase, last 30 days) >= {} and churn_risk > 0.{risk:04}", 1 + i / 20 % 5),
        _ => format!("(region == \"{region}\" and coupon_rate > 0.{share:04}) or (age > {age} and churn_risk <= 0.{risk:04})"),
    })
}

criterion_group!(benches, audiences, derived, one_user);
criterion_main!(benches);
