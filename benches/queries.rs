//! Audiences in the process: what the REPL and the scheduler pay for a question.
//!
//! `cargo bench --bench queries` makes a million users of its own. `TAGCAST_BENCH_PROGRAM=folder` asks a program's store instead; `benches/against.sh`
//! does so at ten million users, beside other engines.

mod questions;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use questions::{Bench, QUESTIONS};

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

criterion_group!(benches, audiences);
criterion_main!(benches);
