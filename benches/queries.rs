//! Audiences in the process: what the REPL and the scheduler pay for a question.
//!
//! `cargo bench --bench queries` makes a million users of its own. `TAGCAST_BENCH_PROGRAM=folder` asks a program's store instead; `benches/against.sh`
//! does so at ten million users, beside other engines.

mod questions;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use questions::{Bench, QUESTIONS};
use tagcast::base::{UserNo, Value};
use tagcast::eval::Bound;
use tagcast::plan;

const RULES: usize = 100;

fn audiences(c: &mut Criterion) {
    let bench = Bench::open();
    let users = bench.data.snapshot.user_count();
    let mut group = c.benchmark_group("audience");
    group.sample_size(30);
    for (name, text, at_ten_million) in QUESTIONS {
        let condition = bench.condition(text);
        let count = bench.count(&condition);
        assert!(count > 0 && (users != 10_000_000 || count == at_ten_million), "{name}: {count}");
        group.bench_function(name, |b| b.iter(|| black_box(bench.count(&condition))));
    }
    group.finish();
}

/// A hundred rules for one user after another: what a trigger pays. The figure is for all of them.
fn one_user(c: &mut Criterion) {
    let bench = Bench::open();
    let scope = bench.data.scope(&bench.project.program);
    let plans: Vec<_> = (0..RULES)
        .map(|i| {
            let (region, share, age) = (["Shanghai", "Beijing", "Zhejiang", "Sichuan"][i % 4], i % 10, 20 + i % 50);
            let text = format!("(region == \"{region}\" and coupon_rate > 0.{share}) or (age > {age} and churn_risk <= 0.{share}5)");
            plan::lower(&bench.project.program, &bench.condition(&text)).expect("a plan")
        })
        .collect();
    let bound: Vec<_> = plans.iter().map(|plan| Bound::new(&scope, plan).expect("the store fits")).collect();
    let users = bench.data.snapshot.user_count() as u32;
    let mut user = 0u32;
    let mut group = c.benchmark_group("one_user");
    group.throughput(Throughput::Elements(RULES as u64));
    group.bench_function("100_rules", |b| {
        b.iter(|| {
            // Far from the user before, so that nothing of its row is near.
            user = user.wrapping_add(2_654_435_761) % users;
            bound.iter().filter(|rule| rule.value(UserNo(user)) == Some(Value::Bool(true))).count()
        })
    });
    group.finish();
}

criterion_group!(benches, audiences, one_user);
criterion_main!(benches);
