//! The questions as one JSON line each, in the form in which `benches/against.sh` gets the other
//! engines' answers.
//!
//! `TAGCAST_BENCH_PROGRAM=folder cargo bench --bench against`. First the memory: no scan of columns
//! can be faster than its bytes at that rate.

mod questions;

use std::hint::black_box;
use std::time::Instant;

use questions::{Bench, QUESTIONS};
use rayon::prelude::*;

const TIMES: usize = 31;

/// Milliseconds of each run, shortest first.
fn times(mut work: impl FnMut()) -> Vec<f64> {
    work();
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn median(times: &[f64]) -> f64 {
    times[times.len() / 2]
}

/// Gigabytes a second that all cores read together.
fn bandwidth() -> f64 {
    let words: Vec<u64> = (0..64 << 20).collect();
    let sum = |words: &[u64]| {
        words.chunks_exact(8).fold([0u64; 8], |mut sums, eight| {
            sums.iter_mut()
                .zip(eight)
                .for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
            sums
        })
    };
    let times = times(|| {
        _ = black_box(
            words
                .par_chunks(1 << 16)
                .map(|part| sum(part)[0])
                .reduce(|| 0, u64::wrapping_add),
        )
    });
    8.0 * words.len() as f64 / 1e6 / median(&times)
}

fn main() {
    println!(
        "{{\"engine\": \"memory\", \"q\": \"read\", \"gb_per_s\": {:.1}}}",
        bandwidth()
    );
    let bench = Bench::open();
    for (name, text, _) in QUESTIONS {
        let condition = bench.condition(text);
        let result = bench.count(&condition);
        for mode in ["first", "again"] {
            let times = times(|| {
                if mode == "first" {
                    bench.data.prepared.forget_answers();
                }
                black_box(bench.count(&condition));
            });
            let (med, min, max) = (median(&times), times[0], times[times.len() - 1]);
            println!(
                "{{\"engine\": \"tagcast\", \"mode\": \"{mode}\", \"q\": \"{name}\", \"med_ms\": {med:.2}, \"min_ms\": {min:.2}, \"max_ms\": {max:.2}, \"result\": {result}}}"
            );
        }
    }
}
